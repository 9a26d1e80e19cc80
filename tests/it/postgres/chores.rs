//! What nobody waits for holds nobody up.

use crossdock::activity::{Activity, ActivityFilter, ActivityKind, ActivityStore};
use crossdock::adapters::PostgresStore;
use crossdock::primitives::{ActivityId, DeliveryId, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::webhooks::{
    DeliveryQueue, Replay, ReplayFilter, ReplayState, Retention, Webhook, WebhookRepository,
};
use libtest_mimic::Trial;
use sqlx::postgres::PgPoolOptions;

use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{rule_with, server};
use crate::postgres::world::{DAY, World, as_tenant_role, at, random, tenant};

type Failure = Box<dyn std::error::Error>;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::chores::partitions_are_dropped_in_a_transaction_each", server, |url| {
            play(one_drop(url))
        }),
        rule_with("postgres::chores::without_the_right_to_drop_partitions_rows_still_go", server, |url| {
            play(no_rights(url))
        }),
        rule_with("postgres::chores::activity_goes_with_the_history", server, |url| play(activity(url))),
        rule_with("postgres::chores::one_replay_leaves_ids_for_another", server, |url| play(fair(url))),
        rule_with("postgres::chores::a_replay_waits_for_a_payload_that_somebody_holds", server, |url| {
            play(held(url))
        }),
    ]
}

fn retention(days: u32) -> Retention {
    let mut retention = Retention::default();
    (retention.payloads, retention.history) = (DAY * days, DAY * days);
    retention
}

async fn one_drop(url: String) -> Outcome {
    let world = World::new(url).await?;
    world.store.tidy(retention(5), at(0)).await?;
    let count = format!(
        "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{}' AND c.relname ~ '_202512[0-9]{{2}}$'",
        world.name
    );
    let keep = "SELECT COALESCE(SCHEMA.keep_partitions('2026-03-01', 0, '2026-02-01', '2026-02-01'), -1)";
    let before = world.number(&count).await?;
    assert!(before >= 8, "{before}");

    // The new day's own ones come first, each in a transaction as well.
    for _ in 0..4 {
        assert_eq!(world.number(keep).await?, 0);
        assert_eq!(world.number(&count).await?, before);
    }
    assert!(world.number(keep).await? >= 0);

    assert_eq!(world.number(&count).await?, before - 1);
    while world.number(keep).await? >= 0 {}
    assert_eq!(world.number(&count).await?, 0);
    world.end().await
}

async fn no_rights(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    world.webhook(&acme, |_| {}).await?;
    world.store.tidy(retention(5), at(0)).await?;
    world.send(&acme, at(0)).await?;
    let claims = world.claim(1, at(0)).await?;
    world.deliver(&claims, at(0)).await?;
    let options = as_tenant_role(&world.url, PgPoolOptions::new().max_connections(2)).await?;
    let grants = format!(
        "GRANT USAGE ON schema \"{0}\" TO crossdock_it_role;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN schema \"{0}\" TO crossdock_it_role;
         GRANT USAGE ON ALL SEQUENCES IN schema \"{0}\" TO crossdock_it_role",
        world.name
    );
    world.run(&grants).await?;
    let pool = options.connect(&world.url).await?;
    let store = PostgresStore::builder(pool.clone()).schema(&world.name).build()?;

    let gone = store.tidy(retention(5), at(0) + DAY * 20).await?;

    assert!(gone >= 2, "event and delivery: {gone}");
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.event").await?, 0);
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.delivery").await?, 0);
    pool.close().await;
    world.end().await
}

async fn activity(url: String) -> Outcome {
    let world = World::new(url).await?;
    let acme = tenant("acme");
    let actor = Actor::org_admin(acme.clone(), "Ada");
    for day in [0, 18] {
        let now = at(0) + DAY * day;
        let id = ActivityId::mint(now, random());
        let entry = Activity::new(id, now, &actor, ActivityKind::WebhookUpdated, "wh_1");
        world.store.save(&acme, Vec::new(), vec![entry], now).await?;
    }

    world.store.tidy(retention(5), at(0) + DAY * 20).await?;

    let page = PageRequest::first(10);
    let left = world.store.activity(&acme, &ActivityFilter::default(), page).await?;
    assert_eq!(left.items.iter().map(|entry| entry.at).collect::<Vec<_>>(), [at(0) + DAY * 18]);
    world.end().await
}

/// A tenant with so many deliveries, and a replay of all of them.
async fn replayed(
    world: &World,
    name: &str,
    count: u32,
    per_second: u32,
) -> Result<(TenantId, ReplayId), Failure> {
    let tenant = tenant(name);
    let webhook: Webhook = world.webhook(&tenant, |_| {}).await?;
    for _ in 0..count {
        world.send(&tenant, at(0)).await?;
    }
    let id = start(world, &tenant, webhook.id, per_second).await?;
    Ok((tenant, id))
}

async fn start(
    world: &World,
    tenant: &TenantId,
    webhook: WebhookId,
    per_second: u32,
) -> Result<ReplayId, Failure> {
    let id = ReplayId::mint(at(1), random());
    let filter = ReplayFilter::undelivered(at(0), at(10)).with_statuses([]);
    let replay = Replay::new(id, tenant.clone(), webhook, filter, per_second, at(1));
    world.store.start_replay(replay, Vec::new()).await?;
    Ok(id)
}

fn ids(count: usize, seconds: u64) -> Vec<DeliveryId> {
    (0..count).map(|_| DeliveryId::mint(at(seconds), random())).collect()
}

async fn made(world: &World, (tenant, id): &(TenantId, ReplayId)) -> Result<(u64, ReplayState), Failure> {
    let replay = world.store.replay(tenant, *id).await?.ok_or("no replay")?;
    Ok((replay.made, replay.state))
}

async fn fair(url: String) -> Outcome {
    let world = World::new(url).await?;
    let one = replayed(&world, "acme", 12, 3).await?;
    let two = replayed(&world, "other", 12, 3).await?;

    // Fewer ids than both could use, each time.
    for second in 1..5 {
        world.store.advance_replays(ids(3, second), at(second)).await?;
    }

    assert_eq!((made(&world, &one).await?.0, made(&world, &two).await?.0), (6, 6));
    world.end().await
}

async fn held(url: String) -> Outcome {
    let world = World::new(url).await?;
    let replay = replayed(&world, "acme", 3, 10).await?;
    let mut holder = world.pool.begin().await?;
    let hold =
        format!("SELECT FROM \"{}\".payload ORDER BY event_id OFFSET 1 LIMIT 1 FOR UPDATE", world.name);
    sqlx::raw_sql(sqlx::AssertSqlSafe(hold)).execute(&mut *holder).await?;

    world.store.advance_replays(ids(10, 1), at(1)).await?;
    assert!(made(&world, &replay).await?.0 < 3);
    assert_eq!(made(&world, &replay).await?.1, ReplayState::Running);
    holder.rollback().await?;
    for second in 2..5 {
        world.store.advance_replays(ids(10, second), at(second)).await?;
    }

    assert_eq!(made(&world, &replay).await?, (3, ReplayState::Completed));
    world.end().await
}
