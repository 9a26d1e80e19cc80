//! In which order a call is judged, and what its caller learns.

use std::net::IpAddr;

use crossdock::adapters::memory::MemoryStore;
use crossdock::api_keys::{
    ApiCall, ApiKeySettings, Environment, NewApiKey, Permission, PublicId, Refusal, TokenForm, TokenHeader,
    TrustedProxies,
};
use http::{HeaderName, Method};
use libtest_mimic::Trial;

use super::store::Watched;
use super::{ADDRESS, DAY, HOUR, SECOND, Told, bearer, house, house_on, house_with, reader, settings, story};
use crossdock::testing::ManualClock;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_key_opens_what_it_may_and_says_whose_it_is", opens),
        story("each_refusal_has_its_reason_and_the_caller_learns_one_word", refusals),
        story("nothing_about_a_key_is_told_before_its_secret_was_right", secret_first),
        story("an_unknown_id_asks_the_store_for_what_a_known_one_does", same_calls),
        story("garbage_asks_the_store_for_nothing", garbage),
        story("a_key_begins_and_ends_at_its_instants", instants),
        story("a_scope_opens_its_resource", scopes),
        story("the_address_is_the_one_that_trusted_proxies_have_seen", proxies),
        story("the_token_can_stand_in_another_header", header),
        story("what_is_known_is_judged_without_waiting", without_waiting),
    ]
}

fn strange_token(form: &TokenForm) -> String {
    form.mint(Environment::Live, PublicId::mint([9; 16]), &[9; 32]).reveal().to_owned()
}

/// The token with another secret, and a checksum that fits.
fn forged(token: &str) -> String {
    let form = TokenForm::new("cd").expect("a prefix");
    let id = form.parse(token.as_bytes()).expect("a token").id();
    form.mint(Environment::Live, id, &[1; 32]).reveal().to_owned()
}

async fn opens() -> Told {
    let house = house()?;
    let created = house.key(reader().scopes(["orders:write"])).await?;

    let caller = house.get(created.token.reveal()).await?;

    assert_eq!((caller.tenant().as_str(), caller.key(), caller.name()), ("acme", created.key.id, "ERP"));
    assert_eq!((caller.environment(), caller.address()), (Environment::Live, ADDRESS));
    assert_eq!(caller.rights(), &created.key.rights);
    assert!(caller.rate().is_none() && caller.ends_at().is_none());
    let test = house.key(reader().test()).await?;
    assert!(test.token.reveal().starts_with("cd_test_"));
    assert_eq!(house.get(test.token.reveal()).await?.environment(), Environment::Test);
    Ok(())
}

async fn refusals() -> Told {
    let house = house()?;
    let keys = house.keys("acme");
    let mut cases = Vec::new();
    let form = TokenForm::new("cd")?;
    let good = house.key(reader()).await?;
    cases.push((String::new(), Refusal::Malformed));
    cases.push(("garbage".to_owned(), Refusal::Malformed));
    cases.push((good.token.reveal().replace("cd_live", "ab_live"), Refusal::Malformed));
    cases.push((good.token.reveal().replace("cd_live", "cd_test"), Refusal::Checksum));
    cases.push((strange_token(&form), Refusal::Unknown));
    cases.push((forged(good.token.reveal()), Refusal::WrongSecret));
    let in_test = form.mint(Environment::Test, form.parse(good.token.reveal().as_bytes())?.id(), &[1; 32]);
    cases.push((in_test.reveal().to_owned(), Refusal::WrongSecret));

    let disabled = house.key(reader()).await?;
    keys.disable(disabled.key.id).await?;
    cases.push((disabled.token.reveal().to_owned(), Refusal::Disabled));
    let revoked = house.key(reader()).await?;
    keys.revoke(revoked.key.id, "").await?;
    cases.push((revoked.token.reveal().to_owned(), Refusal::Revoked));
    let leaked = house.key(reader()).await?;
    house.hub.gate().report_leaked(leaked.token.reveal()).await?;
    cases.push((leaked.token.reveal().to_owned(), Refusal::Leaked));
    let early = house.key(reader().not_before(house.now() + DAY)).await?;
    cases.push((early.token.reveal().to_owned(), Refusal::NotYetValid));
    let ending = house.key(reader().expires_at(house.now() + HOUR)).await?;
    cases.push((ending.token.reveal().to_owned(), Refusal::Expired));
    let elsewhere = house.key(reader().networks(["198.51.100.0/24"])).await?;
    cases.push((elsewhere.token.reveal().to_owned(), Refusal::Address));
    let writer = house.key(NewApiKey::new("w").allow([Permission::Write])).await?;
    cases.push((writer.token.reveal().to_owned(), Refusal::Permission));
    let used_up = house.key(reader().max_uses(1)).await?;
    house.pass(HOUR);
    assert!(house.get(used_up.token.reveal()).await.is_ok());
    cases.push((used_up.token.reveal().to_owned(), Refusal::Exhausted));

    for (token, reason) in cases {
        let refused = house.get(&token).await.err().ok_or(reason.as_str())?;
        let told = if reason == Refusal::Permission { (403, "forbidden") } else { (401, "unauthorized") };
        assert_eq!(refused.reason(), reason);
        assert_eq!((refused.status().as_u16(), &*refused.to_string()), told, "{reason}");
        let belongs_to_nobody = matches!(reason, Refusal::Malformed | Refusal::Checksum | Refusal::Unknown);
        assert_eq!(refused.key().is_none(), belongs_to_nobody, "{reason}");
    }
    let none = house.send(&Method::GET, &http::HeaderMap::new(), ADDRESS, |call| call).await;
    assert_eq!(none.err().map(|refused| refused.reason()), Some(Refusal::Missing));
    let mut twice = bearer(good.token.reveal());
    twice.append("authorization", "Bearer x".parse()?);
    let twice = house.send(&Method::GET, &twice, ADDRESS, |call| call).await;
    assert_eq!(twice.err().map(|refused| refused.reason()), Some(Refusal::Ambiguous));
    let unknown_method = house
        .send(&Method::TRACE, &bearer(good.token.reveal()), ADDRESS, |call| call.needs(Permission::Read))
        .await;
    assert_eq!(unknown_method.err().map(|refused| refused.reason()), Some(Refusal::Method));

    let status = house.hub.gate().status();
    let counted = |reason| status.refused.iter().find(|(known, _)| *known == reason).map(|(_, count)| *count);
    assert_eq!(
        [Refusal::Malformed, Refusal::Checksum, Refusal::Unknown, Refusal::Missing, Refusal::Ambiguous]
            .map(counted),
        [Some(3), Some(1), Some(1), Some(1), Some(1)],
        "what belongs to no key is counted"
    );
    Ok(())
}

/// Each of these keys has everything against it from its cause on: what is refused first is told.
async fn secret_first() -> Told {
    let house = house()?;
    let everything = reader()
        .networks(["198.51.100.0/24"])
        .expires_at(house.now() + HOUR)
        .allow([Permission::Delete])
        .max_uses(1);
    let created = house.key(everything).await?;
    let token = created.token.reveal();
    assert_eq!(house.refusal(token).await, Some(Refusal::Address));
    assert_eq!(house.refusal(&forged(token)).await, Some(Refusal::WrongSecret));

    house.pass(HOUR);
    assert_eq!(house.refusal(token).await, Some(Refusal::Expired));
    house.keys("acme").disable(created.key.id).await?;
    assert_eq!(house.refusal(token).await, Some(Refusal::Disabled));
    house.keys("acme").revoke(created.key.id, "").await?;
    assert_eq!(house.refusal(token).await, Some(Refusal::Revoked));
    assert_eq!(house.refusal(&forged(token)).await, Some(Refusal::WrongSecret), "the secret comes first");
    Ok(())
}

async fn same_calls() -> Told {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    let known = house.key(reader()).await?;
    let unknown = strange_token(&TokenForm::new("cd")?);
    store.calls();

    let mut asked = Vec::new();
    for token in [known.token.reveal(), &unknown, &forged(known.token.reveal())] {
        // Long enough for everything that is known to be too old.
        house.pass(HOUR);
        house.keys("acme").disable(known.key.id).await?;
        house.keys("acme").enable(known.key.id).await?;
        store.calls();
        let _ = house.get(token).await;
        asked.push(store.calls());
    }
    for token in [known.token.reveal(), &unknown] {
        assert_eq!(house.get(token).await.is_ok(), *token == *known.token.reveal());
    }

    assert_eq!(asked[0], [("changed_since", 1), ("find", 1)].into());
    assert!(asked.iter().all(|calls| *calls == asked[0]), "{asked:?}");
    let second = store.calls();
    assert_eq!(second, [("find", 1)].into(), "the known one was known by then");
    Ok(())
}

async fn garbage() -> Told {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    let good = house.key(reader()).await?;
    store.calls();

    for length in 0..200 {
        let token: String = good.token.reveal().chars().cycle().skip(1).take(length).collect();
        assert!(house.get(&token).await.is_err());
    }
    for at in 0..74 {
        let mut token = good.token.reveal().as_bytes().to_vec();
        token[at] = if token[at] == b'x' { b'y' } else { b'x' };
        let reason = house.refusal(std::str::from_utf8(&token)?).await;
        assert!(matches!(reason, Some(Refusal::Malformed | Refusal::Checksum)), "{at}: {reason:?}");
    }

    assert!(store.calls().is_empty());
    Ok(())
}

async fn instants() -> Told {
    let house = house()?;
    let (begin, end) = (house.now() + HOUR, house.now() + 2 * HOUR);
    let token = house.key(reader().not_before(begin).expires_at(end)).await?.token;
    let moment = std::time::Duration::from_micros(1);

    for (at, reason) in [
        (begin - moment, Some(Refusal::NotYetValid)),
        (begin, None),
        (end - moment, None),
        (end, Some(Refusal::Expired)),
        (end + DAY, Some(Refusal::Expired)),
    ] {
        house.clock.advance_to(at);
        assert_eq!(house.refusal(token.reveal()).await, reason, "{at}");
    }
    Ok(())
}

async fn scopes() -> Told {
    let house = house()?;
    let token = house.key(NewApiKey::new("ERP").scopes(["orders/ord_1:read", "stock:read"])).await?.token;

    for (resource, opens) in [
        (&["orders", "ord_1"][..], true),
        (&["orders", "ord_1", "lines"], true),
        (&["stock"], true),
        (&["orders", "ord_2"], false),
        (&["orders"], false),
        (&["orders", "*"], false),
        (&["orders/ord_1"], false),
        (&["orders", "..", "stock"], false),
        (&[], false),
    ] {
        let headers = bearer(token.reveal());
        let call = ApiCall::new(&Method::GET, &headers, ADDRESS).on(resource);
        assert_eq!(house.hub.authenticate(&call).await.is_ok(), opens, "{resource:?}");
    }
    Ok(())
}

async fn proxies() -> Told {
    let proxies = TrustedProxies::x_forwarded_for(["10.0.0.0/8"])?;
    let house = house_on(MemoryStore::new(), settings().proxies(proxies))?;
    let token = house.key(reader().networks(["198.51.100.0/24"])).await?.token;
    let proxy = IpAddr::from([10, 0, 0, 1]);

    for (peer, forwarded, reason) in [
        (proxy, Some("198.51.100.7"), None),
        (proxy, Some("203.0.113.9, 198.51.100.7, 10.0.0.2"), None),
        (proxy, Some("198.51.100.7, 203.0.113.9"), Some(Refusal::Address)),
        (proxy, Some("198.51.100.7, garbage"), Some(Refusal::AddressUnreadable)),
        (proxy, None, Some(Refusal::Address)),
        (ADDRESS, Some("198.51.100.7"), Some(Refusal::Address)),
    ] {
        let mut headers = bearer(token.reveal());
        if let Some(forwarded) = forwarded {
            headers.insert("x-forwarded-for", forwarded.parse()?);
        }
        let answer = house.send(&Method::GET, &headers, peer, |call| call).await;
        assert_eq!(answer.err().map(|refused| refused.reason()), reason, "{peer} {forwarded:?}");
    }
    Ok(())
}

async fn header() -> Told {
    let named = TokenHeader::Named(HeaderName::from_static("x-api-key"));
    let house = house_on(MemoryStore::new(), ApiKeySettings::new().prefix("acme").header(named))?;
    let token = house.key(reader()).await?.token;
    let mut headers = http::HeaderMap::new();
    headers.insert("x-api-key", token.reveal().parse()?);

    assert!(token.reveal().starts_with("acme_live_"));
    assert!(house.hub.gate().token_pattern().starts_with(r"\bacme_"));
    assert!(house.send(&Method::GET, &headers, ADDRESS, |call| call).await.is_ok());
    assert_eq!(house.refusal(token.reveal()).await, Some(Refusal::Missing), "only there");
    Ok(())
}

async fn without_waiting() -> Told {
    let store = Watched::new();
    let house = house_with(ManualClock::new(), 7, |builder| builder.key_store(store.clone()))?;
    let token = house.key(reader()).await?.token;
    let headers = bearer(token.reveal());
    let call = ApiCall::new(&Method::GET, &headers, ADDRESS);
    let gate = house.hub.gate();
    assert!(gate.check(&call).is_none(), "nothing is known yet");

    gate.authenticate(&call).await?;
    store.calls();

    for _ in 0..100 {
        assert!(matches!(gate.check(&call), Some(Ok(_))));
    }
    assert!(store.calls().is_empty());
    house.pass(3 * SECOND);
    assert!(gate.check(&call).is_none(), "what is known is too old");
    Ok(())
}
