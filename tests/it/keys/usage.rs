//! What is known of a key's use.

use chrono::NaiveDate;
use crossdock::ErrorKind;
use crossdock::activity::{ActivityFilter, ActivityKind};
use crossdock::api_keys::{CallOutcome, KeyFilter, KeyStore, Peppers, Refusal};
use crossdock::primitives::PageRequest;
use crossdock::tenancy::Actor;
use crossdock::testing::ManualClock;
use libtest_mimic::Trial;

use super::store::Watched;
use super::{ADDRESS, DAY, House, OTHER_PEPPER, PEPPER, SECOND, Told, house, house_with, reader, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("details_show_the_last_use_and_counts_by_day_and_outcome", details),
        story("usage_is_written_down_once_a_minute_and_at_the_end", once_a_minute),
        story("a_flood_of_calls_and_refusals_costs_no_write_each", flood),
        story("usage_waits_for_a_store_that_is_away", waits),
        story("a_key_that_cannot_be_written_about_holds_back_no_other", poison),
        story("refusals_of_a_key_are_listed_with_their_reason", refusals),
        story("unused_keys_are_found", unused),
        story("a_key_moves_to_the_new_pepper_when_it_is_used", pepper),
        story("a_key_whose_pepper_is_gone_is_refused_like_a_wrong_one", pepper_gone),
    ]
}

fn watched() -> crossdock::Result<(Watched, House)> {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    Ok((store, house))
}

async fn details() -> Told {
    let house = house()?;
    let created = house.key(reader().networks(["203.0.113.0/24"])).await?;
    let keys = house.keys("acme");
    for _ in 0..3 {
        house.get(created.token.reveal()).await?;
    }
    let elsewhere = std::net::IpAddr::from([198, 51, 100, 1]);
    let headers = super::bearer(created.token.reveal());
    let _ = house.send(&http::Method::GET, &headers, elsewhere, |call| call).await;
    let counts = async || -> Result<Vec<_>, crossdock::Error> {
        let usage = keys.details(created.key.id).await?.usage;
        Ok(usage.iter().map(|count| (count.day.to_string(), count.outcome.as_str(), count.count)).collect())
    };
    let first_day = vec![("2026-01-01".to_owned(), "allowed", 3), ("2026-01-01".to_owned(), "address", 1)];

    assert_eq!(counts().await?, first_day, "before it is written down");
    house.hub.gate().flush().await?;
    assert_eq!(counts().await?, first_day, "and after");

    house.pass(DAY);
    house.call(created.token.reveal(), |call| call.route("/stock/{id}")).await?;
    let last = keys.details(created.key.id).await?.key.last.ok_or("a use")?;
    assert_eq!((last.at, last.address, &*last.route), (house.now(), ADDRESS, "/stock/{id}"));
    house.hub.gate().flush().await?;
    assert_eq!(counts().await?.len(), 3);
    assert_eq!(keys.details(created.key.id).await?.key.last, Some(last));
    Ok(())
}

async fn once_a_minute() -> Told {
    let (store, house) = watched()?;
    let token = house.key(reader()).await?.token;
    let gate = house.hub.gate().clone();
    let (end, shutdown) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        gate.run_until(async {
            let _ = shutdown.await;
        })
        .await;
    });
    let second = async || {
        while house.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        house.pass(SECOND);
        tokio::task::yield_now().await;
    };
    let mut writes = Vec::new();
    for number in 0..180 {
        second().await;
        house.get(token.reveal()).await?;
        if number % 60 == 59 {
            writes.push(store.calls().get("record_usage").copied().unwrap_or(0));
        }
    }
    assert!(writes.iter().all(|writes| *writes <= 1), "{writes:?}");
    assert!(writes.iter().sum::<usize>() >= 2, "{writes:?}");

    end.send(()).map_err(|()| "it has ended early")?;
    running.await?;

    assert_eq!(store.calls().get("record_usage"), Some(&1), "the rest, at the end");
    Ok(())
}

async fn flood() -> Told {
    let (store, house) = watched()?;
    let created = house.key(reader().networks(["198.51.100.0/24"])).await?;
    let good = house.key(reader()).await?;
    let _ = house.get(created.token.reveal()).await;
    let _ = house.get(good.token.reveal()).await;
    store.calls();

    for _ in 0..20_000 {
        assert_eq!(house.refusal(created.token.reveal()).await, Some(Refusal::Address));
        assert_eq!(house.refusal(good.token.reveal()).await, None);
    }
    assert!(store.calls().is_empty());
    house.hub.gate().flush().await?;

    assert_eq!(store.calls(), [("record_usage", 1)].into());
    let refused = house.keys("acme").refusals(created.key.id, PageRequest::default()).await?.items;
    assert_eq!(refused.iter().map(|refusal| refusal.count).collect::<Vec<_>>(), [20_001]);
    Ok(())
}

async fn waits() -> Told {
    let (store, house) = watched()?;
    let created = house.key(reader()).await?;
    house.get(created.token.reveal()).await?;
    store.go_down();
    assert!(house.hub.gate().flush().await.is_err());
    assert!(house.hub.gate().flush().await.is_err());
    store.come_back();
    house.get(created.token.reveal()).await?;

    house.hub.gate().flush().await?;

    let usage = house.keys("acme").details(created.key.id).await?.usage;
    assert_eq!(usage.iter().map(|count| count.count).sum::<u64>(), 2);
    store.calls();
    house.hub.gate().flush().await?;
    assert!(store.calls().is_empty(), "there is nothing left");
    Ok(())
}

async fn poison() -> Told {
    let (store, house) = watched()?;
    let (mut made, keys) = (Vec::new(), house.keys("acme"));
    for _ in 0..5 {
        made.push(house.key(reader()).await?);
    }
    store.damage(made[2].key.id);
    for round in 1..=2 {
        for created in &made {
            house.get(created.token.reveal()).await?;
        }
        assert_eq!(house.hub.gate().flush().await.err().map(|error| error.kind()), Some(ErrorKind::Corrupt));

        for (place, created) in made.iter().enumerate() {
            let stored =
                store.inner.usage(&"acme".parse()?, created.key.id, NaiveDate::MIN, NaiveDate::MAX).await?;
            let count: u64 = stored.iter().map(|count| count.count).sum();
            assert_eq!(count, if place == 2 { 0 } else { round });
        }
    }
    assert!(keys.details(made[2].key.id).await?.key.last.is_some());
    Ok(())
}

async fn refusals() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let created = house.key(reader().expires_at(house.now() + DAY)).await?;
    let id = created.key.id;
    let _ = house.call(created.token.reveal(), |call| call.administrative().route("/keys")).await;
    house.pass(SECOND);
    keys.disable(id).await?;
    let _ = house.get(created.token.reveal()).await;
    house.hub.gate().flush().await?;
    house.pass(DAY);
    let _ = house.get(created.token.reveal()).await;
    let _ = house.get(created.token.reveal()).await;
    keys.enable(id).await?;
    house.pass(SECOND);
    let _ = house.get(created.token.reveal()).await;

    let listed = async || -> Result<Vec<_>, crossdock::Error> {
        let page = keys.refusals(id, PageRequest::default()).await?;
        Ok(page.items.iter().map(|refusal| (refusal.reason.as_str(), refusal.count)).collect())
    };
    let expected = [("expired", 1), ("disabled", 2), ("disabled", 1), ("permission", 1)];
    assert_eq!(listed().await?, expected, "also what is not written down yet");
    house.hub.gate().flush().await?;
    assert_eq!(listed().await?, expected);

    let page = keys.refusals(id, PageRequest::default()).await?;
    let oldest = page.items.last().ok_or("an item")?;
    assert_eq!((oldest.address, oldest.route.as_deref()), (Some(ADDRESS), Some("/keys")));
    let mut filter = ActivityFilter::default();
    filter.kind = Some(ActivityKind::KeyRefused);
    let admin = house.hub.admin(Actor::org_admin("acme".parse()?, "ada"));
    let log = admin.activity().list(&filter, PageRequest::default()).await?.items;
    assert_eq!(log.len(), 4);
    assert!(log.iter().all(|entry| *entry.actor == *id.to_string() && entry.details.contains_key("reason")));
    Ok(())
}

async fn unused() -> Told {
    let house = house()?;
    let (used, unused) = (house.key(reader()).await?, house.key(reader()).await?);
    house.pass(DAY);
    house.get(used.token.reveal()).await?;
    house.hub.gate().flush().await?;
    let new = house.key(reader()).await?;

    let since = house.now();
    house.pass(SECOND);
    let found =
        house.keys("acme").list(&KeyFilter::new().unused_since(since), PageRequest::default()).await?;

    let found: Vec<_> = found.items.iter().map(|key| key.id).collect();
    assert_eq!(found, [unused.key.id], "neither {} nor {}", used.key.id, new.key.id);
    Ok(())
}

async fn pepper() -> Told {
    let store = crossdock::adapters::memory::MemoryStore::new();
    let on = |peppers: Peppers| {
        let store = store.clone();
        house_with(ManualClock::new(), 7, move |builder| {
            builder.store(store.clone()).key_store(store).peppers(peppers)
        })
    };
    let before = on(Peppers::new("2026", PEPPER)?)?;
    let token = before.key(reader()).await?.token;
    let during = on(Peppers::new("2027", OTHER_PEPPER)?.with_old("2026", PEPPER)?)?;
    assert_eq!(during.refusal(token.reveal()).await, None, "the old pepper is still known");
    during.hub.gate().flush().await?;
    assert_eq!(during.refusal(token.reveal()).await, None);

    let after = on(Peppers::new("2027", OTHER_PEPPER)?)?;

    assert_eq!(after.refusal(token.reveal()).await, None, "and not needed any more");
    assert_eq!(during.refusal(token.reveal()).await, None);
    Ok(())
}

async fn pepper_gone() -> Told {
    let store = crossdock::adapters::memory::MemoryStore::new();
    let on = |peppers: Peppers| {
        let store = store.clone();
        house_with(ManualClock::new(), 7, move |builder| {
            builder.store(store.clone()).key_store(store).peppers(peppers)
        })
    };
    let created = on(Peppers::new("2026", PEPPER)?)?.key(reader()).await?;

    let house = on(Peppers::new("2027", OTHER_PEPPER)?)?;

    let refused = house.get(created.token.reveal()).await.err().ok_or("refused")?;
    assert_eq!((refused.reason(), refused.status().as_u16()), (Refusal::PepperMissing, 401));
    let usage = house.keys("acme").details(created.key.id).await?.usage;
    assert_eq!(usage[0].outcome, CallOutcome::Refused(Refusal::PepperMissing));
    Ok(())
}
