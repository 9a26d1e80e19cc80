//! One tenant with one webhook, and the steps that stories are made of.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use crossdock::Result;
use crossdock::adapters::sqlite::SqliteStore;
use crossdock::events::{Event, EventHead};
use crossdock::ports::EntropyExt;
use crossdock::primitives::{AttemptId, DeliveryId, EgressPolicy, EventId, PageRequest, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::testing::SeededEntropy;
use crossdock::webhooks::fan_out::fan_out;
use crossdock::webhooks::{
    Attempt, Change, Claim, ClaimRequest, DeliveryFilter, DeliveryQueue, DeliveryStatus, Fate, Include,
    Publication, SettleBatch, Settlement, Webhook, WebhookRepository,
};
use rusqlite::Connection;
use tempfile::TempDir;

pub(super) const LEASE: Duration = Duration::from_secs(60);

pub(super) struct Shop {
    pub(super) folder: TempDir,
    pub(super) store: SqliteStore,
    pub(super) tenant: TenantId,
    pub(super) dice: SeededEntropy,
}

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

pub(super) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

impl Shop {
    /// A shop whose webhook may have so many in flight.
    pub(super) async fn new(in_flight: u32) -> Result<Self> {
        let folder = folder();
        let store = SqliteStore::open(folder.path().join("hub.db"))?;
        Self::with(folder, store, in_flight).await
    }

    pub(super) async fn with(folder: TempDir, store: SqliteStore, in_flight: u32) -> Result<Self> {
        let tenant: TenantId = "acme".parse().expect("a tenant");
        let shop = Self { folder, store, tenant, dice: SeededEntropy::new(7) };
        let url = EgressPolicy::default().parse("https://erp.example.com/").expect("a URL");
        let id = WebhookId::mint(at(0), shop.dice.bytes());
        let all = vec!["*".parse().expect("a pattern")];
        let mut webhook = Webhook::new(id, shop.tenant.clone(), url, all, at(0));
        webhook.max_in_flight = Some(in_flight);
        shop.store.save(&shop.tenant, vec![Change::Insert(webhook)], Vec::new(), at(0)).await?;
        Ok(shop)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("hub.db")
    }

    /// A connection of the host's own to the same file.
    pub(super) fn host(&self) -> Connection {
        connect(&self.path())
    }

    pub(super) fn publication(&self, time: DateTime<Utc>) -> Publication {
        self.publication_of("{}", time)
    }

    pub(super) fn publication_of(&self, payload: &str, time: DateTime<Utc>) -> Publication {
        let id = EventId::mint(time, self.dice.bytes());
        let event_type = "shipment.shipped".parse().expect("a type");
        let head = EventHead::new(id, self.tenant.clone(), event_type, time);
        Publication::new(Arc::new(Event::new(head, payload.to_owned())), [0; 32])
    }

    pub(super) async fn publish(&self, count: usize, time: DateTime<Utc>) -> Result<Vec<EventId>> {
        let publications = (0..count).map(|_| self.publication(time)).collect();
        let published = self.store.publish(publications, LEASE, time).await?;
        Ok(published.iter().map(|published| published.event).collect())
    }

    pub(super) async fn distribute(&self, time: DateTime<Utc>) -> Result<usize> {
        let outbox = self.store.outbox(10_000, time).await?;
        let mint = || DeliveryId::mint(time, self.dice.bytes());
        let entries = outbox.entries.iter();
        let entries = entries.map(|(at, head)| (*at, fan_out(head, &outbox.webhooks[&head.tenant], mint)));
        self.store.fan_out(entries.collect(), time).await
    }

    pub(super) async fn send(&self, count: usize, time: DateTime<Utc>) -> Result<Vec<EventId>> {
        let events = self.publish(count, time).await?;
        self.distribute(time).await?;
        Ok(events)
    }

    pub(super) async fn claim(&self, limit: usize, time: DateTime<Utc>) -> Result<Vec<Claim>> {
        Ok(self.store.claim(ClaimRequest::new(time, LEASE, limit)).await?.claims)
    }

    pub(super) async fn deliver(&self, claims: &[Claim], time: DateTime<Utc>) -> Result<()> {
        let results: Vec<_> = claims.iter().map(|claim| delivered(claim, &self.dice, time)).collect();
        self.store.settle(SettleBatch::new(&results), time).await.map(drop)
    }

    /// Every delivery's status, newest first.
    pub(super) async fn statuses(&self) -> Result<Vec<DeliveryStatus>> {
        let page = PageRequest::first(PageRequest::MAX);
        let all = DeliveryFilter::default();
        let found = self.store.deliveries(&self.tenant, &all, Include::default(), page).await?;
        Ok(found.items.iter().map(|record| record.delivery.status).collect())
    }

    /// What an operator sees under this name.
    pub(super) async fn vital(&self, name: &str) -> Result<i64> {
        Ok(self.store.examine(at(0)).await?.vitals[name])
    }

    /// Everything still works: an event is published, delivered and listed.
    pub(super) async fn works(&self, time: DateTime<Utc>) -> Result<()> {
        self.send(1, time).await?;
        let claims = self.claim(1, time).await?;
        assert_eq!(claims.len(), 1);
        self.deliver(&claims, time).await?;
        assert_eq!(self.statuses().await?.first(), Some(&DeliveryStatus::Delivered));
        Ok(())
    }
}

pub(super) fn delivered(claim: &Claim, dice: &SeededEntropy, time: DateTime<Utc>) -> Settlement {
    let id = AttemptId::mint(time, dice.bytes());
    let attempt = Attempt::new(id, claim.delivery, claim.attempt, time);
    Settlement::new(claim, Fate::Delivered).with_attempt(attempt)
}

pub(super) fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a connection");
    connection.busy_timeout(Duration::from_secs(5)).expect("a timeout");
    connection
}
