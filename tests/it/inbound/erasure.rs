//! What was received about somebody goes, and whoever else's stays.

use crossdock::SystemClock;
use crossdock::activity::{ActivityFilter, ActivityKind};
use crossdock::inbound::{
    InboundErasure, InboundRequest, Incoming, NewSource, ReceivedFilter, ReceivedStatus, Route, presets,
};
use crossdock::ports::Clock;
use crossdock::primitives::PageRequest;
use crossdock::tenancy::Actor;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::world::{Failure, World, play, signed, signer, write_down};
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("inbound::what_is_about_a_subject_is_erased_and_not_handled", || play(platform())),
        rule("inbound::a_tenant_erases_what_its_own_sources_received", || play(tenants())),
    ]
}

fn world() -> Result<World, Failure> {
    World::with(|hub, log| {
        let route = |source: &str| {
            let log = log.clone();
            Route::new(source, "*", move |event: Incoming<Value>| {
                write_down(&log, &event);
                async {}
            })
        };
        hub.route(route("stripe").about("/data/customer")).route(route("shop").about("/customer"))
    })
}

async fn platform() -> Result<(), Failure> {
    let world = world()?;
    for (id, customer) in [("evt_1", "cus_1"), ("evt_2", "cus_2"), ("evt_3", "cus_1")] {
        let event = json!({"id": id, "type": "invoice.paid", "data": {"customer": customer}});
        assert_eq!(world.send(&event).await?.status, 200);
        if id == "evt_1" {
            world.work().await;
        }
    }

    let erasure = world.hub.erase_platform_subject("cus_1").await?;

    assert_eq!(erasure, InboundErasure::new(2, 1));
    world.work().await;
    assert_eq!(world.handled(), ["evt_1", "evt_2"], "what was erased is not handled any more");
    let page = world.hub.platform_received().list(&ReceivedFilter::new(), PageRequest::first(9)).await?;
    let mut found: Vec<_> = page.items.iter().map(|item| (item.status, item.has_body)).collect();
    found.sort_by_key(|(status, has_body)| (status.number(), *has_body));
    let expected =
        [(ReceivedStatus::Done, false), (ReceivedStatus::Done, true), (ReceivedStatus::Erased, false)];
    assert_eq!(found, expected);
    Ok(())
}

async fn tenants() -> Result<(), Failure> {
    const HUSH: &str = "hush";
    let world = world()?;
    let admin = |tenant: &str| -> Result<_, Failure> {
        Ok(world.hub.admin(Actor::org_admin(tenant.parse()?, "ada")))
    };
    let request = || -> Result<InboundRequest, Failure> {
        let body = br#"{"id":"evt_1","type":"order.made","customer":"canary-customer"}"#;
        signed(&signer(&presets::generic(), HUSH)?, body, SystemClock::new().now())
    };
    for tenant in ["acme", "other"] {
        let new = NewSource::new("shop", presets::generic()).secret(HUSH);
        let source = admin(tenant)?.sources().create(new).await?;
        assert_eq!(world.hub.receive(&source.id.to_string(), request()?).await.status, 200);
    }

    let erasure = admin("acme")?.erase_subject("canary-customer").await?;

    assert_eq!((erasure.events, erasure.received, erasure.unhandled), (0, 1, 1));
    world.work().await;
    assert_eq!(world.handled(), ["evt_1"], "the other tenant's is handled");
    let log = admin("acme")?.activity().list(&ActivityFilter::default(), PageRequest::first(9)).await?;
    assert!(log.items.iter().any(|entry| entry.kind == ActivityKind::SubjectErased));
    assert!(!format!("{log:?}").contains("canary-customer"));
    Ok(())
}
