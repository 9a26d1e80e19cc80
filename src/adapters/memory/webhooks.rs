//! Webhooks as an administrator changes them.

use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::Activity;
use crate::adapters::memory::group::Group;
use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{State, Tenant};
use crate::error::Result;
use crate::lanes::throttle::TokenBucket;
use crate::primitives::id::WebhookId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::changes::check_changes;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{DeliveryStatus, ReplayState, Version, Webhook};
use crate::webhooks::repository::{Backlog, Change, Release, Resealed};

impl State {
    pub(super) fn save(
        &mut self,
        tenant: &TenantId,
        changes: Vec<Change>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let known = self.tenant(tenant);
        let groups = known.into_iter().flat_map(|known| known.groups.values());
        let webhooks = groups.filter_map(|&slot| self.groups[slot].webhook.as_ref());
        let versions = webhooks.map(|webhook| (webhook.id, webhook.version)).collect();
        let defaults = known.map_or(Version::NONE, |known| known.defaults.version);
        check_changes(tenant, &changes, versions, defaults)?;

        let tenant = self.tenant_slot(tenant);
        for change in changes {
            match change {
                Change::Insert(webhook) => {
                    let slot = self.group_slot(tenant, webhook.id);
                    self.replace_webhook(slot, webhook, now);
                }
                Change::Replace { webhook, release, .. } => {
                    let slot = self.group_slot(tenant, webhook.id);
                    self.replace_webhook(slot, webhook, now);
                    if release == Release::Release {
                        self.groups[slot].release();
                    }
                }
                Change::Remove { id, .. } => self.remove_webhook(tenant, id, now),
                Change::Defaults { defaults, .. } => self.tenants[tenant].defaults = Arc::new(defaults),
                Change::AtMost(_) => {}
            }
        }
        self.note(&activity);
        self.finish_step(now);
        Ok(())
    }

    /// Puts a webhook in the place of the one that was there, if any.
    pub(super) fn replace_webhook(&mut self, slot: Slot<Group>, webhook: Webhook, now: DateTime<Utc>) {
        let group = &mut self.groups[slot];
        let rate_limit = webhook.rate_limit;
        let same_rate = group.webhook.as_ref().is_some_and(|before| before.rate_limit == rate_limit);
        group.webhook = Some(Arc::new(webhook));
        if !same_rate {
            group.bucket = rate_limit.map(|limit| TokenBucket::full(&limit, now));
            group.rate_at = None;
        }
        self.tenants[group.tenant].listed = None;
        self.skip_if_refused(slot, now);
    }

    fn remove_webhook(&mut self, tenant: Slot<Tenant>, id: WebhookId, now: DateTime<Utc>) {
        let slot = self.group_slot(tenant, id);
        let group = &mut self.groups[slot];
        group.webhook = None;
        group.health = WebhookHealth::default();
        group.release();
        self.tenants[tenant].listed = None;
        for replay in self.running_of(slot) {
            self.end_replay(replay, ReplayState::Cancelled, now);
        }
        self.skip_if_refused(slot, now);
    }

    /// Ends what nobody has claimed as skipped if the webhook is disabled or gone.
    fn skip_if_refused(&mut self, slot: Slot<Group>, now: DateTime<Utc>) {
        self.touch(slot);
        let Some(reason) = self.groups[slot].refusal() else { return };
        let undelivered = mem::take(&mut self.groups[slot].undelivered);
        if self.groups[slot].orders.is_empty() {
            // Everything in these lanes ends: emptied at once, they need not be emptied one by one.
            self.groups[slot].live.clear();
            self.groups[slot].replay.clear();
        }
        for (made, row) in undelivered {
            if self.rows[row].is_leased(now) {
                self.groups[slot].undelivered.insert((made, row));
            } else {
                self.end(row, DeliveryStatus::Skipped(reason), now);
            }
        }
    }

    pub(super) fn webhooks(&self, tenant: &TenantId, page: PageRequest) -> Page<Arc<Webhook>> {
        let Some(tenant) = self.tenant(tenant) else { return Page::new(Vec::new(), None) };
        let begin = page
            .cursor()
            .map_or(Bound::Unbounded, |cursor| Bound::Excluded(WebhookId::from_uuid(cursor.row())));
        let all = tenant.groups.range((begin, Bound::Unbounded));
        let webhooks = all.filter_map(|(_, &slot)| self.groups[slot].webhook.clone());
        Page::cut(webhooks, page, |webhook| Cursor::behind(webhook.id.as_uuid()))
    }

    /// Tenants that have a webhook or defaults, in the order of their ids.
    pub(super) fn tenants_behind(&self, after: Option<&TenantId>, limit: usize) -> Vec<TenantId> {
        let has_something = |tenant: &&Tenant| {
            tenant.defaults.version != Version::NONE
                || tenant.groups.values().any(|&slot| self.groups[slot].webhook.is_some())
        };
        let slots = self.tenant_by_id.iter().filter(|(id, _)| after.is_none_or(|after| after < *id));
        let tenants = slots.map(|(_, &slot)| &self.tenants[slot]).filter(has_something);
        let mut ids: Vec<_> = tenants.map(|tenant| tenant.id.clone()).collect();
        ids.sort_unstable();
        ids.truncate(limit);
        ids
    }

    /// Puts seals in the place of others; says how many.
    pub(super) fn reseal(&mut self, tenant: &TenantId, seals: &[Resealed]) -> u64 {
        let Some(&tenant) = self.tenant_by_id.get(tenant) else { return 0 };
        let mut count = 0;
        for Resealed { webhook, before, after } in seals {
            let was_there = match webhook {
                None => Arc::make_mut(&mut self.tenants[tenant].defaults).reseal(before, after),
                Some(id) => self.tenants[tenant].groups.get(id).is_some_and(|&slot| {
                    let webhook = self.groups[slot].webhook.as_mut();
                    webhook.is_some_and(|webhook| Arc::make_mut(webhook).reseal(before, after))
                }),
            };
            count += u64::from(was_there);
        }
        self.tenants[tenant].listed = None;
        count
    }

    pub(super) fn backlog(
        &self,
        tenant: &TenantId,
        webhook: Option<WebhookId>,
        now: DateTime<Utc>,
    ) -> Backlog {
        let Some(tenant) = self.tenant(tenant) else { return Backlog::default() };
        let groups = tenant.groups.iter().filter(|(id, _)| webhook.is_none_or(|wanted| wanted == **id));
        let mut backlog = Backlog::default();
        for group in groups.map(|(_, &slot)| &self.groups[slot]) {
            backlog.undelivered += group.undelivered.len() as u64;
            let oldest = group.undelivered.first().map(|&(at, _)| at);
            backlog.oldest = [backlog.oldest, oldest].into_iter().flatten().min();
            if webhook.is_some() {
                backlog.held_until = group.held_after(now);
            }
        }
        backlog
    }
}
