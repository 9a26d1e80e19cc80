//! What HTTP sees: the layer in front of a host's own API, and the management API, on a store in memory and without a server.

mod addresses;
mod bodies;
mod deliveries;
mod document;
mod guards;
mod keys;
mod layer;
mod neighbours;
mod sources;
mod webhooks;

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use crossdock::adapters::memory::MemoryStore;
use crossdock::api_keys::{ApiKeySettings, NewApiKey, Permission, Scopes};
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::hub::Admin;
use crossdock::inbound::{InboundRequest, SourceSecret, TestSigner, presets};
use crossdock::ports::Clock;
use crossdock::tenancy::{Actor, Role, TenantId};
use crossdock::testing::{ManualClock, Reply, ScriptedTransport, SeededEntropy};
use crossdock::web::ProblemDocument;
use crossdock::web::axum::{Failure, management};
use crossdock::{Hub, Result};
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    let lists = [
        addresses::trials(),
        bodies::trials(),
        deliveries::trials(),
        document::trials(),
        guards::trials(),
        keys::trials(),
        layer::trials(),
        neighbours::trials(),
        sources::trials(),
        webhooks::trials(),
    ];
    lists.into_iter().flatten().collect()
}

type Told = Result<(), Box<dyn StdError>>;

/// One story, on a runtime of its own.
fn story<F: Future<Output = Told>>(name: &str, tell: impl FnOnce() -> F + Send + 'static) -> Trial {
    rule(&format!("web::{name}"), move || -> Told {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tell())
    })
}

/// A hub whose time, dice and receivers are the test's, and its management API under a path of the host's.
struct House {
    hub: Hub,
    clock: ManualClock,
    api: Router,
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq)]
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

const MOUNT: &str = "/admin/integrations";
const HUSH: &str = "a-senders-secret-canary";

fn house() -> Result<House> {
    house_with(settings())
}

fn house_with(keys: ApiKeySettings) -> Result<House> {
    let clock = ManualClock::new();
    let receivers = ScriptedTransport::new(Arc::new(clock.clone())).answering(|request| {
        let refuses = request.url.host().starts_with("refuses");
        if refuses { Reply::status(500).with_body("no") } else { Reply::status(204) }
    });
    let store = MemoryStore::new();
    let hub = Hub::builder()
        .store(store.clone())
        .key_store(store.clone())
        .inbound_store(store)
        .events(catalog())
        .clock(clock.clone())
        .entropy(SeededEntropy::new(7))
        .transport(receivers)
        .api_keys(keys)
        .build()?;
    let api = Router::new().nest(MOUNT, management(&hub, visitor));
    Ok(House { hub, clock, api })
}

fn settings() -> ApiKeySettings {
    ApiKeySettings::new()
        .scopes(Scopes::declare(["orders:read", "orders:write", "stock:read"]).expect("scopes"))
}

fn catalog() -> EventCatalog {
    let order = json!({"type": "object", "required": ["order"], "properties": {"order": {"type": "string"}}});
    EventCatalog::new()
        .with(
            EventTypeSpec::new("order.placed").group("Orders").schema(order).example(json!({"order": "A-7"})),
        )
        .with(EventTypeSpec::new("order.paid"))
        .with(EventTypeSpec::new("forecast.published").requires_any(["planning"]).example(json!({})))
}

/// The host's login: `x-session: tenant/name`, and a role behind it if it is not an administrator.
async fn visitor(request: Parts) -> Result<Actor, Failure> {
    let unknown = || Failure::from(ProblemDocument::new(StatusCode::UNAUTHORIZED));
    let session = request.headers.get("x-session").ok_or_else(unknown)?.to_str().map_err(|_| unknown())?;
    let mut parts = session.split('/');
    let tenant: TenantId = parts.next().ok_or_else(unknown)?.parse().map_err(|_| unknown())?;
    let name = parts.next().ok_or_else(unknown)?;
    let role = match parts.next() {
        Some("member") => Role::Member,
        Some("super") => Role::SuperAdmin,
        _ => Role::OrgAdmin,
    };
    Ok(Actor::new(tenant, name, role))
}

impl House {
    fn admin(&self, tenant: &str) -> Admin {
        self.hub.admin(Actor::org_admin(tenant.parse().expect("a tenant"), "ada"))
    }

    /// A request by the administrator of a tenant, with a body if there is one.
    async fn ask(&self, tenant: &str, method: Method, path: &str, body: Option<Value>) -> Answered {
        self.ask_with(tenant, method, path, &[], body).await
    }

    async fn ask_with(
        &self,
        tenant: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(format!("{MOUNT}{path}"));
        request = request.header("x-session", format!("{tenant}/ada"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some(body) => {
                request.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        self.send(request.expect("a request")).await
    }

    async fn send(&self, request: Request<Body>) -> Answered {
        answered(self.api.clone().oneshot(request).await.expect("a router never fails")).await
    }

    async fn get(&self, path: &str) -> Answered {
        self.ask("acme", Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answered {
        self.ask("acme", Method::POST, path, Some(body)).await
    }

    /// Subscribes a URL to everything, and answers its id.
    async fn subscribe(&self, url: &str) -> String {
        let made = self.post("/webhooks", json!({"url": url, "events": ["*"]})).await;
        made.expect(StatusCode::CREATED)["webhook"]["id"].as_str().expect("an id").to_owned()
    }

    async fn key(&self, new: NewApiKey) -> Result<String> {
        Ok(self.admin("acme").api_keys().create(new).await?.token.reveal().to_owned())
    }

    async fn publish(&self, tenant: &str) -> Result<()> {
        let tenant = tenant.parse().expect("a tenant");
        self.hub.publish(NewEvent::from_json(tenant, "order.placed", r#"{"order":"A-7"}"#)).await?;
        Ok(())
    }

    /// A source of inbound webhooks with this secret, and something that it has received: the ids of both.
    async fn source(
        &self,
        tenant: &str,
        event: &str,
    ) -> std::result::Result<(String, String), Box<dyn StdError>> {
        let new = json!({"name": "shop", "preset": "generic", "secret": HUSH});
        let made = self.ask(tenant, Method::POST, "/sources", Some(new)).await.expect(StatusCode::CREATED);
        let source = made["source"]["id"].as_str().ok_or("an id")?.to_owned();
        assert_eq!(self.receive(&source, event).await?, 200);
        let page = self.ask(tenant, Method::GET, "/received?limit=1", None).await.expect(StatusCode::OK);
        Ok((source, page["items"][0]["id"].as_str().ok_or("an id")?.to_owned()))
    }

    /// Sends a source an order, genuinely; answers the status.
    async fn receive(&self, source: &str, event: &str) -> std::result::Result<u16, Box<dyn StdError>> {
        let secret = SourceSecret::new("1", HUSH.into());
        let signer = TestSigner::new(&presets::generic(), &secret).map_err(|wrong| format!("{wrong:?}"))?;
        let body = format!(r#"{{"id":"{event}","type":"order.made","number":9007199254740993}}"#);
        let signed = signer.sign("https://x.example.com/", body.as_bytes(), self.clock.now());
        let signed = signed.map_err(|problem| problem.to_string())?;
        let request = InboundRequest::new(signed.method, signed.url, signed.headers, signed.body);
        Ok(self.hub.receive(source, request).await.status.as_u16())
    }

    /// Lets a millisecond pass: what happens within the same one has no order in listings.
    fn tick(&self) {
        self.clock.advance(Duration::from_millis(1));
    }

    /// Delivers whatever is due.
    async fn work(&self) {
        self.hub.worker().run_until_idle().await;
    }
}

async fn answered(response: Response<Body>) -> Answered {
    let (parts, body) = response.into_parts();
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.expect("a body in memory"));
    }
    Answered { status: parts.status, headers: parts.headers, body: bytes.into() }
}

impl Answered {
    /// The JSON of an answer with this status.
    #[track_caller]
    fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {:?}", self.status, String::from_utf8_lossy(&self.body))
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The fields that a problem document of this status names.
    #[track_caller]
    fn refused(&self, status: u16) -> Vec<String> {
        let document = self.expect(StatusCode::from_u16(status).expect("a status"));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!((&document["type"], &document["status"]), (&json!("about:blank"), &json!(status)));
        let problems = document["problems"].as_array().cloned().unwrap_or_default();
        for problem in &problems {
            for part in ["field", "rule", "fix"] {
                assert!(problem[part].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
            }
        }
        problems.iter().filter_map(|problem| problem["field"].as_str().map(str::to_owned)).collect()
    }
}

fn reader() -> NewApiKey {
    NewApiKey::new("ERP").allow([Permission::Read])
}
