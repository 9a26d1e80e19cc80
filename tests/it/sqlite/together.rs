//! Many callers, many handles, many processes on one file.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crossdock::adapters::sqlite::{SqliteStore, migrations};
use crossdock::ports::EntropyExt;
use crossdock::primitives::{DeliveryId, EventId};
use crossdock::testing::SeededEntropy;
use crossdock::webhooks::{
    Change, ClaimRequest, DeliveryQueue, DeliveryStatus, SettleBatch, WebhookRepository, WebhookState,
};
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use libtest_mimic::Trial;

use super::run;
use super::shop::{LEASE, Shop, at, connect, delivered, folder};
use crate::{child, rule};

type Story = Result<(), Box<dyn Error>>;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("sqlite::callers_share_commits", || run(shared_commits())),
        rule("sqlite::a_refusal_does_not_hinder_those_who_share_its_commit", || run(refusals_stay_alone())),
        rule("sqlite::a_step_whose_future_is_dropped_is_done_or_not_done", || run(dropped_futures())),
        rule("sqlite::with_the_last_clone_the_file_is_closed", || run(drop_closes())),
        rule("sqlite::two_handles_never_lease_twice_and_keep_the_limits", two_handles),
        rule("sqlite::a_handle_sees_what_another_has_changed", || run(another_handles_changes())),
        rule("sqlite::many_processes_make_the_tables_at_once", many_processes_migrate),
        rule("sqlite::many_processes_deliver_each_event_once", many_processes_deliver),
        rule("sqlite::what_was_acknowledged_is_there_after_a_kill", killed_publisher),
    ]
}

async fn shared_commits() -> Story {
    const CALLERS: usize = 200;
    let shop = Shop::new(8).await?;
    let before = shop.vital("commits").await?;
    let other = connect(&shop.path());
    other.execute_batch("BEGIN IMMEDIATE")?;

    let publishing = join_all((0..CALLERS).map(|_| shop.publish(1, at(0))));
    let letting_go = async {
        // All of them have asked by now, and none of them could write.
        other.execute_batch("COMMIT").expect("a commit");
    };
    let (answers, ()) = join(publishing, letting_go).await;

    for answer in answers {
        assert_eq!(answer?.len(), 1);
    }
    let commits = shop.vital("commits").await? - before;
    assert!((1..=10).contains(&commits), "{commits} commits for {CALLERS} callers");
    assert_eq!(shop.store.examine(at(0)).await?.outbox, CALLERS as u64);
    Ok(())
}

async fn refusals_stay_alone() -> Story {
    let shop = Shop::new(8).await?;
    let one = shop.publication(at(0));
    let mut asked: Vec<_> = (0..30).map(|_| vec![shop.publication(at(0))]).collect();
    for (index, publications) in asked.iter_mut().enumerate() {
        if index % 3 == 0 {
            // The second of the call is refused, so the first must not be there either, except once.
            publications.push(one.clone());
        }
    }

    let answers = join_all(asked.into_iter().map(|some| shop.store.publish(some, LEASE, at(0)))).await;

    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(refused, 9, "of ten calls with the same event, one is the first");
    assert_eq!(shop.store.examine(at(0)).await?.outbox, 20 + 2);
    Ok(())
}

async fn dropped_futures() -> Story {
    let shop = Shop::new(1_000).await?;
    let mut dropped = 0;
    for round in 0..60 {
        // Asked, and dropped before, while or after it is done.
        let asked = Box::pin(shop.publish(3, at(0)));
        match asked.now_or_never() {
            None => dropped += 1,
            Some(answer) => drop(answer?),
        }
        if round % 3 == 0 {
            thread::sleep(Duration::from_micros(200));
        }
    }
    assert!(dropped > 0);

    // What comes later is done later: when it is answered, the others are done or will never be.
    shop.publish(3, at(0)).await?;
    let there = shop.store.examine(at(0)).await?.outbox;
    assert_eq!(there % 3, 0, "a call is done, or not done");
    assert!(there >= 3);
    let entries = usize::try_from(there)?;
    assert_eq!(shop.distribute(at(1)).await?, entries);
    drop(Box::pin(shop.claim(10_000, at(1))).now_or_never());
    shop.publish(3, at(1)).await?;
    let left = shop.claim(10_000, at(1)).await?.len();
    assert!(left == 0 || left == entries, "a claim is made, or not made: {left} of {entries}");
    assert_eq!(shop.claim(10_000, at(61)).await?.len(), entries, "its leases end by themselves");
    Ok(())
}

async fn drop_closes() -> Story {
    let shop = Shop::new(8).await?;
    let clone = shop.store.clone();
    shop.send(1, at(0)).await?;
    let log = shop.folder.path().join("hub.db-wal");
    let Shop { store, folder, .. } = shop;

    drop(store);
    assert!(log.exists(), "a clone is the same store");
    drop(clone);

    // The last connection to a file takes the log with it.
    assert!(!log.exists());
    assert!(folder.path().join("hub.db").exists());
    Ok(())
}

fn two_handles() -> Story {
    const EVENTS: usize = 300;
    const IN_FLIGHT: u32 = 7;
    let shop = run(Shop::new(IN_FLIGHT))?;
    run(shop.send(EVENTS, at(0)))?;
    let other = SqliteStore::open(shop.path())?;
    let stores = [shop.store.clone(), other.clone(), shop.store.clone(), other];
    let begin = Arc::new(Barrier::new(stores.len()));

    let workers = stores.map(|store| {
        let (begin, path) = (Arc::clone(&begin), shop.path());
        thread::spawn(move || {
            begin.wait();
            run(deliver_all(&store, &path, EVENTS)).map_err(|error| error.to_string())
        })
    });
    let mut given: BTreeMap<DeliveryId, usize> = BTreeMap::new();
    for worker in workers {
        for delivery in worker.join().expect("a worker")? {
            *given.entry(delivery).or_default() += 1;
        }
    }

    assert_eq!(given.len(), EVENTS);
    assert!(given.values().all(|times| *times == 1), "somebody was given a delivery that was leased");
    assert!(run(shop.statuses())?.iter().all(|status| *status == DeliveryStatus::Delivered));
    Ok(())
}

/// Claims and settles until all are delivered; watches the limit from outside.
async fn deliver_all(
    store: &SqliteStore,
    path: &std::path::Path,
    events: usize,
) -> Result<Vec<DeliveryId>, Box<dyn Error>> {
    let dice = SeededEntropy::new(u64::from_le_bytes(crossdock::SystemEntropy.bytes()));
    let watcher = connect(path);
    let mut given = Vec::new();
    loop {
        let claims = store.claim(ClaimRequest::new(at(1), LEASE, 5)).await?.claims;
        let in_flight: i64 =
            watcher.query_row("SELECT count(*) FROM crossdock_work WHERE place = 2", [], |row| row.get(0))?;
        if in_flight > 7 {
            return Err(format!("{in_flight} in flight").into());
        }
        let results: Vec<_> = claims.iter().map(|claim| delivered(claim, &dice, at(1))).collect();
        let settled = store.settle(SettleBatch::new(&results), at(1)).await?;
        if !settled.fenced.is_empty() {
            return Err("a live lease was fenced".into());
        }
        given.extend(claims.iter().map(|claim| claim.delivery));
        let done: i64 = watcher.query_row(
            "SELECT count(*) FROM crossdock_delivery WHERE status = 'delivered'",
            [],
            |row| row.get(0),
        )?;
        if usize::try_from(done)? == events {
            return Ok(given);
        }
    }
}

async fn another_handles_changes() -> Story {
    let shop = Shop::new(8).await?;
    let other = SqliteStore::open(shop.path())?;
    shop.send(2, at(0)).await?;
    let webhooks = |store: SqliteStore| {
        let tenant = shop.tenant.clone();
        async move { store.webhooks(&tenant, crossdock::primitives::PageRequest::first(10)).await }
    };
    let before = webhooks(other.clone()).await?.items[0].clone();
    assert_eq!(other.claim(ClaimRequest::new(at(0), LEASE, 1)).await?.claims.len(), 1);

    let mut paused = (*before).clone();
    (paused.state, paused.version) = (WebhookState::Paused, before.version.next());
    let change = Change::Replace {
        webhook: paused.clone(),
        expected: before.version,
        release: crossdock::webhooks::Release::Keep,
    };
    shop.store.save(&shop.tenant, vec![change], Vec::new(), at(1)).await?;

    assert_eq!(*webhooks(other.clone()).await?.items[0], paused);
    assert!(other.claim(ClaimRequest::new(at(1), LEASE, 1)).await?.claims.is_empty());
    Ok(())
}

fn many_processes_migrate() -> Story {
    let folder = folder();
    let path = folder.path().join("hub.db");
    let children: Vec<_> =
        (0..6).map(|_| child::command("open_sqlite")?.env(FILE, &path).spawn()).collect::<Result<_, _>>()?;

    for mut child in children {
        assert!(child.wait()?.success());
    }

    let host = connect(&path);
    let versions: i64 = host.query_row("SELECT count(*) FROM crossdock_schema", [], |row| row.get(0))?;
    assert_eq!(usize::try_from(versions)?, migrations().len());
    Ok(())
}

fn many_processes_deliver() -> Story {
    const EVENTS: usize = 300;
    let shop = run(Shop::new(7))?;
    run(shop.send(EVENTS, at(0)))?;
    let children: Vec<_> = (0..3)
        .map(|_| child::command("claim_in_sqlite")?.env(FILE, shop.path()).spawn())
        .collect::<Result<_, _>>()?;

    for mut child in children {
        assert!(child.wait()?.success());
    }

    assert!(run(shop.statuses())?.iter().all(|status| *status == DeliveryStatus::Delivered));
    let host = shop.host();
    let attempts: i64 = host.query_row("SELECT count(*) FROM crossdock_attempt", [], |row| row.get(0))?;
    assert_eq!(usize::try_from(attempts)?, EVENTS, "each was given to one process");
    let leases: i64 = host.query_row("SELECT max(attempts) FROM crossdock_delivery", [], |row| row.get(0))?;
    assert_eq!(leases, 1);
    Ok(())
}

fn killed_publisher() -> Story {
    const ROUNDS: usize = 3;
    let shop = run(Shop::new(7))?;
    for round in 0..ROUNDS {
        let mut command = child::command("publish_in_sqlite")?;
        let mut publisher = command.env(FILE, shop.path()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(publisher.stdout.take().ok_or("no output")?).lines();
        let acknowledged: Vec<_> = lines.take(20 + 15 * round).collect::<Result<_, _>>()?;

        publisher.kill()?;
        publisher.wait()?;

        for line in &acknowledged {
            let event: EventId = line.parse()?;
            let found = run(shop.store.event(&shop.tenant, event))?.ok_or("an acknowledged event is lost")?;
            assert_eq!(&*found.payload, b"{}");
        }
    }
    let host = shop.host();
    let torn: i64 = host.query_row(
        "SELECT count(*) FROM crossdock_event LEFT JOIN crossdock_payload ON event = n WHERE bytes IS NULL",
        [],
        |row| row.get(0),
    )?;
    assert_eq!(torn, 0, "an event is written whole");
    let sound: String = host.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    assert_eq!(sound, "ok");
    assert!(run(shop.distribute(at(1)))? >= 20);
    Ok(())
}

const FILE: &str = "CROSSDOCK_IT_FILE";

fn file() -> Result<PathBuf, Box<dyn Error>> {
    Ok(std::env::var_os(FILE).ok_or("no file")?.into())
}

/// A process that opens the store while others do.
pub(crate) fn open_beside_others() -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(file()?)?;
    run(store.examine(at(0)))?;
    Ok(())
}

/// A process that claims and settles while others do.
pub(crate) fn claim_beside_others() -> Result<(), Box<dyn Error>> {
    let path = file()?;
    let store = SqliteStore::open(&path)?;
    run(deliver_all(&store, &path, 300)).map(drop)
}

/// A process that publishes until it is killed, and says what was acknowledged.
pub(crate) fn publish_until_killed() -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(file()?)?;
    let dice = SeededEntropy::new(u64::from_le_bytes(crossdock::SystemEntropy.bytes()));
    let shop = Shop { folder: folder(), store, tenant: "acme".parse()?, dice };
    loop {
        for event in run(shop.publish(3, at(0)))? {
            writeln!(std::io::stdout(), "{event}")?;
        }
    }
}
