//! What a test has sent: stored as it is, and never queued.

use crate::activity::model::Activity;
use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::attempts::parted;
use crate::adapters::postgres::rows::{kind_number, small, stored_time};
use crate::error::{Error, Result};
use crate::events::model::Event;
use crate::primitives::stored::Stored;
use crate::webhooks::model::{Attempt, Delivery};

impl PostgresStore {
    pub(super) async fn keep_test(
        &self,
        event: &Event,
        delivery: &Delivery,
        attempt: &Attempt,
        activity: &[Activity],
    ) -> Result<()> {
        let step = "record a test";
        let fits = delivery.tenant == event.head.tenant && delivery.event == event.head.id;
        if !fits || attempt.delivery != delivery.id {
            return Err(Error::invalid(step, []));
        }
        let tenant = delivery.tenant.as_str().to_owned();
        let mut session = self.transaction_for(step, &delivery.tenant).await?;
        let head = &event.head;
        let statement = session
            .statement(self.sql(TEST_EVENT))
            .bind(head.id.as_uuid())
            .bind(tenant.clone())
            .bind(head.event_type.as_str().to_owned())
            .bind(stored_time(head.published_at))
            .bind(head.subject.as_deref().map(str::to_owned))
            .bind(head.to_stored()?)
            .bind(event.payload.to_vec());
        session.run(statement).await?;
        let statement = session
            .statement(self.sql(TEST_DELIVERY))
            .bind(delivery.id.as_uuid())
            .bind(tenant.clone())
            .bind(delivery.webhook.as_uuid())
            .bind(delivery.event.as_uuid())
            .bind(delivery.event_type.as_str().to_owned())
            .bind(kind_number(delivery.status.kind()))
            .bind(delivery.status.to_stored()?)
            .bind(delivery.origin.to_stored()?)
            .bind(small(delivery.attempts))
            .bind(stored_time(delivery.created_at))
            .bind(stored_time(delivery.updated_at))
            .bind(delivery.next_attempt_at.map(stored_time))
            .bind(delivery.last_status.map(i32::from))
            .bind(delivery.last_error.map(|error| error.to_stored()).transpose()?);
        session.run(statement).await?;
        let (record, contents) = parted(attempt)?;
        let statement = session
            .statement(self.sql(TEST_ATTEMPT))
            .bind(attempt.id.as_uuid())
            .bind(tenant)
            .bind(attempt.delivery.as_uuid())
            .bind(stored_time(attempt.started_at))
            .bind(record)
            .bind(contents);
        session.run(statement).await?;
        self.note(&mut session, activity).await?;
        session.end().await
    }
}

const TEST_EVENT: &str = r#"WITH e AS (
    INSERT INTO "crossdock".event (id, tenant_id, event_type, published_at, subject, head) VALUES ($1, $2, $3, $4, $5, $6)
)
INSERT INTO "crossdock".payload (event_id, tenant_id, body) VALUES ($1, $2, $7)"#;
const TEST_DELIVERY: &str = r#"INSERT INTO "crossdock".delivery (id, tenant_id, webhook_id, event_id, event_type, kind, status, origin,
    attempts, created_at, updated_at, next_attempt_at, last_status, last_error)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"#;
const TEST_ATTEMPT: &str = r#"INSERT INTO "crossdock".attempt (id, tenant_id, delivery_id, started_at, fenced, is_last, record, contents)
    VALUES ($1, $2, $3, $4, false, false, $5, $6)"#;
