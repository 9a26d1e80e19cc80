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
