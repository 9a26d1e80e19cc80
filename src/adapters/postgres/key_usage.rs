//! How keys were used, added in a few statements, in an order that all processes keep.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::rows::{Field, number, stored_time, uuid_of};
use crate::adapters::postgres::session::Session;
use crate::api_keys::model::{ApiKey, DayCount, KeyUsage, LastUse, Rekeyed};
use crate::error::Result;
use crate::primitives::stored::Stored;

/// What a batch says of one key of one tenant.
#[derive(Default)]
struct OfKey {
    last: Option<LastUse>,
    counts: Vec<DayCount>,
    rekeyed: Option<Rekeyed>,
}

impl PostgresStore {
    pub(super) async fn add_usage(&self, session: &mut Session, batch: Vec<KeyUsage>) -> Result<()> {
        let mut by_key: BTreeMap<(Uuid, String), OfKey> = BTreeMap::new();
        for used in batch {
            let key = by_key.entry((used.key.as_uuid(), used.tenant.as_str().to_owned())).or_default();
            key.counts.extend(used.counts);
            key.last = key.last.take().into_iter().chain(used.last).max_by_key(|last| last.at);
            key.rekeyed = used.rekeyed.or_else(|| key.rekeyed.take());
        }
        let (ids, tenants): (Vec<_>, Vec<_>) = by_key.keys().cloned().unzip();
        let statement = session.statement(self.sql(HOLD)).bind(ids).bind(tenants);
        let mut held = Vec::new();
        for row in session.rows(statement).await? {
            let (id, tenant): (_, String) = (uuid_of(&row, "id")?, row.field("tenant_id")?);
            let Some(used) = by_key.remove(&(id, tenant.clone())) else { continue };
            if let Some(rekeyed) = &used.rekeyed {
                let mut key = ApiKey::from_stored(row.field("record")?)?;
                if key.mac == rekeyed.before {
                    key.mac = rekeyed.after.clone();
                    let statement = session.statement(self.sql(REKEY)).bind(id).bind(key.to_stored()?);
                    session.run(statement).await?;
                }
            }
            held.push((id, tenant, used));
        }
        self.add_counts(session, &held).await?;
        self.move_last_uses(session, held).await
    }

    async fn add_counts(&self, session: &mut Session, held: &[(Uuid, String, OfKey)]) -> Result<()> {
        let (mut ids, mut tenants, mut days) =
            (Vec::<Uuid>::new(), Vec::<String>::new(), Vec::<NaiveDate>::new());
        let (mut outcomes, mut counts) = (Vec::<String>::new(), Vec::<i64>::new());
        for (id, tenant, used) in held {
            // Each day and outcome once, in one order: so two processes wait for each other, and not in a circle.
            for count in DayCount::sum(used.counts.iter().copied()) {
                ids.push(*id);
                tenants.push(tenant.clone());
                days.push(count.day);
                outcomes.push(count.outcome.as_str().to_owned());
                counts.push(number(count.count));
            }
        }
        let statement = session.statement(self.sql(ADD));
        let statement = statement.bind(ids).bind(tenants).bind(days).bind(outcomes).bind(counts);
        session.run(statement).await.map(|_| ())
    }

    async fn move_last_uses(&self, session: &mut Session, held: Vec<(Uuid, String, OfKey)>) -> Result<()> {
        let (mut ids, mut times) = (Vec::<Uuid>::new(), Vec::<DateTime<Utc>>::new());
        let (mut addresses, mut routes) = (Vec::<String>::new(), Vec::<String>::new());
        for (id, last) in held.into_iter().filter_map(|(id, _, used)| Some((id, used.last?))) {
            ids.push(id);
            times.push(stored_time(last.at));
            addresses.push(last.address.to_string());
            routes.push(last.route);
        }
        let statement = session.statement(self.sql(LAST));
        session.run(statement.bind(ids).bind(times).bind(addresses).bind(routes)).await.map(|_| ())
    }
}

/// The rows are held in one order, whoever asks.
const HOLD: &str = r#"SELECT k.id, k.tenant_id, k.record FROM "crossdock".api_key k
    JOIN unnest($1::uuid[], $2::text[]) AS u(id, tenant) ON k.id = u.id AND k.tenant_id = u.tenant COLLATE "C"
    ORDER BY k.id FOR NO KEY UPDATE OF k"#;
const REKEY: &str = r#"UPDATE "crossdock".api_key SET record = $2 WHERE id = $1"#;
const ADD: &str = r#"INSERT INTO "crossdock".api_key_day AS d (key, tenant_id, day, outcome, count)
    SELECT u.key, u.tenant, u.day, u.outcome, u.count
    FROM unnest($1::uuid[], $2::text[], $3::date[], $4::text[], $5::bigint[]) AS u(key, tenant, day, outcome, count)
    ORDER BY u.key, u.day, u.outcome COLLATE "C"
    ON CONFLICT (key, day, outcome) DO UPDATE SET count = d.count + excluded.count"#;
const LAST: &str = r#"UPDATE "crossdock".api_key k SET last_at = u.at, last_address = u.address, last_route = u.route
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[]) AS u(id, at, address, route)
    WHERE k.id = u.id AND (k.last_at IS NULL OR k.last_at <= u.at)"#;
