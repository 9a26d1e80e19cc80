//! What the engine notices behind a step stands in the log as well, and each administrative step is chained.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use crossdock::activity::{Activity, ActivityFilter, ActivityKind};
use crossdock::primitives::PageRequest;
use crossdock::testing::Reply;
use crossdock::webhooks::{DefaultsUpdate, NewReplay, Settings};
use libtest_mimic::Trial;

use super::access::{CHANGES, Ids, call};
use super::{House, Told, event, house, house_with, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("every_administrative_call_is_in_the_chain", every_call),
        story("a_webhook_that_recovers_is_in_the_log", recovers),
        story("a_delivery_that_has_waited_for_too_long_is_in_the_log", expires),
        story("a_replay_that_is_done_is_in_the_log", replayed),
    ]
}

async fn log(house: &House, filter: &ActivityFilter) -> Result<Vec<Activity>, crossdock::Error> {
    Ok(house.admin("t").activity().list(filter, PageRequest::first(1_000)).await?.items)
}

async fn kinds(house: &House) -> Result<Vec<ActivityKind>, crossdock::Error> {
    Ok(log(house, &ActivityFilter::default()).await?.iter().rev().map(|entry| entry.kind).collect())
}

async fn every_call() -> Told {
    for name in CHANGES {
        let house = house()?;
        let id = house.subscribe("t", "https://erp.example.com/hooks").await?;
        let published = house.hub.publish(event("t", "order.paid").with_subject("a customer")).await?;
        house.work().await;
        let past = DateTime::UNIX_EPOCH;
        let all = NewReplay::everything(id, past, past + TimeDelta::days(365_000));
        let replay = house.admin("t").replays().start(all).await?.id;
        match *name {
            "resume" => drop(house.admin("t").webhooks().pause(id).await?),
            "enable" => drop(house.admin("t").webhooks().disable(id).await?),
            _ => {}
        }
        house.tick();
        let ids = Ids {
            view: house.admin("t").webhooks().webhook(id).await?,
            webhook: id,
            delivery: house.deliveries("t").await?[0].delivery.id,
            event: published.event,
            replay,
            subject: "a customer".to_owned(),
        };
        let before = house.admin("t").activity().chain_ends().await?.head;

        match *name {
            // Saving what is there already is no change.
            "update defaults" => {
                let seen = house.admin("t").defaults().await?;
                let update = DefaultsUpdate::of(&seen).timeout(Duration::from_secs(7));
                house.admin("t").update_defaults(update).await?;
            }
            _ => drop(call(&house.admin("t"), name, ids).await?),
        }

        let report = house.admin("t").activity().verify(Some(&before)).await?;
        assert_eq!(report.findings, [], "{name}");
        assert_eq!(report.ends.head.sequence(), before.sequence() + 1, "{name} is chained, once");
        let newest = &log(&house, &ActivityFilter::default()).await?[0];
        assert_eq!((&*newest.actor, newest.is_administrative()), ("ada", true), "{name}");
    }
    Ok(())
}

async fn recovers() -> Told {
    let is_well = Arc::new(AtomicBool::new(false));
    let answer = Arc::clone(&is_well);
    let status = move || if answer.load(Ordering::Relaxed) { 204 } else { 500 };
    let house =
        house_with(|receivers| receivers.answering(move |_| Reply::status(status())), |builder| builder)?;
    house.subscribe("t", "https://erp.example.com/hooks").await?;
    for step in 0..30 {
        is_well.store(step > 13, Ordering::Relaxed);
        for _ in 0..3 {
            house.publish("t", "order.paid").await?;
        }
        house.work().await;
        house.clock.advance(Duration::from_secs(6 * 60 * 60));
    }

    let kinds = kinds(&house).await?;
    let place = |kind| kinds.iter().position(|found| *found == kind);
    let (failing, recovered) = (place(ActivityKind::WebhookFailing), place(ActivityKind::WebhookRecovered));
    assert!(failing.is_some() && recovered > failing, "{kinds:?}");
    Ok(())
}

async fn expires() -> Told {
    let house = house_with(
        |receivers| receivers,
        |builder| {
            let mut settings = Settings::default();
            settings.max_age = Duration::from_secs(60);
            builder.settings(settings)
        },
    )?;
    let id = house.subscribe("t", "https://erp.example.com/hooks").await?;
    house.admin("t").webhooks().pause(id).await?;
    house.publish("t", "order.paid").await?;
    house.work().await;
    house.clock.advance(Duration::from_secs(120));

    house.work().await;

    let errors = log(&house, &ActivityFilter::errors()).await?;
    let told: Vec<_> = errors.iter().map(|entry| (entry.kind, entry.details["reason"].clone())).collect();
    assert_eq!(told, [(ActivityKind::DeadLettered, "expired".to_owned())]);
    assert_eq!(errors[0].details["webhook"], id.to_string());
    Ok(())
}

async fn replayed() -> Told {
    let house = house()?;
    let id = house.subscribe("t", "https://erp.example.com/hooks").await?;
    house.publish("t", "order.paid").await?;
    house.work().await;
    let past = DateTime::UNIX_EPOCH;
    let all = NewReplay::everything(id, past, past + TimeDelta::days(365_000));
    let replay = house.admin("t").replays().start(all).await?.id;
    house.tick();

    house.work().await;

    let kinds = kinds(&house).await?;
    assert_eq!(kinds.last(), Some(&ActivityKind::ReplayCompleted), "{kinds:?}");
    let mut about = ActivityFilter::default();
    about.subject = Some(replay.into());
    assert_eq!(log(&house, &about).await?.len(), 2, "started and completed");
    Ok(())
}
