//! `/webhooks`: what the tenant has subscribed.
//!
//! | module | holds |
//! |---|---|
//! | `routes` | the handlers |
//! | `view` | what is shown |
//! | `wanted` | what is created and changed |
//! | `settings` | how requests are formed, signed, tried again and ordered: both ways |
//! | `login` | how requests log in: in, and out without the secret |
//! | `checks` | tests and diagnoses |

mod checks;
mod login;
mod routes;
mod settings;
mod view;
mod wanted;

pub(super) use login::{Login, LoginView};
pub(super) use routes::routes;
pub(super) use settings::Retry;
