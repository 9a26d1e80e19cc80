//! Whether a signature fits.
//!
//! | file | decides |
//! |---|---|
//! | `candidates` | which texts of a header or field could be the signature |
//! | `key` | how a secret's text becomes the key's bytes |
//! | `mac` | what the algorithm makes of key and message, and whether a candidate says the same |
//! | `ed25519` | the same for public keys, with the feature of that name |
//! | `signature` | the whole rule |

mod asymmetric;
mod candidates;
#[cfg(feature = "ed25519")]
mod ed25519;
mod key;
mod mac;
pub(in crate::inbound) mod signature;

pub(in crate::inbound) use key::key_bytes;
pub(in crate::inbound) use mac::{Code, Key, LONGEST_TEXT, SigningKey, digest_of};

/// Where keys of public-key algorithms come from: an algorithm that is compiled in hides the functions of the same name
/// that refuse.
mod keys {
    pub(super) use super::asymmetric::*;
    #[cfg(feature = "ed25519")]
    pub(super) use super::ed25519::{signing_key, verifying_key};
}
