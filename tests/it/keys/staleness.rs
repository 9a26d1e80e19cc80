//! How old what a process knows may be.

use std::time::Duration;

use crossdock::adapters::memory::MemoryStore;
use crossdock::adapters::sqlite::SqliteStore;
use crossdock::api_keys::{Gate, Refusal};
use crossdock::testing::ManualClock;
use libtest_mimic::Trial;

use super::store::Watched;
use super::{DAY, House, SECOND, Told, house, house_with, reader, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_revocation_acts_at_once_in_its_own_process", at_once),
        story("a_revocation_acts_within_the_bound_in_every_other_process", elsewhere),
        story("a_process_that_was_idle_believes_nothing_old", idle),
        story("a_process_that_asks_every_second_hears_of_a_revocation_in_one", asking),
        story("a_key_made_elsewhere_is_known_although_nobody_had_it_before", made_elsewhere),
        story("a_store_that_is_away_is_never_answered_for_with_what_is_too_old", store_away),
        story("an_answer_that_comes_too_late_is_none", too_late),
        story("calls_hear_of_changes_by_themselves_before_what_is_known_is_too_old", by_themselves),
        story("two_stores_on_one_file_hear_of_one_another", one_file),
        story("a_change_whose_answer_was_lost_is_not_believed", lost_answer),
        story("more_changes_than_can_be_told_make_every_key_be_read_anew", many_changes),
    ]
}

/// Two processes on one store, with one time.
fn two() -> crossdock::Result<(House, House)> {
    let (store, clock) = (MemoryStore::new(), ManualClock::new());
    let on = |seed| {
        let store = store.clone();
        house_with(clock.clone(), seed, move |builder| builder.store(store.clone()).key_store(store))
    };
    Ok((on(7)?, on(8)?))
}

async fn at_once() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let created = house.key(reader()).await?;
    let (id, token) = (created.key.id, created.token);
    assert_eq!(house.refusal(token.reveal()).await, None);

    keys.disable(id).await?;
    assert_eq!(house.refusal(token.reveal()).await, Some(Refusal::Disabled));
    keys.enable(id).await?;
    assert_eq!(house.refusal(token.reveal()).await, None);
    keys.revoke(id, "").await?;

    assert_eq!(house.refusal(token.reveal()).await, Some(Refusal::Revoked));
    Ok(())
}

async fn elsewhere() -> Told {
    let moment = Duration::from_micros(1);
    for phase in [Duration::ZERO, SECOND, Duration::from_millis(2_400), Gate::STALE] {
        let (here, there) = two()?;
        let created = here.key(reader()).await?;
        assert_eq!(there.refusal(created.token.reveal()).await, None, "it is known there");
        here.pass(phase);
        here.keys("acme").revoke(created.key.id, "").await?;

        // Whatever is asked meanwhile, at the latest then it is over.
        here.pass(Gate::STALE / 2);
        let _ = there.get(created.token.reveal()).await;
        here.pass(Gate::STALE / 2 + moment);

        assert_eq!(there.refusal(created.token.reveal()).await, Some(Refusal::Revoked), "{phase:?}");
    }
    assert!(2 * Gate::STALE <= 5 * SECOND, "also by a clock that runs at half its speed");
    Ok(())
}

async fn idle() -> Told {
    let (here, there) = two()?;
    let created = here.key(reader()).await?;
    assert_eq!(there.refusal(created.token.reveal()).await, None);

    here.pass(DAY);
    here.keys("acme").revoke(created.key.id, "").await?;

    assert_eq!(
        there.refusal(created.token.reveal()).await,
        Some(Refusal::Revoked),
        "the first call after it"
    );
    Ok(())
}

async fn asking() -> Told {
    let (here, there) = two()?;
    let created = here.key(reader()).await?;
    let gate = there.hub.gate().clone();
    let running = tokio::spawn(async move { gate.run_until(std::future::pending()).await });
    let asleep = async || {
        while here.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
    };
    asleep().await;
    assert_eq!(there.refusal(created.token.reveal()).await, None);
    here.keys("acme").revoke(created.key.id, "").await?;

    here.pass(Gate::ASK);
    tokio::task::yield_now().await;
    asleep().await;

    assert_eq!(there.refusal(created.token.reveal()).await, Some(Refusal::Revoked));
    running.abort();
    Ok(())
}

async fn made_elsewhere() -> Told {
    let (store, clock) = (MemoryStore::new(), ManualClock::new());
    let on = |seed: u64| {
        let store = store.clone();
        house_with(clock.clone(), seed, move |builder| builder.store(store.clone()).key_store(store))
    };
    // The same dice give the same token: what nobody has here is made there a moment later.
    let (here, there, prophet) = (on(7)?, on(8)?, house_with(clock.clone(), 7, |builder| builder)?);
    let token = prophet.key(reader()).await?.token;
    assert_eq!(there.refusal(token.reveal()).await, Some(Refusal::Unknown));
    let made = here.key(reader()).await?;
    assert_eq!(made.token.reveal(), token.reveal());
    assert_eq!(there.refusal(token.reveal()).await, Some(Refusal::Unknown), "believed for a moment");

    there.pass(SECOND);

    assert_eq!(there.refusal(token.reveal()).await, None);
    Ok(())
}

async fn store_away() -> Told {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    let token = house.key(reader()).await?.token;
    assert_eq!(house.refusal(token.reveal()).await, None);
    store.go_down();

    assert_eq!(house.refusal(token.reveal()).await, None, "what is known is fresh");
    house.pass(Gate::STALE + Duration::from_micros(1));
    let refused = house.get(token.reveal()).await.err().ok_or("refused")?;
    assert_eq!((refused.reason(), refused.status().as_u16()), (Refusal::Unavailable, 503));
    assert_eq!(house.refusal("garbage").await, Some(Refusal::Malformed), "garbage is garbage");
    let status = house.hub.gate().status();
    assert_eq!(
        (status.failures, status.last_failure.as_deref()),
        (1, Some("could not changed_since: unavailable"))
    );
    store.come_back();

    assert_eq!(house.refusal(token.reveal()).await, None);
    Ok(())
}

async fn too_late() -> Told {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    let (known, limited) = (house.key(reader()).await?.token, house.key(reader().max_uses(100)).await?.token);
    assert_eq!(house.refusal(known.reveal()).await, None);
    let moment = Duration::from_micros(1);

    store.slow_down(&house.clock, Gate::STALE + moment);
    for token in [&known, &limited] {
        house.pass(DAY);
        assert_eq!(
            house.refusal(token.reveal()).await,
            Some(Refusal::Unavailable),
            "nobody knows what was revoked since"
        );
    }
    store.slow_down(&house.clock, Gate::STALE / 3);
    assert_eq!(house.refusal(known.reveal()).await, None, "slow is not too late");
    assert_eq!(house.refusal(limited.reveal()).await, None);
    Ok(())
}

async fn by_themselves() -> Told {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    let token = house.key(reader()).await?.token;
    assert_eq!(house.refusal(token.reveal()).await, None);
    store.calls();

    for _ in 0..100 {
        house.pass(SECOND / 10);
        assert_eq!(house.refusal(token.reveal()).await, None);
    }
    let asked = store.calls();
    assert_eq!(asked.keys().copied().collect::<Vec<_>>(), ["changed_since"]);
    assert!((5..=7).contains(&asked["changed_since"]), "{asked:?}");

    // A store that is away is no reason to refuse what is fresh enough.
    store.go_down();
    house.pass(Gate::STALE / 2);
    assert_eq!(house.refusal(token.reveal()).await, None);
    Ok(())
}

async fn one_file() -> Told {
    let folder = tempfile::tempdir()?;
    let clock = ManualClock::new();
    let on = |seed| -> crossdock::Result<House> {
        let store = SqliteStore::open(folder.path().join("hub.db"))?;
        house_with(clock.clone(), seed, move |builder| builder.key_store(store))
    };
    let (here, there) = (on(7)?, on(8)?);
    let created = here.key(reader().max_uses(500)).await?;
    assert_eq!(there.refusal(created.token.reveal()).await, None);

    here.keys("acme").disable(created.key.id).await?;
    here.pass(Gate::STALE + Duration::from_micros(1));
    assert_eq!(there.refusal(created.token.reveal()).await, Some(Refusal::Disabled));
    there.keys("acme").enable(created.key.id).await?;
    here.pass(Gate::STALE + Duration::from_micros(1));
    assert_eq!(here.refusal(created.token.reveal()).await, None);

    there.hub.gate().flush().await?;
    here.hub.gate().flush().await?;
    let usage = there.keys("acme").details(created.key.id).await?.usage;
    let counted: Vec<_> = usage.iter().map(|count| (count.outcome.as_str(), count.count)).collect();
    assert_eq!(counted, [("allowed", 2), ("disabled", 1)], "of both");
    drop((here, there));
    let secret = created.token.reveal().split('_').next_back().ok_or("a secret")?;
    for file in std::fs::read_dir(folder.path())? {
        let bytes = std::fs::read(file?.path())?;
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the file holds no token");
    }
    Ok(())
}

async fn lost_answer() -> Told {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    let created = house.key(reader()).await?;
    assert_eq!(house.refusal(created.token.reveal()).await, None);

    // The change is made, but this process is told that it failed.
    let other = {
        let inner = store.inner.clone();
        house_with(house.clock.clone(), 9, |builder| builder.store(inner.clone()).key_store(inner))?
    };
    other.keys("acme").revoke(created.key.id, "").await?;
    store.go_down();
    assert!(house.keys("acme").revoke(created.key.id, "").await.is_err());
    store.come_back();
    // A change that conflicts is told of as well.
    house.keys("acme").revoke(created.key.id, "").await?;
    house.pass(SECOND * 3);

    assert_eq!(house.refusal(created.token.reveal()).await, Some(Refusal::Revoked));
    Ok(())
}

async fn many_changes() -> Told {
    let (here, there) = two()?;
    let (first, last) = (here.key(reader()).await?, here.key(reader()).await?);
    for token in [&first.token, &last.token] {
        assert_eq!(there.refusal(token.reveal()).await, None);
    }

    here.keys("acme").revoke(first.key.id, "").await?;
    for _ in 0..600 {
        here.keys("acme").disable(last.key.id).await?;
        here.keys("acme").enable(last.key.id).await?;
    }
    here.keys("acme").disable(last.key.id).await?;
    there.pass(SECOND * 3);

    assert_eq!(there.refusal(first.token.reveal()).await, Some(Refusal::Revoked));
    assert_eq!(there.refusal(last.token.reveal()).await, Some(Refusal::Disabled));
    Ok(())
}
