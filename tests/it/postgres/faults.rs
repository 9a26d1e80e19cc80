//! What goes wrong around a store: each fault has its kind, and is over when its cause is.

use std::error::Error;
use std::task::Poll;
use std::time::Duration;

use crossdock::ErrorKind;
use crossdock::adapters::PostgresStore;
use crossdock::webhooks::{ClaimRequest, DeliveryQueue, WebhookRepository};
use libtest_mimic::Trial;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{rule_with, server};
use crate::postgres::world::{DAY, LEASE, World, at, head, publication, tenant};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::faults::a_server_that_is_not_there_is_unavailable", server, |_| {
            play(no_server())
        }),
        rule_with("postgres::faults::a_pool_that_is_taken_is_unavailable", server, |url| {
            play(pool_taken(url))
        }),
        rule_with("postgres::faults::a_read_only_database_is_unavailable", server, |url| {
            play(read_only(url))
        }),
        rule_with("postgres::faults::a_statement_that_takes_too_long_is_unavailable", server, |url| {
            play(timed_out(url))
        }),
        rule_with("postgres::faults::a_cut_connection_is_unavailable_once", server, |url| play(cut(url))),
        rule_with("postgres::faults::a_dropped_step_leaves_no_transaction_behind", server, |url| {
            play(dropped(url))
        }),
        rule_with(
            "postgres::faults::a_step_dropped_while_it_begins_leaves_no_transaction_behind",
            server,
            |url| play(begun(url)),
        ),
        rule_with("postgres::faults::no_error_quotes_a_row", server, |url| play(quotes(url))),
    ]
}

/// Transient, with a step and a source, and without where the server is.
#[track_caller]
fn passes(error: crossdock::Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.source().is_some() && !error.step().is_empty());
    let text = format!("{error} {error:?}");
    assert!(!text.contains("postgres://") && !text.contains("s3cret"), "{text}");
}

async fn no_server() -> Outcome {
    let nowhere = tempfile::tempdir()?;
    let options = PgConnectOptions::new().socket(nowhere.path()).username("ada").password("s3cret");
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(500)).connect_lazy_with(options);
    let store = PostgresStore::new(pool);

    passes(store.outbox(1, at(0)).await.map(|_| ()).expect_err("a refusal"));
    passes(store.migrate().await.expect_err("a refusal"));
    Ok(())
}

/// The same schema over connections that were opened otherwise.
async fn over(
    world: &World,
    options: PgPoolOptions,
    setting: &'static str,
) -> Result<PostgresStore, Box<dyn Error>> {
    let options = options.after_connect(move |connection, _| {
        Box::pin(async move {
            sqlx::raw_sql(setting).execute(connection).await?;
            Ok(())
        })
    });
    let pool = options.connect(&world.url).await?;
    Ok(PostgresStore::builder(pool).schema(&world.name).build()?)
}

async fn pool_taken(url: String) -> Outcome {
    let world = World::new(url).await?;
    let pool: PgPool = PgPoolOptions::new()
        .max_connections(1)
        // Long enough for the connection itself, on a busy machine.
        .acquire_timeout(Duration::from_secs(2))
        .connect(&world.url)
        .await?;
    let store = PostgresStore::builder(pool.clone()).schema(&world.name).build()?;
    let taken = pool.acquire().await?;

    passes(store.outbox(1, at(0)).await.map(|_| ()).expect_err("a refusal"));
    drop(taken);

    store.outbox(1, at(0)).await?;
    world.end().await
}

async fn read_only(url: String) -> Outcome {
    let world = World::new(url).await?;
    let store = over(&world, PgPoolOptions::new(), "SET default_transaction_read_only = on").await?;
    let new = publication(head(&tenant("acme"), at(0))?);

    passes(store.publish(vec![new], DAY, at(0)).await.map(|_| ()).expect_err("a refusal"));
    store.outbox(1, at(0)).await?;
    world.end().await
}

async fn timed_out(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let store = over(&world, PgPoolOptions::new(), "SET statement_timeout = '100ms'").await?;
    let keyed = || Ok::<_, Box<dyn Error>>(publication(head(&acme, at(0))?).with_idempotency_key("held"));
    let mut transaction = world.pool.begin().await?;
    keyed()?.write_in(world.store.within(&mut transaction)).await?;

    passes(store.publish(vec![keyed()?], DAY, at(0)).await.map(|_| ()).expect_err("a refusal"));
    transaction.rollback().await?;

    assert!(store.publish(vec![keyed()?], DAY, at(0)).await?[0].fresh);
    world.end().await
}

async fn cut(url: String) -> Outcome {
    let world = World::new(url).await?;
    let options = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = options.connect(&world.url).await?;
    let store = PostgresStore::builder(pool.clone()).schema(&world.name).build()?;
    store.outbox(1, at(0)).await?;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&pool).await?;
    // The pool asks a connection that it takes back whether it lives: that must be over.
    while pool.num_idle() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    assert_eq!(world.number(&format!("SELECT pg_terminate_backend({pid})::int::bigint")).await?, 1);
    // It was told to end, and ends a little later.
    while world.number(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")).await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    passes(store.outbox(1, at(0)).await.map(|_| ()).expect_err("a refusal"));
    store.outbox(1, at(0)).await?;
    world.end().await
}

async fn dropped(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    world.webhook(&acme, |_| {}).await?;
    for _ in 0..30 {
        world.send(&acme, at(0)).await?;
    }

    for polls in 1..40 {
        let claim = world.store.claim(ClaimRequest::new(at(1), LEASE, 1));
        // Cut at each of its waits.
        let mut claim = Box::pin(claim);
        for _ in 0..polls {
            if std::future::poll_fn(|context| Poll::Ready(claim.as_mut().poll(context))).await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(claim);
    }

    let claims = world.claim(100, at(1) + LEASE).await?;
    assert_eq!(claims.len(), 8, "leases of claims that were dropped have ended, and no lock is left");
    let stuck = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND query LIKE '%{}%'",
        world.name
    );
    crate::patience::soon("no transaction is left open", async || Ok(world.number(&stuck).await? == 0))
        .await?;
    world.end().await
}

async fn begun(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let options = world.url.parse::<PgConnectOptions>()?.application_name(&world.name);
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
    let store = PostgresStore::builder(pool).schema(&world.name).direct().build()?;
    store.check_schema().await?;
    let stuck = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND state LIKE 'idle in transaction%'",
        world.name
    );

    for waits in 1..10 {
        let mut step = Box::pin(store.save(&acme, Vec::new(), Vec::new(), at(0)));
        for wait in 0..waits {
            if wait > 0 {
                // Long enough for an answer, so that each poll ends at the next wait.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if std::future::poll_fn(|context| Poll::Ready(step.as_mut().poll(context))).await.is_ready() {
                break;
            }
        }
        drop(step);
        tokio::time::sleep(Duration::from_millis(5)).await;
        crate::patience::soon("no transaction is left open", async || Ok(world.number(&stuck).await? == 0))
            .await?;
        store.publish(vec![publication(head(&acme, at(0))?)], DAY, at(0)).await?;
        assert_eq!(
            world.number("SELECT count(*) FROM SCHEMA.outbox").await?,
            waits,
            "it is there for others"
        );
    }
    world.end().await
}

async fn quotes(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let new = publication(head(&acme, at(0))?.with_subject("s3cret subject"));
    world.store.publish(vec![new.clone()], DAY, at(0)).await?;

    let twice = world.store.publish(vec![new], DAY, at(0)).await.map(|_| ()).expect_err("a refusal");
    let nul = publication(head(&acme, at(0))?.with_subject("s3cret\0"));
    let nul = world.store.publish(vec![nul], DAY, at(0)).await.map(|_| ()).expect_err("a refusal");

    assert_eq!((twice.kind(), nul.kind()), (ErrorKind::Conflict, ErrorKind::Invalid));
    for error in [twice, nul] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("s3cret") && !text.contains("(id)="), "{text}");
    }
    world.end().await
}
