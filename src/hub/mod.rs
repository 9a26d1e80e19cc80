//! Where the parts meet: [`Hub`] is what a host holds.
//!
//! | call | who it is for |
//! |---|---|
//! | [`Hub::builder`] | the host at start-up: store, event catalogue, egress rules, clock, vault |
//! | [`Hub::publish`], [`Hub::publish_many`] | the host's own code: something happened |
//! | [`Hub::prepare`], [`Hub::prepare_many`] | events to be written in a transaction of the host's own |
//! | [`Hub::check`] | the host's own code: what does the catalogue have against it? |
//! | [`Hub::explain`] | the host's support: who would hear of it? |
//! | [`Hub::event_types`] | the host's own code: what can be published |
//! | [`Hub::gate`], [`Hub::authenticate`] | the host's own API: who calls, and may they? |
//! | [`Hub::admin_by_key`] | people who administer with a key |
//! | [`Hub::admin`] | people: everything that the access policy lets them see and change |
//! | [`Hub::doctor`] | the operator: how it stands now, what is wrong, and what to do |
//! | [`Hub::rewrap`], [`Hub::rewrap_step`] | the operator: keys have changed, and an old one is to be dropped |
//! | [`Hub::receive`] | the host's web server: somebody sent a notification |
//! | `Hub::inbound_worker` (feature `worker`) | the host's processes: what hands notifications to handlers |
//! | [`Hub::notices`] | the operator: what should be looked at, as it happens |
//! | [`Hub::settings`] | everybody: the numbers that hold |
//! | `Hub::worker` (feature `worker`) | the host's processes: what fans out, delivers and does the chores |
//!
//! A whole story, in memory: a tenant's administrator subscribes, the host publishes, and the event waits to be
//! delivered.
//!
//! ```
//! use crossdock::Hub;
//! use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
//! use crossdock::tenancy::{Actor, TenantId};
//! use crossdock::webhooks::NewWebhook;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder()
//!     .events(EventCatalog::new().with(EventTypeSpec::new("shipment.shipped")))
//!     .build()?;
//!
//! // The actor carries the tenant: another tenant cannot be named.
//! let tenant: TenantId = "org_42".parse()?;
//! let admin = hub.admin(Actor::org_admin(tenant.clone(), "ada"));
//! let created = admin
//!     .webhooks()
//!     .create(NewWebhook::new("ERP", "https://erp.example.com/hooks").events(["shipment.*"]))
//!     .await?;
//! let shown_once = created.secret.ok_or("signed webhooks have a secret")?;
//! assert!(shown_once.reveal().starts_with("whsec_"));
//!
//! let shipment = std::collections::BTreeMap::from([("order", "A-7")]);
//! let published = hub.publish(NewEvent::new(tenant, "shipment.shipped", &shipment)?).await?;
//! assert!(published.fresh);
//! # Ok(()) }
//! ```

mod admin;
mod builder;
mod checkup;
mod defaults;
mod doctor;
mod handle;
#[cfg(feature = "http-client")]
mod http;
mod inbound;
mod keys;
mod rewrap;
#[cfg(feature = "schemas")]
mod schemas;
mod symptom;
mod system;
#[cfg(feature = "worker")]
mod worker;

pub use admin::Admin;
pub use builder::HubBuilder;
pub use checkup::{Checkup, Thresholds};
pub use handle::Hub;
pub use symptom::{Severity, Sign, Symptom};
pub use system::{LocalWake, SystemClock, SystemEntropy};
