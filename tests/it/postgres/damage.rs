//! Damaged records, and records that two statements see differently: whoever has nothing to do with them goes on.

use std::time::Duration;

use crossdock::primitives::{DeliveryId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::fan_out::fan_out;
use crossdock::webhooks::{
    Change, ClaimRequest, DeliveryQueue, Distribution, Replay, ReplayFilter, Retention, TenantDefaults,
    Version, WebhookRepository,
};
use libtest_mimic::Trial;

use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{rule_with, server};
use crate::postgres::world::{DAY, World, at, head, publication, random, tenant};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::damage::an_unreadable_entry_stays_and_stops_nobody_else", server, |url| {
            play(entry(url))
        }),
        rule_with("postgres::damage::what_a_process_has_published_itself_it_need_not_read", server, |url| {
            play(own(url))
        }),
        rule_with("postgres::damage::an_unreadable_event_ends_its_deliveries_alone", server, |url| {
            play(event(url))
        }),
        rule_with("postgres::damage::an_unreadable_webhook_waits_to_be_mended_alone", server, |url| {
            play(webhook(url))
        }),
        rule_with("postgres::damage::unreadable_defaults_wait_to_be_mended_alone", server, |url| {
            play(defaults(url))
        }),
        rule_with(
            "postgres::damage::a_stamp_that_is_given_twice_shows_nobody_another_webhook",
            server,
            |url| play(stamp(url)),
        ),
        rule_with("postgres::damage::a_record_under_another_stamp_is_found_by_its_name", server, |url| {
            play(moved(url))
        }),
        rule_with("postgres::damage::a_lease_without_a_webhook_was_no_attempt", server, |url| {
            play(removed(url))
        }),
        rule_with("postgres::damage::a_webhook_that_goes_while_its_replay_starts_has_none", server, |url| {
            play(replay(url))
        }),
    ]
}

/// Two tenants with a webhook each.
async fn two(url: String) -> Result<(World, [TenantId; 2], [WebhookId; 2]), Box<dyn std::error::Error>> {
    let world = World::new(url).await?;
    let tenants = [tenant("acme"), tenant("other")];
    let one = world.webhook(&tenants[0], |_| {}).await?.id;
    let two = world.webhook(&tenants[1], |_| {}).await?.id;
    Ok((world, tenants, [one, two]))
}

/// Who is given something.
async fn given(world: &World, seconds: u64) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let claims = world.claim(10, at(seconds)).await?;
    for claim in &claims {
        assert_eq!(claim.webhook.tenant, claim.event.head.tenant, "each its own");
    }
    Ok(claims.iter().map(|claim| claim.webhook.tenant.as_str().to_owned()).collect())
}

const OF_ACME: &str = "WHERE tenant_id = 'acme'";

async fn entry(url: String) -> Outcome {
    let (world, [acme, other], _) = two(url).await?;
    // Whoever has published them itself would not need to read them.
    let publisher = world.other_process().await?;
    for _ in 0..5 {
        publisher.publish(vec![publication(head(&acme, at(0))?)], DAY, at(0)).await?;
    }
    publisher.publish(vec![publication(head(&other, at(0))?)], DAY, at(0)).await?;
    world.run(&format!("CREATE TABLE SCHEMA.kept AS SELECT id, head FROM SCHEMA.event {OF_ACME}")).await?;
    world.run(&format!("UPDATE SCHEMA.event SET head = 'damaged' {OF_ACME}")).await?;

    let outbox = world.store.outbox(2, at(0)).await?;
    assert_eq!(outbox.entries.len(), 1, "more are damaged than it asks for");
    world.distribute(at(0)).await?;

    assert_eq!(given(&world, 1).await?, ["other"]);
    world.store.tidy(Retention::default(), at(0) + DAY * 400).await?;
    assert_eq!(world.store.examine(at(1)).await?.outbox, 5, "they are seen, and kept");
    world.run("UPDATE SCHEMA.event e SET head = k.head FROM SCHEMA.kept k WHERE k.id = e.id").await?;
    world.distribute(at(2)).await?;
    assert_eq!(given(&world, 2).await?, ["acme"; 5]);
    world.end().await
}

/// What a process has published itself, it does not read again; but what was erased since it does not send.
async fn own(url: String) -> Outcome {
    let (world, [acme, other], _) = two(url).await?;
    for tenant in [&acme, &acme, &other] {
        let head = head(tenant, at(0))?.with_subject(tenant.as_str());
        world.store.publish(vec![publication(head)], DAY, at(0)).await?;
    }
    world.run("UPDATE SCHEMA.event SET head = 'damaged'").await?;
    world.store.erase_subject(&other, other.as_str(), Vec::new(), at(0)).await?;
    assert_eq!(
        world.other_process().await?.outbox(9, at(0)).await?.entries.len(),
        0,
        "others cannot read them"
    );

    let outbox = world.store.outbox(9, at(0)).await?;
    assert_eq!(outbox.entries.len(), 3);
    let entries = outbox.entries.into_iter().map(|(place, head)| {
        let mint = || DeliveryId::mint(at(0), random());
        let wanted = fan_out(&head, &outbox.webhooks[&head.tenant], mint);
        Distribution::new(place, head, wanted)
    });
    let request = ClaimRequest::new(at(0), Duration::from_secs(60), 9);
    let distributed = world.store.distribute(entries.collect(), request).await?;

    let given: Vec<_> = distributed.claims.iter().map(|claim| claim.event.tenant.as_str()).collect();
    assert_eq!((distributed.taken, given), (3, vec!["acme"; 2]));
    assert!(distributed.claims.iter().all(|claim| !claim.event.payload.is_empty()));
    world.end().await
}

async fn event(url: String) -> Outcome {
    let (world, [acme, other], _) = two(url).await?;
    world.send(&acme, at(0)).await?;
    world.send(&other, at(0)).await?;
    world.run(&format!("UPDATE SCHEMA.event SET head = 'damaged' {OF_ACME}")).await?;

    assert_eq!(given(&world, 1).await?, ["other"]);

    let ended =
        format!("SELECT count(*) FROM SCHEMA.delivery {OF_ACME} AND status = 'dead_letter.unsendable'");
    assert_eq!(world.number(&ended).await?, 1);
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.queue").await?, 1);
    world.end().await
}

async fn webhook(url: String) -> Outcome {
    let (world, [acme, other], _) = two(url).await?;
    world.send(&acme, at(0)).await?;
    world.send(&other, at(0)).await?;
    world.run("CREATE TABLE SCHEMA.kept AS SELECT id, record FROM SCHEMA.webhook").await?;
    world.run(&format!("UPDATE SCHEMA.webhook SET record = 'damaged', stamp = 7 {OF_ACME}")).await?;
    world.run(&format!("UPDATE SCHEMA.lane SET stamp = 7 {OF_ACME}")).await?;
    for tenant in [&acme, &other] {
        world.store.publish(vec![publication(head(tenant, at(1))?)], DAY, at(1)).await?;
    }

    world.distribute(at(1)).await?;
    assert_eq!(given(&world, 1).await?, ["other", "other"]);
    assert_eq!(given(&world, 30).await?, [""; 0]);

    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.outbox").await?, 1, "who gets it is not known yet");
    let untried = "SELECT count(*) FROM SCHEMA.queue WHERE attempt = 0 AND state = 0";
    assert_eq!(world.number(untried).await?, 1);
    world.run("UPDATE SCHEMA.webhook w SET record = k.record FROM SCHEMA.kept k WHERE k.id = w.id").await?;
    world.distribute(at(2)).await?;
    assert_eq!(given(&world, 70).await?, ["acme", "acme", "other", "other"], "the others' leases have ended");
    world.end().await
}

async fn defaults(url: String) -> Outcome {
    let (world, [acme, other], _) = two(url).await?;
    let mut defaults = TenantDefaults::new(acme.clone());
    defaults.version = Version::new(1);
    let change = Change::Defaults { defaults, expected: Version::NONE };
    world.store.save(&acme, vec![change], Vec::new(), at(0)).await?;
    world.send(&acme, at(0)).await?;
    world.send(&other, at(0)).await?;
    world.run("UPDATE SCHEMA.tenant_defaults SET record = 'damaged'").await?;

    assert_eq!(given(&world, 1).await?, ["other"]);

    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.queue WHERE attempt = 0 AND state = 0").await?, 1);
    world.run("DELETE FROM SCHEMA.tenant_defaults").await?;
    assert_eq!(given(&world, 61).await?, ["acme", "other"]);
    world.end().await
}

async fn stamp(url: String) -> Outcome {
    let (world, [acme, other], [_, its]) = two(url).await?;
    world.send(&acme, at(0)).await?;
    assert_eq!(given(&world, 1).await?, ["acme"]);

    // What a standby that was behind would do.
    world
        .run(&format!(
            "CREATE TABLE SCHEMA.known AS SELECT stamp FROM SCHEMA.webhook {OF_ACME};
             UPDATE SCHEMA.webhook SET stamp = 7 {OF_ACME};
             UPDATE SCHEMA.lane SET stamp = 7 {OF_ACME};
             UPDATE SCHEMA.webhook SET stamp = (SELECT stamp FROM SCHEMA.known) WHERE tenant_id = 'other';
             UPDATE SCHEMA.lane SET stamp = (SELECT stamp FROM SCHEMA.known) WHERE tenant_id = 'other'"
        ))
        .await?;

    world.send(&other, at(2)).await?;
    assert_eq!(given(&world, 2).await?, ["other"]);
    let found = world.store.webhook(&other, its).await?.ok_or("no webhook")?;
    assert_eq!((&found.tenant, found.id), (&other, its));
    world.end().await
}

async fn moved(url: String) -> Outcome {
    let (world, [acme, _], _) = two(url).await?;
    world.send(&acme, at(0)).await?;
    world.run("UPDATE SCHEMA.lane SET stamp = 7").await?;

    assert_eq!(given(&world, 1).await?, ["acme"]);
    world.end().await
}

async fn removed(url: String) -> Outcome {
    let (world, [acme, _], _) = two(url).await?;
    world.send(&acme, at(0)).await?;
    world.run(&format!("DELETE FROM SCHEMA.webhook {OF_ACME}; UPDATE SCHEMA.lane SET stamp = 7")).await?;

    assert_eq!(given(&world, 1).await?, [""; 0]);

    let untried = "SELECT count(*) FROM SCHEMA.queue
        WHERE attempt = 0 AND state = 0 AND lease_token IS NULL AND due_at < '2100-01-01'";
    assert_eq!(world.number(untried).await?, 1);
    world.run("UPDATE SCHEMA.lane SET state = 0").await?;
    assert_eq!(given(&world, 2).await?, [""; 0]);
    world.end().await
}

async fn replay(url: String) -> Outcome {
    let (world, [acme, _], [webhook, _]) = two(url).await?;
    world.send(&acme, at(0)).await?;
    let id = crossdock::primitives::ReplayId::mint(at(1), crate::postgres::world::random());
    let filter = ReplayFilter::undelivered(at(0), at(10));
    let replay = Replay::new(id, acme.clone(), webhook, filter, 10, at(1));
    let mut removal = world.pool.begin().await?;
    let gone = format!("UPDATE \"{}\".lane SET state = 0 {OF_ACME}", world.name);
    sqlx::raw_sql(sqlx::AssertSqlSafe(gone)).execute(&mut *removal).await?;
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%\"{}\".replay%'",
        world.name
    );

    let commit = async {
        crate::patience::soon("the replay waits for the removal", async || {
            Ok(world.number(&waits).await? > 0)
        })
        .await?;
        Ok::<_, Box<dyn std::error::Error>>(removal.commit().await?)
    };
    let (started, committed) = tokio::join!(world.store.start_replay(replay, Vec::new()), commit);
    committed?;

    assert_eq!(started.expect_err("a refusal").kind(), crossdock::ErrorKind::NotFound);
    world.end().await
}
