//! Random histories: every store must do exactly what the shortest correct store does, step by step.
//!
//! The reference is `tests/hosts/custom_store`: maps, and a scan for every question. Rules that all might break alike are checked
//! on their own: at most one live lease per delivery, limits, order, nothing lost, an honest `next_due`.

#[expect(unreachable_pub, reason = "there it is a crate, here a module")]
#[path = "../hosts/custom_store/src/lib.rs"]
mod reference;

mod steps;
mod world;

use std::sync::Arc;

use crossdock::adapters::memory::MemoryStore;
use crossdock::adapters::postgres::PostgresStore;
use crossdock::adapters::sqlite::SqliteStore;
use crossdock::testing::conformance::Stores;
use libtest_mimic::Trial;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

use self::reference::SimpleStore;
use self::steps::history;
use self::world::{Kept, World};
use crate::postgres::server::{fresh_name, rule_with, server};
use crate::postgres::world::drop_schema;
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("history::the_store_in_memory_does_what_the_shortest_store_does", || {
            random_histories(300, 20_000, |_| vec![reference(), in_memory()])
        }),
        rule("history::the_store_in_sqlite_does_what_the_others_do", || {
            let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            let mut files = 0;
            random_histories(50, 20_000, move |_| {
                files += 1;
                let path = folder.path().join(format!("{files}.db"));
                vec![reference(), in_memory(), in_sqlite(&path)]
            })
        }),
        rule_with("history::the_store_in_postgres_does_what_the_others_do", server, |url| {
            let mut before = None;
            random_histories(15, 40, move |runtime| {
                let kept = runtime.block_on(in_postgres(&url, &mut before));
                vec![reference(), in_memory(), kept.expect("a store")]
            })
        }),
    ]
}

fn reference() -> Kept {
    Kept { name: "reference", stores: Stores::of(SimpleStore::default()), is_exact: false }
}

fn in_memory() -> Kept {
    Kept { name: "in memory", stores: Stores::of(MemoryStore::new()), is_exact: true }
}

fn in_sqlite(path: &std::path::Path) -> Kept {
    // Two handles on one file, as two processes have them: neither may trust what it remembers. What a power cut would lose is
    // not asked for here.
    let open = || SqliteStore::builder(path).readers(1).dangerous_skip_sync().open().expect("a store");
    let mut stores = Stores::of(open());
    stores.queue = Arc::new(open());
    Kept { name: "in SQLite", stores, is_exact: true }
}

/// A fresh store in a schema of its own; the one before it goes.
async fn in_postgres(
    url: &str,
    before: &mut Option<(sqlx::PgPool, String)>,
) -> Result<Kept, Box<dyn std::error::Error>> {
    if let Some((pool, name)) = before.take() {
        drop_schema(&pool, &name).await;
        pool.close().await;
    }
    let pool = sqlx::PgPool::connect(url).await?;
    let name = fresh_name();
    // Two stores, as two processes have them.
    let open = || PostgresStore::builder(pool.clone()).schema(&name).direct().build();
    let store = open()?;
    store.migrate().await?;
    let mut stores = Stores::of(store);
    stores.queue = Arc::new(open()?);
    *before = Some((pool, name));
    Ok(Kept { name: "in PostgreSQL", stores, is_exact: true })
}

/// Plays so many histories (`PROPTEST_CASES` asks for more), each in fresh stores of which the first is the reference.
fn random_histories(
    cases: u32,
    shrinks: u32,
    fresh: impl FnMut(&Runtime) -> Vec<Kept>,
) -> Result<(), String> {
    let defaults = Config::default();
    let asked = std::env::var_os("PROPTEST_CASES").map_or(0, |_| defaults.cases);
    let config =
        Config { cases: cases.max(asked), failure_persistence: None, max_shrink_iters: shrinks, ..defaults };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let fresh = std::cell::RefCell::new(fresh);
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&history(), |(settings, steps)| {
        let kept = (fresh.borrow_mut())(&runtime);
        runtime.block_on(async {
            let mut world = World::new(&settings, kept).await;
            for (index, step) in steps.iter().enumerate() {
                world.take(step).await;
                world
                    .check()
                    .await
                    .map_err(|broken| TestCaseError::fail(format!("step {index}, {step:?}: {broken}")))?;
            }
            world.finish().await.map_err(TestCaseError::fail)
        })
    });
    outcome.map_err(|error| error.to_string())
}
