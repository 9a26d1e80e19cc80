//! A store in a schema of its own, and the steps that its stories are made of.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossdock::SystemEntropy;
use crossdock::adapters::PostgresStore;
use crossdock::events::{Event, EventHead};
use crossdock::ports::EntropyExt;
use crossdock::primitives::{DeliveryId, EgressPolicy, EventId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    Change, Claim, ClaimRequest, DeliveryQueue, Fate, Publication, SettleBatch, Settlement, Webhook,
    WebhookRepository, fan_out,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};

type Failure = Box<dyn std::error::Error>;

pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A story's store, its connections, and the schema that it lies in.
pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
    pub(crate) store: PostgresStore,
    pub(crate) name: String,
}

/// So many seconds after a time that no machine's clock shows.
pub(crate) fn at(seconds: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::from_secs(56 * 365 * 24 * 60 * 60 + seconds)
}

impl World {
    pub(crate) async fn new(url: String) -> Result<Self, Failure> {
        Self::with_connections(url, 12).await
    }

    pub(crate) async fn with_connections(url: String, most: u32) -> Result<Self, Failure> {
        let pool = PgPoolOptions::new().max_connections(most).connect(&url).await?;
        let name = super::server::fresh_name();
        let store = PostgresStore::builder(pool.clone()).schema(&name).build()?;
        store.migrate().await?;
        Ok(Self { url, pool, store, name })
    }

    /// What another process would have: connections of its own.
    pub(crate) async fn other_process(&self) -> Result<PostgresStore, Failure> {
        let pool = PgPoolOptions::new().max_connections(6).connect(&self.url).await?;
        Ok(PostgresStore::builder(pool).schema(&self.name).direct().build()?)
    }

    /// Runs this story's own statement; `SCHEMA` becomes the store's.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), Failure> {
        let sql = sqlx::AssertSqlSafe(sql.replace("SCHEMA", &format!("\"{}\"", self.name)));
        sqlx::raw_sql(sql).execute(&self.pool).await?;
        Ok(())
    }

    /// The number that this story's own query answers.
    pub(crate) async fn number(&self, sql: &str) -> Result<i64, Failure> {
        let sql = sqlx::AssertSqlSafe(sql.replace("SCHEMA", &format!("\"{}\"", self.name)));
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    pub(crate) async fn webhook(
        &self,
        tenant: &TenantId,
        change: impl FnOnce(&mut Webhook),
    ) -> Result<Webhook, Failure> {
        let url = EgressPolicy::default().parse("https://erp.example.com/hooks")?;
        let id = WebhookId::mint(at(0), random());
        let mut webhook = Webhook::new(id, tenant.clone(), url, vec!["*".parse()?], at(0));
        change(&mut webhook);
        let changes = vec![Change::Insert(webhook.clone())];
        self.store.save(tenant, changes, Vec::new(), at(0)).await?;
        Ok(webhook)
    }

    /// Turns everything in the outbox into deliveries.
    pub(crate) async fn distribute(&self, now: DateTime<Utc>) -> Result<(), Failure> {
        loop {
            let outbox = self.store.outbox(200, now).await?;
            if outbox.entries.is_empty() {
                return Ok(());
            }
            let of = |head: &EventHead| outbox.webhooks.get(&head.tenant).map_or(&[][..], |all| &all[..]);
            let mint = || DeliveryId::mint(now, random());
            let wanted = outbox
                .entries
                .iter()
                .map(|(place, head)| (*place, fan_out::fan_out(head, of(head), mint)))
                .collect();
            self.store.fan_out(wanted, now).await?;
        }
    }

    /// Publishes one event and makes its deliveries.
    pub(crate) async fn send(&self, tenant: &TenantId, now: DateTime<Utc>) -> Result<EventId, Failure> {
        let new = publication(head(tenant, now)?);
        let id = new.event.head.id;
        self.store.publish(vec![new], DAY, now).await?;
        self.distribute(now).await?;
        Ok(id)
    }

    pub(crate) async fn claim(&self, limit: usize, now: DateTime<Utc>) -> Result<Vec<Claim>, Failure> {
        Ok(self.store.claim(ClaimRequest::new(now, LEASE, limit)).await?.claims)
    }

    pub(crate) async fn deliver(&self, claims: &[Claim], now: DateTime<Utc>) -> Result<(), Failure> {
        let results: Vec<_> = claims.iter().map(|claim| Settlement::new(claim, Fate::Delivered)).collect();
        self.store.settle(SettleBatch::new(&results), now).await?;
        Ok(())
    }

    /// Ends the story.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        drop_schema(&self.pool, &self.name).await;
        self.pool.close().await;
        Ok(())
    }
}

/// Drops a schema and all that is in it. Never prepared: there may be a pooler in between.
pub(crate) async fn drop_schema(pool: &PgPool, name: &str) {
    let sql = sqlx::AssertSqlSafe(format!("DROP SCHEMA \"{name}\" CASCADE"));
    sqlx::raw_sql(sql).execute(pool).await.expect("a schema that goes");
}

/// Connections of a role that policies hold for.
pub(crate) async fn as_tenant_role(url: &str, options: PgPoolOptions) -> Result<PgPoolOptions, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let role = "DO $$ BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended('crossdock_it_role', 0));
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'crossdock_it_role') THEN
            CREATE ROLE crossdock_it_role;
            EXECUTE format('GRANT CREATE ON DATABASE %I TO crossdock_it_role', current_database());
        END IF;
    END $$";
    sqlx::raw_sql(role).execute(&mut connection).await?;
    connection.close().await?;
    Ok(options.after_connect(|connection, _| {
        Box::pin(async move {
            sqlx::raw_sql("SET ROLE crossdock_it_role").execute(connection).await?;
            Ok(())
        })
    }))
}

pub(crate) fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant id")
}

pub(crate) fn head(tenant: &TenantId, now: DateTime<Utc>) -> Result<EventHead, Failure> {
    Ok(EventHead::new(EventId::mint(now, random()), tenant.clone(), "order.paid".parse()?, now))
}

pub(crate) fn publication(head: EventHead) -> Publication {
    let payload = format!(r#"{{"event":"{}"}}"#, head.id);
    Publication::new(Arc::new(Event::new(head, payload)), [0; 32])
}

/// Never the same twice, also on a server that earlier runs have used.
pub(crate) fn random() -> [u8; 10] {
    SystemEntropy.bytes()
}
