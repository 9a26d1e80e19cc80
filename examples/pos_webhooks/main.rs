//! The webhooks of a point-of-sale platform, after its documented API, on crossdock:
//!
//! ```text
//! $ cargo run --example pos_webhooks
//! ```
//!
//! 1. An integrator asks which events there are, and what they look like (`catalog.rs`).
//! 2. They subscribe with nothing but an event and a URL, unsigned; and once more with a secret, because they ask for it.
//! 3. The tills sell. The integrator's endpoint (`receiver.rs`) is out of order for some of the sales, and nobody tries these
//!    again: in this product automatic retries are off.
//! 4. The integrator finds what was lost by `success=false`, and has it resent, until the list is empty.
//!
//! The API is an ordinary axum router (`api.rs`); its shapes are the product's (`answers.rs`, `events.rs`), not crossdock's.
//! Every exchange is real HTTP on loopback, and is printed.
#![expect(clippy::print_stdout, reason = "a tutorial talks to people")]

mod answers;
mod api;
mod catalog;
#[path = "../loopback/checks.rs"]
mod checks;
#[path = "../loopback/client.rs"]
mod client;
mod events;
mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossdock::Hub;
use crossdock::api_keys::{NewApiKey, Permission};
use crossdock::events::NewEvent;
use crossdock::primitives::EgressPolicy;
use crossdock::tenancy::{Actor, TenantId};
use crossdock::webhooks::{RetryPolicy, Settings};
use http::Method;
use serde_json::{Value, json};

use crate::checks::Checks;
use crate::client::Client;
use crate::receiver::Receiver;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut settings = Settings::default();
    // What is not delivered at once is found and resent by whoever has missed it.
    settings.retry = RetryPolicy::none();
    // The strict default refuses loopback and plain HTTP; an operator permits what this example needs.
    let egress = EgressPolicy::default().allow_networks(["127.0.0.0/8".parse()?]).dangerous_allow_http();
    let hub = Hub::builder().events(catalog::point_of_sale()).egress(egress).settings(settings).build()?;
    let working = tokio::spawn({
        let worker = hub.worker();
        // It ends with the process.
        async move { worker.run_until(std::future::pending()).await }
    });

    let address = api::serve(hub.clone()).await?;
    println!("the platform's API listens on http://{address}");
    let chain: TenantId = "chain_7".parse()?;
    let integrator = Client::new(address, Some(&key(&hub, &chain).await?));
    let stranger = Client::new(address, Some(&key(&hub, &"chain_8".parse()?).await?));
    let receiver = Receiver::listen().await?;

    let mut checks = Checks::default();
    let types = look_around(&integrator, &mut checks).await?;
    let subscribed = subscribe(&integrator, &receiver, address, &mut checks).await?;
    sell(&hub, &chain, &receiver).await?;
    let lost = find_and_resend(&integrator, &receiver, &subscribed.sales, &mut checks).await?;
    let runs = look_back(&integrator, &stranger, &receiver, &subscribed, &mut checks).await?;
    working.abort();

    let left = lost.last().copied().unwrap_or_default();
    println!(
        "\npos_webhooks: {types} event types, {} events, {runs} runs, {} lost and resent, {left} lost in the end; {}",
        SALES.len() + 1,
        lost.first().copied().unwrap_or_default(),
        checks.told(),
    );
    Ok(checks.exit_code())
}

/// The company's administrator makes a key for the integrator.
async fn key(hub: &Hub, company: &TenantId) -> Result<String, Box<dyn Error>> {
    let ada = hub.admin(Actor::org_admin(company.clone(), "ada"));
    let created = ada.api_keys().create(NewApiKey::new("Integrator").allow([Permission::Admin])).await?;
    Ok(created.token.reveal().to_owned())
}

async fn look_around(integrator: &Client, checks: &mut Checks) -> Result<usize, Box<dyn Error>> {
    let types = integrator.get("/api/WebhooksTypes").await?;
    let listed = types.body.as_array().map_or(0, Vec::len);
    checks.that("21 event types are listed", listed == 21);

    for event_type in types.body.as_array().into_iter().flatten().filter_map(Value::as_str).take(1) {
        let schema = integrator.get(&format!("/api/WebhooksTypes/{event_type}/schema")).await?;
        checks.that("a type has a schema", schema.status == 200 && schema.body["title"] == event_type);
    }
    let unknown = integrator.get("/api/WebhooksTypes/SaleCreate/schema").await?;
    checks.that("an unknown type has none", unknown.status == 404);
    Ok(listed)
}

/// What the integrator notes after subscribing.
struct Subscribed {
    /// The webhook that hears of sales.
    sales: String,
    /// Of the other one, which hears of the stock.
    secret: String,
}

async fn subscribe(
    integrator: &Client,
    receiver: &Receiver,
    address: SocketAddr,
    checks: &mut Checks,
) -> Result<Subscribed, Box<dyn Error>> {
    let wanted = json!({"event": "SaleCreated", "url": receiver.url("/sales")});
    let nobody = Client::new(address, None).send(Method::POST, "/api/webhooks", Some(&wanted)).await?;
    checks.that("without a key nobody subscribes", nobody.status == 401);

    let sales = integrator.send(Method::POST, "/api/webhooks", Some(&wanted)).await?;
    checks.that("an event and a URL are enough", sales.status == 201 && sales.body["secret"].is_null());

    let signed = json!({"event": "StockMovementCreated", "url": receiver.url("/stock"), "withSecret": true});
    let signed = integrator.send(Method::POST, "/api/webhooks", Some(&signed)).await?;
    let secret = signed.body["secret"].as_str().unwrap_or_default();
    checks.that("whoever asks for a secret is shown it", secret.starts_with("whsec_"));

    let slip = json!({"event": "SaleCreate", "url": "https://localhost/sales"});
    let slip = integrator.send(Method::POST, "/api/webhooks", Some(&slip)).await?;
    let fields: Vec<_> =
        slip.body["errors"].as_array().into_iter().flatten().map(|error| &error["field"]).collect();
    checks.that(
        "a slip is refused with every reason at once",
        slip.status == 400 && fields == ["url", "event"],
    );

    let sales = sales.body["webhookId"].as_str().ok_or("the webhook has no id")?.to_owned();
    Ok(Subscribed { sales, secret: secret.to_owned() })
}

/// The tills sell, and something moves in the stock.
async fn sell(hub: &Hub, chain: &TenantId, receiver: &Receiver) -> Result<(), Box<dyn Error>> {
    println!();
    for (sale, refusals) in SALES {
        receiver.refuse(sale, refusals);
        let sold = json!({
            "saleId": sale, "shop": "Lyon", "till": 2, "total": 59.9, "currency": "EUR",
            "lines": [{"sku": "SHIRT-M", "quantity": 1, "price": 59.9}],
        });
        let published = hub.publish(NewEvent::new(chain.clone(), "SaleCreated", &sold)?).await?;
        println!("* sold {sale}: {}", published.event);
    }
    let moved = json!({"reference": "M-1", "shop": "Lyon", "sku": "SHIRT-M", "units": -5});
    hub.publish(NewEvent::new(chain.clone(), "StockMovementCreated", &moved)?).await?;
    println!("* moved M-1");
    Ok(())
}

/// Answers with how many were found lost, each time that somebody looked.
async fn find_and_resend(
    integrator: &Client,
    receiver: &Receiver,
    sales: &str,
    checks: &mut Checks,
) -> Result<Vec<usize>, Box<dyn Error>> {
    let mut found = Vec::new();
    loop {
        until_settled(integrator, sales).await?;
        let lost =
            integrator.get(&format!("/api/WebhooksEvents/{sales}?success=false&includeRuns=true")).await?;
        let text = lost.text;
        let lost = lost.body.as_array().ok_or("a list")?.clone();
        if found.is_empty() {
            let places: Vec<_> = SHAPE.iter().map(|name| text.find(&format!("\"{name}\":"))).collect();
            let in_order = places.iter().all(Option::is_some) && places.is_sorted();
            let only =
                lost.iter().all(|event| event.as_object().is_some_and(|event| event.len() == SHAPE.len()));
            checks.that("an event has the documented fields, in this order", in_order && only);
            let once = lost.iter().all(|event| event["runsCounter"] == 1 && event["statusCode"] == 503);
            checks.that("nothing is tried again by itself", once);
            checks.that(
                "what was refused is not there",
                receiver.taken("/sales").len() + lost.len() == SALES.len(),
            );
        }
        found.push(lost.len());
        if lost.is_empty() || found.len() > MOST_ROUNDS {
            break;
        }
        for event in lost {
            let id = event["webhookEventId"].as_str().ok_or("an id")?;
            let resent = integrator
                .send(Method::POST, &format!("/api/WebhooksEvents/{sales}/{id}/resend"), None)
                .await?;
            checks
                .that("a lost event is resent", resent.status == 202 && resent.body["webhookEventId"] == id);
        }
    }
    let refused_most = SALES.iter().map(|(_, refusals)| *refusals as usize).max().unwrap_or_default();
    checks.that("the list is empty in the end", found.last() == Some(&0));
    checks.that("it took as many rounds as the endpoint has refused", found.len() == refused_most + 1);
    Ok(found)
}

/// The whole log, and what the receiver has: answers with the number of requests.
async fn look_back(
    integrator: &Client,
    stranger: &Client,
    receiver: &Receiver,
    subscribed: &Subscribed,
    checks: &mut Checks,
) -> Result<u64, Box<dyn Error>> {
    let Subscribed { sales, secret } = subscribed;
    let log = format!("/api/WebhooksEvents/{sales}?success=true&includePayload=true&includeRuns=true");
    let log = integrator.get(&log).await?;
    let log = log.body.as_array().ok_or("a list")?;
    let runs: BTreeMap<&str, u64> = log
        .iter()
        .filter_map(|event| Some((event["payload"]["saleId"].as_str()?, event["runsCounter"].as_u64()?)))
        .collect();
    let expected: BTreeMap<&str, u64> =
        SALES.iter().map(|(sale, refusals)| (*sale, u64::from(refusals + 1))).collect();
    checks.that("every run is counted, under the event that it was for", runs == expected);
    let listed = log
        .iter()
        .all(|event| event["runs"].as_array().map(|runs| runs.len() as u64) == event["runsCounter"].as_u64());
    checks.that("and listed", listed);

    let early = integrator.get(&format!("/api/WebhooksEvents/{sales}?to=2020-01-01T00:00:00Z")).await?;
    checks.that("nothing happened before anything did", early.body == json!([]));
    let foreign = stranger.get(&format!("/api/WebhooksEvents/{sales}")).await?;
    checks.that("another company's webhook is as unknown as any other", foreign.status == 404);

    let taken = receiver.taken("/sales");
    let ids: BTreeSet<_> = taken.iter().map(|taken| &taken.event).collect();
    checks.that("the endpoint has every sale, once", taken.len() == SALES.len() && ids.len() == SALES.len());
    let unsigned = taken.iter().all(|taken| !taken.headers.contains_key("webhook-signature"));
    checks.that("and unsigned", unsigned);
    let verifier = standardwebhooks::Webhook::new(secret)?;
    let stock = receiver.taken("/stock");
    let genuine = stock.iter().all(|taken| verifier.verify(&taken.body, &taken.headers).is_ok());
    checks.that("what was to be signed is", stock.len() == 1 && genuine);
    Ok(runs.values().sum::<u64>() + stock.len() as u64)
}

/// Waits until nothing is on its way any more.
async fn until_settled(integrator: &Client, webhook: &str) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    loop {
        let events =
            integrator.exchange(Method::GET, &format!("/api/WebhooksEvents/{webhook}"), None).await?;
        let events = events.body.as_array().ok_or("a list")?;
        if events.len() == SALES.len() && events.iter().all(|event| event["status"] != "Pending") {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(20) {
            return Err("the events do not arrive".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the documentation says of an event.
const SHAPE: [&str; 9] = [
    "webhookId",
    "webhookEventId",
    "createdDateTime",
    "updatedDateTime",
    "status",
    "statusCode",
    "success",
    "runsCounter",
    "runs",
];
/// Sales, and how often the endpoint refuses each of them.
const SALES: [(&str, u32); 6] =
    [("S-1001", 0), ("S-1002", 1), ("S-1003", 0), ("S-1004", 2), ("S-1005", 1), ("S-1006", 0)];
/// Somebody who has to look more often is looking at a defect.
const MOST_ROUNDS: usize = 5;
