//! Entries that are older than the chain: they stay in the log, and the chain begins behind them.

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::Hub;
use crossdock::activity::{Activity, ActivityFilter, ActivityKind, ActivityStore, ChainAnchor, ChainEnds};
use crossdock::adapters::PostgresStore;
use crossdock::adapters::sqlite::{SqliteStore, migrations};
use crossdock::adapters::vault::{EnvelopeVault, StaticKeys};
use crossdock::events::{EventCatalog, EventTypeSpec};
use crossdock::primitives::stored::Stored;
use crossdock::primitives::{ActivityId, PageRequest};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::ManualClock;
use crossdock::webhooks::{DeliveryQueue, NewWebhook, Retention, WebhookRepository};
use sqlx::PgPool;

use super::Told;
use super::grounds::acme;
use crate::postgres::Outcome;
use crate::postgres::server::fresh_name;
use crate::postgres::world::drop_schema;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(second)
}

fn old(tenant: &TenantId) -> Vec<Activity> {
    let actor = Actor::org_admin(tenant.clone(), "ada");
    let entry = |second: i64| {
        let id = ActivityId::mint(at(second), [7; 10]);
        Activity::new(id, at(second), &actor, ActivityKind::WebhookUpdated, "wh_1")
    };
    (0..3).map(entry).collect()
}

/// What holds of a store whose tables had entries before they had chains.
async fn goes_on<S>(store: S) -> std::result::Result<(), Box<dyn std::error::Error>>
where
    S: WebhookRepository + DeliveryQueue + ActivityStore + Clone,
{
    let listed = store.activity(&acme(), &ActivityFilter::default(), PageRequest::first(10)).await?.items;
    let mut expected = old(&acme());
    expected.reverse();
    assert_eq!(listed, expected, "what was there is there");
    assert_eq!(store.chain_ends(&acme()).await?, ChainEnds::default());

    let clock = ManualClock::starting_at(at(100));
    let key = StaticKeys::new("2026-01", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?;
    let hub = Hub::builder()
        .events(EventCatalog::new().with(EventTypeSpec::new("order.paid")))
        .store(store.clone())
        .vault(EnvelopeVault::new(key))
        .clock(clock)
        .build()?;
    let admin = hub.admin(Actor::org_admin(acme(), "ada"));
    let created =
        admin.webhooks().create(NewWebhook::to("https://erp.example.com/").events(["order.*"])).await?;
    admin.webhooks().pause(created.webhook.id).await?;

    let report = admin.activity().verify(None).await?;
    assert_eq!(report.findings, [], "what is older stands before the chain");
    assert_eq!((report.entries, report.ends.head.sequence()), (2, 2));
    let log = admin.activity().list(&ActivityFilter::default(), PageRequest::first(10)).await?;
    assert_eq!(log.items.len(), 5);

    let mut retention = Retention::default();
    retention.history = std::time::Duration::from_secs(50);
    store.tidy(retention, at(101)).await?;
    let log = admin.activity().list(&ActivityFilter::default(), PageRequest::first(10)).await?;
    assert_eq!(log.items.len(), 2, "what is old goes, chained or not");
    let report = admin.activity().verify(Some(&report.ends.head)).await?;
    assert!(report.is_intact() && report.anchored);
    assert_eq!(report.ends.base, ChainAnchor::BEGINNING);
    Ok(())
}

pub(super) async fn in_sqlite() -> Told {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hub.db");
    let file = rusqlite::Connection::open(&path)?;
    file.execute_batch("CREATE TABLE crossdock_schema (version INTEGER PRIMARY KEY) STRICT")?;
    for migration in migrations().iter().filter(|migration| migration.version < 3) {
        file.execute_batch(migration.sql)?;
        file.execute("INSERT INTO crossdock_schema (version) VALUES (?1)", [migration.version])?;
    }
    for entry in old(&acme()) {
        let (id, at) = (entry.id.as_uuid().into_bytes(), entry.at.timestamp_nanos_opt());
        let values =
            rusqlite::params!["acme", id, at, entry.kind.as_str(), "wh_1", "ada", entry.to_stored()?];
        file.execute(
            "INSERT INTO crossdock_activity (tenant, id, at, kind, subject, actor, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values,
        )?;
    }
    drop(file);

    goes_on(SqliteStore::open(&path)?).await
}

pub(super) async fn in_postgres(url: String) -> Outcome {
    let pool = PgPool::connect(&url).await?;
    let name = fresh_name();
    let store = PostgresStore::builder(pool.clone()).schema(&name).build()?;
    for migration in store.migrations().iter().filter(|migration| migration.version < 3) {
        let mut transaction = pool.begin().await?;
        sqlx::raw_sql(migration.sql).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    for entry in old(&acme()) {
        let insert = format!(
            "INSERT INTO \"{name}\".activity (tenant_id, id, at, kind, subject, actor, record) \
             VALUES ('acme', $1, $2, $3, 'wh_1', 'ada', $4)"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(entry.id.as_uuid())
            .bind(entry.at)
            .bind(entry.kind.as_str())
            .bind(entry.to_stored()?)
            .execute(&pool)
            .await?;
    }
    store.migrate().await?;

    let told = goes_on(store).await;

    drop_schema(&pool, &name).await;
    pool.close().await;
    told
}
