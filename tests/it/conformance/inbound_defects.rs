//! Stores of inbound webhooks with one known defect each: a suite that does not find it is worth nothing.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use crossdock::Result;
use crossdock::activity::Activity;
use crossdock::adapters::memory::MemoryStore;
use crossdock::inbound::{
    Accepted, InboundClaim, InboundClaimed, InboundErasure, InboundExamination, InboundFate,
    InboundRetention, InboundSettled, InboundSettlement, InboundStore, Owner, Received, ReceivedFilter,
    ReceivedRecord, Replayed, ResealedSecret, Source, SourceChange, SourceName,
};
use crossdock::primitives::{Durability, Page, PageRequest, ReceivedId, SourceId};
use crossdock::testing::conformance::{Check, InboundStoreHarness, InboundStores, inbound_store_suite};
use libtest_mimic::Trial;

use super::run;
use crate::relay::relay;
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    [
        ("an_inbound_store_without_a_defect_passes", Defect::None, &[][..]),
        (
            "an_inbound_store_that_shows_another_tenants_items_is_found",
            Defect::Leak,
            &["inbound_listing::another_owners_items_are_like_none"],
        ),
        (
            "an_inbound_store_that_saves_by_halves_is_found",
            Defect::Halves,
            &["inbound_sources::changes_that_are_saved_together_are_all_made_or_none"],
        ),
        (
            "an_inbound_store_that_lists_the_sources_of_one_owner_for_all_is_found",
            Defect::OneOwner,
            &["inbound_sources::everybodys_sources_are_listed_once_in_the_order_of_their_ids"],
        ),
        (
            "an_inbound_store_that_reseals_what_somebody_else_has_changed_is_found",
            Defect::BlindReseal,
            &["inbound_sources::a_seal_is_replaced_where_it_still_stands_and_nothing_else_changes"],
        ),
        (
            "an_inbound_store_that_keeps_copies_is_found",
            Defect::NoKey,
            &[
                "inbound_accept::a_copy_is_counted_and_not_kept",
                "inbound_accept::of_copies_that_come_at_once_one_is_kept",
            ],
        ),
        (
            "an_inbound_store_that_forgets_guards_is_found",
            Defect::NoGuard,
            &["inbound_accept::a_copy_under_another_key_is_known_by_its_guard"],
        ),
        (
            "an_inbound_store_that_shares_keys_between_sources_is_found",
            Defect::OneSource,
            &["inbound_accept::the_same_key_of_another_source_is_another_item"],
        ),
        (
            "an_inbound_store_that_leaves_dead_letters_dead_is_found",
            Defect::StayDead,
            &["inbound_accept::a_copy_of_a_dead_letter_makes_it_pending_again"],
        ),
        (
            "an_inbound_store_that_serves_the_first_party_first_is_found",
            Defect::Unfair,
            &["inbound_claim::the_round_goes_on_behind_whoever_was_last"],
        ),
        (
            "an_inbound_store_that_knows_no_order_is_found",
            Defect::NoOrder,
            &[
                "inbound_claim::of_one_order_one_is_leased_and_the_lowest_first",
                "inbound_claim::of_claims_at_once_one_order_is_leased_once",
            ],
        ),
        (
            "an_inbound_store_that_forgets_the_newest_version_is_found",
            Defect::NoLatest,
            &["inbound_claim::the_newest_of_an_order_that_was_done_comes_with_the_next"],
        ),
        (
            "an_inbound_store_that_serves_whoever_is_full_is_found",
            Defect::NoException,
            &["inbound_claim::who_is_excepted_gets_nothing"],
        ),
        (
            "an_inbound_store_that_counts_what_was_not_begun_is_found",
            Defect::CountsReleases,
            &["inbound_settle::what_was_not_begun_is_no_attempt"],
        ),
        (
            "an_inbound_store_that_takes_results_twice_is_found",
            Defect::Unfenced,
            &["inbound_settle::a_result_whose_lease_was_lost_is_fenced_and_changes_nothing"],
        ),
        (
            "an_inbound_store_that_counts_no_dead_letters_is_found",
            Defect::Unworried,
            &["inbound_listing::an_examination_tells_what_waits_and_what_is_dead"],
        ),
        (
            "an_inbound_store_that_never_erases_is_found",
            Defect::NeverErases,
            &[
                "inbound_erasure::what_is_about_a_subject_loses_its_body_and_is_not_handled",
                "inbound_erasure::whoever_works_on_what_is_erased_is_fenced",
                "inbound_erasure::an_order_goes_on_behind_what_is_erased",
            ],
        ),
        (
            "an_inbound_store_that_erases_what_is_another_tenants_is_found",
            Defect::ErasesEverybody,
            &["inbound_erasure::nobody_elses_items_are_erased"],
        ),
        (
            "an_inbound_store_that_drops_keys_at_once_is_found",
            Defect::Forgets,
            &["inbound_listing::keys_are_kept_for_a_week_whatever_is_asked_for"],
        ),
    ]
    .into_iter()
    .map(|(name, defect, expected)| rule(&format!("conformance::{name}"), move || find(defect, expected)))
    .collect()
}

fn find(defect: Defect, expected: &[&str]) -> Result<(), String> {
    let failing = |check: &Check<dyn InboundStoreHarness>| {
        let (check, harness) = (*check, Arc::new(Broken(defect)) as Arc<dyn InboundStoreHarness>);
        run(async move { check.run(harness).await }).is_err()
    };
    let found: Vec<_> = inbound_store_suite().into_iter().filter(failing).map(|check| check.name()).collect();
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
    /// It shows everybody the items of one tenant.
    Leak,
    /// It saves changes one by one.
    Halves,
    /// It lists one owner's sources where everybody's are wanted.
    OneOwner,
    /// It puts a new seal wherever there is one, as a change of the source.
    BlindReseal,
    /// It looks at no key.
    NoKey,
    /// It looks at no guard.
    NoGuard,
    /// It keeps one list of keys for all sources.
    OneSource,
    /// A copy changes nothing about a dead letter.
    StayDead,
    /// Each round begins with the first party.
    Unfair,
    /// It leases whatever is due.
    NoOrder,
    /// It does not say what was done before.
    NoLatest,
    /// It does not look at who is full.
    NoException,
    /// What was not begun is an attempt.
    CountsReleases,
    /// It says of every result that it holds.
    Unfenced,
    /// It tells a doctor of no dead letters.
    Unworried,
    /// It erases nothing.
    NeverErases,
    /// It erases whatever is about the subject, whoever's it is.
    ErasesEverybody,
    /// It drops whatever has ended.
    Forgets,
}

#[derive(Debug)]
struct Broken(Defect);

#[async_trait]
impl InboundStoreHarness for Broken {
    async fn fresh(&self) -> Result<InboundStores> {
        Ok(InboundStores::of(Store { inner: MemoryStore::new(), defect: self.0 }))
    }
}

#[derive(Debug)]
struct Store {
    inner: MemoryStore,
    defect: Defect,
}

impl Store {
    async fn around<T>(
        &self,
        _step: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        call.await
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn seen_by(&self, owner: &Owner) -> Owner {
        let acme = || Owner::Tenant("acme".parse().expect("a tenant id"));
        if self.has(Defect::Leak) { acme() } else { owner.clone() }
    }
}

#[async_trait]
impl InboundStore for Store {
    fn durability(&self) -> Durability {
        InboundStore::durability(&self.inner)
    }

    async fn save_sources(
        &self,
        owner: &Owner,
        changes: Vec<SourceChange>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        if self.has(Defect::Halves) {
            for change in changes {
                self.inner.save_sources(owner, vec![change], Vec::new(), now).await?;
            }
            return self.inner.save_sources(owner, Vec::new(), activity, now).await;
        }
        self.inner.save_sources(owner, changes, activity, now).await
    }

    async fn source(&self, id: SourceId) -> Result<Option<Arc<Source>>> {
        self.inner.source(id).await
    }

    async fn platform_source(&self, name: &SourceName) -> Result<Option<Arc<Source>>> {
        self.inner.platform_source(name).await
    }

    async fn sources(&self, owner: &Owner, page: PageRequest) -> Result<Page<Arc<Source>>> {
        self.inner.sources(owner, page).await
    }

    async fn all_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Arc<Source>>> {
        let mut all = self.inner.all_sources(after, limit).await?;
        all.retain(|source| !self.has(Defect::OneOwner) || source.owner.as_str() == "acme");
        Ok(all)
    }

    async fn reseal_source(&self, id: SourceId, seals: Vec<ResealedSecret>) -> Result<u64> {
        if !self.has(Defect::BlindReseal) {
            return self.inner.reseal_source(id, seals).await;
        }
        let Some(source) = self.inner.source(id).await? else { return Ok(0) };
        let (mut changed, expected) = ((*source).clone(), source.version);
        changed.version = expected.next();
        let pairs = changed.secrets.iter_mut().zip(&seals);
        pairs.for_each(|(secret, seal)| secret.sealed = seal.after.clone());
        let change = SourceChange::Replace { source: changed, expected };
        self.inner.save_sources(&source.owner, vec![change], Vec::new(), source.updated_at).await?;
        Ok(seals.len() as u64)
    }

    async fn accept(&self, mut received: Vec<Received>, now: DateTime<Utc>) -> Result<Vec<Accepted>> {
        for item in &mut received {
            match self.defect {
                Defect::NoKey => item.dedupe_key = format!("{}/{}", item.dedupe_key, item.id).into(),
                Defect::NoGuard => item.guard = None,
                Defect::OneSource => item.source = item.name.platform_id(),
                Defect::NoOrder => item.order_key = None,
                _ => {}
            }
            if self.has(Defect::StayDead) {
                let filter = ReceivedFilter::new();
                let known = self.inner.received(&item.owner, &filter, PageRequest::first(100)).await?;
                if let Some(known) =
                    known.items.iter().find(|known| known.received.dedupe_key == item.dedupe_key)
                {
                    return Ok(vec![Accepted::Duplicate(known.received.id)]);
                }
            }
        }
        self.inner.accept(received, now).await
    }

    async fn claim_received(&self, mut claim: InboundClaim) -> Result<InboundClaimed> {
        match self.defect {
            Defect::Unfair => claim.after = None,
            Defect::NoException => claim.except.clear(),
            _ => {}
        }
        let mut claimed = self.inner.claim_received(claim).await?;
        if self.has(Defect::NoLatest) {
            claimed.jobs.iter_mut().for_each(|job| job.latest = None);
        }
        Ok(claimed)
    }

    async fn settle_received(
        &self,
        mut results: Vec<InboundSettlement>,
        now: DateTime<Utc>,
    ) -> Result<InboundSettled> {
        if self.has(Defect::CountsReleases) {
            for result in &mut results {
                if let InboundFate::Release(at) = result.fate {
                    result.fate = InboundFate::RetryAt(at);
                }
            }
        }
        let settled = self.inner.settle_received(results, now).await?;
        Ok(if self.has(Defect::Unfenced) { InboundSettled::default() } else { settled })
    }

    async fn received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Result<Page<ReceivedRecord>> {
        self.inner.received(&self.seen_by(owner), filter, page).await
    }

    async fn one_received(&self, owner: &Owner, id: ReceivedId) -> Result<Option<ReceivedRecord>> {
        self.inner.one_received(&self.seen_by(owner), id).await
    }

    async fn replay_received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replayed> {
        self.inner.replay_received(&self.seen_by(owner), filter, page, activity, now).await
    }

    async fn erase_received(
        &self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<InboundErasure> {
        if self.has(Defect::NeverErases) {
            return Ok(InboundErasure::default());
        }
        if self.has(Defect::ErasesEverybody) {
            for other in ["other", "acme"] {
                let owner = Owner::Tenant(other.parse().expect("a tenant id"));
                self.inner.erase_received(&owner, subject, now).await?;
            }
        }
        self.inner.erase_received(owner, subject, now).await
    }

    async fn examine_received(&self, now: DateTime<Utc>) -> Result<InboundExamination> {
        let found = self.inner.examine_received(now).await?;
        Ok(if self.has(Defect::Unworried) { InboundExamination::new(found.oldest_due, 0) } else { found })
    }

    async fn tidy_received(&self, retention: InboundRetention, now: DateTime<Utc>) -> Result<u64> {
        let now = if self.has(Defect::Forgets) { now + chrono::TimeDelta::days(8) } else { now };
        self.inner.tidy_received(retention, now).await
    }
}

relay! { ActivityStore for Store }
