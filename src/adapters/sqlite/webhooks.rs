//! Webhooks as an administrator changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::params;

use crate::activity::model::Activity;
use crate::adapters::sqlite::activity::note;
use crate::adapters::sqlite::columns::{
    count, limit, signed, stored, tenant as read_tenant, time, unsigned, uuid,
};
use crate::adapters::sqlite::fault::{Done, Fault, corrupt};
use crate::adapters::sqlite::lane::{Caps, Lane, State, webhook_at};
use crate::adapters::sqlite::order::end_unclaimed;
use crate::adapters::sqlite::replays::cancel_running;
use crate::adapters::sqlite::session::Session;
use crate::error::ErrorKind;
use crate::lanes::throttle::TokenBucket;
use crate::primitives::id::WebhookId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::changes::check_changes;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{DisableReason, TenantDefaults, Version, Webhook};
use crate::webhooks::repository::{Backlog, Change, Release, Resealed};

pub(super) fn save(
    session: &Session<'_>,
    tenant: &TenantId,
    changes: &[Change],
    activity: &[Activity],
    now: DateTime<Utc>,
) -> Done<()> {
    check(session, tenant, changes)?;
    let caps = Caps::present(session)?;
    for change in changes {
        let lane = match change {
            Change::Insert(webhook) => {
                let mut lane = Lane::find_or_make(session, tenant, webhook.id)?;
                replace(session, &mut lane, webhook, now)?;
                lane
            }
            Change::Replace { webhook, release, .. } => {
                let mut lane = Lane::find_or_make(session, tenant, webhook.id)?;
                replace(session, &mut lane, webhook, now)?;
                if *release == Release::Release {
                    lane.release();
                }
                lane
            }
            Change::Remove { id, .. } => remove(session, tenant, *id, now)?,
            Change::Defaults { defaults, .. } => {
                save_defaults(session, defaults)?;
                continue;
            }
            Change::AtMost(_) => continue,
        };
        lane.save(session, caps, now)?;
    }
    note(session, activity)
}

/// Whether all changes can be made, one after the other.
fn check(session: &Session<'_>, tenant: &TenantId, changes: &[Change]) -> Done<()> {
    let counts = changes.iter().any(|change| matches!(change, Change::AtMost(_)));
    let mut versions = if counts { versions_of(session, tenant)? } else { BTreeMap::new() };
    for change in changes {
        let id = match change {
            Change::Insert(webhook) | Change::Replace { webhook, .. } => webhook.id,
            Change::Remove { id, .. } => *id,
            Change::Defaults { .. } | Change::AtMost(_) => continue,
        };
        if let Some(lane) = Lane::find_present(session, tenant, id)?
            && let Some(webhook) = lane.webhook(session)?
        {
            versions.insert(id, webhook.version);
        }
    }
    let defaults = defaults_of(session, tenant)?.version;
    Ok(check_changes(tenant, changes, versions, defaults)?)
}

/// The versions of all webhooks of a tenant.
fn versions_of(session: &Session<'_>, tenant: &TenantId) -> Done<BTreeMap<WebhookId, Version>> {
    let all = session.all(VERSIONS, [tenant.as_str()], |row| {
        Ok((WebhookId::from_uuid(uuid(row, 0)?), Version::new(unsigned(row.get(1)?))))
    })?;
    Ok(all.into_iter().collect())
}

/// Puts a webhook in the place of the one that was there, if any; the lane is not saved yet.
fn replace(session: &Session<'_>, lane: &mut Lane, webhook: &Webhook, now: DateTime<Utc>) -> Done<()> {
    let before = lane.webhook(session)?;
    if before.is_none_or(|before| before.rate_limit != webhook.rate_limit) {
        lane.bucket = webhook.rate_limit.map(|limit| TokenBucket::full(&limit, now));
        lane.rate_at = None;
    }
    write(session, lane, webhook)?;
    lane.state = State::of(webhook);
    match lane.state.refusal() {
        Some(reason) => end_unclaimed(session, lane.n, reason, now),
        None => Ok(()),
    }
}

/// Writes the record, as a new revision.
fn write(session: &Session<'_>, lane: &mut Lane, webhook: &Webhook) -> Done<()> {
    lane.revision += 1;
    let version = signed(webhook.version.number());
    session.run(WRITE, params![lane.n, version, webhook.to_stored()?])?;
    Ok(())
}

fn remove(session: &Session<'_>, tenant: &TenantId, id: WebhookId, now: DateTime<Utc>) -> Done<Lane> {
    let mut lane = Lane::find_or_make(session, tenant, id)?;
    session.run(REMOVE, [lane.n])?;
    lane.state = State::Gone;
    lane.revision += 1;
    lane.health = WebhookHealth::default();
    lane.release();
    cancel_running(session, lane.n, now)?;
    if let Some(reason) = lane.state.refusal() {
        end_unclaimed(session, lane.n, reason, now)?;
    }
    Ok(lane)
}

/// Disables a webhook unless it is disabled or gone; says whether it did. The lane is not saved yet.
pub(super) fn disable(
    session: &Session<'_>,
    lane: &mut Lane,
    reason: DisableReason,
    now: DateTime<Utc>,
) -> Done<bool> {
    let Some(present) = lane.webhook(session)?.filter(|webhook| webhook.is_enabled()) else {
        return Ok(false);
    };
    let mut webhook = (*present).clone();
    webhook.disable(reason, now);
    replace(session, lane, &webhook, now)?;
    Ok(true)
}

fn save_defaults(session: &Session<'_>, defaults: &TenantDefaults) -> Done<()> {
    let version = signed(defaults.version.number());
    session.run(WRITE_DEFAULTS, params![defaults.tenant.as_str(), version, defaults.to_stored()?])?;
    Ok(())
}

/// What applies to all webhooks of a tenant that do not say otherwise.
pub(super) fn defaults_of(session: &Session<'_>, tenant: &TenantId) -> Done<Arc<TenantDefaults>> {
    let Some(revision) = session.number(DEFAULTS_REVISION, [tenant.as_str()])? else {
        return Ok(Arc::new(TenantDefaults::new(tenant.clone())));
    };
    if let Some(defaults) = session.known_defaults(tenant.as_str(), revision) {
        return Ok(defaults);
    }
    let defaults = session.first(DEFAULTS, [tenant.as_str()], |row| stored::<TenantDefaults>(row, 0))?;
    let defaults = Arc::new(defaults.ok_or_else(|| corrupt("defaults have no record"))?);
    session.keep_defaults(tenant.as_str(), revision, &defaults);
    Ok(defaults)
}

pub(super) fn webhook(session: &Session<'_>, tenant: &TenantId, id: WebhookId) -> Done<Option<Arc<Webhook>>> {
    match Lane::find(session, tenant, id)? {
        Some(lane) => lane.webhook(session),
        None => Ok(None),
    }
}

pub(super) fn webhooks(
    session: &Session<'_>,
    tenant: &TenantId,
    page: PageRequest,
) -> Done<Page<Arc<Webhook>>> {
    let behind = page.cursor().map_or([0; 16], |cursor| cursor.row().into_bytes());
    let found = session.all(LIST, params![tenant.as_str(), behind, limit(page.limit() + 1)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let found: Vec<_> =
        found.into_iter().map(|(lane, revision)| webhook_at(session, lane, revision)).collect::<Done<_>>()?;
    Ok(Page::cut(found, page, |webhook| Cursor::behind(webhook.id.as_uuid())))
}

pub(super) fn health(
    session: &Session<'_>,
    tenant: &TenantId,
    webhook: WebhookId,
) -> Done<Option<WebhookHealth>> {
    Ok(Lane::find_present(session, tenant, webhook)?.map(|lane| lane.health))
}

pub(super) fn backlog(
    session: &Session<'_>,
    tenant: &TenantId,
    webhook: Option<WebhookId>,
    now: DateTime<Utc>,
) -> Done<Backlog> {
    let mut backlog = Backlog::default();
    let lanes = match webhook {
        None => session.all(LANES, [tenant.as_str()], |row| Ok(row.get(0)?))?,
        Some(id) => {
            let lane = Lane::find(session, tenant, id)?;
            let holds = lane.iter().flat_map(|lane| [lane.held_until, lane.brake.open_until()]).flatten();
            backlog.held_until = holds.max().filter(|&until| now < until);
            lane.into_iter().map(|lane| lane.n).collect::<Vec<i64>>()
        }
    };
    for lane in lanes {
        let found =
            session.first(UNDELIVERED, [lane], |row| Ok((count(row, 0)?, row.get::<_, Option<i64>>(1)?)))?;
        if let Some((undelivered, oldest)) = found {
            backlog.undelivered += undelivered;
            backlog.oldest = backlog.oldest.into_iter().chain(oldest.map(time)).min();
        }
    }
    Ok(backlog)
}

/// Tenants that have a webhook or defaults, in the order of their ids.
pub(super) fn tenants(session: &Session<'_>, after: Option<&TenantId>, most: usize) -> Done<Vec<TenantId>> {
    // Every id is longer than the empty text.
    let after = after.map_or("", TenantId::as_str);
    session.all(TENANTS, params![after, limit(most)], |row| read_tenant(row, 0))
}

/// Puts seals in the place of others; says how many.
pub(super) fn reseal(session: &Session<'_>, tenant: &TenantId, seals: &[Resealed]) -> Done<u64> {
    let mut resealed = 0;
    for Resealed { webhook, before, after } in seals {
        match webhook {
            None => {
                let mut defaults = (*defaults_of(session, tenant)?).clone();
                if defaults.version != Version::NONE && defaults.reseal(before, after) {
                    save_defaults(session, &defaults)?;
                    resealed += 1;
                }
            }
            Some(id) => {
                let Some(mut lane) = Lane::find_present(session, tenant, *id)? else { continue };
                let Some(present) = lane.webhook(session)? else { continue };
                let mut webhook = (*present).clone();
                if webhook.reseal(before, after) {
                    write(session, &mut lane, &webhook)?;
                    session.run(REVISED, [lane.n, lane.revision])?;
                    resealed += 1;
                }
            }
        }
    }
    Ok(resealed)
}

pub(super) fn missing(step: &'static str) -> Fault {
    Fault::new(ErrorKind::NotFound, step)
}

const VERSIONS: &str = "SELECT l.webhook, w.version FROM crossdock_lane l \
    CROSS JOIN crossdock_webhook w ON w.lane = l.n WHERE l.tenant = ?1";
const WRITE: &str = "INSERT INTO crossdock_webhook (lane, version, body) VALUES (?1, ?2, ?3) \
    ON CONFLICT (lane) DO UPDATE SET version = excluded.version, body = excluded.body";
const REVISED: &str = "UPDATE crossdock_lane SET revision = ?2 WHERE n = ?1";
const REMOVE: &str = "DELETE FROM crossdock_webhook WHERE lane = ?1";
const WRITE_DEFAULTS: &str = "INSERT INTO crossdock_defaults (tenant, version, revision, body) VALUES (?1, ?2, 1, ?3) \
    ON CONFLICT (tenant) DO UPDATE \
    SET version = excluded.version, revision = crossdock_defaults.revision + 1, body = excluded.body";
const DEFAULTS_REVISION: &str = "SELECT revision FROM crossdock_defaults WHERE tenant = ?1";
const DEFAULTS: &str = "SELECT body FROM crossdock_defaults WHERE tenant = ?1";
const LIST: &str = "SELECT n, revision FROM crossdock_lane \
    WHERE tenant = ?1 AND webhook > ?2 AND state <> 3 ORDER BY webhook LIMIT ?3";
const LANES: &str = "SELECT n FROM crossdock_lane WHERE tenant = ?1";
const UNDELIVERED: &str = "SELECT count(*), min(created_at) FROM crossdock_work WHERE lane = ?1";
const TENANTS: &str = "SELECT DISTINCT tenant FROM crossdock_lane WHERE tenant > ?1 AND state <> 3 \
    UNION SELECT tenant FROM crossdock_defaults WHERE tenant > ?1 ORDER BY tenant LIMIT ?2";
