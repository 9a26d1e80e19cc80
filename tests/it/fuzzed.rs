//! The management API with something of everything in it, for a fuzzer that calls it from outside: `.ci/fuzz`.

use std::error::Error;
use std::io::{Read, Write};

use axum::Router;
use chrono::TimeDelta;
use crossdock::adapters::SqliteStore;
use crossdock::api_keys::{ApiKeySettings, NewApiKey, Peppers, Permission, Scopes};
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::hub::SystemClock;
use crossdock::inbound::{
    Handled, InboundRequest, Incoming, NewSource, SourceSecret, SourceState, TestSigner, presets,
};
use crossdock::ports::Clock;
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::{Reply, ScriptedTransport};
use crossdock::web::axum::{Failure, management};
use crossdock::webhooks::{Auth, NewReplay, NewWebhook, RetryPolicy};
use crossdock::{Hub, HubBuilder};
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::durable::ground::vault;

type Outcome = Result<(), Box<dyn Error>>;

/// Serves the management API on loopback, says where, and goes on until its input ends.
pub(crate) fn serve_management() -> Outcome {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let store = SqliteStore::open(folder.path().join("hub.db"))?;
        let hub = builder()?.store(store.clone()).key_store(store.clone()).inbound_store(store).build()?;
        furnish(&hub).await?;
        // They end with the process.
        let (worker, inbound, gate) = (hub.worker(), hub.inbound_worker(), hub.gate().clone());
        tokio::spawn(async move { worker.run_until(std::future::pending()).await });
        tokio::spawn(async move { inbound.run_until(std::future::pending()).await });
        tokio::spawn(async move { gate.run_until(std::future::pending()).await });

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let app = Router::new().nest(MOUNTED, management(&hub, visitor));
        let mut out = std::io::stdout().lock();
        writeln!(out, "http://{}{MOUNTED}", listener.local_addr()?)?;
        out.flush()?;
        drop(out);
        let told = async {
            // However it ends: nobody is there any more.
            let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
        };
        Ok(axum::serve(listener, app).with_graceful_shutdown(told).await?)
    })
}

/// Everybody is the administrator of one tenant.
async fn visitor(_: Parts) -> Result<Actor, Failure> {
    Ok(Actor::org_admin(tenant(), "ada"))
}

fn tenant() -> TenantId {
    "org_42".parse().expect("a tenant")
}

/// A hub that calls nobody, whatever URLs it is given.
fn builder() -> Result<HubBuilder, Box<dyn Error>> {
    let receivers = ScriptedTransport::new(SystemClock::new())
        .host("down.example.com", [Reply::status(503)])
        .host("gone.example.com", [Reply::status(410)]);
    let events = ["order.placed", "shipment.shipped", "stock.counted"].map(|name| {
        EventTypeSpec::new(name)
            .description("Something has happened")
            .schema(json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}))
            .example(json!({"id": "A-7"}))
    });
    Ok(Hub::builder()
        .events(EventCatalog::new().with_all(events))
        .transport(receivers)
        .vault(vault())
        .peppers(Peppers::new("2026", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?)
        .api_keys(ApiKeySettings::new().scopes(Scopes::declare(["orders:read", "orders:write"])?))
        .on("shop", "order.*", async |incoming: Incoming<Value>| match incoming.payload["broken"] == true {
            true => Handled::Dead("nobody knows what to do with it".to_owned()),
            false => Handled::Done,
        }))
}

/// Webhooks that are taken, refused, given up, paused and disabled, deliveries of all of them, a replay, and keys: enough of each, because
/// the fuzzer deletes some.
async fn furnish(hub: &Hub) -> Outcome {
    let admin = hub.admin(Actor::org_admin(tenant(), "ada"));
    let webhooks = admin.webhooks();
    let mut first = None;
    for host in ["erp", "down", "gone", "paused", "off"].into_iter().cycle().take(OF_EACH) {
        let webhook = NewWebhook::to(format!("https://{host}.example.com/hooks"))
            .events(["order.*", "shipment.shipped"])
            .auth(Auth::basic("crossdock").with_password("correct horse"))
            .retry(RetryPolicy::none());
        let id = webhooks.create(webhook).await?.webhook.id;
        first.get_or_insert(id);
        match host {
            "paused" => drop(webhooks.pause(id).await?),
            "off" => drop(webhooks.disable(id).await?),
            _ => {}
        }
    }
    for number in 0..5 {
        let payload = json!({"id": format!("A-{number}")});
        hub.publish(NewEvent::new(tenant(), "order.placed", &payload)?).await?;
    }
    let now = SystemClock::new().now();
    let replay = NewReplay::everything(first.ok_or("a webhook")?, now - TimeDelta::hours(1), now);
    admin.replays().start(replay).await?;
    for number in 0..OF_EACH {
        let key = NewApiKey::new(format!("ERP {number}")).allow([Permission::Read]).scopes(["orders:write"]);
        let id = admin.api_keys().create(key).await?.key.id;
        if number % 5 == 0 {
            admin.api_keys().revoke(id, "its owner has left").await?;
        }
    }
    notify(hub).await
}

/// Sources that are active and others that are off, and what the active ones have received: some of it handled, some a dead letter.
async fn notify(hub: &Hub) -> Outcome {
    let sources = hub.admin(Actor::org_admin(tenant(), "ada")).sources();
    let signer = TestSigner::new(&presets::generic(), &SourceSecret::new("1", HUSH.into()));
    let signer = signer.map_err(|problems| format!("{problems:?}"))?;
    for number in 0..OF_EACH {
        let source = sources.create(NewSource::new("shop", presets::generic()).secret(HUSH)).await?;
        if number % 5 == 0 {
            sources.switch(source.id, SourceState::Off).await?;
            continue;
        }
        let body =
            json!({"id": format!("N-{number}"), "type": "order.made", "broken": number % 3 == 0}).to_string();
        let signed = signer.sign("https://api.example.com/", body.as_bytes(), SystemClock::new().now());
        let signed = signed.map_err(|problem| problem.to_string())?;
        let request = InboundRequest::new(signed.method, signed.url, signed.headers, signed.body);
        let answer = hub.receive(&source.id.to_string(), request).await;
        if answer.status != StatusCode::OK {
            return Err(format!("{:?}", answer.outcome).into());
        }
    }
    Ok(())
}

const HUSH: &str = "what the sender signs with";
const OF_EACH: usize = 50;
const MOUNTED: &str = "/admin/integrations";
