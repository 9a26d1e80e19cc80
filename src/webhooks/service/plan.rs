//! Changes that are planned one after the other and saved together, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::activity::model::{Activity, ActivityKind, Subject};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::event_type::EventPattern;
use crate::ports::SealPlace;
use crate::primitives::id::WebhookId;
use crate::primitives::page::PageRequest;
use crate::tenancy::model::{Actor, Entitlement, Role, TenantId};
use crate::webhooks::context::Context;
use crate::webhooks::model::{StoredAuth, TenantDefaults, Version, Webhook};
use crate::webhooks::repository::{Change, Release};
use crate::webhooks::service::checks::Rules;
use crate::webhooks::service::credentials::{CheckedAuth, Edit, stored_password};

/// Changes on their way: what was found, what it is to become, and what is wrong.
pub(crate) struct Plan<'a> {
    pub(crate) context: &'a Context,
    pub(crate) actor: &'a Actor,
    pub(crate) now: DateTime<Utc>,
    step: &'static str,
    webhooks: BTreeMap<WebhookId, Planned>,
    defaults: Option<PlannedDefaults>,
    /// How many webhooks the tenant has; counted when first asked.
    stored: Option<usize>,
    activity: Vec<Activity>,
    faults: Faults,
}

struct Planned {
    found: Option<Arc<Webhook>>,
    /// `None` if it is to be removed.
    wanted: Option<Webhook>,
    release: Release,
}

struct PlannedDefaults {
    found: Arc<TenantDefaults>,
    wanted: TenantDefaults,
}

/// What is wrong with any of the changes.
#[derive(Default)]
struct Faults {
    /// Stands before the fields' names when there are several changes.
    place: String,
    problems: Vec<Problem>,
    kinds: Vec<ErrorKind>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(context: &'a Context, actor: &'a Actor, step: &'static str) -> Self {
        Self {
            context,
            actor,
            now: context.clock.now(),
            step,
            webhooks: BTreeMap::new(),
            defaults: None,
            stored: None,
            activity: Vec::new(),
            faults: Faults::default(),
        }
    }

    pub(crate) fn tenant(&self) -> &'a TenantId {
        self.actor.tenant()
    }

    /// From now on problems are those of this one of several changes.
    pub(crate) fn begin_step(&mut self, index: usize) {
        self.faults.place = format!("steps[{index}].");
    }

    pub(crate) fn rules<'r>(&'r self, present: &'r [EventPattern]) -> Rules<'r> {
        Rules {
            egress: &self.context.egress,
            catalog: &self.context.catalog,
            formats: self.context.dispatcher.formats(),
            mappings: self.context.dispatcher.mappings(),
            settings: &self.context.settings,
            actor: self.actor,
            present,
        }
    }

    /// What the webhook of these patterns may hear of: what the actor's contract holds. The host's own code is not asked for
    /// modules, so it opens the gates of the types that it names.
    pub(crate) fn entitlements(&self, patterns: &[EventPattern]) -> BTreeSet<Entitlement> {
        let mut entitlements = self.actor.entitlements().clone();
        if self.actor.role() == Role::System {
            let named = self
                .context
                .catalog
                .entries()
                .iter()
                .filter(|entry| patterns.iter().any(|pattern| pattern.matches(entry.event_type())));
            entitlements.extend(named.flat_map(|entry| entry.requires_any().iter().cloned()));
        }
        entitlements
    }

    /// The webhook as it will be after what is planned so far; `None`, and noted, if there is none.
    pub(crate) async fn find(&mut self, id: WebhookId) -> Result<Option<Webhook>> {
        if !self.webhooks.contains_key(&id)
            && let Some(found) = self.context.repository.webhook(self.tenant(), id).await?
        {
            let wanted = Some(Webhook::clone(&found));
            self.webhooks.insert(id, Planned { found: Some(found), wanted, release: Release::Keep });
        }
        let webhook = self.webhooks.get(&id).and_then(|planned| planned.wanted.clone());
        if webhook.is_none() {
            self.faults.note(
                ErrorKind::NotFound,
                Problem::new("id", "there is no such webhook", "look the id up in the list"),
            );
        }
        Ok(webhook)
    }

    /// The version that is stored; a change must have been made from it.
    pub(crate) fn stored_version(&self, id: WebhookId) -> Version {
        let found = self.webhooks.get(&id).and_then(|planned| planned.found.as_ref());
        found.map_or(Version::NONE, |found| found.version)
    }

    /// How many webhooks the tenant will have. Of two plans at the same time, the second to be saved is planned anew.
    pub(crate) async fn count(&mut self) -> Result<usize> {
        let stored = match self.stored {
            Some(stored) => stored,
            None => *self.stored.insert(self.count_stored().await?),
        };
        let (mut added, mut removed) = (0, 0);
        for planned in self.webhooks.values() {
            match (&planned.found, &planned.wanted) {
                (None, Some(_)) => added += 1,
                (Some(_), None) => removed += 1,
                _ => {}
            }
        }
        Ok((stored + added).saturating_sub(removed))
    }

    async fn count_stored(&self) -> Result<usize> {
        let mut count = 0;
        let mut page = PageRequest::first(PageRequest::MAX);
        loop {
            let webhooks = self.context.repository.webhooks(self.tenant(), page).await?;
            count += webhooks.items.len();
            match webhooks.next {
                Some(next) => page = page.after(next),
                None => return Ok(count),
            }
        }
    }

    /// The tenant's defaults as they will be.
    pub(crate) async fn defaults(&mut self) -> Result<&mut TenantDefaults> {
        let planned = match self.defaults.take() {
            Some(planned) => planned,
            None => {
                let found = self.context.repository.defaults(self.tenant()).await?;
                PlannedDefaults { wanted: TenantDefaults::clone(&found), found }
            }
        };
        Ok(&mut self.defaults.insert(planned).wanted)
    }

    pub(crate) fn insert(&mut self, webhook: Webhook) {
        let planned = Planned { found: None, wanted: None, release: Release::Keep };
        self.webhooks.insert(webhook.id, Planned { wanted: Some(webhook), ..planned });
    }

    pub(crate) fn replace(&mut self, webhook: Webhook, release: Release) {
        if let Some(planned) = self.webhooks.get_mut(&webhook.id) {
            planned.wanted = Some(webhook);
            if release == Release::Release {
                planned.release = release;
            }
        }
    }

    pub(crate) fn remove(&mut self, id: WebhookId) {
        if let Some(planned) = self.webhooks.get_mut(&id) {
            planned.wanted = None;
        }
    }

    /// Notes what is wrong with the input.
    pub(crate) fn refuse(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            self.faults.note(ErrorKind::Invalid, problem);
        }
    }

    /// Notes that the present state does not allow it.
    pub(crate) fn conflict(&mut self, problem: Problem) {
        self.faults.note(ErrorKind::Conflict, problem);
    }

    /// The entry of the log for a change; the caller adds details and hands it to [`Plan::log`].
    pub(crate) fn activity(&self, kind: ActivityKind, subject: impl Into<Subject>) -> Activity {
        self.context.activity_by(self.actor, kind, subject, self.now)
    }

    pub(crate) fn log(&mut self, activity: Activity) {
        self.activity.push(activity);
    }

    /// Seals a login for this place; a basic login that keeps its password keeps the sealed one.
    pub(crate) async fn seal_auth(
        &self,
        place: SealPlace<'_>,
        auth: CheckedAuth,
        present: Option<&StoredAuth>,
    ) -> Result<StoredAuth> {
        let vault = &self.context.vault;
        Ok(match auth {
            CheckedAuth::None => StoredAuth::None,
            CheckedAuth::Basic { username, password } => {
                let password = match password {
                    Edit::Keep => stored_password(present).cloned(),
                    Edit::Set(password) => Some(vault.seal(place, &password).await?),
                    Edit::Clear => None,
                };
                StoredAuth::Basic { username, password }
            }
            CheckedAuth::Bearer(token) => StoredAuth::Bearer { token: vault.seal(place, &token).await? },
            CheckedAuth::Headers(headers) => {
                let mut sealed = Vec::with_capacity(headers.len());
                for (name, value) in headers {
                    sealed.push((name, vault.seal(place, &value).await?));
                }
                StoredAuth::Headers(sealed)
            }
        })
    }

    /// Everything that is wrong with what was planned.
    pub(crate) fn verdict(&mut self) -> Result<()> {
        std::mem::take(&mut self.faults).into_result(self.step)
    }

    /// Saves everything, after [`Plan::verdict`] had nothing against it. Afterwards the webhooks are as they were saved.
    pub(crate) async fn save(&mut self) -> Result<()> {
        let mut changes = Vec::new();
        for (&id, planned) in &mut self.webhooks {
            changes.extend(planned.change(id, self.now));
        }
        if changes.iter().any(|change| matches!(change, Change::Insert(_))) {
            changes.push(Change::AtMost(self.context.settings.max_webhooks));
        }
        if let Some(PlannedDefaults { found, wanted }) = &mut self.defaults
            && *wanted != **found
        {
            wanted.version = found.version.next();
            changes.push(Change::Defaults { defaults: wanted.clone(), expected: found.version });
        }
        if changes.is_empty() {
            return Ok(());
        }
        let activity = std::mem::take(&mut self.activity);
        self.context.repository.save(self.tenant(), changes, activity, self.now).await?;
        // What was held back may be due now.
        self.context.something_is_due();
        Ok(())
    }

    /// A webhook as it was saved.
    pub(crate) fn saved(&self, id: WebhookId) -> Option<&Webhook> {
        self.webhooks.get(&id).and_then(|planned| planned.wanted.as_ref())
    }
}

impl Planned {
    fn change(&mut self, id: WebhookId, now: DateTime<Utc>) -> Option<Change> {
        match (&self.found, &mut self.wanted) {
            (None, Some(webhook)) => Some(Change::Insert(webhook.clone())),
            (Some(found), None) => Some(Change::Remove { id, expected: found.version }),
            (Some(found), Some(webhook)) if *webhook != **found => {
                webhook.version = found.version.next();
                webhook.updated_at = now;
                let (webhook, expected) = (webhook.clone(), found.version);
                Some(Change::Replace { webhook, expected, release: self.release })
            }
            _ => None,
        }
    }
}

impl Faults {
    fn note(&mut self, kind: ErrorKind, mut problem: Problem) {
        problem.field.insert_str(0, &self.place);
        self.kinds.push(kind);
        self.problems.push(problem);
    }

    /// What the caller can mend comes first: of several kinds, the input's.
    fn into_result(self, step: &'static str) -> Result<()> {
        let order = [ErrorKind::Invalid, ErrorKind::NotFound, ErrorKind::Conflict];
        let Some(kind) = order.into_iter().find(|kind| self.kinds.contains(kind)) else { return Ok(()) };
        // With a single change there is nothing to say about which one is missing.
        let silent = kind == ErrorKind::NotFound && self.place.is_empty();
        let problems = if silent { Vec::new() } else { self.problems };
        Err(problems.into_iter().fold(Error::new(kind, step), Error::with_problem))
    }
}
