//! How often a key may call.

use std::net::IpAddr;

use crossdock::adapters::memory::MemoryStore;
use crossdock::api_keys::{CallRate, KeyStatus, Refusal};
use crossdock::testing::ManualClock;
use http::Method;
use libtest_mimic::Trial;

use super::store::Watched;
use super::{HOUR, House, SECOND, Told, bearer, house_on, house_with, reader, settings, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_rate_refuses_with_the_time_to_wait", rate),
        story("a_key_can_have_a_rate_of_its_own", own_rate),
        story("addresses_are_counted_apart_and_a_slash_64_together", by_address),
        story("a_limit_outlives_a_change_of_the_key", outlives),
        story("a_key_is_never_used_more_often_than_it_may_be_by_all_processes_together", uses),
        story("what_was_leased_and_not_used_is_given_back_at_the_end", given_back),
        story("a_key_that_is_used_up_does_not_ask_the_store_for_every_call", used_up),
    ]
}

async fn rate() -> Told {
    let house = house_on(MemoryStore::new(), settings().rate(CallRate::per_minute(6)?.with_burst(2)?))?;
    let token = house.key(reader()).await?.token;
    let first = house.get(token.reveal()).await?;
    let standing = first.rate().ok_or("a rate")?;
    assert_eq!((standing.limit, standing.remaining), (2, 1));
    house.get(token.reveal()).await?;

    let refused = house.get(token.reveal()).await.err().ok_or("refused")?;

    assert_eq!((refused.status().as_u16(), refused.retry_after()), (429, Some(10)));
    assert_eq!(refused.reason(), Refusal::Rate);
    house.pass(9 * SECOND);
    assert_eq!(house.get(token.reveal()).await.err().and_then(|refused| refused.retry_after()), Some(1));
    house.pass(SECOND);
    assert!(house.get(token.reveal()).await.is_ok());
    Ok(())
}

async fn own_rate() -> Told {
    let house = house_on(MemoryStore::new(), settings().rate(CallRate::per_minute(1)?))?;
    let token = house.key(reader().rate(CallRate::per_second(50)?)).await?.token;

    for _ in 0..50 {
        house.get(token.reveal()).await?;
    }

    assert_eq!(house.refusal(token.reveal()).await, Some(Refusal::Rate));
    Ok(())
}

async fn by_address() -> Told {
    let house = house_on(MemoryStore::new(), settings().address_rate(CallRate::per_minute(1)?))?;
    let token = house.key(reader()).await?.token;
    let from = async |address: &str| {
        let peer: IpAddr = address.parse().expect("an address");
        let answer = house.send(&Method::GET, &bearer(token.reveal()), peer, |call| call).await;
        answer.err().map(|refused| refused.reason())
    };

    assert_eq!(from("203.0.113.9").await, None);
    assert_eq!(from("203.0.113.9").await, Some(Refusal::AddressRate));
    assert_eq!(from("::ffff:203.0.113.9").await, Some(Refusal::AddressRate), "it is the same one");
    assert_eq!(from("203.0.113.10").await, None);
    assert_eq!(from("2001:db8:1:2::1").await, None);
    assert_eq!(from("2001:db8:1:2:ffff::1").await, Some(Refusal::AddressRate), "one /64 is one");
    assert_eq!(from("2001:db8:1:3::1").await, None);
    Ok(())
}

async fn outlives() -> Told {
    let house = house_on(MemoryStore::new(), settings().rate(CallRate::per_minute(1)?))?;
    let created = house.key(reader()).await?;
    house.get(created.token.reveal()).await?;

    house.keys("acme").disable(created.key.id).await?;
    house.keys("acme").enable(created.key.id).await?;

    assert_eq!(house.refusal(created.token.reveal()).await, Some(Refusal::Rate));
    Ok(())
}

/// So many processes on one store.
fn several(count: u64) -> crossdock::Result<Vec<House>> {
    let (store, clock) = (MemoryStore::new(), ManualClock::new());
    let on = |seed| {
        let store = store.clone();
        house_with(clock.clone(), seed, move |builder| builder.store(store.clone()).key_store(store))
    };
    (0..count).map(on).collect()
}

async fn uses() -> Told {
    for most in [1, 2, 100, 1_000] {
        let processes = several(3)?;
        let created = processes[0].key(reader().max_uses(most)).await?;
        let mut used = 0;
        for call in 0..2 * most + 10 {
            let process = &processes[(call % 3) as usize];
            used += u64::from(process.get(created.token.reveal()).await.is_ok());
        }

        let bound = 3 * (most / 64).clamp(1, 256);
        assert!(used <= most, "{used} of {most}");
        assert!(used + bound > most, "{used} of {most}: no more is lost than a block per process");
        if most < 64 {
            assert_eq!(used, most, "one by one, none is lost");
        }
        assert_eq!(processes[1].refusal(created.token.reveal()).await, Some(Refusal::Exhausted));
        let view = processes[2].keys("acme").details(created.key.id).await?.key;
        assert_eq!((view.status, view.used), (KeyStatus::Exhausted, most));
    }
    Ok(())
}

async fn given_back() -> Told {
    let processes = several(2)?;
    let created = processes[0].key(reader().max_uses(640)).await?;
    processes[0].get(created.token.reveal()).await?;
    assert_eq!(processes[1].keys("acme").details(created.key.id).await?.key.used, 10);

    processes[0].hub.gate().run_until(std::future::ready(())).await;

    assert_eq!(processes[1].keys("acme").details(created.key.id).await?.key.used, 1);
    Ok(())
}

async fn used_up() -> Told {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    let token = house.key(reader().max_uses(1)).await?.token;
    house.get(token.reveal()).await?;
    store.calls();

    for _ in 0..1_000 {
        assert_eq!(house.refusal(token.reveal()).await, Some(Refusal::Exhausted));
    }

    assert_eq!(store.calls(), [("lease_uses", 1)].into());
    house.pass(HOUR);
    assert_eq!(house.refusal(token.reveal()).await, Some(Refusal::Exhausted));
    Ok(())
}
