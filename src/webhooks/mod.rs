//! Telling others: what happened here reaches a customer's URL, signed.

pub mod sign;

pub use sign::{HmacScheme, SignatureScheme, Signer, SigningSecret, Verified, Verifier, VerifyError};
