//! Tokens and what is kept of them never show, in whatever comes out.

use crossdock::activity::ActivityFilter;
use crossdock::api_keys::{KeyFilter, KeyStore, Peppers, Regeneration, TokenForm};
use crossdock::primitives::{PageRequest, Secret};
use crossdock::tenancy::Actor;
use libtest_mimic::Trial;

use super::store::Watched;
use super::{ADDRESS, Told, bearer, house_with, reader, story};
use crossdock::testing::ManualClock;

pub(super) fn trials() -> Vec<Trial> {
    vec![story("no_token_no_secret_and_no_pepper_shows_anywhere", canary)]
}

const PEPPER: &str = "canary-pepper-that-only-two-of-us-know-5b1f";

async fn canary() -> Told {
    let store = Watched::new();
    let peppers = Peppers::new("2026", PEPPER)?;
    let mut shown = vec![format!("{peppers:?}")];
    let house =
        house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()).peppers(peppers))?;
    let mut heard = house.hub.gate().leaks();
    let keys = house.keys("acme");
    let created = keys.create(reader().max_uses(5)).await?;
    let regenerated = keys.regenerate(created.key.id, Regeneration::new()).await?;
    let other = keys.create(reader()).await?;
    shown.push(format!("{created:?} {regenerated:?} {other:?}"));

    let tokens = [&created, &regenerated, &other].map(|made| made.token.reveal().to_owned());
    for token in &tokens {
        let headers = bearer(token);
        let call = crossdock::api_keys::ApiCall::new(&http::Method::GET, &headers, ADDRESS).route("/orders");
        let refused = house.hub.authenticate(&call.administrative()).await.err().ok_or("refused")?;
        shown.push(format!("{call:?} {:?} {refused:?} {refused}", house.hub.authenticate(&call).await));
        let damaged = format!("{token}x");
        shown.push(format!("{:?}", house.get(&damaged).await));
        shown.push(format!("{:?}", TokenForm::new("cd")?.parse(token.as_bytes())));
        shown.push(format!("{:?}", TokenForm::new("cd")?.parse(damaged.as_bytes())));
    }
    shown.push(format!("{:?}", house.hub.gate().report_leaked(&tokens[2]).await?));
    shown.push(format!("{:?}", heard.drain()));
    store.go_down();
    house.pass(super::HOUR);
    shown.push(format!("{:?} {:?}", house.get(&tokens[0]).await, house.hub.gate().status()));
    shown.push(format!("{:?}", keys.revoke(other.key.id, &tokens[0][..3]).await));
    store.come_back();
    house.hub.gate().flush().await?;
    for id in [created.key.id, regenerated.key.id, other.key.id] {
        shown.push(format!("{:?}", keys.details(id).await?));
        shown.push(format!("{:?}", keys.refusals(id, PageRequest::default()).await?));
        shown.push(format!("{:?}", store.inner.key(&"acme".parse()?, id).await?));
    }
    shown.push(format!("{:?}", keys.list(&KeyFilter::new(), PageRequest::default()).await?));
    let admin = house.hub.admin(Actor::org_admin("acme".parse()?, "ada"));
    shown.push(format!(
        "{:?}",
        admin.activity().list(&ActivityFilter::default(), PageRequest::first(100)).await?
    ));
    shown.push(format!("{:?} {:?} {:?} {admin:?} {keys:?}", house.hub, house.hub.gate(), store));

    let mut hunted = vec![PEPPER.to_owned()];
    for token in &tokens {
        // The whole, the secret, and any eight characters of it.
        let secret = &token[token.len() - 49..token.len() - 6];
        hunted.push(token.clone());
        hunted.extend((0..=secret.len() - 8).map(|at| secret[at..at + 8].to_owned()));
    }
    for (made, id) in [(&created, created.key.id), (&regenerated, regenerated.key.id)] {
        let kept = store.inner.key(&"acme".parse()?, id).await?.ok_or("a key")?.key.mac;
        hunted.push(hex::encode(kept.code()));
        hunted.push(format!("{:?}", kept.code()).trim_matches(['[', ']']).to_owned());
        assert_eq!(made.key.id, id);
    }
    for text in &shown {
        for secret in &hunted {
            assert!(!text.contains(secret.as_str()), "`{secret}` shows itself in: {text}");
        }
    }
    assert!(
        shown.iter().any(|text| text.contains("cd_live_")),
        "display forms do show: the hunt is for something"
    );
    assert!(format!("{:?}", Secret::from(PEPPER)).contains("redacted"));
    Ok(())
}
