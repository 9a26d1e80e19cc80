//! Credentials go in and never come out; secrets are rotated without a gap.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crossdock::activity::ActivityFilter;
use crossdock::primitives::{PageRequest, WebhookId};
use crossdock::testing::{Reply, SentRequest};
use crossdock::webhooks::{
    Auth, AuthView, DefaultsUpdate, NewWebhook, Rotation, SignatureScheme, SigningSecret, Verifier,
    WebhookQuery, WebhookUpdate,
};
use crossdock::{ErrorKind, Result};
use libtest_mimic::Trial;

use super::{House, Told, assert_refused, house, house_with, refused, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("no_credential_ever_shows_itself", canaries),
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
const TOKEN: &str = "canary-token-9c2e";
const KEY: &str = "canary-api-key-77aa";
pub(super) const SHARED: &str = "canary-default-password-01";
const SECRET: &str = "canary signing secret that only two of us know";

async fn canaries() -> Told {
    let echo = |request: &SentRequest| {
        let said = request.headers.values().map(|value| value.as_bytes()).collect::<Vec<_>>().join(&b' ');
        Reply::status(500).with_body(said)
    };
    let house = house_with(|receivers| receivers.answering(echo), |builder| builder)?;
    let mut notices = house.hub.notices();
    let admin = house.admin("t");
    let webhooks = admin.webhooks();
    let mut shown = Vec::new();

    let update = DefaultsUpdate::of(&admin.defaults().await?)
        .auth(Auth::basic("shared").with_password(SHARED))
        .auth_for_all_hosts();
    shown.push(format!("{update:?}"));
    shown.push(format!("{:?}", admin.update_defaults(update).await?));
    let mut generated = Vec::new();
    for (host, auth) in [
        ("a", Some(Auth::basic("ada").with_password(LOGIN))),
        ("b", Some(Auth::bearer(TOKEN))),
        ("c", Some(Auth::headers([("x-api-key", KEY)]))),
        ("d", None),
    ] {
        let mut new = NewWebhook::to(format!("https://{host}.example.com/")).events(["*"]);
        if host != "d" {
            new = new.secret(SECRET);
        }
        if let Some(auth) = auth {
            new = new.auth(auth);
        }
        shown.push(format!("{new:?}"));
        let created = webhooks.create(new).await?;
        shown.push(format!("{created:?}"));
        let id = created.webhook.id;
        let rotated = webhooks.rotate(id, Rotation::new()).await?;
        shown.push(format!("{rotated:?}"));
        generated
            .extend([created.secret, rotated.secret].into_iter().flatten().map(|secret| secret.reveal()));
        let update =
            WebhookUpdate::of(&rotated.webhook).auth(Auth::bearer(TOKEN)).name("renamed").secret(SECRET);
        shown.push(format!("{update:?}"));
        shown.push(format!("{:?}", webhooks.update(update).await?));
        let tested = webhooks.test(id, "order.placed").await?;
        // The log of a receiver that echoes its request holds what that receiver was sent: it is the tenant's own. `Debug`
        // leaves it out.
        shown.push(format!("{tested:?} {:?}", tested.attempt.request_headers));
        shown.push(format!("{:?}", webhooks.diagnose(id).await?));
    }
    for bad in ["canary-password-5b1f\n", ""] {
        let wrong = NewWebhook::to("https://e.example.com/").auth(Auth::basic("a:b").with_password(bad));
        shown.push(format!("{0:?} {0}", refused(webhooks.create(wrong.secret("canary-short")).await)));
    }
    house.publish("t", "order.placed").await?;
    house.work().await;
    shown.push(format!("{:?}", house.deliveries("t").await?));
    for record in house.deliveries("t").await? {
        shown.extend(record.attempts.iter().map(|attempt| format!("{:?}", attempt.request_headers)));
    }
    shown.push(format!("{:?}", webhooks.list(WebhookQuery::new().with_health().with_backlog()).await?));
    shown.push(format!("{:?}", admin.activity(&ActivityFilter::default(), PageRequest::first(1_000)).await?));
    shown.push(format!("{:?} {:?} {:?}", house.hub, admin, house.transport));
    shown.push(format!("{:?}", notices.drain()));

    let basic = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
    let mut hunted: Vec<String> =
        [LOGIN, TOKEN, KEY, SHARED, SECRET, "canary-short"].map(str::to_owned).into();
    hunted.extend([basic("ada", LOGIN), basic("shared", SHARED), STANDARD.encode(SECRET)]);
    hunted.extend(generated.iter().map(|secret| secret.trim_start_matches("whsec_").to_owned()));
    assert_eq!(hunted.len(), 9 + 8);
    for text in &shown {
        for secret in &hunted {
            assert!(!text.contains(&**secret), "a secret shows itself in: {text}");
        }
    }
    // The canaries were really sent: the hunt was for something that exists.
    let sent = house.transport.requests();
    let sent: Vec<_> = sent.iter().flat_map(|request| request.headers.values()).collect();
    assert!(sent.iter().any(|value| value.as_bytes() == format!("Bearer {TOKEN}").as_bytes()));
    Ok(())
}

pub(super) async fn last_authorization(house: &House, id: WebhookId) -> Result<Option<String>> {
    house.admin("t").webhooks().test(id, "order.placed").await?;
    let sent = house.transport.requests().pop().expect("a request");
    Ok(sent.headers.get("authorization").map(|value| value.to_str().expect("text").to_owned()))
}

pub(super) fn basic(user: &str, password: &str) -> Option<String> {
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
        .auth_for_all_hosts()
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
