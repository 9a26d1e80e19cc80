//! What happened: the log of everything that people and the engine did to a tenant's integrations.
//!
//! | file | decides |
//! |---|---|
//! | `model` | what an entry says, which entries are administrative, which are errors |
//! | `store` | the port, and which entries a listing wants |
//! | `chain` | how administrative entries hang together, link by link |
//! | `verify` | what was altered, inserted, moved or cut |
//! | `service` | what an actor may read |
//! | `broadcast` | who hears of what in this process |

mod broadcast;
pub mod chain;
pub mod model;
pub mod service;
pub mod store;
mod stored;
pub mod verify;

pub(crate) use broadcast::Broadcast;
pub use broadcast::Heard;
pub use chain::{
    ChainAnchor, ChainEncoding, ChainEnds, ChainEntry, ChainHash, ChainPlace, InvalidAnchor, Link,
};
pub use model::{Activity, ActivityKind, Subject};
pub use service::ActivityAdmin;
pub use store::{ActivityFilter, ActivityStore};
pub use verify::{ChainFinding, ChainReport, verify_chain};
