//! Who may look, who may change, who may do neither.

use std::error::Error as StdError;

use chrono::{DateTime, TimeDelta};
use crossdock::activity::ActivityFilter;
use crossdock::hub::Admin;
use crossdock::primitives::{DeliveryId, EventId, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::{AccessPolicy, Actor, Denial, Role};
use crossdock::webhooks::{
    DefaultsUpdate, DeliveryQuery, NewReplay, NewWebhook, ReplayQuery, Rotation, StoppedHead, WebhookQuery,
    WebhookStep, WebhookUpdate, WebhookView,
};
use crossdock::{Error, ErrorKind};
use libtest_mimic::Trial;

use super::{Told, house, house_with, story, tenant_id};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("each_role_may_do_what_the_policy_says_and_nothing_else", each_role),
        story("a_contract_without_the_needed_module_may_look_but_not_change", modules),
        story("gated_event_types_are_unknown_without_their_module", gated_types),
    ]
}

/// The ids that a call names.
#[derive(Clone)]
pub(super) struct Ids {
    pub(super) view: WebhookView,
    pub(super) webhook: WebhookId,
    pub(super) delivery: DeliveryId,
    pub(super) event: EventId,
    pub(super) replay: ReplayId,
    pub(super) subject: String,
}

/// Calls that only look.
pub(super) const READS: &[&str] = &[
    "webhook",
    "webhooks",
    "backlog",
    "diagnose",
    "diagnose_type",
    "diagnose_event",
    "deliveries",
    "deliveries of a webhook",
    "deliveries of an event",
    "delivery",
    "attempts",
    "preview",
    "replay",
    "replays",
    "event types",
    "event type",
    "defaults",
    "activity",
    "activity of a webhook",
    "errors",
    "ends of the chain",
    "verify",
];

/// Calls that change something.
pub(super) const CHANGES: &[&str] = &[
    "create",
    "update",
    "pause",
    "resume",
    "disable",
    "enable",
    "delete",
    "rotate",
    "test",
    "apply",
    "release",
    "resend",
    "start replay",
    "cancel replay",
    "update defaults",
    "erase",
];

/// Makes one call of the administrators' API and answers with what can be seen of it.
pub(super) async fn call(admin: &Admin, name: &str, ids: Ids) -> Result<String, Error> {
    let (webhooks, deliveries, replays) = (admin.webhooks(), admin.deliveries(), admin.replays());
    let Ids { mut view, webhook, delivery, event, replay, subject } = ids;
    view.id = webhook;
    let past = DateTime::UNIX_EPOCH;
    let span = NewReplay::undelivered(webhook, past, past + TimeDelta::days(1));
    let mut about = ActivityFilter::default();
    about.subject = Some(webhook.into());
    let first = PageRequest::first(10);
    Ok(match name {
        "webhook" => format!("{:?}", webhooks.webhook(webhook).await?),
        "webhooks" => format!("{:?}", webhooks.list(WebhookQuery::new().with_health().with_backlog()).await?),
        "backlog" => format!("{:?}", webhooks.backlog().await?),
        "diagnose" => format!("{:?}", webhooks.diagnose(webhook).await?),
        "diagnose_type" => format!("{:?}", webhooks.diagnose_type(webhook, "order.paid").await?),
        "diagnose_event" => format!("{:?}", webhooks.diagnose_event(webhook, event).await?),
        "deliveries" => format!("{:?}", deliveries.list(DeliveryQuery::new().with_attempts()).await?),
        "deliveries of a webhook" => {
            format!("{:?}", deliveries.list(DeliveryQuery::new().webhook(webhook)).await?)
        }
        "deliveries of an event" => {
            format!("{:?}", deliveries.list(DeliveryQuery::new().event(event)).await?)
        }
        "delivery" => format!("{:?}", deliveries.delivery(delivery).await?),
        "attempts" => format!("{:?}", deliveries.attempts(delivery).await?),
        "preview" => format!("{:?}", replays.preview(span).await?),
        "replay" => format!("{:?}", replays.replay(replay).await?),
        "replays" => format!("{:?}", replays.list(ReplayQuery::new()).await?),
        "event types" => format!("{:?}", admin.event_types()?),
        "event type" => format!("{:?}", admin.event_type("order.paid")?),
        "defaults" => format!("{:?}", admin.defaults().await?),
        "activity" => format!("{:?}", admin.activity().list(&ActivityFilter::default(), first).await?),
        "activity of a webhook" => format!("{:?}", admin.activity().list(&about, first).await?),
        "errors" => format!("{:?}", admin.activity().list(&ActivityFilter::errors(), first).await?),
        "ends of the chain" => format!("{:?}", admin.activity().chain_ends().await?),
        "verify" => format!("{:?}", admin.activity().verify(None).await?),
        "create" => {
            let new = NewWebhook::new("ERP", "https://erp.example.com/hooks").events(["order.*"]);
            webhooks.create(new).await.map(drop).map(|()| String::new())?
        }
        "update" => format!("{:?}", webhooks.update(WebhookUpdate::of(&view).name("renamed")).await?),
        "pause" => format!("{:?}", webhooks.pause(webhook).await?),
        "resume" => format!("{:?}", webhooks.resume(webhook).await?),
        "disable" => format!("{:?}", webhooks.disable(webhook).await?),
        "enable" => format!("{:?}", webhooks.enable(webhook).await?),
        "delete" => format!("{:?}", webhooks.delete(webhook).await?),
        "rotate" => format!("{:?}", webhooks.rotate(webhook, Rotation::new()).await?),
        "test" => format!("{:?}", webhooks.test(webhook, "order.placed").await?),
        "apply" => format!("{:?}", webhooks.apply(vec![WebhookStep::pause(webhook)]).await?),
        "release" => format!("{:?}", webhooks.release_stopped(webhook, StoppedHead::Retry).await?),
        "resend" => format!("{:?}", deliveries.resend(delivery).await?),
        "start replay" => format!("{:?}", replays.start(span).await?),
        "cancel replay" => format!("{:?}", replays.cancel(replay).await?),
        "update defaults" => {
            let seen = admin.defaults().await?;
            format!("{:?}", admin.update_defaults(DefaultsUpdate::of(&seen)).await?)
        }
        "erase" => format!("{:?}", admin.erase_subject(&subject).await?),
        other => panic!("there is no call `{other}`"),
    })
}

/// Ids that mean nothing to anybody.
pub(super) fn unknown(view: WebhookView) -> Ids {
    let (time, random) = (DateTime::UNIX_EPOCH, [9; 10]);
    Ids {
        webhook: WebhookId::mint(time, random),
        delivery: DeliveryId::mint(time, random),
        event: EventId::mint(time, random),
        replay: ReplayId::mint(time, random),
        subject: "nobody".into(),
        view,
    }
}

fn denial(result: Result<String, Error>) -> Option<Denial> {
    let error = result.err().filter(|error| error.kind() == ErrorKind::Denied)?;
    let source = StdError::source(&error).expect("a denial says why");
    Some(*source.downcast_ref::<Denial>().expect("why is a `Denial`"))
}

async fn each_role() -> Told {
    let house = house()?;
    let id = house.subscribe("t", "https://erp.example.com/hooks").await?;
    let view = house.admin("t").webhooks().webhook(id).await?;

    for (role, looking, changing) in [
        (Role::Member, None, Some(Denial::NotAnAdministrator)),
        (Role::SuperAdmin, Some(Denial::AboveTheTenant), Some(Denial::AboveTheTenant)),
        (Role::OrgAdmin, None, None),
        (Role::System, None, None),
    ] {
        let admin = house.hub.admin(Actor::new(tenant_id("t"), "somebody", role));
        for name in READS {
            assert_eq!(denial(call(&admin, name, unknown(view.clone())).await), looking, "{role:?} {name}");
        }
        for name in CHANGES {
            assert_eq!(denial(call(&admin, name, unknown(view.clone())).await), changing, "{role:?} {name}");
        }
    }
    Ok(())
}

async fn modules() -> Told {
    let policy = AccessPolicy::default().manage_requires_any(["edi", "api"]);
    let house = house_with(|receivers| receivers, |builder| builder.access(policy))?;
    let entitled = house.hub.admin(Actor::org_admin(tenant_id("t"), "ada").with_entitlement("api"));
    let new = || NewWebhook::to("https://erp.example.com/").events(["order.*"]);

    let view = entitled.webhooks().create(new()).await?.webhook;

    let plain = house.admin("t");
    for name in READS {
        assert_eq!(denial(call(&plain, name, unknown(view.clone())).await), None, "{name}");
    }
    for name in CHANGES {
        let denied = denial(call(&plain, name, unknown(view.clone())).await);
        assert_eq!(denied, Some(Denial::NotEntitled), "{name}");
    }
    Ok(())
}

async fn gated_types() -> Told {
    let house = house()?;
    let plain = house.admin("t");
    let planner = house.hub.admin(Actor::org_admin(tenant_id("t"), "ada").with_entitlement("planning"));
    let names = |admin: &Admin| -> Result<Vec<String>, Error> {
        Ok(admin.event_types()?.iter().map(|entry| entry.event_type().to_string()).collect())
    };
    let new = |pattern: &str| NewWebhook::to("https://erp.example.com/").events([pattern]);

    assert_eq!(names(&plain)?, ["order.placed", "order.paid", "stock.counted"]);
    assert_eq!(names(&planner)?.len(), 4);
    assert!(planner.event_type("forecast.published").is_ok());
    // Gated and unknown look alike.
    for name in ["forecast.published", "forecast.unheard_of"] {
        let error = plain.event_type(name).expect_err("hidden");
        assert_eq!(error.to_string(), "could not read event type: not found");
    }

    let id = plain.webhooks().create(new("*")).await?.webhook.id;
    let hidden = plain.webhooks().create(new("forecast.published")).await.expect_err("gated");
    let unheard_of = plain.webhooks().create(new("forecast.unheard_of")).await.expect_err("unknown");
    assert_eq!(
        hidden.to_string().replace("published", "unheard_of"),
        unheard_of.to_string(),
        "a refusal must not tell that the type exists"
    );
    let tested = [
        plain.webhooks().test(id, "forecast.published").await.expect_err("gated").to_string(),
        plain.webhooks().test(id, "forecast.unheard_of").await.expect_err("unknown").to_string(),
    ];
    assert_eq!(tested[0], tested[1]);

    // A star opens no gate; the module does.
    planner.webhooks().create(new("*")).await?;
    house.publish("t", "forecast.published").await?;
    house.work().await;
    let heard: Vec<_> =
        house.deliveries("t").await?.into_iter().map(|record| record.delivery.webhook).collect();
    assert_eq!(heard.len(), 1);
    assert_ne!(heard[0], id);
    Ok(())
}
