//! What one tenant's administrators see and change, and another's do not.

use std::time::Duration;

use crossdock::activity::{ActivityFilter, ActivityKind};
use crossdock::adapters::MemoryStore;
use crossdock::hub::Admin;
use crossdock::inbound::{
    InboundRequest, Incoming, NewSource, ReceivedFilter, ReceivedStatus, SourceState, SourceUpdate, presets,
};
use crossdock::ports::Clock;
use crossdock::primitives::{PageRequest, ReceivedId, SourceId};
use crossdock::tenancy::Actor;
use crossdock::{ErrorKind, Hub, Result, SystemClock};
use libtest_mimic::Trial;
use serde_json::Value;

use super::world::{Failure, World, play, signed, signer, write_down};
use crate::durable::ground::vault;
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("inbound::a_tenants_source_receives_until_it_is_switched_off_or_deleted", || play(life())),
        rule("inbound::old_secrets_count_until_the_overlap_ends", || play(rotation())),
        rule("inbound::another_tenants_ids_answer_like_missing_ones", || play(strangers())),
        rule("inbound::who_may_not_is_told_so_before_anything_is_looked_at", || play(denied())),
        rule("inbound::a_tenants_source_cannot_take_the_name_of_the_platforms", || play(disguise())),
        rule("inbound::no_secret_is_shown_anywhere", || play(canary())),
    ]
}

const HUSH: &str = "hush-hush-canary";

fn world() -> Result<World, Failure> {
    World::with(|hub, log| {
        hub.on("shop", "*", move |event: Incoming<Value>| {
            write_down(&log, &event);
            async {}
        })
    })
}

fn admin(hub: &Hub, tenant: &str) -> Result<Admin, Failure> {
    Ok(hub.admin(Actor::org_admin(tenant.parse()?, "ada")))
}

fn shop() -> NewSource {
    NewSource::new("shop", presets::generic()).title("Our shop").secret(HUSH)
}

fn request(secret: &str, id: &str) -> Result<InboundRequest, Failure> {
    let body = format!(r#"{{"id":"{id}","type":"order.made"}}"#);
    signed(&signer(&presets::generic(), secret)?, body.as_bytes(), SystemClock::new().now())
}

fn kind_of<T: std::fmt::Debug>(answer: Result<T>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind())
}

/// Handlers are chosen by the source's name, and a tenant knows the secret of its own.
async fn disguise() -> Result<(), Failure> {
    let world = World::new()?;
    let acme = admin(&world.hub, "acme")?;
    let new = || NewSource::new("stripe", presets::generic()).secret(HUSH);

    let refused = acme.sources().create(new()).await.err().ok_or("it is refused")?;
    assert_eq!((refused.kind(), &*refused.problems()[0].field), (ErrorKind::Invalid, "name"));

    // One that was there before the platform had a source of this name: what it receives is kept, and no handler hears of it.
    let store = MemoryStore::new();
    let before = Hub::builder().store(store.clone()).inbound_store(store.clone()).vault(vault()).build()?;
    let source = admin(&before, "acme")?.sources().create(new()).await?;
    let world = World::with(|hub, log| {
        let hub = hub.store(store.clone()).inbound_store(store.clone()).vault(vault());
        hub.on("stripe", "*", move |event: Incoming<Value>| {
            write_down(&log, &event);
            async {}
        })
    })?;
    let sent = world.hub.receive(&source.id.to_string(), request(HUSH, "evt_1")?).await;
    assert_eq!(sent.status.as_u16(), 200);
    world.work().await;
    assert_eq!(world.handled(), Vec::<String>::new());
    let kept =
        admin(&world.hub, "acme")?.received().list(&ReceivedFilter::default(), PageRequest::first(9)).await?;
    assert_eq!(kept.items[0].status, ReceivedStatus::Ignored);
    Ok(())
}

async fn life() -> Result<(), Failure> {
    let world = world()?;
    let acme = admin(&world.hub, "acme")?;
    let source = acme.sources().create(shop()).await?;
    let place = source.id.to_string();
    let send = async |id: &str| -> Result<u16, Failure> {
        // Ids of one millisecond are in no order.
        world.advance(Duration::from_millis(10));
        Ok(world.hub.receive(&place, request(HUSH, id)?).await.status.as_u16())
    };

    assert_eq!(send("evt_1").await?, 200);
    let renamed =
        acme.sources().update(source.id, SourceUpdate::of(source.version).title("The shop")).await?;
    assert_eq!((&*renamed.title, send("evt_2").await?), ("The shop", 200));
    let stale = acme.sources().update(source.id, SourceUpdate::of(source.version).title("x")).await;
    assert_eq!(kind_of(stale), Some(ErrorKind::Conflict));
    acme.sources().switch(source.id, SourceState::Off).await?;
    assert_eq!(send("evt_3").await?, 501);
    acme.sources().switch(source.id, SourceState::Active).await?;
    assert_eq!(send("evt_3").await?, 200);
    world.work().await;
    assert_eq!(world.handled(), ["evt_1", "evt_2", "evt_3"]);
    acme.sources().delete(source.id).await?;
    assert_eq!(send("evt_4").await?, 404);

    let page = acme.received().list(&ReceivedFilter::new().source(source.id), PageRequest::first(9)).await?;
    assert_eq!(page.items.len(), 3);
    acme.received().replay(page.items[0].received.id).await?;
    world.work().await;
    assert_eq!(world.handled().last().map(String::as_str), Some("evt_3"));
    let log = acme.activity().list(&ActivityFilter::default(), PageRequest::first(99)).await?;
    let mut kinds: Vec<_> = log.items.iter().map(|entry| entry.kind.as_str()).collect();
    kinds.reverse();
    assert_eq!(
        kinds,
        [
            "source.created",
            "source.updated",
            "source.switched",
            "source.switched",
            "source.deleted",
            "received.replayed"
        ]
    );
    Ok(())
}

async fn rotation() -> Result<(), Failure> {
    let world = world()?;
    let acme = admin(&world.hub, "acme")?;
    let source = acme.sources().create(shop()).await?;
    let place = source.id.to_string();
    let send = async |secret: &str, id: &str| -> Result<u16, Failure> {
        Ok(world.hub.receive(&place, request(secret, id)?).await.status.as_u16())
    };

    let rotated = acme.sources().rotate(source.id, "new-secret", Duration::from_secs(3_600)).await?;

    assert_eq!(rotated.secrets.len(), 2);
    assert_eq!((send(HUSH, "a").await?, send("new-secret", "b").await?), (200, 200));
    world.advance(Duration::from_secs(3_601));
    assert_eq!((send(HUSH, "c").await?, send("new-secret", "d").await?), (401, 200));
    acme.sources().rotate(source.id, "newest", Duration::ZERO).await?;
    assert_eq!((send("new-secret", "e").await?, send("newest", "f").await?), (401, 200));
    Ok(())
}

async fn strangers() -> Result<(), Failure> {
    let world = world()?;
    let (acme, other) = (admin(&world.hub, "acme")?, admin(&world.hub, "other")?);
    let source = acme.sources().create(shop()).await?;
    world.hub.receive(&source.id.to_string(), request(HUSH, "evt_1")?).await;
    let item =
        acme.received().list(&ReceivedFilter::new(), PageRequest::first(1)).await?.items[0].received.id;
    let never = SourceId::mint(world.clock.now(), [1; 10]);
    let never_received = ReceivedId::mint(world.clock.now(), [1; 10]);

    let words = |answer: Result<String>| answer.map_err(|error| error.to_string());
    for (foreign, missing) in [(source.id, never)] {
        let sources = other.sources();
        let update = || SourceUpdate::of(source.version).title("mine");
        let both = [
            [
                sources.find(foreign).await.map(|found| found.title),
                sources.find(missing).await.map(|found| found.title),
            ],
            [
                sources.update(foreign, update()).await.map(|found| found.title),
                sources.update(missing, update()).await.map(|found| found.title),
            ],
            [
                sources.switch(foreign, SourceState::Off).await.map(|found| found.title),
                sources.switch(missing, SourceState::Off).await.map(|found| found.title),
            ],
            [
                sources.rotate(foreign, "x", Duration::ZERO).await.map(|found| found.title),
                sources.rotate(missing, "x", Duration::ZERO).await.map(|found| found.title),
            ],
            [
                sources.delete(foreign).await.map(|()| String::new()),
                sources.delete(missing).await.map(|()| String::new()),
            ],
        ];
        for [foreign, missing] in both {
            assert_eq!(foreign.as_ref().map_err(crossdock::Error::kind).err(), Some(ErrorKind::NotFound));
            assert_eq!(words(foreign), words(missing));
        }
    }
    let received = other.received();
    let found = [received.find(item).await, received.find(never_received).await];
    let replayed = [received.replay(item).await, received.replay(never_received).await];
    for answer in found.into_iter().map(|answer| answer.map(drop)).chain(replayed) {
        assert_eq!(kind_of(answer), Some(ErrorKind::NotFound));
    }
    assert!(other.sources().list(PageRequest::first(9)).await?.items.is_empty());
    assert!(received.list(&ReceivedFilter::new(), PageRequest::first(9)).await?.items.is_empty());
    let platform = world.hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(9)).await?;
    assert!(platform.items.is_empty());

    assert_eq!(acme.sources().find(source.id).await?, source);
    assert_eq!(acme.received().find(item).await?.status, ReceivedStatus::Pending);
    Ok(())
}

async fn denied() -> Result<(), Failure> {
    let world = world()?;
    let source = admin(&world.hub, "acme")?.sources().create(shop()).await?;
    let member = world.hub.admin(Actor::member("acme".parse()?, "grace"));
    let above = world.hub.admin(Actor::super_admin("acme".parse()?, "root"));

    assert_eq!(member.sources().list(PageRequest::first(9)).await?.items.len(), 1);
    for admin in [&member, &above] {
        let sources = admin.sources();
        let denied = [
            kind_of(sources.create(NewSource::new("", presets::generic())).await),
            kind_of(sources.update(source.id, SourceUpdate::of(source.version)).await),
            kind_of(sources.switch(source.id, SourceState::Off).await),
            kind_of(sources.rotate(source.id, "", Duration::ZERO).await),
            kind_of(sources.delete(source.id).await),
            kind_of(admin.received().replay_all(&ReceivedFilter::new(), PageRequest::first(9)).await),
        ];
        assert_eq!(denied, [Some(ErrorKind::Denied); 6]);
    }
    assert_eq!(kind_of(above.sources().list(PageRequest::first(9)).await), Some(ErrorKind::Denied));
    let all = ReceivedFilter::new();
    assert_eq!(kind_of(above.received().list(&all, PageRequest::first(9)).await), Some(ErrorKind::Denied));
    Ok(())
}

async fn canary() -> Result<(), Failure> {
    let world = world()?;
    let acme = admin(&world.hub, "acme")?;
    let new = shop();
    let shown = format!("{new:?}");
    let source = acme.sources().create(new).await?;
    let request = request(HUSH, "evt_1")?;
    let answer = world.hub.receive(&source.id.to_string(), request.clone()).await;
    let mut forged = request.clone();
    forged.body = b"{}".to_vec().into();
    let forged = world.hub.receive(&source.id.to_string(), forged).await;
    let log = acme.activity().list(&ActivityFilter::default(), PageRequest::first(99)).await?;
    let page = acme.received().list(&ReceivedFilter::new(), PageRequest::first(9)).await?;

    let texts = [
        shown,
        format!("{source:?} {answer:?} {forged:?} {request:?}"),
        format!("{log:?} {page:?} {:?}", world.hub),
        serde_json::to_string(&source.scheme)?,
    ];
    for text in texts {
        assert!(!text.contains(HUSH), "{text}");
    }
    assert!(log.items.iter().any(|entry| entry.kind == ActivityKind::SourceCreated));
    Ok(())
}
