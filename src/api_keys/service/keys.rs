//! An administrator's keys.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use zeroize::Zeroizing;

use crate::activity::model::{Activity, ActivityKind};
use crate::activity::store::{ActivityFilter, ActivityStore};
use crate::api_keys::gate::{Gate, Inner};
use crate::api_keys::leak::LeakReport;
use crate::api_keys::life::grace_ends;
use crate::api_keys::model::{ApiKey, DayCount, KeyRecord, KeyState, LastUse, Succession};
use crate::api_keys::scope::Rights;
use crate::api_keys::service::new_key::{NewApiKey, check_end};
use crate::api_keys::service::refusals::KeyRefusal;
use crate::api_keys::service::regenerate::{self, Regeneration};
use crate::api_keys::service::saving::{Saving, entry};
use crate::api_keys::service::view::{CreatedKey, KeyDetails, KeyView};
use crate::api_keys::store::{KeyChange, KeyFilter};
use crate::api_keys::token::{Environment, PublicId, TokenOnce};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::ports::EntropyExt;
use crate::primitives::id::ApiKeyId;
use crate::primitives::page::{Page, PageRequest};
use crate::primitives::version::Version;
use crate::tenancy::model::Actor;
use crate::tenancy::policy::AccessPolicy;

/// A tenant's keys as this actor may see and change them; from [`Admin::api_keys`](crate::hub::Admin::api_keys).
///
/// Every change is logged with the actor's name, and made completely or not at all. It holds at once in this process, and within 5 s
/// everywhere. An id of another tenant answers like one that does not exist.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::api_keys::{KeyStatus, NewApiKey, Permission};
/// use crossdock::tenancy::Actor;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let keys = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).api_keys();
///
/// let created = keys.create(NewApiKey::new("ERP").allow([Permission::Read, Permission::Write])).await?;
/// assert!(created.token.reveal().starts_with("cd_live_"));
///
/// let revoked = keys.revoke(created.key.id, "the project has ended").await?;
/// assert_eq!(revoked.status, KeyStatus::Revoked);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ApiKeyAdmin {
    gate: Gate,
    access: AccessPolicy,
    activity: Arc<dyn ActivityStore>,
    actor: Actor,
    /// What may be given at most: the rights of the key that acts, if it is one.
    at_most: Option<Rights>,
}

impl ApiKeyAdmin {
    pub(crate) fn new(
        gate: Gate,
        access: AccessPolicy,
        activity: Arc<dyn ActivityStore>,
        actor: Actor,
        at_most: Option<Rights>,
    ) -> Self {
        Self { gate, access, activity, actor, at_most }
    }

    /// Makes a key. Its token is in the answer, and never again.
    ///
    /// Dropping the future leaves the key made or not; if it is, nobody has seen its token: revoke it.
    ///
    /// # Errors
    /// `Denied`, also when a key makes one that may do more than itself; `Invalid` with everything that is wrong; `Conflict` when the
    /// tenant has as many keys as it may have.
    pub async fn create(&self, new: NewApiKey) -> Result<CreatedKey> {
        const WHAT: &str = "create key";
        self.may_manage(WHAT)?;
        let gate = self.gate();
        let now = gate.clock.now();
        let mut problems = Vec::new();
        let checked = new.check(&gate.settings, self.actor.tenant(), now, &mut problems);
        if !problems.is_empty() {
            return Err(Error::invalid(WHAT, problems));
        }
        self.may_give(&checked.rights, WHAT)?;
        let (mut key, token) = self.mint(new.environment, now);
        (key.name, key.rights, key.networks) = (checked.name, checked.rights, checked.networks);
        (key.rate, key.address_rate, key.max_uses) = (new.rate, new.address_rate, new.max_uses);
        (key.not_before, key.expires_at) = (new.not_before, new.expires_at);
        let activity =
            self.entry(ActivityKind::KeyCreated, key.id, now).with_detail("name", key.name.clone());
        let changes = vec![KeyChange::Insert(key.clone()), KeyChange::AtMost(gate.settings.max_keys)];
        self.save(changes, vec![activity], now).await?;
        Ok(CreatedKey { key: KeyView::of(KeyRecord::new(key), now), token })
    }

    /// A page of keys, newest first.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`.
    pub async fn list(&self, filter: &KeyFilter, page: PageRequest) -> Result<Page<KeyView>> {
        self.may_read("list keys")?;
        let gate = self.gate();
        let now = gate.clock.now();
        let page = gate.store.keys(self.actor.tenant(), filter, page, now).await?;
        Ok(page.map(|record| self.view(record, now)))
    }

    /// One key, and how it was used in the last 30 days, up to now in this process, and up to the last flush in others.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn details(&self, id: ApiKeyId) -> Result<KeyDetails> {
        const WHAT: &str = "read key";
        self.may_read(WHAT)?;
        let gate = self.gate();
        let now = gate.clock.now();
        let record = self.find(id, WHAT).await?;
        let today = now.date_naive();
        let first = today.checked_sub_signed(TimeDelta::days(DAYS_SHOWN - 1)).unwrap_or(today);
        let stored = gate.store.usage(self.actor.tenant(), id, first, today).await?;
        let waiting =
            gate.cache.tally(record.key.public_id).map(|tally| tally.peek(now.timestamp_micros()).1);
        let usage = DayCount::sum(stored.into_iter().chain(waiting.into_iter().flatten()));
        Ok(KeyDetails { key: self.view(record, now), usage })
    }

    /// Keeps a key from being used until it is enabled; one that is disabled already is fine.
    ///
    /// Dropping the future leaves it disabled or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Conflict` when it is revoked.
    pub async fn disable(&self, id: ApiKeyId) -> Result<KeyView> {
        self.change("disable key", id, ActivityKind::KeyDisabled, |key, now| match key.state {
            KeyState::Active => Ok(Some(KeyState::Disabled { at: now })),
            KeyState::Disabled { .. } => Ok(None),
            KeyState::Revoked { .. } => Err(stays_revoked()),
        })
        .await
    }

    /// Lets a disabled key be used again; one that is not disabled is fine.
    ///
    /// Dropping the future leaves it enabled or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Conflict` when it is revoked.
    pub async fn enable(&self, id: ApiKeyId) -> Result<KeyView> {
        self.change("enable key", id, ActivityKind::KeyEnabled, |key, _| match key.state {
            KeyState::Disabled { .. } => Ok(Some(KeyState::Active)),
            KeyState::Active => Ok(None),
            KeyState::Revoked { .. } => Err(stays_revoked()),
        })
        .await
    }

    /// Ends a key at once and for ever, with a reason for people to read; one that is revoked already is fine.
    ///
    /// Dropping the future leaves it revoked or not.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` when the reason is longer than 500 characters.
    pub async fn revoke(&self, id: ApiKeyId, reason: &str) -> Result<KeyView> {
        const WHAT: &str = "revoke key";
        if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
            self.may_manage(WHAT)?;
            let rule =
                format!("a reason has at most {MAX_REASON} characters, none of them a control character");
            return Err(Error::invalid(
                WHAT,
                [Problem::new("reason", rule, "shorten it, or leave it empty")],
            ));
        }
        self.change(WHAT, id, ActivityKind::KeyRevoked, |key, now| match key.state {
            KeyState::Revoked { .. } => Ok(None),
            _ => Ok(Some(KeyState::Revoked { at: now, reason: reason.to_owned() })),
        })
        .await
    }

    /// Makes a successor with the same rights, limits and restrictions. The old key may be used for a grace; both count as one.
    ///
    /// Dropping the future leaves the successor made or not; if it is, nobody has seen its token: revoke it.
    ///
    /// # Errors
    /// `Denied`, also when a key would get more rights than its own; `NotFound`; `Conflict` when the key is revoked, expired, or has a
    /// successor; `Invalid` with everything that is wrong.
    pub async fn regenerate(&self, id: ApiKeyId, regeneration: Regeneration) -> Result<CreatedKey> {
        const WHAT: &str = "regenerate key";
        self.may_manage(WHAT)?;
        let gate = self.gate();
        let mut race = Error::new(ErrorKind::Conflict, WHAT);
        for _ in 0..Saving::RETRIES {
            let now = gate.clock.now();
            let KeyRecord { key: old, used, .. } = self.find(id, WHAT).await?;
            if let Some(problem) = regenerate::refusal(&old, now) {
                return Err(Error::new(ErrorKind::Conflict, WHAT).with_problem(problem));
            }
            self.may_give(&old.rights, WHAT)?;
            let ends = regeneration.expires_at.or(old.expires_at);
            let mut problems: Vec<_> = regeneration.problem().into_iter().collect();
            check_end(ends, &gate.settings, self.actor.tenant(), now, &mut problems);
            if !problems.is_empty() {
                return Err(Error::invalid(WHAT, problems));
            }
            let (minted, token) = self.mint(old.environment, now);
            let until = grace_ends(&old, regeneration.grace, now);
            let ApiKey { id: new, public_id, mac, display, created_at, created_by, .. } = minted;
            let successor = ApiKey {
                id: new,
                public_id,
                mac,
                display,
                version: Version::FIRST,
                expires_at: ends,
                leaked_at: None,
                created_at,
                created_by,
                updated_at: now,
                state: KeyState::Active,
                ..old.clone()
            };
            let replaced = ApiKey {
                successor: Some(Succession::new(new, until)),
                version: old.version.next(),
                updated_at: now,
                ..old.clone()
            };
            let activity = self
                .entry(ActivityKind::KeyRegenerated, id, now)
                .with_detail("successor", new.to_string())
                .with_detail("until", until.to_string());
            let changes = vec![
                KeyChange::Replace { key: replaced, expected: old.version },
                KeyChange::Insert(successor.clone()),
                KeyChange::AtMost(gate.settings.max_keys),
            ];
            match self.save(changes, vec![activity], now).await {
                // Somebody else was faster, or there is one key too many: looking again tells.
                Err(error) if error.kind() == ErrorKind::Conflict => race = error,
                saved => {
                    saved?;
                    let record = KeyRecord { used, ..KeyRecord::new(successor) };
                    return Ok(CreatedKey { key: KeyView::of(record, now), token });
                }
            }
        }
        Err(race)
    }

    /// "Why is my key not working?": calls with it that were refused, newest first; what this process has not written down yet comes
    /// first, on the first page.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn refusals(&self, id: ApiKeyId, page: PageRequest) -> Result<Page<KeyRefusal>> {
        const WHAT: &str = "list refusals";
        self.may_read(WHAT)?;
        let record = self.find(id, WHAT).await?;
        let gate = self.gate();
        let mut filter = ActivityFilter::default();
        (filter.kind, filter.subject) = (Some(ActivityKind::KeyRefused), Some(id.into()));
        let logged = self.activity.activity(self.actor.tenant(), &filter, page).await?;
        let tally = gate.cache.tally(record.key.public_id).filter(|_| page.cursor().is_none());
        let mut notes = tally.map(|tally| tally.peek(gate.now()).2).unwrap_or_default();
        notes.sort_by_key(|note| std::cmp::Reverse(note.at()));
        let waiting = notes.iter().map(KeyRefusal::of_note);
        let items = waiting.chain(logged.items.iter().filter_map(KeyRefusal::of_entry)).collect();
        Ok(Page::new(items, logged.next))
    }

    /// Takes a report that a token of this tenant's was found in the open, as [`Gate::report_leaked`] does. Of another tenant's token
    /// nothing is known here.
    ///
    /// Dropping the future leaves the key marked or not.
    ///
    /// # Errors
    /// `Denied`; the store's.
    pub async fn report_leaked(&self, token: &str) -> Result<LeakReport> {
        self.may_manage("report a leaked key")?;
        self.gate().report_leaked(token, Some(&self.actor)).await
    }

    /// Changes the state of a key to what `state` answers; `None` leaves it as it is.
    async fn change(
        &self,
        what: &'static str,
        id: ApiKeyId,
        kind: ActivityKind,
        state: impl Fn(&ApiKey, DateTime<Utc>) -> Result<Option<KeyState>, Problem>,
    ) -> Result<KeyView> {
        self.may_manage(what)?;
        let mut race = Error::new(ErrorKind::Conflict, what);
        for _ in 0..Saving::RETRIES {
            let now = self.gate().clock.now();
            let mut record = self.find(id, what).await?;
            let refuse = |problem| Error::new(ErrorKind::Conflict, what).with_problem(problem);
            let Some(next) = state(&record.key, now).map_err(refuse)? else {
                return Ok(self.view(record, now));
            };
            let mut activity = self.entry(kind, id, now);
            if let KeyState::Revoked { reason, .. } = &next
                && !reason.is_empty()
            {
                activity = activity.with_detail("reason", reason.clone());
            }
            let expected = record.key.version;
            (record.key.state, record.key.version, record.key.updated_at) = (next, expected.next(), now);
            let change = KeyChange::Replace { key: record.key.clone(), expected };
            match self.save(vec![change], vec![activity], now).await {
                Err(error) if error.kind() == ErrorKind::Conflict => race = error,
                saved => return saved.map(|()| self.view(record, now)),
            }
        }
        Err(race)
    }

    fn mint(&self, environment: Environment, now: DateTime<Utc>) -> (ApiKey, TokenOnce) {
        let gate = self.gate();
        let public_id = PublicId::mint(gate.entropy.bytes());
        let mut random = Zeroizing::new([0; 32]);
        gate.entropy.fill(&mut *random);
        let token = gate.form.mint(environment, public_id, &random);
        let mac = gate.peppers.mac(token.secret());
        let id = ApiKeyId::mint(now, gate.entropy.bytes());
        let mut key = ApiKey::new(id, self.actor.tenant().clone(), public_id, mac, token.display_form(), now);
        (key.environment, key.created_by) = (environment, self.actor.name().into());
        (key, token)
    }

    async fn find(&self, id: ApiKeyId, what: &'static str) -> Result<KeyRecord> {
        let found = self.gate().store.key(self.actor.tenant(), id).await?;
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, what))
    }

    async fn save(&self, changes: Vec<KeyChange>, activity: Vec<Activity>, now: DateTime<Utc>) -> Result<()> {
        Saving::of(self.gate(), self.actor.tenant()).save(changes, activity, now).await
    }

    /// With the last use that this process knows of, if it is later than the store's.
    fn view(&self, mut record: KeyRecord, now: DateTime<Utc>) -> KeyView {
        let here = self.gate().cache.tally(record.key.public_id);
        let here: Option<LastUse> = here.and_then(|tally| tally.peek(now.timestamp_micros()).0);
        record.last = here.into_iter().chain(record.last).max_by_key(|last| last.at);
        KeyView::of(record, now)
    }

    fn entry(&self, kind: ActivityKind, id: ApiKeyId, now: DateTime<Utc>) -> Activity {
        entry(self.gate(), &self.actor, kind, id, now)
    }

    fn gate(&self) -> &Inner {
        &self.gate.0
    }

    fn may_read(&self, what: &'static str) -> Result<()> {
        self.access
            .read(&self.actor)
            .map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
    }

    fn may_manage(&self, what: &'static str) -> Result<()> {
        self.access
            .manage(&self.actor)
            .map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
    }

    /// A key can never make a key with more than its own rights.
    fn may_give(&self, rights: &Rights, what: &'static str) -> Result<()> {
        let Some(excess) = self.at_most.as_ref().and_then(|own| own.excess_of(rights)) else { return Ok(()) };
        let rule = format!("a key gives no right that it has not itself, such as `{excess}`");
        Err(Error::new(ErrorKind::Denied, what).with_problem(Problem::new("rights", rule, "leave it out")))
    }
}

fn stays_revoked() -> Problem {
    Problem::new("state", "a revoked key stays revoked", "create a new key")
}

const DAYS_SHOWN: i64 = 30;
const MAX_REASON: usize = 500;
