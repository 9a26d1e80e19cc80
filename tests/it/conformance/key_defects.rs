//! Key stores with one known defect each: a suite that does not find it is worth nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use crossdock::Result;
use crossdock::activity::Activity;
use crossdock::adapters::memory::MemoryStore;
use crossdock::api_keys::{
    ApiKey, DayCount, Epoch, KeyChange, KeyFilter, KeyRecord, KeyStore, KeyUsage, KeysChanged, PublicId,
};
use crossdock::primitives::{ApiKeyId, Durability, Page, PageRequest};
use crossdock::tenancy::TenantId;
use crossdock::testing::conformance::{KeyStoreHarness, KeyStores, key_store_suite};
use libtest_mimic::Trial;

use super::run;
use crate::relay::relay;
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    [
        ("a_key_store_without_a_defect_passes", Defect::None, &[][..]),
        (
            "a_key_store_that_shows_another_tenants_keys_is_found",
            Defect::Leak,
            &["key_isolation::reading_another_tenants_key_is_like_reading_none"],
        ),
        (
            "a_key_store_that_saves_by_halves_is_found",
            Defect::Halves,
            &["key_save::changes_that_are_saved_together_are_all_made_or_none"],
        ),
        (
            "a_key_store_that_looks_at_no_condition_is_found",
            Defect::NoCondition,
            &["key_save::one_key_too_many_is_a_conflict"],
        ),
        (
            "a_key_store_that_answers_with_what_it_has_read_before_is_found",
            Defect::Remembers,
            &["key_save::a_key_is_found_as_it_was_saved_last"],
        ),
        (
            "a_key_store_that_tells_changes_in_part_is_found",
            Defect::Part,
            &["key_changes::more_changes_than_were_asked_for_are_never_told_in_part"],
        ),
        (
            "a_key_store_whose_epoch_runs_ahead_is_found",
            Defect::Ahead,
            &[
                "key_changes::every_change_and_insertion_after_an_epoch_is_named",
                "key_changes::of_changes_made_at_once_none_is_missed",
            ],
        ),
        (
            "a_key_store_that_leases_whatever_is_asked_for_is_found",
            Defect::Generous,
            &[
                "key_uses::of_one_line_never_more_uses_are_leased_than_it_has",
                "key_uses::leases_that_are_asked_for_at_once_do_not_add_up_to_more",
            ],
        ),
        (
            "a_key_store_that_replaces_any_secret_is_found",
            Defect::Rekeys,
            &["key_usage::what_is_kept_of_a_secret_is_replaced_where_it_still_is_what_was_read"],
        ),
        (
            "a_key_store_that_filters_by_no_status_is_found",
            Defect::NoFilter,
            &[
                "key_listing::a_filter_by_status_shows_what_is_called_so_now",
                "key_listing::a_filter_shows_keys_that_nobody_has_used_since",
            ],
        ),
        (
            "a_key_store_that_forgets_what_is_logged_with_usage_is_found",
            Defect::NoLog,
            &["key_usage::entries_are_written_in_the_same_step_each_id_once"],
        ),
    ]
    .into_iter()
    .map(|(name, defect, expected)| rule(&format!("conformance::{name}"), move || find(defect, expected)))
    .collect()
}

fn find(defect: Defect, expected: &[&str]) -> Result<(), String> {
    let failing = |check: &crossdock::testing::conformance::Check<dyn KeyStoreHarness>| {
        let (check, harness) = (*check, Arc::new(Broken(defect)) as Arc<dyn KeyStoreHarness>);
        run(async move { check.run(harness).await }).is_err()
    };
    let found: Vec<_> = key_store_suite().into_iter().filter(failing).map(|check| check.name()).collect();
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
    /// It shows everybody the keys of one tenant.
    Leak,
    /// It saves changes one by one.
    Halves,
    /// It saves however many keys there are.
    NoCondition,
    /// It answers with what it has found before.
    Remembers,
    /// It tells as many changes as were asked for, and keeps the others to itself.
    Part,
    /// It tells an epoch that has not come.
    Ahead,
    /// It leases whatever is asked for.
    Generous,
    /// It does not look at what is kept of a secret.
    Rekeys,
    /// It lists every key.
    NoFilter,
    /// It writes no entries with usage.
    NoLog,
}

#[derive(Debug)]
struct Broken(Defect);

#[async_trait]
impl KeyStoreHarness for Broken {
    async fn fresh(&self) -> Result<KeyStores> {
        Ok(KeyStores::of(Store { inner: MemoryStore::new(), defect: self.0, found: Mutex::default() }))
    }
}

#[derive(Debug)]
struct Store {
    inner: MemoryStore,
    defect: Defect,
    found: Mutex<HashMap<PublicId, Arc<ApiKey>>>,
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

    fn whose(&self, tenant: &TenantId) -> TenantId {
        if self.has(Defect::Leak) { "acme".parse().expect("a tenant") } else { tenant.clone() }
    }
}

#[async_trait]
impl KeyStore for Store {
    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn save(
        &self,
        tenant: &TenantId,
        mut changes: Vec<KeyChange>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        if self.has(Defect::NoCondition) {
            changes.retain(|change| !matches!(change, KeyChange::AtMost(_)));
        }
        if self.has(Defect::Halves) {
            for change in changes {
                self.inner.save(tenant, vec![change], activity.clone(), now).await?;
            }
            return Ok(());
        }
        self.inner.save(tenant, changes, activity, now).await
    }

    async fn find(&self, id: PublicId) -> Result<Option<Arc<ApiKey>>> {
        let known = self.found.lock().expect("a map").get(&id).cloned();
        if let Some(known) = known.filter(|_| self.has(Defect::Remembers)) {
            return Ok(Some(known));
        }
        let found = self.inner.find(id).await?;
        self.found.lock().expect("a map").extend(found.iter().map(|key| (id, Arc::clone(key))));
        Ok(found)
    }

    async fn changed_since(&self, epoch: Option<Epoch>, limit: usize) -> Result<KeysChanged> {
        if self.has(Defect::Part) {
            let mut changed = self.inner.changed_since(epoch, usize::MAX).await?;
            changed.keys.iter_mut().for_each(|keys| keys.truncate(limit));
            return Ok(changed);
        }
        let mut changed = self.inner.changed_since(epoch, limit).await?;
        if self.has(Defect::Ahead) {
            changed.epoch = Epoch::new(changed.epoch.number() + 1);
        }
        Ok(changed)
    }

    async fn key(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<KeyRecord>> {
        self.inner.key(&self.whose(tenant), id).await
    }

    async fn keys(
        &self,
        tenant: &TenantId,
        filter: &KeyFilter,
        page: PageRequest,
        now: DateTime<Utc>,
    ) -> Result<Page<KeyRecord>> {
        let all = KeyFilter::new();
        let filter = if self.has(Defect::NoFilter) { &all } else { filter };
        self.inner.keys(&self.whose(tenant), filter, page, now).await
    }

    async fn record_usage(
        &self,
        mut usage: Vec<KeyUsage>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        if self.has(Defect::Rekeys) {
            for usage in &mut usage {
                let Some(present) = self.inner.key(&usage.tenant, usage.key).await? else { continue };
                usage.rekeyed.iter_mut().for_each(|rekeyed| rekeyed.before = present.key.mac.clone());
            }
        }
        let activity = if self.has(Defect::NoLog) { Vec::new() } else { activity };
        self.inner.record_usage(usage, activity, now).await
    }

    async fn usage(
        &self,
        tenant: &TenantId,
        id: ApiKeyId,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<DayCount>> {
        self.inner.usage(tenant, id, from, to).await
    }

    async fn lease_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        most: u64,
        wanted: u64,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let most = if self.has(Defect::Generous) { u64::MAX } else { most };
        self.inner.lease_uses(tenant, line, most, wanted, now).await
    }

    async fn return_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        unused: u64,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.inner.return_uses(tenant, line, unused, now).await
    }
}

relay! { ActivityStore for Store }
