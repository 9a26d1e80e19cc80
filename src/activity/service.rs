//! The log as one actor may read it.

use std::sync::Arc;

use uuid::Uuid;

use crate::activity::chain::{ChainAnchor, ChainEnds, ChainPlace};
use crate::activity::model::Activity;
use crate::activity::store::{ActivityFilter, ActivityStore};
use crate::activity::verify::{ChainCheck, ChainFinding, ChainReport};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::primitives::id::ActivityId;
use crate::primitives::page::{Cursor, Page, PageRequest};
use crate::tenancy::model::Actor;
use crate::tenancy::policy::AccessPolicy;

/// What happened to a tenant's integrations, as this actor may read it; from [`Admin::activity`](crate::hub::Admin::activity).
///
/// ```
/// use crossdock::Hub;
/// use crossdock::activity::ActivityFilter;
/// use crossdock::primitives::PageRequest;
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::NewWebhook;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use crossdock::events::{EventCatalog, EventTypeSpec};
/// # let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let admin = hub.admin(Actor::org_admin("org_42".parse()?, "ada"));
/// admin.webhooks().create(NewWebhook::new("ERP", "https://erp.example.com/hooks").events(["order.*"])).await?;
///
/// let log = admin.activity();
/// let page = log.list(&ActivityFilter::default(), PageRequest::first(10)).await?;
/// assert_eq!(page.items[0].kind.as_str(), "webhook.created");
///
/// // What a host keeps apart from the store, and brings back to the verification.
/// let anchor = log.chain_ends().await?.head;
/// assert!(log.verify(Some(&anchor)).await?.is_intact());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ActivityAdmin {
    store: Arc<dyn ActivityStore>,
    access: AccessPolicy,
    actor: Actor,
}

impl ActivityAdmin {
    pub(crate) fn new(store: Arc<dyn ActivityStore>, access: AccessPolicy, actor: Actor) -> Self {
        Self { store, access, actor }
    }

    /// A page of what people and the engine did to the tenant's integrations, newest first.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `Invalid` when the span of time has no length.
    pub async fn list(&self, filter: &ActivityFilter, page: PageRequest) -> Result<Page<Activity>> {
        const WHAT: &str = "list activity";
        self.may_read(WHAT)?;
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from >= to
        {
            let rule = "a span of time begins before it ends; `to` itself is not part of it";
            let problem = Problem::new("from", rule, "give a `from` that is earlier than `to`");
            return Err(Error::invalid(WHAT, [problem]));
        }
        self.store.activity(self.actor.tenant(), filter, page).await
    }

    /// Where the tenant's chain of administrative entries begins and ends. A host that keeps the head apart from the store, as text,
    /// can find out later whether anything up to it was changed, the chain's end included.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`.
    pub async fn chain_ends(&self) -> Result<ChainEnds> {
        self.may_read("read the ends of the activity chain")?;
        self.store.chain_ends(self.actor.tenant()).await
    }

    /// Reads the tenant's whole chain, and names what was altered, inserted, moved or cut; `known` is an anchor that was kept apart.
    ///
    /// It keeps about 150 bytes per administrative entry in memory while it works, and reads the log once. Dropping the future leaves
    /// nothing behind.
    ///
    /// # Errors
    /// `Denied`; `Conflict` when retention has moved the chain's beginning several times meanwhile: try again.
    pub async fn verify(&self, known: Option<&ChainAnchor>) -> Result<ChainReport> {
        const WHAT: &str = "verify the activity chain";
        self.may_read(WHAT)?;
        let tenant = self.actor.tenant();
        let mut before = self.store.chain_ends(tenant).await?;
        for _ in 0..RETRIES {
            let (mut check, first) = self.read_chain().await?;
            let after = self.store.chain_ends(tenant).await?;
            if after.base != before.base {
                before = after;
                continue;
            }
            // What was written meanwhile belongs to the next verification.
            check.forget_between(before.head.sequence(), after.head.sequence());
            let unchained = match first {
                Some(first) => self.unchained(&check, first, &before).await?,
                None => Vec::new(),
            };
            let mut report = check.report(&before, known);
            report.findings.extend(unchained);
            return Ok(report);
        }
        Err(Error::new(ErrorKind::Conflict, WHAT))
    }

    async fn read_chain(&self) -> Result<(ChainCheck, Option<Activity>)> {
        let mut check = ChainCheck::default();
        let (mut behind, mut first) = (None, None);
        loop {
            let page = self.store.chain(self.actor.tenant(), behind, PAGE).await?;
            let Some(last) = page.last() else { return Ok((check, first)) };
            behind = Some(last.place());
            page.iter().for_each(|entry| check.take(entry));
            first = first.or_else(|| page.into_iter().find_map(|entry| entry.entry));
        }
    }

    /// Administrative entries of the log, since the chain's first, that no link belongs to.
    async fn unchained(
        &self,
        check: &ChainCheck,
        first: Activity,
        ends: &ChainEnds,
    ) -> Result<Vec<ChainFinding>> {
        let tenant = self.actor.tenant();
        let mut chained = check.ids();
        let hollow = check.hollow();
        let filter = ActivityFilter { from: Some(first.at), ..ActivityFilter::default() };
        let (mut limit, mut behind) = (PageRequest::MAX, None::<Cursor>);
        let mut suspects = Vec::new();
        loop {
            let page = behind.into_iter().fold(PageRequest::first(limit), PageRequest::after);
            let found = match self.store.activity(tenant, &filter, page).await {
                // One of them cannot be read: then one by one up to it, and on behind it.
                Err(error) if error.kind() == ErrorKind::Corrupt && limit > 1 => {
                    limit = 1;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let bound = behind.map(|cursor| ActivityId::from_uuid(cursor.row()));
                    let unread = hollow.iter().rev().find(|id| bound.is_none_or(|bound| **id < bound));
                    behind = Some(Cursor::behind(unread.ok_or(error)?.as_uuid()));
                    limit = PageRequest::MAX;
                    continue;
                }
                found => found?,
            };
            let unknown = found.items.into_iter().filter(|entry| entry.is_administrative());
            suspects.extend(unknown.map(|entry| entry.id).filter(|id| !chained.contains(id)));
            match found.next {
                Some(next) => behind = Some(next),
                None => break,
            }
        }
        if suspects.is_empty() {
            return Ok(Vec::new());
        }
        // What was written while the log was read is in the chain by now.
        let mut behind = Some(ChainPlace::new(ends.head.sequence(), ActivityId::from_uuid(Uuid::max())));
        loop {
            let newer = self.store.chain(tenant, behind, PAGE).await?;
            let Some(last) = newer.last() else { break };
            behind = Some(last.place());
            chained.extend(newer.iter().map(|entry| entry.id));
        }
        suspects.retain(|id| !chained.contains(id));
        Ok(suspects.into_iter().map(|id| ChainFinding::Unchained { id }).collect())
    }

    fn may_read(&self, what: &'static str) -> Result<()> {
        self.access
            .read(&self.actor)
            .map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
    }
}

const RETRIES: usize = 3;
const PAGE: usize = 500;
