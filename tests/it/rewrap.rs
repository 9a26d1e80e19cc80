//! Keys change, and nothing is lost: what was sealed under the old key is sealed anew, beside everything else that goes on.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crossdock::adapters::{EnvelopeVault, StaticKeys};
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::hub::Admin;
use crossdock::inbound::{InboundRequest, NewSource, SourceSecret, SourceView, TestSigner, presets};
use crossdock::primitives::{PageRequest, WebhookId};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::{ManualClock, ScriptedTransport};
use crossdock::webhooks::{
    Auth, Change, Created, DefaultsUpdate, DeliveryQuery, DeliveryStatus, NewWebhook, Release, RewrapCursor,
    Rewrapped, Rotation, SignatureScheme, SigningSecret, Verifier, Version, WebhookRepository, WebhookUpdate,
};
use crossdock::{ErrorKind, Hub, Result};
use libtest_mimic::Trial;

use crate::bent::Bent;
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("a_store_that_lasts_is_refused_without_a_key_and_the_refusal_says_what_to_do", no_key),
        story("a_key_changes_and_the_old_one_can_be_dropped", end_to_end),
        story("a_rewrap_goes_on_from_the_text_that_was_kept", stepwise),
        story("sources_of_inbound_webhooks_verify_after_the_old_key_was_dropped", sources),
        story("a_source_whose_key_is_missing_is_told", source_without_its_key),
        story("what_somebody_changes_meanwhile_stays_changed", beside_an_administrator),
        story("two_rewraps_at_once_do_the_work_once", twice_at_once),
        story("an_old_seal_that_comes_back_is_found_by_the_next_pass", old_seal_comes_back),
        story("a_missing_key_is_told_and_the_rest_is_done", missing_key),
        story("a_delivery_waits_for_a_key_that_is_missing", delivery_waits),
        story("a_store_that_goes_away_stops_a_rewrap_and_loses_nothing", store_away),
        story("a_vault_in_memory_has_nothing_to_do", nothing_to_do),
    ]
}

type Told = Result<(), Box<dyn StdError>>;

fn story<F: Future<Output = Told>>(name: &str, tell: impl FnOnce() -> F + Send + 'static) -> Trial {
    rule(&format!("rewrap::{name}"), move || -> Told {
        tokio::runtime::Builder::new_current_thread().build()?.block_on(tell())
    })
}

const JANUARY: &str = "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=";
const JULY: &str = "xNvQ2cAb0OI0EUSqd5ZCpk7sTZ0S4xNbrWIkcIC2WLU=";
const PASSWORD: &str = "canary-password-5b1f";

fn january() -> Result<StaticKeys> {
    Ok(StaticKeys::new("2026-01", JANUARY)?)
}

fn both() -> Result<StaticKeys> {
    Ok(july()?.with_old("2026-01", JANUARY)?)
}

fn july() -> Result<StaticKeys> {
    Ok(StaticKeys::new("2026-07", JULY)?)
}

/// A store, and the hubs that come and go on it.
#[derive(Default)]
struct House {
    store: Bent,
    clock: ManualClock,
}

impl House {
    fn hub(&self, keys: StaticKeys) -> Result<(Hub, ScriptedTransport)> {
        let transport = ScriptedTransport::new(Arc::new(self.clock.clone()));
        let hub = Hub::builder()
            .store(self.store.clone())
            .inbound_store(self.store.inner.clone())
            .vault(EnvelopeVault::new(keys))
            .events(catalog())
            .clock(self.clock.clone())
            .transport(transport.clone())
            .build()?;
        Ok((hub, transport))
    }

    async fn versions(&self, name: &str) -> Result<Vec<Version>> {
        let page = self.store.webhooks(&tenant(name), PageRequest::first(1_000)).await?;
        Ok(page.items.iter().map(|webhook| webhook.version).collect())
    }
}

fn catalog() -> EventCatalog {
    EventCatalog::new().with(EventTypeSpec::new("order.placed").example("A-7".into()))
}

fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant id")
}

fn admin(hub: &Hub, name: &str) -> Admin {
    hub.admin(Actor::org_admin(tenant(name), "ada"))
}

async fn subscribe(hub: &Hub, name: &str) -> Result<Created> {
    let new = NewWebhook::to("https://erp.example.com/").events(["*"]);
    admin(hub, name).webhooks().create(new).await
}

/// Seals, that is: looked at, current, resealed, overtaken, failed.
fn counts(done: &Rewrapped) -> [u64; 5] {
    [done.looked_at, done.current, done.resealed, done.overtaken, done.failed]
}

async fn no_key() -> Told {
    let error = Hub::builder().store(Bent::default()).build().err().ok_or("it was built")?;

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "could not build the hub: invalid: vault: a store that lasts needs a vault whose key lasts as well: without it, no \
         secret opens after a restart (make a key once with `openssl rand -base64 32`, keep it where the store is not, such as \
         in an environment variable, and give it with `.vault(EnvelopeVault::new(StaticKeys::new(\"2026-01\", &key)?))`; both \
         types are in `crossdock::adapters`)"
    );
    Ok(())
}

async fn end_to_end() -> Told {
    let house = House::default();
    let (hub, _) = house.hub(january()?)?;
    let created = subscribe(&hub, "t").await?;
    let rotated = admin(&hub, "t").webhooks().rotate(created.webhook.id, Rotation::new()).await?;
    let login = NewWebhook::to("https://b.example.com/").events(["*"]).auth(Auth::bearer("abc")).unsigned();
    admin(&hub, "t").webhooks().create(login).await?;
    let defaults = admin(&hub, "t").defaults().await?;
    let shared = DefaultsUpdate::of(&defaults)
        .auth(Auth::basic("shared").with_password(PASSWORD))
        .auth_for_all_hosts();
    admin(&hub, "t").update_defaults(shared).await?;
    let versions = house.versions("t").await?;

    let (hub, _) = house.hub(both()?)?;
    // Two signing secrets, a token, the default password.
    assert_eq!(counts(&hub.rewrap().await?), [4, 0, 4, 0, 0]);
    let again = hub.rewrap().await?;
    assert_eq!((counts(&again), again.is_settled()), ([4, 4, 0, 0, 0], true));

    let (hub, transport) = house.hub(july()?)?;
    hub.publish(NewEvent::new(tenant("t"), "order.placed", "A-7")?).await?;
    hub.worker().run_until_idle().await;
    let sent = transport.requests();
    let signed = sent.iter().find(|request| request.headers.contains_key("webhook-signature"));
    let signed = signed.ok_or("nothing was signed")?;
    for secret in [created.secret, rotated.secret] {
        let secret: SigningSecret = secret.ok_or("a secret")?.reveal().parse()?;
        let verifier = Verifier::new(&SignatureScheme::Standard, &[secret])?;
        verifier.verify(&signed.headers, &signed.body, signed.at)?;
    }
    assert!(signed.headers.contains_key("authorization"), "the default login opens");
    assert!(sent.iter().any(|request| {
        request.headers.get("authorization").is_some_and(|value| value.as_bytes() == b"Bearer abc")
    }));
    assert_eq!(house.versions("t").await?, versions);
    Ok(())
}

async fn stepwise() -> Told {
    let house = House::default();
    let (hub, _) = house.hub(january()?)?;
    for name in ["a", "b", "c"].into_iter().chain(["big"; 230]).chain(["z"]) {
        subscribe(&hub, name).await?;
    }
    for number in 0..120 {
        subscribe(&hub, &format!("small-{number}")).await?;
    }

    let mut kept: Option<String> = None;
    let mut all = Rewrapped::default();
    let mut steps = 0;
    loop {
        // Each step in a process of its own.
        let (hub, _) = house.hub(both()?)?;
        let from: Option<RewrapCursor> = kept.as_deref().map(str::parse).transpose()?;
        let step = hub.rewrap_step(from).await?;
        assert!(step.looked_at <= 101, "{step:?}");
        kept = step.next.as_ref().map(ToString::to_string);
        all = all.and_then(step);
        steps += 1;
        if kept.is_none() {
            break;
        }
    }

    assert_eq!(counts(&all), [354, 0, 354, 0, 0]);
    assert!(steps > 4, "{steps} steps");
    let settled = house.hub(both()?)?.0.rewrap().await?;
    assert_eq!((counts(&settled), settled.is_settled()), ([354, 354, 0, 0, 0], true));
    Ok(())
}

/// What a source's sender is answered when it signs with this secret.
async fn answer(hub: &Hub, source: &SourceView, secret: &str, event: &str) -> Result<u16, Box<dyn StdError>> {
    let words = |problems: Vec<crossdock::Problem>| problems[0].to_string();
    let signer =
        TestSigner::new(&presets::github(), &SourceSecret::new("1", secret.into())).map_err(words)?;
    let body = format!(r#"{{"action":"{event}"}}"#);
    let url = format!("https://app.example.com/hooks/{}", source.id);
    let signed = signer.sign(&url, body.as_bytes(), chrono::DateTime::UNIX_EPOCH);
    let signed = signed.map_err(|problem| problem.to_string())?;
    let request = InboundRequest::new(signed.method, signed.url, signed.headers, signed.body);
    Ok(hub.receive(&source.id.to_string(), request).await.status.as_u16())
}

async fn sources() -> Told {
    let house = House::default();
    let (hub, _) = house.hub(january()?)?;
    subscribe(&hub, "t").await?;
    // More than one step takes, of two tenants.
    let mut views = Vec::new();
    for number in 0..130 {
        let new = NewSource::new("github", presets::github()).secret(format!("secret-{number}").as_str());
        let tenant = if number % 2 == 0 { "t" } else { "u" };
        views.push(admin(&hub, tenant).sources().create(new).await?);
    }
    admin(&hub, "t").sources().rotate(views[0].id, "rotated", Duration::from_secs(3_600)).await?;

    let (hub, _) = house.hub(both()?)?;
    let (mut steps, mut all) = (1, hub.rewrap_step(None).await?);
    while let Some(next) = all.next.take() {
        // Each step in a process of its own.
        let from = next.to_string().parse()?;
        all = all.and_then(house.hub(both()?)?.0.rewrap_step(Some(from)).await?);
        steps += 1;
    }
    assert_eq!((counts(&all), steps), ([132, 0, 132, 0, 0], 3));
    let again = hub.rewrap().await?;
    assert_eq!((counts(&again), again.is_settled()), ([132, 132, 0, 0, 0], true));

    let (hub, _) = house.hub(july()?)?;
    for (number, view) in views.iter().enumerate() {
        assert_eq!(answer(&hub, view, &format!("secret-{number}"), "opened").await?, 200, "{number}");
    }
    assert_eq!(answer(&hub, &views[0], "rotated", "closed").await?, 200, "both secrets open");
    assert_eq!(answer(&hub, &views[1], "forged", "closed").await?, 401, "and nothing else does");
    Ok(())
}

async fn source_without_its_key() -> Told {
    let house = House::default();
    let lost = StaticKeys::new("2019-12", "lLiZUnC6tTASq5XG3SoS6/jHrtWEpMYvVXJ3xaIlZ3k=")?;
    let new = || NewSource::new("github", presets::github()).secret(PASSWORD);
    let stuck = admin(&house.hub(lost)?.0, "a").sources().create(new()).await?;
    let fine = admin(&house.hub(january()?)?.0, "b").sources().create(new()).await?;

    let done = house.hub(both()?)?.0.rewrap().await?;

    assert_eq!((counts(&done), done.is_settled()), ([2, 0, 1, 0, 1], false));
    let failure = done.failures.first().ok_or("a failure")?;
    assert_eq!(
        (&failure.tenant, failure.webhook, failure.source, failure.kind),
        (&tenant("a"), None, Some(stuck.id), ErrorKind::Unavailable)
    );
    assert!(!format!("{done:?}").contains(PASSWORD));
    assert_eq!(answer(&house.hub(july()?)?.0, &fine, PASSWORD, "opened").await?, 200);
    Ok(())
}

async fn beside_an_administrator() -> Told {
    let house = House::default();
    let (hub, _) = house.hub(january()?)?;
    let login = |password: &str| Auth::basic("ada").with_password(password);
    let new = NewWebhook::to("https://erp.example.com/").events(["*"]).unsigned();
    let view = admin(&hub, "t").webhooks().create(new.auth(login("old"))).await?.webhook;
    let (hub, transport) = house.hub(both()?)?;
    let meddler = hub.clone();
    let (update, id) = (WebhookUpdate::of(&view).auth(login("new")), view.id);
    house.store.before_reseal(|| async move {
        admin(&meddler, "t").webhooks().update(update).await.expect("updated");
    });

    assert_eq!(counts(&hub.rewrap().await?), [1, 0, 0, 1, 0]);

    admin(&hub, "t").webhooks().test(id, "order.placed").await?;
    let sent = transport.requests().pop().ok_or("no request")?;
    // `ada:new`
    assert_eq!(sent.headers["authorization"], "Basic YWRhOm5ldw==");
    assert!(hub.rewrap().await?.is_settled());
    Ok(())
}

async fn twice_at_once() -> Told {
    let house = House::default();
    subscribe(&house.hub(january()?)?.0, "t").await?;
    let (one, _) = house.hub(both()?)?;
    let (two, _) = house.hub(both()?)?;
    house.store.before_reseal(|| async move {
        assert_eq!(counts(&two.rewrap().await.expect("rewrapped")), [1, 0, 1, 0, 0]);
    });

    assert_eq!(counts(&one.rewrap().await?), [1, 0, 0, 1, 0]);

    assert!(one.rewrap().await?.is_settled());
    assert!(house.hub(july()?)?.0.rewrap().await?.is_settled());
    Ok(())
}

async fn old_seal_comes_back() -> Told {
    let house = House::default();
    let id = subscribe(&house.hub(january()?)?.0, "t").await?.webhook.id;
    let (hub, _) = house.hub(both()?)?;
    // An update that was read before the rewrap and is saved after it.
    let seen = house.store.webhook(&tenant("t"), id).await?.ok_or("no webhook")?;
    hub.rewrap().await?;
    let mut webhook = (*seen).clone();
    webhook.version = seen.version.next();
    let change = Change::Replace { webhook, expected: seen.version, release: Release::Keep };
    house.store.save(&tenant("t"), vec![change], Vec::new(), seen.created_at).await?;

    let second = hub.rewrap().await?;

    assert_eq!((counts(&second), second.is_settled()), ([1, 0, 1, 0, 0], false));
    assert!(hub.rewrap().await?.is_settled());
    Ok(())
}

async fn missing_key() -> Told {
    let house = House::default();
    let lost = StaticKeys::new("2019-12", "lLiZUnC6tTASq5XG3SoS6/jHrtWEpMYvVXJ3xaIlZ3k=")?;
    let (hub, _) = house.hub(lost)?;
    let login = NewWebhook::to("https://erp.example.com/").auth(Auth::bearer(PASSWORD));
    let stuck = admin(&hub, "a").webhooks().create(login.events(["*"])).await?;
    subscribe(&house.hub(january()?)?.0, "b").await?;

    let done = house.hub(both()?)?.0.rewrap().await?;

    assert_eq!((counts(&done), done.is_settled()), ([3, 0, 1, 0, 2], false));
    assert_eq!(done.failures.len(), 2);
    for failure in &done.failures {
        assert_eq!(
            (&failure.tenant, failure.webhook, failure.kind),
            (&tenant("a"), Some(stuck.webhook.id), ErrorKind::Unavailable)
        );
        assert_eq!(
            failure.why,
            "could not unwrap a data key: unavailable: the key `2019-12` is not known here: give it to the vault as an old key"
        );
    }
    let secret = stuck.secret.ok_or("a secret")?.reveal();
    let shown = format!("{done:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(secret.trim_start_matches("whsec_")));
    Ok(())
}

async fn delivery_waits() -> Told {
    let house = House::default();
    let (hub, _) = house.hub(january()?)?;
    subscribe(&hub, "t").await?;
    hub.publish(NewEvent::new(tenant("t"), "order.placed", "A-7")?).await?;

    // The old key was dropped before everything was sealed anew.
    let (hasty, transport) = house.hub(july()?)?;
    hasty.worker().run_until_idle().await;
    assert_eq!(transport.requests().len(), 0);

    house.clock.advance(Duration::from_secs(60));
    let (mended, transport) = house.hub(both()?)?;
    mended.worker().run_until_idle().await;

    assert_eq!(transport.requests().len(), 1);
    let log = admin(&mended, "t").deliveries().list(DeliveryQuery::new()).await?.items;
    let outcome: Vec<_> =
        log.iter().map(|record| (record.delivery.status, record.delivery.attempts)).collect();
    assert_eq!(outcome, [(DeliveryStatus::Delivered, 1)]);
    Ok(())
}

async fn store_away() -> Told {
    let house = House::default();
    let id: WebhookId = subscribe(&house.hub(january()?)?.0, "t").await?.webhook.id;
    let (hub, _) = house.hub(both()?)?;
    let store = house.store.clone();
    house.store.before_reseal(|| async move { store.go_away() });

    assert!(hub.rewrap().await.err().ok_or("it went on")?.is_transient());
    assert!(hub.rewrap().await.err().ok_or("it went on")?.is_transient());

    house.store.come_back();
    assert_eq!(counts(&hub.rewrap().await?), [1, 0, 1, 0, 0]);
    house.clock.advance(Duration::from_secs(1));
    assert!(
        admin(&house.hub(july()?)?.0, "t").webhooks().test(id, "order.placed").await?.attempt.error.is_none()
    );
    Ok(())
}

async fn nothing_to_do() -> Told {
    let hub = Hub::builder().events(catalog()).build()?;
    subscribe(&hub, "t").await?;

    let done = hub.rewrap().await?;

    assert_eq!((counts(&done), done.is_settled()), ([1, 1, 0, 0, 0], true));
    Ok(())
}
