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

mod check;
mod envelope;
mod handshake;
mod outcome;
mod prepared;
pub mod presets;
#[cfg(feature = "rsa")]
mod provider_keys;
mod read;
mod request;
pub mod scheme;
mod signer;
mod twilio;
mod verifier;

pub use outcome::{Genuine, Item, Outcome, Refusal, Reply, Verified};
pub use prepared::PreparedScheme;
#[cfg(feature = "rsa")]
pub use provider_keys::{
    Certificate, InvalidCertificate, PayPalVerifier, ProviderKeys, SnsMessage, SnsVerifier,
};
pub use request::{Request, SourceSecret};
pub use scheme::{
    Algorithm, Batch, Check, Condition, Envelope, Field, FixedAnswer, Handshake, InvalidField, KeyEncoding,
    KeyRule, KeyTransform, Moment, Part, Pointer, Reception, Scheme, SignatureFormat, SignatureRule,
    SignatureText, Test, TimestampRule, TokenCheck, Trust, Unit,
};
pub use signer::{SignedRequest, TestSigner};
pub use twilio::TwilioVerifier;
pub use verifier::Verifier;
