//! The engine behind a product's *Admin → Integrations* page, inside your own process.
//!
//! A host declares its event types, a customer's administrator subscribes a URL, the host publishes, and the event
//! arrives: signed, retried when the receiver fails, and with every attempt in a log that can be looked up. The same hub knows
//! who may call the host ([API keys](api_keys)), takes what other platforms tell it ([inbound webhooks](inbound)), translates records
//! ([mappings](mapping)), and keeps a [log](activity) of it all.
//!
//! # Ten lines
//!
//! ```
//! use crossdock::Hub;
//! use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
//! use crossdock::tenancy::{Actor, TenantId};
//! use crossdock::webhooks::{DeliveryQuery, DeliveryStatus, NewWebhook};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let clock = std::sync::Arc::new(crossdock::hub::SystemClock::new());
//! # let transport = crossdock::testing::ScriptedTransport::new(clock);
//! let catalog = EventCatalog::new().with(EventTypeSpec::new("shipment.shipped"));
//! let hub = Hub::builder()
//!     .events(catalog)
//! #   .transport(transport)
//!     .build()?;
//!
//! // A customer's administrator subscribes. The actor carries the tenant: another tenant cannot be named.
//! let tenant: TenantId = "org_42".parse()?;
//! let ada = hub.admin(Actor::org_admin(tenant.clone(), "ada"));
//! let erp = NewWebhook::new("ERP", "https://erp.example.com/hooks").events(["shipment.*"]);
//! let show_once = ada.webhooks().create(erp).await?.secret;
//!
//! // The host says what happened, and a worker delivers it. A service calls `run_until(shutdown)` instead.
//! hub.publish(NewEvent::new(tenant, "shipment.shipped", &json!({"order": "A-7"}))?).await?;
//! hub.worker().run_until_idle().await;
//!
//! let log = ada.deliveries().list(DeliveryQuery::new().with_attempts()).await?;
//! assert_eq!(log.items[0].delivery.status, DeliveryStatus::Delivered);
//! # drop(show_once);
//! # Ok(()) }
//! ```
//!
//! # Modules
//!
//! | module | what it is about |
//! |---|---|
//! | [`hub`] | where the parts meet: [`Hub`], its builder, the view of an administrator |
//! | [`events`] | what can happen: catalogue, schemas, patterns, payload formats |
//! | [`webhooks`] | telling others: webhooks, deliveries, signatures, retries, the worker |
//! | [`api_keys`] | who may call the host: tokens, rights, limits, the gate |
//! | [`inbound`] | being told: notifications of other platforms, verified, kept once, handled |
//! | [`mapping`] | translating records: reviewable documents, compiled to plans |
//! | [`tenancy`] | who asks, and may they? |
//! | [`activity`] | what happened, for the audit log |
//! | [`lanes`] | work that waits: schedules, circuits, rates, leases; the engine under all of it |
//! | [`ports`] | what the hub asks of the world besides storage: time, dice, HTTP, secrets at rest |
//! | [`adapters`] | what answers: the stores in memory, in SQLite and in PostgreSQL, the HTTP client, the vaults, the schema engine |
//! | [`primitives`] | ids, secrets, pages, and the rules about which URLs may be called |
//! | `web` | with the features `tower` and `axum`: what calls the hub over HTTP |
//! | `testing` | with the feature of that name: what tests of hosts and of adapters need |
//!
//! # Guides
//!
//! - [What can happen, and what receivers get](guides::events): catalogue, schemas, payload formats.
//! - [The life of an event](guides::webhooks): retries, circuits, order, replay, diagnosis, tests.
//! - [Who may call you](guides::api_keys): keys for your own API.
//! - [Your *Integrations* page over HTTP](guides::management_api): the management API, mounted and called; feature `axum`.
//! - [Being told](guides::inbound): notifications of other platforms, from the request to exactly one effect.
//! - [Providers of inbound webhooks](guides::inbound_providers): what is checked of each, and what is odd about it.
//! - [Mappings](guides::mapping): translating records, with [expressions](guides::mapping_expressions) and the
//!   [codes](guides::mapping_codes) of what can be wrong.
//! - [The activity log](guides::activity): what happened, and whether the log was changed.
//! - [Running it](guides::running): stores, processes, keys, the doctor, retention, roles.
//! - [How your customers verify](guides::verifying): a page to hand out.
//! - [What was proven](guides::proof): what was done to break the promises, and how to do it again.
//!
//! # What holds
//!
//! - **At least once.** A published event is delivered, becomes a dead letter, or is recorded as skipped. Every copy
//!   carries the same `webhook-id`.
//! - **Order only where asked for**, per webhook or per ordering key.
//! - **One bad receiver delays nobody else.** Limits hold over all workers on a store.
//! - **Tenants are untrusted, receivers hostile.** Every URL and every resolved address is judged before it is called.
//!
//! The README has the tables that say exactly what survives which crash.
//!
//! # Features
//!
//! - **`worker`** *(default)*: the worker that fans out, signs, sends and settles.
//! - **`http-client`** *(default)*: the default transport, HTTP/1.1 on hyper and rustls, behind the egress rules.
//! - **`schemas`** *(default)*: JSON Schema 2020-12 validation of published payloads.
//! - **`ed25519`**: asymmetric signatures, Standard Webhooks `v1a`.
//! - **`rsa`**: inbound webhooks of Amazon SNS and PayPal.
//! - **`sqlite`**: the store in a SQLite file, and publishing inside a `rusqlite` transaction.
//! - **`postgres`**: the store in PostgreSQL, publishing inside a `sqlx` transaction, and wake-ups across processes
//!   (`PostgresWake`; without it, work from another process is found within a second).
//! - **`tokio-postgres`**: publishing inside a `tokio-postgres` transaction; switches `postgres` on.
//! - **`tower`**: an authentication layer for any tower service.
//! - **`axum`**: the same for axum, with an extractor and guards, the management API with its OpenAPI document, and the route that
//!   receives inbound webhooks; switches `tower` on.
//! - **`jq`**: mappings in jq, for authors whom the operator trusts.
//! - **`testing`**: conformance suites, a manual clock, a scripted transport, `drain`; switches `worker` on.
//!
//! Every feature only adds items. Without any, the crate is its pure core and brings no async runtime.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod activity;
pub mod adapters;
pub mod api_keys;
pub mod error;
pub mod events;
pub mod hub;
pub mod inbound;
pub mod lanes;
pub mod mapping;
pub mod ports;
pub mod primitives;
pub mod tenancy;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tower")]
pub mod web;
pub mod webhooks;

pub use error::{Error, ErrorKind, Problem, Result};
pub use hub::{Hub, HubBuilder, LocalWake, SystemClock, SystemEntropy};

/// Longer texts, for reading from beginning to end.
pub mod guides {
    #[doc = include_str!("../docs/events.md")]
    pub mod events {}

    #[doc = include_str!("../docs/webhooks.md")]
    pub mod webhooks {}

    #[doc = "[management]: crate::guides::management_api\n"]
    #[doc = include_str!("../docs/api_keys.md")]
    pub mod api_keys {}

    #[doc = include_str!("../docs/management_api.md")]
    pub mod management_api {}

    #[doc = include_str!("../docs/activity.md")]
    pub mod activity {}

    #[doc = "[providers]: crate::guides::inbound_providers\n"]
    #[doc = include_str!("../docs/inbound.md")]
    pub mod inbound {}

    #[doc = include_str!("../docs/inbound_providers.md")]
    pub mod inbound_providers {}

    #[doc = include_str!("../docs/mapping_expressions.md")]
    pub mod mapping_expressions {}

    // On GitHub the links at the end of a text hold, in the documentation the first ones.
    #[doc = "[codes]: crate::guides::mapping_codes\n[expressions]: crate::guides::mapping_expressions\n"]
    #[doc = include_str!("../docs/mapping.md")]
    pub mod mapping {}

    #[doc = include_str!("../docs/mapping_codes.md")]
    pub mod mapping_codes {}

    #[doc = include_str!("../docs/running.md")]
    pub mod running {}

    #[doc = include_str!("../docs/verifying.md")]
    pub mod verifying {}

    #[doc = include_str!("../docs/proof.md")]
    pub mod proof {}
}

/// The README's code is compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
