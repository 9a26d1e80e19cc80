//! What the schema holds, version by version and day by day.

use std::error::Error;
use std::time::Duration;

use crossdock::ErrorKind;
use crossdock::adapters::PostgresStore;
use crossdock::adapters::postgres::SchemaMismatch;
use crossdock::webhooks::{DeliveryQueue, Retention, WebhookRepository};
use libtest_mimic::Trial;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{fresh_name, rule_with, server};
use crate::postgres::world::{DAY, World, as_tenant_role, at, drop_schema, tenant};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::schema::any_number_of_migrations_at_once_make_one_schema", server, |url| {
            play(at_once(url))
        }),
        rule_with("postgres::schema::a_tool_of_the_hosts_own_may_migrate", server, |url| play(own_tool(url))),
        rule_with("postgres::schema::another_version_says_what_to_do", server, |url| play(versions(url))),
        rule_with("postgres::schema::a_day_has_its_partition_until_nothing_needs_it", server, |url| {
            play(partitions(url))
        }),
        rule_with("postgres::schema::what_lies_in_a_default_partition_is_shown", server, |url| {
            play(default_partition(url))
        }),
        rule_with("postgres::schema::policies_hide_other_tenants", server, |url| play(policies(url))),
        rule_with("postgres::schema::row_level_security_is_asked_for_before_the_first_step", server, |url| {
            play(own_policies(url))
        }),
    ]
}

async fn at_once(url: String) -> Outcome {
    let pool = PgPool::connect(&url).await?;
    let name = fresh_name();
    let store = PostgresStore::builder(pool.clone()).schema(&name).build()?;

    let (one, two, three) = tokio::join!(store.migrate(), store.migrate(), store.migrate());

    for migrated in [one, two, three, store.migrate().await, store.check_schema().await] {
        migrated?;
    }
    drop_schema(&pool, &name).await;
    Ok(())
}

async fn own_tool(url: String) -> Outcome {
    let pool = PgPool::connect(&url).await?;
    let name = fresh_name();
    let store = PostgresStore::builder(pool.clone()).schema(&name).build()?;

    for migration in store.migrations() {
        let mut transaction = pool.begin().await?;
        sqlx::raw_sql(migration.sql).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }

    store.check_schema().await?;
    let world = World { url, pool: pool.clone(), store: store.clone(), name };
    let days = days(&world).await?;
    assert!(!days.is_empty(), "a host that publishes before any worker runs needs no default partition");
    store.migrate().await?;
    world.end().await
}

async fn own_policies(url: String) -> Outcome {
    let pool = as_tenant_role(&url, PgPoolOptions::new().max_connections(4)).await?.connect(&url).await?;
    let name = fresh_name();
    let build = || PostgresStore::builder(pool.clone()).schema(&name);
    let (plain, store) = (build().build()?, build().row_level_security().build()?);
    plain.migrate().await?;
    assert_eq!(plain.policies(), None);

    let error = store.outbox(1, at(0)).await.map(|_| ()).expect_err("a refusal");

    let cause = error.source().and_then(|cause| cause.downcast_ref::<SchemaMismatch>());
    assert!(matches!(cause, Some(SchemaMismatch::Unguarded { tables: 17 })), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Unconfigured);
    assert!(error.problems()[0].fix.contains("policies()"), "{error}");
    for _ in 0..2 {
        let mut transaction = pool.begin().await?;
        sqlx::raw_sql(store.policies().ok_or("policies")?).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    store.outbox(1, at(0)).await?;

    let world = World { url, pool: pool.clone(), store: store.clone(), name: name.clone() };
    world.run("ALTER TABLE SCHEMA.payload NO FORCE ROW LEVEL SECURITY").await?;
    let fresh = build().row_level_security().build()?;
    assert!(fresh.check_schema().await.is_err(), "for the tables' owner, one has no policy");
    let (one, two) = tokio::join!(fresh.migrate(), store.migrate());
    one?;
    two?;
    fresh.check_schema().await?;
    world.end().await
}

async fn versions(url: String) -> Outcome {
    let pool = PgPool::connect(&url).await?;
    let name = fresh_name();
    let unmade = PostgresStore::builder(pool.clone()).schema(&name).build()?;
    let mismatch = |error: &crossdock::Error| {
        assert_eq!(error.kind(), ErrorKind::Unconfigured);
        error.source().and_then(|cause| cause.downcast_ref::<SchemaMismatch>().copied())
    };

    let error = unmade.webhook(&tenant("acme"), crossdock::primitives::WebhookId::mint(at(0), [0; 10])).await;
    let error = error.expect_err("a refusal");
    assert_eq!(mismatch(&error), Some(SchemaMismatch::Older { found: 0, known: 4 }));
    assert!(error.to_string().contains("migrate()"), "{error}");
    let vitals = unmade.examine(at(0)).await;
    assert!(vitals.is_err(), "there is nothing to examine");

    unmade.migrate().await?;
    unmade.check_schema().await?;
    let world = World { url, pool: pool.clone(), store: unmade, name };
    world.run("INSERT INTO SCHEMA.migration (version) VALUES (99)").await?;
    let fresh = PostgresStore::builder(pool).schema(&world.name).build()?;
    let newer = Some(SchemaMismatch::Newer { found: 99, known: 4 });
    let error = fresh.outbox(1, at(0)).await.map(|_| ()).expect_err("a refusal");
    assert_eq!(mismatch(&error), newer);
    assert!(error.to_string().contains("upgrade"), "{error}");
    assert_eq!(mismatch(&fresh.migrate().await.expect_err("a refusal")), newer);
    assert_eq!(fresh.examine(at(0)).await?.vitals["schema_version"], 99, "an operator sees it");
    world.end().await
}

fn retention(days: u32) -> Retention {
    let mut retention = Retention::default();
    (retention.payloads, retention.history) = (DAY * days, DAY * days);
    retention
}

/// How many partitions of deliveries there are, besides the one for all that has none.
async fn days(world: &World) -> Result<Vec<String>, Box<dyn Error>> {
    let sql = format!(
        "SELECT right(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = '\"{}\".delivery'::regclass AND c.relname ~ '[0-9]{{8}}$' ORDER BY 1",
        world.name
    );
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&world.pool).await?)
}

fn day_of(days: u32) -> String {
    (at(0) + DAY * days).format("%Y%m%d").to_string()
}

async fn partitions(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    world.webhook(&acme, |_| {}).await?;
    world.store.tidy(retention(5), at(0)).await?;
    for ahead in 0..=3 {
        assert!(days(&world).await?.contains(&day_of(ahead)), "the present day and three ahead");
    }
    world.send(&acme, at(0)).await?;
    let kept = world.send(&acme, at(0) + DAY).await?;
    let claims = world.claim(1, at(0) + DAY).await?;
    world.deliver(&claims, at(0) + DAY).await?;
    let ones = world.number(&format!("SELECT count(*) FROM SCHEMA.delivery_{}", day_of(0))).await?;
    assert_eq!(ones, 1, "a row lies in its day");

    world.store.tidy(retention(5), at(0) + DAY * 20).await?;

    let left = days(&world).await?;
    assert!(!left.contains(&day_of(0)), "a day that nobody needs is gone: {left:?}");
    assert!(left.contains(&day_of(1)), "something undelivered lies in the next one");
    assert!(!left.contains(&day_of(2)), "nothing in the one after that");
    let claims = world.claim(10, at(0) + DAY * 20).await?;
    assert_eq!(claims.iter().map(|claim| claim.event.head.id).collect::<Vec<_>>(), [kept]);
    world.deliver(&claims, at(0) + DAY * 20).await?;
    world.store.tidy(retention(5), at(0) + DAY * 30).await?;
    assert!(!days(&world).await?.contains(&day_of(1)), "once it has arrived, its day goes");
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.event").await?, 0);
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.payload").await?, 0);
    world.end().await
}

async fn default_partition(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    world.webhook(&acme, |_| {}).await?;
    world.send(&acme, at(0)).await?;

    // Too late for a partition of its own: the chores go on all the same.
    world.store.tidy(retention(5), at(60)).await?;

    let vitals = world.store.examine(at(60)).await?.vitals;
    assert_eq!(vitals["default_partition_rows"], 3, "event, payload, delivery");
    assert_eq!(vitals["schema_version"], 4);
    assert!(vitals["oldest_transaction_seconds"] >= 0 && vitals["dead_tuples"] >= 0);
    let claims = world.claim(10, at(60)).await?;
    world.deliver(&claims, at(60)).await?;
    assert!(world.store.tidy(retention(5), at(60) + DAY * 9).await? >= 2, "row by row");
    assert_eq!(world.store.examine(at(60) + DAY * 9).await?.vitals["default_partition_rows"], 0);
    world.end().await
}

async fn policies(url: String) -> Outcome {
    let options = as_tenant_role(&url, PgPoolOptions::new().max_connections(4)).await?;
    let pool = options.acquire_timeout(Duration::from_secs(30)).connect(&url).await?;
    let name = fresh_name();
    let store = PostgresStore::builder(pool.clone()).schema(&name).row_level_security().build()?;
    store.migrate().await?;
    let world = World { url, pool, store, name };
    let (acme, other) = (tenant("acme"), tenant("other"));
    let webhook = world.webhook(&acme, |_| {}).await?;
    world.send(&acme, at(0)).await?;

    // What a mistake in a statement would look like: it names no tenant.
    let counts = |tenant: &'static str| {
        let sql = format!(
            "SELECT (SELECT count(*) FROM \"{0}\".webhook) + (SELECT count(*) FROM \"{0}\".delivery)
                + (SELECT count(*) FROM \"{0}\".payload)",
            world.name
        );
        let pool = world.pool.clone();
        async move {
            let mut transaction = pool.begin().await?;
            let choose = "SELECT set_config('crossdock.tenant', $1, true)";
            sqlx::query(choose).bind(tenant).execute(&mut *transaction).await?;
            sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *transaction).await
        }
    };

    assert_eq!((counts("acme").await?, counts("other").await?), (3, 0));
    assert!(world.store.webhook(&acme, webhook.id).await?.is_some());
    assert!(world.store.webhook(&other, webhook.id).await?.is_none());
    assert_eq!(world.claim(10, at(1)).await?.len(), 1, "the engine works for everybody");
    world.end().await
}
