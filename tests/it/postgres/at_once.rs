//! The contracts once more, of deliveries that are leased as they are made: fan-out waits until something is claimed right behind it,
//! and becomes one step with that. So whatever holds of a lease holds of one that never stood in the queue.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use crossdock::Result;
use crossdock::events::EventHead;
use crossdock::testing::conformance::{StoreHarness, Stores};
use crossdock::webhooks::{DeliveryQueue, FanOut, Sequence};

use crate::postgres::schemas::Schemas;
use crate::relay::relay;

/// Lends schemas of which what is claimed right behind its fan-out is leased at once.
#[derive(Debug)]
pub(super) struct AtOnce {
    schemas: Arc<Schemas>,
    leased: Arc<AtomicUsize>,
}

impl AtOnce {
    pub(super) fn new(schemas: Arc<Schemas>) -> Self {
        Self { schemas, leased: Arc::default() }
    }

    /// How much was leased at once so far.
    pub(super) fn leased(&self) -> usize {
        self.leased.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl StoreHarness for AtOnce {
    async fn fresh(&self) -> Result<Stores> {
        let mut stores = StoreHarness::fresh(&*self.schemas).await?;
        let Stores { repository, queue, activity, .. } = stores.clone();
        let waiting = Arc::new(Waiting {
            queue: Arc::clone(&queue),
            state: Mutex::default(),
            leased: Arc::clone(&self.leased),
        });
        stores.repository = Arc::new(Before { inner: repository, waiting: Arc::clone(&waiting) });
        stores.queue = Arc::new(Before { inner: queue, waiting: Arc::clone(&waiting) });
        stores.activity = Arc::new(Before { inner: activity, waiting });
        Ok(stores)
    }
}

/// A fan-out that was asked for and has not begun.
#[derive(Debug)]
struct Waiting {
    queue: Arc<dyn DeliveryQueue>,
    state: Mutex<State>,
    leased: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct State {
    heads: BTreeMap<u64, Arc<EventHead>>,
    entries: Vec<(Sequence, FanOut)>,
    asked_at: DateTime<Utc>,
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps these until something is claimed, if it knows their events.
    fn keeps(&self, entries: &[(Sequence, FanOut)], now: DateTime<Utc>) -> bool {
        let mut state = self.state();
        let known = entries.iter().all(|(sequence, _)| state.heads.contains_key(&sequence.number()));
        if known {
            (state.entries, state.asked_at) = (entries.to_vec(), now);
        }
        known
    }

    /// Whatever else is asked sees what was fanned out.
    async fn end(&self) -> Result<()> {
        let (entries, asked_at) = {
            let mut state = self.state();
            (std::mem::take(&mut state.entries), state.asked_at)
        };
        if !entries.is_empty() {
            self.queue.fan_out(entries, asked_at).await?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Before<T: ?Sized> {
    inner: Arc<T>,
    waiting: Arc<Waiting>,
}

impl<T: ?Sized> Before<T> {
    async fn around<A>(&self, _: &'static str, call: impl Future<Output = Result<A>> + Send) -> Result<A> {
        self.waiting.end().await?;
        call.await
    }
}

relay! { WebhookRepository for Before<dyn WebhookRepository> }
relay! { ActivityStore for Before<dyn ActivityStore> }
relay! { DeliveryQueue for Before<dyn DeliveryQueue>:
    publish outbox_half distribute settle expire advance_replays tidy examine;
    async fn outbox(&self, limit: usize, now: DateTime<Utc>) -> crossdock::Result<Outbox> {
        let waiting = self.waiting.state().entries.len();
        let mut outbox = self.inner.outbox(limit + waiting, now).await?;
        let mut state = self.waiting.state();
        outbox.entries.retain(|(sequence, _)| state.entries.iter().all(|(waits, _)| waits != sequence));
        state.heads.extend(outbox.entries.iter().map(|(sequence, head)| (sequence.number(), Arc::clone(head))));
        outbox.entries.truncate(limit);
        Ok(outbox)
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> crossdock::Result<usize> {
        self.waiting.end().await?;
        if self.waiting.keeps(&entries, now) {
            return Ok(entries.len());
        }
        self.inner.fan_out(entries, now).await
    }

    async fn claim(&self, request: ClaimRequest) -> crossdock::Result<Claimed> {
        let entries: Vec<_> = {
            let mut state = self.waiting.state();
            let entries = std::mem::take(&mut state.entries).into_iter();
            let heads = &state.heads;
            entries.map(|(sequence, fan_out)| {
                Distribution::new(sequence, Arc::clone(&heads[&sequence.number()]), fan_out)
            }).collect()
        };
        if entries.is_empty() {
            return self.inner.claim(request).await;
        }
        let mut claims = self.inner.distribute(entries, request.clone()).await?.claims;
        self.waiting.leased.fetch_add(claims.len(), Ordering::Relaxed);
        let mut rest = request;
        rest.limit -= claims.len();
        let mut claimed = self.inner.claim(rest).await?;
        claims.append(&mut claimed.claims);
        claimed.claims = claims;
        Ok(claimed)
    }
}
