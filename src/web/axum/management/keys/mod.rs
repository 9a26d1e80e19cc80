//! `/keys`: the keys of the host's own API.
//!
//! | module | holds |
//! |---|---|
//! | `routes` | the handlers |
//! | `view` | what is shown |
//! | `wanted` | what is created and asked for |
//! | `words` | what is said both ways: permissions, environments, standings, rates |

mod routes;
mod view;
mod wanted;
mod words;

pub(super) use routes::routes;
