//! Words that every slice uses: ids, secrets, egress rules, waits, times, pages. Values only.

pub mod backoff;
pub mod durability;
pub mod egress;
pub mod header;
pub mod id;
pub(crate) mod network;
pub mod page;
pub mod secret;
pub mod stored;
pub mod time;
pub mod version;

pub use backoff::{Backoff, Jitter};
pub use durability::Durability;
pub use egress::{AddressRefusal, EgressPolicy, LookupRefusal, TenantUrl, UrlRefusal};
pub use header::{HeaderRefusal, TenantHeader};
pub use id::{
    ActivityId, ApiKeyId, AttemptId, DeliveryId, EventId, InvalidId, ReceivedId, ReplayId, SourceId,
    WebhookId,
};
pub use page::{Cursor, InvalidCursor, Page, PageRequest};
pub use secret::Secret;
pub use stored::Stored;
pub use time::{earlier, later};
pub use version::Version;
