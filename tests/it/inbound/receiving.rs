//! Forged, stale, late and repeated requests; sources that are closed; stores that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use crossdock::activity::Activity;
use crossdock::adapters::memory::MemoryStore;
use crossdock::inbound::{
    Accepted, InboundClaim, InboundClaimed, InboundErasure, InboundExamination, InboundRequest,
    InboundRetention, InboundSettled, InboundSettlement, InboundStore, Incoming, Owner, PlatformSource,
    ReceiveOutcome, Received, ReceivedFilter, ReceivedRecord, ReceivedStatus, Refusal, Replayed,
    ResealedSecret, Source, SourceChange, SourceName, SourceState, presets,
};
use crossdock::primitives::{Durability, Page, PageRequest, ReceivedId, SourceId};
use crossdock::{Error, ErrorKind, Result};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::world::{Failure, World, paid, play, write_down};
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("inbound::what_is_genuine_is_kept_acknowledged_and_handled_once", || play(genuine())),
        rule("inbound::what_is_forged_stale_or_too_early_is_refused_and_not_kept", || play(forged())),
        rule("inbound::nobody_learns_more_than_that_there_is_no_such_source", || play(unknown())),
        rule("inbound::a_source_that_is_closed_says_501_with_a_problem_until_it_is_switched_on", || {
            play(closed())
        }),
        rule("inbound::what_cannot_be_read_is_acknowledged_and_shown", || play(unparsable())),
        rule("inbound::a_body_that_is_too_long_is_refused", || play(too_long())),
        rule("inbound::numbers_and_bytes_survive_as_they_came", || play(bytes_survive())),
        rule("inbound::a_store_that_fails_or_hangs_is_no_acknowledgement", || play(failing_store())),
        rule("inbound::a_hub_is_not_built_with_sources_that_cannot_verify", unbuildable),
    ]
}

async fn genuine() -> Result<(), Failure> {
    let world = World::new()?;

    let first = world.send(&paid("evt_1")).await?;
    let copy = world.send(&paid("evt_1")).await?;
    world.work().await;
    let late_copy = world.send(&paid("evt_1")).await?;
    world.work().await;

    assert_eq!([first.status, copy.status, late_copy.status], [200, 200, 200]);
    assert!(matches!(first.outcome, ReceiveOutcome::Kept { fresh: 1, copies: 0 }), "{:?}", first.outcome);
    assert!(
        matches!(late_copy.outcome, ReceiveOutcome::Kept { fresh: 0, copies: 1 }),
        "{:?}",
        late_copy.outcome
    );
    assert_eq!(world.handled(), ["evt_1"]);
    let page = world.hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(9)).await?;
    let [record] = &page.items[..] else { return Err("one item is kept".into()) };
    assert_eq!((record.status, record.duplicates, record.attempts), (ReceivedStatus::Done, 2, 1));
    Ok(())
}

async fn forged() -> Result<(), Failure> {
    let world = World::new()?;
    let good = world.request(&paid("evt_1"))?;
    let changed = |change: &dyn Fn(&mut InboundRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let body = |body: &[u8]| {
        let body = body.to_vec();
        changed(&move |request| request.body = body.clone().into())
    };
    let hour = TimeDelta::hours(1);

    for (what, request, expected) in [
        ("no signature", changed(&|request| request.headers.clear()), Refusal::MissingSignature),
        ("another body", body(br#"{"id":"evt_2","type":"invoice.paid"}"#), Refusal::NoMatch),
        ("an empty body", body(b""), Refusal::NoMatch),
        ("a stale one", world.request_at(&paid("evt_1"), world.now() - hour)?, Refusal::Stale),
        (
            "one from the future",
            world.request_at(&paid("evt_1"), world.now() + hour)?,
            Refusal::FromTheFuture,
        ),
    ] {
        let answer = world.hub.receive("stripe", request).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (400, &b""[..]), "{what}");
        assert!(
            matches!(answer.outcome, ReceiveOutcome::Refused(refusal) if refusal == expected),
            "{what}: {:?}",
            answer.outcome
        );
    }
    let get = changed(&|request| request.method = http::Method::GET);
    assert_eq!(world.hub.receive("stripe", get).await.status, 405);

    world.work().await;
    assert!(world.handled().is_empty());
    let page = world.hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(9)).await?;
    assert!(page.items.is_empty());
    Ok(())
}

async fn unknown() -> Result<(), Failure> {
    let world = World::new()?;
    let never = SourceId::mint(world.now(), [7; 10]).to_string();
    // The platform's sources have ids as well, but their paths are their names.
    let by_id = "stripe".parse::<SourceName>()?.platform_id().to_string();

    for place in ["", "nobody", "STRIPE", "../stripe", "stripe/x", "src_", &never, &by_id] {
        let answer = world.hub.receive(place, world.request(&paid("evt_1"))?).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (404, &b""[..]), "{place}");
    }
    Ok(())
}

async fn closed() -> Result<(), Failure> {
    let world = World::with(|hub, log| {
        let square = PlatformSource::new("square", presets::generic())
            .secret("hush")
            .state(SourceState::NotImplemented);
        hub.source(square).on("square", "*", move |event: Incoming<Value>| {
            write_down(&log, &event);
            async {}
        })
    })?;
    let signer = super::world::signer(&presets::generic(), "hush")?;
    let send = async || -> Result<_, Failure> {
        let request = super::world::signed(&signer, br#"{"id":"evt_1","type":"stock"}"#, world.now())?;
        Ok(world.hub.receive("square", request).await)
    };

    let answer = send().await?;
    let problem: Value = serde_json::from_slice(&answer.body)?;
    assert_eq!((answer.status.as_u16(), &problem["status"]), (501, &json!(501)));
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    world.hub.switch_source("square", SourceState::Active).await?;
    assert_eq!(send().await?.status, 200);
    world.work().await;
    assert_eq!(world.handled(), ["evt_1"]);
    world.hub.switch_source("square", SourceState::Off).await?;
    assert_eq!(send().await?.status, 501);
    let unknown = world.hub.switch_source("nobody", SourceState::Active).await;
    assert_eq!(unknown.map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    Ok(())
}

async fn unparsable() -> Result<(), Failure> {
    let world = World::new()?;
    let signer = super::world::signer(&presets::stripe(), super::world::SECRET)?;
    for body in [&b"no json"[..], b"{\"id\": \xff}", b"[1, 2"] {
        let answer = world.hub.receive("stripe", super::world::signed(&signer, body, world.now())?).await;
        assert_eq!(answer.status, 200);
        assert!(matches!(answer.outcome, ReceiveOutcome::Unparsable), "{:?}", answer.outcome);
        // Ids of one millisecond are in no order.
        world.advance(Duration::from_secs(1));
    }

    world.work().await;

    assert!(world.handled().is_empty());
    let filter = ReceivedFilter::new().status(ReceivedStatus::Unparsable);
    let page = world.hub.platform_received().list(&filter, PageRequest::first(9)).await?;
    assert_eq!(page.items.len(), 3);
    let newest = world.hub.platform_received().find(page.items[0].received.id).await?;
    assert_eq!(&newest.received.body[..], b"[1, 2");
    Ok(())
}

async fn too_long() -> Result<(), Failure> {
    let world = World::new()?;
    let long = json!({"id": "evt_1", "type": "x", "filling": "x".repeat(1 << 20)});

    let answer = world.send(&long).await?;

    assert_eq!(answer.status, 413);
    assert_eq!(world.hub.body_cap("stripe").await?, Some(1 << 20));
    assert_eq!(world.hub.body_cap("nobody").await?, None);
    Ok(())
}

async fn bytes_survive() -> Result<(), Failure> {
    let world = World::new()?;
    let signer = super::world::signer(&presets::stripe(), super::world::SECRET)?;
    let body = format!(
        r#"{{ "id" : "evt_1", "type":"a", "n": 9007199254740993.10, "deep": {}{} }}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );

    let answer =
        world.hub.receive("stripe", super::world::signed(&signer, body.as_bytes(), world.now())?).await;

    assert_eq!(answer.status, 200);
    let page = world.hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(9)).await?;
    let record = world.hub.platform_received().find(page.items[0].received.id).await?;
    assert_eq!(&record.received.body[..], body.as_bytes());
    Ok(())
}

async fn failing_store() -> Result<(), Failure> {
    let store = Shaky::default();
    let given = store.clone();
    let world = World::with(|hub, log| {
        hub.inbound_store(given).on("stripe", "*", move |event: Incoming<Value>| {
            write_down(&log, &event);
            async {}
        })
    })?;
    assert_eq!(world.send(&paid("evt_0")).await?.status, 200);

    store.fails.store(true, Ordering::SeqCst);
    let failed = world.send(&paid("evt_1")).await?;
    assert_eq!((failed.status.as_u16(), failed.is_failure()), (503, true));
    assert!(matches!(failed.outcome, ReceiveOutcome::Failed(_)));
    store.fails.store(false, Ordering::SeqCst);
    store.hangs.store(true, Ordering::SeqCst);
    let request = world.request(&paid("evt_1"))?;
    let hub = world.hub.clone();
    let hanging = tokio::spawn(async move { hub.receive("stripe", request).await });
    while !hanging.is_finished() {
        // The clock's own sleeper is the deadline.
        world.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(hanging.await?.status, 503);
    store.hangs.store(false, Ordering::SeqCst);

    // The sender tries again.
    assert_eq!(world.send(&paid("evt_1")).await?.status, 200);
    world.work().await;
    assert_eq!(world.handled(), ["evt_0", "evt_1"]);
    Ok(())
}

fn unbuildable() -> Result<(), Failure> {
    let refused = crossdock::Hub::builder()
        .without_built_ins()
        .source(PlatformSource::new("stripe", presets::stripe()))
        .source(PlatformSource::new("Stripe!", presets::stripe()).secret("hush"))
        .source(PlatformSource::new("twilio", presets::twilio()).secret("hush"))
        .source(PlatformSource::new("later", presets::stripe()).state(SourceState::NotImplemented))
        .build()
        .expect_err("sources that cannot verify");

    let fields: Vec<_> = refused.problems().iter().map(|problem| &*problem.field).collect();
    assert_eq!(fields, ["sources[0].secrets", "sources[1].name", "sources[2].scheme"]);
    Ok(())
}

/// A store that fails, or hangs, when something is to be kept.
#[derive(Clone, Debug, Default)]
struct Shaky {
    inner: MemoryStore,
    fails: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

#[async_trait]
impl InboundStore for Shaky {
    fn durability(&self) -> Durability {
        InboundStore::durability(&self.inner)
    }

    async fn save_sources(
        &self,
        owner: &Owner,
        changes: Vec<SourceChange>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.inner.save_sources(owner, changes, activity, now).await
    }

    async fn source(&self, id: SourceId) -> Result<Option<Arc<Source>>> {
        self.inner.source(id).await
    }

    async fn platform_source(&self, name: &SourceName) -> Result<Option<Arc<Source>>> {
        self.inner.platform_source(name).await
    }

    async fn sources(&self, owner: &Owner, page: PageRequest) -> Result<Page<Arc<Source>>> {
        self.inner.sources(owner, page).await
    }

    async fn all_sources(&self, after: Option<SourceId>, limit: usize) -> Result<Vec<Arc<Source>>> {
        self.inner.all_sources(after, limit).await
    }

    async fn reseal_source(&self, id: SourceId, seals: Vec<ResealedSecret>) -> Result<u64> {
        self.inner.reseal_source(id, seals).await
    }

    async fn accept(&self, received: Vec<Received>, now: DateTime<Utc>) -> Result<Vec<Accepted>> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "keep what was received"));
        }
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.accept(received, now).await
    }

    async fn claim_received(&self, claim: InboundClaim) -> Result<InboundClaimed> {
        self.inner.claim_received(claim).await
    }

    async fn settle_received(
        &self,
        results: Vec<InboundSettlement>,
        now: DateTime<Utc>,
    ) -> Result<InboundSettled> {
        self.inner.settle_received(results, now).await
    }

    async fn received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
    ) -> Result<Page<ReceivedRecord>> {
        self.inner.received(owner, filter, page).await
    }

    async fn one_received(&self, owner: &Owner, id: ReceivedId) -> Result<Option<ReceivedRecord>> {
        self.inner.one_received(owner, id).await
    }

    async fn replay_received(
        &self,
        owner: &Owner,
        filter: &ReceivedFilter,
        page: PageRequest,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<Replayed> {
        self.inner.replay_received(owner, filter, page, activity, now).await
    }

    async fn erase_received(
        &self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<InboundErasure> {
        self.inner.erase_received(owner, subject, now).await
    }

    async fn examine_received(&self, now: DateTime<Utc>) -> Result<InboundExamination> {
        self.inner.examine_received(now).await
    }

    async fn tidy_received(&self, retention: InboundRetention, now: DateTime<Utc>) -> Result<u64> {
        self.inner.tidy_received(retention, now).await
    }
}
