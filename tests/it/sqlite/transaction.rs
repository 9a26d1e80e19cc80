//! Publishing inside a transaction of the host's own.

use std::error::Error;
use std::sync::Arc;

use crossdock::adapters::EphemeralVault;
use crossdock::adapters::sqlite::{PublicationRow, SqliteStore, publish_statements};
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::{ManualClock, ScriptedTransport};
use crossdock::webhooks::{DeliveryQueue, NewWebhook, Publications};
use crossdock::{ErrorKind, Hub, SystemEntropy};
use libtest_mimic::Trial;
use rusqlite::{Connection, TransactionBehavior, params};

use super::run;
use super::shop::{LEASE, Shop, at, connect, folder};
use crate::rule;

type Story = Result<(), Box<dyn Error>>;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("sqlite::a_commit_of_the_hosts_delivers", || run(commit_delivers())),
        rule("sqlite::a_rollback_of_the_hosts_leaves_nothing", || run(rollback_leaves_nothing())),
        rule("sqlite::a_conflict_leaves_the_hosts_transaction_as_it_was", || run(conflict_leaves_the_rest())),
        rule("sqlite::a_key_is_shared_by_both_ways_to_publish", || run(keys_are_shared())),
        rule("sqlite::a_connection_without_a_transaction_writes_in_one_of_its_own", || run(by_itself())),
        rule("sqlite::another_driver_publishes_with_the_public_statements", || run(other_drivers())),
        rule("sqlite::a_hub_delivers_what_was_committed_and_nothing_else", || run(a_hub_delivers())),
        rule("sqlite::a_file_without_the_tables_says_what_to_do", || run(without_tables())),
    ]
}

fn orders(host: &Connection) -> rusqlite::Result<i64> {
    host.query_row("SELECT count(*) FROM orders", [], |row| row.get(0))
}

async fn commit_delivers() -> Story {
    let shop = Shop::new(8).await?;
    let mut host = shop.host();
    host.execute_batch("CREATE TABLE orders (n INTEGER PRIMARY KEY)")?;

    let transaction = host.transaction()?;
    transaction.execute("INSERT INTO orders (n) VALUES (1)", [])?;
    let published = shop.publication(at(1)).write_in(&transaction)?;
    assert!(shop.store.outbox(10, at(1)).await?.entries.is_empty(), "nothing is there before the commit");
    transaction.commit()?;

    assert!(published.fresh);
    assert_eq!(shop.distribute(at(1)).await?, 1);
    let claims = shop.claim(10, at(1)).await?;
    assert_eq!(claims[0].event.id, published.event);
    assert_eq!(&*claims[0].event.payload, b"{}");
    assert_eq!(orders(&host)?, 1);
    Ok(())
}

async fn rollback_leaves_nothing() -> Story {
    let shop = Shop::new(8).await?;
    let mut host = shop.host();
    host.execute_batch("CREATE TABLE orders (n INTEGER PRIMARY KEY)")?;
    let keyed = shop.publication(at(1)).with_idempotency_key("order 1");

    let transaction = host.transaction()?;
    transaction.execute("INSERT INTO orders (n) VALUES (1)", [])?;
    keyed.clone().write_in(&transaction)?;
    Publications::new(vec![shop.publication(at(1)), shop.publication(at(1))]).write_in(&transaction)?;
    transaction.rollback()?;

    assert_eq!(orders(&host)?, 0);
    assert_eq!(shop.store.examine(at(1)).await?.outbox, 0);
    let again = shop.store.publish(vec![keyed], LEASE, at(1)).await?;
    assert!(again[0].fresh, "the key was not used");
    Ok(())
}

async fn conflict_leaves_the_rest() -> Story {
    let shop = Shop::new(8).await?;
    let mut host = shop.host();
    host.execute_batch("CREATE TABLE orders (n INTEGER PRIMARY KEY)")?;
    let first = shop.publication(at(1)).with_idempotency_key("order 1");
    let mut other = shop.publication(at(1)).with_idempotency_key("order 1");
    other.digest = [1; 32];

    let mut transaction = host.transaction()?;
    transaction.execute("INSERT INTO orders (n) VALUES (1)", [])?;
    let savepoint = transaction.savepoint()?;
    let kept = first.write_in(&savepoint)?;
    savepoint.commit()?;
    let refused = Publications::new(vec![shop.publication(at(1)), other]).write_in(&transaction);
    transaction.commit()?;

    let refused = refused.expect_err("a conflict");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(refused.problems()[0].field, "publications[1].idempotency_key");
    assert_eq!(orders(&host)?, 1);
    let outbox = shop.store.outbox(10, at(1)).await?;
    assert_eq!(outbox.entries.iter().map(|(_, head)| head.id).collect::<Vec<_>>(), [kept.event]);
    Ok(())
}

async fn keys_are_shared() -> Story {
    let shop = Shop::new(8).await?;
    let mut host = shop.host();
    let keyed = |time| shop.publication(at(time)).with_idempotency_key("order 1").with_remembered(LEASE);
    let first = shop.store.publish(vec![keyed(0)], LEASE, at(0)).await?;

    let transaction = host.transaction()?;
    let again = keyed(59).write_in(&transaction)?;
    let forgotten = keyed(60).write_in(&transaction)?;
    transaction.commit()?;

    assert_eq!((again.event, again.fresh), (first[0].event, false));
    assert!(forgotten.fresh);
    let last = shop.store.publish(vec![keyed(61)], LEASE, at(61)).await?;
    assert_eq!((last[0].event, last[0].fresh), (forgotten.event, false));
    Ok(())
}

async fn by_itself() -> Story {
    let shop = Shop::new(8).await?;
    let host = shop.host();

    let published = shop.publication(at(1)).write_in(&host)?;
    let twice = Publications::new(vec![shop.publication(at(1)); 2]).write_in(&host);

    assert_eq!(twice.expect_err("one id twice").kind(), ErrorKind::Conflict);
    assert!(host.is_autocommit());
    let outbox = shop.store.outbox(10, at(1)).await?;
    assert_eq!(outbox.entries.iter().map(|(_, head)| head.id).collect::<Vec<_>>(), [published.event]);
    Ok(())
}

async fn other_drivers() -> Story {
    let shop = Shop::new(8).await?;
    let host = shop.host();
    let publication = shop.publication(at(1)).with_idempotency_key("order 1");
    let statements = publish_statements();

    let row = PublicationRow::of(&publication)?;
    host.execute_batch("BEGIN IMMEDIATE")?;
    let known = host.prepare(statements.find_key)?.exists(params![row.tenant, row.key, row.forgotten])?;
    host.execute(
        statements.write_event,
        params![row.id, row.tenant, row.event_type, row.subject, row.published_at, row.head],
    )?;
    host.execute(statements.write_payload, params![&row.payload[..]])?;
    host.execute(statements.write_key, params![row.tenant, row.key, row.id, row.digest, row.published_at])?;
    host.execute_batch("COMMIT")?;

    assert!(!known);
    let again = shop.store.publish(vec![publication.clone()], LEASE, at(2)).await?;
    assert_eq!((again[0].event, again[0].fresh), (publication.event.id, false));
    shop.distribute(at(2)).await?;
    assert_eq!(shop.claim(1, at(2)).await?[0].event, publication.event);
    Ok(())
}

async fn a_hub_delivers() -> Story {
    const ORDERS: i64 = 40;
    let folder = folder();
    let path = folder.path().join("shop.db");
    let clock = ManualClock::new();
    let receivers = ScriptedTransport::new(clock.clone());
    let hub = Hub::builder()
        .store(SqliteStore::open(&path)?)
        .vault(EphemeralVault::new(Arc::new(SystemEntropy)))
        .events(EventCatalog::new().with(EventTypeSpec::new("order.made")))
        .clock(clock.clone())
        .transport(receivers.clone())
        .build()?;
    let tenant: TenantId = "acme".parse()?;
    let admin = hub.admin(Actor::org_admin(tenant.clone(), "ada"));
    admin.webhooks().create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?;
    let mut shop = connect(&path);
    shop.execute_batch("CREATE TABLE orders (n INTEGER PRIMARY KEY)")?;

    for order in 0..ORDERS {
        let transaction = shop.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("INSERT INTO orders (n) VALUES (?1)", [order])?;
        hub.prepare(NewEvent::new(tenant.clone(), "order.made", &order)?)?.write_in(&transaction)?;
        if order % 3 == 0 { transaction.rollback()? } else { transaction.commit()? }
    }
    hub.worker().run_until_idle().await;

    let mut committed = Vec::new();
    shop.prepare("SELECT n FROM orders ORDER BY n")?
        .query_map([], |row| row.get::<_, i64>(0))?
        .try_for_each(|order| order.map(|order| committed.push(order)))?;
    let body = |request: &[u8]| -> Result<i64, Box<dyn Error>> {
        let body: serde_json::Value = serde_json::from_slice(request)?;
        Ok(body["data"].as_i64().ok_or("no number")?)
    };
    let requests = receivers.requests();
    let mut delivered: Vec<_> =
        requests.iter().map(|request| body(&request.body)).collect::<Result<_, _>>()?;
    delivered.sort_unstable();
    assert_eq!(committed.len(), 26);
    assert_eq!(delivered, committed);
    Ok(())
}

async fn without_tables() -> Story {
    let shop = Shop::new(8).await?;
    let elsewhere = folder();
    let host = Connection::open(elsewhere.path().join("host.db"))?;

    let refused = shop.publication(at(1)).write_in(&host).expect_err("no tables");

    assert_eq!(refused.kind(), ErrorKind::Unconfigured);
    assert_eq!(
        refused.to_string(),
        "could not publish events: not configured: database: the tables of crossdock are in the same database file \
         (open a SqliteStore on this file first)"
    );
    assert!(host.is_autocommit());
    Ok(())
}
