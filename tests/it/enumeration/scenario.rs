//! What a host, its administrators and its workers do in the world: everything that the ports are there for, once.

use std::collections::BTreeMap;
use std::time::Duration;

use crossdock::activity::ActivityFilter;
use crossdock::events::NewEvent;
use crossdock::hub::Admin;
use crossdock::primitives::{EventId, PageRequest, ReplayId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{
    DefaultsUpdate, DeliveryQuery, LaneStop, NewReplay, NewWebhook, Ordered, Ordering, ReplayQuery,
    ReplayState, Rotation, StoppedHead, WebhookQuery, WebhookUpdate, WebhookView,
};
use crossdock::{ErrorKind, Hub, Result};

use super::rules;
use super::world::World;

/// What the host and its administrators know.
pub(super) struct Scenario<'a> {
    pub(super) world: &'a World,
    pub(super) tenants: [TenantId; 2],
    /// What the host was told, by the name that it gave to each publication.
    pub(super) accepted: BTreeMap<String, EventId>,
    published: usize,
}

type Story = Result<(), Box<dyn std::error::Error>>;

const A_WHILE: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl<'a> Scenario<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        let tenant = |name: &str| name.parse().expect("a tenant");
        Self {
            world,
            tenants: [tenant("tenant_0"), tenant("tenant_1")],
            accepted: BTreeMap::new(),
            published: 0,
        }
    }

    pub(super) async fn play(&mut self) -> Story {
        self.subscribe().await?;
        self.publish_and_deliver().await?;
        self.shut_down().await?;
        self.administrate().await?;
        self.repair().await?;
        self.change_keys().await?;
        self.world.work(A_WHILE).await;
        self.look().await?;
        rules::all_is_well(self).await?;
        self.outlive_the_retention().await
    }

    /// Two tenants; each webhook's receiver fails in its own way.
    async fn subscribe(&self) -> Story {
        let ordered = |by, on_exhausted| Ordering::Ordered { by, on_exhausted };
        let new = |tenant: &TenantId, name: &str| {
            let host = format!("{name}.{}.example.com", tenant.as_str().replace('_', "-"));
            NewWebhook::new(name, format!("https://{host}/")).events(["thing.*"])
        };
        let [first, second] = &self.tenants;
        let keyed = ordered(Ordered::ByKey, LaneStop::Skip);
        let whole = ordered(Ordered::All, LaneStop::Stop);
        for (tenant, wanted) in [
            (first, new(first, "anchor")),
            (first, new(first, "keyed").ordering(keyed)),
            (first, new(first, "whole").ordering(whole)),
            (first, new(first, "narrow").max_in_flight(1)),
            (first, new(first, "gone")),
            (first, new(first, "refuser").rate_limit(5.0, 2)),
            (second, new(second, "anchor")),
            (second, new(second, "flaky").unsigned()),
            (second, new(second, "busy")),
            (second, new(second, "lossy")),
            (second, new(second, "notices").events(["webhook.*"])),
        ] {
            self.create_once(tenant, wanted).await?;
        }
        let update = async |admin: Admin| {
            let seen = admin.defaults().await?;
            admin.update_defaults(DefaultsUpdate::of(&seen).timeout(Duration::from_secs(9))).await
        };
        self.world.administrate(first, update).await?;
        Ok(())
    }

    /// Whoever does not hear whether it was made looks first before it is made again.
    async fn create_once(&self, tenant: &TenantId, wanted: NewWebhook) -> Story {
        let names = |views: &[WebhookView]| views.iter().map(|view| view.name.clone()).collect::<Vec<_>>();
        let before = names(&self.webhooks(tenant).await?);
        let act = async |admin: Admin| {
            let page = admin.webhooks().list(WebhookQuery::new().limit(100)).await?;
            if names(&page.items).len() > before.len() {
                return Ok(());
            }
            admin.webhooks().create(wanted.clone()).await.map(drop)
        };
        Ok(self.world.administrate(tenant, act).await?)
    }

    async fn publish_and_deliver(&mut self) -> Story {
        let cursed = self.publish(0, |event| event.with_ordering_key("a").with_subject("bob")).await?;
        self.world.receivers.curse(cursed);
        self.publish(1, |event| event).await?;
        self.publish_many([(0, "a"), (1, "b"), (0, "b"), (0, "a")]).await?;
        // The host asks once more for what it has been told already.
        self.publish_again().await?;
        self.world.work_together(A_WHILE).await;

        // The order that stands still goes on without its head.
        let whole = self.webhook(0, "whole").await?.id;
        let skip = async |admin: Admin| admin.webhooks().release_stopped(whole, StoppedHead::Skip).await;
        self.world.administrate(&self.tenants[0], skip).await?;
        Ok(())
    }

    /// Workers are shut down with a request in flight that does not end, and with claims on their way.
    async fn shut_down(&mut self) -> Story {
        self.publish(0, |event| event).await?;
        self.world.work_until_shutdown(|_, ledger| !ledger.books().live.is_empty()).await;
        self.publish(1, |event| event).await?;
        self.publish(0, |event| event).await?;
        self.world.work_until_shutdown(|plan, _| plan.is_under_way("claim")).await;
        Ok(())
    }

    async fn administrate(&mut self) -> Story {
        let (anchor, keyed) = (self.webhook(0, "anchor").await?.id, self.webhook(0, "keyed").await?.id);
        let busy = self.webhook(1, "busy").await?.id;
        let [first, second] = self.tenants.clone();

        let rotate = async |admin: Admin| match admin.webhooks().rotate(anchor, Rotation::new()).await {
            // Whoever has not heard of five new secrets must wait until the first one ends.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            other => other.map(drop),
        };
        self.world.administrate(&first, rotate).await?;
        let pause = async |admin: Admin| admin.webhooks().pause(keyed).await.map(drop);
        self.world.administrate(&first, pause).await?;
        let disable = async |admin: Admin| admin.webhooks().disable(busy).await.map(drop);
        self.world.administrate(&second, disable).await?;
        self.publish(0, |event| event.with_ordering_key("b")).await?;
        self.publish(1, |event| event).await?;
        self.world.work(A_WHILE).await;

        let resume = async |admin: Admin| admin.webhooks().resume(keyed).await.map(drop);
        self.world.administrate(&first, resume).await?;
        let enable = async |admin: Admin| admin.webhooks().enable(busy).await.map(drop);
        self.world.administrate(&second, enable).await?;
        let slow_down = async |admin: Admin| {
            let seen = admin.webhooks().webhook(anchor).await?;
            admin.webhooks().update(WebhookUpdate::of(&seen).max_in_flight(3)).await.map(drop)
        };
        self.world.administrate(&first, slow_down).await?;

        self.world.receivers.expect_tests(true);
        let test = async |admin: Admin| admin.webhooks().test(anchor, "thing.happened").await.map(drop);
        self.world.administrate(&first, test).await?;
        self.world.receivers.expect_tests(false);
        Ok(())
    }

    async fn repair(&mut self) -> Story {
        let [first, second] = self.tenants.clone();
        let (busy, flaky) = (self.webhook(1, "busy").await?.id, self.webhook(1, "flaky").await?.id);
        let (begin, end) = (self.world.ground.begin, self.world.now());

        // What the disabled one has missed, and then everything once more, which is thought better of.
        let missed = NewReplay::undelivered(busy, begin, end);
        let replay = self.replay_once(&second, missed).await?;
        self.world.work_together(A_WHILE).await;
        let state = async |admin: Admin| admin.replays().replay(replay).await.map(|replay| replay.state);
        if self.world.administrate(&second, state).await? != ReplayState::Completed {
            return Err("a replay does not end".into());
        }
        let unwanted = self.replay_once(&second, NewReplay::everything(flaky, begin, end).rate(1)).await?;
        self.world.work(Duration::from_secs(1)).await;
        let cancel = async |admin: Admin| match admin.replays().cancel(unwanted).await {
            // It has ended by now, or somebody was not told that it was cancelled.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            other => other.map(drop),
        };
        self.world.administrate(&second, cancel).await?;

        let narrow = self.webhook(0, "narrow").await?.id;
        let resend = async |admin: Admin| {
            let page =
                admin.deliveries().list(DeliveryQuery::new().webhook(narrow).delivered().limit(1)).await?;
            let Some(record) = page.items.first() else { return Ok(()) };
            admin.deliveries().resend(record.delivery.id).await.map(drop)
        };
        self.world.administrate(&first, resend).await?;
        let erase = async |admin: Admin| admin.erase_subject("bob").await.map(drop);
        self.world.administrate(&first, erase).await?;
        let refuser = self.webhook(0, "refuser").await?.id;
        let delete = async |admin: Admin| match admin.webhooks().delete(refuser).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        };
        self.world.administrate(&first, delete).await?;
        Ok(())
    }

    async fn replay_once(&self, tenant: &TenantId, wanted: NewReplay) -> Result<ReplayId> {
        let list = async |admin: Admin| admin.replays().list(ReplayQuery::new()).await;
        let before = self.world.administrate(tenant, list).await?.items.len();
        let start = async |admin: Admin| {
            let page = admin.replays().list(ReplayQuery::new()).await?;
            match page.items.first() {
                Some(replay) if page.items.len() > before => Ok(replay.id),
                _ => {
                    admin.replays().preview(wanted.clone()).await?;
                    Ok(admin.replays().start(wanted.clone()).await?.id)
                }
            }
        };
        self.world.administrate(tenant, start).await
    }

    /// Everything that can be looked at; nobody sees another tenant.
    async fn look(&self) -> Story {
        for tenant in &self.tenants {
            let look = async |admin: Admin| {
                let webhooks =
                    admin.webhooks().list(WebhookQuery::new().with_health().with_backlog()).await?;
                admin.webhooks().backlog().await?;
                let query = DeliveryQuery::new().with_payload().with_attempts().limit(100);
                let page = admin.deliveries().list(query).await?;
                let Some(record) = page.items.first() else { return Ok(None) };
                admin.deliveries().delivery(record.delivery.id).await?;
                admin.deliveries().attempts(record.delivery.id).await?;
                admin.webhooks().diagnose_event(webhooks.items[0].id, record.delivery.event).await?;
                admin.activity().list(&ActivityFilter::default(), PageRequest::first(10)).await?;
                let strangers = page.items.iter().find(|record| record.delivery.tenant != *tenant);
                Ok(strangers.map(|record| record.delivery.clone()))
            };
            if let Some(stranger) = self.world.administrate(tenant, look).await? {
                return Err(format!("tenants never see one another: {tenant} sees {stranger:?}").into());
            }
        }
        let event = NewEvent::new(self.tenants[0].clone(), "thing.happened", &serde_json::json!({}))?;
        self.world.insist(async |hub: Hub| hub.explain(&event).await).await?;
        self.world.insist(async |hub: Hub| Ok(hub.doctor().await)).await?;
        Ok(())
    }

    async fn change_keys(&self) -> Story {
        self.world.change_keys();
        self.world.insist(async |hub: Hub| hub.rewrap().await).await?;
        Ok(())
    }

    /// Retention takes what has ended, and nothing that still waits.
    async fn outlive_the_retention(&mut self) -> Story {
        let first = self.tenants[0].clone();
        let anchor = self.webhook(0, "anchor").await?.id;
        let pause = async |admin: Admin| admin.webhooks().pause(anchor).await.map(drop);
        self.world.administrate(&first, pause).await?;
        let waiting = self.publish(0, |event| event).await?;
        self.world.work(A_WHILE).await;
        self.world.clock.advance(40 * DAY);
        self.world.work(A_WHILE).await;
        let resume = async |admin: Admin| admin.webhooks().resume(anchor).await.map(drop);
        self.world.administrate(&first, resume).await?;
        self.world.work(A_WHILE).await;
        rules::has_outlived(self.world, &first, anchor, waiting).await
    }

    async fn publish(&mut self, tenant: usize, with: impl Fn(NewEvent) -> NewEvent) -> Result<EventId> {
        let (name, event) = self.name_one(tenant)?;
        let event = with(event);
        let published = self.world.insist(async |hub: Hub| hub.publish(event.clone()).await).await?;
        self.accepted.insert(name, published.event);
        Ok(published.event)
    }

    async fn publish_many<const N: usize>(&mut self, wanted: [(usize, &str); N]) -> Result<()> {
        let mut named = Vec::new();
        for (tenant, key) in wanted {
            let (name, event) = self.name_one(tenant)?;
            named.push((name, event.with_ordering_key(key)));
        }
        let events: Vec<_> = named.iter().map(|(_, event)| event.clone()).collect();
        let published = self.world.insist(async |hub: Hub| hub.publish_many(events.clone()).await).await?;
        self.accepted
            .extend(named.into_iter().map(|(name, _)| name).zip(published.iter().map(|one| one.event)));
        Ok(())
    }

    async fn publish_again(&mut self) -> Story {
        let data = serde_json::json!({ "n": "n-0" });
        let again =
            NewEvent::new(self.tenants[0].clone(), "thing.happened", &data)?.with_idempotency_key("n-0");
        let published = self.world.insist(async |hub: Hub| hub.publish(again.clone()).await).await?;
        match (published.fresh, self.accepted.get("n-0") == Some(&published.event)) {
            (false, true) => Ok(()),
            _ => Err(format!("the same key is the same event: {published:?}").into()),
        }
    }

    fn name_one(&mut self, tenant: usize) -> Result<(String, NewEvent)> {
        let name = format!("n-{}", self.published);
        self.published += 1;
        let data = serde_json::json!({ "n": name });
        let event = NewEvent::new(self.tenants[tenant].clone(), "thing.happened", &data)?;
        Ok((name.clone(), event.with_idempotency_key(name)))
    }

    async fn webhook(&self, tenant: usize, name: &str) -> Result<WebhookView, Box<dyn std::error::Error>> {
        let all = self.webhooks(&self.tenants[tenant]).await?;
        Ok(all
            .into_iter()
            .find(|webhook| webhook.name == name)
            .ok_or_else(|| format!("no webhook {name}"))?)
    }

    async fn webhooks(&self, tenant: &TenantId) -> Result<Vec<WebhookView>> {
        let list = async |admin: Admin| admin.webhooks().list(WebhookQuery::new().limit(100)).await;
        Ok(self.world.administrate(tenant, list).await?.items)
    }
}
