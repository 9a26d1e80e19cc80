//! Webhooks from beginning to end, in one process:
//!
//! ```text
//! $ cargo run --example quickstart
//! ```
//!
//! 1. A host declares what can happen (`catalog.rs`).
//! 2. A customer's administrator subscribes two URLs.
//! 3. The host publishes six events.
//! 4. A worker delivers them to a receiver that refuses each of them twice (`receiver.rs`).
//! 5. The administrator looks at the log, and sends one event once more.
#![expect(clippy::print_stdout, reason = "a tutorial talks to people")]

mod catalog;
mod receiver;

use std::collections::HashSet;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use crossdock::Hub;
use crossdock::events::NewEvent;
use crossdock::primitives::{DeliveryId, EgressPolicy};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::webhooks::{Delivery, DeliveryAdmin, DeliveryQuery, DeliveryRecord, NewWebhook, RetryPolicy};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use crate::receiver::{Receiver, Seen};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    // The strict default refuses loopback and plain HTTP; an operator permits what this example needs.
    let egress = EgressPolicy::default().allow_networks(["127.0.0.0/8".parse()?]).dangerous_allow_http();
    let hub = Hub::builder().events(catalog::supply_chain()).egress(egress).build()?;
    println!("the catalogue has {} event types\n", hub.event_types().entries().len());

    // A customer's administrator subscribes. The actor carries the tenant.
    let (seen, mut requests) = unbounded_channel();
    let receiver = Receiver::listen(seen).await?;
    let tenant: TenantId = "org_42".parse()?;
    let ada = hub.admin(Actor::org_admin(tenant.clone(), "ada"));
    for (name, path, events) in [
        ("ERP", "/erp", &["shipment.*", "order.*", "import.partial"][..]),
        ("Planning", "/planning", &["demand_signal.*", "forecast.published"]),
    ] {
        let webhook = NewWebhook::new(name, receiver.url(path))
            .events(events.iter().copied())
            // The default waits 5 s, 30 s, 2 min … 24 h. Nobody waits for a tutorial.
            .retry(RetryPolicy::after_seconds([1, 1, 2]));
        let created = ada.webhooks().create(webhook).await?;
        let secret = created.secret.ok_or("signed webhooks have a secret")?;
        // Shown once: the receiver keeps it, and nobody can read it again.
        receiver.configure(path, secret.reveal());
        println!("{name} hears {} at {}", events.join(", "), created.webhook.url.as_str());
    }

    // A worker, here in the same process; any number may run.
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = hub.worker();
    let working = tokio::spawn(async move {
        let stopped = async {
            // The sender is dropped to stop the worker.
            let _ = stopped.await;
        };
        worker.run_until(stopped).await;
    });

    // What does not match its schema is refused before anybody hears of it.
    let slip = NewEvent::new(
        tenant.clone(),
        "shipment.shipped",
        &json!({"shipment": "SHP-2041", "lines": [{"sku": 7}]}),
    )?;
    let refused = hub.publish(slip).await.err().ok_or("a slip was published")?;
    println!("\nrefused, with every reason at once:");
    for problem in refused.problems() {
        println!("  {}: {}", problem.field, problem.rule);
    }

    // The host publishes what has happened.
    let mut published = Vec::new();
    for (event_type, data) in what_happened() {
        let event = NewEvent::new(tenant.clone(), event_type, &data)?;
        published.push(hub.publish(event).await?.event);
    }
    println!("\npublished {} events; each is refused twice before it is accepted\n", published.len());
    let mut accepted = HashSet::new();
    watch(&mut requests, published.len(), &mut accepted).await;

    // The administrator looks at what became of them.
    println!("\nthe delivery log, newest first");
    let last = show_log(&ada.deliveries()).await?;

    // Somebody at the customer's has deleted the record by mistake: once more, please.
    println!("\nresending {last}");
    let resent = ada.deliveries().resend(last).await?;
    watch(&mut requests, 1, &mut HashSet::new()).await;

    // What is in flight is finished, and noted, before the worker ends.
    drop(stop);
    working.await?;
    println!("\nthe resend is a delivery of its own, {}, of the same event", resent.id);

    let attempts: usize =
        settled_log(&ada.deliveries()).await?.iter().map(|record| record.attempts.len()).sum();
    let lost = published.iter().filter(|event| !accepted.contains(&event.to_string())).count();
    println!("\nquickstart: {} events, {attempts} attempts, {lost} lost", published.len());
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn what_happened() -> [(&'static str, Value); 6] {
    [
        ("order.allocation_succeeded", json!({"order": "A-7", "site": "Rotterdam"})),
        ("shipment.shipped", json!({"shipment": "SHP-2041", "order": "A-7", "carrier": "Nordic Freight"})),
        ("import.partial", json!({"import": "IMP-5", "accepted": 983, "rejected": 17})),
        ("demand_signal.spike_detected", json!({"sku": "PEN-01", "score": 0.93})),
        ("demand_signal.stockout_risk", json!({"sku": "INK-02", "score": 0.71})),
        ("forecast.published", json!({"forecast": "2031-W14", "weeks": 12})),
    ]
}

/// Prints requests as they arrive, until so many events have been accepted, or nothing comes any more.
async fn watch(requests: &mut UnboundedReceiver<Seen>, wanted: usize, accepted: &mut HashSet<String>) {
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut taken = 0;
    while taken < wanted {
        let Ok(Some(seen)) = tokio::time::timeout(PATIENCE, requests.recv()).await else { return };
        let signature = seen.signature.as_ref().map_or_else(|error| &**error, |()| "signature verified");
        println!(
            "  {:<10} {:<28} {} attempt {}: {signature}, answered {}",
            seen.path, seen.event_type, seen.event, seen.attempt, seen.answer,
        );
        if seen.answer.is_success() {
            accepted.insert(seen.event);
            taken += 1;
        }
    }
}

/// Prints every delivery with its attempts, and says which was the last one to be made.
async fn show_log(deliveries: &DeliveryAdmin) -> Result<DeliveryId, Box<dyn Error>> {
    let log = settled_log(deliveries).await?;
    for record in &log {
        let Delivery { id, event_type, status, attempts, .. } = &record.delivery;
        println!(
            "  {id} {:<28} {:<9} after {attempts} attempts",
            event_type.as_str(),
            status.kind().as_str()
        );
        for attempt in &record.attempts {
            let answer = attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let next = attempt.next_attempt_at.map(|at| format!(", next at {}", at.format("%H:%M:%S%.3f")));
            println!(
                "      {}. at {}: {answer} in {:.1} ms{}",
                attempt.number,
                attempt.started_at.format("%H:%M:%S%.3f"),
                attempt.timings.total.as_secs_f64() * 1_000.0,
                next.unwrap_or_default(),
            );
        }
    }
    Ok(log.first().ok_or("nothing was delivered")?.delivery.id)
}

/// The log once the worker has noted the answers that have just arrived.
async fn settled_log(deliveries: &DeliveryAdmin) -> Result<Vec<DeliveryRecord>, crossdock::Error> {
    loop {
        let log = deliveries.list(DeliveryQuery::new().with_attempts()).await?.items;
        if log.iter().all(|record| record.delivery.status.is_final()) {
            return Ok(log);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
