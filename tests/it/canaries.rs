//! Known secrets are planted through every call that takes one, and hunted in everything that comes out: texts, bytes, files.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crossdock::Hub;
use crossdock::activity::ActivityFilter;
use crossdock::events::NewEvent;
use crossdock::primitives::PageRequest;
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::{Reply, ScriptedTransport, SentRequest};
use crossdock::webhooks::{
    Auth, DefaultsUpdate, DeliveryQuery, NewWebhook, Rotation, WebhookQuery, WebhookUpdate,
};

const LOGIN: &str = "canary-password-5b1f";
const TOKEN: &str = "canary-token-9c2e";
const KEY: &str = "canary-api-key-77aa";
const SHARED: &str = "canary-default-password-01";
const SECRET: &str = "canary signing secret that only two of us know";
const SHORT: &str = "canary-short";

/// What was planted, in every spelling in which it might come out, and the texts that have come out.
pub(crate) struct Canaries {
    hunted: BTreeSet<String>,
    shown: Vec<String>,
    /// How many of them were generated rather than chosen here.
    pub(crate) generated: usize,
}

/// A receiver that fails, and says in its answer whatever it was sent.
pub(crate) fn echo(request: &SentRequest) -> Reply {
    let said = request.headers.values().map(|value| value.as_bytes()).collect::<Vec<_>>().join(&b' ');
    Reply::status(500).with_body(said)
}

/// Drives every call that takes a secret or might show one, as this tenant. The hub knows `order.placed` with an example; the
/// receivers are [`echo`].
pub(crate) async fn plant(
    hub: &Hub,
    transport: &ScriptedTransport,
    tenant: &TenantId,
) -> Result<Canaries, Box<dyn StdError>> {
    let mut notices = hub.notices();
    let admin = hub.admin(Actor::org_admin(tenant.clone(), "ada"));
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
        let revealed = [created.secret, rotated.secret].into_iter().flatten().map(|secret| secret.reveal());
        generated.extend(revealed.filter(|secret| secret != SECRET));
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
        let refused = webhooks.create(wrong.secret(SHORT)).await.err().ok_or("this must be refused")?;
        shown.push(format!("{refused:?} {refused}"));
    }
    hub.publish(NewEvent::from_json(tenant.clone(), "order.placed", r#"{"order":"A-7"}"#)).await?;
    hub.worker().run_until_idle().await;
    let log = admin.deliveries().list(DeliveryQuery::new().with_payload().with_attempts()).await?.items;
    shown.push(format!("{log:?}"));
    let attempts = log.iter().flat_map(|record| &record.attempts);
    shown.extend(attempts.map(|attempt| format!("{:?}", attempt.request_headers)));
    shown.push(format!("{:?}", webhooks.list(WebhookQuery::new().with_health().with_backlog()).await?));
    shown.push(format!(
        "{:?}",
        admin.activity().list(&ActivityFilter::default(), PageRequest::first(1_000)).await?
    ));
    shown.push(format!("{hub:?} {admin:?} {transport:?}"));
    let checkup = hub.doctor().await;
    shown.push(format!("{checkup:?} {checkup}"));
    shown.push(format!("{:?}", hub.rewrap().await?));
    shown.push(format!("{:?}", notices.drain()));

    // The canaries were really sent: the hunt is for something that exists.
    let sent = transport.requests();
    let mut sent = sent.iter().flat_map(|request| request.headers.values());
    if !sent.any(|value| value.as_bytes() == format!("Bearer {TOKEN}").as_bytes()) {
        return Err("the token was never sent".into());
    }
    let mut canaries = Canaries { hunted: BTreeSet::new(), shown, generated: generated.len() };
    for secret in [LOGIN, TOKEN, KEY, SHARED, SECRET, SHORT] {
        canaries.hunt(secret.as_bytes());
    }
    for (user, password) in [("ada", LOGIN), ("shared", SHARED)] {
        canaries.hunt(format!("{user}:{password}").as_bytes());
    }
    for secret in generated {
        let base64 = secret.trim_start_matches("whsec_");
        canaries.hunt(&STANDARD.decode(base64)?);
        canaries.hunt(base64.as_bytes());
    }
    Ok(canaries)
}

impl Canaries {
    /// Also hunts this.
    pub(crate) fn hunt(&mut self, secret: &[u8]) {
        self.hunted.extend(std::str::from_utf8(secret).ok().map(str::to_owned));
        self.hunted.insert(hex::encode(secret));
        self.hunted.insert(hex::encode_upper(secret));
        // As a part of something longer, base64 begins at one of three places; its ends belong to the neighbours.
        for shift in 0..3 {
            let text = STANDARD.encode([&[0; 2][..shift], secret].concat());
            let begin = (8 * shift).div_ceil(6);
            let end = 8 * (shift + secret.len()) / 6;
            let inner = &text[begin..end];
            self.hunted.insert(inner.to_owned());
        }
    }

    /// Also looks at this text.
    pub(crate) fn show(&mut self, text: String) {
        self.shown.push(text);
    }

    /// Looks at every text that has come out.
    pub(crate) fn nothing_was_shown(&self) -> Result<(), String> {
        self.shown.iter().try_for_each(|text| self.are_not_in(text, text.as_bytes()))
    }

    /// Looks at bytes, such as sealed ones.
    pub(crate) fn are_not_in(&self, what: &str, bytes: &[u8]) -> Result<(), String> {
        // One pass over the bytes for all canaries: a dump is large.
        let first: BTreeSet<u8> = self.hunted.iter().filter_map(|text| text.bytes().next()).collect();
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| first.contains(byte)) {
            if let Some(found) = self.hunted.iter().find(|text| bytes[at..].starts_with(text.as_bytes())) {
                return Err(format!("`{found}` shows itself at byte {at} of: {what}"));
            }
        }
        Ok(())
    }

    /// Looks at a whole file, such as a database or a dump.
    pub(crate) fn are_not_in_file(&self, path: &Path) -> Result<(), Box<dyn StdError>> {
        Ok(self.are_not_in(&path.display().to_string(), &std::fs::read(path)?)?)
    }
}
