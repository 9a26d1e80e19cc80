//! Claim: round robin over tenants, then over webhooks.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rusqlite::{Row, params};

use crate::adapters::sqlite::columns::{MINUTE, bytes, later, limit, nanos, text, time, uuid};
use crate::adapters::sqlite::fault::{Done, corrupt, readable};
use crate::adapters::sqlite::lane::{Caps, Lane, State, Turn};
use crate::adapters::sqlite::order::Place;
use crate::adapters::sqlite::session::Session;
use crate::adapters::sqlite::webhooks::defaults_of;
use crate::error::Result;
use crate::events::model::{Event, EventHead};
use crate::lanes::lease::{Lease, LeaseToken};
use crate::lanes::throttle::Brake;
use crate::primitives::id::DeliveryId;
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{
    Claim, DeadReason, DeliveryStatus, Origin, SkipReason, TenantDefaults, Webhook,
};
use crate::webhooks::queue::ClaimRequest;

/// What was leased, before its events are read: that is done on the caller's thread.
pub(super) struct Leased {
    pub(super) claims: Vec<LeasedOne>,
    pub(super) after: Option<TenantId>,
    pub(super) next_due: Option<DateTime<Utc>>,
}

pub(super) struct LeasedOne {
    id: DeliveryId,
    /// As it is stored, like the head.
    origin: String,
    attempt: u32,
    lease: Lease,
    head: String,
    payload: Bytes,
    webhook: Arc<Webhook>,
    defaults: Arc<TenantDefaults>,
    brake: Brake,
    brake_version: u64,
}

impl LeasedOne {
    pub(super) const fn id(&self) -> DeliveryId {
        self.id
    }

    pub(super) fn into_claim(self) -> Result<Claim> {
        let event = Arc::new(Event::new(EventHead::from_stored(&self.head)?, self.payload));
        let origin = Origin::from_stored(&self.origin)?;
        let claim = Claim::new(self.id, origin, self.attempt, self.lease, event, self.webhook, self.defaults);
        Ok(claim.with_brake(self.brake, self.brake_version))
    }
}

pub(super) fn claim(session: &Session<'_>, request: &ClaimRequest) -> Done<Leased> {
    let mut round = Round::begin(session, request)?;
    let mut after = request.after.clone();
    let mut place = request.after.clone();
    while round.left() > 0 {
        // One round: each tenant with due work gets its share before any gets a second one.
        let tenants = round.ready_tenants(place.as_ref())?;
        if tenants.is_empty() {
            break;
        }
        let quota = round.left().div_ceil(tenants.len());
        for tenant in tenants {
            let left = round.left();
            if left == 0 {
                break;
            }
            round.claim_of_tenant(&tenant, quota.min(left))?;
            place = Some(tenant);
            // Whoever was cut short is the first of the next round.
            if quota <= left || !is_ready(session, place.as_ref())? {
                after = place.clone();
            }
        }
    }
    round.end()?;
    let next_due = session.number(NEXT_DUE, [round.now])?;
    let next_due = next_due.into_iter().chain(round.next_for_us).min().map(time);
    Ok(Leased { claims: round.claims, after, next_due })
}

fn is_ready(session: &Session<'_>, tenant: Option<&TenantId>) -> Done<bool> {
    match tenant {
        None => Ok(false),
        Some(tenant) => session.finds(IS_READY, [tenant.as_str()]),
    }
}

/// One call of `claim` at work.
struct Round<'a, 'c> {
    session: &'a Session<'c>,
    request: &'a ClaimRequest,
    now: i64,
    until: i64,
    /// What this caller asks for.
    caps: Caps,
    /// For what the lanes' times are worked out: the highest that anybody asks for.
    shared: Caps,
    served: i64,
    except: HashSet<&'a TenantId>,
    claims: Vec<LeasedOne>,
    /// When lanes that have more for others have more for this caller.
    next_for_us: Option<i64>,
}

/// A delivery that may be leased now.
struct Candidate {
    n: i64,
    id: DeliveryId,
    origin: String,
    attempts: i64,
    token: i64,
    order_key: Option<i64>,
    head: String,
    payload: Option<Bytes>,
}

impl<'a, 'c> Round<'a, 'c> {
    fn begin(session: &'a Session<'c>, request: &'a ClaimRequest) -> Done<Self> {
        let now = nanos(request.now);
        let caps =
            Caps { in_flight: request.max_in_flight, replays_in_flight: request.max_replays_in_flight };
        let shared = adopt_limits(session, caps, request.now)?;
        session.run(WAKE, [now])?;
        let served = session.number(SERVED, [])?.ok_or_else(|| corrupt("the engine has no row"))?;
        let until = later(request.now, request.lease);
        let except = request.except.iter().collect();
        Ok(Self {
            session,
            request,
            now,
            until,
            caps,
            shared,
            served,
            except,
            claims: Vec::new(),
            next_for_us: None,
        })
    }

    fn end(&self) -> Done<()> {
        self.session.run(SERVED_NOW, [self.served])?;
        Ok(())
    }

    fn left(&self) -> usize {
        self.request.limit.saturating_sub(self.claims.len())
    }

    /// Tenants with due work from behind this one, round and round, each once, and no more than are needed.
    fn ready_tenants(&self, place: Option<&TenantId>) -> Done<Vec<TenantId>> {
        let (session, most) = (self.session, self.left());
        let begin = place.map_or("", TenantId::as_str);
        let mut found: Vec<TenantId> = Vec::new();
        for (from, until) in [(begin, None), ("", Some(begin))] {
            let mut last = from.to_owned();
            while found.len() < most {
                let name = |row: &Row<'_>| Ok(text(row, 0)?.to_owned());
                let next = match until {
                    None => session.first(READY_BEHIND, [&last], name)?,
                    Some(end) => session.first(READY_UP_TO, [&*last, end], name)?,
                };
                let Some(next) = next else { break };
                let tenant = next.parse().map_err(|_| corrupt("a tenant's id is none"))?;
                if !self.except.contains(&tenant) {
                    found.push(tenant);
                }
                last = next;
            }
        }
        Ok(found)
    }

    fn claim_of_tenant(&mut self, tenant: &TenantId, quota: usize) -> Done<()> {
        let wanted = self.claims.len() + quota;
        let Some(defaults) = readable(defaults_of(self.session, tenant))? else {
            self.session.run(LATER, params![tenant.as_str(), self.a_minute_later()])?;
            return Ok(());
        };
        while self.claims.len() < wanted {
            let left = wanted - self.claims.len();
            // With as many lanes as deliveries are wanted, each gives one.
            let lanes = self
                .session
                .all(READY_LANES, params![tenant.as_str(), limit(left)], |row| Ok(row.get(0)?))?;
            let Some(&lane) = lanes.first() else { return Ok(()) };
            if lanes.len() == 1 {
                self.claim_of_lane(lane, left, &defaults)?;
                continue;
            }
            for (index, &lane) in lanes.iter().enumerate() {
                let left = wanted.saturating_sub(self.claims.len());
                if left == 0 {
                    break;
                }
                let share = (left / (lanes.len() - index)).max(1);
                self.claim_of_lane(lane, share, &defaults)?;
            }
        }
        Ok(())
    }

    /// What cannot be read back is looked at again in a minute: it holds back nothing but itself.
    fn a_minute_later(&self) -> i64 {
        self.now.saturating_add(MINUTE)
    }

    fn claim_of_lane(&mut self, n: i64, share: usize, defaults: &Arc<TenantDefaults>) -> Done<()> {
        let claimed = readable(self.claim_of_readable_lane(n, share, defaults))?;
        if claimed.is_none() {
            self.session.run(LANE_LATER, params![n, self.a_minute_later()])?;
        }
        Ok(())
    }

    fn claim_of_readable_lane(&mut self, n: i64, share: usize, defaults: &Arc<TenantDefaults>) -> Done<()> {
        let (session, now) = (self.session, self.request.now);
        let mut lane = Lane::load(session, n)?;
        let webhook = lane.webhook(session)?.filter(|_| lane.state == State::Active);
        let before = self.claims.len();
        if let Some(webhook) = webhook {
            let mut load = lane.load_now(session)?;
            if load.first_lease_ends.is_some_and(|until| until <= self.now) {
                self.end_leases(n)?;
                load = lane.load_now(session)?;
            }
            let (most, most_replays) = lane.budget(&load, &webhook, self.caps, now);
            let most = most.min(share);
            let is_due = |due: Option<i64>| due.is_some_and(|due| due <= self.now);
            let live = self.candidates(n, 0, if is_due(load.live_due) { most } else { 0 })?;
            let replays = if is_due(load.replay_due) { most.min(most_replays) } else { 0 };
            let replays = self.candidates(n, 1, replays)?;
            self.lease_in_turns(&mut lane, most, (live, replays), (&webhook, defaults))?;
            lane.take_tokens(&webhook, self.claims.len() - before, now);
        }
        self.next_turn(lane, self.claims.len() > before)
    }

    fn lease_in_turns(
        &mut self,
        lane: &mut Lane,
        most: usize,
        (mut live, mut replays): (VecDeque<Candidate>, VecDeque<Candidate>),
        (webhook, defaults): (&Arc<Webhook>, &Arc<TenantDefaults>),
    ) -> Done<()> {
        for _ in 0..most {
            // The two lanes take turns.
            lane.replayed_last = match (live.front(), replays.front()) {
                (None, None) => return Ok(()),
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some(_), Some(_)) => !lane.replayed_last,
            };
            let next = if lane.replayed_last { replays.pop_front() } else { live.pop_front() };
            let Some(candidate) = next else { return Ok(()) };
            self.lease(lane, candidate, webhook, defaults)?;
        }
        Ok(())
    }

    fn lease(
        &mut self,
        lane: &Lane,
        candidate: Candidate,
        webhook: &Arc<Webhook>,
        defaults: &Arc<TenantDefaults>,
    ) -> Done<()> {
        let Some(payload) = candidate.payload else {
            // Nobody can send what is not there.
            let place = Place { n: candidate.n, lane: lane.n, order_key: candidate.order_key };
            let erased = DeliveryStatus::Skipped(SkipReason::Erased);
            return place.end(self.session, erased, candidate.attempts, self.request.now);
        };
        self.session.run(LEASE, params![candidate.n, self.until, self.now])?;
        let token = LeaseToken::new(candidate.token.cast_unsigned() + 1);
        self.claims.push(LeasedOne {
            id: candidate.id,
            origin: candidate.origin,
            attempt: u32::try_from(candidate.attempts + 1).unwrap_or(u32::MAX),
            lease: Lease::new(token, time(self.until)),
            head: candidate.head,
            payload,
            webhook: Arc::clone(webhook),
            defaults: Arc::clone(defaults),
            brake: lane.brake,
            brake_version: lane.brake_version,
        });
        Ok(())
    }

    fn candidates(&self, lane: i64, replay: i64, most: usize) -> Done<VecDeque<Candidate>> {
        if most == 0 {
            return Ok(VecDeque::new());
        }
        let found = self.session.all(CANDIDATES, params![lane, replay, self.now, limit(most)], candidate)?;
        Ok(found.into())
    }

    /// Makes deliveries whose lease has ended due again, in the order in which the leases ended.
    fn end_leases(&self, lane: i64) -> Done<()> {
        let lost = self.session.all(LOST, params![lane, self.now], |row| {
            let place = Place { n: row.get(0)?, lane, order_key: row.get(1)? };
            Ok((place, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, row.get::<_, bool>(4)?))
        })?;
        for (place, until, attempts, has_payload) in lost {
            note_lapse(self.session, until, self.now)?;
            if has_payload {
                place.wait(self.session, until)?;
            } else {
                let erased = DeliveryStatus::Skipped(SkipReason::Erased);
                place.end(self.session, erased, attempts, self.request.now)?;
            }
        }
        Ok(())
    }

    /// Puts a lane that was served behind the others of its tenant.
    fn next_turn(&mut self, mut lane: Lane, was_served: bool) -> Done<()> {
        self.served += 1;
        lane.served = self.served;
        let turn = match lane.next_at(self.session, self.shared)? {
            None => Turn::Never,
            Some(at) if at <= self.now && was_served => Turn::Now,
            Some(at) => {
                // Whoever got nothing is not asked again within this claim.
                if at <= self.now {
                    let ours = lane.next_at(self.session, self.caps)?;
                    self.next_for_us = self.next_for_us.into_iter().chain(ours).min();
                }
                Turn::At(at)
            }
        };
        lane.save_with(self.session, turn)
    }
}

/// Works out the lanes' times for these limits if they are higher than what others ask for, or if nobody has asked for more for an
/// hour: processes with different limits do not undo each other's work. Answers what holds from now on.
fn adopt_limits(session: &Session<'_>, asked: Caps, now: DateTime<Utc>) -> Done<Caps> {
    let present = Caps::present(session)?;
    let idle = nanos(now).saturating_sub(session.number(LIMITS_AT, [])?.unwrap_or_default());
    let higher = Caps {
        in_flight: present.in_flight.max(asked.in_flight),
        replays_in_flight: present.replays_in_flight.max(asked.replays_in_flight),
    };
    let adopted = match present {
        _ if higher != present => higher,
        _ if present == asked && idle > 10 * MINUTE => asked,
        _ if present != asked && idle > 60 * MINUTE => asked,
        _ => return Ok(present),
    };
    session.run(ADOPT, params![adopted.in_flight, adopted.replays_in_flight, nanos(now)])?;
    if adopted != present {
        // Whoever waits because of a limit must be thought over.
        for n in session.all(ALL_LANES, [], |row| Ok(row.get(0)?))? {
            Lane::load(session, n)?.save(session, adopted, now)?;
        }
    }
    Ok(adopted)
}

fn candidate(row: &Row<'_>) -> Done<Candidate> {
    Ok(Candidate {
        n: row.get(0)?,
        id: DeliveryId::from_uuid(uuid(row, 1)?),
        origin: row.get(2)?,
        attempts: row.get(3)?,
        token: row.get(4)?,
        order_key: row.get(5)?,
        head: row.get(6)?,
        payload: bytes(row, 7)?,
    })
}

/// Remembers for a minute that a lease ended unsettled.
fn note_lapse(session: &Session<'_>, until: i64, now: i64) -> Done<()> {
    session.run(FORGET_LAPSES, [now.saturating_sub(MINUTE)])?;
    session.run(LAPSE, [until])?;
    Ok(())
}

/// Gives up deliveries whose events cannot be read back, so that they do not come again and again.
pub(super) fn end_unreadable(session: &Session<'_>, ids: &[DeliveryId], now: DateTime<Utc>) -> Done<()> {
    for id in ids {
        let found = session.first(PLACE, [id.as_uuid().as_bytes()], |row| {
            Ok((Place { n: row.get(0)?, lane: row.get(1)?, order_key: row.get(2)? }, row.get(3)?))
        })?;
        if let Some((place, attempts)) = found {
            place.end(session, DeliveryStatus::DeadLetter(DeadReason::Unsendable), attempts, now)?;
            Lane::load(session, place.lane)?.save(session, Caps::present(session)?, now)?;
        }
    }
    Ok(())
}

const ADOPT: &str = "UPDATE crossdock_engine SET in_flight = ?1, replays_in_flight = ?2, limits_at = ?3";
const LIMITS_AT: &str = "SELECT limits_at FROM crossdock_engine";
const ALL_LANES: &str = "SELECT n FROM crossdock_lane WHERE state = 0";
const WAKE: &str = "UPDATE crossdock_lane SET ready = 1, next_at = NULL WHERE ready = 0 AND next_at <= ?1";
const LATER: &str = "UPDATE crossdock_lane SET ready = 0, next_at = ?2 WHERE ready = 1 AND tenant = ?1";
const LANE_LATER: &str = "UPDATE crossdock_lane SET ready = 0, next_at = ?2 WHERE n = ?1";
const SERVED: &str = "SELECT served FROM crossdock_engine";
const SERVED_NOW: &str = "UPDATE crossdock_engine SET served = ?1 WHERE served <> ?1";
const READY_BEHIND: &str =
    "SELECT tenant FROM crossdock_lane WHERE ready = 1 AND tenant > ?1 ORDER BY tenant LIMIT 1";
const READY_UP_TO: &str = "SELECT tenant FROM crossdock_lane WHERE ready = 1 AND tenant > ?1 AND tenant <= ?2 ORDER BY tenant LIMIT 1";
const IS_READY: &str = "SELECT 1 FROM crossdock_lane WHERE ready = 1 AND tenant = ?1 LIMIT 1";
const READY_LANES: &str =
    "SELECT n FROM crossdock_lane WHERE ready = 1 AND tenant = ?1 ORDER BY served, n LIMIT ?2";
const CANDIDATES: &str = "SELECT w.n, d.id, d.origin, w.attempts, w.token, w.order_key, e.head, p.bytes \
    FROM crossdock_work w \
    CROSS JOIN crossdock_delivery d ON d.n = w.n \
    CROSS JOIN crossdock_event e ON e.n = d.event \
    LEFT JOIN crossdock_payload p ON p.event = d.event \
    WHERE w.lane = ?1 AND w.place = 0 AND w.replay = ?2 AND w.due <= ?3 ORDER BY w.due, w.n LIMIT ?4";
const LEASE: &str = "UPDATE crossdock_work \
    SET place = 2, due = ?2, token = token + 1, attempts = attempts + 1, updated_at = ?3 WHERE n = ?1";
const LOST: &str = "SELECT w.n, w.order_key, w.due, w.attempts, e.has_payload \
    FROM crossdock_work w \
    CROSS JOIN crossdock_delivery d ON d.n = w.n \
    CROSS JOIN crossdock_event e ON e.n = d.event \
    WHERE w.lane = ?1 AND w.place = 2 AND w.replay IN (0, 1) AND w.due <= ?2 ORDER BY w.due, w.n";
const FORGET_LAPSES: &str = "DELETE FROM crossdock_lapse WHERE at <= ?1";
const LAPSE: &str = "INSERT INTO crossdock_lapse (at) VALUES (?1)";
const NEXT_DUE: &str = "SELECT min(next_at) FROM crossdock_lane WHERE ready = 0 AND next_at > ?1";
const PLACE: &str = "SELECT w.n, w.lane, w.order_key, w.attempts FROM crossdock_delivery d \
    CROSS JOIN crossdock_work w ON w.n = d.n WHERE d.id = ?1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::session::scans;

    #[test]
    fn a_claim_looks_at_no_more_than_it_takes() {
        let statements = [
            WAKE,
            LATER,
            LANE_LATER,
            SERVED,
            SERVED_NOW,
            READY_BEHIND,
            READY_UP_TO,
            IS_READY,
            READY_LANES,
            CANDIDATES,
            LEASE,
            FORGET_LAPSES,
            LAPSE,
            NEXT_DUE,
            PLACE,
        ];

        assert_eq!(scans(&statements), Vec::<String>::new());
    }
}
