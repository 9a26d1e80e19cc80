//! Callers that publish at once share a statement, and nothing else.

use crossdock::ErrorKind;
use crossdock::webhooks::DeliveryQueue;
use futures_util::FutureExt;
use futures_util::future::join_all;
use libtest_mimic::Trial;

use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{rule_with, server};
use crate::postgres::world::{DAY, World, at, head, publication, tenant};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::sharing::a_call_that_is_refused_refuses_no_other", server, |url| {
            play(one_refused(url))
        }),
        rule_with("postgres::sharing::a_call_that_nobody_waits_for_is_published", server, |url| {
            play(one_dropped(url))
        }),
        rule_with("postgres::sharing::a_statement_that_hangs_holds_up_no_call_behind_it", server, |url| {
            play(one_hangs(url))
        }),
    ]
}

const CALLS: usize = 40;
const EVENTS: &str = "SELECT count(*) FROM SCHEMA.event";

async fn one_refused(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let known = head(&acme, at(0))?;
    world.store.publish(vec![publication(known.clone())], DAY, at(0)).await?;
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let again = if number == CALLS / 2 { known.clone() } else { head(&acme, at(0))? };
        calls.push(vec![publication(head(&acme, at(0))?), publication(again)]);
    }

    let outcomes = join_all(calls.into_iter().map(|call| world.store.publish(call, DAY, at(0)))).await;

    for (number, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(published) => {
                assert_eq!((published.len(), number == CALLS / 2), (2, false));
                assert!(published.iter().all(|one| one.fresh));
            }
            Err(error) => {
                assert_eq!((error.kind(), number), (ErrorKind::Conflict, CALLS / 2));
                // The place is that within its own call.
                assert!(error.problems()[0].field.contains('1'), "{error:?}");
            }
        }
    }
    assert_eq!(world.number(EVENTS).await?, 1 + 2 * (CALLS as i64 - 1));
    world.end().await
}

async fn one_dropped(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let gone = vec![publication(head(&acme, at(0))?)];

    assert!(world.store.publish(gone, DAY, at(0)).now_or_never().is_none());

    world.store.publish(vec![publication(head(&acme, at(0))?)], DAY, at(0)).await?;
    assert_eq!(world.number(EVENTS).await?, 2);
    world.end().await
}

async fn one_hangs(url: String) -> Outcome {
    let world = World::new(url).await?;
    world
        .run(
            "CREATE FUNCTION SCHEMA.hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.tenant_id = 'slow' THEN PERFORM pg_advisory_xact_lock_shared(8021); END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER hang BEFORE INSERT ON SCHEMA.outbox FOR EACH ROW EXECUTE FUNCTION SCHEMA.hang()",
        )
        .await?;
    let mut gate = world.pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(8021)").execute(&mut *gate).await?;
    let store = world.store.clone();
    let slow = vec![publication(head(&tenant("slow"), at(0))?)];
    let slow = tokio::spawn(async move { store.publish(slow, DAY, at(0)).await });
    let hanging =
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 8021 AND NOT granted";
    while world.number(hanging).await? == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }

    let published = world.store.publish(vec![publication(head(&tenant("acme"), at(0))?)], DAY, at(0)).await?;

    assert!(published[0].fresh);
    assert!(!slow.is_finished());
    gate.commit().await?;
    assert!(slow.await??[0].fresh);
    world.end().await
}
