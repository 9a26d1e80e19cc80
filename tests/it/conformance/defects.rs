//! Stores with one known defect each: a suite that does not find it is worth nothing.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use crossdock::Result;
use crossdock::adapters::memory::MemoryStore;
use crossdock::lanes::Lease;
use crossdock::primitives::{DeliveryId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::testing::conformance::{StoreHarness, Stores, store_suite};
use crossdock::webhooks::{Claimed, Fate, Settlement};
use libtest_mimic::Trial;

use super::run;
use crate::relay::relay;
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    [
        ("a_store_without_a_defect_passes", Defect::None, &[][..]),
        (
            "a_store_without_fencing_is_found",
            Defect::NoFencing,
            &[
                "fencing::a_result_whose_lease_was_lost_changes_nothing",
                "fencing::one_batch_may_hold_a_lost_and_the_present_result_of_one_delivery",
            ],
        ),
        (
            "a_store_that_counts_settlements_is_found",
            Defect::Counters,
            &["limits::live_leases_are_counted_and_never_settlements"],
        ),
        (
            "a_store_that_shows_another_tenants_records_is_found",
            Defect::Leak,
            &[
                "isolation::reading_another_tenants_webhook_is_like_reading_none",
                "isolation::another_tenants_events_and_deliveries_are_not_there",
            ],
        ),
        (
            "a_store_that_takes_another_tenants_results_is_found",
            Defect::LeakySettle,
            &["fencing::a_result_for_another_tenant_is_fenced"],
        ),
        ("a_store_that_saves_by_halves_is_found", Defect::Halves, &["save::all_changes_are_made_or_none"]),
        (
            "a_store_without_order_is_found",
            Defect::NoOrder,
            &["order::only_the_oldest_undelivered_delivery_is_given"],
        ),
        (
            "a_store_that_serves_one_tenant_first_is_found",
            Defect::NoCursor,
            &["fairness::a_round_goes_on_behind_the_cursor_and_wraps_around"],
        ),
        (
            "a_store_that_gives_what_was_not_asked_for_is_found",
            Defect::NoExcept,
            &["fairness::a_tenant_that_is_excepted_gets_nothing_and_holds_back_nobody"],
        ),
        (
            "a_store_that_looks_at_no_condition_is_found",
            Defect::NoCondition,
            &[
                "save::no_more_webhooks_are_saved_than_a_condition_allows",
                "save::of_insertions_that_race_no_more_are_made_than_a_condition_allows",
            ],
        ),
        (
            "a_store_that_leases_more_at_once_than_it_may_is_found",
            Defect::Greedy,
            &[
                "distribute::no_more_is_leased_at_once_than_is_asked_for",
                "distribute::who_is_excepted_is_leased_nothing_at_once",
            ],
        ),
        (
            "a_store_whose_halves_overlap_is_found",
            Defect::Undivided,
            &["publish::a_half_of_the_outbox_has_all_of_some_tenants_and_nothing_of_the_others"],
        ),
        (
            "a_store_that_tells_too_late_what_is_due_is_found",
            Defect::Promises,
            &["distribute::when_something_is_due_is_never_told_too_late"],
        ),
        (
            "a_store_that_drops_what_waits_is_found",
            Defect::Forgets,
            &["retention::nothing_undelivered_is_ever_dropped"],
        ),
        (
            "a_store_that_holds_a_new_receiver_liable_for_the_old_one_is_found",
            Defect::OldResults,
            &[
                "changed::a_result_of_a_changed_webhook_leaves_its_health_alone",
                "changed::a_result_of_a_changed_webhook_does_not_make_it_wait",
                "changed::a_result_of_a_changed_webhook_does_not_touch_its_circuit",
                "changed::a_result_of_a_changed_webhook_does_not_disable_it",
            ],
        ),
        (
            "a_store_that_drops_results_of_a_changed_webhook_is_found",
            Defect::NoOldResults,
            &["changed::what_a_result_of_a_changed_webhook_says_about_the_delivery_counts"],
        ),
        (
            "a_store_that_counts_what_it_did_not_reseal_is_found",
            Defect::CountsAll,
            &[
                "seals::what_is_no_longer_there_is_passed_over_and_not_counted",
                "seals::another_tenants_seals_stay_as_they_are",
            ],
        ),
        (
            "a_store_that_sorts_tenants_as_people_do_is_found",
            Defect::Collation,
            &["seals::tenants_are_listed_in_the_order_of_their_bytes"],
        ),
        (
            "a_store_that_knows_nothing_of_itself_is_found",
            Defect::Unexamined,
            &[
                "examine::what_is_not_fanned_out_is_counted_over_all_tenants",
                "examine::what_is_due_is_told_by_the_oldest",
                "examine::live_leases_are_counted",
                "examine::a_lease_that_ended_unsettled_is_noticed_and_forgotten",
            ],
        ),
    ]
    .map(|(name, defect, expected)| {
        rule(&format!("conformance::defects::{name}"), move || is_found(defect, expected))
    })
    .into()
}

fn is_found(defect: Defect, expected: &[&str]) -> std::result::Result<(), String> {
    let failing = |check: &crossdock::testing::conformance::Check<dyn StoreHarness>| {
        run(check.run(Arc::new(Workshop(defect)))).is_err()
    };
    let found: Vec<_> = store_suite().into_iter().filter(failing).map(|check| check.name()).collect();
    let missed: Vec<_> = expected.iter().filter(|name| !found.contains(name)).collect();
    if !missed.is_empty() {
        return Err(format!("{defect:?} passes {missed:?}, fails {found:?}"));
    }
    if expected.is_empty() && !found.is_empty() {
        return Err(format!("fails {found:?}"));
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Defect {
    None,
    /// It takes every result as if it came from whoever holds the lease.
    NoFencing,
    /// It counts up with each claim and down with each result.
    Counters,
    /// It shows everybody the records of one tenant.
    Leak,
    /// It does not look at whose result it is.
    LeakySettle,
    /// It saves changes one by one.
    Halves,
    /// It forgets in which order a delivery stands.
    NoOrder,
    /// It begins every round with the same tenant.
    NoCursor,
    /// It gives also what was excepted.
    NoExcept,
    Greedy,
    /// All of its outbox is in either half.
    Undivided,
    Promises,
    /// It saves however many webhooks there are.
    NoCondition,
    /// Its retention ends what still waits.
    Forgets,
    /// It takes every result as one of the webhook as it is now.
    OldResults,
    /// It takes no result of a webhook that was changed since.
    NoOldResults,
    /// It says that it resealed whatever it was given.
    CountsAll,
    /// It lists tenants without regard to upper and lower case.
    Collation,
    /// It does not look at itself.
    Unexamined,
}

#[derive(Debug)]
struct Workshop(Defect);

#[async_trait]
impl StoreHarness for Workshop {
    async fn fresh(&self) -> Result<Stores> {
        let inner = MemoryStore::new();
        let store = Arc::new(Defective { inner: inner.clone(), defect: self.0, notes: Mutex::default() });
        Ok(Stores::new(store.clone(), store, Arc::new(inner)))
    }
}

#[derive(Debug)]
struct Defective {
    inner: MemoryStore,
    defect: Defect,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    present: BTreeMap<DeliveryId, (Lease, TenantId)>,
    in_flight: BTreeMap<WebhookId, i64>,
}

impl Defective {
    async fn around<T>(
        &self,
        _step: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        call.await
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// Whose records are shown to this tenant.
    fn shown(&self, tenant: &TenantId) -> TenantId {
        match self.defect {
            Defect::Leak => "acme".parse().expect("a tenant"),
            _ => tenant.clone(),
        }
    }

    fn note(&self, claimed: &mut Claimed) -> Vec<Settlement> {
        let mut notes = self.notes.lock().expect("no panic under the lock");
        let mut refused = Vec::new();
        claimed.claims.retain(|claim| {
            let count = notes.in_flight.entry(claim.webhook.id).or_default();
            let is_free = *count < i64::from(claim.webhook.max_in_flight.unwrap_or(8));
            if self.is(Defect::Counters) && !is_free {
                refused.push(Settlement::new(claim, Fate::Release(claimed.now)));
                return false;
            }
            *count += 1;
            notes.present.insert(claim.delivery, (claim.lease, claim.webhook.tenant.clone()));
            true
        });
        refused
    }

    fn bent(&self, settlement: &Settlement) -> Settlement {
        let mut notes = self.notes.lock().expect("no panic under the lock");
        *notes.in_flight.entry(settlement.webhook).or_default() -= 1;
        let mut settlement = settlement.clone();
        if let Some((lease, tenant)) = notes.present.get(&settlement.delivery) {
            match self.defect {
                Defect::NoFencing => settlement.lease = *lease,
                Defect::LeakySettle => settlement.tenant = tenant.clone(),
                _ => {}
            }
        }
        settlement
    }
}

relay! { DeliveryQueue for Defective: publish outbox expire advance_replays;
    async fn outbox_half(&self, _half: Half, limit: usize, now: DateTime<Utc>) -> Result<Option<Outbox>> {
        Ok(match self.defect {
            Defect::Undivided => Some(self.inner.outbox(limit, now).await?),
            _ => None,
        })
    }

    async fn fan_out(&self, mut entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        if self.is(Defect::NoOrder) {
            entries
                .iter_mut()
                .flat_map(|(_, wanted)| &mut wanted.deliveries)
                .for_each(|new| new.order = None);
        }
        self.inner.fan_out(entries, now).await
    }

    async fn distribute(&self, entries: Vec<Distribution>, mut request: ClaimRequest) -> Result<Distributed> {
        let entries = entries.into_iter().map(Distribution::without_event).collect();
        let taken = self.fan_out(entries, request.now).await?;
        if !self.is(Defect::Greedy) {
            return Ok(Distributed::new(taken, Vec::new(), None));
        }
        request.except.clear();
        request.limit = usize::MAX;
        Ok(Distributed::new(taken, self.claim(request).await?.claims, None))
    }

    async fn claim(&self, mut request: ClaimRequest) -> Result<Claimed> {
        let now = request.now;
        if self.is(Defect::NoCursor) {
            request.after = None;
        }
        if self.is(Defect::NoExcept) {
            request.except.clear();
        }
        let mut claimed = self.inner.claim(request).await?;
        let refused = self.note(&mut claimed);
        self.inner.settle(SettleBatch::new(&refused), now).await?;
        Ok(claimed)
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        let mut settlements: Vec<_> =
            batch.settlements.iter().map(|settlement| self.bent(settlement)).collect();
        for settlement in &mut settlements {
            if self.is(Defect::OldResults)
                && let Some(present) = self.inner.webhook(&settlement.tenant, settlement.webhook).await?
            {
                settlement.webhook_version = present.version;
            }
        }
        if self.is(Defect::NoOldResults) {
            let mut present = Vec::new();
            for settlement in settlements {
                let webhook = self.inner.webhook(&settlement.tenant, settlement.webhook).await?;
                if webhook.is_some_and(|webhook| webhook.version == settlement.webhook_version) {
                    present.push(settlement);
                }
            }
            settlements = present;
        }
        let mut bent = batch;
        bent.settlements = &settlements;
        let mut settled = self.inner.settle(bent, now).await?;
        settled.next_due = self.is(Defect::Promises).then_some(DateTime::<Utc>::MAX_UTC);
        Ok(settled)
    }

    async fn tidy(&self, retention: Retention, now: DateTime<Utc>) -> Result<u64> {
        let history = TimeDelta::from_std(retention.history).ok();
        if let Some(before) = history.and_then(|history| now.checked_sub_signed(history))
            && self.is(Defect::Forgets)
        {
            self.inner.expire(before, now, usize::MAX).await?;
        }
        self.inner.tidy(retention, now).await
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        if self.is(Defect::Unexamined) {
            return Ok(Examination::default());
        }
        self.inner.examine(now).await
    }
}

relay! { WebhookRepository for Defective:
    durability record_test resend preview_replay start_replay cancel_replay release_stopped erase_subject;
    async fn save(
        &self,
        tenant: &TenantId,
        mut changes: Vec<Change>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        if self.is(Defect::NoCondition) {
            changes.retain(|change| !matches!(change, Change::AtMost(_)));
        }
        if self.is(Defect::Halves) {
            for change in changes {
                self.inner.save(tenant, vec![change], Vec::new(), now).await?;
            }
            return self.inner.save(tenant, Vec::new(), activity, now).await;
        }
        self.inner.save(tenant, changes, activity, now).await
    }

    async fn webhook(&self, tenant: &TenantId, id: WebhookId) -> Result<Option<Arc<Webhook>>> {
        self.inner.webhook(&self.shown(tenant), id).await
    }

    async fn webhooks(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Arc<Webhook>>> {
        self.inner.webhooks(&self.shown(tenant), page).await
    }

    async fn defaults(&self, tenant: &TenantId) -> Result<Arc<TenantDefaults>> {
        self.inner.defaults(&self.shown(tenant)).await
    }

    async fn health(&self, tenant: &TenantId, webhook: WebhookId) -> Result<Option<WebhookHealth>> {
        self.inner.health(&self.shown(tenant), webhook).await
    }

    async fn backlog(
        &self,
        tenant: &TenantId,
        webhook: Option<WebhookId>,
        now: DateTime<Utc>,
    ) -> Result<Backlog> {
        self.inner.backlog(&self.shown(tenant), webhook, now).await
    }

    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Arc<Event>>> {
        self.inner.event(&self.shown(tenant), id).await
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        page: PageRequest,
    ) -> Result<Page<DeliveryRecord>> {
        self.inner.deliveries(&self.shown(tenant), filter, include, page).await
    }

    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
        include: Include,
    ) -> Result<Option<DeliveryRecord>> {
        self.inner.delivery(&self.shown(tenant), id, include).await
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>> {
        self.inner.replay(&self.shown(tenant), id).await
    }

    async fn replays(&self, tenant: &TenantId, page: PageRequest) -> Result<Page<Replay>> {
        self.inner.replays(&self.shown(tenant), page).await
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        if self.is(Defect::Collation) {
            let key = |tenant: &TenantId| tenant.as_str().to_lowercase();
            let mut all = self.inner.tenants(None, usize::MAX).await?;
            all.sort_by_key(key);
            all.retain(|tenant| after.is_none_or(|after| key(after) < key(tenant)));
            all.truncate(limit);
            return Ok(all);
        }
        self.inner.tenants(after, limit).await
    }

    async fn reseal(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64> {
        let count = seals.len() as u64;
        let resealed = self.inner.reseal(tenant, seals).await?;
        Ok(if self.is(Defect::CountsAll) { count } else { resealed })
    }
}
