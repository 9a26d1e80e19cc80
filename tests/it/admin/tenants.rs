//! Tenants never see one another.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta};
use crossdock::activity::ActivityFilter;
use crossdock::primitives::PageRequest;
use crossdock::testing::Reply;
use crossdock::webhooks::{NewReplay, NewWebhook};
use crossdock::{Error, ErrorKind};
use libtest_mimic::Trial;

use super::access::{CHANGES, Ids, READS, call, unknown};
use super::{House, Told, event, house_with, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("another_tenants_ids_answer_exactly_like_ids_that_do_not_exist", differential),
        story("a_tenant_learns_nothing_of_another_ones_idempotency_keys", keys),
    ]
}

/// What can be seen of a call.
fn seen(result: Result<String, Error>) -> Result<String, (ErrorKind, String, String)> {
    result.map_err(|error| (error.kind(), error.to_string(), format!("{error:?}")))
}

/// A tenant with one of everything.
async fn furnished(house: &House, tenant: &str) -> Result<Ids, Box<dyn std::error::Error>> {
    let admin = house.admin(tenant);
    let new = NewWebhook::to(format!("https://{tenant}.example.com/")).events(["*"]);
    let webhook = admin.webhooks().create(new).await?.webhook.id;
    let subject = format!("a customer of {tenant}");
    let published = house.hub.publish(event(tenant, "order.paid").with_subject(&*subject)).await?;
    house.work().await;
    let past = DateTime::UNIX_EPOCH;
    let replay =
        admin.replays().start(NewReplay::everything(webhook, past, past + TimeDelta::days(365_000))).await?;
    Ok(Ids {
        view: admin.webhooks().webhook(webhook).await?,
        webhook,
        delivery: house.deliveries(tenant).await?[0].delivery.id,
        event: published.event,
        replay: replay.id,
        subject,
    })
}

/// All that a tenant can see of itself.
async fn state(house: &House, ids: &Ids, tenant: &str) -> Result<Vec<String>, Error> {
    let admin = house.admin(tenant);
    let mut state = Vec::new();
    for name in READS {
        state.push(format!("{name}: {}", call(&admin, name, ids.clone()).await?));
    }
    state.push(format!("{:?}", house.deliveries(tenant).await?));
    Ok(state)
}

async fn differential() -> Told {
    let refusing =
        |receivers: crossdock::testing::ScriptedTransport| receivers.everybody([Reply::status(500)]);
    let house = house_with(refusing, |builder| builder)?;
    let theirs = furnished(&house, "acme").await?;
    let ours = furnished(&house, "globex").await?;
    let before = state(&house, &theirs, "acme").await?;
    let globex = house.admin("globex");

    let mut told_apart = BTreeSet::new();
    for &name in READS.iter().chain(CHANGES) {
        if matches!(name, "activity" | "create") {
            continue;
        }
        let foreign = seen(call(&globex, name, theirs.clone()).await);
        let missing = seen(call(&globex, name, unknown(theirs.view.clone())).await);
        if foreign != missing {
            told_apart.insert((name, format!("{foreign:?}"), format!("{missing:?}")));
        }
    }
    // Mixed: our webhook, their event, delivery and replay.
    let mixed = |theirs: Ids| Ids { webhook: ours.webhook, view: ours.view.clone(), ..theirs };
    for name in ["diagnose_event", "delivery", "attempts", "resend", "replay", "cancel replay", "erase"] {
        let foreign = seen(call(&globex, name, mixed(theirs.clone())).await);
        let missing = seen(call(&globex, name, mixed(unknown(theirs.view.clone()))).await);
        if foreign != missing {
            told_apart.insert((name, format!("{foreign:?}"), format!("{missing:?}")));
        }
    }

    assert!(told_apart.is_empty(), "{told_apart:#?}");
    assert_eq!(state(&house, &theirs, "acme").await?, before, "nothing of theirs has changed");
    let activity = globex.activity().list(&ActivityFilter::default(), PageRequest::first(1_000)).await?;
    let acme = theirs.webhook.to_string();
    assert!(
        activity
            .items
            .iter()
            .all(|entry| entry.tenant.as_str() == "globex" && entry.subject.as_str() != acme)
    );
    Ok(())
}

async fn keys() -> Told {
    let house = house_with(|receivers| receivers, |builder| builder)?;
    let keyed = |tenant, event_type| event(tenant, event_type).with_idempotency_key("A-7");

    let first = house.hub.publish(keyed("acme", "order.paid")).await?;
    let other = house.hub.publish(keyed("globex", "stock.counted")).await?;

    assert!(first.fresh && other.fresh);
    assert_ne!(first.event, other.event);
    Ok(())
}
