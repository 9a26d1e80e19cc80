//! Publishing in a transaction of the host's own.

use crossdock::ErrorKind;
use crossdock::adapters::PostgresStore;
use crossdock::adapters::postgres::PublishStatement;
use crossdock::webhooks::{DeliveryQueue, Publications};
use libtest_mimic::Trial;
use sqlx::{Connection, PgConnection, Row};

use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{fresh_name, rule_with, server};
use crate::postgres::world::{DAY, World, at, head, publication, tenant};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::host::an_event_exists_if_and_only_if_the_hosts_change_does", server, |url| {
            play(together(url))
        }),
        rule_with("postgres::host::a_used_key_leaves_the_transaction_usable", server, |url| {
            play(conflict(url))
        }),
        rule_with("postgres::host::an_id_that_is_taken_is_named_by_its_place", server, |url| {
            play(taken_id(url))
        }),
        rule_with("postgres::host::order_follows_the_transactions", server, |url| play(order(url))),
        rule_with("postgres::host::nothing_waits_for_a_transaction_but_the_same_key", server, |url| {
            play(nobody_waits(url))
        }),
        rule_with("postgres::host::a_tokio_postgres_transaction_does_the_same", server, |url| {
            play(tokio_postgres(url))
        }),
        rule_with("postgres::host::any_driver_can_run_the_statement", server, |url| play(by_hand(url))),
        rule_with("postgres::host::the_usual_schema_needs_no_store", server, |url| play(usual(url))),
    ]
}

async fn together(url: String) -> Outcome {
    let world = World::new(url).await?;
    world.run("CREATE TABLE SCHEMA.orders (number int)").await?;
    let insert = format!("INSERT INTO \"{}\".orders VALUES (1)", world.name);
    let acme = tenant("acme");
    for ending in ["rollback", "commit"] {
        let mut transaction = world.pool.begin().await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(insert.clone())).execute(&mut *transaction).await?;

        let answer = publication(head(&acme, at(0))?).write_in(world.store.within(&mut transaction)).await?;

        assert!(answer.fresh);
        assert!(world.store.outbox(10, at(1)).await?.entries.is_empty(), "nobody sees it yet");
        match ending {
            "commit" => transaction.commit().await?,
            _ => transaction.rollback().await?,
        }
        let count = if ending == "commit" { 1 } else { 0 };
        assert_eq!(world.number("SELECT count(*) FROM SCHEMA.orders").await?, count);
        assert_eq!(world.number("SELECT count(*) FROM SCHEMA.event").await?, count);
        assert_eq!(world.store.outbox(10, at(1)).await?.entries.len() as i64, count);
    }
    // A dropped transaction is a rolled back one.
    let mut transaction = world.pool.begin().await?;
    publication(head(&acme, at(0))?).write_in(world.store.within(&mut transaction)).await?;
    drop(transaction);
    assert_eq!(world.store.outbox(10, at(1)).await?.entries.len(), 1);
    // So is a connection's, whose events are committed one by one.
    let mut connection = PgConnection::connect(&world.url).await?;
    let two = vec![publication(head(&acme, at(2))?), publication(head(&acme, at(2))?)];
    let answers = Publications::new(two).write_in(world.store.within(&mut connection)).await?;
    assert_eq!(answers.len(), 2);
    connection.close().await?;
    assert_eq!(world.store.outbox(10, at(3)).await?.entries.len(), 3);
    world.end().await
}

async fn conflict(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let keyed = |digest| {
        let mut new = publication(head(&acme, at(0))?).with_idempotency_key("k");
        new.digest = [digest; 32];
        Ok::<_, Box<dyn std::error::Error>>(new)
    };
    let first = world.store.publish(vec![keyed(1)?], DAY, at(0)).await?[0];

    let mut transaction = world.pool.begin().await?;
    let refused = keyed(2)?.write_in(world.store.within(&mut transaction)).await.expect_err("a refusal");
    let again = keyed(1)?.write_in(world.store.within(&mut transaction)).await?;
    let other = publication(head(&acme, at(1))?).write_in(world.store.within(&mut transaction)).await?;
    transaction.commit().await?;

    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.problems()[0].field, "publications[0].idempotency_key");
    assert_eq!((again.event, again.fresh), (first.event, false));
    assert!(other.fresh);
    assert_eq!(world.store.outbox(10, at(2)).await?.entries.len(), 2);
    world.end().await
}

async fn taken_id(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let there = publication(head(&acme, at(0))?);
    world.store.publish(vec![there.clone()], DAY, at(0)).await?;
    let two = || Ok::<_, Box<dyn std::error::Error>>(vec![publication(head(&acme, at(1))?), there.clone()]);
    let (mut client, connection) = configuration(&world.url)?.connect(::tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);

    let by_the_store = world.store.publish(two()?, DAY, at(1)).await;
    let mut transaction = world.pool.begin().await?;
    let by_sqlx = Publications::new(two()?).write_in(world.store.within(&mut transaction)).await;
    transaction.rollback().await?;
    let transaction = client.transaction().await?;
    let by_tokio_postgres = Publications::new(two()?).write_in(world.store.within(&transaction)).await;
    transaction.rollback().await?;

    for answer in [by_the_store, by_sqlx, by_tokio_postgres] {
        let refused = answer.expect_err("a refusal");
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!(refused.problems()[0].field, "publications[1].event.id");
    }
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.event").await?, 1);
    drop(client);
    connection.await??;
    world.end().await
}

async fn order(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let heads = [head(&acme, at(5))?, head(&acme, at(3))?, head(&acme, at(1))?];
    let ids: Vec<_> = heads.iter().map(|head| head.id).collect();

    for head in heads {
        let mut transaction = world.pool.begin().await?;
        publication(head).write_in(world.store.within(&mut transaction)).await?;
        transaction.commit().await?;
    }

    let outbox = world.store.outbox(10, at(6)).await?;
    let listed: Vec<_> = outbox.entries.iter().map(|(_, head)| head.id).collect();
    assert_eq!(listed, ids, "whoever committed before another began goes first, whatever the clocks say");
    world.end().await
}

async fn nobody_waits(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    world.webhook(&acme, |_| {}).await?;
    let mut transaction = world.pool.begin().await?;
    let held = publication(head(&acme, at(0))?).with_idempotency_key("held");
    held.write_in(world.store.within(&mut transaction)).await?;

    // Each of these would hang if it waited for the transaction.
    let free = publication(head(&acme, at(0))?).with_idempotency_key("free");
    world.store.publish(vec![free], DAY, at(0)).await?;
    world.send(&acme, at(0)).await?;
    let claims = world.claim(10, at(1)).await?;
    world.deliver(&claims, at(1)).await?;

    assert_eq!(claims.len(), 2);
    transaction.commit().await?;
    world.distribute(at(2)).await?;
    assert_eq!(world.claim(10, at(2)).await?.len(), 1, "what was held goes as well");
    world.end().await
}

async fn tokio_postgres(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let (mut client, connection) = configuration(&world.url)?.connect(::tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);

    let transaction = client.transaction().await?;
    publication(head(&acme, at(0))?).write_in(world.store.within(&transaction)).await?;
    transaction.rollback().await?;
    assert!(world.store.outbox(10, at(0)).await?.entries.is_empty());
    let transaction = client.transaction().await?;
    let keyed = publication(head(&acme, at(0))?).with_idempotency_key("k");
    let first = keyed.clone().write_in(world.store.within(&transaction)).await?;
    let again = keyed.write_in(world.store.within(&transaction)).await?;
    transaction.commit().await?;

    assert_eq!((first.fresh, again.fresh, again.event), (true, false, first.event));
    assert_eq!(world.store.outbox(10, at(0)).await?.entries.len(), 1);
    drop(client);
    connection.await??;
    world.end().await
}

/// The same server for another driver, which takes a socket's folder in its own way.
fn configuration(url: &str) -> Result<::tokio_postgres::Config, Box<dyn std::error::Error>> {
    let url = url::Url::parse(url)?;
    let mut configuration = ::tokio_postgres::Config::new();
    let socket = url.query_pairs().find(|(name, _)| name == "host").map(|(_, folder)| folder.into_owned());
    configuration.host(socket.as_deref().or(url.host_str()).unwrap_or("localhost"));
    configuration.port(url.port().unwrap_or(5432)).user(url.username());
    if let Some(password) = url.password() {
        configuration.password(password);
    }
    configuration.dbname(url.path().trim_start_matches('/'));
    Ok(configuration)
}

async fn by_hand(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let new = publication(head(&acme, at(0))?.with_subject("ada")).with_idempotency_key("k");
    let statement = PublishStatement::new(&world.name, std::slice::from_ref(&new))?;

    let all = statement.parameters();
    let rows = sqlx::query(statement.sql())
        .bind(&all.ids)
        .bind(&all.tenants)
        .bind(&all.types)
        .bind(&all.heads)
        .bind(&all.subjects)
        .bind(&all.published)
        .bind(&all.payloads)
        .bind(&all.keys)
        .bind(&all.digests)
        .bind(&all.forgotten)
        .bind(&all.used)
        .fetch_all(&world.pool)
        .await?;
    let mut answers = Vec::new();
    for row in rows {
        answers.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }

    assert!(statement.answers(answers)?[0].fresh);
    let outbox = world.store.outbox(10, at(0)).await?;
    assert_eq!(*outbox.entries[0].1, new.event.head);
    assert!(!format!("{statement:?}").contains("ada"));
    assert_eq!(statement.answers([]).expect_err("a refusal").kind(), ErrorKind::Corrupt);
    world.end().await
}

/// `crossdock` itself, which other runs on the same server may share: only what is this story's own is looked at.
async fn usual(url: String) -> Outcome {
    let mut connection = PgConnection::connect(&url).await?;
    let store = PostgresStore::new(sqlx::PgPool::connect(&url).await?);
    store.migrate().await?;
    let mine = tenant(&fresh_name());

    let mut transaction = connection.begin().await?;
    let new = publication(head(&mine, at(0))?);
    let id = new.event.head.id;
    new.write_in(&mut transaction).await?;
    let on_the_connection = publication(head(&mine, at(0))?);
    on_the_connection.write_in(&mut *transaction).await?;
    transaction.commit().await?;

    use crossdock::webhooks::WebhookRepository;
    assert!(store.event(&mine, id).await?.is_some());
    Ok(())
}
