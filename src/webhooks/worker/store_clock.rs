//! The time as the store tells it: leases, due times and retention are judged by one clock, whichever process asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Result;
use crate::webhooks::context::Context;
use crate::webhooks::queue::ClaimRequest;

/// The hub's clock, corrected by what the store's is ahead of it; all parts of a worker share one.
#[derive(Debug)]
pub(super) struct StoreClock {
    context: Arc<Context>,
    /// In microseconds.
    offset: AtomicI64,
    is_compared: AtomicBool,
}

impl StoreClock {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, offset: AtomicI64::new(0), is_compared: AtomicBool::new(false) }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.context.clock.now() + TimeDelta::microseconds(self.offset.load(Ordering::Relaxed))
    }

    /// A time of the store as the hub's clock will tell it.
    pub(super) fn by_the_hub(&self, due: DateTime<Utc>) -> DateTime<Utc> {
        let offset = TimeDelta::microseconds(self.offset.load(Ordering::Relaxed));
        due.checked_sub_signed(offset).unwrap_or(due)
    }

    /// The time, compared with the store's at least once: nothing is leased, made or ended by a clock that nobody has looked at.
    pub(super) async fn compared(&self) -> Result<DateTime<Utc>> {
        if !self.is_compared.load(Ordering::Relaxed) {
            let before = self.now();
            let claimed = self.context.queue.claim(self.request(before, 0)).await?;
            self.correct(before, claimed.now);
        }
        Ok(self.now())
    }

    /// Asks for so many deliveries.
    pub(super) fn request(&self, now: DateTime<Utc>, limit: usize) -> ClaimRequest {
        let settings = &self.context.settings;
        let mut request =
            ClaimRequest::new(now, settings.lease, limit).with_max_in_flight(settings.max_in_flight);
        request.max_replays_in_flight = settings.max_replays_in_flight;
        request
    }

    /// A clock that differs from the store's by more than the question took is corrected, so that all processes judge
    /// leases alike.
    pub(super) fn correct(&self, before: DateTime<Utc>, store: DateTime<Utc>) {
        self.is_compared.store(true, Ordering::Relaxed);
        let after = self.now();
        let error = if store < before {
            store - before
        } else if store > after {
            store - after
        } else {
            return;
        };
        self.offset.fetch_add(error.num_microseconds().unwrap_or(0), Ordering::Relaxed);
    }
}
