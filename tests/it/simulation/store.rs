//! A store that fails, and keeps the ledger; and stores with known defects, which the rules must find.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use crossdock::adapters::memory::MemoryStore;
use crossdock::primitives::{DeliveryId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    Advanced, ClaimRequest, Claimed, DeliveryQueue, Examination, Expired, FanOut, Fate, Include, JudgedStep,
    Outbox, Publication, Published, Retention, Sequence, SettleBatch, Settled, Settlement, WebhookRepository,
};
use crossdock::{Error, ErrorKind, Result};

use super::dice::Dice;
use super::executor::yield_once;
use super::faults::Fault;
use super::ledger::Ledger;
use super::receivers::planned_panic;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Defect {
    None,
    /// It takes every result, whoever holds the lease by now.
    NoFencing,
    /// It counts claims up and settlements down instead of counting live leases.
    Counters,
}

/// One process's way to the store.
#[derive(Clone, Debug)]
pub(super) struct FaultyStore {
    pub(super) inner: MemoryStore,
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
    pub(super) defect: Defect,
    /// Shared by all processes of a world: what a store with counters would have on its disk.
    pub(super) counters: Arc<std::sync::Mutex<BTreeMap<WebhookId, i64>>>,
    pub(super) phase: Arc<Phase>,
    /// Whether whoever calls can bear a panic: a worker must, a publishing host need not.
    pub(super) may_panic: bool,
}

/// Where a process is: what a crash is counted as.
#[derive(Debug, Default)]
pub(super) struct Phase {
    pub(super) before_write: AtomicU32,
    pub(super) after_write: AtomicU32,
    pub(super) in_flight: AtomicU32,
}

/// Counts up now and down when it is dropped, also by a crash.
pub(super) struct During<'a>(&'a AtomicU32);

impl<'a> During<'a> {
    pub(super) fn new(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for During<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FaultyStore {
    const ERRORS_PER_MILLE: u32 = 8;
    const PANICS_PER_MILLE: u32 = 1;

    async fn write<T>(&self, what: &'static str, write: impl Future<Output = Result<T>>) -> Result<T> {
        {
            let _before = During::new(&self.phase.before_write);
            yield_once().await;
        }
        if self.panics() {
            self.ledger.books().fault(Fault::StorePanics);
            planned_panic();
        }
        if self.fails() {
            self.ledger.books().fault(Fault::ErrorBeforeWrite);
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        let result = write.await;
        {
            let _after = During::new(&self.phase.after_write);
            yield_once().await;
        }
        if self.fails() {
            self.ledger.books().fault(Fault::ErrorAfterWrite);
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        result
    }

    fn panics(&self) -> bool {
        self.may_panic && !self.ledger.books().calm && self.dice.per_mille(Self::PANICS_PER_MILLE)
    }

    fn fails(&self) -> bool {
        !self.ledger.books().calm && self.dice.per_mille(Self::ERRORS_PER_MILLE)
    }

    async fn claim_and_note(&self, request: ClaimRequest) -> Result<Claimed> {
        let now = request.now;
        let mut claimed = self.inner.claim(request).await?;
        if self.defect == Defect::Counters {
            self.keep_to_counters(&mut claimed, now).await?;
        }
        for claim in &claimed.claims {
            let before = self.ledger.books().claimed(claim, now);
            if let Some(before) = before
                && let Some(record) =
                    self.inner.delivery(&claim.webhook.tenant, before, Include::default()).await?
                && !record.delivery.status.is_final()
            {
                let text = format!("{} was claimed before {before} had ended", claim.delivery);
                self.ledger.books().violated("order", text);
            }
        }
        Ok(claimed)
    }

    async fn keep_to_counters(&self, claimed: &mut Claimed, now: DateTime<Utc>) -> Result<()> {
        let mut refused = Vec::new();
        {
            let mut counters = self.counters.lock().expect("no panic while counting");
            claimed.claims.retain(|claim| {
                let counter = counters.entry(claim.webhook.id).or_default();
                let may = *counter < i64::from(claim.webhook.max_in_flight.unwrap_or(8));
                if may {
                    *counter += 1;
                } else {
                    refused.push(Settlement::new(claim, Fate::Release(now + Duration::from_secs(1))));
                }
                may
            });
        }
        self.inner.settle(SettleBatch::new(&refused), now).await.map(drop)
    }

    /// Rule 7: a result whose lease was lost changes nothing.
    async fn settle_and_check(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        let (present, live): (Vec<bool>, Vec<bool>) = {
            let mut books = self.ledger.books();
            books.shown(now);
            let of = |settlement| (books.is_present(settlement), books.is_live(settlement));
            batch.settlements.iter().map(of).unzip()
        };
        let untouched = untouched(batch.settlements, &present);
        let before = self.look_at(&untouched).await?;
        let mut counting = Vec::new();
        for settlement in batch.settlements {
            let webhook = self.inner.webhook(&settlement.tenant, settlement.webhook).await?;
            counting.push(webhook.is_some_and(|webhook| webhook.version == settlement.webhook_version));
        }
        let settlements = self.with_defect(batch.settlements);
        let mut defective = batch;
        defective.settlements = &settlements;
        let settled = self.inner.settle(defective, now).await?;
        if self.defect == Defect::Counters {
            let mut counters = self.counters.lock().expect("no panic while counting");
            for settlement in &settlements {
                *counters.entry(settlement.webhook).or_default() -= 1;
            }
        }
        let after = self.look_at(&untouched).await?;

        let mut books = self.ledger.books();
        if before != after {
            books.violated("a fenced result changes nothing", format!("{before:?} became {after:?}"));
        }
        let results = batch.settlements.iter().zip(present).zip(live).zip(counting);
        for (((settlement, present), live), counts) in results {
            let fenced = settled.fenced.contains(&(settlement.delivery, settlement.lease.token));
            // A lease that has ended without a new one may have been ended for good, by disabling its webhook.
            if (fenced && live) || (!fenced && !present) {
                let text = format!("{} answered fenced: {fenced}", settlement.delivery);
                books.violated("a result is fenced if its lease was lost, and only then", text);
            }
            if !fenced {
                books.settled(settlement);
                // A result of the webhook before a change says nothing about it.
                if settlement.disable.is_some() && counts {
                    books.ended(settlement.webhook, now);
                }
            }
        }
        for judged in batch.judgements {
            if let JudgedStep::Disable(_) = judged.step {
                books.ended(judged.webhook, now);
            }
        }
        Ok(settled)
    }

    fn with_defect(&self, settlements: &[Settlement]) -> Vec<Settlement> {
        let mut settlements = settlements.to_vec();
        if self.defect == Defect::NoFencing {
            let books = self.ledger.books();
            for settlement in &mut settlements {
                if let Some(token) = books.present_token(settlement.delivery) {
                    settlement.lease.token = token;
                }
            }
        }
        settlements
    }

    async fn look_at(&self, deliveries: &[(TenantId, DeliveryId)]) -> Result<Vec<String>> {
        let mut seen = Vec::new();
        for (tenant, delivery) in deliveries {
            let record = self.inner.delivery(tenant, *delivery, Include::default()).await?;
            seen.push(format!("{:?}", record.map(|record| record.delivery)));
        }
        Ok(seen)
    }
}

/// The deliveries that a batch holds only lost results of, and that no other result in it may end by disabling their
/// webhook.
fn untouched(settlements: &[Settlement], present: &[bool]) -> Vec<(TenantId, DeliveryId)> {
    let applied =
        || settlements.iter().zip(present).filter(|(_, present)| **present).map(|(result, _)| result);
    let touches = |other: &Settlement, lost: &Settlement| {
        other.delivery == lost.delivery || (other.disable.is_some() && other.webhook == lost.webhook)
    };
    let lost = settlements.iter().zip(present).filter(|(_, present)| !**present).map(|(result, _)| result);
    lost.filter(|lost| !applied().any(|other| touches(other, lost)))
        .map(|lost| (lost.tenant.clone(), lost.delivery))
        .collect()
}

#[async_trait]
impl DeliveryQueue for FaultyStore {
    async fn publish(
        &self,
        publications: Vec<Publication>,
        idempotency_keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        self.write("publish", self.inner.publish(publications, idempotency_keys, now)).await
    }

    async fn outbox(&self, limit: usize, now: DateTime<Utc>) -> Result<Outbox> {
        self.write("read the outbox", self.inner.outbox(limit, now)).await
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        self.write("fan out", self.inner.fan_out(entries, now)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        self.write("claim", self.claim_and_note(request)).await
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        self.write("settle", self.settle_and_check(batch, now)).await
    }

    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired> {
        let expire = async {
            self.ledger.books().shown(now);
            self.inner.expire(before, now, limit).await
        };
        self.write("expire", expire).await
    }

    async fn advance_replays(&self, ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Result<Advanced> {
        self.write("advance replays", self.inner.advance_replays(ids, now)).await
    }

    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        self.write("tidy", self.inner.tidy(retention, now)).await
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        self.write("examine", self.inner.examine(now)).await
    }
}
