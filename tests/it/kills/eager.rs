//! The engine that must be found out: it says that an event is published, and writes it a little later.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use crossdock::Result;
use crossdock::primitives::DeliveryId;
use crossdock::webhooks::*;
use tokio::sync::mpsc;

/// A queue whose acknowledgements mean nothing until it has written.
#[derive(Debug)]
pub(super) struct EagerQueue {
    inner: Arc<dyn DeliveryQueue>,
    later: mpsc::UnboundedSender<Promised>,
}

/// What it still has to write.
type Promised = (Vec<Publication>, Duration, DateTime<Utc>);

impl EagerQueue {
    pub(super) fn start(inner: Arc<dyn DeliveryQueue>) -> Self {
        let (later, mut promised) = mpsc::unbounded_channel::<Promised>();
        let writer = Arc::clone(&inner);
        tokio::spawn(async move {
            let mut together = Vec::new();
            while promised.recv_many(&mut together, usize::MAX).await > 0 {
                tokio::time::sleep(LATER).await;
                for (publications, idempotency_keys, now) in together.drain(..) {
                    if let Err(error) = writer.publish(publications, idempotency_keys, now).await {
                        eprintln!("what was acknowledged cannot be written: {error}");
                    }
                }
            }
        });
        Self { inner, later }
    }
}

#[async_trait]
impl DeliveryQueue for EagerQueue {
    async fn publish(
        &self,
        publications: Vec<Publication>,
        idempotency_keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        let answers = publications.iter().map(|new| Published::new(new.event.head.id, true)).collect();
        match self.later.send((publications, idempotency_keys, now)) {
            Ok(()) => Ok(answers),
            Err(unsent) => self.inner.publish(unsent.0.0, idempotency_keys, now).await,
        }
    }

    async fn outbox(&self, limit: usize, now: DateTime<Utc>) -> Result<Outbox> {
        self.inner.outbox(limit, now).await
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        self.inner.fan_out(entries, now).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        self.inner.claim(request).await
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        self.inner.settle(batch, now).await
    }

    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired> {
        self.inner.expire(before, now, limit).await
    }

    async fn advance_replays(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced> {
        self.inner.advance_replays(ids, now).await
    }

    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        self.inner.tidy(retention, now).await
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        self.inner.examine(now).await
    }
}

/// It writes all that it has promised this much later; who does not kill it loses nothing.
pub(super) const LATER: Duration = Duration::from_millis(200);
