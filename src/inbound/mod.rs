//! Being told: notifications of other platforms, verified, deduplicated, stored, handled.
//!
//! | module | decides |
//! |---|---|
//! | [`source`] | where notifications come from, and with which secrets |
//! | [`received`] | what was received, and what becomes of it |
//! | [`store`], [`changes`] | port: where it is kept |

pub mod changes;
pub mod received;
pub mod scheme;
pub mod source;
pub mod store;
mod stored;

pub use changes::{PresentSource, check_source_changes};
pub use received::{
    Completion, InboundFate, InboundJob, InboundSettlement, ItemVersion, Party, Reading, Received,
    ReceivedRecord, ReceivedStatus,
};
pub use source::{InvalidSourceName, Owner, SealedSourceSecret, Source, SourceName, SourceState};
pub use store::{
    Accepted, InboundClaim, InboundClaimed, InboundRetention, InboundSettled, InboundStore, KindPattern,
    ReceivedFilter, Replayed, SourceChange,
};
