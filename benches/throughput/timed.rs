//! A store before the store: how long its claims take.

use std::sync::Arc;
use std::time::Instant;

use crossdock::webhooks::DeliveryQueue;

use crate::latency::Latencies;
use crate::relay::relay;

/// Counts how long each claim takes that brings something.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) inner: Arc<dyn DeliveryQueue>,
    pub(crate) claims: Arc<Latencies>,
}

impl Timed {
    async fn around<T>(
        &self,
        _step: &'static str,
        call: impl Future<Output = crossdock::Result<T>>,
    ) -> crossdock::Result<T> {
        call.await
    }
}

relay! { DeliveryQueue for Timed: publish outbox fan_out settle expire advance_replays tidy examine;
    async fn claim(&self, request: ClaimRequest) -> crossdock::Result<Claimed> {
        let started = Instant::now();
        let claimed = self.inner.claim(request).await?;
        if !claimed.claims.is_empty() {
            self.claims.record(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(claimed)
    }
}
