//! What an administrator sees and changes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use crossdock::activity::{Activity, ActivityFilter, ActivityStore, ChainEnds, ChainEntry, ChainPlace};
use crossdock::events::Event;
use crossdock::lanes::Brake;
use crossdock::primitives::{Cursor, DeliveryId, EventId, Page, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    Attempt, Backlog, Change, DeadReason, Delivery, DeliveryFilter, DeliveryRecord, DeliveryStatus,
    Durability, Erasure, Include, Origin, Release, Replay, ReplayFilter, ReplayState, Resealed, SkipReason,
    StoppedHead, TenantDefaults, Version, Webhook, WebhookHealth, WebhookRepository,
};
use crossdock::{ErrorKind, Result};

use super::SimpleStore;
use super::data::{Data, Hook, Row, StoredEvent, Time, error};

#[async_trait::async_trait]
impl WebhookRepository for SimpleStore {
    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<Change>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut data = self.data();
        data.check(tenant, &changes)?;
        for change in changes {
            let changed = data.apply(tenant, change, now).map(|id| (tenant.clone(), id));
            if let Some(name) = changed.filter(|name| !data.is_enabled(name)) {
                data.skip_refused(now, |row| row.name() == name);
            }
        }
        data.note(&activity);
        Ok(())
    }

    async fn webhook(&self, tenant: &TenantId, id: WebhookId) -> Result<Option<Arc<Webhook>>> {
        Ok(self.data().hook(tenant, id).map(|hook| hook.webhook.clone()))
    }

    async fn webhooks(&self, tenant: &TenantId, asked: PageRequest) -> Result<Page<Arc<Webhook>>> {
        let data = self.data();
        let mine = data.hooks.values().map(|hook| &hook.webhook).filter(|webhook| webhook.tenant == *tenant);
        let behind =
            mine.filter(|webhook| asked.cursor().is_none_or(|cursor| cursor.row() < webhook.id.as_uuid()));
        Ok(Page::cut(behind.cloned(), asked, |webhook| Cursor::behind(webhook.id.as_uuid())))
    }

    async fn defaults(&self, tenant: &TenantId) -> Result<Arc<TenantDefaults>> {
        let stored = self.data().defaults.get(tenant).cloned();
        Ok(stored.unwrap_or_else(|| Arc::new(TenantDefaults::new(tenant.clone()))))
    }

    async fn health(&self, tenant: &TenantId, webhook: WebhookId) -> Result<Option<WebhookHealth>> {
        Ok(self.data().hook(tenant, webhook).map(|hook| hook.health))
    }

    async fn backlog(
        &self,
        tenant: &TenantId,
        webhook: Option<WebhookId>,
        now: DateTime<Utc>,
    ) -> Result<Backlog> {
        let data = self.data();
        let mut backlog = Backlog::default();
        let mine = data.rows.values().filter(|row| row.waits() && row.delivery.tenant == *tenant);
        for row in mine.filter(|row| webhook.is_none_or(|webhook| webhook == row.delivery.webhook)) {
            backlog.undelivered += 1;
            let made = row.delivery.created_at;
            backlog.oldest = Some(backlog.oldest.map_or(made, |oldest| oldest.min(made)));
        }
        if let Some(hook) = webhook.and_then(|webhook| data.hook(tenant, webhook)) {
            let held_until = hook.held_until.max(hook.brake.open_until());
            backlog.held_until = held_until.filter(|until| now < *until);
        }
        Ok(backlog)
    }

    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Arc<Event>>> {
        let data = self.data();
        let event = data.events.get(&id).filter(|stored| stored.event.head.tenant == *tenant);
        Ok(event.map(|stored| stored.event.clone()))
    }

    async fn deliveries(
        &self,
        tenant: &TenantId,
        filter: &DeliveryFilter,
        include: Include,
        asked: PageRequest,
    ) -> Result<Page<DeliveryRecord>> {
        let data = self.data();
        let mine = data.rows.values().rev().filter(|row| row.delivery.tenant == *tenant);
        let behind =
            mine.filter(|row| asked.cursor().is_none_or(|cursor| row.delivery.id.as_uuid() < cursor.row()));
        let wanted = behind.filter(|row| filter.matches(&row.delivery));
        let records = wanted.map(|row| data.record(row, include));
        Ok(Page::cut(records, asked, |record: &DeliveryRecord| Cursor::behind(record.delivery.id.as_uuid())))
    }

    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
        include: Include,
    ) -> Result<Option<DeliveryRecord>> {
        let data = self.data();
        Ok(data.row(tenant, id).map(|row| data.record(row, include)))
    }

    async fn record_test(
        &self,
        event: Arc<Event>,
        delivery: Delivery,
        attempt: Attempt,
        activity: Vec<Activity>,
    ) -> Result<()> {
        let mut data = self.data();
        let mut row = Row::new(delivery, None, 0);
        row.log.push(Arc::new(attempt));
        data.events.insert(event.head.id, StoredEvent { event, has_payload: true });
        data.rows.insert(row.delivery.id, row);
        data.note(&activity);
        Ok(())
    }

    async fn resend(
        &self,
        tenant: &TenantId,
        past: DeliveryId,
        id: DeliveryId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Delivery> {
        let mut data = self.data();
        let row = data.row(tenant, past).ok_or_else(|| error(ErrorKind::NotFound, "resend a delivery"))?;
        let past = row.delivery.clone();
        match data.refusal(&row.name(), past.event) {
            Some(SkipReason::WebhookDisabled) => Err(error(ErrorKind::Conflict, "resend a delivery")),
            Some(_) => Err(error(ErrorKind::NotFound, "resend a delivery")),
            None if data.rows.contains_key(&id) => Err(error(ErrorKind::Conflict, "resend a delivery")),
            None => {
                data.note(&activity);
                Ok(data.send_again(&past, id, Origin::Resend, now))
            }
        }
    }

    async fn preview_replay(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        filter: &ReplayFilter,
    ) -> Result<u64> {
        let data = self.data();
        let missing = || error(ErrorKind::NotFound, "preview a replay");
        data.hook(tenant, webhook).ok_or_else(missing)?;
        Ok(data.replayed(&(tenant.clone(), webhook), filter, None).len() as u64)
    }

    async fn start_replay(&self, mut replay: Replay, activity: Vec<Activity>) -> Result<Replay> {
        replay.matched = self.preview_replay(&replay.tenant, replay.webhook, &replay.filter).await?;
        let mut data = self.data();
        data.replays.insert(replay.id, replay.clone());
        data.note(&activity);
        Ok(replay)
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>> {
        Ok(self.data().replays.get(&id).filter(|replay| replay.tenant == *tenant).cloned())
    }

    async fn replays(&self, tenant: &TenantId, asked: PageRequest) -> Result<Page<Replay>> {
        let data = self.data();
        let mine = data.replays.values().rev().filter(|replay| replay.tenant == *tenant);
        let behind =
            mine.filter(|replay| asked.cursor().is_none_or(|cursor| replay.id.as_uuid() < cursor.row()));
        Ok(Page::cut(behind.cloned(), asked, |replay| Cursor::behind(replay.id.as_uuid())))
    }

    async fn cancel_replay(
        &self,
        tenant: &TenantId,
        id: ReplayId,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replay> {
        let mut data = self.data();
        let replay = data.replays.get_mut(&id).filter(|replay| replay.tenant == *tenant);
        let replay = replay.ok_or_else(|| error(ErrorKind::NotFound, "cancel a replay"))?;
        if replay.state != ReplayState::Running {
            return Err(error(ErrorKind::Conflict, "cancel a replay"));
        }
        (replay.state, replay.updated_at) = (ReplayState::Cancelled, now);
        let replay = replay.clone();
        data.note(&activity);
        Ok(replay)
    }

    async fn release_stopped(
        &self,
        tenant: &TenantId,
        webhook: WebhookId,
        head: StoppedHead,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let mut data = self.data();
        let missing = || error(ErrorKind::NotFound, "release stopped deliveries");
        data.hook(tenant, webhook).ok_or_else(missing)?;
        let name = (tenant.clone(), webhook);
        let mut count = 0;
        let stopped = |row: &&mut Row| row.delivery.status == DeliveryStatus::Stopped && row.name() == name;
        for row in data.rows.values_mut().filter(stopped) {
            count += 1;
            match head {
                StoppedHead::Skip => row.rest(DeliveryStatus::DeadLetter(DeadReason::SkippedByPerson), now),
                _ => {
                    row.delivery.attempts = 0;
                    row.wait_until(now, now);
                }
            }
        }
        data.note(&activity);
        Ok(count)
    }

    async fn erase_subject(
        &self,
        tenant: &TenantId,
        subject: &str,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Erasure> {
        let mut data = self.data();
        let mine = data.events.values().map(|stored| &stored.event.head);
        let mine = mine.filter(|head| head.tenant == *tenant && head.subject.as_deref() == Some(subject));
        let events: Vec<_> = mine.map(|head| head.id).collect();
        let mut erasure = Erasure::default();
        erasure.events = events.iter().filter(|id| data.has_payload(**id)).count() as u64;
        events.iter().for_each(|id| data.drop_payload(*id));
        let is_erased = |row: &Row| events.contains(&row.delivery.event);
        erasure.skipped = data.skip(now, |_, row| is_erased(row).then_some(SkipReason::Erased));
        data.note(&activity);
        Ok(erasure)
    }

    async fn tenants(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<TenantId>> {
        let data = self.data();
        let with_hooks = data.hooks.keys().map(|(tenant, _)| tenant);
        let all: std::collections::BTreeSet<_> = with_hooks.chain(data.defaults.keys()).collect();
        let behind = all.into_iter().filter(|tenant| after.is_none_or(|after| after < *tenant));
        Ok(behind.take(limit).cloned().collect())
    }

    async fn reseal(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64> {
        let mut data = self.data();
        let mut count = 0;
        for seal in seals {
            let was_there = match seal.webhook {
                Some(id) => data
                    .hooks
                    .get_mut(&(tenant.clone(), id))
                    .is_some_and(|hook| Arc::make_mut(&mut hook.webhook).reseal(&seal.before, &seal.after)),
                None => data
                    .defaults
                    .get_mut(tenant)
                    .is_some_and(|defaults| Arc::make_mut(defaults).reseal(&seal.before, &seal.after)),
            };
            count += u64::from(was_there);
        }
        Ok(count)
    }
}

#[async_trait::async_trait]
impl ActivityStore for SimpleStore {
    async fn activity(
        &self,
        tenant: &TenantId,
        filter: &ActivityFilter,
        asked: PageRequest,
    ) -> Result<Page<Activity>> {
        let data = self.data();
        let mine = data.log.values().rev().filter(|entry| entry.tenant == *tenant && filter.matches(entry));
        let behind =
            mine.filter(|entry| asked.cursor().is_none_or(|cursor| entry.id.as_uuid() < cursor.row()));
        Ok(Page::cut(behind.cloned(), asked, |entry| Cursor::behind(entry.id.as_uuid())))
    }

    async fn append(&self, entries: Vec<Activity>) -> Result<()> {
        self.data().note(&entries);
        Ok(())
    }

    async fn chain(
        &self,
        tenant: &TenantId,
        behind: Option<ChainPlace>,
        limit: usize,
    ) -> Result<Vec<ChainEntry>> {
        let data = self.data();
        let links = data.chains.get(tenant).into_iter().flat_map(|chain| &chain.links);
        let contents = |id| data.log.get(&(id, tenant.clone())).cloned();
        let entries = links.map(|((_, id), link)| ChainEntry::new(*id, *link, contents(*id)));
        let wanted = entries.filter(|entry| behind.is_none_or(|behind| behind < entry.place()));
        Ok(wanted.take(limit).collect())
    }

    async fn chain_ends(&self, tenant: &TenantId) -> Result<ChainEnds> {
        Ok(self.data().chains.get(tenant).map(|chain| chain.ends).unwrap_or_default())
    }
}

impl Data {
    /// Whether all changes can be made, one after the other.
    fn check(&self, tenant: &TenantId, changes: &[Change]) -> Result<()> {
        let step = "save webhooks";
        let stored = self.hooks.values().filter(|hook| hook.webhook.tenant == *tenant);
        let mut versions: std::collections::BTreeMap<_, _> =
            stored.map(|hook| (hook.webhook.id, hook.webhook.version)).collect();
        let mut defaults_version =
            self.defaults.get(tenant).map_or(Version::NONE, |defaults| defaults.version);
        for change in changes {
            if let Change::AtMost(most) = change {
                if versions.len() > *most {
                    return Err(error(ErrorKind::Conflict, step));
                }
                continue;
            }
            let present = match change {
                Change::Insert(webhook) | Change::Replace { webhook, .. } => {
                    versions.get(&webhook.id).copied()
                }
                Change::Remove { id, .. } => versions.get(id).copied(),
                _ => Some(defaults_version),
            };
            let (owner, expected) = match change {
                Change::Insert(webhook) => (&webhook.tenant, None),
                Change::Replace { webhook, expected, .. } => (&webhook.tenant, Some(*expected)),
                Change::Remove { expected, .. } => (tenant, Some(*expected)),
                Change::Defaults { defaults, expected } => (&defaults.tenant, Some(*expected)),
                _ => return Err(error(ErrorKind::Internal, step)),
            };
            if expected.is_some() && present.is_none() {
                return Err(error(ErrorKind::NotFound, step));
            }
            if owner != tenant {
                return Err(error(ErrorKind::Invalid, step));
            }
            if expected != present {
                return Err(error(ErrorKind::Conflict, step));
            }
            match change {
                Change::Insert(webhook) | Change::Replace { webhook, .. } => {
                    versions.insert(webhook.id, webhook.version);
                }
                Change::Remove { id, .. } => {
                    versions.remove(id);
                }
                Change::Defaults { defaults, .. } => defaults_version = defaults.version,
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a change; says of which webhook.
    fn apply(&mut self, tenant: &TenantId, change: Change, now: Time) -> Option<WebhookId> {
        match change {
            Change::Insert(webhook) => {
                let id = webhook.id;
                self.hooks.insert((tenant.clone(), id), Hook::new(webhook));
                Some(id)
            }
            Change::Replace { webhook, release, .. } => {
                let id = webhook.id;
                let hook = self.hooks.get_mut(&(tenant.clone(), id))?;
                hook.webhook = Arc::new(webhook);
                if release == Release::Release {
                    (hook.held_until, hook.brake, hook.health) =
                        (None, Brake::RELEASED, hook.health.forgiven());
                    hook.brake_version += 1;
                }
                Some(id)
            }
            Change::Remove { id, .. } => {
                self.hooks.remove(&(tenant.clone(), id));
                let running = self.replays.values_mut().filter(|replay| replay.state == ReplayState::Running);
                for replay in running.filter(|replay| replay.tenant == *tenant && replay.webhook == id) {
                    (replay.state, replay.updated_at) = (ReplayState::Cancelled, now);
                }
                Some(id)
            }
            Change::Defaults { defaults, .. } => {
                self.defaults.insert(tenant.clone(), Arc::new(defaults));
                None
            }
            _ => None,
        }
    }

    fn record(&self, row: &Row, include: Include) -> DeliveryRecord {
        let event = self.events.get(&row.delivery.event).filter(|event| include.payload && event.has_payload);
        let mut attempts = if include.attempts { row.log.clone() } else { Vec::new() };
        attempts.sort_by_key(|attempt| (attempt.started_at, attempt.id));
        DeliveryRecord::new(row.delivery.clone())
            .with_payload(event.map(|event| event.event.payload.clone()))
            .with_attempts(attempts)
    }
}
