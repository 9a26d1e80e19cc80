//! The activity log's entries, as they are written with the step that they belong to.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::rows::stored_time;
use crate::adapters::postgres::session::{Session, Statement};
use crate::error::Result;
use crate::primitives::stored::Stored;

/// Entries by column.
#[derive(Default)]
pub(super) struct Entries {
    owners: Vec<i32>,
    ids: Vec<Uuid>,
    tenants: Vec<String>,
    times: Vec<DateTime<Utc>>,
    kinds: Vec<&'static str>,
    subjects: Vec<String>,
    actors: Vec<String>,
    records: Vec<String>,
}

impl Entries {
    /// Adds entries that belong to this result.
    pub(super) fn add(&mut self, owner: i32, entries: &[Activity]) -> Result<()> {
        for entry in entries {
            self.owners.push(owner);
            self.ids.push(entry.id.as_uuid());
            self.tenants.push(entry.tenant.as_str().to_owned());
            self.times.push(stored_time(entry.at));
            self.kinds.push(entry.kind.as_str());
            self.subjects.push(entry.subject.as_str().to_owned());
            self.actors.push(entry.actor.as_ref().to_owned());
            self.records.push(entry.to_stored()?);
        }
        Ok(())
    }

    /// Binds all columns.
    pub(super) fn bind<'q>(self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(self.owners)
            .bind(self.ids)
            .bind(self.tenants)
            .bind(self.times)
            .bind(self.kinds)
            .bind(self.subjects)
            .bind(self.actors)
            .bind(self.records)
    }
}

impl PostgresStore {
    /// Writes entries at the end of a step of several statements, and what is administrative into its tenant's chain.
    pub(super) async fn note(&self, session: &mut Session, activity: &[Activity]) -> Result<()> {
        if activity.is_empty() {
            return Ok(());
        }
        // Tenants in one order, whoever writes: each holds their chains, and nobody waits in a circle.
        let mut activity: Vec<_> = activity.iter().collect();
        activity.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        let mut entries = Entries::default();
        let mut digests: Vec<Option<Vec<u8>>> = Vec::new();
        for entry in activity {
            entries.add(0, std::slice::from_ref(entry))?;
            digests.push(entry.is_administrative().then(|| entry.digest().as_bytes().to_vec()));
        }
        let is_chained = digests.iter().any(Option::is_some);
        let sql = self.sql(if is_chained { NOTE_CHAINED } else { NOTE });
        let statement = entries.bind(session.statement(sql));
        session.run(if is_chained { statement.bind(digests) } else { statement }).await?;
        Ok(())
    }
}

const NOTE: &str = r#"INSERT INTO "crossdock".activity (tenant_id, id, at, kind, subject, actor, record)
    SELECT u.tenant, u.id, u.at, u.kind, u.subject, u.actor, u.record
    FROM unnest($1::int[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[])
        AS u(owner, id, tenant, at, kind, subject, actor, record)
    ON CONFLICT DO NOTHING"#;
/// The first column is there for entries that belong to one of several results.
const NOTE_CHAINED: &str =
    r#"SELECT "crossdock".note($2, $3, $4, $5, $6, $7, $8, $9) WHERE $1::int[] IS NOT NULL"#;
