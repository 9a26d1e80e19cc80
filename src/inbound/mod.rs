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

mod outcome;
mod request;
pub mod scheme;
mod verifier;

pub use outcome::{Genuine, HandshakeAnswer, Item, Outcome, Refusal, Verified};
pub use request::{Request, SourceSecret};
pub use scheme::{
    Algorithm, Batch, Check, Condition, Envelope, Field, FixedAnswer, Handshake, InvalidField, KeyEncoding,
    KeyRule, KeyTransform, Moment, Part, Pointer, Reception, Scheme, SignatureFormat, SignatureRule,
    SignatureText, Test, TimestampRule, TokenCheck, Trust, Unit,
};
pub use verifier::Verifier;
