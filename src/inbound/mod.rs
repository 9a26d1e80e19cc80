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
//! | `prepared` | the decision itself, in the order of its steps |
//! | `handshake` | requests that are no events and are answered at once |
//! | `check` | whether a signature fits |
//! | `envelope` | how a body becomes events |
//! | `read` | reads single texts out of a request |
//! | `signer` | signs as a provider does, for tests |
//! | `twilio` | Twilio's check, in code |
//! | `provider_keys` | those of Amazon SNS and PayPal, with the feature `rsa` |
//! | [`presets`] | the schemes of known providers |
//! | `verifier` | the trait for checks in code |
//!
//! What was verified is kept once, and handled:
//!
//! | file | holds |
//! |---|---|
//! | [`source`] | where notifications come from, and with which secrets |
//! | [`received`] | what was received, and what becomes of it |
//! | [`store`], [`changes`] | port: where it is kept |
//! | [`handlers`] | what the host does with it |
//! | [`host_transaction`] | completing inside a transaction of the host's own |
//! | [`service`] | the order in which a request is received; what administrators see and change |
//! | [`worker`] | hands what was received to handlers (feature `worker`) |
//! | [`settings`] | the numbers that hold for a whole hub |

pub mod changes;
mod check;
pub(crate) mod context;
mod envelope;
pub mod handlers;
mod handshake;
pub mod host_transaction;
mod outcome;
pub(crate) mod prepared;
pub mod presets;
#[cfg(feature = "rsa")]
mod provider_keys;
mod read;
pub mod received;
mod request;
pub mod scheme;
pub mod service;
pub mod settings;
mod signer;
pub mod source;
pub mod store;
pub(crate) mod stored;
mod twilio;
pub(crate) mod unconfigured;
pub(crate) mod verifier;
#[cfg(feature = "worker")]
pub mod worker;

pub use changes::{PresentSource, check_source_changes};
pub use handlers::{Handled, HandlerRun, Incoming, IntoHandled, Route};
pub use host_transaction::CompletingTransaction;
pub use outcome::{Genuine, Item, Outcome, Refusal, Reply, Verified};
pub use prepared::PreparedScheme;
#[cfg(feature = "rsa")]
pub use provider_keys::{
    Certificate, InvalidCertificate, PayPalVerifier, ProviderKeys, SnsMessage, SnsVerifier,
};
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
pub use service::{
    InboundAnswer, InboundRequest, NewSource, PlatformSource, ReceiveOutcome, ReceivedAdmin, SourceAdmin,
    SourceSecretView, SourceUpdate, SourceView,
};
pub use settings::InboundSettings;
pub use signer::{SignedRequest, TestSigner};
pub use source::{InvalidSourceName, Owner, SealedSourceSecret, Source, SourceName, SourceState};
pub use store::{
    Accepted, InboundClaim, InboundClaimed, InboundErasure, InboundExamination, InboundRetention,
    InboundSettled, InboundStore, KindPattern, ReceivedFilter, Replayed, ResealedSecret, SourceChange,
};
pub use stored::subject_in_store;
pub use twilio::TwilioVerifier;
pub use verifier::Verifier;
#[cfg(feature = "worker")]
pub use worker::{InboundWorker, InboundWorkerStatus};
