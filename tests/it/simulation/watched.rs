//! A store that keeps the ledger of what really happens in it; and stores with known defects, which the rules must find.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossdock::Result;
use crossdock::primitives::{DeliveryId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    ClaimRequest, Claimed, DeliveryQueue, Fate, Include, JudgedStep, SettleBatch, Settled, Settlement,
    WebhookRepository,
};

use super::ledger::Ledger;
use crate::relay::relay;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Defect {
    None,
    /// It takes every result, whoever holds the lease by now.
    NoFencing,
    /// It counts claims up and settlements down instead of counting live leases.
    Counters,
}

/// Stands directly before a store, behind whatever makes it fail: what the ledger knows has happened.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) inner: Arc<dyn DeliveryQueue>,
    pub(crate) records: Arc<dyn WebhookRepository>,
    pub(crate) ledger: Ledger,
    pub(crate) defect: Defect,
    /// Shared by all processes of a world: what a store with counters would have on its disk.
    pub(crate) counters: Arc<Mutex<BTreeMap<WebhookId, i64>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Watched {
    pub(crate) fn new(
        inner: Arc<dyn DeliveryQueue>,
        records: Arc<dyn WebhookRepository>,
        ledger: Ledger,
        defect: Defect,
    ) -> Self {
        Self { inner, records, ledger, defect, counters: Arc::default(), turn: Arc::default() }
    }

    async fn around<T>(
        &self,
        _step: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        call.await
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
                    self.records.delivery(&claim.webhook.tenant, before, Include::default()).await?
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
            let webhook = self.records.webhook(&settlement.tenant, settlement.webhook).await?;
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
            let record = self.records.delivery(tenant, *delivery, Include::default()).await?;
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

relay! { DeliveryQueue for Watched: outbox fan_out advance_replays tidy examine;
    async fn publish(
        &self,
        publications: Vec<Publication>,
        keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        let heads: Vec<_> = publications.iter().map(|one| Arc::clone(&one.event)).collect();
        let published = self.inner.publish(publications, keys, now).await?;
        let mut books = self.ledger.books();
        for (one, event) in published.iter().zip(heads) {
            books.published(one, event.head.tenant.clone(), event.head.event_type.clone());
        }
        Ok(published)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        let _turn = self.turn.lock().await;
        self.claim_and_note(request).await
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        // What stands there before and after is compared: nobody else may change it in between.
        let _turn = self.turn.lock().await;
        self.settle_and_check(batch, now).await
    }

    async fn expire(&self, before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Result<Expired> {
        let _turn = self.turn.lock().await;
        self.ledger.books().shown(now);
        self.inner.expire(before, now, limit).await
    }
}
