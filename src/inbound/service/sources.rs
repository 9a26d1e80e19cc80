//! Sources, as their administrators see and change them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inbound::context::InboundContext;
use crate::inbound::prepared::PreparedScheme;
use crate::inbound::service::known::{missing, secret_place};
use crate::inbound::service::new_source::{NewSource, SourceUpdate};
use crate::inbound::service::view::SourceView;
use crate::inbound::source::{Owner, SealedSourceSecret, Source, SourceName, SourceState};
use crate::inbound::store::SourceChange;
use crate::ports::EntropyExt;
use crate::primitives::id::SourceId;
use crate::primitives::page::{Page, PageRequest};
use crate::primitives::secret::Secret;
use crate::primitives::time::later;
use crate::tenancy::model::Actor;

/// A tenant's sources as this actor may see and change them; from [`Admin::sources`](crate::hub::Admin::sources).
///
/// Every change is logged with the actor's name, and made completely or not at all. It holds at once in this process, and within 5 s
/// everywhere. An id of another tenant answers like one that does not exist.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::inbound::{NewSource, presets};
/// use crossdock::tenancy::Actor;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let sources = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).sources();
///
/// let shop = sources.create(NewSource::new("shopify", presets::shopify()).secret("hush")).await?;
///
/// assert!(shop.id.to_string().starts_with("src_"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SourceAdmin {
    context: Arc<InboundContext>,
    actor: Actor,
}

impl SourceAdmin {
    pub(crate) fn new(context: Arc<InboundContext>, actor: Actor) -> Self {
        Self { context, actor }
    }

    /// Makes a source.
    ///
    /// Dropping the future leaves it made or not.
    ///
    /// # Errors
    /// `Denied`; `Invalid` with everything that is wrong; `Conflict` when the tenant has as many sources as it may have.
    pub async fn create(&self, new: NewSource) -> Result<SourceView> {
        const WHAT: &str = "create source";
        self.may_manage(WHAT)?;
        let name = new.check().map_err(|problems| Error::invalid(WHAT, problems))?;
        if self.context.platform.contains_key(&name) {
            // Handlers are chosen by name: a tenant that signs with a secret of its own must not reach those of the platform.
            let rule = "the platform has a source of this name, and its handlers hear of that one alone";
            return Err(Error::invalid(WHAT, [Problem::new("name", rule, "choose another name")]));
        }
        let now = self.context.clock.now();
        let id = SourceId::mint(now, self.context.entropy.bytes());
        let mut source = Source::new(id, self.owner(), name, new.scheme, now);
        (source.title, source.state, source.public_url) = (new.title, new.state, new.public_url);
        (source.reject_status, source.body_cap) = (new.reject_status, new.body_cap);
        if let Some(secret) = &new.secret {
            check_secret(&source, secret, WHAT)?;
            source.secrets.push(self.context.sealed(&source.owner, source.id, secret, now).await?);
        }
        let entry =
            self.entry(ActivityKind::SourceCreated, id, now).with_detail("name", source.name.as_str());
        let changes = vec![
            SourceChange::Insert(source.clone()),
            SourceChange::AtMost(self.context.settings.max_sources),
        ];
        self.context.store.save_sources(&source.owner, changes, vec![entry], now).await?;
        Ok(self.view(&source))
    }

    /// A page of sources, newest first.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`.
    pub async fn list(&self, page: PageRequest) -> Result<Page<SourceView>> {
        self.may_read("list sources")?;
        Ok(self.context.store.sources(&self.owner(), page).await?.map(|source| self.view(&source)))
    }

    /// One source.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn find(&self, id: SourceId) -> Result<SourceView> {
        const WHAT: &str = "read source";
        self.may_read(WHAT)?;
        let source = self.own(id, WHAT).await?;
        Ok(self.view(&source))
    }

    /// Changes a source.
    ///
    /// Dropping the future leaves it changed or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` with everything that is wrong; `Conflict` when somebody has changed it since the version that the
    /// update was made from.
    pub async fn update(&self, id: SourceId, update: SourceUpdate) -> Result<SourceView> {
        const WHAT: &str = "update source";
        self.may_manage(WHAT)?;
        let problems = update.problems();
        if !problems.is_empty() {
            return Err(Error::invalid(WHAT, problems));
        }
        let mut source = (*self.own(id, WHAT).await?).clone();
        if source.version != update.of {
            let rule = "a change is made from the present version";
            return Err(Error::new(ErrorKind::Conflict, WHAT).with_problem(Problem::new(
                "version",
                rule,
                "read the source again",
            )));
        }
        source.title = update.title.unwrap_or(source.title);
        source.scheme = update.scheme.unwrap_or(source.scheme);
        source.public_url = update.public_url.unwrap_or(source.public_url);
        source.reject_status = update.reject_status.unwrap_or(source.reject_status);
        source.body_cap = update.body_cap.unwrap_or(source.body_cap);
        self.save(source, ActivityKind::SourceUpdated, WHAT).await
    }

    /// Lets a source take what is sent, or not; one that stands so already is fine.
    ///
    /// Dropping the future leaves it switched or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Conflict` when somebody else changes it at the same time.
    pub async fn switch(&self, id: SourceId, state: SourceState) -> Result<SourceView> {
        const WHAT: &str = "switch source";
        self.may_manage(WHAT)?;
        let mut source = (*self.own(id, WHAT).await?).clone();
        if source.state == state {
            return Ok(self.view(&source));
        }
        source.state = state;
        self.save(source, ActivityKind::SourceSwitched, WHAT).await
    }

    /// Adds a secret; those before it are valid for this much longer, and then gone.
    ///
    /// Dropping the future leaves it added or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` when the scheme cannot use the secret; `Conflict` when somebody else changes the source at the same
    /// time; the vault's.
    pub async fn rotate(
        &self,
        id: SourceId,
        secret: impl Into<Secret>,
        overlap: Duration,
    ) -> Result<SourceView> {
        const WHAT: &str = "rotate a source's secret";
        self.may_manage(WHAT)?;
        let secret = secret.into();
        let mut source = (*self.own(id, WHAT).await?).clone();
        check_secret(&source, &secret, WHAT)?;
        let now = self.context.clock.now();
        let end = later(now, overlap);
        source.secrets.retain(|secret| secret.is_live(now));
        for old in &mut source.secrets {
            old.expires_at = Some(old.expires_at.map_or(end, |expires| expires.min(end)));
        }
        if overlap.is_zero() {
            source.secrets.clear();
        }
        source.secrets.insert(0, self.context.sealed(&source.owner, id, &secret, now).await?);
        source.secrets.truncate(PreparedScheme::MOST_SECRETS);
        self.save(source, ActivityKind::SourceSecretRotated, WHAT).await
    }

    /// Deletes a source: senders are told 404. What was received from it stays.
    ///
    /// Dropping the future leaves it deleted or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn delete(&self, id: SourceId) -> Result<()> {
        const WHAT: &str = "delete source";
        self.may_manage(WHAT)?;
        self.own(id, WHAT).await?;
        let now = self.context.clock.now();
        let (owner, entry) = (self.owner(), self.entry(ActivityKind::SourceDeleted, id, now));
        let saved =
            self.context.store.save_sources(&owner, vec![SourceChange::Delete(id)], vec![entry], now).await;
        self.context.known.forget(id);
        saved
    }

    /// A secret of 32 random bytes, in hex, for a sender that takes one of ours.
    pub fn make_secret(&self) -> Secret {
        let bytes: [u8; 32] = self.context.entropy.bytes();
        Secret::from(hex::encode(bytes))
    }

    async fn save(&self, mut source: Source, kind: ActivityKind, what: &'static str) -> Result<SourceView> {
        let now = self.context.clock.now();
        let expected = source.version;
        source.version = expected.next();
        source.updated_at = now;
        let mut entry = self.entry(kind, source.id, now);
        if kind == ActivityKind::SourceSwitched {
            entry = entry.with_detail("state", source.state.as_str());
        }
        let change = SourceChange::Replace { source: source.clone(), expected };
        let saved = self.context.store.save_sources(&source.owner, vec![change], vec![entry], now).await;
        // Whatever became of it: what is known here may be wrong from now on.
        self.context.known.forget(source.id);
        saved.map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(what),
            _ => error,
        })?;
        Ok(self.view(&source))
    }

    async fn own(&self, id: SourceId, what: &'static str) -> Result<Arc<Source>> {
        let found = self.context.store.source(id).await?;
        found.filter(|source| source.owner == self.owner()).ok_or_else(|| missing(what))
    }

    fn owner(&self) -> Owner {
        Owner::Tenant(self.actor.tenant().clone())
    }

    fn view(&self, source: &Source) -> SourceView {
        SourceView::of(source, self.context.settings.public_url.as_deref())
    }

    fn entry(&self, kind: ActivityKind, id: SourceId, now: DateTime<Utc>) -> Activity {
        self.context.activity_by(&self.actor, kind, id, now)
    }

    fn may_read(&self, what: &'static str) -> Result<()> {
        let allowed = self.context.access.read(&self.actor);
        allowed.map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
    }

    fn may_manage(&self, what: &'static str) -> Result<()> {
        let allowed = self.context.access.manage(&self.actor);
        allowed.map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
    }
}

impl InboundContext {
    async fn sealed(
        &self,
        owner: &Owner,
        id: SourceId,
        secret: &Secret,
        now: DateTime<Utc>,
    ) -> Result<SealedSourceSecret> {
        let sealed = self.vault.seal(secret_place(owner, &id.to_string()), secret).await?;
        Ok(SealedSourceSecret::new(sealed, now))
    }

    /// Keeps a secret that a sender has brought in its handshake.
    ///
    /// # Errors
    /// `Unconfigured` for a source that the host declares: its secrets are in the host's configuration.
    pub(super) async fn add_brought_secret(
        &self,
        id: SourceId,
        owner: &Owner,
        secret: &Secret,
        now: DateTime<Utc>,
    ) -> Result<()> {
        const WHAT: &str = "keep the secret of a handshake";
        // What is known here may be some seconds old: whoever was first has brought the secret.
        let is_open = |stored: &Source| owner.tenant().is_some() && stored.secrets.is_empty();
        let stored = self.store.source(id).await?.filter(|stored| is_open(stored));
        let stored = stored.ok_or_else(|| Error::new(ErrorKind::Unconfigured, WHAT))?;
        check_secret(&stored, secret, WHAT)?;
        let mut source = (*stored).clone();
        source.secrets = vec![self.sealed(owner, id, secret, now).await?];
        let expected = source.version;
        (source.version, source.updated_at) = (expected.next(), now);
        let tenant = owner.tenant().ok_or_else(|| Error::new(ErrorKind::Unconfigured, WHAT))?;
        let entry = self.activity_by_engine(tenant, ActivityKind::SourceSecretRotated, id, now);
        let change = SourceChange::Replace { source, expected };
        let saved = self.store.save_sources(owner, vec![change], vec![entry], now).await;
        self.known.forget(id);
        saved
    }

    /// Switches one of the platform's own sources, in every process.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub(crate) async fn switch_platform(&self, name: &str, state: SourceState) -> Result<()> {
        const WHAT: &str = "switch source";
        let name: SourceName = name.parse().map_err(|_| missing(WHAT))?;
        let declared = self.platform.get(&name).ok_or_else(|| missing(WHAT))?;
        let now = self.clock.now();
        let change = match self.store.platform_source(&name).await? {
            Some(stored) => {
                let mut source = (*stored).clone();
                (source.state, source.version, source.updated_at) = (state, stored.version.next(), now);
                SourceChange::Replace { source, expected: stored.version }
            }
            None => {
                let id = name.platform_id();
                let mut source = Source::new(id, Owner::Platform, name.clone(), declared.scheme.clone(), now);
                source.state = state;
                SourceChange::Insert(source)
            }
        };
        let saved = self.store.save_sources(&Owner::Platform, vec![change], Vec::new(), now).await;
        self.known.forget(name.platform_id());
        saved
    }
}

/// A secret that the scheme cannot use is refused when it is given, not when something is received.
fn check_secret(source: &Source, secret: &Secret, what: &'static str) -> Result<()> {
    let secret = crate::inbound::request::SourceSecret::new("new", secret.clone());
    PreparedScheme::new(&source.scheme, &[secret])
        .map(drop)
        .map_err(|problems| Error::invalid(what, problems))
}
