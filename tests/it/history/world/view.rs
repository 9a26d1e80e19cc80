//! What the stores show, compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::primitives::{EventId, PageRequest};
use crossdock::testing::conformance::Stores;
use crossdock::webhooks::{DeliveryFilter, DeliveryRecord, Include, Replay, Webhook, WebhookHealth};

use super::{MANY, Outcome, World};

/// What a store shows, all of it.
#[derive(Debug, PartialEq)]
pub(super) struct View {
    webhooks: Vec<Arc<Webhook>>,
    pub(super) records: Vec<DeliveryRecord>,
    replays: Vec<Replay>,
    rest: Vec<String>,
    /// When each webhook took something last.
    successes: Vec<Option<DateTime<Utc>>>,
    outbox: Vec<EventId>,
}

impl World {
    /// Whether all stores show the same, and what holds in any case.
    pub(in crate::history) async fn check(&self) -> Outcome {
        self.broken.clone()?;
        let mut views = Vec::new();
        for kept in &self.kept {
            views.push(self.view(&kept.stores).await);
        }
        for (kept, view) in self.kept.iter().zip(&views).skip(1) {
            let reference = &views[0];
            self.same("webhooks", kept, &view.webhooks, &reference.webhooks)?;
            self.same("deliveries", kept, &view.records, &reference.records)?;
            self.same("replays", kept, &view.replays, &reference.replays)?;
            self.same("outbox", kept, &view.outbox, &reference.outbox)?;
            self.same("the rest", kept, &view.rest, &reference.rest)?;
            let is_near =
                |(kept, exact): (&Option<DateTime<Utc>>, &Option<DateTime<Utc>>)| match (kept, exact) {
                    (Some(kept), Some(exact)) => kept <= exact && *exact - *kept < TimeDelta::seconds(1),
                    (kept, exact) => kept == exact,
                };
            if !view.successes.iter().zip(&reference.successes).all(is_near) {
                self.same("last successes", kept, &view.successes, &reference.successes)?;
            }
        }
        self.nothing_is_lost(&views[0])
    }

    /// Every accepted event is in the outbox, or was fanned out; every delivery that was asked for is there, until retention
    /// takes it.
    fn nothing_is_lost(&self, view: &View) -> Outcome {
        let waiting = self.accepted.iter().filter(|event| !self.fanned_out.contains(event));
        if let Some(lost) = waiting.copied().find(|event| !view.outbox.contains(event)) {
            return Err(format!("{lost} is lost"));
        }
        let there: BTreeSet<_> = view.records.iter().map(|record| record.delivery.id).collect();
        match self.made.iter().find(|id| !there.contains(id)) {
            Some(lost) if !self.tidied => Err(format!("{lost} is lost")),
            _ => Ok(()),
        }
    }

    pub(super) async fn view(&self, store: &Stores) -> View {
        let (repository, queue) = (&store.repository, &store.queue);
        let mut include = Include::default();
        (include.payload, include.attempts) = (true, true);
        let mut view = View {
            webhooks: Vec::new(),
            records: Vec::new(),
            replays: Vec::new(),
            rest: Vec::new(),
            successes: Vec::new(),
            outbox: Vec::new(),
        };
        for tenant in &self.tenants {
            let mut page = PageRequest::first(PageRequest::MAX);
            view.webhooks.extend(repository.webhooks(tenant, page).await.expect("webhooks").items);
            view.replays.extend(repository.replays(tenant, page).await.expect("replays").items);
            loop {
                let found = repository.deliveries(tenant, &DeliveryFilter::default(), include, page).await;
                let found = found.expect("deliveries");
                view.records.extend(found.items);
                match found.next {
                    Some(next) => page = page.after(next),
                    None => break,
                }
            }
            let backlog = repository.backlog(tenant, None, self.now).await.expect("a backlog");
            view.rest.push(format!("{backlog:?}"));
        }
        for webhook in &self.webhooks {
            let (tenant, id) = (&webhook.tenant, webhook.id);
            let backlog = repository.backlog(tenant, Some(id), self.now).await.expect("a backlog");
            view.rest.push(format!("{backlog:?}"));
            let health = repository.health(tenant, id).await.expect("health");
            view.successes.push(health.as_ref().and_then(|health| health.last_success_at));
            view.rest.push(format!("{:?}", health.map(well)));
        }
        let outbox = queue.outbox(MANY, self.now).await.expect("an outbox");
        view.outbox = outbox.entries.iter().map(|(_, head)| head.id).collect();
        view
    }
}

/// A webhook's health without the time of its last success, which a store notes to the second.
pub(super) fn well(health: WebhookHealth) -> WebhookHealth {
    let mut health = health;
    health.last_success_at = health.last_success_at.map(|_| DateTime::UNIX_EPOCH);
    health
}
