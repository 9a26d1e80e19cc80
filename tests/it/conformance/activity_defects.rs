//! Logs with one known defect each: a suite that does not find it is worth nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crossdock::Result;
use crossdock::activity::{
    Activity, ActivityFilter, ActivityStore, ChainAnchor, ChainEnds, ChainEntry, ChainPlace, Link,
};
use crossdock::adapters::memory::MemoryStore;
use crossdock::primitives::{ActivityId, Page, PageRequest};
use crossdock::tenancy::TenantId;
use crossdock::testing::conformance::{Check, StoreHarness, Stores, store_suite};
use libtest_mimic::Trial;

use super::run;
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    [
        ("a_log_without_a_defect_passes", Defect::None, &[][..]),
        (
            "a_log_that_shows_another_tenants_entries_is_found",
            Defect::Leak,
            &["activity::a_page_holds_the_tenants_entries_only", "chain::each_tenant_has_a_chain_of_its_own"],
        ),
        (
            "a_log_that_does_not_know_errors_is_found",
            Defect::NoErrors,
            &["activity::a_filter_narrows_by_each_of_its_fields", "activity::an_error_is_told_by_its_kind"],
        ),
        (
            "a_log_that_writes_an_entry_twice_is_found",
            Defect::Twice,
            &[
                "activity::an_entry_that_is_there_is_not_written_again",
                "chain::an_entry_that_is_written_again_is_not_chained_again",
            ],
        ),
        (
            "a_log_that_appends_for_one_tenant_is_found",
            Defect::OneTenant,
            &["activity::entries_of_several_tenants_are_appended_in_one_step"],
        ),
        (
            "a_chain_of_everything_is_found",
            Defect::Everything,
            &[
                "chain::what_is_administrative_is_chained_and_nothing_else",
                "chain::what_settle_writes_is_never_chained",
            ],
        ),
        (
            "a_chain_without_what_was_appended_is_found",
            Defect::Unappended,
            &["chain::what_is_administrative_is_chained_and_nothing_else"],
        ),
        (
            "a_chain_that_forks_is_found",
            Defect::Fork,
            &["chain::steps_that_run_at_once_share_no_number_and_leave_none_out"],
        ),
        (
            "a_chain_in_the_order_of_ids_is_found",
            Defect::ById,
            &["chain::a_chain_is_read_in_order_each_entry_once"],
        ),
        (
            "a_chain_that_skips_at_the_end_of_a_page_is_found",
            Defect::Skips,
            &["chain::a_chain_is_read_in_order_each_entry_once"],
        ),
        (
            "a_chain_that_forgets_what_retention_has_cut_is_found",
            Defect::NoBase,
            &[
                "chain::retention_drops_a_chain_from_its_beginning",
                "chain::a_chain_that_is_dropped_as_a_whole_goes_on",
            ],
        ),
        (
            "a_chain_whose_head_lags_behind_is_found",
            Defect::OldHead,
            &["chain::every_step_that_an_administrator_takes_chains_its_entries"],
        ),
        (
            "a_chain_without_contents_is_found",
            Defect::Hollow,
            &["chain::what_is_administrative_is_chained_and_nothing_else"],
        ),
    ]
    .map(|(name, defect, expected)| {
        rule(&format!("conformance::defects::{name}"), move || is_found(defect, expected))
    })
    .into()
}

fn is_found(defect: Defect, expected: &[&str]) -> std::result::Result<(), String> {
    let is_about = |check: &Check<dyn StoreHarness>| {
        ["activity::", "chain::"].iter().any(|suite| check.name().starts_with(suite))
    };
    let failing = |check: &Check<dyn StoreHarness>| run(check.run(Arc::new(Workshop(defect)))).is_err();
    let checks = store_suite().into_iter().filter(is_about);
    let found: Vec<_> = checks.filter(failing).map(|check| check.name()).collect();
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
    /// It shows everybody the entries of one tenant.
    Leak,
    /// It looks at no kind when errors are asked for.
    NoErrors,
    /// It gives an entry that is there another id.
    Twice,
    /// It appends the first tenant's entries.
    OneTenant,
    /// It chains every entry.
    Everything,
    /// It does not chain what is appended.
    Unappended,
    /// Two of many entries share a number.
    Fork,
    /// It reads a chain in the order of ids.
    ById,
    /// Of a page that is full it keeps the last one to itself.
    Skips,
    /// It does not remember what retention has cut.
    NoBase,
    /// It tells the head before the last one.
    OldHead,
    /// It does not give the contents.
    Hollow,
}

#[derive(Debug)]
struct Workshop(Defect);

#[async_trait]
impl StoreHarness for Workshop {
    async fn fresh(&self) -> Result<Stores> {
        let inner = Arc::new(MemoryStore::new());
        let log = Log { inner: (*inner).clone(), defect: self.0, appended: Mutex::default() };
        Ok(Stores::new(inner.clone(), inner, Arc::new(log)))
    }
}

#[derive(Debug)]
struct Log {
    inner: MemoryStore,
    defect: Defect,
    appended: Mutex<HashSet<ActivityId>>,
}

impl Log {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn whose(&self, tenant: &TenantId) -> TenantId {
        match self.defect {
            Defect::Leak => "other".parse().expect("a tenant"),
            _ => tenant.clone(),
        }
    }

    /// The whole chain, bent.
    async fn whole(&self, tenant: &TenantId) -> Result<Vec<ChainEntry>> {
        let mut entries = self.inner.chain(&self.whose(tenant), None, usize::MAX).await?;
        match self.defect {
            Defect::Everything => {
                let page = PageRequest::first(1_000);
                let mut log = self.inner.activity(tenant, &ActivityFilter::default(), page).await?.items;
                log.reverse();
                entries = chained(log);
            }
            Defect::Unappended => {
                let appended = self.appended.lock().expect("no panic under the lock");
                entries.retain(|entry| !appended.contains(&entry.id));
            }
            Defect::Fork if entries.len() > 20 => entries[20].link.sequence = entries[19].link.sequence,
            Defect::ById => entries.sort_by_key(|entry| entry.id),
            Defect::Hollow => entries.iter_mut().for_each(|entry| entry.entry = None),
            _ => {}
        }
        Ok(entries)
    }
}

fn chained(entries: Vec<Activity>) -> Vec<ChainEntry> {
    let mut head = ChainAnchor::BEGINNING;
    let chain = |entry: Activity| {
        let link = Link::behind(head, entry.digest());
        head = link.anchor();
        ChainEntry::new(entry.id, link, Some(entry))
    };
    entries.into_iter().map(chain).collect()
}

#[async_trait]
impl ActivityStore for Log {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        let mut filter = filter.clone();
        filter.errors_only &= !self.is(Defect::NoErrors);
        self.inner.activity(&self.whose(tenant), &filter, page).await
    }

    async fn append(&self, mut entries: Vec<Activity>) -> Result<()> {
        if self.is(Defect::OneTenant) {
            let first = entries.first().map(|entry| entry.tenant.clone());
            entries.retain(|entry| Some(&entry.tenant) == first.as_ref());
        }
        for entry in &mut entries {
            let is_new = self.appended.lock().expect("no panic under the lock").insert(entry.id);
            if self.is(Defect::Twice) && !is_new {
                let mut bytes = entry.id.as_uuid().into_bytes();
                bytes[9] ^= 1;
                entry.id = ActivityId::from_uuid(uuid::Uuid::from_bytes(bytes));
            }
        }
        self.inner.append(entries).await
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        behind: Option<ChainPlace>,
        limit: usize,
    ) -> Result<Vec<ChainEntry>> {
        let mut entries = self.whole(tenant).await?;
        let begin = behind
            .and_then(|behind| entries.iter().position(|entry| entry.place() == behind))
            .map_or(0, |place| place + 1);
        entries.drain(..begin);
        if self.is(Defect::Skips) && entries.len() > limit {
            entries.remove(limit - 1);
        }
        entries.truncate(limit);
        Ok(entries)
    }

    async fn chain_ends(&self, tenant: &TenantId) -> Result<ChainEnds> {
        let mut ends = self.inner.chain_ends(&self.whose(tenant)).await?;
        let entries = self.whole(tenant).await?;
        match self.defect {
            Defect::NoBase => ends.base = ChainAnchor::BEGINNING,
            Defect::OldHead if entries.len() > 1 => ends.head = entries[entries.len() - 2].link.anchor(),
            Defect::Everything => {
                ends.head = entries.last().map_or(ChainAnchor::BEGINNING, |entry| entry.link.anchor());
            }
            _ => {}
        }
        Ok(ends)
    }
}
