//! A store that says it lasts, and can be bent: it goes away, somebody comes between two of its steps, or it stands worse than
//! it does.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use crossdock::adapters::memory::MemoryStore;
use crossdock::webhooks::{Examination, Half};
use crossdock::{Error, ErrorKind, Result};

use crate::relay::relay;

/// A store in memory behind bends that a test sets; a clone is the same store.
#[derive(Clone, Default)]
pub(crate) struct Bent {
    pub(crate) inner: MemoryStore,
    bend: Arc<Mutex<Bend>>,
}

type Interruption = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
type Worsening = Box<dyn Fn(&mut Examination) + Send>;
type Time = Box<dyn Fn() -> DateTime<Utc> + Send>;

#[derive(Default)]
struct Bend {
    is_away: bool,
    before_reseal: Option<Interruption>,
    examination: Option<Worsening>,
    time: Option<Time>,
    settles_singly: bool,
    /// It leases what it distributes, and gives nothing to those who claim.
    leases_at_once: bool,
    before_lease: Option<Interruption>,
    /// How often somebody else was faster with the outbox, if somebody is.
    lost: Option<usize>,
    /// Which halves of the outbox were asked for; the tenant `t` is in the even one, and others in the odd one.
    halves: Vec<Half>,
}

impl Bent {
    /// It does not answer, until it is back.
    pub(crate) fn go_away(&self) {
        self.locked(|bend| bend.is_away = true);
    }

    pub(crate) fn come_back(&self) {
        self.locked(|bend| bend.is_away = false);
    }

    /// Somebody acts once, between the reading of secrets and their resealing.
    pub(crate) fn before_reseal<F: Future<Output = ()> + Send + 'static>(
        &self,
        act: impl FnOnce() -> F + Send + 'static,
    ) {
        self.locked(|bend| bend.before_reseal = Some(Box::new(|| Box::pin(act()))));
    }

    /// It has a clock of its own.
    pub(crate) fn tell_time(&self, now: impl Fn() -> DateTime<Utc> + Send + 'static) {
        self.locked(|bend| bend.time = Some(Box::new(now)));
    }

    /// It is away whenever more than one result is brought.
    pub(crate) fn settle_singly(&self) {
        self.locked(|bend| bend.settles_singly = true);
    }

    /// It leases all that it distributes at once, and gives nothing to those who claim; something happens before the first answer.
    pub(crate) fn lease_at_once<F: Future<Output = ()> + Send + 'static>(
        &self,
        act: impl FnOnce() -> F + Send + 'static,
    ) {
        self.locked(|bend| {
            bend.leases_at_once = true;
            bend.before_lease = Some(Box::new(|| Box::pin(act())));
        });
    }

    /// Somebody else takes whatever is in the outbox, and never gets it done.
    pub(crate) fn others_are_faster(&self) {
        self.locked(|bend| bend.lost = Some(0));
    }

    /// They are gone; answers how often they were faster.
    pub(crate) fn others_are_gone(&self) -> usize {
        self.locked(|bend| bend.lost.take()).unwrap_or_default()
    }

    /// Which halves of the outbox were asked for.
    pub(crate) fn halves(&self) -> Vec<Half> {
        self.locked(|bend| bend.halves.clone())
    }

    /// It tells a doctor something else.
    pub(crate) fn examined_as(&self, change: impl Fn(&mut Examination) + Send + 'static) {
        self.locked(|bend| bend.examination = Some(Box::new(change)));
    }

    fn locked<T>(&self, look: impl FnOnce(&mut Bend) -> T) -> T {
        look(&mut self.bend.lock().expect("no panic under the lock"))
    }

    fn ask(&self) -> Result<&MemoryStore> {
        match self.locked(|bend| bend.is_away) {
            false => Ok(&self.inner),
            true => {
                Err(Error::new(ErrorKind::Unavailable, "reach the store").with_source("connection refused"))
            }
        }
    }

    async fn around<T>(
        &self,
        _step: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.ask()?;
        call.await
    }
}

impl fmt::Debug for Bent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bent").finish_non_exhaustive()
    }
}

relay! { ActivityStore for Bent }

relay! { DeliveryQueue for Bent: publish outbox expire advance_replays tidy;
    async fn outbox_half(&self, half: Half, limit: usize, now: DateTime<Utc>) -> Result<Option<Outbox>> {
        self.locked(|bend| bend.halves.push(half));
        let mut outbox = self.ask()?.outbox(usize::MAX, now).await?;
        outbox.entries.retain(|(_, event)| (event.tenant.as_str() == "t") == (half == Half::Even));
        outbox.entries.truncate(limit);
        Ok(Some(outbox))
    }

    async fn fan_out(&self, entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        if self.locked(|bend| bend.lost.as_mut().map(|lost| *lost += 1)).is_some() {
            return Ok(0);
        }
        self.ask()?.fan_out(entries, now).await
    }

    async fn distribute(&self, entries: Vec<Distribution>, request: ClaimRequest) -> Result<Distributed> {
        let entries = entries.into_iter().map(Distribution::without_event).collect();
        let taken = self.fan_out(entries, request.now).await?;
        if !self.locked(|bend| bend.leases_at_once) {
            return Ok(Distributed::new(taken, Vec::new(), None));
        }
        let claims = self.inner.claim(request).await?.claims;
        let before = self.locked(|bend| bend.before_lease.take());
        if let Some(before) = before {
            before().await;
        }
        Ok(Distributed::new(taken, claims, Some(DateTime::<Utc>::MAX_UTC)))
    }

    async fn claim(&self, mut request: ClaimRequest) -> Result<Claimed> {
        if self.locked(|bend| bend.leases_at_once) {
            request.limit = 0;
        }
        let mut claimed = self.ask()?.claim(request).await?;
        claimed.now = self.locked(|bend| bend.time.as_ref().map_or(claimed.now, |time| time()));
        Ok(claimed)
    }

    async fn settle(&self, batch: SettleBatch<'_>, now: DateTime<Utc>) -> Result<Settled> {
        if batch.settlements.len() > 1 && self.locked(|bend| bend.settles_singly) {
            return Err(
                Error::new(ErrorKind::Unavailable, "settle deliveries").with_source("statement timeout")
            );
        }
        self.ask()?.settle(batch, now).await
    }

    async fn examine(&self, now: DateTime<Utc>) -> Result<Examination> {
        let mut found = self.ask()?.examine(now).await?;
        self.locked(|bend| bend.examination.iter().for_each(|change| change(&mut found)));
        Ok(found)
    }
}

relay! { WebhookRepository for Bent:
    save webhook webhooks defaults health backlog event deliveries delivery record_test resend preview_replay start_replay
    replay replays cancel_replay release_stopped erase_subject tenants;
    fn durability(&self) -> Durability {
        Durability::Lasting
    }

    async fn reseal(&self, tenant: &TenantId, seals: Vec<Resealed>) -> Result<u64> {
        let before = self.locked(|bend| bend.before_reseal.take());
        if let Some(before) = before {
            before().await;
        }
        self.ask()?.reseal(tenant, seals).await
    }
}
