//! Which URLs and which resolved addresses we may call.
//!
//! A tenant writes the URL, so the URL is judged twice: once as text, when it is saved ([`EgressPolicy::parse`]), and
//! once per connection by the addresses that its name stands for at that moment ([`EgressPolicy::check_answers`]).
//! Neither makes the other needless: a literal address is never looked up, and a name may change its mind.
//!
//! ```
//! use crossdock::primitives::egress::EgressPolicy;
//!
//! let policy = EgressPolicy::default();
//!
//! let url = policy.parse("https://erp.example.com/hooks?a=1")?;
//! assert_eq!(url.host(), "erp.example.com");
//!
//! let refusal = policy.parse("https://0x7f.1/").unwrap_err();
//! assert_eq!(refusal.reason(), "loopback");
//! # Ok::<(), crossdock::primitives::egress::UrlRefusal>(())
//! ```

mod address;
mod name;
mod policy;
mod refusal;
mod url;

pub use address::AddressRefusal;
pub use policy::{EgressPolicy, is_destination};
pub use refusal::{LookupRefusal, UrlRefusal};
pub use url::TenantUrl;
