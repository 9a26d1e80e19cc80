//! Who may call the host: keys that its customers make and manage themselves.
//!
//! The modules, in the order in which a call passes through them:
//!
//! | module | decides |
//! |---|---|
//! | [`call`] | what a call is, and where its token stands |
//! | [`token`] | how a token is minted, taken apart and shown |
//! | [`gate`] | the order in which a call is judged |
//! | `cache` | what this process knows, and how old that may be |
//! | [`pepper`] | what is kept of a secret |
//! | [`life`] | how a key stands |
//! | [`client_ip`], `networks` | whose address it is, and from which ones a key may be used |
//! | [`permission`], [`scope`], [`declared`] | what a key may do |
//! | [`rate`], `address_rate`, `uses`, `line`, `shard` | how often |
//! | [`refusal`] | what a caller is told, and what the log |
//! | `tally`, `flush` | how a key is used, in memory and then in the store |
//! | [`answered`], `calls`, `route`, `log` | how calls were answered, likewise |
//! | [`model`] | keys and their use |
//! | [`store`], [`changes`] | port: where they are kept |
//! | [`service`], [`leak`] | what administrators see and change; what was found in the open |
//! | [`settings`] | what the host says about them |

mod address_rate;
pub mod answered;
mod cache;
pub mod call;
mod calls;
pub mod changes;
pub mod client_ip;
pub mod declared;
mod flush;
pub mod gate;
pub mod leak;
pub mod life;
mod line;
mod log;
pub mod model;
mod networks;
pub mod pepper;
pub mod permission;
pub mod rate;
pub mod refusal;
mod route;
pub mod scope;
pub mod service;
pub mod settings;
mod shard;
pub mod store;
mod stored;
mod tally;
pub mod token;
pub(crate) mod unconfigured;
mod uses;

pub use answered::{Answered, OpenCall};
pub use call::{ApiCall, Authenticated, TokenHeader};
pub use changes::{PresentKey, check_key_changes};
pub use client_ip::{InvalidProxy, TrustedProxies, UnreadableAddress};
pub use declared::Scopes;
pub use gate::{Gate, GateStatus};
pub use leak::{KeyLeaked, LeakReport};
pub use life::KeyStatus;
pub use model::{ApiKey, CallOutcome, DayCount, KeyRecord, KeyState, KeyUsage, LastUse, Rekeyed, Succession};
pub use pepper::{InvalidPepper, InvalidPepperId, PepperId, Peppers, SecretMac};
pub use permission::{Permission, Permissions};
pub use rate::{CallRate, InvalidCallRate, RateStanding};
pub use refusal::{Refusal, Refused};
pub use scope::{InvalidScope, Rights, Scope};
pub use service::{ApiKeyAdmin, CreatedKey, KeyDetails, KeyRefusal, KeyView, NewApiKey, Regeneration};
pub use settings::{ApiKeySettings, CallLogging, LeakPolicy};
pub use store::{Epoch, KeyChange, KeyFilter, KeyStore, KeysChanged};
pub use token::{
    Environment, InvalidPrefix, InvalidPublicId, PublicId, Token, TokenForm, TokenOnce, TokenRefusal,
};
