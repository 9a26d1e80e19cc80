//! Stores that somebody else can write in as well.

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use crossdock::activity::{
    Activity, ActivityAdmin, ActivityFilter, ActivityKind, ActivityStore, ChainAnchor, ChainEnds, ChainEntry,
    ChainPlace,
};
use crossdock::adapters::memory::MemoryStore;
use crossdock::adapters::sqlite::SqliteStore;
use crossdock::adapters::vault::{EnvelopeVault, StaticKeys};
use crossdock::primitives::{ActivityId, Cursor, Page, PageRequest};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::webhooks::{DeliveryQueue, WebhookRepository};
use crossdock::{Hub, Result};
use futures_util::future::join_all;
use tempfile::TempDir;

use super::Told;
use super::tampering::{Case, text_of};
use crate::postgres::world::World;
use crate::postgres::{Outcome, Schemas};

type Failure = Box<dyn std::error::Error>;

/// A store, and how somebody tampers with it.
pub(super) trait Ground {
    /// A store with a chain of ten, tampered with; the anchor of the last entry before that; and what must outlive the test.
    async fn tampered(
        &self,
        case: &Case,
    ) -> std::result::Result<(ActivityAdmin, ChainAnchor, Box<dyn std::any::Any>), Failure>;
}

/// In memory, where there is no SQL: what is there is taken out, tampered with, and shown.
pub(super) struct Frozen;

/// In a file.
pub(super) struct InSqlite;

/// In a schema.
pub(super) struct InPostgres(pub(super) Arc<Schemas>);

pub(super) fn acme() -> TenantId {
    "acme".parse().expect("a tenant")
}

fn at(number: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(number.cast_signed())
}

/// The entry with this number.
pub(super) fn id(number: u64) -> ActivityId {
    ActivityId::mint(at(number), [7; 10])
}

/// An entry that nobody has written.
pub(super) fn stranger() -> ActivityId {
    ActivityId::mint(at(10), [9; 10])
}

fn entry(tenant: &TenantId, number: u64) -> Activity {
    let actor = Actor::org_admin(tenant.clone(), "ada");
    Activity::new(id(number), at(number), &actor, ActivityKind::WebhookUpdated, format!("wh_{number}"))
        .with_detail("note", format!("step {number}"))
}

/// Ten entries of one tenant, and some of another.
async fn furnish(store: &(impl ActivityStore + WebhookRepository)) -> Result<ChainAnchor> {
    let other: TenantId = "other".parse().expect("a tenant");
    for number in 1..=10 {
        let entry = entry(&acme(), number);
        match number % 2 {
            0 => store.append(vec![entry]).await?,
            _ => store.save(&acme(), Vec::new(), vec![entry], at(number)).await?,
        }
        if number < 3 {
            store.append(vec![self::entry(&other, number + 20)]).await?;
        }
    }
    Ok(store.chain_ends(&acme()).await?.head)
}

/// The log of a hub on these ports.
fn log_of<S>(store: Arc<S>, log: Arc<dyn ActivityStore>) -> std::result::Result<ActivityAdmin, Failure>
where
    S: WebhookRepository + DeliveryQueue,
{
    let key = StaticKeys::new("2026-01", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?;
    let hub = Hub::builder().store_parts(store.clone(), store, log).vault(EnvelopeVault::new(key)).build()?;
    Ok(hub.admin(Actor::member(acme(), "mia")).activity())
}

/// The log and its chain as somebody tampers with them.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) log: Vec<Activity>,
    pub(super) chain: Vec<ChainEntry>,
    pub(super) ends: ChainEnds,
}

impl Kept {
    pub(super) fn row(&mut self, number: u64) -> &mut ChainEntry {
        self.chain.iter_mut().find(|row| row.link.sequence == number).expect("a row")
    }

    pub(super) fn cut(&mut self, numbers: RangeInclusive<u64>) {
        self.log.retain(|entry| !numbers.clone().any(|number| entry.id == id(number)));
        self.chain.retain(|row| !numbers.contains(&row.link.sequence));
    }

    pub(super) fn copy(&mut self, number: u64, to: u64) {
        let mut copy = self.row(number).clone();
        (copy.id, copy.link.sequence, copy.entry) = (stranger(), to, None);
        self.chain.push(copy);
    }
}

#[async_trait]
impl ActivityStore for Kept {
    async fn activity(
        &self,
        _: &TenantId,
        filter: &ActivityFilter,
        page: PageRequest,
    ) -> Result<Page<Activity>> {
        let mut log: Vec<_> = self.log.iter().filter(|entry| filter.matches(entry)).cloned().collect();
        log.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        let behind = page.cursor().map(|cursor| cursor.row());
        log.retain(|entry| behind.is_none_or(|behind| entry.id.as_uuid() < behind));
        Ok(Page::cut(log, page, |entry| Cursor::behind(entry.id.as_uuid())))
    }

    async fn append(&self, _: Vec<Activity>) -> Result<()> {
        Ok(())
    }

    async fn chain(&self, _: &TenantId, behind: Option<ChainPlace>, limit: usize) -> Result<Vec<ChainEntry>> {
        let mut chain = self.chain.clone();
        chain.sort_by_key(ChainEntry::place);
        chain.retain(|row| behind.is_none_or(|behind| behind < row.place()));
        chain.truncate(limit);
        Ok(chain)
    }

    async fn chain_ends(&self, _: &TenantId) -> Result<ChainEnds> {
        Ok(self.ends)
    }
}

impl Ground for Frozen {
    async fn tampered(
        &self,
        case: &Case,
    ) -> std::result::Result<(ActivityAdmin, ChainAnchor, Box<dyn std::any::Any>), Failure> {
        let store = MemoryStore::new();
        let anchor = furnish(&store).await?;
        let mut kept = Kept {
            log: store.activity(&acme(), &ActivityFilter::default(), PageRequest::first(100)).await?.items,
            chain: store.chain(&acme(), None, 100).await?,
            ends: store.chain_ends(&acme()).await?,
        };
        kept.log.reverse();
        (case.memory)(&mut kept);
        Ok((log_of(Arc::new(store), Arc::new(kept))?, anchor, Box::new(())))
    }
}

impl Ground for InSqlite {
    async fn tampered(
        &self,
        case: &Case,
    ) -> std::result::Result<(ActivityAdmin, ChainAnchor, Box<dyn std::any::Any>), Failure> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("hub.db");
        let store = SqliteStore::open(&path)?;
        let anchor = furnish(&store).await?;
        let host = rusqlite::Connection::open(&path)?;
        for sql in case.sql {
            let id = format!("x'{}'", stranger().as_uuid().simple());
            let sql = fill(sql, ["crossdock_activity", "crossdock_activity_chain", "tenant", "body", &id]);
            host.execute_batch(&sql).map_err(|error| format!("{}: {error}", case.name))?;
        }
        let store = Arc::new(store);
        Ok((log_of(store.clone(), store)?, anchor, Box::new(folder)))
    }
}

impl Ground for InPostgres {
    async fn tampered(
        &self,
        case: &Case,
    ) -> std::result::Result<(ActivityAdmin, ChainAnchor, Box<dyn std::any::Any>), Failure> {
        let place = self.0.place().await?;
        let anchor = furnish(&place.store).await?;
        for sql in case.sql {
            let table = |name: &str| format!("\"{}\".{name}", place.schema);
            let (log, chain) = (table("activity"), table("activity_chain"));
            let id = format!("'{}'::uuid", stranger().as_uuid());
            let sql = fill(sql, [&log, &chain, "tenant_id", "record", &id]);
            let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&place.pool).await;
            done.map_err(|error| format!("{}: {error}", case.name))?;
        }
        let store = Arc::new(place.store);
        Ok((log_of(store.clone(), store)?, anchor, Box::new(())))
    }
}

/// A statement in the words of one database.
fn fill(sql: &str, [log, chain, tenant, record, stranger_id]: [&str; 5]) -> String {
    sql.replace("COPIED", "TENANT, at, kind, subject, actor, RECORD, sequence, previous, hash, encoding")
        .replace("MINE", "TENANT = 'acme'")
        .replace("LAST_TEXT", &text_of(id(10)))
        .replace("STRANGER_TEXT", &text_of(stranger()))
        .replace("STRANGER", stranger_id)
        .replace("LOG", log)
        .replace("CHAIN", chain)
        .replace("TENANT", tenant)
        .replace("RECORD", record)
}

/// Several writers of one tenant at once, each with a store of its own: no number is there twice, and none is missing.
async fn write_together<S: ActivityStore + WebhookRepository>(one: &S, two: &S) -> Told {
    let steps = (1..=60).map(|number| async move {
        let store = if number % 2 == 0 { one } else { two };
        match number % 3 {
            0 => store.append(vec![entry(&acme(), number)]).await,
            _ => store.save(&acme(), Vec::new(), vec![entry(&acme(), number)], at(number)).await,
        }
    });
    for done in join_all(steps).await {
        done?;
    }
    let chain = one.chain(&acme(), None, 100).await?;
    let ends = two.chain_ends(&acme()).await?;
    assert_eq!(crossdock::activity::verify_chain(&ends, &chain, None).findings, []);
    let numbers: Vec<_> = chain.iter().map(|entry| entry.link.sequence).collect();
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
    Ok(())
}

pub(super) async fn two_in_a_file() -> Told {
    let folder: TempDir = tempfile::tempdir()?;
    let open = || SqliteStore::open(folder.path().join("hub.db"));
    write_together(&open()?, &open()?).await
}

pub(super) async fn two_in_a_schema(url: String) -> Outcome {
    let world = World::new(url).await?;
    let other = world.other_process().await?;
    write_together(&world.store, &other).await?;
    world.end().await
}

/// Somebody holds the tenant's chain; deliveries are settled all the same, with an entry of the log.
pub(super) async fn settling_waits_for_no_chain(url: String) -> Outcome {
    use crate::postgres::world::{at, random};
    use crossdock::webhooks::{DeadReason, Fate, SettleBatch, Settlement};

    let world = World::new(url).await?;
    world.webhook(&acme(), |_| {}).await?;
    world.send(&acme(), at(0)).await?;
    let claims = world.claim(1, at(0)).await?;
    world.store.append(vec![entry(&acme(), 1)]).await?;
    let mut holder = world.pool.begin().await?;
    let hold = format!("SELECT FROM \"{}\".activity_chain FOR UPDATE", world.name);
    sqlx::raw_sql(sqlx::AssertSqlSafe(hold)).execute(&mut *holder).await?;

    let mut result = Settlement::new(&claims[0], Fate::DeadLetter(DeadReason::Gone));
    let engine = Actor::system(acme(), "crossdock");
    let id = ActivityId::mint(at(0), random());
    result.activity = vec![Activity::new(id, at(0), &engine, ActivityKind::DeadLettered, "dlv_1")];
    world.store.settle(SettleBatch::new(&[result]), at(1)).await?;

    holder.rollback().await?;
    assert_eq!(world.number("SELECT count(*) FROM SCHEMA.activity WHERE sequence IS NULL").await?, 1);
    world.end().await
}
