//! What holds a webhook's deliveries back, and when the next of them can go.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};

use crate::adapters::sqlite::columns::{
    MINUTE, nanos, signed, small, stored, stored_or_null, tenant, time, unsigned, uuid,
};
use crate::adapters::sqlite::fault::{Done, corrupt, readable};
use crate::adapters::sqlite::session::Session;
use crate::lanes::throttle::{Brake, TokenBucket};
use crate::primitives::id::WebhookId;
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{SkipReason, Webhook, WebhookState};

/// The deliveries of one webhook, as one row says it; what is changed is written by [`Lane::save`].
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) n: i64,
    pub(super) tenant: TenantId,
    pub(super) webhook: WebhookId,
    pub(super) state: State,
    pub(super) revision: i64,
    pub(super) health: WebhookHealth,
    pub(super) held_until: Option<DateTime<Utc>>,
    pub(super) brake: Brake,
    pub(super) brake_version: u64,
    pub(super) bucket: Option<TokenBucket>,
    pub(super) rate_at: Option<DateTime<Utc>>,
    pub(super) served: i64,
    pub(super) replayed_last: bool,
}

/// Whether the webhook of a lane delivers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Active = 0,
    Paused = 1,
    Disabled = 2,
    Gone = 3,
}

/// When a lane has work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    Never,
    Now,
    At(i64),
}

/// Limits that hold for webhooks which say nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Caps {
    pub(super) in_flight: u32,
    pub(super) replays_in_flight: u32,
}

/// What waits in a lane, and what is leased.
pub(super) struct Load {
    leases: [i64; 2],
    pub(super) first_lease_ends: Option<i64>,
    /// When the first published delivery may go.
    pub(super) live_due: Option<i64>,
    /// When the first resend or replay may go.
    pub(super) replay_due: Option<i64>,
}

impl State {
    pub(super) const fn of(webhook: &Webhook) -> Self {
        match webhook.state {
            WebhookState::Active => Self::Active,
            WebhookState::Paused => Self::Paused,
            WebhookState::Disabled { .. } => Self::Disabled,
        }
    }

    /// Why deliveries cannot wait here, if they cannot.
    pub(super) const fn refusal(self) -> Option<SkipReason> {
        match self {
            Self::Active | Self::Paused => None,
            Self::Disabled => Some(SkipReason::WebhookDisabled),
            Self::Gone => Some(SkipReason::WebhookDeleted),
        }
    }

    pub(super) fn read(row: &Row<'_>, column: usize) -> Done<Self> {
        match row.get::<_, i64>(column)? {
            0 => Ok(Self::Active),
            1 => Ok(Self::Paused),
            2 => Ok(Self::Disabled),
            3 => Ok(Self::Gone),
            _ => Err(corrupt("the state of a lane is unknown")),
        }
    }
}

impl Turn {
    fn of(at: Option<i64>, now: DateTime<Utc>) -> Self {
        match at {
            None => Self::Never,
            Some(at) if at <= nanos(now) => Self::Now,
            Some(at) => Self::At(at),
        }
    }
}

impl Lane {
    pub(super) fn load(session: &Session<'_>, n: i64) -> Done<Self> {
        session.first(LOAD, [n], read)?.ok_or_else(|| corrupt("a delivery has no lane"))
    }

    /// The lane of a webhook, whether it exists or existed.
    pub(super) fn find(session: &Session<'_>, tenant: &TenantId, webhook: WebhookId) -> Done<Option<Self>> {
        session.first(FIND, params![tenant.as_str(), webhook.as_uuid().as_bytes()], read)
    }

    /// The lane of a webhook that exists.
    pub(super) fn find_present(
        session: &Session<'_>,
        tenant: &TenantId,
        id: WebhookId,
    ) -> Done<Option<Self>> {
        Ok(Self::find(session, tenant, id)?.filter(|lane| lane.state != State::Gone))
    }

    /// The lane of a webhook; a new one if there was none.
    pub(super) fn find_or_make(session: &Session<'_>, tenant: &TenantId, webhook: WebhookId) -> Done<Self> {
        if let Some(lane) = Self::find(session, tenant, webhook)? {
            return Ok(lane);
        }
        session.run(MAKE, params![tenant.as_str(), webhook.as_uuid().as_bytes()])?;
        Self::find(session, tenant, webhook)?.ok_or_else(|| corrupt("a lane that was made is not there"))
    }

    /// The webhook, if it exists.
    pub(super) fn webhook(&self, session: &Session<'_>) -> Done<Option<Arc<Webhook>>> {
        if self.state == State::Gone {
            return Ok(None);
        }
        webhook_at(session, self.n, self.revision).map(Some)
    }

    /// Writes what has changed, and works out when the lane has its turn.
    pub(super) fn save(&self, session: &Session<'_>, caps: Caps, now: DateTime<Utc>) -> Done<()> {
        let turn = match readable(self.next_at(session, caps))? {
            // Its webhook cannot be read back: only this lane waits for somebody who mends it.
            None => Turn::At(nanos(now).saturating_add(MINUTE)),
            Some(at) => Turn::of(at, now),
        };
        self.save_with(session, turn)
    }

    pub(super) fn save_with(&self, session: &Session<'_>, turn: Turn) -> Done<()> {
        let (ready, next_at) = match turn {
            Turn::Never => (false, None),
            Turn::Now => (true, None),
            Turn::At(at) => (false, Some(at)),
        };
        let health =
            (self.health != WebhookHealth::default()).then(|| self.health.to_stored()).transpose()?;
        let brake = (self.brake != Brake::RELEASED).then(|| self.brake.to_stored()).transpose()?;
        let bucket = self.bucket.as_ref().map(Stored::to_stored).transpose()?;
        session.run(
            SAVE,
            params![
                self.n,
                self.state as i64,
                self.revision,
                health,
                self.held_until.map(nanos),
                brake,
                signed(self.brake_version),
                bucket,
                self.rate_at.map(nanos),
                self.served,
                self.replayed_last,
                ready,
                next_at,
            ],
        )?;
        Ok(())
    }

    /// The earliest time at which a claim would get something, if nothing else happens.
    pub(super) fn next_at(&self, session: &Session<'_>, caps: Caps) -> Done<Option<i64>> {
        if self.state != State::Active {
            return Ok(None);
        }
        let Some(webhook) = self.webhook(session)? else { return Ok(None) };
        let load = self.load_now(session)?;
        let cap = i64::from(self.cap(&webhook, caps));
        let Some(slot_at) = self.slot_free_at(session, load.leases[0] + load.leases[1], cap, SLOT)? else {
            return Ok(None);
        };
        let replay_at = match load.replay_due {
            None => None,
            Some(due) => {
                let cap = i64::from(caps.replays_in_flight);
                self.slot_free_at(session, load.leases[1], cap, REPLAY_SLOT)?.map(|free| free.max(due))
            }
        };
        let work_at = [load.live_due, replay_at, load.first_lease_ends].into_iter().flatten().min();
        Ok(work_at.map(|at| at.max(slot_at).max(self.held())))
    }

    /// Nothing is claimed before this time, whatever is due.
    pub(super) fn held(&self) -> i64 {
        let holds = [self.held_until, self.brake.open_until(), self.rate_at];
        holds.into_iter().flatten().map(nanos).max().unwrap_or(i64::MIN)
    }

    /// How many may be claimed now as far as limits go, and how many of them in the replay lane.
    pub(super) fn budget(
        &mut self,
        load: &Load,
        webhook: &Webhook,
        caps: Caps,
        now: DateTime<Utc>,
    ) -> (usize, usize) {
        let left = |cap: u32, taken: i64| usize::try_from(i64::from(cap) - taken).unwrap_or(0);
        let free = left(self.cap(webhook, caps), load.leases[0] + load.leases[1]);
        if nanos(now) < self.held() || free == 0 {
            return (0, 0);
        }
        let tokens = webhook.rate_limit.map(|limit| {
            let bucket = self.bucket.get_or_insert_with(|| TokenBucket::full(&limit, now));
            bucket.available(&limit, now) as usize
        });
        (free.min(tokens.unwrap_or(free)), left(caps.replays_in_flight, load.leases[1]))
    }

    /// Takes tokens for what was claimed; finds out when the next token comes if there is none.
    pub(super) fn take_tokens(&mut self, webhook: &Webhook, count: usize, now: DateTime<Utc>) {
        let Some(limit) = webhook.rate_limit else { return };
        let bucket = self.bucket.get_or_insert_with(|| TokenBucket::full(&limit, now));
        // A claim gives at most as many as there are tokens, and a burst fits.
        bucket.take(&limit, now, count as u32);
        let is_empty = bucket.available(&limit, now) == 0;
        self.rate_at = is_empty.then(|| bucket.next_at(&limit, now));
    }

    /// Ends what holds the webhook back, and forgets its failures; a circuit change that was made before this comes too late.
    pub(super) fn release(&mut self) {
        self.health = self.health.forgiven();
        self.held_until = None;
        self.brake = Brake::RELEASED;
        self.brake_version += 1;
    }

    fn cap(&self, webhook: &Webhook, caps: Caps) -> u32 {
        let cap = webhook.max_in_flight.unwrap_or(caps.in_flight);
        self.brake.limit().map_or(cap, |limit| cap.min(limit))
    }

    pub(super) fn load_now(&self, session: &Session<'_>) -> Done<Load> {
        let load = session.first(LOAD_NOW, [self.n], |row| {
            let lease_ends: [Option<i64>; 2] = [row.get(2)?, row.get(3)?];
            Ok(Load {
                leases: [row.get(0)?, row.get(1)?],
                first_lease_ends: lease_ends.into_iter().flatten().min(),
                live_due: row.get(4)?,
                replay_due: row.get(5)?,
            })
        })?;
        load.ok_or_else(|| corrupt("a count gives no row"))
    }

    /// When at most `cap - 1` of the leases are left; `None` if that never is.
    fn slot_free_at(
        &self,
        session: &Session<'_>,
        leases: i64,
        cap: i64,
        sql: &'static str,
    ) -> Done<Option<i64>> {
        if cap == 0 {
            return Ok(None);
        }
        if leases < cap {
            return Ok(Some(i64::MIN));
        }
        session.number(sql, params![self.n, leases - cap])
    }
}

/// The webhook of a lane as it is at this revision.
pub(super) fn webhook_at(session: &Session<'_>, lane: i64, revision: i64) -> Done<Arc<Webhook>> {
    if let Some(webhook) = session.known_webhook(lane, revision) {
        return Ok(webhook);
    }
    let webhook = session.first(WEBHOOK, [lane], |row| stored::<Webhook>(row, 0))?;
    let webhook = Arc::new(webhook.ok_or_else(|| corrupt("a webhook has no record"))?);
    session.keep_webhook(lane, revision, &webhook);
    Ok(webhook)
}

fn read(row: &Row<'_>) -> Done<Lane> {
    Ok(Lane {
        n: row.get(0)?,
        tenant: tenant(row, 1)?,
        webhook: WebhookId::from_uuid(uuid(row, 2)?),
        state: State::read(row, 3)?,
        revision: row.get(4)?,
        health: stored_or_null(row, 5)?.unwrap_or_default(),
        held_until: row.get::<_, Option<i64>>(6)?.map(time),
        brake: stored_or_null(row, 7)?.unwrap_or(Brake::RELEASED),
        brake_version: unsigned(row.get(8)?),
        bucket: stored_or_null(row, 9)?,
        rate_at: row.get::<_, Option<i64>>(10)?.map(time),
        served: row.get(11)?,
        replayed_last: row.get(12)?,
    })
}

impl Caps {
    /// The limits that the claims so far have asked for.
    pub(super) fn present(session: &Session<'_>) -> Done<Self> {
        let present = session.first(CAPS, [], |row| {
            Ok(Self { in_flight: small(row, 0)?, replays_in_flight: small(row, 1)? })
        })?;
        present.ok_or_else(|| corrupt("the engine has no row"))
    }
}

macro_rules! lane_columns {
    ($rest:literal) => {
        concat!(
            "SELECT n, tenant, webhook, state, revision, health, held_until, brake, brake_version, bucket, rate_at, ",
            "served, replayed_last FROM crossdock_lane ",
            $rest
        )
    };
}

const LOAD: &str = lane_columns!("WHERE n = ?1");
const FIND: &str = lane_columns!("WHERE tenant = ?1 AND webhook = ?2");
const MAKE: &str = "INSERT INTO crossdock_lane \
    (tenant, webhook, state, revision, brake_version, served, replayed_last, ready) \
    VALUES (?1, ?2, 3, 0, 0, 0, 0, 0)";
const SAVE: &str = "UPDATE crossdock_lane SET state = ?2, revision = ?3, health = ?4, held_until = ?5, brake = ?6, \
    brake_version = ?7, bucket = ?8, rate_at = ?9, served = ?10, replayed_last = ?11, ready = ?12, next_at = ?13 \
    WHERE n = ?1";
const WEBHOOK: &str = "SELECT body FROM crossdock_webhook WHERE lane = ?1";
const CAPS: &str = "SELECT in_flight, replays_in_flight FROM crossdock_engine";
/// Six looks into one index.
const LOAD_NOW: &str = "SELECT \
    (SELECT count(*) FROM crossdock_work WHERE lane = ?1 AND place = 2 AND replay = 0), \
    (SELECT count(*) FROM crossdock_work WHERE lane = ?1 AND place = 2 AND replay = 1), \
    (SELECT min(due) FROM crossdock_work WHERE lane = ?1 AND place = 2 AND replay = 0), \
    (SELECT min(due) FROM crossdock_work WHERE lane = ?1 AND place = 2 AND replay = 1), \
    (SELECT min(due) FROM crossdock_work WHERE lane = ?1 AND place = 0 AND replay = 0), \
    (SELECT min(due) FROM crossdock_work WHERE lane = ?1 AND place = 0 AND replay = 1)";
const SLOT: &str = "SELECT due FROM crossdock_work WHERE lane = ?1 AND place = 2 AND replay IN (0, 1) \
    ORDER BY due LIMIT 1 OFFSET ?2";
const REPLAY_SLOT: &str = "SELECT due FROM crossdock_work WHERE lane = ?1 AND place = 2 AND replay = 1 \
    ORDER BY due LIMIT 1 OFFSET ?2";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn a_lane_is_looked_at_by_its_indexes() {
        let statements = [LOAD, FIND, MAKE, SAVE, WEBHOOK, CAPS, LOAD_NOW, REPLAY_SLOT];

        assert_eq!(scans(&statements), Vec::<String>::new());
    }
}
