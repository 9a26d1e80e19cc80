//! What administrators do: webhooks that are added, switched and removed; resends and replays.

use chrono::TimeDelta;
use crossdock::lanes::RateLimit;
use crossdock::ports::{Clock, EntropyExt};
use crossdock::primitives::{DeliveryId, PageRequest, ReplayId, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::sign::{SignatureScheme, SigningSecret};
use crossdock::webhooks::{
    Change, DeliveryFilter, DisableReason, Include, LaneStop, Ordered, Ordering, Release, Replay,
    ReplayFilter, StoredSecret, Webhook, WebhookRepository, WebhookState,
};

use super::World;
use super::hub::policy;
use crate::simulation::executor::now;
use crate::simulation::faults::Fault;
use crate::simulation::ledger::Hook;
use crate::simulation::settings::settings;

impl World {
    /// Two tenants with the same set of webhooks: an anchor, ordered ones, a small cap, a rate, a signed one.
    pub(super) fn subscribe(&mut self) {
        for tenant in self.tenants.clone() {
            let ordered = |by, on_exhausted| Ordering::Ordered { by, on_exhausted };
            let cap = 1 + self.dice.below(3);
            let kinds: [(&str, Ordering, Option<u32>); 5] = [
                ("anchor", Ordering::Unordered, None),
                ("keyed", ordered(Ordered::ByKey, LaneStop::Skip), None),
                ("whole", ordered(Ordered::All, LaneStop::Stop), None),
                ("narrow", Ordering::Unordered, Some(cap)),
                ("slow", Ordering::Unordered, None),
            ];
            for (name, ordering, cap) in kinds {
                self.add_webhook(&tenant, name, ordering, cap);
            }
        }
    }

    fn add_webhook(&mut self, tenant: &TenantId, name: &str, ordering: Ordering, cap: Option<u32>) {
        let id = WebhookId::mint(self.clock.now(), self.entropy.bytes());
        let host = format!("{name}.{}.example.com", tenant.as_str().replace('_', "-"));
        let url = policy().parse(&format!("https://{host}/")).expect("a URL");
        let events = vec!["*".parse().expect("a pattern")];
        let mut webhook = Webhook::new(id, tenant.clone(), url, events, self.clock.now());
        webhook.ordering = ordering;
        webhook.max_in_flight = cap;
        if name == "slow" {
            webhook.rate_limit = Some(RateLimit::per_second(2.0).expect("a rate"));
        }
        if name == "narrow" {
            let secret = SigningSecret::generate(self.entropy.bytes()).to_bytes();
            let sealed = crossdock::ports::Sealed::new(secret.expose().to_vec());
            webhook.secrets = vec![StoredSecret::new(sealed, self.clock.now())];
            webhook.schemes = vec![SignatureScheme::Standard];
        }
        let hook = Hook {
            tenant: tenant.clone(),
            host,
            cap: cap.unwrap_or(settings().max_in_flight),
            max_attempts: MAX_ATTEMPTS,
            is_anchor: name == "anchor",
            ended_at: None,
            is_deleted: false,
        };
        self.ledger.books().webhooks.insert(id, hook);
        self.save(tenant, Change::Insert(webhook));
    }

    fn save(&self, tenant: &TenantId, change: Change) {
        // What is disabled or removed ends the deliveries whose lease is over by this time; a worker may settle with an earlier one.
        self.ledger.books().shown(self.clock.now());
        now(self.store.save(tenant, vec![change], Vec::new(), self.clock.now()))
            .expect("the memory store saves");
    }

    pub(super) fn administrate(&mut self) {
        let candidates: Vec<WebhookId> = {
            let books = self.ledger.books();
            let open = books.webhooks.iter().filter(|(_, hook)| !hook.is_anchor && !hook.is_deleted);
            open.map(|(id, _)| *id).collect()
        };
        let Some(&id) = self.dice.pick(&candidates) else { return };
        let tenant = self.ledger.books().webhooks[&id].tenant.clone();
        let Some(webhook) = now(self.store.webhook(&tenant, id)).expect("the memory store reads") else {
            return;
        };
        match self.dice.below(100) {
            0..25 => self.switch(&webhook, WebhookState::Paused, Some(Fault::Paused)),
            25..65 => self.switch(&webhook, WebhookState::Active, None),
            65..73 => {
                let reason = DisableReason::ByPerson;
                let state = WebhookState::Disabled { reason, at: self.clock.now() };
                self.switch(&webhook, state, Some(Fault::Disabled));
            }
            73..75 => {
                let mut books = self.ledger.books();
                books.fault(Fault::Deleted);
                books.ended(id, self.clock.now());
                if let Some(hook) = books.webhooks.get_mut(&id) {
                    hook.is_deleted = true;
                }
                drop(books);
                self.save(&tenant, Change::Remove { id, expected: webhook.version });
            }
            75..90 => self.resend(&tenant),
            _ => self.replay(&tenant, id),
        }
    }

    pub(super) fn switch(&mut self, webhook: &Webhook, state: WebhookState, fault: Option<Fault>) {
        let mut changed = webhook.clone();
        changed.version = webhook.version.next();
        changed.state = state;
        {
            let mut books = self.ledger.books();
            if let Some(fault) = fault {
                books.fault(fault);
            }
            match state {
                WebhookState::Disabled { .. } => books.ended(webhook.id, self.clock.now()),
                _ => books.webhooks.get_mut(&webhook.id).expect("a known webhook").ended_at = None,
            }
        }
        self.paused.retain(|id| *id != webhook.id);
        if state == WebhookState::Paused {
            self.paused.push(webhook.id);
        }
        let change = Change::Replace { webhook: changed, expected: webhook.version, release: Release::Keep };
        self.save(&webhook.tenant, change);
    }

    fn resend(&mut self, tenant: &TenantId) {
        let page = now(self.store.deliveries(
            tenant,
            &DeliveryFilter::default(),
            Include::default(),
            PageRequest::first(20),
        ));
        let rows = page.expect("the memory store lists").items;
        let Some(row) = self.dice.pick(&rows) else { return };
        let id = DeliveryId::mint(self.clock.now(), self.entropy.bytes());
        let resent = now(self.store.resend(tenant, row.delivery.id, id, Vec::new(), self.clock.now()));
        if resent.is_ok() {
            self.ledger.books().fault(Fault::Resent);
        }
    }

    fn replay(&mut self, tenant: &TenantId, webhook: WebhookId) {
        let at = self.clock.now();
        let id = ReplayId::mint(at, self.entropy.bytes());
        let filter = ReplayFilter::undelivered(at - TimeDelta::hours(1), at);
        let replay = Replay::new(id, tenant.clone(), webhook, filter, 5, at);
        if now(self.store.start_replay(replay, Vec::new())).is_ok() {
            self.ledger.books().fault(Fault::Replayed);
        }
    }
}

const MAX_ATTEMPTS: u32 = 4;
