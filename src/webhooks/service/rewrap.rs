//! Seals all secrets of all tenants anew under the present key: in steps, so that it can stop and go on anywhere.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Resealing, SealPlace, Sealed, reseal};
use crate::primitives::id::{SourceId, WebhookId};
use crate::primitives::page::{Cursor, PageRequest};
use crate::tenancy::model::TenantId;
use crate::webhooks::context::Context;
use crate::webhooks::model::{StoredAuth, TenantDefaults, Webhook};
use crate::webhooks::repository::Resealed;
use crate::webhooks::sealing::{AUTH, SECRET, defaults_place, webhook_place};

/// What a rewrap has found and done; from [`Hub::rewrap`](crate::Hub::rewrap).
///
/// ```
/// use crossdock::Hub;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), crossdock::Error> {
/// let hub = Hub::builder().build()?;
///
/// // Where a step ended can be kept as text: another process, or another day, goes on from there.
/// let mut step = hub.rewrap_step(None).await?;
/// while let Some(next) = step.next.take() {
///     let kept = next.to_string();
///     step = hub.rewrap_step(kept.parse().ok()).await?;
/// }
///
/// assert_eq!((step.resealed, step.failed), (0, 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rewrapped {
    /// How many seals were looked at.
    pub looked_at: u64,
    /// How many of them were of the present key already.
    pub current: u64,
    /// How many are of the present key now.
    pub resealed: u64,
    /// How many were changed by somebody else meanwhile, an administrator or a second rewrap.
    pub overtaken: u64,
    /// How many could not be sealed anew.
    pub failed: u64,
    /// The first of those, at most [`Rewrapped::MAX_FAILURES`].
    pub failures: Vec<RewrapFailure>,
    /// Where the next step goes on; `None` when everything was looked at.
    pub next: Option<RewrapCursor>,
}

/// Where a rewrap goes on: its text can be kept, and says which tenant or source was last.
///
/// ```
/// use crossdock::webhooks::RewrapCursor;
///
/// let cursor: RewrapCursor = "behind:org_42".parse()?;
///
/// assert_eq!(cursor.to_string(), "behind:org_42");
/// # Ok::<(), crossdock::webhooks::InvalidRewrapCursor>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct RewrapCursor(Place);

/// The text is not where a rewrap goes on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a rewrap goes on at the text that its last step gave as `next`")]
pub struct InvalidRewrapCursor;

/// A secret that could not be sealed anew: it is as it was.
///
/// ```
/// use crossdock::webhooks::Rewrapped;
///
/// /// What an operator reads.
/// fn lines(rewrapped: &Rewrapped) -> Vec<String> {
///     rewrapped.failures.iter().map(|failure| format!("{}: {}", failure.tenant, failure.why)).collect()
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RewrapFailure {
    /// Whose secret it is.
    pub tenant: TenantId,
    /// The webhook that holds it, if one does. Where neither a webhook nor a source does, it is the tenant's defaults.
    pub webhook: Option<WebhookId>,
    /// The source of inbound webhooks that holds it, if one does.
    pub source: Option<SourceId>,
    /// [`Unavailable`](ErrorKind::Unavailable) when its key is missing here, [`Corrupt`](ErrorKind::Corrupt) when it is damaged.
    pub kind: ErrorKind,
    /// The reason in words.
    pub why: String,
}

#[derive(Clone, Eq, PartialEq)]
enum Place {
    /// Tenants behind this one.
    Behind(TenantId),
    /// Webhooks of this tenant, behind this one of them, and then the tenants behind it.
    Within(Cursor, TenantId),
    /// Sources of inbound webhooks, whoever's, behind this one: they come after all tenants' webhooks.
    Sources(Option<SourceId>),
}

impl RewrapCursor {
    pub(crate) fn of_sources(behind: Option<SourceId>) -> Self {
        Self(Place::Sources(behind))
    }

    /// Behind which source it goes on, if it is the sources' turn.
    pub(crate) fn among_sources(&self) -> Option<Option<SourceId>> {
        match self.0 {
            Place::Sources(behind) => Some(behind),
            Place::Behind(_) | Place::Within(..) => None,
        }
    }
}

impl Rewrapped {
    /// So many failures are told in words.
    pub const MAX_FAILURES: usize = 100;

    /// Whether there was nothing to do: after a whole pass that says so, nothing is sealed under an old key.
    pub fn is_settled(&self) -> bool {
        self.next.is_none() && self.looked_at == self.current
    }

    /// What this step and the one after it have found and done.
    #[must_use]
    pub fn and_then(mut self, later: Self) -> Self {
        self.looked_at += later.looked_at;
        self.current += later.current;
        self.resealed += later.resealed;
        self.overtaken += later.overtaken;
        self.failed += later.failed;
        let room = Self::MAX_FAILURES.saturating_sub(self.failures.len());
        self.failures.extend(later.failures.into_iter().take(room));
        self.next = later.next;
        self
    }
}

/// One step over webhooks and defaults: about as many records as one page holds.
pub(crate) async fn rewrap_step(context: &Context, from: Option<RewrapCursor>) -> Result<Rewrapped> {
    let mut step = Step { context, done: Rewrapped::default(), room: RECORDS };
    let behind = match from.map(|cursor| cursor.0) {
        None => None,
        Some(Place::Behind(tenant)) => Some(tenant),
        Some(Place::Within(after, tenant)) => {
            if let Some(rest) = step.webhooks(&tenant, Some(after)).await? {
                return Ok(step.until(Place::Within(rest, tenant)));
            }
            Some(tenant)
        }
        // All webhooks were looked at before.
        Some(Place::Sources(_)) => return Ok(step.done),
    };
    let wanted = step.room.max(1);
    let tenants = context.repository.tenants(behind.as_ref(), wanted).await?;
    let is_last = tenants.len() < wanted;
    let mut last = behind;
    for tenant in tenants {
        if step.room == 0 {
            return Ok(step.behind(last));
        }
        if let Some(rest) = step.tenant(&tenant).await? {
            return Ok(step.until(Place::Within(rest, tenant)));
        }
        last = Some(tenant);
    }
    Ok(if is_last { step.done } else { step.behind(last) })
}

struct Step<'a> {
    context: &'a Context,
    done: Rewrapped,
    /// So many more records are looked at.
    room: usize,
}

/// Whose seals these are.
#[derive(Clone, Copy)]
struct Owner<'a> {
    tenant: &'a TenantId,
    webhook: Option<WebhookId>,
}

impl Step<'_> {
    /// Looks at a tenant's secrets; answers where the rest of them begins, if there is no room for all.
    async fn tenant(&mut self, tenant: &TenantId) -> Result<Option<Cursor>> {
        let defaults = self.context.repository.defaults(tenant).await?;
        self.defaults(tenant, &defaults).await?;
        self.webhooks(tenant, None).await
    }

    async fn defaults(&mut self, tenant: &TenantId, defaults: &TenantDefaults) -> Result<()> {
        self.room = self.room.saturating_sub(1);
        let place = defaults_place(tenant.as_str(), AUTH);
        let seals: Vec<_> =
            defaults.auth.iter().flat_map(StoredAuth::seals).map(|seal| (place, seal)).collect();
        self.record(Owner { tenant, webhook: None }, &seals).await
    }

    async fn webhooks(&mut self, tenant: &TenantId, mut after: Option<Cursor>) -> Result<Option<Cursor>> {
        loop {
            let mut request = PageRequest::first(self.room);
            if let Some(cursor) = after {
                request = request.after(cursor);
            }
            let page = self.context.repository.webhooks(tenant, request).await?;
            for webhook in &page.items {
                self.webhook(webhook).await?;
            }
            match page.next {
                None => return Ok(None),
                Some(next) if self.room == 0 => return Ok(Some(next)),
                Some(next) => after = Some(next),
            }
        }
    }

    async fn webhook(&mut self, webhook: &Webhook) -> Result<()> {
        self.room = self.room.saturating_sub(1);
        let (tenant, id) = (webhook.tenant.as_str(), webhook.id.to_string());
        let secrets =
            webhook.secrets.iter().map(|stored| (webhook_place(tenant, &id, SECRET), &stored.sealed));
        let auth = webhook.auth.iter().flat_map(StoredAuth::seals);
        let auth = auth.map(|seal| (webhook_place(tenant, &id, AUTH), seal));
        let seals: Vec<_> = secrets.chain(auth).collect();
        self.record(Owner { tenant: &webhook.tenant, webhook: Some(webhook.id) }, &seals).await
    }

    /// Seals one record's secrets anew, those that need it.
    async fn record(&mut self, owner: Owner<'_>, seals: &[(SealPlace<'_>, &Sealed)]) -> Result<()> {
        let mut anew = Vec::new();
        for (place, seal) in seals {
            self.done.looked_at += 1;
            match reseal(&*self.context.vault, *place, seal).await? {
                Resealing::Current => self.done.current += 1,
                Resealing::Anew(after) => anew.push(Resealed::new(owner.webhook, (*seal).clone(), after)),
                Resealing::Failed(error) => self.fail(owner, &error),
            }
        }
        if anew.is_empty() {
            return Ok(());
        }
        let wanted = anew.len() as u64;
        let resealed = self.context.repository.reseal(owner.tenant, anew).await?;
        self.done.resealed += resealed;
        self.done.overtaken += wanted.saturating_sub(resealed);
        Ok(())
    }

    fn fail(&mut self, owner: Owner<'_>, error: &Error) {
        self.done.failed += 1;
        if self.done.failures.len() < Rewrapped::MAX_FAILURES {
            self.done.failures.push(RewrapFailure {
                tenant: owner.tenant.clone(),
                webhook: owner.webhook,
                source: None,
                kind: error.kind(),
                why: error.in_words(),
            });
        }
    }

    fn until(mut self, place: Place) -> Rewrapped {
        self.done.next = Some(RewrapCursor(place));
        self.done
    }

    fn behind(self, last: Option<TenantId>) -> Rewrapped {
        match last {
            Some(tenant) => self.until(Place::Behind(tenant)),
            None => self.done,
        }
    }
}

impl fmt::Display for RewrapCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Behind(tenant) => write!(f, "behind:{tenant}"),
            Place::Within(cursor, tenant) => write!(f, "within:{cursor}:{tenant}"),
            Place::Sources(None) => f.write_str("sources"),
            Place::Sources(Some(source)) => write!(f, "sources:{source}"),
        }
    }
}

impl fmt::Debug for RewrapCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RewrapCursor({self})")
    }
}

impl FromStr for RewrapCursor {
    type Err = InvalidRewrapCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tenant = |text: &str| text.parse().map_err(|_| InvalidRewrapCursor);
        match text.split_once(':') {
            None if text == "sources" => Ok(Self(Place::Sources(None))),
            Some(("sources", rest)) => {
                rest.parse().map(|source| Self(Place::Sources(Some(source)))).map_err(|_| InvalidRewrapCursor)
            }
            Some(("behind", rest)) => Ok(Self(Place::Behind(tenant(rest)?))),
            Some(("within", rest)) => {
                let (cursor, rest) = rest.split_once(':').ok_or(InvalidRewrapCursor)?;
                let cursor = cursor.parse().map_err(|_| InvalidRewrapCursor)?;
                Ok(Self(Place::Within(cursor, tenant(rest)?)))
            }
            _ => Err(InvalidRewrapCursor),
        }
    }
}

/// So many records are looked at in one step.
const RECORDS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_through_text() -> Result<(), InvalidRewrapCursor> {
        let cursor = Cursor::behind(uuid::Uuid::from_u128(7));
        for tenant in ["org_42", "a:b", "behind:c", " "] {
            let tenant: TenantId = tenant.parse().map_err(|_| InvalidRewrapCursor)?;
            for place in [Place::Behind(tenant.clone()), Place::Within(cursor, tenant)] {
                let there = RewrapCursor(place);
                assert_eq!(there.to_string().parse::<RewrapCursor>()?, there);
            }
        }
        let source = SourceId::from_uuid(uuid::Uuid::from_u128(7));
        for there in [RewrapCursor::of_sources(None), RewrapCursor::of_sources(Some(source))] {
            assert_eq!(there.to_string().parse::<RewrapCursor>()?, there);
        }
        for text in [
            "",
            "sources:",
            "sources:wh_1",
            "behind",
            "behind:",
            "within:org_42",
            "within:cur_7:org_42",
            "beyond:org_42",
        ] {
            assert!(text.parse::<RewrapCursor>().is_err(), "{text}");
        }
        Ok(())
    }
}
