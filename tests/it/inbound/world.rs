//! A hub with a source of the platform's, and handlers that write down what they get.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossdock::inbound::{
    InboundAnswer, InboundRequest, Incoming, PlatformSource, Scheme, SourceSecret, TestSigner, presets,
};
use crossdock::ports::Clock;
use crossdock::testing::ManualClock;
use crossdock::{Hub, HubBuilder};
use serde_json::{Value, json};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(super) const SECRET: &str = "whsec_test";

/// What a handler was given, in its order.
pub(super) type Log = Arc<Mutex<Vec<String>>>;

/// A hub in memory on a clock that is set by hand.
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) clock: ManualClock,
    pub(super) log: Log,
    signer: TestSigner,
}

impl World {
    /// With a handler for every kind, which writes down the event's id.
    pub(super) fn new() -> Result<Self, Failure> {
        Self::with(|hub, log| {
            hub.on("stripe", "*", move |event: Incoming<Value>| {
                write_down(&log, &event);
                async {}
            })
        })
    }

    pub(super) fn with(choose: impl FnOnce(HubBuilder, Log) -> HubBuilder) -> Result<Self, Failure> {
        let (clock, log) = (ManualClock::new(), Log::default());
        let stripe = PlatformSource::new("stripe", presets::stripe()).secret(SECRET);
        let hub = Hub::builder().without_built_ins().clock(clock.clone()).source(stripe);
        let hub = choose(hub, Arc::clone(&log)).build()?;
        Ok(Self { hub, clock, log, signer: signer(&presets::stripe(), SECRET)? })
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// As Stripe sends it now.
    pub(super) fn request(&self, body: &Value) -> Result<InboundRequest, Failure> {
        self.request_at(body, self.now())
    }

    pub(super) fn request_at(&self, body: &Value, at: DateTime<Utc>) -> Result<InboundRequest, Failure> {
        signed(&self.signer, &serde_json::to_vec(body)?, at)
    }

    pub(super) async fn send(&self, body: &Value) -> Result<InboundAnswer, Failure> {
        Ok(self.hub.receive("stripe", self.request(body)?).await)
    }

    /// Runs handlers until nothing is due.
    pub(super) async fn work(&self) -> Option<DateTime<Utc>> {
        self.hub.inbound_worker().run_until_idle().await
    }

    pub(super) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub(super) fn handled(&self) -> Vec<String> {
        self.log.lock().expect("a list").clone()
    }
}

pub(super) fn write_down(log: &Log, event: &Incoming<Value>) {
    let id = event.payload.get("id").and_then(Value::as_str).unwrap_or("?");
    log.lock().expect("a list").push(id.to_owned());
}

pub(super) fn paid(id: &str) -> Value {
    json!({"id": id, "type": "invoice.paid", "data": {"object": {"id": "in_1"}}})
}

pub(crate) fn signer(scheme: &Scheme, secret: &str) -> Result<TestSigner, Failure> {
    TestSigner::new(scheme, &SourceSecret::new("1", secret.into()))
        .map_err(|problems| problems[0].to_string().into())
}

pub(crate) fn signed(signer: &TestSigner, body: &[u8], at: DateTime<Utc>) -> Result<InboundRequest, Failure> {
    let signed = signer.sign("https://app.example.com/webhooks/stripe", body, at);
    let signed = signed.map_err(|problem| problem.to_string())?;
    Ok(InboundRequest::new(signed.method, signed.url, signed.headers, signed.body))
}

/// Plays a story on a runtime of its own.
pub(super) fn play(story: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), story).await? })
}
