//! Fan-out, and what it leases at once.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::claim::{PAUSE, Unused, read_brake, sendable};
use crate::adapters::postgres::failure::corrupt;
use crate::adapters::postgres::names::Names;
use crate::adapters::postgres::rows::{Field, later, number, small, stored_time, told, uuid_of};
use crate::adapters::postgres::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::events::model::{Event, EventHead};
use crate::lanes::lease::{Lease, LeaseToken};
use crate::primitives::id::DeliveryId;
use crate::primitives::stored::Stored;
use crate::webhooks::conflicts::delivery_exists;
use crate::webhooks::fan_out::FanOut;
use crate::webhooks::model::{Claim, DeliveryStatus, Origin};
use crate::webhooks::queue::{ClaimRequest, Distributed, Distribution, Sequence};

impl PostgresStore {
    pub(super) async fn fan_out_entries(
        &self,
        entries: &[(Sequence, FanOut)],
        now: DateTime<Utc>,
    ) -> Result<usize> {
        let wanted = Wanted::of(entries.iter().map(|(place, fan_out)| (*place, fan_out)))?;
        let mut session = self.one_statement(STEP).await?;
        let rows = self.write_deliveries(&mut session, wanted, now, None, Vec::new()).await?;
        session.end().await?;
        Ok(Parts::of(&rows)?.taken)
    }

    pub(super) async fn fan_out_and_lease(
        &self,
        entries: Vec<Distribution>,
        request: ClaimRequest,
    ) -> Result<Distributed> {
        let wanted = Wanted::of(entries.iter().map(|entry| (entry.sequence, &entry.fan_out)))?;
        let ids = wanted.ids.clone();
        let for_whom = entries.iter().filter(|entry| !request.except.contains(&entry.event.tenant));
        let most: usize = for_whom.map(|entry| entry.fan_out.deliveries.len()).sum();
        let own = self.inner.own_events.take(entries.iter().map(|entry| entry.event.id.as_uuid()));
        let known = own.iter().map(Option::is_some).collect();
        let leasing = (most <= request.limit && most > 0).then_some(&request);

        let mut session = self.one_statement(STEP).await?;
        let rows = self.write_deliveries(&mut session, wanted, request.now, leasing, known).await?;
        let Parts { bodies, taken, mut next_due, leases } = Parts::of(&rows)?;
        let mut claims = Vec::new();
        if !leases.is_empty() {
            let heads = entries.into_iter().map(|entry| entry.event).collect();
            let events = events(bodies, heads, own)?;
            let all;
            (claims, all) = self.read_leases(&mut session, leases, &ids, &events, &request).await?;
            if !all {
                // What was taken back may be due by now.
                next_due = None;
            }
        }
        session.end().await?;
        Ok(Distributed::new(taken, claims, next_due))
    }

    async fn write_deliveries(
        &self,
        session: &mut Session,
        wanted: Wanted,
        now: DateTime<Utc>,
        leasing: Option<&ClaimRequest>,
        known: Vec<bool>,
    ) -> Result<Vec<PgRow>> {
        let full = leasing.map_or(&[][..], |request| &request.except);
        let statement = session
            .statement(self.sql(FAN_OUT))
            .bind(stored_time(now))
            .bind(wanted.sequences)
            .bind(wanted.webhooks)
            .bind(wanted.places)
            .bind(wanted.named)
            .bind(wanted.ids)
            .bind(told(wanted.orders))
            .bind(told(wanted.skips))
            .bind(leasing.map(|request| later(request.now, request.lease)))
            .bind(leasing.map_or(0, |request| small(request.max_in_flight)))
            .bind(full.iter().map(|tenant| tenant.as_str().to_owned()).collect::<Vec<_>>())
            .bind(known);
        session.rows(statement).await.map_err(conflicting)
    }

    /// The claims, and whether all that was leased is among them. First come the webhooks, then the leases.
    async fn read_leases(
        &self,
        session: &mut Session,
        rows: &[PgRow],
        ids: &[Uuid],
        events: &HashMap<i32, Arc<Event>>,
        request: &ClaimRequest,
    ) -> Result<(Vec<Claim>, bool)> {
        let until = later(request.now, request.lease);
        let lanes = rows.iter().map(|row| row.field("tenant_id")).take_while(is_some).count();
        let (lanes, rows) = rows.split_at(lanes);
        let webhooks = self.webhooks_of(session, lanes, "webhook_stamp").await?;
        let defaults = self.defaults_of(session, lanes).await?;
        let mut given = HashMap::with_capacity(lanes.len());
        for row in lanes {
            let tenant: &str = row.field("tenant_id")?;
            let webhook = webhooks.get(&(tenant, uuid_of(row, "webhook_id")?));
            let with = sendable(webhook, defaults.get(tenant), request.now);
            let brake = (read_brake(row)?, row.field::<i64>("brake_version")?.unsigned_abs());
            given.insert(row.field::<i32>("named")?, (with, brake));
        }

        let mut claims = Vec::with_capacity(rows.len());
        let mut unused = Unused::default();
        for row in rows {
            let id = ids.get(index(row.field("delivery")?)?).copied().ok_or_else(unknown)?;
            let token: i64 = row.field("lease_token")?;
            let (with, (brake, version)) = given.get(&row.field("named")?).ok_or_else(unknown)?;
            match with {
                Ok((webhook, own)) => {
                    let Some(event) = events.get(&row.field("event")?).map(Arc::clone) else {
                        // Its payload is not where it should be.
                        unused.wait(id, token, later(request.now, PAUSE));
                        continue;
                    };
                    let lease = Lease::new(LeaseToken::new(token.unsigned_abs()), until);
                    let (id, webhook) = (DeliveryId::from_uuid(id), Arc::clone(*webhook));
                    let claim = Claim::new(id, Origin::Live, 1, lease, event, webhook, Arc::clone(own));
                    claims.push(claim.with_brake(*brake, *version));
                }
                Err(until) => unused.wait(id, token, *until),
            }
        }
        let all = unused.is_empty();
        if !all {
            self.take_back(session, unused, stored_time(request.now)).await?;
        }
        Ok((claims, all))
    }
}

fn is_some(tenant: &Result<Option<&str>>) -> bool {
    matches!(tenant, Ok(Some(_)))
}

/// Places are counted from 1.
fn index(place: i32) -> Result<usize> {
    place.checked_sub(1).and_then(|index| index.try_into().ok()).ok_or_else(unknown)
}

fn unknown() -> Error {
    corrupt(STEP, "the server has leased what it was not asked for")
}

/// What the server has answered.
#[derive(Default)]
struct Parts<'r> {
    bodies: &'r [PgRow],
    taken: usize,
    next_due: Option<DateTime<Utc>>,
    leases: &'r [PgRow],
}

impl<'r> Parts<'r> {
    fn of(rows: &'r [PgRow]) -> Result<Self> {
        for (place, row) in rows.iter().enumerate() {
            if let Some(taken) = row.field::<Option<i32>>("taken")? {
                return Ok(Self {
                    bodies: &rows[..place],
                    taken: taken.unsigned_abs() as usize,
                    next_due: row.field("next_due_at")?,
                    leases: &rows[place + 1..],
                });
            }
        }
        // None of the entries was there any more.
        Ok(Self::default())
    }
}

/// The events with these bodies, and our own, by their places.
fn events(
    bodies: &[PgRow],
    heads: Vec<Arc<EventHead>>,
    own: Vec<Option<Arc<Event>>>,
) -> Result<HashMap<i32, Arc<Event>>> {
    let mut heads: Vec<_> = heads.into_iter().map(Some).collect();
    let own = (1..).zip(own).filter_map(|(place, event)| Some((place, event?)));
    let mut events: HashMap<i32, Arc<Event>> = own.collect();
    for row in bodies {
        let place: i32 = row.field("event")?;
        let head = heads.get_mut(index(place)?).and_then(Option::take).ok_or_else(unknown)?;
        let payload = Bytes::copy_from_slice(row.field("body")?);
        events.insert(place, Arc::new(Event::new(Arc::unwrap_or_clone(head), payload)));
    }
    Ok(events)
}

/// What fan-out wants, by column.
#[derive(Default)]
struct Wanted {
    sequences: Vec<i64>,
    webhooks: Vec<Uuid>,
    places: Vec<i32>,
    named: Vec<i32>,
    ids: Vec<Uuid>,
    orders: Vec<Option<i64>>,
    skips: Vec<Option<String>>,
}

impl Wanted {
    fn of<'a>(entries: impl Iterator<Item = (Sequence, &'a FanOut)>) -> Result<Self> {
        let mut wanted = Self::default();
        let mut names = Names::default();
        for (place, (sequence, fan_out)) in (1..).zip(entries) {
            wanted.sequences.push(number(sequence.number()));
            for new in &fan_out.deliveries {
                // The number's bits: only equality counts.
                let order = new.order.map(|order| order.number().cast_signed());
                wanted.push(place, names.place(new.webhook), new.id, order, None);
            }
            for skip in &fan_out.skips {
                let status = DeliveryStatus::Skipped(skip.reason).to_stored()?;
                wanted.push(place, names.place(skip.webhook), skip.id, None, Some(status));
            }
        }
        wanted.webhooks = names.all().map(|webhook| webhook.as_uuid()).collect();
        Ok(wanted)
    }

    fn push(&mut self, place: i32, named: i32, id: DeliveryId, order: Option<i64>, skip: Option<String>) {
        self.places.push(place);
        self.named.push(named);
        self.ids.push(id.as_uuid());
        self.orders.push(order);
        self.skips.push(skip);
    }
}

fn conflicting(error: Error) -> Error {
    if error.kind() != ErrorKind::Conflict {
        return error;
    }
    error.with_problem(delivery_exists())
}

const STEP: &str = "fan out events";
const FAN_OUT: &str =
    r#"SELECT f.* FROM "crossdock".fan_out($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS f"#;
