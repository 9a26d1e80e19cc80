//! Settle: a whole batch in one statement.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::attempts::parted;
use crate::adapters::postgres::entries::Entries;
use crate::adapters::postgres::names::Names;
use crate::adapters::postgres::rows::{Field, number, small, stored_time, stored_times, told};
use crate::adapters::postgres::session::Statement;
use crate::error::Result;
use crate::primitives::id::WebhookId;
use crate::primitives::stored::Stored;
use crate::tenancy::model::TenantId;
use crate::webhooks::health::WebhookHealth;
use crate::webhooks::model::{DeliveryStatus, Fate, HealthChange, Settlement};
use crate::webhooks::queue::{HealthMoved, Judged, JudgedStep, SettleBatch, Settled};

impl PostgresStore {
    pub(super) async fn settle_batch(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        let mut entries = Entries::default();
        let mut names = Names::default();
        let results = Results::of(batch.settlements, &mut names, &mut entries)?;
        let judgements = Judgements::of(batch.judgements, &mut names, &mut entries)?;
        let (tenants, webhooks): (Vec<_>, Vec<_>) =
            names.all().map(|(tenant, webhook)| (tenant.as_str(), webhook.as_uuid())).unzip();
        let mut session = self.one_statement(STEP).await?;
        let statement =
            session.statement(self.sql(SETTLE)).bind(stored_time(now)).bind(tenants).bind(webhooks);
        let statement = entries.bind(judgements.bind(results.bind(statement)));
        let rows = session.rows(statement).await?;
        session.end().await?;

        let mut settled = Settled::default();
        for row in rows {
            match row.field::<Option<i32>>("place")? {
                Some(0) => settled.next_due = row.field("success_before")?,
                Some(place) if place < 0 => {
                    settled.disabled.extend(named(batch, place.unsigned_abs() as usize))
                }
                Some(place) => {
                    let index = place.unsigned_abs() as usize;
                    let lost = index.checked_sub(1).and_then(|index| batch.settlements.get(index));
                    settled.fenced.extend(lost.map(|lost| (lost.delivery, lost.lease.token)));
                }
                None => settled.health.push(HealthMoved::new(
                    row.tenant("tenant_id")?,
                    WebhookId::from_uuid(row.field("webhook_id")?),
                    read_health(
                        &row,
                        [
                            "success_before",
                            "failure_before",
                            "failing_before",
                            "failed_before",
                            "warned_before",
                        ],
                    )?,
                    read_health(
                        &row,
                        ["success_after", "failure_after", "failing_after", "failed_after", "warned_after"],
                    )?,
                )),
            }
        }
        Ok(settled)
    }
}

/// The webhook of this result, or of this judgement: they are counted from 1, and judgements behind the results.
fn named(batch: SettleBatch<'_>, place: usize) -> Option<(TenantId, WebhookId)> {
    let results = batch.settlements.iter().map(|result| (&result.tenant, result.webhook));
    let judgements = batch.judgements.iter().map(|judged| (&judged.tenant, judged.webhook));
    let (tenant, webhook) = results.chain(judgements).nth(place.checked_sub(1)?)?;
    Some((tenant.clone(), webhook))
}

/// A webhook's health from these columns.
pub(super) fn read_health(row: &PgRow, columns: [&str; 5]) -> Result<WebhookHealth> {
    let [success, failure, failing, failed, warned] = columns;
    Ok(WebhookHealth {
        last_success_at: row.field(success)?,
        last_failure_at: row.field(failure)?,
        failing_since: row.field(failing)?,
        failed_deliveries: row.field::<i64>(failed)?.try_into().unwrap_or(u32::MAX),
        warned_percent: row.field::<i16>(warned)?.try_into().unwrap_or(u8::MAX),
    })
}

/// Results by column.
#[derive(Default)]
struct Results {
    named: Vec<i32>,
    deliveries: Vec<Uuid>,
    tokens: Vec<i64>,
    versions: Vec<i64>,
    seconds: Vec<i32>,
    fates: Vec<i16>,
    due: Vec<Option<DateTime<Utc>>>,
    statuses: Vec<Option<String>>,
    attempts: Vec<Option<Uuid>>,
    started: Vec<Option<DateTime<Utc>>>,
    records: Vec<Option<String>>,
    contents: Vec<Option<Vec<u8>>>,
    codes: Vec<Option<i32>>,
    errors: Vec<Option<String>>,
    health: Vec<i16>,
    pauses: Vec<Option<DateTime<Utc>>>,
    brakes_seen: Vec<Option<i64>>,
    brakes_open: Vec<Option<DateTime<Utc>>>,
    brake_limits: Vec<Option<i32>>,
    brake_openings: Vec<Option<i32>>,
    brake_ramps: Vec<Option<DateTime<Utc>>>,
    disables: Vec<Option<&'static str>>,
}

impl Results {
    fn of<'a>(
        settlements: &'a [Settlement],
        names: &mut Names<(&'a TenantId, WebhookId)>,
        entries: &mut Entries,
    ) -> Result<Self> {
        let mut results = Self::default();
        let mut leases = HashSet::with_capacity(settlements.len());
        for (place, settlement) in (1..).zip(settlements) {
            let named = names.place((&settlement.tenant, settlement.webhook));
            results.push(named, settlement)?;
            if !leases.insert((named, settlement.delivery, settlement.lease.token)) {
                results.seconds.push(place);
            }
            entries.add(place, &settlement.activity)?;
        }
        Ok(results)
    }

    fn push(&mut self, named: i32, settlement: &Settlement) -> Result<()> {
        let (fate, due, status) = match settlement.fate {
            Fate::Delivered => (1, None, Some(DeliveryStatus::Delivered)),
            Fate::DeadLetter(reason) => (2, None, Some(DeliveryStatus::DeadLetter(reason))),
            Fate::RetryAt(at) => (3, Some(at), None),
            Fate::Release(at) => (4, Some(at), None),
            Fate::Stop => (5, None, None),
        };
        self.named.push(named);
        self.deliveries.push(settlement.delivery.as_uuid());
        self.tokens.push(number(settlement.lease.token.number()));
        self.versions.push(number(settlement.webhook_version.number()));
        self.fates.push(fate);
        self.due.push(due.map(stored_time));
        self.statuses.push(status.map(|status| status.to_stored()).transpose()?);
        self.push_attempt(settlement)?;
        self.health.push(match settlement.health {
            HealthChange::None => 0,
            HealthChange::Success => 1,
            HealthChange::Failure { first: false } => 2,
            HealthChange::Failure { first: true } => 3,
        });
        self.pauses.push(settlement.pause_until.map(stored_time));
        let brake = settlement.brake.map(|change| change.brake);
        self.brakes_seen.push(settlement.brake.map(|change| number(change.seen)));
        self.brakes_open.push(brake.and_then(|brake| brake.open_until()).map(stored_time));
        self.brake_limits.push(brake.and_then(|brake| brake.limit()).map(small));
        self.brake_openings.push(brake.map(|brake| small(brake.openings())));
        self.brake_ramps.push(brake.and_then(|brake| brake.ramp_at()).map(stored_time));
        self.disables.push(settlement.disable.map(|reason| reason.as_str()));
        Ok(())
    }

    fn push_attempt(&mut self, settlement: &Settlement) -> Result<()> {
        let attempt = settlement.attempt.as_deref();
        let (record, contents) = attempt.map(parted).transpose()?.unzip();
        self.attempts.push(attempt.map(|attempt| attempt.id.as_uuid()));
        self.started.extend(stored_times([attempt.map(|attempt| attempt.started_at)]));
        self.records.push(record);
        self.contents.push(contents.flatten());
        self.codes.push(attempt.and_then(|attempt| attempt.status).map(i32::from));
        let error = attempt.and_then(|attempt| attempt.error);
        self.errors.push(error.map(|error| error.to_stored()).transpose()?);
        Ok(())
    }

    fn bind<'q>(self, statement: Statement<'q>) -> Statement<'q> {
        statement
            .bind(self.named)
            .bind(self.deliveries)
            .bind(self.tokens)
            .bind(self.versions)
            .bind(self.seconds)
            .bind(self.fates)
            .bind(told(self.due))
            .bind(told(self.statuses))
            .bind(told(self.attempts))
            .bind(told(self.started))
            .bind(told(self.records))
            .bind(told(self.contents))
            .bind(told(self.codes))
            .bind(told(self.errors))
            .bind(self.health)
            .bind(told(self.pauses))
            .bind(told(self.brakes_seen))
            .bind(told(self.brakes_open))
            .bind(told(self.brake_limits))
            .bind(told(self.brake_openings))
            .bind(told(self.brake_ramps))
            .bind(told(self.disables))
    }
}

/// Judgements by column.
#[derive(Default)]
struct Judgements {
    named: Vec<i32>,
    warned: Vec<Option<i16>>,
    disables: Vec<Option<&'static str>>,
}

impl Judgements {
    fn of<'a>(
        judged: &'a [Judged],
        names: &mut Names<(&'a TenantId, WebhookId)>,
        entries: &mut Entries,
    ) -> Result<Self> {
        let mut judgements = Self::default();
        for (place, judged) in (1..).zip(judged) {
            let (warned, disable) = match judged.step {
                JudgedStep::Warned(percent) => (Some(percent.into()), None),
                JudgedStep::Disable(reason) => (None, Some(reason.as_str())),
            };
            judgements.named.push(names.place((&judged.tenant, judged.webhook)));
            judgements.warned.push(warned);
            judgements.disables.push(disable);
            let place: i32 = place;
            entries.add(-place, &judged.activity)?;
        }
        Ok(judgements)
    }

    fn bind<'q>(self, statement: Statement<'q>) -> Statement<'q> {
        statement.bind(self.named).bind(self.warned).bind(self.disables)
    }
}

const STEP: &str = "settle deliveries";
const SETTLE: &str = r#"SELECT s.* FROM "crossdock".settle(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
    $28, $29, $30, $31, $32, $33, $34, $35, $36
) AS s"#;
