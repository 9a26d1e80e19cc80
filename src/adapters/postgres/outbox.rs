//! The outbox, read.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::outbox_floor::OutboxFloors;
use crate::adapters::postgres::records::Found;
use crate::adapters::postgres::rows::{Field, read_head, uuid_of};
use crate::adapters::postgres::session::Session;
use crate::error::{ErrorKind, Result};
use crate::events::model::EventHead;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::Webhook;
use crate::webhooks::queue::{Half, Outbox, Sequence};

/// What has been read so far.
#[derive(Default)]
struct Reading {
    entries: Vec<(Sequence, Arc<EventHead>)>,
    webhooks: HashMap<TenantId, Vec<Arc<Webhook>>>,
    /// One of their webhooks cannot be read: what it is to get can only be said once it is mended.
    passed_over: BTreeSet<String>,
}

impl PostgresStore {
    /// The oldest entries. One that cannot be read is passed over and stays, and so are those of a tenant of whose webhooks one
    /// cannot be read: they neither stand in others' way nor are lost.
    pub(super) async fn read_outbox(
        &self,
        half: Option<Half>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Outbox> {
        let mut session = self.one_statement(STEP).await?;
        let mut reading = Reading::default();
        let mut behind = self.outbox_floors().of(half).begin(now);
        let mut first = None;
        while reading.entries.len() < limit {
            let most = limit - reading.entries.len();
            let statement = session
                .statement(self.sql(OUTBOX))
                .bind(i64::try_from(most).unwrap_or(i64::MAX))
                .bind(behind)
                .bind(half.map(|half| i32::from(half == Half::Odd)))
                .bind(reading.passed_over.iter().cloned().collect::<Vec<_>>())
                .bind(self.inner.own_events.are_most());
            let rows = session.rows(statement).await?;
            // The webhooks of their tenants come behind the entries.
            let (rows, webhooks) = rows.split_at(entries(&rows)?);
            let heads = self.heads(&mut session, rows).await?;
            let mut tenants = BTreeSet::new();
            for (row, head) in rows.iter().zip(heads) {
                behind = row.field("seq")?;
                first.get_or_insert(behind);
                if let Some(head) = head {
                    tenants.insert(head.tenant.clone());
                    reading.entries.push((Sequence::new(behind.unsigned_abs()), Arc::new(head)));
                }
            }
            self.read_webhooks(&mut session, &mut reading, tenants, webhooks).await?;
            if rows.len() < most {
                break;
            }
        }
        session.end().await?;
        self.outbox_floors().of(half).read(first.map(|first| (first, behind)), now);
        let webhooks = reading.webhooks.into_iter().map(|(tenant, all)| (tenant, all.into())).collect();
        Ok(Outbox::new(reading.entries, webhooks))
    }

    /// The heads of these entries, as far as they can be read. Our own are here; the others come with the entries, unless our own are
    /// most: then they are read for themselves.
    async fn heads(&self, session: &mut Session, rows: &[PgRow]) -> Result<Vec<Option<EventHead>>> {
        let own_events = &self.inner.own_events;
        let ids: Vec<_> = rows.iter().map(|row| uuid_of(row, "event_id")).collect::<Result<_>>()?;
        let own = own_events.find(&ids);
        own_events.were(own.iter().flatten().count(), rows.len());
        let mut heads = Vec::with_capacity(rows.len());
        let mut missing = Vec::new();
        for ((row, id), own) in rows.iter().zip(&ids).zip(own) {
            heads.push(match own {
                Some(event) => Some(event.head.clone()),
                None if row.field::<Option<&str>>("head")?.is_some() => readable(row)?,
                None => {
                    missing.push(*id);
                    None
                }
            });
        }
        if missing.is_empty() {
            return Ok(heads);
        }
        let statement = session.statement(self.sql(HEADS)).bind(missing);
        let mut found = HashMap::new();
        for row in session.rows(statement).await? {
            found.insert(uuid_of(&row, "id")?, readable(&row)?);
        }
        for (head, id) in heads.iter_mut().zip(&ids).filter(|(head, _)| head.is_none()) {
            *head = found.remove(id).flatten();
        }
        Ok(heads)
    }

    fn outbox_floors(&self) -> MutexGuard<'_, OutboxFloors> {
        self.inner.outbox_floors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The webhooks of these tenants, from rows that were read after their entries.
    async fn read_webhooks(
        &self,
        session: &mut Session,
        reading: &mut Reading,
        tenants: BTreeSet<TenantId>,
        rows: &[PgRow],
    ) -> Result<()> {
        let mut read: HashMap<_, Vec<_>> = tenants.into_iter().map(|tenant| (tenant, Vec::new())).collect();
        let found = self.webhooks_of(session, rows, "stamp").await?;
        for row in rows {
            let tenant: &str = row.field("tenant_id")?;
            match found.get(&(tenant, row.field("webhook_id")?)) {
                Some(Found::There(webhook)) => {
                    read.entry(row.tenant("tenant_id")?).or_default().push(Arc::clone(webhook));
                }
                Some(Found::Unreadable) => {
                    reading.passed_over.insert(tenant.to_owned());
                }
                // Removed since.
                Some(Found::Missing) | None => {}
            }
        }
        let Reading { entries, webhooks, passed_over } = reading;
        // What was read in an earlier round is replaced.
        webhooks.extend(read);
        entries.retain(|(_, head)| !passed_over.contains(head.tenant.as_str()));
        webhooks.retain(|tenant, _| !passed_over.contains(tenant.as_str()));
        Ok(())
    }
}

fn readable(row: &PgRow) -> Result<Option<EventHead>> {
    match read_head(row) {
        Ok(head) => Ok(Some(head)),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many of these rows are entries.
fn entries(rows: &[PgRow]) -> Result<usize> {
    for (place, row) in rows.iter().enumerate() {
        if row.field::<Option<i64>>("seq")?.is_none() {
            return Ok(place);
        }
    }
    Ok(rows.len())
}

const STEP: &str = "read the outbox";
const OUTBOX: &str = r#"SELECT o.seq, o.event_id, o.head, o.tenant_id, o.webhook_id, o.stamp
    FROM "crossdock".read_outbox($1, $2, $3, $4, $5) AS o"#;
const HEADS: &str = r#"SELECT e.id, e.head FROM "crossdock".event e WHERE e.id = ANY ($1)"#;
