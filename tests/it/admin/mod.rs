//! What administrators and publishing hosts can do, told as stories on a store in memory, a clock set by hand, and receivers that
//! follow a script.

mod access;
mod changes;
mod default_login;
mod diagnosis;
mod formats;
mod inputs;
mod log;
mod mapped;
mod neighbours;
mod noticing;
mod publishing;
mod races;
mod secrets;
mod sending;
mod switching;
mod tenants;

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::hub::Admin;
use crossdock::primitives::WebhookId;
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::{ManualClock, Reply, ScriptedTransport, SeededEntropy};
use crossdock::webhooks::{DeliveryQuery, DeliveryRecord, NewWebhook, Published, RetryPolicy, Settings};
use crossdock::{Error, ErrorKind, Hub, HubBuilder, Result};
use libtest_mimic::Trial;
use serde_json::json;

use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    let lists = [
        access::trials(),
        changes::trials(),
        default_login::trials(),
        diagnosis::trials(),
        formats::trials(),
        inputs::trials(),
        log::trials(),
        mapped::trials(),
        neighbours::trials(),
        noticing::trials(),
        publishing::trials(),
        races::trials(),
        secrets::trials(),
        sending::trials(),
        switching::trials(),
        tenants::trials(),
    ];
    lists.into_iter().flatten().collect()
}

type Told = Result<(), Box<dyn StdError>>;

/// One story, on a runtime of its own.
fn story<F: Future<Output = Told>>(name: &str, tell: impl FnOnce() -> F + Send + 'static) -> Trial {
    rule(&format!("admin::{name}"), move || -> Told {
        tokio::runtime::Builder::new_current_thread().build()?.block_on(tell())
    })
}

/// A hub whose time, dice and receivers are the test's.
struct House {
    hub: Hub,
    clock: ManualClock,
    transport: ScriptedTransport,
}

fn house() -> Result<House> {
    house_with(|receivers| receivers, |builder| builder)
}

fn house_with(
    receivers: impl FnOnce(ScriptedTransport) -> ScriptedTransport,
    choices: impl FnOnce(HubBuilder) -> HubBuilder,
) -> Result<House> {
    let clock = ManualClock::new();
    let transport = receivers(ScriptedTransport::new(Arc::new(clock.clone())));
    let builder = Hub::builder()
        .events(catalog())
        .clock(clock.clone())
        .entropy(SeededEntropy::new(7))
        .transport(transport.clone());
    Ok(House { hub: choices(builder).build()?, clock, transport })
}

/// One that tries each delivery once, with receivers that all answer this.
fn without_retries(replies: impl IntoIterator<Item = Reply>) -> Result<House> {
    let mut settings = Settings::default();
    settings.retry = RetryPolicy::none();
    house_with(|receivers| receivers.everybody(replies), |builder| builder.settings(settings))
}

fn catalog() -> EventCatalog {
    let order = json!({"type": "object", "required": ["order"], "properties": {"order": {"type": "string"}}});
    EventCatalog::new()
        .with(EventTypeSpec::new("order.placed").schema(order).example(json!({"order": "A-7"})))
        .with(EventTypeSpec::new("order.paid"))
        .with(EventTypeSpec::new("stock.counted").example(json!({"units": 3})))
        .with(EventTypeSpec::new("forecast.published").requires_any(["planning"]).example(json!({})))
}

impl House {
    fn admin(&self, tenant: &str) -> Admin {
        self.hub.admin(Actor::org_admin(tenant_id(tenant), "ada"))
    }

    /// Subscribes a URL to everything.
    async fn subscribe(&self, tenant: &str, url: &str) -> Result<WebhookId> {
        let created = self.admin(tenant).webhooks().create(NewWebhook::to(url).events(["*"])).await?;
        Ok(created.webhook.id)
    }

    /// Lets a millisecond pass: what happens within the same one has no order in listings.
    fn tick(&self) {
        self.clock.advance(Duration::from_millis(1));
    }

    async fn publish(&self, tenant: &str, event_type: &str) -> Result<Published> {
        self.hub.publish(event(tenant, event_type)).await
    }

    /// Delivers whatever is due.
    async fn work(&self) {
        self.hub.worker().run_until_idle().await;
    }

    async fn deliveries(&self, tenant: &str) -> Result<Vec<DeliveryRecord>> {
        let query = DeliveryQuery::new().with_payload().with_attempts();
        Ok(self.admin(tenant).deliveries().list(query).await?.items)
    }
}

fn tenant_id(text: &str) -> TenantId {
    text.parse().expect("a tenant id")
}

fn event(tenant: &str, event_type: &str) -> NewEvent {
    NewEvent::from_json(tenant_id(tenant), event_type, r#"{"order":"A-7"}"#)
}

/// The error of a call that must not succeed.
fn refused<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(error) => error,
    }
}

fn fields(error: &Error) -> Vec<&str> {
    error.problems().iter().map(|problem| &*problem.field).collect()
}

fn assert_refused<T>(result: Result<T>, kind: ErrorKind, expected: &[&str]) {
    let error = refused(result);
    assert_eq!((error.kind(), fields(&error)), (kind, expected.to_vec()), "{error}");
}
