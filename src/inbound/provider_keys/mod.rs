//! Providers that sign with a key of their own: Amazon SNS and PayPal, with RSA.
//!
//! | file | holds |
//! |---|---|
//! | `certificate` | the key in a certificate, and whether it has signed something |
//! | `sns`, `paypal` | which bytes are signed, and whose certificate it must be |
//! | `fetch` | gets certificates from their pinned hosts, through the egress rules, and keeps them for a while |

mod certificate;
mod fetch;
mod paypal;
mod sns;

pub use certificate::{Certificate, InvalidCertificate};
pub use fetch::ProviderKeys;
pub use paypal::PayPalVerifier;
pub use sns::{SnsMessage, SnsVerifier};
