//! Telling others: what happened here reaches a customer's URL, signed.

pub mod sign;
#[doc = include_str!("../../docs/verifying.md")]
pub mod verifying {}

pub use sign::{HmacScheme, SignatureScheme, Signer, SigningSecret, Verified, Verifier, VerifyError};
