//! An effect and its completion in one transaction of the host's: exactly one effect, whatever the handler then says.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossdock::adapters::{EnvelopeVault, PostgresStore, SqliteStore, StaticKeys};
use crossdock::inbound::{
    InboundStore, Incoming, PlatformSource, ReceivedFilter, ReceivedStatus, Route, presets,
};
use crossdock::lanes::Schedule;
use crossdock::ports::Clock;
use crossdock::primitives::PageRequest;
use crossdock::testing::ManualClock;
use crossdock::{Hub, SystemClock};
use libtest_mimic::Trial;
use rusqlite::{Connection, TransactionBehavior};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::world::{Failure, paid, play, signed, signer};
use crate::postgres::{rule_with, server};
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("inbound::sqlite::an_effect_and_its_completion_are_one", || {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("host.db");
            let store = SqliteStore::open(&path)?;
            play(story(store, Till::Sqlite(path)))
        }),
        rule_with("inbound::postgres::an_effect_and_its_completion_are_one", server, |url| {
            play(async move {
                let pool = PgPoolOptions::new()
                    .max_connections(6)
                    .connect_with(PgConnectOptions::from_str(&url)?)
                    .await?;
                let fresh = async || -> Result<_, Failure> {
                    let schema = crate::postgres::fresh_name();
                    let store = PostgresStore::builder(pool.clone()).schema(&schema).build()?;
                    store.migrate().await?;
                    Ok((store, schema))
                };
                let (store, schema) = fresh().await?;
                story(store.clone(), Till::Sqlx(pool.clone(), store, schema)).await?;
                let (store, schema) = fresh().await?;
                story(store.clone(), Till::TokioPostgres(pool.clone(), store, schema, url)).await
            })
        }),
    ]
}

/// Where the host keeps its effects.
#[derive(Clone)]
enum Till {
    Sqlite(PathBuf),
    Sqlx(PgPool, PostgresStore, String),
    TokioPostgres(PgPool, PostgresStore, String, String),
}

/// How a handler ends.
#[derive(Clone, Copy)]
enum Ending {
    /// It commits, and says that it is done.
    Honest,
    /// It commits, and says that it has failed.
    Pessimist,
    /// It rolls back, and says that it is done.
    Optimist,
}

impl Till {
    async fn set_up(&self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(path) => {
                Ok(Connection::open(path)?.execute_batch("CREATE TABLE effect (event TEXT NOT NULL)")?)
            }
            Self::Sqlx(pool, ..) | Self::TokioPostgres(pool, ..) => {
                let sql =
                    format!("DROP TABLE IF EXISTS {0}; CREATE TABLE {0} (event text NOT NULL)", self.table());
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await?;
                Ok(())
            }
        }
    }

    fn table(&self) -> String {
        match self {
            Self::Sqlite(_) => "effect".to_owned(),
            Self::Sqlx(_, _, schema) | Self::TokioPostgres(_, _, schema, _) => format!("\"{schema}\".effect"),
        }
    }

    async fn effects(&self) -> Result<i64, Failure> {
        let sql = format!("SELECT count(*) FROM {}", self.table());
        match self {
            Self::Sqlite(path) => Ok(Connection::open(path)?.query_row(&sql, [], |row| row.get(0))?),
            Self::Sqlx(pool, ..) | Self::TokioPostgres(pool, ..) => {
                Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await?)
            }
        }
    }

    async fn handle(&self, event: &Incoming<Value>, ending: Ending) -> Result<(), Failure> {
        let sql = format!("INSERT INTO {} (event) VALUES ('x')", self.table());
        let commits = !matches!(ending, Ending::Optimist);
        match self {
            Self::Sqlite(path) => {
                let mut connection = Connection::open(path)?;
                connection.busy_timeout(Duration::from_secs(10))?;
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                transaction.execute(&sql, [])?;
                event.complete_in(&transaction)?;
                if commits { transaction.commit()? } else { transaction.rollback()? }
            }
            Self::Sqlx(pool, store, _) => {
                let mut transaction = pool.begin().await?;
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
                event.complete_in(store.within(&mut transaction)).await?;
                if commits { transaction.commit().await? } else { transaction.rollback().await? }
            }
            Self::TokioPostgres(_, store, _, url) => {
                let (mut client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
                let driver = tokio::spawn(connection);
                let transaction = client.transaction().await?;
                transaction.batch_execute(&sql).await?;
                event.complete_in(store.within(&transaction)).await?;
                if commits {
                    transaction.commit().await?
                } else {
                    transaction.rollback().await?
                }
                drop(client);
                driver.await??;
            }
        }
        match ending {
            Ending::Pessimist => Err("so it says".into()),
            _ => Ok(()),
        }
    }
}

/// In turn: rolled back but done, so that it is tried again; committed but failed, which stays done; committed and done.
async fn story<S: InboundStore + Clone>(store: S, till: Till) -> Result<(), Failure> {
    till.set_up().await?;
    // So far away that it is no machine's clock: a worker would correct that one.
    let clock = ManualClock::starting_at(SystemClock::new().now() + chrono::TimeDelta::days(3));
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, given) = (Arc::clone(&calls), till.clone());
    let retry = Schedule::table([Duration::from_secs(5), Duration::from_secs(5)])?;
    let route = Route::new("stripe", "*", move |event: Incoming<Value>| {
        let (calls, till) = (Arc::clone(&counted), given.clone());
        async move {
            let ending = match calls.fetch_add(1, Ordering::SeqCst) {
                0 => Ending::Optimist,
                1 => Ending::Pessimist,
                _ => Ending::Honest,
            };
            till.handle(&event, ending).await
        }
    });
    let hub = Hub::builder()
        .without_built_ins()
        .clock(clock.clone())
        .vault(EnvelopeVault::new(StaticKeys::new(
            "2026-01",
            "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=",
        )?))
        .inbound_store(store)
        .source(PlatformSource::new("stripe", presets::stripe()).secret("whsec_test"))
        .route(route.retry(retry).in_order_by("/data/object/id"))
        .build()?;
    let signer = signer(&presets::stripe(), "whsec_test")?;
    let send = async |id: &str| -> Result<(), Failure> {
        let body = serde_json::to_vec(&paid(id))?;
        let answer = hub.receive("stripe", signed(&signer, &body, clock.now())?).await;
        assert_eq!(answer.status, 200, "{:?}", answer.outcome);
        Ok(())
    };
    let standing = async || -> Result<_, Failure> {
        let page = hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(1)).await?;
        Ok((page.items[0].status, page.items[0].attempts))
    };

    send("evt_1").await?;
    hub.inbound_worker().run_until_idle().await;
    assert_eq!((till.effects().await?, standing().await?), (0, (ReceivedStatus::Pending, 1)));
    clock.advance(Duration::from_secs(10));
    hub.inbound_worker().run_until_idle().await;
    assert_eq!((till.effects().await?, standing().await?), (1, (ReceivedStatus::Done, 2)));
    clock.advance(Duration::from_secs(600));
    hub.inbound_worker().run_until_idle().await;
    send("evt_1").await?;
    hub.inbound_worker().run_until_idle().await;
    assert_eq!((till.effects().await?, calls.load(Ordering::SeqCst)), (1, 2));

    clock.advance(Duration::from_secs(1));
    send("evt_2").await?;
    hub.inbound_worker().run_until_idle().await;
    assert_eq!((till.effects().await?, standing().await?), (2, (ReceivedStatus::Done, 1)));
    Ok(())
}
