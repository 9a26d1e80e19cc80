//! API keys and their use.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use crate::activity::model::Activity;
use crate::adapters::memory::MemoryStore;
use crate::api_keys::changes::{PresentKey, check_key_changes};
use crate::api_keys::model::{ApiKey, CallOutcome, DayCount, KeyRecord, KeyUsage, LastUse};
use crate::api_keys::store::{Epoch, KeyChange, KeyFilter, KeyStore, KeysChanged};
use crate::api_keys::token::PublicId;
use crate::error::Result;
use crate::primitives::durability::Durability;
use crate::primitives::id::ApiKeyId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::tenancy::model::TenantId;

/// All keys.
#[derive(Default)]
pub(super) struct Keys {
    tenants: HashMap<TenantId, TenantKeys>,
    by_public_id: HashMap<PublicId, (TenantId, ApiKeyId)>,
    ids: HashSet<ApiKeyId>,
    epoch: u64,
    /// The newest changes, each with its epoch.
    changed: VecDeque<(u64, PublicId)>,
}

#[derive(Default)]
struct TenantKeys {
    keys: BTreeMap<ApiKeyId, Row>,
    /// By line, how many uses are leased.
    used: HashMap<ApiKeyId, u64>,
}

struct Row {
    key: Arc<ApiKey>,
    last: Option<LastUse>,
    counts: BTreeMap<(NaiveDate, CallOutcome), u64>,
}

impl Keys {
    fn check(&self, tenant: &TenantId, changes: &[KeyChange]) -> Result<()> {
        let mut present = BTreeMap::new();
        let (mut taken, mut taken_ids) = (BTreeSet::new(), BTreeSet::new());
        if let Some(tenant) = self.tenants.get(tenant) {
            present.extend(tenant.keys.iter().map(|(id, row)| (*id, PresentKey::of(&row.key))));
        }
        for change in changes {
            let KeyChange::Insert(key) = change else { continue };
            taken.extend(self.by_public_id.contains_key(&key.public_id).then_some(key.public_id));
            taken_ids.extend(self.ids.contains(&key.id).then_some(key.id));
        }
        check_key_changes(tenant, changes, present, taken, taken_ids)
    }

    fn save(&mut self, tenant: &TenantId, changes: Vec<KeyChange>) -> Result<()> {
        self.check(tenant, &changes)?;
        for change in changes {
            let key = match change {
                KeyChange::Insert(key) => {
                    self.by_public_id.insert(key.public_id, (tenant.clone(), key.id));
                    self.ids.insert(key.id);
                    key
                }
                KeyChange::Replace { key, .. } => key,
                KeyChange::AtMost(_) => continue,
            };
            self.epoch += 1;
            self.changed.push_back((self.epoch, key.public_id));
            if self.changed.len() > REMEMBERED {
                self.changed.pop_front();
            }
            let keys = &mut self.tenants.entry(tenant.clone()).or_default().keys;
            match keys.get_mut(&key.id) {
                Some(row) => row.key = Arc::new(key),
                None => {
                    keys.insert(key.id, Row { key: Arc::new(key), last: None, counts: BTreeMap::new() });
                }
            }
        }
        Ok(())
    }

    fn row(&self, tenant: &TenantId, id: ApiKeyId) -> Option<&Row> {
        self.tenants.get(tenant)?.keys.get(&id)
    }

    fn record(&self, tenant: &TenantId, row: &Row) -> KeyRecord {
        let mut record = KeyRecord::new((*row.key).clone());
        record.last.clone_from(&row.last);
        let leased = self.tenants.get(tenant).and_then(|tenant| tenant.used.get(&row.key.line));
        record.used = leased.copied().unwrap_or(0);
        record
    }

    fn changed_since(&self, since: Option<Epoch>, limit: usize) -> KeysChanged {
        let epoch = Epoch::new(self.epoch);
        let Some(since) = since else { return KeysChanged::new(epoch, Some(Vec::new())) };
        let missed = self.epoch.saturating_sub(since.number());
        let remembered = self.changed.len() as u64;
        let newer = self.changed.iter().rev().take_while(|(at, _)| *at > since.number());
        let keys: BTreeSet<_> = newer.map(|(_, key)| *key).collect();
        let all = missed <= remembered && keys.len() <= limit;
        KeysChanged::new(epoch, all.then(|| keys.into_iter().collect()))
    }

    fn add(&mut self, usage: KeyUsage) {
        let row = self.tenants.get_mut(&usage.tenant).and_then(|tenant| tenant.keys.get_mut(&usage.key));
        let Some(row) = row else { return };
        for count in usage.counts {
            let sum = row.counts.entry((count.day, count.outcome)).or_default();
            *sum = sum.saturating_add(count.count);
        }
        row.last = row.last.take().into_iter().chain(usage.last).max_by_key(|last| last.at);
        if let Some(rekeyed) = usage.rekeyed
            && row.key.mac == rekeyed.before
        {
            Arc::make_mut(&mut row.key).mac = rekeyed.after;
        }
    }
}

#[async_trait]
impl KeyStore for MemoryStore {
    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<KeyChange>,
        activity: Vec<Activity>,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        let mut state = self.lock("save keys")?;
        state.keys.save(tenant, changes)?;
        state.note(&activity);
        Ok(())
    }

    async fn find(&self, id: PublicId) -> Result<Option<Arc<ApiKey>>> {
        let state = self.lock("find a key")?;
        let place = state.keys.by_public_id.get(&id);
        Ok(place.and_then(|(tenant, key)| Some(Arc::clone(&state.keys.row(tenant, *key)?.key))))
    }

    async fn changed_since(&self, epoch: Option<Epoch>, limit: usize) -> Result<KeysChanged> {
        Ok(self.lock("hear which keys were changed")?.keys.changed_since(epoch, limit))
    }

    async fn key(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<KeyRecord>> {
        let state = self.lock("read a key")?;
        Ok(state.keys.row(tenant, id).map(|row| state.keys.record(tenant, row)))
    }

    async fn keys(
        &self,
        tenant: &TenantId,
        filter: &KeyFilter,
        page: PageRequest,
        now: DateTime<Utc>,
    ) -> Result<Page<KeyRecord>> {
        let state = self.lock("list keys")?;
        let Some(own) = state.keys.tenants.get(tenant) else { return Ok(Page::new(Vec::new(), None)) };
        let end = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(ApiKeyId::from_uuid(cursor.row())));
        let newest_first = own.keys.range((Bound::Unbounded, end)).rev();
        let records = newest_first.map(|(_, row)| state.keys.record(tenant, row));
        let wanted = records.filter(|record| filter.matches(record, now));
        Ok(Page::cut(wanted, page, |record| Cursor::behind(record.key.id.as_uuid())))
    }

    async fn record_usage(
        &self,
        usage: Vec<KeyUsage>,
        activity: Vec<Activity>,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        let mut state = self.lock("write down how keys were used")?;
        usage.into_iter().for_each(|usage| state.keys.add(usage));
        state.note(&activity);
        Ok(())
    }

    async fn usage(
        &self,
        tenant: &TenantId,
        id: ApiKeyId,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<DayCount>> {
        let state = self.lock("read how a key was used")?;
        let counts = state.keys.row(tenant, id).into_iter().flat_map(|row| &row.counts);
        let wanted = counts.filter(|((day, _), _)| (from..=to).contains(day));
        Ok(wanted.map(|((day, outcome), count)| DayCount::new(*day, *outcome, *count)).collect())
    }

    async fn lease_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        most: u64,
        wanted: u64,
        _now: DateTime<Utc>,
    ) -> Result<u64> {
        let mut state = self.lock("lease uses of a key")?;
        let Some(own) = state.keys.tenants.get_mut(tenant) else { return Ok(0) };
        if !own.keys.contains_key(&line) {
            return Ok(0);
        }
        let used = own.used.entry(line).or_default();
        let granted = wanted.min(most.saturating_sub(*used));
        *used += granted;
        Ok(granted)
    }

    async fn return_uses(
        &self,
        tenant: &TenantId,
        line: ApiKeyId,
        unused: u64,
        _now: DateTime<Utc>,
    ) -> Result<()> {
        let mut state = self.lock("give back uses of a key")?;
        let used = state.keys.tenants.get_mut(tenant).and_then(|own| own.used.get_mut(&line));
        if let Some(used) = used {
            *used = used.saturating_sub(unused);
        }
        Ok(())
    }
}

/// How many changes are remembered for those who ask what has changed.
const REMEMBERED: usize = 10_000;
