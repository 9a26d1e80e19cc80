//! A successor takes a key's place.

use std::time::Duration;

use crossdock::ErrorKind;
use crossdock::adapters::memory::MemoryStore;
use crossdock::api_keys::{CallRate, KeyFilter, KeyStatus, Refusal, Regeneration};
use crossdock::primitives::PageRequest;
use libtest_mimic::Trial;

use super::{DAY, HOUR, Told, house, house_on, reader, settings, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("an_old_key_is_good_for_its_grace_beside_its_successor", grace),
        story("a_grace_is_none_to_thirty_days_and_never_past_the_keys_own_end", bounds),
        story("a_key_and_its_successor_share_their_limits", shared),
        story("a_successor_has_the_rights_and_restrictions_of_the_old_key", inherits),
        story("what_has_ended_has_no_successor", no_successor),
    ]
}

async fn grace() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let old = house.key(reader()).await?;
    house.get(old.token.reveal()).await?;
    house.pass(HOUR);

    let new = keys.regenerate(old.key.id, Regeneration::new()).await?;

    assert_ne!(new.token.reveal(), old.token.reveal());
    assert_eq!(house.get(new.token.reveal()).await?.key(), new.key.id);
    assert_eq!(house.get(old.token.reveal()).await?.key(), old.key.id);
    let shown = keys.details(old.key.id).await?.key;
    assert_eq!(shown.status, KeyStatus::Rotating);
    let successor = shown.successor.ok_or("a successor")?;
    assert_eq!((successor.key, successor.until), (new.key.id, house.now() + DAY));
    let rotating = keys.list(&KeyFilter::new().status(KeyStatus::Rotating), PageRequest::default()).await?;
    assert_eq!(rotating.items.len(), 1);

    house.pass(DAY - Duration::from_micros(1));
    assert_eq!(house.refusal(old.token.reveal()).await, None);
    house.pass(Duration::from_micros(1));
    assert_eq!(house.refusal(old.token.reveal()).await, Some(Refusal::Expired));
    assert_eq!(house.refusal(new.token.reveal()).await, None);
    Ok(())
}

async fn bounds() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let end = house.now() + 2 * HOUR;
    let ending = house.key(reader().expires_at(end)).await?;
    let endless = house.key(reader()).await?;
    let month = 30 * DAY;

    let long = Regeneration::new().grace(month + Duration::from_secs(1));
    let error = keys.regenerate(endless.key.id, long).await.err().ok_or("refused")?;
    assert_eq!((error.kind(), &*error.problems()[0].field), (ErrorKind::Invalid, "grace"));
    keys.regenerate(endless.key.id, Regeneration::new().grace(month)).await?;
    let new = keys.regenerate(ending.key.id, Regeneration::new().grace(month)).await?;
    assert_eq!(new.key.expires_at, Some(end), "it ends when the old one would have");
    let until = keys.details(ending.key.id).await?.key.successor.ok_or("a successor")?.until;
    assert_eq!(until, end);

    let at_once = house.key(reader()).await?;
    house.get(at_once.token.reveal()).await?;
    keys.regenerate(at_once.key.id, Regeneration::new().grace(Duration::ZERO)).await?;
    assert_eq!(house.refusal(at_once.token.reveal()).await, Some(Refusal::Expired));
    let past = Regeneration::new().expires_at(house.now());
    let error = keys.regenerate(new.key.id, past).await.err().ok_or("refused")?;
    assert_eq!(&*error.problems()[0].field, "expires_at");
    Ok(())
}

async fn shared() -> Told {
    let house = house_on(MemoryStore::new(), settings().rate(CallRate::per_minute(3)?))?;
    let old = house.key(reader().max_uses(4)).await?;
    house.get(old.token.reveal()).await?;

    let new = house.keys("acme").regenerate(old.key.id, Regeneration::new()).await?;
    house.get(new.token.reveal()).await?;
    house.get(old.token.reveal()).await?;

    assert_eq!(house.refusal(new.token.reveal()).await, Some(Refusal::Rate), "three in a minute, together");
    house.pass(HOUR);
    house.get(new.token.reveal()).await?;
    for token in [&old.token, &new.token] {
        assert_eq!(house.refusal(token.reveal()).await, Some(Refusal::Exhausted), "and four in all");
    }
    Ok(())
}

async fn inherits() -> Told {
    let house = house()?;
    let old = house.key(reader().scopes(["orders:write"]).networks(["198.51.100.0/24"]).test()).await?.key;

    let new = house.keys("acme").regenerate(old.id, Regeneration::new()).await?;

    assert!(new.token.reveal().starts_with("cd_test_"));
    let new = new.key;
    assert_eq!((&new.name, &new.rights, &new.networks), (&old.name, &old.rights, &old.networks));
    assert_eq!((new.status, new.successor), (KeyStatus::Active, None));
    Ok(())
}

async fn no_successor() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let (revoked, disabled) = (house.key(reader()).await?.key.id, house.key(reader()).await?.key.id);
    keys.revoke(revoked, "").await?;
    keys.disable(disabled).await?;
    let twice = house.key(reader()).await?.key.id;
    let successor = keys.regenerate(twice, Regeneration::new()).await?.key.id;
    let expired = house.key(reader().expires_at(house.now() + HOUR)).await?.key.id;
    house.pass(HOUR);

    for (id, rule) in [
        (revoked, "a revoked key stays revoked"),
        (disabled, "a successor of a disabled key would enable it"),
        (twice, "a key has one successor"),
        (expired, "an expired key stays expired"),
    ] {
        let error = keys.regenerate(id, Regeneration::new()).await.err().ok_or(rule)?;
        assert_eq!((error.kind(), &*error.problems()[0].rule), (ErrorKind::Conflict, rule));
    }
    keys.regenerate(successor, Regeneration::new()).await?;
    Ok(())
}
