//! What an operator is told: what waits, what is wrong, and what to do, also when parts of the hub do not answer.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use chrono::TimeDelta;
use crossdock::adapters::EnvelopeVault;
use crossdock::adapters::vault::{KeyId, KeyProvider};
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::hub::{Checkup, Sign};
use crossdock::inbound::{
    Handled, InboundRequest, Incoming, NewSource, PlatformSource, SourceSecret, SourceState, TestSigner,
    presets,
};
use crossdock::ports::Clock;
use crossdock::primitives::Secret;
use crossdock::tenancy::Actor;
use crossdock::testing::{ManualClock, ScriptedTransport};
use crossdock::webhooks::NewWebhook;
use crossdock::{Error, ErrorKind, Hub, Result};
use futures_util::future::join;
use libtest_mimic::Trial;

use crate::bent::Bent;
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        story("events_that_nobody_fans_out_are_found_until_a_worker_runs", no_worker),
        story("deliveries_that_nobody_makes_are_found", waiting_deliveries),
        story("a_store_that_is_away_is_a_finding_and_recovers", store_away),
        story("a_clock_that_is_off_and_vitals_of_a_store_are_told", vitals),
        story("a_key_service_that_is_away_is_a_finding", keys_away),
        story("a_part_that_says_nothing_does_not_hold_the_doctor_up", silence),
        story("sources_that_cannot_work_and_what_they_received_are_told", inbound),
        story("looking_changes_nothing", no_change),
    ]
}

type Told = Result<(), Box<dyn StdError>>;

fn story<F: Future<Output = Told>>(name: &str, tell: impl FnOnce() -> F + Send + 'static) -> Trial {
    rule(&format!("doctor::{name}"), move || -> Told {
        tokio::runtime::Builder::new_current_thread().build()?.block_on(tell())
    })
}

/// A key service that is away, or says nothing at all.
#[derive(Debug)]
enum Service {
    Away,
    Silent,
}

#[async_trait::async_trait]
impl KeyProvider for Service {
    async fn current(&self) -> Result<KeyId> {
        match self {
            Self::Away => Err(Error::new(ErrorKind::Unavailable, "ask the key service")),
            Self::Silent => std::future::pending().await,
        }
    }

    async fn wrap_key(&self, _: &KeyId, _: &Secret, _: &[u8]) -> Result<Vec<u8>> {
        Err(Error::new(ErrorKind::Internal, "wrap a key under no id"))
    }

    async fn unwrap_key(&self, _: &KeyId, _: &[u8], _: &[u8]) -> Result<Secret> {
        Err(Error::new(ErrorKind::Internal, "unwrap a key under no id"))
    }
}

#[derive(Default)]
struct House {
    store: Bent,
    clock: ManualClock,
}

impl House {
    fn hub(&self) -> Result<Hub> {
        let keys = crossdock::adapters::StaticKeys::new("a", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?;
        self.hub_with(keys)
    }

    fn hub_with(&self, keys: impl KeyProvider) -> Result<Hub> {
        Hub::builder()
            .store(self.store.clone())
            .vault(EnvelopeVault::new(keys))
            .events(EventCatalog::new().with(EventTypeSpec::new("order.placed")))
            .clock(self.clock.clone())
            .transport(ScriptedTransport::new(std::sync::Arc::new(self.clock.clone())))
            .build()
    }
}

async fn busy(hub: &Hub) -> Told {
    let admin = hub.admin(Actor::org_admin("t".parse()?, "ada"));
    admin.webhooks().create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?;
    hub.publish(NewEvent::new("t".parse()?, "order.placed", "A-7")?).await?;
    Ok(())
}

fn signs(checkup: &Checkup) -> Vec<Sign> {
    checkup.findings.iter().map(|symptom| symptom.sign).collect()
}

async fn no_worker() -> Told {
    let house = House::default();
    let hub = house.hub()?;
    busy(&hub).await?;
    house.clock.advance(Duration::from_secs(60));
    let checkup = hub.doctor().await;
    assert_eq!((checkup.outbox_lag(), checkup.is_healthy()), (Some(Duration::from_secs(60)), true));

    house.clock.advance(Duration::from_secs(1));
    assert_eq!(signs(&hub.doctor().await), [Sign::OutboxLags(Duration::from_secs(61))]);

    hub.worker().run_until_idle().await;
    let checkup = hub.doctor().await;
    assert_eq!((checkup.outbox_lag(), checkup.is_healthy()), (Some(Duration::ZERO), true));
    Ok(())
}

async fn waiting_deliveries() -> Told {
    let house = House::default();
    let hub = house.hub()?;
    let admin = hub.admin(Actor::org_admin("t".parse()?, "ada"));
    let webhook =
        admin.webhooks().create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?.webhook;
    admin.webhooks().pause(webhook.id).await?;
    hub.publish(NewEvent::new("t".parse()?, "order.placed", "A-7")?).await?;
    hub.worker().run_until_idle().await;

    house.clock.advance(Duration::from_secs(15 * 60));
    assert!(hub.doctor().await.is_healthy());
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(signs(&hub.doctor().await), [Sign::DeliveriesWait(Duration::from_secs(901))]);

    admin.webhooks().resume(webhook.id).await?;
    hub.worker().run_until_idle().await;
    assert!(hub.doctor().await.is_healthy());
    Ok(())
}

async fn store_away() -> Told {
    let house = House::default();
    let hub = house.hub()?;
    house.store.go_away();

    let checkup = hub.doctor().await;

    assert_eq!(signs(&checkup), [Sign::StoreFails(ErrorKind::Unavailable)]);
    assert_eq!(checkup.queue, None);
    let said = checkup.findings[0].said.as_deref();
    assert_eq!(said, Some("could not reach the store: unavailable: connection refused"));

    house.store.come_back();
    assert!(hub.doctor().await.is_healthy());
    Ok(())
}

async fn vitals() -> Told {
    let house = House::default();
    let hub = house.hub()?;
    let ahead = house.clock.now() + TimeDelta::seconds(3);
    house.store.examined_as(move |found| {
        found.store_clock = Some(ahead);
        found.vitals.extend([("schema_version", 7), ("default_partition_rows", 2)]);
    });

    let checkup = hub.doctor().await;

    assert_eq!(signs(&checkup), [Sign::ClockOff(TimeDelta::seconds(3)), Sign::DefaultPartitionFills(2)]);
    let text = checkup.to_string();
    assert!(text.contains("schema_version: 7") && text.contains("clock: off by +3000 ms"), "{text}");
    Ok(())
}

async fn keys_away() -> Told {
    let checkup = House::default().hub_with(Service::Away)?.doctor().await;

    assert_eq!(signs(&checkup), [Sign::VaultFails(ErrorKind::Unavailable)]);
    assert!(checkup.queue.is_some());
    Ok(())
}

async fn silence() -> Told {
    let house = House::default();
    let hub = house.hub_with(Service::Silent)?;
    let patience = async {
        while house.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        house.clock.advance(Duration::from_secs(10));
    };

    let (checkup, ()) = join(hub.doctor(), patience).await;

    assert_eq!(signs(&checkup), [Sign::VaultFails(ErrorKind::Unavailable)]);
    assert!(checkup.queue.is_some(), "the store has answered all the same");
    Ok(())
}

async fn inbound() -> Told {
    let clock = ManualClock::new();
    let hub = Hub::builder()
        .clock(clock.clone())
        .source(PlatformSource::new("stripe", presets::stripe()).secret("whsec_test"))
        .source(PlatformSource::new("later", presets::github()).state(SourceState::NotImplemented))
        .on("shop", "*", |_: Incoming<serde_json::Value>| async { Handled::Dead("no".to_owned()) })
        .build()?;
    let sources = hub.admin(Actor::org_admin("t".parse()?, "ada")).sources();
    sources.create(NewSource::new("shop", presets::generic()).secret("hush")).await?;
    assert_eq!(signs(&hub.doctor().await), [Sign::SourcesUnhandled(1)], "nothing is on for stripe");

    let bare = sources.create(NewSource::new("shop", presets::generic())).await?;
    assert_eq!(signs(&hub.doctor().await), [Sign::SourcesUnhandled(1), Sign::SourcesWithoutSecret(1)]);
    sources.switch(bare.id, SourceState::Off).await?;
    hub.switch_source("stripe", SourceState::Off).await?;
    assert!(hub.doctor().await.is_healthy());

    let shop = sources.create(NewSource::new("shop", presets::generic()).secret("hush")).await?;
    let words = |problems: Vec<crossdock::Problem>| problems[0].to_string();
    let secret = SourceSecret::new("1", "hush".into());
    let signer = TestSigner::new(&presets::generic(), &secret).map_err(words)?;
    for number in 0..101 {
        let body = format!(r#"{{"id":"evt_{number}","type":"order.made"}}"#);
        let signed = signer.sign("https://app.example.com/", body.as_bytes(), clock.now());
        let signed = signed.map_err(|problem| problem.to_string())?;
        let request = InboundRequest::new(signed.method, signed.url, signed.headers, signed.body);
        assert_eq!(hub.receive(&shop.id.to_string(), request).await.status, 200);
    }
    clock.advance(Duration::from_secs(900));
    assert!(hub.doctor().await.is_healthy());
    clock.advance(Duration::from_secs(1));
    assert_eq!(signs(&hub.doctor().await), [Sign::ReceivedWaits(Duration::from_secs(901))]);
    hub.inbound_worker().run_until_idle().await;
    let checkup = hub.doctor().await;
    assert_eq!(signs(&checkup), [Sign::DeadLetters(101)]);
    assert!(checkup.to_string().contains("received: due for 0 s, 101 dead letters"), "{checkup}");
    Ok(())
}

async fn no_change() -> Told {
    let house = House::default();
    let hub = house.hub()?;
    busy(&hub).await?;

    let first = hub.doctor().await;

    assert_eq!(hub.doctor().await, first);
    assert_eq!(first.queue.map(|queue| queue.outbox), Some(1));
    Ok(())
}
