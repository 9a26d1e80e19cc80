//! What administrators see and change.
//!
//! | module | decides |
//! |---|---|
//! | `new_key` | what is asked for, as it was typed, and whether it is fit to be stored |
//! | `saving` | a change is planned, saved with its entry of the log, and heard of here at once |
//! | `regenerate` | a successor |
//! | `view`, `refusals` | what reading shows |
//! | `keys` | the calls themselves |

mod keys;
mod new_key;
mod refusals;
mod regenerate;
pub(crate) mod saving;
mod view;

pub use keys::ApiKeyAdmin;
pub use new_key::NewApiKey;
pub use refusals::KeyRefusal;
pub use regenerate::Regeneration;
pub use view::{CreatedKey, KeyDetails, KeyView};
