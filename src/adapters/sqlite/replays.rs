//! Replays: stored jobs that send past deliveries once more.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::params;

use crate::activity::model::Activity;
use crate::adapters::sqlite::activity::{note, page_of};
use crate::adapters::sqlite::columns::{limit, nanos, stored};
use crate::adapters::sqlite::deliveries::{Wanted, count_wanted, find_wanted, is_known};
use crate::adapters::sqlite::fault::{Done, Fault, readable};
use crate::adapters::sqlite::lane::{Caps, Lane};
use crate::adapters::sqlite::outbox::NewRow;
use crate::adapters::sqlite::session::Session;
use crate::adapters::sqlite::webhooks::missing;
use crate::error::ErrorKind;
use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{Origin, Replay, ReplayFilter, ReplayState};
use crate::webhooks::queue::Advanced;

pub(super) fn preview(
    session: &Session<'_>,
    tenant: &TenantId,
    webhook: WebhookId,
    filter: &ReplayFilter,
    step: &'static str,
) -> Done<u64> {
    let lane = Lane::find_present(session, tenant, webhook)?.ok_or_else(|| missing(step))?;
    count_wanted(session, &Wanted::replayed(lane.n, filter))
}

pub(super) fn start(session: &Session<'_>, replay: &Replay, activity: &[Activity]) -> Done<()> {
    let step = START;
    let lane = Lane::find_present(session, &replay.tenant, replay.webhook)?.ok_or_else(|| missing(step))?;
    let id = replay.id.as_uuid();
    if session.finds(KNOWN, [id.as_bytes()])? {
        return Err(Fault::new(ErrorKind::Conflict, step));
    }
    session.run(INSERT, params![id.as_bytes(), replay.tenant.as_str(), lane.n])?;
    write(session, replay)?;
    note(session, activity)
}

pub(super) fn replay(session: &Session<'_>, tenant: &TenantId, id: ReplayId) -> Done<Option<Replay>> {
    session.first(FIND, params![id.as_uuid().as_bytes(), tenant.as_str()], |row| stored(row, 0))
}

pub(super) fn list(session: &Session<'_>, tenant: &TenantId, page: PageRequest) -> Done<Page<Replay>> {
    let behind = page.cursor().map(|cursor| cursor.row().into_bytes());
    let found = session.all(LIST, params![tenant.as_str(), behind, limit(page.limit() + 1)], |row| {
        stored::<Replay>(row, 0)
    })?;
    Ok(page_of(found, page, |replay| Cursor::behind(replay.id.as_uuid())))
}

pub(super) fn cancel(
    session: &Session<'_>,
    tenant: &TenantId,
    id: ReplayId,
    activity: &[Activity],
    now: DateTime<Utc>,
) -> Done<Replay> {
    let step = "cancel a replay";
    let mut found = replay(session, tenant, id)?.ok_or_else(|| missing(step))?;
    if found.state != ReplayState::Running {
        return Err(Fault::new(ErrorKind::Conflict, step));
    }
    (found.state, found.updated_at) = (ReplayState::Cancelled, now);
    write(session, &found)?;
    note(session, activity)?;
    Ok(found)
}

/// Ends the replays of a webhook that is removed.
pub(super) fn cancel_running(session: &Session<'_>, lane: i64, now: DateTime<Utc>) -> Done<()> {
    for mut replay in session.all(RUNNING_OF_LANE, [lane], |row| stored::<Replay>(row, 0))? {
        (replay.state, replay.updated_at) = (ReplayState::Cancelled, now);
        write(session, &replay)?;
    }
    Ok(())
}

pub(super) fn advance(session: &Session<'_>, ids: &[DeliveryId], now: DateTime<Utc>) -> Done<Advanced> {
    let mut advanced = Advanced::default();
    let mut ids = ids.iter().copied();
    let running = session
        .all(DUE, [nanos(now)], |row| Ok((row.get::<_, i64>(0)?, readable(stored::<Replay>(row, 1))?)))?;
    for (lane, replay) in running {
        // What cannot be read back holds back nobody else.
        let Some(replay) = replay else { continue };
        let lane = Lane::load(session, lane)?;
        // A replay of a disabled webhook waits.
        if lane.state.refusal().is_none() {
            advance_one(session, &lane, replay, &mut ids, &mut advanced, now)?;
        }
    }
    Ok(advanced)
}

fn advance_one(
    session: &Session<'_>,
    lane: &Lane,
    mut replay: Replay,
    ids: &mut impl Iterator<Item = DeliveryId>,
    advanced: &mut Advanced,
    now: DateTime<Utc>,
) -> Done<()> {
    let most = replay.per_second.max(1);
    let wanted = Wanted::replayed(lane.n, &replay.filter).behind(replay.position);
    let rest = find_wanted(session, &wanted, most as usize + 1)?;
    let share = rest.len().min(most as usize);
    let mut made = 0;
    for past in &rest[..share] {
        let Some(id) = next_unused(session, ids)? else { break };
        let (tenant, origin) = (&lane.tenant, Origin::Replay(replay.id));
        let new =
            NewRow { id, tenant, lane: lane.n, event: past.event, event_type: &past.event_type, origin };
        new.send_again(session, now)?;
        replay.position = Some(past.id);
        made += 1;
    }
    advanced.made += made as u64;
    advanced.wanted += (share - made) as u64;
    replay.made += made as u64;
    let parts = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    if made > 0 {
        // As far as the rate has been used: what could not be made for want of ids is due at once. What got nothing keeps its
        // place, and is the first of the next round.
        replay.next_at = now + TimeDelta::seconds(1) * parts(made) / parts(most as usize);
    }
    let is_over = made == rest.len();
    if is_over {
        replay.state = ReplayState::Completed;
        advanced.completed.push((replay.tenant.clone(), replay.webhook, replay.id));
    }
    if made > 0 || is_over {
        replay.updated_at = now;
    }
    write(session, &replay)?;
    lane.save(session, Caps::present(session)?, now)
}

fn next_unused(
    session: &Session<'_>,
    ids: &mut impl Iterator<Item = DeliveryId>,
) -> Done<Option<DeliveryId>> {
    for id in ids {
        if !is_known(session, id)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn write(session: &Session<'_>, replay: &Replay) -> Done<()> {
    let id = replay.id.as_uuid();
    let (next_at, updated_at) = (nanos(replay.next_at), nanos(replay.updated_at));
    let state = replay.state.as_str();
    session.run(WRITE, params![id.as_bytes(), state, next_at, updated_at, replay.to_stored()?])?;
    Ok(())
}

pub(super) const START: &str = "start a replay";
const KNOWN: &str = "SELECT 1 FROM crossdock_replay WHERE id = ?1";
const INSERT: &str = "INSERT INTO crossdock_replay (id, tenant, lane, state, next_at, updated_at, body) \
    VALUES (?1, ?2, ?3, '', 0, 0, '')";
const WRITE: &str =
    "UPDATE crossdock_replay SET state = ?2, next_at = ?3, updated_at = ?4, body = ?5 WHERE id = ?1";
const FIND: &str = "SELECT body FROM crossdock_replay WHERE id = ?1 AND tenant = ?2";
const LIST: &str = "SELECT body FROM crossdock_replay \
    WHERE tenant = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3";
const RUNNING_OF_LANE: &str =
    "SELECT body FROM crossdock_replay WHERE state = 'running' AND lane = ?1 ORDER BY id";
const DUE: &str =
    "SELECT lane, body FROM crossdock_replay WHERE state = 'running' AND next_at <= ?1 ORDER BY next_at, id";
