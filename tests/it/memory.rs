//! What the store in memory promises beyond the ports: a bounded history, and the same answers for the same history.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::Result;
use crossdock::activity::{Activity, ActivityFilter, ActivityKind, ActivityStore};
use crossdock::adapters::memory::MemoryStore;
use crossdock::events::{Event, EventHead};
use crossdock::ports::EntropyExt;
use crossdock::primitives::{
    ActivityId, AttemptId, DeliveryId, EgressPolicy, EventId, PageRequest, ReplayId, WebhookId,
};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::testing::SeededEntropy;
use crossdock::webhooks::fan_out::fan_out;
use crossdock::webhooks::{
    Attempt, Change, Claim, ClaimRequest, DeliveryFilter, DeliveryQueue, DeliveryStatus, Fate, Include,
    Publication, Replay, ReplayFilter, SettleBatch, Settlement, Webhook, WebhookRepository,
};
use futures_util::FutureExt;
use libtest_mimic::Trial;

use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("memory::what_has_ended_first_goes_first", what_has_ended_first_goes_first),
        rule("memory::what_waits_is_kept_however_much_it_is", what_waits_is_kept),
        rule("memory::an_event_that_nobody_wanted_counts_as_ended", unwanted_events_go),
        rule("memory::an_event_is_kept_as_long_as_one_of_its_deliveries", events_stay_with_their_deliveries),
        rule("memory::a_busy_tenant_does_not_push_out_what_a_quiet_one_has", the_quiet_keep_theirs),
        rule("memory::replays_that_have_ended_go_as_well", ended_replays_go),
        rule("memory::the_activity_log_is_bounded", the_log_is_bounded),
        rule("memory::a_busy_tenant_does_not_push_out_the_log_of_a_quiet_one", the_quiet_keep_their_log),
        rule("memory::a_clone_is_the_same_store", a_clone_is_the_same_store),
        rule("memory::the_same_history_gives_the_same_claims", the_same_claims),
    ]
}

struct Shop {
    store: MemoryStore,
    tenant: TenantId,
    dice: SeededEntropy,
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

/// The store never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("no wait")
}

impl Shop {
    fn new(store: MemoryStore, webhooks: usize) -> Result<Self> {
        Self::of("acme", store, webhooks)
    }

    fn of(tenant: &str, store: MemoryStore, webhooks: usize) -> Result<Self> {
        // Tenants share the store, so their ids must differ.
        let dice = SeededEntropy::new(tenant.len() as u64);
        let shop = Self { store, tenant: tenant.parse().expect("a tenant"), dice };
        for _ in 0..webhooks {
            let url = EgressPolicy::default().parse("https://erp.example.com/").expect("a URL");
            let id = WebhookId::mint(at(0), shop.dice.bytes());
            let all = vec!["*".parse().expect("a pattern")];
            let webhook = Webhook::new(id, shop.tenant.clone(), url, all, at(0));
            now(shop.store.save(&shop.tenant, vec![Change::Insert(webhook)], Vec::new(), at(0)))?;
        }
        Ok(shop)
    }

    fn send(&self, count: usize, time: DateTime<Utc>) -> Result<Vec<EventId>> {
        let heads = (0..count).map(|_| {
            let id = EventId::mint(time, self.dice.bytes());
            EventHead::new(id, self.tenant.clone(), "shipment.shipped".parse().expect("a type"), time)
        });
        let publications: Vec<_> =
            heads.map(|head| Publication::new(Arc::new(Event::new(head, "{}")), [0; 32])).collect();
        let published = now(self.store.publish(publications, Duration::from_secs(60), time))?;
        let outbox = now(self.store.outbox(count, time))?;
        let mint = || DeliveryId::mint(time, self.dice.bytes());
        let entries = outbox.entries.iter();
        let entries = entries.map(|(at, head)| (*at, fan_out(head, &outbox.webhooks[&head.tenant], mint)));
        now(self.store.fan_out(entries.collect(), time))?;
        Ok(published.iter().map(|published| published.event).collect())
    }

    fn claim(&self, limit: usize, time: DateTime<Utc>) -> Result<Vec<Claim>> {
        Ok(now(self.store.claim(ClaimRequest::new(time, Duration::from_secs(60), limit)))?.claims)
    }

    fn deliver(&self, claims: &[Claim], time: DateTime<Utc>) -> Result<()> {
        let results: Vec<_> = claims
            .iter()
            .map(|claim| {
                let id = AttemptId::mint(time, self.dice.bytes());
                let attempt = Attempt::new(id, claim.delivery, claim.attempt, time);
                Settlement::new(claim, Fate::Delivered).with_attempt(attempt)
            })
            .collect();
        now(self.store.settle(SettleBatch::new(&results), time)).map(drop)
    }

    /// Events and statuses, newest first.
    fn listed(&self) -> Result<Vec<(EventId, DeliveryStatus)>> {
        let page = PageRequest::first(PageRequest::MAX);
        let all = DeliveryFilter::default();
        let records = now(self.store.deliveries(&self.tenant, &all, Include::default(), page))?.items;
        Ok(records.iter().map(|record| (record.delivery.event, record.delivery.status)).collect())
    }

    fn has_event(&self, id: EventId) -> Result<bool> {
        Ok(now(self.store.event(&self.tenant, id))?.is_some())
    }
}

fn what_has_ended_first_goes_first() -> Result<()> {
    let shop = Shop::new(MemoryStore::builder().history(3).build(), 1)?;
    let mut events = Vec::new();
    for second in 0..5 {
        events.extend(shop.send(1, at(second))?);
        shop.deliver(&shop.claim(1, at(second))?, at(second))?;
    }

    let listed: Vec<_> = shop.listed()?.into_iter().map(|(event, _)| event).collect();

    assert_eq!(listed, [events[4], events[3], events[2]]);
    for (index, &event) in events.iter().enumerate() {
        assert_eq!(shop.has_event(event)?, index >= 2, "{index}");
    }
    Ok(())
}

fn what_waits_is_kept() -> Result<()> {
    let shop = Shop::new(MemoryStore::builder().history(0).build(), 1)?;
    let events = shop.send(500, at(0))?;

    let claims = shop.claim(8, at(1))?;
    shop.deliver(&claims, at(2))?;

    assert_eq!(shop.listed()?.len(), 492);
    let backlog = now(shop.store.backlog(&shop.tenant, None, at(3)))?;
    assert_eq!(backlog.undelivered, 492);
    assert!(!shop.has_event(events[0])? && shop.has_event(events[499])?);
    Ok(())
}

fn unwanted_events_go() -> Result<()> {
    let shop = Shop::new(MemoryStore::builder().history(2).build(), 0)?;

    let events = shop.send(5, at(0))?;

    let kept: Vec<_> = events.iter().map(|&event| shop.has_event(event)).collect::<Result<_>>()?;
    assert_eq!(kept, [false, false, false, true, true]);
    Ok(())
}

fn events_stay_with_their_deliveries() -> Result<()> {
    let shop = Shop::new(MemoryStore::builder().history(0).build(), 2)?;
    let event = shop.send(1, at(0))?[0];
    let claims = shop.claim(10, at(0))?;
    assert_eq!(claims.len(), 2);

    shop.deliver(&claims[..1], at(1))?;
    assert_eq!(shop.listed()?, [(event, DeliveryStatus::Pending)]);
    assert!(shop.has_event(event)?);
    shop.deliver(&claims[1..], at(2))?;

    assert!(!shop.has_event(event)? && shop.listed()?.is_empty());
    Ok(())
}

fn the_quiet_keep_theirs() -> Result<()> {
    let store = MemoryStore::builder().history(10).build();
    let (quiet, busy) = (Shop::of("quiet", store.clone(), 1)?, Shop::of("busy", store, 1)?);
    let deliver = |shop: &Shop, count: usize, second| -> Result<()> {
        for _ in 0..count {
            shop.send(1, at(second))?;
            shop.deliver(&shop.claim(1, at(second))?, at(second))?;
        }
        Ok(())
    };
    let kept = || -> Result<_> { Ok((quiet.listed()?.len(), busy.listed()?.len())) };

    deliver(&quiet, 3, 0)?;
    deliver(&busy, 100, 1)?;
    assert_eq!(kept()?, (3, 7));

    // Who becomes busy as well gets as much as the other, and no more.
    deliver(&quiet, 100, 2)?;
    assert_eq!(kept()?, (5, 5));
    Ok(())
}

fn ended_replays_go() -> Result<()> {
    let shop = Shop::new(MemoryStore::builder().history(2).build(), 1)?;
    let webhook = now(shop.store.webhooks(&shop.tenant, PageRequest::first(1)))?.items[0].id;
    let mut ids = Vec::new();
    for second in 0..5 {
        let id = ReplayId::mint(at(second), shop.dice.bytes());
        let filter = ReplayFilter::undelivered(at(0), at(100));
        let replay = Replay::new(id, shop.tenant.clone(), webhook, filter, 10, at(second));
        now(shop.store.start_replay(replay, Vec::new()))?;
        ids.push(id);
    }
    let listed = || -> Result<Vec<_>> {
        let page = now(shop.store.replays(&shop.tenant, PageRequest::first(10)))?;
        Ok(page.items.iter().map(|replay| replay.id).collect())
    };
    assert_eq!(listed()?.len(), 5, "what runs is kept, however much it is");

    for &id in &ids[..4] {
        now(shop.store.cancel_replay(&shop.tenant, id, Vec::new(), at(10)))?;
    }

    assert_eq!(listed()?, [ids[4], ids[3], ids[2]]);
    Ok(())
}

fn the_quiet_keep_their_log() -> Result<()> {
    let store = MemoryStore::builder().activity(10).build();
    let (quiet, busy) = (Shop::of("quiet", store.clone(), 0)?, Shop::of("busy", store, 0)?);
    let note = |shop: &Shop, count: i64| -> Result<()> {
        let actor = Actor::org_admin(shop.tenant.clone(), "ada");
        for second in 0..count {
            let id = ActivityId::mint(at(second), shop.dice.bytes());
            let entry = Activity::new(id, at(second), &actor, ActivityKind::WebhookUpdated, "wh_1");
            now(shop.store.save(&shop.tenant, Vec::new(), vec![entry], at(second)))?;
        }
        Ok(())
    };
    let kept = |shop: &Shop| -> Result<usize> {
        let (all, page) = (ActivityFilter::default(), PageRequest::first(100));
        Ok(now(shop.store.activity(&shop.tenant, &all, page))?.items.len())
    };

    note(&quiet, 3)?;
    note(&busy, 100)?;

    assert_eq!((kept(&quiet)?, kept(&busy)?), (3, 7));
    Ok(())
}

fn the_log_is_bounded() -> Result<()> {
    let shop = Shop::new(MemoryStore::builder().activity(2).build(), 0)?;
    let actor = Actor::org_admin(shop.tenant.clone(), "ada");
    let mut entries = Vec::new();
    for second in 0..4 {
        let id = ActivityId::mint(at(second), shop.dice.bytes());
        let entry = Activity::new(id, at(second), &actor, ActivityKind::WebhookUpdated, "wh_1");
        entries.push(entry.clone());
        now(shop.store.save(&shop.tenant, Vec::new(), vec![entry], at(second)))?;
    }

    let page = now(shop.store.activity(&shop.tenant, &ActivityFilter::default(), PageRequest::first(10)))?;

    assert_eq!(page.items, [entries[3].clone(), entries[2].clone()]);
    Ok(())
}

fn a_clone_is_the_same_store() -> Result<()> {
    let shop = Shop::new(MemoryStore::new(), 1)?;
    let other = Shop { store: shop.store.clone(), tenant: shop.tenant.clone(), dice: SeededEntropy::new(8) };

    shop.send(1, at(0))?;

    assert_eq!(other.claim(10, at(0))?.len(), 1);
    assert!(shop.claim(10, at(0))?.is_empty());
    Ok(())
}

fn the_same_claims() -> Result<()> {
    let story = || -> Result<Vec<DeliveryId>> {
        let shop = Shop::new(MemoryStore::new(), 30)?;
        let mut given = Vec::new();
        for second in 0..40 {
            shop.send(2, at(second))?;
            let claims = shop.claim(17, at(second))?;
            given.extend(claims.iter().map(|claim| claim.delivery));
            shop.deliver(&claims[claims.len() / 3..], at(second))?;
        }
        Ok(given)
    };

    let (first, second) = (story()?, story()?);

    assert!(first.len() > 500);
    assert_eq!(first, second);
    Ok(())
}
