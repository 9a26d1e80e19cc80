//! Bad files and passing faults: a typed error, and then everything goes on.

use std::error::Error;
use std::fs;
use std::time::Duration;

use crossdock::ErrorKind;
use crossdock::adapters::sqlite::{SqliteStore, migrations};
use crossdock::webhooks::{DeliveryQueue, Retention, WebhookRepository};
use libtest_mimic::Trial;
use rusqlite::Connection;

use super::run;
use super::shop::{LEASE, Shop, at, connect, folder};
use crate::rule;

type Story = Result<(), Box<dyn Error>>;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("sqlite::a_file_that_is_no_database_is_refused_and_left_alone", no_database),
        rule("sqlite::a_path_that_is_no_files_is_refused", no_file),
        rule("sqlite::a_newer_schema_is_refused_with_what_to_do", || run(newer_schema())),
        rule("sqlite::a_damaged_file_is_corrupt_until_it_is_mended", || run(damaged_file())),
        rule("sqlite::a_file_that_is_read_only_can_be_read", || run(read_only())),
        rule("sqlite::a_full_disk_is_unavailable_until_there_is_room", || run(full_disk())),
        rule("sqlite::one_request_that_does_not_fit_does_not_hinder_the_others", || run(one_too_many())),
        rule("sqlite::a_lock_that_is_held_for_too_long_is_unavailable_until_it_ends", || run(held_lock())),
        rule("sqlite::a_record_that_cannot_be_read_back_is_given_up_alone", || run(unreadable_record())),
        rule("sqlite::what_was_written_is_there_after_a_restart", || run(restart())),
    ]
}

fn no_database() -> Story {
    let folder = folder();
    let path = folder.path().join("hub.db");
    let text = "this is no database, but it is long enough to be looked at as one. ".repeat(100);
    fs::write(&path, &text)?;

    let refused = SqliteStore::open(&path).expect_err("no database");

    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert_eq!(refused.to_string(), "could not open the SQLite store in a file that is no database: corrupt");
    assert_eq!(fs::read_to_string(&path)?, text);
    Ok(())
}

fn no_file() -> Story {
    for path in ["", ":memory:"] {
        let refused = SqliteStore::open(path).expect_err("no file");
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{path}");
        assert_eq!(refused.problems()[0].field, "path");
    }
    let folder = folder();
    let refused = SqliteStore::open(folder.path().join("missing/hub.db")).expect_err("no folder");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let refused = SqliteStore::open(folder.path()).expect_err("a folder");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    Ok(())
}

async fn newer_schema() -> Story {
    let shop = Shop::new(8).await?;
    let newest = migrations().last().expect("a migration").version;
    assert_eq!(shop.vital("schema_version").await?, i64::from(newest));
    shop.host().execute("INSERT INTO crossdock_schema (version) VALUES (?1)", [newest + 1])?;

    let refused = SqliteStore::open(shop.path()).expect_err("a newer schema");

    assert_eq!(refused.kind(), ErrorKind::Unconfigured);
    assert_eq!(refused.problems()[0].field, "schema_version");
    assert!(refused.problems()[0].fix.contains("newer"));
    Ok(())
}

async fn damaged_file() -> Story {
    let shop = Shop::new(1_000).await?;
    shop.send(200, at(0)).await?;
    shop.publish(200, at(0)).await?;
    let path = shop.path();
    let Shop { store, folder, tenant, .. } = shop;
    drop(store);
    let whole = fs::read(&path)?;
    fs::write(&path, &whole[..whole.len() / 2])?;

    // Where it is noticed depends on what lies in the missing half.
    let found = match SqliteStore::open(&path) {
        Err(error) => error,
        Ok(store) => {
            let request = crossdock::webhooks::ClaimRequest::new(at(1), LEASE, 1_000);
            let claimed = store.claim(request).await.map(drop);
            let listed = store.outbox(1_000, at(1)).await.map(drop);
            claimed.and(listed).expect_err("half of the file is missing")
        }
    };
    assert_eq!(found.kind(), ErrorKind::Corrupt, "{found}");
    assert!(!found.is_transient());

    fs::write(&path, &whole)?;
    let mended = SqliteStore::open(&path)?;
    assert_eq!(mended.backlog(&tenant, None, at(1)).await?.undelivered, 200);
    drop(folder);
    Ok(())
}

/// The header says of a version that it may only be read: so does a file system, but not to everybody.
async fn read_only() -> Story {
    const WRITE_VERSION: usize = 18;
    let shop = Shop::new(8).await?;
    shop.send(1, at(0)).await?;
    let path = shop.path();
    let Shop { store, folder, tenant, dice } = shop;
    drop(store);
    let mut bytes = fs::read(&path)?;
    let before = std::mem::replace(&mut bytes[WRITE_VERSION], 3);
    fs::write(&path, &bytes)?;

    let store = SqliteStore::open(&path)?;
    let shop = Shop { store, folder, tenant, dice };
    let refused = shop.publish(1, at(1)).await.expect_err("it is read-only");

    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(std::error::Error::source(&refused).is_some());
    assert!(format!("{refused:?}").contains("read-only"), "{refused:?}");
    assert_eq!(shop.statuses().await?.len(), 1, "what is there can be read");
    bytes[WRITE_VERSION] = before;
    fs::write(&path, &bytes)?;
    shop.publish(1, at(2)).await?;
    assert_eq!(shop.store.examine(at(2)).await?.outbox, 1);
    Ok(())
}

async fn full_disk() -> Story {
    let folder = folder();
    let store = SqliteStore::builder(folder.path().join("hub.db")).max_pages(120).open()?;
    let shop = Shop::with(folder, store, 8).await?;
    let payload = format!("\"{}\"", "x".repeat(50_000));
    let mut published = 0;

    let refused = loop {
        let one = vec![shop.publication_of(&payload, at(0))];
        match shop.store.publish(one, LEASE, at(0)).await {
            Ok(_) => published += 1,
            Err(error) => break error,
        }
        assert!(published < 100, "the file does not end to grow");
    };

    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(format!("{refused:?}").contains("full"), "{refused:?}");
    assert!(published > 3);
    assert_eq!(shop.store.examine(at(0)).await?.outbox, published, "nothing of the refused one was written");
    assert_eq!(shop.distribute(at(1)).await?, usize::try_from(published)?, "what needs little room goes on");
    while let claims @ [_, ..] = &*shop.claim(100, at(1)).await? {
        shop.deliver(claims, at(1)).await?;
    }
    let mut retention = Retention::default();
    retention.payloads = Duration::ZERO;
    assert_eq!(shop.store.tidy(retention, at(2)).await?, published, "retention makes room");
    shop.store.publish(vec![shop.publication_of(&payload, at(3))], LEASE, at(3)).await?;
    shop.distribute(at(3)).await?;
    shop.deliver(&shop.claim(1, at(3)).await?, at(3)).await?;
    shop.works(at(4)).await?;
    Ok(())
}

/// They are in one transaction, which the full disk undoes.
async fn one_too_many() -> Story {
    let folder = folder();
    let store = SqliteStore::builder(folder.path().join("hub.db")).max_pages(200).open()?;
    let shop = Shop::with(folder, store, 8).await?;
    let large = format!("\"{}\"", "x".repeat(5_000_000));
    let publications: Vec<_> =
        (0..20).map(|index| shop.publication_of(if index == 10 { &large } else { "{}" }, at(0))).collect();

    let answers = futures_util::future::join_all(
        publications.into_iter().map(|one| shop.store.publish(vec![one], LEASE, at(0))),
    )
    .await;

    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_err(), index == 10, "{index}: {answer:?}");
    }
    assert_eq!(answers[10].as_ref().map(drop).expect_err("too large").kind(), ErrorKind::Unavailable);
    assert_eq!(shop.store.examine(at(0)).await?.outbox, 19);
    Ok(())
}

async fn held_lock() -> Story {
    let folder = folder();
    let path = folder.path().join("hub.db");
    let store = SqliteStore::builder(&path).busy_timeout(Duration::from_millis(50)).open()?;
    let shop = Shop::with(folder, store, 8).await?;
    let other = connect(&path);
    other.execute_batch("BEGIN IMMEDIATE")?;

    let refused = shop.publish(1, at(0)).await.expect_err("somebody else writes");

    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.is_transient());
    assert!(shop.statuses().await?.is_empty(), "reading waits for nobody");
    other.execute_batch("COMMIT")?;
    shop.works(at(1)).await?;
    Ok(())
}

async fn unreadable_record() -> Story {
    let shop = Shop::new(8).await?;
    let events = shop.send(3, at(0)).await?;
    let broken = events[1].as_uuid().into_bytes();
    shop.host().execute("UPDATE crossdock_event SET head = 'nonsense' WHERE id = ?1", [broken])?;

    let claims = shop.claim(10, at(0)).await?;

    assert_eq!(claims.iter().map(|claim| claim.event.id).collect::<Vec<_>>(), [events[0], events[2]]);
    let dead = crossdock::webhooks::DeliveryStatus::DeadLetter(crossdock::webhooks::DeadReason::Unsendable);
    assert_eq!(shop.statuses().await?.iter().filter(|status| **status == dead).count(), 1);
    let event = shop.store.event(&shop.tenant, events[1]).await.expect_err("it cannot be read");
    assert_eq!(event.kind(), ErrorKind::Corrupt);
    assert!(!format!("{event:?}").contains("nonsense"));
    Ok(())
}

async fn restart() -> Story {
    let shop = Shop::new(8).await?;
    shop.send(3, at(0)).await?;
    let lost = shop.claim(1, at(0)).await?;
    let path = shop.path();
    let Shop { store, folder, tenant, dice } = shop;
    let waiting = store.publish(Vec::new(), LEASE, at(0));
    drop(waiting);
    drop(store);
    assert!(Connection::open(&path)?.is_autocommit());

    let shop = Shop { store: SqliteStore::open(&path)?, folder, tenant, dice };

    assert_eq!(shop.claim(10, at(1)).await?.len(), 2);
    let again = shop.claim(10, at(60)).await?;
    assert_eq!((again[0].delivery, again[0].attempt), (lost[0].delivery, 2));
    Ok(())
}
