//! A host with one tenant, and the worker of its hub.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossdock::adapters::http_client::HttpTransport;
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::hub::{Admin, SystemClock};
use crossdock::lanes::Schedule;
use crossdock::ports::Clock;
use crossdock::primitives::{EgressPolicy, EventId, WebhookId};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::webhooks::{
    Delivery, DeliveryQuery, DeliveryStatus, NewWebhook, RetryPolicy, Settings, Worker, WorkerStatus,
};
use crossdock::{Hub, HubBuilder, Result as HubResult};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::patience;

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs a story in a runtime of its own, and ends it if it takes too long.
pub(crate) fn play(story: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), story).await? });
    // Receivers that hang would be waited for.
    runtime.shutdown_background();
    outcome
}

/// Waits until something holds that a hub is asked for.
pub(crate) async fn soon(what: &str, mut holds: impl AsyncFnMut() -> HubResult<bool>) -> Outcome {
    patience::soon(what, async || Ok(holds().await?)).await
}

/// What an operator permits for tests: this machine, without TLS.
fn egress() -> EgressPolicy {
    let loopback = "127.0.0.0/8".parse().expect("a network");
    EgressPolicy::default().allow_networks([loopback]).dangerous_allow_http()
}

pub(crate) fn transport() -> HubResult<HttpTransport> {
    HttpTransport::new(egress())
}

pub(crate) struct Shop {
    pub(crate) hub: Hub,
    tenant: TenantId,
}

/// A webhook and what its receiver was told.
pub(crate) struct Subscribed {
    pub(crate) id: WebhookId,
    pub(crate) secret: String,
}

impl Shop {
    pub(crate) fn open() -> Result<Self, Box<dyn std::error::Error>> {
        Self::open_with(Ok)
    }

    pub(crate) fn open_with(
        change: impl FnOnce(HubBuilder) -> HubResult<HubBuilder>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut settings = Settings::default();
        settings.retry = RetryPolicy::new(Schedule::table([50, 50].map(Duration::from_millis))?);
        let builder = Hub::builder()
            .events(EventCatalog::new().with(EventTypeSpec::new("shipment.shipped")))
            .egress(egress())
            .settings(settings);
        Ok(Self { hub: change(builder)?.build()?, tenant: "org_42".parse()? })
    }

    pub(crate) fn admin(&self) -> Admin {
        self.hub.admin(Actor::org_admin(self.tenant.clone(), "ada"))
    }

    pub(crate) async fn subscribe(
        &self,
        name: &str,
        url: &str,
        pattern: &str,
    ) -> Result<Subscribed, Box<dyn std::error::Error>> {
        let created = self.admin().webhooks().create(NewWebhook::new(name, url).events([pattern])).await?;
        let secret = created.secret.ok_or("a signed webhook has a secret")?.reveal();
        Ok(Subscribed { id: created.webhook.id, secret })
    }

    pub(crate) async fn publish(&self, event_type: &str) -> HubResult<EventId> {
        let event = NewEvent::new(self.tenant.clone(), event_type, "A-7")?;
        Ok(self.hub.publish(event).await?.event)
    }

    /// Every delivery, newest first.
    pub(crate) async fn log(&self) -> HubResult<Vec<Delivery>> {
        let page = self.admin().deliveries().list(DeliveryQuery::new().limit(1_000)).await?;
        Ok(page.items.into_iter().map(|record| record.delivery).collect())
    }

    pub(crate) async fn all_delivered(&self, count: usize) -> HubResult<bool> {
        let log = self.log().await?;
        Ok(log.len() == count && log.iter().all(|delivery| delivery.status == DeliveryStatus::Delivered))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        SystemClock::new().now()
    }

    pub(crate) fn work(&self) -> Working {
        self.work_with(|worker| worker)
    }

    pub(crate) fn work_with(&self, change: impl FnOnce(Worker) -> Worker) -> Working {
        let worker = change(self.hub.worker());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = worker.clone();
        let task = tokio::spawn(async move {
            let stopped = async {
                // The sender is dropped to stop the worker.
                let _ = stopped.await;
            };
            running.run_until(stopped).await;
        });
        Working { worker, stop, task }
    }
}

/// A worker that runs.
pub(crate) struct Working {
    worker: Worker,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Working {
    pub(crate) fn status(&self) -> WorkerStatus {
        self.worker.status()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Outcome {
        drop(self.stop);
        tokio::time::timeout(Duration::from_secs(60), self.task).await??;
        Ok(())
    }
}
