//! Credentials go in and never come out; secrets are rotated without a gap.

use std::io::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crossdock::adapters::{EnvelopeVault, MemoryStore, StaticKeys};
use crossdock::primitives::{PageRequest, WebhookId};
use crossdock::webhooks::{
    Auth, AuthView, DefaultsUpdate, NewWebhook, Rotation, SignatureScheme, SigningSecret, Verifier,
    WebhookQuery, WebhookRepository, WebhookUpdate,
};
use crossdock::{ErrorKind, HubBuilder, Result};
use libtest_mimic::Trial;

use super::{House, Told, assert_refused, house, house_with, refused, story, tenant_id};
use crate::bent::Bent;
use crate::canaries::{Canaries, echo, plant};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("no_credential_ever_shows_itself", canaries),
        story("no_credential_ever_shows_itself_under_lasting_keys", canaries_under_lasting_keys),
        story("an_update_that_does_not_mention_a_credential_keeps_it", absent_keeps),
        story("a_stored_login_does_not_follow_a_webhook_to_another_host", bound_to_its_host),
        story("a_tenants_default_login_serves_webhooks_without_one", defaults),
        story("an_old_secret_signs_along_for_the_overlap_and_no_longer", rotation),
        story("at_most_five_secrets_are_live", five_secrets),
        story("a_generated_secret_is_shown_once_and_a_given_one_serves", given_and_generated),
        story("an_unsigned_webhook_sends_no_signature", unsigned),
    ]
}

const LOGIN: &str = "canary-password-5b1f";
const OTHER: &str = "xNvQ2cAb0OI0EUSqd5ZCpk7sTZ0S4xNbrWIkcIC2WLU=";
const SHARED: &str = "canary-default-password-01";
const SECRET: &str = "canary signing secret that only two of us know";

async fn canaries() -> Told {
    let store = MemoryStore::new();
    let house = house_with(|receivers| receivers.answering(echo), |builder| builder.store(store.clone()))?;

    let canaries = plant(&house.hub, &house.transport, &tenant_id("t")).await?;

    assert_eq!(canaries.generated, 8 - 3);
    canaries.nothing_was_shown()?;
    sealed_hide(&canaries, &store).await
}

async fn canaries_under_lasting_keys() -> Told {
    const OWN: &str = "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=";
    let store = Bent::default();
    let vault = EnvelopeVault::new(StaticKeys::new("2026-01", OWN)?);
    let choices = |builder: HubBuilder| builder.store(store.clone()).vault(vault);
    let house = house_with(|receivers| receivers.answering(echo), choices)?;

    let mut canaries = plant(&house.hub, &house.transport, &tenant_id("t")).await?;

    canaries.hunt(&STANDARD.decode(OWN)?);
    canaries.hunt(OWN.as_bytes());
    // What is said when the keys are gone, when one is another one, and when the store is away.
    for keys in [StaticKeys::new("2026-07", OTHER)?, StaticKeys::new("2026-01", OTHER)?] {
        let choices = |builder: HubBuilder| builder.store(store.clone()).vault(EnvelopeVault::new(keys));
        let wrong = house_with(|receivers| receivers, choices)?;
        let webhooks = wrong.admin("t").webhooks();
        for webhook in webhooks.list(WebhookQuery::new()).await?.items {
            let error = refused(webhooks.test(webhook.id, "order.placed").await);
            canaries.show(format!("{error:?} {error}"));
        }
        let rewrapped = wrong.hub.rewrap().await?;
        canaries.show(format!("{rewrapped:?} {:?}", wrong.hub));
    }
    store.go_away();
    let checkup = house.hub.doctor().await;
    canaries.show(format!("{checkup:?} {checkup}"));
    canaries.nothing_was_shown()?;
    sealed_hide(&canaries, &store.inner).await
}

/// What the store keeps, as it keeps it, holds no canary.
async fn sealed_hide(canaries: &Canaries, store: &MemoryStore) -> Told {
    let tenant = tenant_id("t");
    let mut seals = Vec::new();
    for webhook in store.webhooks(&tenant, PageRequest::first(100)).await?.items {
        seals.extend(webhook.seals().cloned());
        canaries.are_not_in("a stored webhook", format!("{webhook:?}").as_bytes())?;
    }
    seals.extend(store.defaults(&tenant).await?.seals().cloned());
    assert!(seals.len() > 8, "{} seals", seals.len());

    let mut dump = tempfile::NamedTempFile::new()?;
    for seal in seals {
        canaries.are_not_in("sealed bytes", seal.as_bytes())?;
        dump.write_all(seal.as_bytes())?;
    }
    canaries.are_not_in_file(dump.path())?;
    // The hunt finds what is there.
    dump.write_all(b"canary-token-9c2e")?;
    assert!(canaries.are_not_in_file(dump.path()).is_err());
    Ok(())
}

async fn last_authorization(house: &House, id: WebhookId) -> Result<Option<String>> {
    house.admin("t").webhooks().test(id, "order.placed").await?;
    let sent = house.transport.requests().pop().expect("a request");
    Ok(sent.headers.get("authorization").map(|value| value.to_str().expect("text").to_owned()))
}

fn basic(user: &str, password: &str) -> Option<String> {
    Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

async fn absent_keeps() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let new = NewWebhook::to("https://erp.example.com/").events(["*"]);
    let view = webhooks.create(new.auth(Auth::basic("ada").with_password(LOGIN))).await?.webhook;

    let view = webhooks.update(WebhookUpdate::of(&view).name("ERP")).await?;
    assert_eq!(last_authorization(&house, view.id).await?, basic("ada", LOGIN));

    // Another user name, the same password.
    let view = webhooks.update(WebhookUpdate::of(&view).auth(Auth::basic("grace"))).await?;
    assert_eq!(view.auth, Some(AuthView::Basic { username: "grace".into(), has_password: true }));
    assert_eq!(last_authorization(&house, view.id).await?, basic("grace", LOGIN));

    let view =
        webhooks.update(WebhookUpdate::of(&view).auth(Auth::basic("grace").without_password())).await?;
    assert_eq!(view.auth, Some(AuthView::Basic { username: "grace".into(), has_password: false }));
    assert_eq!(last_authorization(&house, view.id).await?, basic("grace", ""));

    let view = webhooks.update(WebhookUpdate::of(&view).clear_auth()).await?;
    assert_eq!(view.auth, None);
    assert_eq!(last_authorization(&house, view.id).await?, None);

    assert_refused(
        webhooks.update(WebhookUpdate::of(&view).clear_secret()).await,
        ErrorKind::Invalid,
        &["secret"],
    );
    let view = webhooks.update(WebhookUpdate::of(&view).unsigned()).await?;
    assert!(!view.has_secret);
    // Signed again, it needs a secret again.
    let signed = WebhookUpdate::of(&view).schemes([SignatureScheme::Standard]);
    assert_refused(webhooks.update(signed.clone()).await, ErrorKind::Invalid, &["secret"]);
    assert!(webhooks.update(signed.secret(SECRET)).await?.has_secret);
    Ok(())
}

async fn bound_to_its_host() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let new = NewWebhook::to("https://erp.example.com/v1").events(["*"]);
    let view = webhooks.create(new.auth(Auth::basic("ada").with_password(LOGIN))).await?.webhook;
    let elsewhere = || WebhookUpdate::of(&view).url("https://evil.example.org/v1");

    assert_refused(webhooks.update(elsewhere()).await, ErrorKind::Invalid, &["auth"]);
    assert_refused(
        webhooks.update(elsewhere().auth(Auth::basic("ada"))).await,
        ErrorKind::Invalid,
        &["auth"],
    );
    assert_refused(
        webhooks.update(WebhookUpdate::of(&view).url("https://erp.example.com:8443/")).await,
        ErrorKind::Invalid,
        &["auth"],
    );

    // The same host is fine, and so is a login that is given again.
    let view = webhooks.update(WebhookUpdate::of(&view).url("https://erp.example.com/v2")).await?;
    let given =
        WebhookUpdate::of(&view).url("https://b.example.com/").auth(Auth::basic("ada").with_password("new"));
    let view = webhooks.update(given).await?;
    assert_eq!(last_authorization(&house, view.id).await?, basic("ada", "new"));
    Ok(())
}

async fn defaults() -> Told {
    let house = house()?;
    let admin = house.admin("t");
    let id = house.subscribe("t", "https://erp.example.com/").await?;
    let other = NewWebhook::to("https://b.example.com/").events(["*"]).auth(Auth::none());
    let other = admin.webhooks().create(other).await?.webhook.id;

    let seen = admin.defaults().await?;
    let set = DefaultsUpdate::of(&seen)
        .auth(Auth::basic("shared").with_password(SHARED))
        .timeout(Duration::from_secs(3))
        .retry_after([Duration::from_secs(60)]);
    let set = admin.update_defaults(set).await?;

    assert_eq!(last_authorization(&house, id).await?, basic("shared", SHARED));
    assert_eq!(last_authorization(&house, other).await?, None);
    // The password stays when only the name changes, and an outdated change is refused.
    admin.update_defaults(DefaultsUpdate::of(&set).auth(Auth::basic("renamed"))).await?;
    assert_eq!(last_authorization(&house, id).await?, basic("renamed", SHARED));
    assert_refused(
        admin.update_defaults(DefaultsUpdate::of(&seen).clear_auth()).await,
        ErrorKind::Conflict,
        &["version"],
    );
    let wrong = DefaultsUpdate::of(&admin.defaults().await?)
        .timeout(Duration::ZERO)
        .retry_after([Duration::from_secs(8 * 24 * 60 * 60)])
        .auth(Auth::bearer(""));
    assert_refused(
        admin.update_defaults(wrong).await,
        ErrorKind::Invalid,
        &["retry.delays[0]", "timeout", "auth.token"],
    );
    // A default that would write a header which a webhook writes itself.
    let own = NewWebhook::to("https://c.example.com/").events(["*"]).header("x-team", "logistics");
    admin.webhooks().create(own).await?;
    let clash = DefaultsUpdate::of(&admin.defaults().await?).auth(Auth::headers([("x-team", "abc")]));
    assert_refused(admin.update_defaults(clash).await, ErrorKind::Invalid, &["auth"]);
    Ok(())
}

/// Whether the newest request carries a signature that this secret verifies.
async fn signs(
    house: &House,
    id: WebhookId,
    secret: &SigningSecret,
) -> Result<bool, Box<dyn std::error::Error>> {
    house.admin("t").webhooks().test(id, "order.placed").await?;
    let sent = house.transport.requests().pop().expect("a request");
    let verifier = Verifier::new(&SignatureScheme::Standard, std::slice::from_ref(secret))?;
    Ok(verifier.verify(&sent.headers, &sent.body, sent.at).is_ok())
}

async fn rotation() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let created = webhooks.create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?;
    let id = created.webhook.id;
    let old = created.secret.expect("a secret").signing_secret().clone();

    let rotated = webhooks.rotate(id, Rotation::new()).await?;
    let new = rotated.secret.expect("a secret").signing_secret().clone();

    assert!(signs(&house, id, &old).await? && signs(&house, id, &new).await?);
    house.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert!(!signs(&house, id, &old).await? && signs(&house, id, &new).await?);

    // A leaked secret ends at once.
    let leaked = new;
    let given = "a text that only the two of us know";
    webhooks.rotate(id, Rotation::new().overlap(Duration::ZERO).secret(given)).await?;
    assert!(!signs(&house, id, &leaked).await? && signs(&house, id, &given.parse()?).await?);

    let week = Duration::from_secs(7 * 24 * 60 * 60);
    assert!(webhooks.rotate(id, Rotation::new().overlap(week)).await.is_ok());
    let wrong = Rotation::new().overlap(week + Duration::from_secs(1)).secret("short");
    assert_refused(webhooks.rotate(id, wrong).await, ErrorKind::Invalid, &["overlap", "secret"]);
    Ok(())
}

async fn five_secrets() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let id = house.subscribe("t", "https://erp.example.com/").await?;
    for live in 2..=5 {
        assert_eq!(webhooks.rotate(id, Rotation::new()).await?.webhook.secrets.len(), live);
        house.clock.advance(Duration::from_secs(60));
    }

    assert_refused(webhooks.rotate(id, Rotation::new()).await, ErrorKind::Conflict, &["secret"]);
    assert_eq!(webhooks.webhook(id).await?.secrets.len(), 5);

    // Without an overlap there is always room; and a day later the old ones are gone.
    assert_eq!(webhooks.rotate(id, Rotation::new().overlap(Duration::ZERO)).await?.webhook.secrets.len(), 1);
    Ok(())
}

async fn given_and_generated() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let new = |url: &str| NewWebhook::to(url).events(["*"]);

    let generated = webhooks.create(new("https://a.example.com/")).await?;
    let given = webhooks.create(new("https://b.example.com/").secret(SECRET)).await?;

    let secret = generated.secret.expect("a secret");
    assert!(signs(&house, generated.webhook.id, secret.signing_secret()).await?);
    assert_eq!(STANDARD.decode(secret.reveal().trim_start_matches("whsec_"))?.len(), 32);
    assert!(signs(&house, given.webhook.id, &SECRET.parse()?).await?);
    assert!(given.webhook.has_secret);
    Ok(())
}

async fn unsigned() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let new = NewWebhook::to("https://erp.example.com/").events(["*"]).unsigned();

    let created = webhooks.create(new.clone()).await?;

    assert!(created.secret.is_none() && !created.webhook.has_secret);
    let tested = webhooks.test(created.webhook.id, "order.placed").await?;
    assert_eq!(tested.attempt.error, None);
    let sent = house.transport.requests().pop().expect("a request");
    assert!(sent.headers.get("webhook-signature").is_none());
    assert_refused(webhooks.create(new.secret(SECRET)).await, ErrorKind::Invalid, &["secret"]);
    assert_refused(
        webhooks.rotate(created.webhook.id, Rotation::new()).await,
        ErrorKind::Invalid,
        &["schemes"],
    );
    Ok(())
}
