//! How steps find their rows: through indexes, however small a table was when their plans were made, and each webhook as its tenant's.

use crossdock::webhooks::{DeliveryQueue, Fate, SettleBatch, Settlement};
use libtest_mimic::Trial;

use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{rule_with, server};
use crate::postgres::world::{DAY, World, at, head, publication, tenant};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::plans::the_hot_steps_read_no_whole_table", server, |url| {
            play(no_whole_table(url))
        }),
        rule_with(
            "postgres::plans::webhooks_that_share_an_id_are_told_apart_by_their_tenants",
            server,
            |url| play(shared_id(url)),
        ),
    ]
}

/// One connection, so that what it counts is all there is to count.
async fn no_whole_table(url: String) -> Outcome {
    let world = World::with_connections(url, 1).await?;
    let acme = tenant("acme");
    for _ in 0..3 {
        world.webhook(&acme, |webhook| webhook.max_in_flight = Some(1_000)).await?;
    }
    let before = whole_reads(&world).await?;

    let mut delivered = 0;
    for round in 0..4 {
        let events =
            (0..50).map(|_| Ok::<_, Box<dyn std::error::Error>>(publication(head(&acme, at(round))?)));
        world.store.publish(events.collect::<Result<_, _>>()?, DAY, at(round)).await?;
        world.distribute(at(round)).await?;
        let claims = world.claim(1_000, at(round)).await?;
        let retried = |place: usize| {
            if place.is_multiple_of(5) { Fate::RetryAt(at(round + 1)) } else { Fate::Delivered }
        };
        let results: Vec<_> =
            claims.iter().enumerate().map(|(place, claim)| Settlement::new(claim, retried(place))).collect();
        delivered += results.iter().filter(|result| result.fate == Fate::Delivered).count();
        let settled = world.store.settle(SettleBatch::new(&results), at(round)).await?;
        assert_eq!(settled.fenced, []);
    }

    assert!(delivered > 400, "{delivered}");
    assert_eq!(whole_reads(&world).await?, before);
    world.end().await
}

/// How often a table that grows was read from its first row to its last.
async fn whole_reads(world: &World) -> Result<i64, Box<dyn std::error::Error>> {
    // Since version 15 a connection can be told to hand in what it has counted; before, it did so after half a second.
    let version = world.number("SELECT current_setting('server_version_num')::bigint").await?;
    if version >= 150_000 {
        world.run("SELECT pg_stat_force_next_flush()").await?;
    } else {
        world.run("SELECT pg_sleep(1)").await?;
        world.run("SELECT pg_stat_clear_snapshot()").await?;
    }
    world
        .number(&format!(
            "SELECT COALESCE(sum(s.seq_scan), 0)::bigint FROM pg_stat_all_tables s
            WHERE s.schemaname = '{}' AND s.relname ~ '^(outbox|lane|queue|event|payload|delivery|attempt)'",
            world.name
        ))
        .await
}

/// A step names each webhook once; whoever copies tenants may have given two of them the same id.
async fn shared_id(url: String) -> Outcome {
    let world = World::new(url).await?;
    let tenants = [tenant("acme"), tenant("bolt"), tenant("acme2")];
    let id = world.webhook(&tenants[0], |_| ()).await?.id;
    for other in &tenants[1..] {
        world.webhook(other, |webhook| webhook.id = id).await?;
    }
    for _ in 0..2 {
        for tenant in &tenants {
            world.store.publish(vec![publication(head(tenant, at(0))?)], DAY, at(0)).await?;
        }
    }

    world.distribute(at(0)).await?;

    let claims = world.claim(100, at(0)).await?;
    let mut heard: Vec<_> = claims.iter().map(|claim| claim.webhook.tenant.as_str()).collect();
    heard.sort_unstable();
    assert_eq!(heard, ["acme", "acme", "acme2", "acme2", "bolt", "bolt"]);
    assert!(claims.iter().all(|claim| claim.webhook.tenant == claim.event.tenant));
    world.deliver(&claims, at(0)).await?;
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.delivery WHERE status = 'delivered'").await?, 6);
    world.end().await
}
