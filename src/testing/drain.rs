//! Lets everything happen that is going to happen, in virtual time.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use crate::hub::Hub;
use crate::ports::Clock;
use crate::testing::clock::ManualClock;

/// Delivers, retries and waits, until nothing is left to do or `longest` has passed on the clock: a host's test of its own
/// webhooks needs neither a network nor patience.
///
/// The hub must run on this clock, and its transport must wait on this clock only. Dropping the future is like a crash of the
/// worker.
///
/// ```
/// use std::time::Duration;
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
/// use crossdock::tenancy::Actor;
/// use crossdock::testing::{ManualClock, Reply, ScriptedTransport, drain};
/// use crossdock::webhooks::{DeliveryQuery, DeliveryStatus, NewWebhook};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = ManualClock::new();
/// let receivers = ScriptedTransport::new(clock.clone())
///     .host("erp.example.com", [Reply::status(500), Reply::status(204)]);
/// let hub = Hub::builder()
///     .events(EventCatalog::new().with(EventTypeSpec::new("shipment.shipped")))
///     .clock(clock.clone())
///     .transport(receivers.clone())
///     .build()?;
/// let admin = hub.admin(Actor::org_admin("org_42".parse()?, "ada"));
/// admin.webhooks().create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?;
/// hub.publish(NewEvent::new("org_42".parse()?, "shipment.shipped", "A-7")?).await?;
///
/// drain(&hub, &clock, Duration::from_secs(3600)).await;
///
/// assert_eq!(receivers.requests().len(), 2);
/// let page = admin.deliveries().list(DeliveryQuery::new()).await?;
/// assert_eq!(page.items[0].delivery.status, DeliveryStatus::Delivered);
/// # Ok(()) }
/// ```
pub async fn drain(hub: &Hub, clock: &ManualClock, longest: Duration) {
    let end = clock.now() + longest;
    let worker = hub.worker().runners(1);
    loop {
        let mut turn = std::pin::pin!(worker.run_until_idle());
        let next = poll_fn(|cx| {
            loop {
                if let Poll::Ready(next) = turn.as_mut().poll(cx) {
                    return Poll::Ready(next);
                }
                // Whoever waits, waits for the clock.
                if clock.now() >= end || clock.advance_to_next_sleeper().is_none() {
                    return Poll::Ready(None);
                }
            }
        })
        .await;
        match next {
            Some(at) if at <= end => clock.advance_to(at),
            _ => return,
        }
    }
}
