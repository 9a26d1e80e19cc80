//! Being told: other platforms notify the host, and nothing forged gets in.
//!
//! A [`Scheme`] says as data how one provider signs; [`presets`] has those of known ones. With a source's secrets it becomes a
//! [`PreparedScheme`], which decides what a request is.
//!
//! | file | holds |
//! |---|---|
//! | [`scheme`] | how a provider signs, answers and packs, as data |
//! | `request` | a request as it came, and a source's secrets |
//! | `outcome` | what a request turns out to be |
//! | `verifier` | the trait for checks in code |
//!
//! What was verified is kept once, and handled:
//!
//! | file | holds |
//! |---|---|
//! | [`source`] | where notifications come from, and with which secrets |
//! | [`received`] | what was received, and what becomes of it |
//! | [`store`], [`changes`] | port: where it is kept |

pub mod changes;
mod outcome;
pub mod received;
mod request;
pub mod scheme;
pub mod source;
pub mod store;
mod stored;
mod verifier;

pub use changes::{PresentSource, check_source_changes};
pub use outcome::{Genuine, HandshakeAnswer, Item, Outcome, Refusal, Verified};
pub use received::{
    Completion, InboundFate, InboundJob, InboundSettlement, ItemVersion, Party, Reading, Received,
    ReceivedRecord, ReceivedStatus,
};
pub use request::{Request, SourceSecret};
pub use scheme::{
    Algorithm, Batch, Check, Condition, Envelope, Field, FixedAnswer, Handshake, InvalidField, KeyEncoding,
    KeyRule, KeyTransform, Moment, Part, Pointer, Reception, Scheme, SignatureFormat, SignatureRule,
    SignatureText, Test, TimestampRule, TokenCheck, Trust, Unit,
};
pub use source::{InvalidSourceName, Owner, SealedSourceSecret, Source, SourceName, SourceState};
pub use store::{
    Accepted, InboundClaim, InboundClaimed, InboundRetention, InboundSettled, InboundStore, KindPattern,
    ReceivedFilter, Replayed, SourceChange,
};
pub use verifier::Verifier;
