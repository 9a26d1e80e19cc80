//! The request's signature headers, and how a receiver checks them.
//!
//! One webhook has secrets ([`SigningSecret`]) and schemes ([`SignatureScheme`]). A [`Signer`] is made of both once
//! and then writes the headers of every request; a [`Verifier`] is its counterpart for receivers.
//!
//! | scheme | headers | signed bytes | key |
//! |---|---|---|---|
//! | [`SignatureScheme::Standard`] | `webhook-signature: v1,<base64>` | `{id}.{timestamp}.{body}` | the secret's decoded bytes |
//! | [`SignatureScheme::StandardEd25519`] | `webhook-signature: v1a,<base64>` | the same | the private key |
//! | [`SignatureScheme::github`] | `x-hub-signature-256: sha256=<hex>` | `{body}` | the secret's text |
//! | [`SignatureScheme::stripe`] | `<header>: t=<seconds>,v1=<hex>` | `{timestamp}.{body}` | the secret's text |
//! | [`SignatureScheme::hmac_hex`], [`SignatureScheme::hmac_base64`] | `<header>: <hex or base64>` | `{body}` | the secret's text |
//! | [`HmacScheme`] | a header of your own | a [`SignedTemplate`] | as told |
//!
//! `webhook-id` and `webhook-timestamp` are sent with every scheme, so that every receiver can recognise a duplicate.
//! The first two schemes share `webhook-signature`: used together, all their signatures stand in one header.
//!
//! While a rotated secret is still live, a request carries a signature per secret wherever the header has room for
//! several (Standard Webhooks, `t=…,v1=…`); a header with a single value is signed with the newest secret.
//!
//! ```
//! use chrono::{DateTime, TimeDelta};
//! use crossdock::webhooks::sign::{Message, SignatureScheme, Signer, SigningSecret, Verifier};
//! use http::HeaderMap;
//!
//! let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
//! let sent_at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
//! let body = br#"{"sku":"A-1"}"#;
//!
//! // We:
//! let signer = Signer::new(&[SignatureScheme::Standard], &[secret.clone()])?;
//! let mut headers = HeaderMap::new();
//! let id = "evt_1".parse()?;
//! signer.sign(&Message { id: &id, timestamp: sent_at, url: "https://erp.example.com/hooks", body }, &mut headers);
//!
//! // The receiver:
//! let verifier = Verifier::new(&SignatureScheme::Standard, &[secret])?;
//! let verified = verifier.verify(&headers, body, sent_at + TimeDelta::seconds(2))?;
//! assert_eq!(verified.id(), Some("evt_1"));
//! assert!(verifier.verify(&headers, b"another body", sent_at).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asymmetric;
#[cfg(feature = "ed25519")]
mod ed25519;
mod hmac_scheme;
mod mac;
mod message;
mod refusal;
mod scheme;
mod secret;
mod signer;
pub(crate) mod stored;
mod template;
mod verify;

pub use hmac_scheme::{Encoding, HmacScheme, KeyUse, SignatureList};
pub use message::{InvalidMessageId, Message, MessageId};
pub use refusal::{SchemeRefusal, SecretRefusal};
pub use scheme::SignatureScheme;
pub use secret::SigningSecret;
pub use signer::Signer;
pub use template::SignedTemplate;
pub use verify::{Verified, Verifier, VerifyError};

/// Where the keys of asymmetric schemes come from: an algorithm that is compiled in hides the function of the same
/// name that refuses.
mod keys {
    pub(super) use super::asymmetric::*;
    #[cfg(feature = "ed25519")]
    pub(super) use super::ed25519::{signing_key, verifying_key};
}
