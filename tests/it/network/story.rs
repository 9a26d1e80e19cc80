//! One event on its way through one fault: what the log says of each attempt, and what the engine does next.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crossdock::Hub;
use crossdock::adapters::http_client::{HttpTransport, Resolve};
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::primitives::{EgressPolicy, EventId};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::ManualClock;
use crossdock::webhooks::{
    Attempt, Auth, DeliveryQuery, DeliveryRecord, DeliveryStatus, NewWebhook, RetryPolicy, Settings, Worker,
};

use super::faults::{Certificate, Fault, Lookup, Scheme, Warm};
use super::proxy::{Encounter, Way};
use crate::certificates::{Authority, self_signed};
use crate::loopback::{Receiver, Talk, answer, listen, listen_tls};

type Failure = Box<dyn std::error::Error>;

/// The receiver that is well.
const ANSWER: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 20\r\n\r\nthank you very much!";
const HOST: &str = "erp.example.com";
const ADDRESS: &str = "93.184.216.34";
const OTHER_ADDRESS: &str = "93.184.217.1";
/// What no log may hold: a secret, a login, and a payload.
const CANARIES: [&str; 3] = ["canary-secret-of-this-webhook-", "canary-login", "canary-payload"];

/// The policy: in seconds, and up to a tenth more.
const WAITS: [u64; 2] = [5, 30];

/// Tells the story, as a line of the table.
pub(super) async fn tell(fault: Fault) -> Result<String, Failure> {
    let stage = Stage::set(&fault).await?;
    if fault.warm != Warm::No {
        stage.publish(0).await?;
        stage.work().await;
        // The kernel knows by now that the connection is closed; to sleep at all lets the runtime ask it.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let event = stage.publish(fault.payload).await?;
    for _ in 0..5 {
        let due = stage.work().await;
        if stage.record(event).await?.delivery.status.is_final() {
            break;
        }
        stage.clock.advance_to(due.ok_or("what is not final is due some time")?);
    }
    let record = stage.record(event).await?;
    tells_nothing(&record)?;
    let seen =
        stage.receivers.iter().map(Receiver::requests).sum::<usize>() - usize::from(fault.warm != Warm::No);
    Ok(format!("| {} | {} | {} | {seen} |", fault.name, logged(&record), outcome(&record)?))
}

struct Stage {
    hub: Hub,
    worker: Worker,
    clock: ManualClock,
    tenant: TenantId,
    receivers: Vec<Receiver>,
}

impl Stage {
    async fn set(fault: &Fault) -> Result<Self, Failure> {
        let authority = Authority::new()?;
        let warm = fault.warm;
        let well = match fault.scheme {
            Scheme::Http => listen(well(warm)).await?,
            Scheme::Https => {
                let chain = authority.certify([HOST])?;
                listen_tls(chain.certificates, chain.key, well(warm)).await?
            }
        };
        let mut encounters = fault.encounters.clone();
        let mut receivers = vec![well.clone()];
        if let Some(certificate) = fault.certificate {
            let other = bad_receiver(&authority, certificate).await?;
            encounters.push(Encounter::Elsewhere(other.address));
            receivers.push(other);
        }
        let policy = EgressPolicy::default().dangerous_allow_http();
        let transport = HttpTransport::builder()
            .policy(policy.clone())
            .resolver(Names { lookups: Arc::new(Mutex::new(fault.lookups.clone().into())) })
            .dialler(Way::to(well.address, encounters).await?)
            .with_roots([authority.root()])
            .build()?;

        let mut settings = Settings::default();
        settings.retry = RetryPolicy::after_seconds(WAITS);
        if fault.hangs {
            settings.limits.connect = Duration::from_secs(1);
            settings.limits.total = Duration::from_secs(2);
        }
        let clock = ManualClock::new();
        let hub = Hub::builder()
            .events(EventCatalog::new().with(EventTypeSpec::new("shipment.shipped")))
            .clock(clock.clone())
            .egress(policy)
            .transport(transport)
            .settings(settings)
            .build()?;
        let tenant: TenantId = "org_42".parse()?;
        let url = match fault.scheme {
            Scheme::Http => format!("http://{HOST}:8080/hooks"),
            Scheme::Https => format!("https://{HOST}/hooks"),
        };
        let wanted = NewWebhook::new("ERP", url)
            .events(["*"])
            .secret(CANARIES[0].repeat(2))
            .auth(Auth::bearer(CANARIES[1]));
        hub.admin(Actor::org_admin(tenant.clone(), "ada")).webhooks().create(wanted).await?;
        Ok(Self { worker: hub.worker().runners(1), hub, clock, tenant, receivers })
    }

    async fn publish(&self, kilobytes: usize) -> Result<EventId, Failure> {
        let data = format!("{} {}", CANARIES[2], "x".repeat(kilobytes * 1024));
        let event = NewEvent::new(self.tenant.clone(), "shipment.shipped", &data)?;
        Ok(self.hub.publish(event).await?.event)
    }

    async fn work(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        self.worker.run_until_idle().await
    }

    async fn record(&self, event: EventId) -> Result<DeliveryRecord, Failure> {
        let admin = self.hub.admin(Actor::org_admin(self.tenant.clone(), "ada"));
        let page = admin.deliveries().list(DeliveryQuery::new().event(event).with_attempts()).await?;
        Ok(page.items.into_iter().next().ok_or("a delivery")?)
    }
}

/// What is logged of each attempt.
fn logged(record: &DeliveryRecord) -> String {
    let words: Vec<_> = record.attempts.iter().map(|attempt| in_words(attempt)).collect();
    // The last one is the one that has found everything well again.
    let bad = if words.len() > 1 && record.delivery.status == DeliveryStatus::Delivered {
        words.len() - 1
    } else {
        words.len()
    };
    words[..bad].join(", ")
}

fn in_words(attempt: &Attempt) -> String {
    let cut = if attempt.truncated { ", truncated" } else { "" };
    match (attempt.error, attempt.status) {
        (_, Some(status)) => format!("status {status}{cut}"),
        (Some(error), None) => format!("`{error}`"),
        (None, None) => "nothing".to_owned(),
    }
}

/// What became of the event; every wait is the policy's.
fn outcome(record: &DeliveryRecord) -> Result<String, Failure> {
    let mut waits = Vec::new();
    for (pair, wait) in record.attempts.windows(2).zip(WAITS) {
        let promised = pair[0].next_attempt_at.ok_or("an attempt that failed says when the next one is")?;
        assert!(pair[1].started_at >= promised, "no attempt comes too early");
        let waited = (promised - pair[0].started_at).num_milliseconds();
        let policy = i64::try_from(wait * 1_000)?;
        assert!((policy..=policy + policy / 10).contains(&waited), "{waited} ms instead of {wait} s");
        waits.push(format!("{wait} s"));
    }
    let again = match waits.is_empty() {
        true => String::new(),
        false => format!("tried again after {}: ", waits.join(" and ")),
    };
    Ok(match record.delivery.status {
        DeliveryStatus::Delivered => format!("{again}delivered"),
        DeliveryStatus::DeadLetter(reason) => format!("{again}dead letter, `{}`", reason.as_str()),
        other => return Err(format!("it has not ended: {other:?}").into()),
    })
}

/// No secret, no payload, and no address but those that were permitted and dialled.
fn tells_nothing(record: &DeliveryRecord) -> Result<(), Failure> {
    for attempt in &record.attempts {
        let error = attempt.error.map(|error| error.to_string()).unwrap_or_default();
        let text = format!("{attempt:?} {error} {:?} {:?}", attempt.request_headers, record.delivery);
        for word in CANARIES.into_iter().chain(["127.0.0.1", "10.0.0.1", "169.254"]) {
            assert!(!text.contains(word), "{word} is in {text}");
        }
        let permitted = [ADDRESS, OTHER_ADDRESS].map(|text| text.parse::<IpAddr>().expect("an address"));
        assert!(attempt.peer.is_none_or(|peer| permitted.contains(&peer)), "{:?}", attempt.peer);
    }
    Ok(())
}

/// Answers every request, on a connection of its own or on one that waits; the first connection ends as the fault says.
fn well(warm: Warm) -> impl Fn(Talk) -> crate::loopback::BoxedTalk + Send + 'static {
    let connections = AtomicUsize::new(0);
    move |mut talk: Talk| {
        let is_first = connections.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            loop {
                talk.hear().await?;
                talk.say(ANSWER).await?;
                match warm {
                    Warm::ThenClosed if is_first => return Ok(()),
                    Warm::ThenClosedBehindTheRequest if is_first => return talk.hear().await,
                    _ => {}
                }
            }
        })
    }
}

async fn bad_receiver(authority: &Authority, certificate: Certificate) -> Result<Receiver, Failure> {
    let chain = match certificate {
        Certificate::OtherName => authority.certify(["other.example.net"])?,
        Certificate::Expired => authority.certify_expired(HOST)?,
        Certificate::SelfSigned => self_signed(HOST)?,
        Certificate::UnknownAuthority => Authority::new()?.certify([HOST])?,
        Certificate::CutOff => {
            let chain = authority.certify([HOST])?;
            let half = &ANSWER[..ANSWER.len() - 10];
            let cut_off = move |mut talk: Talk| async move {
                talk.hear().await?;
                talk.say(half).await
            };
            return listen_tls(chain.certificates, chain.key, cut_off).await;
        }
    };
    listen_tls(chain.certificates, chain.key, answer(ANSWER)).await
}

/// A name server that says what the fault says, and then the truth.
#[derive(Debug)]
struct Names {
    lookups: Arc<Mutex<VecDeque<Lookup>>>,
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        let next = self.lookups.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let addresses =
            |texts: &[&str]| Ok(texts.iter().map(|text| text.parse().expect("an address")).collect());
        match next.unwrap_or(Lookup::Good) {
            Lookup::Good => addresses(&[ADDRESS]),
            Lookup::Moved => addresses(&[OTHER_ADDRESS]),
            Lookup::NoSuchName => Err(io::Error::other("no such name")),
            Lookup::Late(delay) => {
                tokio::time::sleep(delay).await;
                addresses(&[ADDRESS])
            }
            Lookup::Nothing => Ok(Vec::new()),
            Lookup::Many => addresses(&[ADDRESS; 65]),
            Lookup::Forbidden => addresses(&["10.0.0.1"]),
            Lookup::OneForbidden => addresses(&[ADDRESS, "169.254.169.254"]),
        }
    }
}
