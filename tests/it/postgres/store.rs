//! The store keeps every contract: on the server itself, with and without transactions around single statements, and through a
//! transaction-mode pooler.

use std::sync::{Arc, Mutex};

use crossdock::Result;
use crossdock::adapters::PostgresStore;
use crossdock::testing::conformance::{StoreHarness, Stores, Verdict, store_suite};
use libtest_mimic::Trial;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::postgres::server::{fresh_name, pooler, rule_with, server};

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite("postgres", server, Way::Direct),
        suite("postgres_in_transactions", server, Way::Pooled),
        suite("postgres_pooled", pooler, Way::Pooled),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the store is told about its connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Direct,
    Pooled,
}

fn suite(name: &str, need: fn() -> std::result::Result<String, String>, way: Way) -> Vec<Trial> {
    let trial = |check: crossdock::testing::conformance::Check<dyn StoreHarness>| {
        rule_with(&format!("conformance::{name}::{}", check.name()), need, move |url| {
            run(async move {
                let harness = Arc::new(InSchemas { url, way, made: Mutex::default() });
                let verdict = check.run(harness.clone()).await;
                harness.clean_up().await;
                verdict
            })
        })
    };
    store_suite().into_iter().map(trial).collect()
}

fn run(story: impl Future<Output = Verdict>) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(story)
}

/// Each store has a schema of its own, which is gone with the check.
#[derive(Debug)]
struct InSchemas {
    url: String,
    way: Way,
    made: Mutex<Vec<(PgPool, String)>>,
}

#[async_trait::async_trait]
impl StoreHarness for InSchemas {
    async fn fresh(&self) -> Result<Stores> {
        let pool = PgPoolOptions::new().max_connections(8).connect(&self.url).await.expect("a server");
        let name = fresh_name();
        let builder = PostgresStore::builder(pool.clone()).schema(&name);
        let store = if self.way == Way::Direct { builder.direct() } else { builder }.build()?;
        store.migrate().await?;
        self.made.lock().expect("a list").push((pool, name));
        Ok(Stores::of(store))
    }
}

impl InSchemas {
    async fn clean_up(&self) {
        let made = std::mem::take(&mut *self.made.lock().expect("a list"));
        for (pool, name) in made {
            let drop = sqlx::AssertSqlSafe(format!("DROP SCHEMA \"{name}\" CASCADE"));
            sqlx::query(drop).persistent(false).execute(&pool).await.expect("a schema that goes");
            pool.close().await;
        }
    }
}
