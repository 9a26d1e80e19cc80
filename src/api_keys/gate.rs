//! The gate: every call of the host's API passes it.
//!
//! The order is: form and checksum, look-up, secret, state, time, address, rights, limits. Nothing about a key is told before its
//! secret was right. What is known here is judged without waiting and without allocating; what is not is looked up first, an
//! unknown id exactly like a known one.
//!
//! What is known here is at most [`STALE`](Gate::STALE) old: every second the gate asks the store what has changed, by
//! [`run_until`](Gate::run_until) or, where nothing runs, by the next call that finds its knowledge too old.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{self, Either};

use crate::activity::store::ActivityStore;
use crate::activity::{Broadcast, Heard};
use crate::api_keys::cache::{Cache, Entry, Known, Ticket};
use crate::api_keys::call::{ApiCall, Authenticated, TokenHeader};
use crate::api_keys::calls::Calls;
use crate::api_keys::flush::Flusher;
use crate::api_keys::leak::KeyLeaked;
use crate::api_keys::line::{Admission, Limits};
use crate::api_keys::log::Log;
use crate::api_keys::model::{ApiKey, Rekeyed};
use crate::api_keys::networks;
use crate::api_keys::pepper::{PepperSlot, Peppers};
use crate::api_keys::refusal::{Refusal, Refused};
use crate::api_keys::settings::ApiKeySettings;
use crate::api_keys::store::{Epoch, KeyStore};
use crate::api_keys::token::{PublicId, Token, TokenForm, TokenRefusal};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Clock, Entropy};

/// Lets calls of the host's API in, or refuses them; from [`Hub::gate`](crate::Hub::gate). A clone is the same gate.
///
/// ```
/// use std::net::IpAddr;
/// use crossdock::Hub;
/// use crossdock::api_keys::{ApiCall, NewApiKey, Permission};
/// use crossdock::tenancy::Actor;
/// use http::{HeaderMap, Method};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let keys = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).api_keys();
/// let created = keys.create(NewApiKey::new("ERP").allow([Permission::Read])).await?;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("authorization", format!("Bearer {}", created.token.reveal()).parse()?);
/// let peer = IpAddr::from([203, 0, 113, 9]);
///
/// let caller = hub.gate().authenticate(&ApiCall::new(&Method::GET, &headers, peer)).await?;
/// assert_eq!(caller.tenant().as_str(), "org_42");
///
/// let refused = hub.gate().authenticate(&ApiCall::new(&Method::DELETE, &headers, peer)).await.unwrap_err();
/// assert_eq!(refused.status().as_u16(), 403);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Gate(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn KeyStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) form: TokenForm,
    pub(crate) peppers: Peppers,
    pub(crate) settings: ApiKeySettings,
    pub(crate) cache: Cache,
    pub(crate) flusher: Flusher,
    pub(crate) calls: Calls,
    pub(crate) log: Log,
    pub(crate) leaks: Broadcast<KeyLeaked>,
    epoch: Mutex<Option<Epoch>>,
    /// When the last look at the changes began that has come back, in microseconds.
    confirmed_at: AtomicI64,
    /// Whether a call is asking for all what has changed, before what is known is too old.
    asking: AtomicBool,
    refused: [AtomicU64; UNATTRIBUTED.len()],
    failures: AtomicU64,
    last_failure: Mutex<Option<String>>,
}

/// How the gate stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GateStatus {
    /// Until when all changes are known here; `None` before the first look.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// How often calls were refused that belong to no key, by reason.
    pub refused: Vec<(Refusal, u64)>,
    /// How many calls were recorded that stand in no entry of the log: there was more between two flushes than is remembered, or the
    /// store stayed away for too long.
    pub calls_missed: u64,
    /// How often the store has failed.
    pub failures: u64,
    /// The last failure, in words.
    pub last_failure: Option<String>,
}

/// Whether a look may turn into asking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    /// One of the calls asks for all of them when what is known grows old, so that it never is too old for all at once.
    Asks,
    Looks,
}

/// What a look without waiting has found.
enum Look<'c> {
    Done(Result<Authenticated, Refused>),
    /// Word of changes is too old.
    Confirm,
    Find(Token<'c>, Ticket),
    Lease(Arc<Entry>, IpAddr),
}

impl Gate {
    /// How old the knowledge is at most by which a call is judged: 2.5 s. A machine's clock that was set back runs at half its speed
    /// until it is right again, so no more than 5 s pass by any other clock.
    pub const STALE: Duration = Duration::from_millis(2_500);
    /// How often the gate asks what has changed.
    pub const ASK: Duration = Duration::from_secs(1);
    /// How often usage is written down at most.
    pub const FLUSH: Duration = Duration::from_secs(60);

    pub(crate) fn new(
        store: Arc<dyn KeyStore>,
        activity: Arc<dyn ActivityStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        form: TokenForm,
        peppers: Peppers,
        settings: ApiKeySettings,
    ) -> Self {
        let cache = Cache::new(settings.cached);
        let calls = Calls::new(settings.calls);
        Self(Arc::new(Inner {
            store,
            clock,
            entropy,
            form,
            peppers,
            settings,
            cache,
            flusher: Flusher::default(),
            calls,
            log: Log::new(activity),
            leaks: Broadcast::default(),
            epoch: Mutex::default(),
            confirmed_at: AtomicI64::new(i64::MIN),
            asking: AtomicBool::new(false),
            refused: Default::default(),
            failures: AtomicU64::new(0),
            last_failure: Mutex::default(),
        }))
    }

    /// Judges a call by what is known here, without waiting and without allocating; `None` when that is not enough, and
    /// [`authenticate`](Self::authenticate) must be asked.
    ///
    /// # Errors
    /// The call is refused.
    #[inline]
    pub fn check(&self, call: &ApiCall<'_>) -> Option<Result<Authenticated, Refused>> {
        match self.0.look(call, Turn::Looks) {
            Look::Done(verdict) => Some(verdict),
            Look::Confirm | Look::Find(..) | Look::Lease(..) => None,
        }
    }

    /// Lets a call in, or refuses it. As long as everything needed is known here, the future is ready at its first poll.
    ///
    /// Dropping the future leaves a call uncounted, or uses of a key leased and not spent: they serve the next call.
    ///
    /// # Errors
    /// The call is refused.
    pub async fn authenticate(&self, call: &ApiCall<'_>) -> Result<Authenticated, Refused> {
        let gate = &*self.0;
        let mut turn = Turn::Asks;
        loop {
            match gate.look(call, turn) {
                Look::Done(verdict) => return verdict,
                Look::Lease(entry, address) => return gate.lease(call, entry, address).await,
                // It has asked, and the answer came too late.
                Look::Confirm if turn == Turn::Looks => return Err(gate.refuse_unknown(Refusal::Unavailable)),
                Look::Confirm => {
                    turn = Turn::Looks;
                    // Failing, it is counted; whether what is known is good enough, the next look says.
                    let confirmed = gate.confirm().await;
                    gate.asking.store(false, Ordering::Relaxed);
                    gate.note(confirmed);
                }
                Look::Find(token, ticket) => {
                    let entry =
                        gate.fetch(token.id(), ticket).await.map_err(|error| gate.unavailable(&error))?;
                    return match gate.judge(call, token, entry, gate.now()) {
                        Look::Done(verdict) => verdict,
                        Look::Lease(entry, address) => gate.lease(call, entry, address).await,
                        Look::Confirm | Look::Find(..) => Err(gate.refuse_unknown(Refusal::Unavailable)),
                    };
                }
            }
        }
    }

    /// Asks every second what has changed, and writes usage down every minute, until `shutdown` completes; then once more, and
    /// gives back what was leased. A host runs it once per process, beside its server.
    ///
    /// Dropping the future leaves the last minute's usage in memory: [`flush`](Self::flush) writes it down.
    pub async fn run_until(&self, shutdown: impl Future<Output = ()>) {
        let gate = &*self.0;
        let mut shutdown = std::pin::pin!(shutdown);
        let mut flush_at = gate.clock.now() + Self::FLUSH;
        loop {
            // Failures are counted and told by `status`; the next second tries again.
            gate.note(gate.confirm().await);
            if flush_at <= gate.clock.now() {
                flush_at = gate.clock.now() + Self::FLUSH;
                gate.note(gate.flush().await);
                gate.note(gate.flush_calls().await);
            }
            let pause = gate.clock.sleep_until(gate.clock.now() + Self::ASK);
            if let Either::Left(_) = future::select(shutdown.as_mut(), pause).await {
                break;
            }
        }
        gate.note(gate.flush().await);
        gate.note(gate.flush_calls().await);
        gate.note(gate.give_back().await);
    }

    /// Writes down how keys were used, and how calls were answered. [`run_until`](Self::run_until) does it every minute.
    ///
    /// Dropping the future leaves it waiting for the next time, also if it has been written down: then the use counts twice.
    ///
    /// # Errors
    /// The store's; what could not be written waits for the next time, unless it never can be.
    pub async fn flush(&self) -> Result<()> {
        let (used, answered) = (self.0.flush().await, self.0.flush_calls().await);
        used.and(answered)
    }

    /// The keys that are found in the open, from now on, as far as this process learns of it.
    pub fn leaks(&self) -> Heard<KeyLeaked> {
        self.0.leaks.subscribe()
    }

    /// The regular expression to register with secret scanners.
    pub fn token_pattern(&self) -> String {
        self.0.form.pattern()
    }

    /// In which header calls carry their token.
    pub fn token_header(&self) -> &TokenHeader {
        &self.0.settings.header
    }

    /// How the gate stands.
    pub fn status(&self) -> GateStatus {
        let gate = &*self.0;
        let refused = UNATTRIBUTED.iter().zip(&gate.refused);
        GateStatus {
            confirmed_at: DateTime::from_timestamp_micros(gate.confirmed_at.load(Ordering::Relaxed)),
            refused: refused.map(|(reason, count)| (*reason, count.load(Ordering::Relaxed))).collect(),
            calls_missed: gate.calls.missed() + gate.log.given_up(),
            failures: gate.failures.load(Ordering::Relaxed),
            last_failure: gate.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Inner {
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().timestamp_micros()
    }

    /// How old word of changes is, in microseconds.
    #[inline]
    fn age(&self, now: i64) -> i64 {
        now.saturating_sub(self.confirmed_at.load(Ordering::Acquire))
    }

    #[inline]
    fn look<'c>(&self, call: &ApiCall<'c>, turn: Turn) -> Look<'c> {
        let token = match self.settings.header.token(call.headers).and_then(|text| self.parse(text)) {
            Ok(token) => token,
            Err(reason) => return Look::Done(Err(self.refuse_unknown(reason))),
        };
        let now = self.now();
        let age = self.age(now);
        if age > STALE_MICROS {
            return Look::Confirm;
        }
        if age > OLD_MICROS && turn == Turn::Asks && !self.asking.swap(true, Ordering::Relaxed) {
            return Look::Confirm;
        }
        match self.cache.look(token.id(), now) {
            Known::Key(entry) => self.judge(call, token, Some(entry), now),
            Known::Nobody => self.judge(call, token, None, now),
            Known::Ask(ticket) => Look::Find(token, ticket),
        }
    }

    fn parse<'t>(&self, text: &'t [u8]) -> Result<Token<'t>, Refusal> {
        self.form.parse(text).map_err(|refusal| match refusal {
            TokenRefusal::Shape => Refusal::Malformed,
            TokenRefusal::Checksum => Refusal::Checksum,
        })
    }

    #[inline]
    fn judge<'c>(
        &self,
        call: &ApiCall<'c>,
        token: Token<'_>,
        entry: Option<Arc<Entry>>,
        now: i64,
    ) -> Look<'c> {
        let Some(entry) = entry else {
            // As much work as for a key that exists.
            let _never = self.peppers.matches(PepperSlot::Missing, token.secret(), &[0; 32]);
            return Look::Done(Err(self.refuse_unknown(Refusal::Unknown)));
        };
        let (secret, kept) = (token.secret(), entry.mac.code());
        let is_right =
            self.peppers.matches(entry.pepper, secret, kept) & (token.environment() == entry.environment);
        if !is_right {
            let reason = if entry.pepper == PepperSlot::Missing {
                Refusal::PepperMissing
            } else {
                Refusal::WrongSecret
            };
            return self.refuse(call, &entry, reason, None, now);
        }
        if let Some(reason) = entry.standing {
            return self.refuse(call, &entry, reason, None, now);
        }
        if now < entry.begins {
            return self.refuse(call, &entry, Refusal::NotYetValid, None, now);
        }
        if entry.ends <= now {
            return self.refuse(call, &entry, Refusal::Expired, None, now);
        }
        let Ok(address) = self.settings.proxies.client(call.peer, call.headers) else {
            return self.refuse(call, &entry, Refusal::AddressUnreadable, None, now);
        };
        if !networks::admit(&entry.networks, address) {
            return self.refuse(call, &entry, Refusal::Address, Some(address), now);
        }
        if let Err(reason) = call.judge(&entry.rights) {
            return self.refuse(call, &entry, reason, Some(address), now);
        }
        if matches!(entry.pepper, PepperSlot::Old(_)) {
            let before = entry.mac.clone();
            entry.tally.rekey(|| Rekeyed::new(before, self.peppers.mac(secret)));
        }
        match entry.line.as_ref().map_or(Admission::Admitted, |line| line.admit(now, address)) {
            Admission::Admitted => Look::Done(Ok(admit(call, entry, address, now))),
            Admission::Lease => Look::Lease(entry, address),
            Admission::Refused(reason, wait) => {
                entry.tally.refuse(reason, now, Some(address), call.route);
                let refused = Refused::of(reason, &entry.key.tenant, entry.key.id);
                let of_key = (reason == Refusal::Rate).then_some(entry.line.as_ref()).flatten();
                let refused = refused.at(of_key.and_then(|line| line.standing(now)));
                Look::Done(Err(wait.into_iter().fold(refused, Refused::until)))
            }
        }
    }

    #[cold]
    fn refuse<'c>(
        &self,
        call: &ApiCall<'_>,
        entry: &Entry,
        reason: Refusal,
        address: Option<IpAddr>,
        now: i64,
    ) -> Look<'c> {
        // From where it came is told also where it was not looked at.
        let address = address.or_else(|| self.settings.proxies.client(call.peer, call.headers).ok());
        entry.tally.refuse(reason, now, address, call.route);
        Look::Done(Err(Refused::of(reason, &entry.key.tenant, entry.key.id)))
    }

    fn refuse_unknown(&self, reason: Refusal) -> Refused {
        if let Some(index) = UNATTRIBUTED.iter().position(|known| *known == reason) {
            self.refused[index].fetch_add(1, Ordering::Relaxed);
        }
        Refused::new(reason)
    }

    fn unavailable(&self, error: &Error) -> Refused {
        self.fail(error);
        self.refuse_unknown(Refusal::Unavailable)
    }

    pub(crate) fn fail(&self, error: &Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.in_words());
    }

    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.fail(&error);
        }
    }

    /// Hears what has changed; from then on, what is known here is as new as the moment at which this began.
    pub(crate) async fn confirm(&self) -> Result<()> {
        let began = self.now();
        let since = *self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.store.changed_since(since, MOST_CHANGES).await?;
        match &changed.keys {
            Some(keys) => keys.iter().for_each(|key| self.cache.distrust(*key)),
            None => self.cache.distrust_all(),
        }
        // Several may hear at once; each has heard everything since what all of them had.
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        *epoch = (*epoch).max(Some(changed.epoch));
        self.confirmed_at.fetch_max(began, Ordering::Release);
        Ok(())
    }

    /// Reads a key, and keeps it.
    async fn fetch(&self, id: PublicId, ticket: Ticket) -> Result<Option<Arc<Entry>>> {
        let began = self.now();
        let found = self.store.find(id).await?;
        let now = self.now();
        if now.saturating_sub(began) > STALE_MICROS {
            // What was read then may be wrong by now.
            return Err(Error::new(ErrorKind::Unavailable, "find a key in time"));
        }
        Ok(match found {
            Some(key) => Some(self.keep(ticket, key, now)),
            None => {
                self.cache.keep_nobody(ticket, id, now);
                None
            }
        })
    }

    fn keep(&self, ticket: Ticket, key: Arc<ApiKey>, now: i64) -> Arc<Entry> {
        let limits = Limits {
            rate: key.rate.or(self.settings.rate),
            by_address: key.address_rate.or(self.settings.address_rate),
            max_uses: key.max_uses,
        };
        let pepper = self.peppers.slot(key.mac.pepper());
        self.cache.keep(ticket, key, pepper, limits, now)
    }

    /// Leases uses for a call that has passed everything else.
    async fn lease(
        &self,
        call: &ApiCall<'_>,
        entry: Arc<Entry>,
        address: IpAddr,
    ) -> Result<Authenticated, Refused> {
        let Some((line, (most, wanted))) = entry.line.as_ref().and_then(|line| Some((line, line.wanted()?)))
        else {
            return Ok(admit(call, entry, address, self.now()));
        };
        let leased = self.store.lease_uses(&line.tenant, line.id, most, wanted, self.clock.now()).await;
        let granted = leased.map_err(|error| self.unavailable(&error))?;
        let now = self.now();
        if self.age(now) > STALE_MICROS {
            // The key may have been revoked meanwhile. What was leased serves the next call.
            line.put(granted);
            return Err(self.refuse_unknown(Refusal::Unavailable));
        }
        if line.grant(granted, now) {
            return Ok(admit(call, entry, address, now));
        }
        entry.tally.refuse(Refusal::Exhausted, now, Some(address), call.route);
        Err(Refused::of(Refusal::Exhausted, &entry.key.tenant, entry.key.id))
    }
}

fn admit(call: &ApiCall<'_>, entry: Arc<Entry>, address: IpAddr, now: i64) -> Authenticated {
    entry.tally.allow(now, address, call.route);
    Authenticated { entry, address, at: now }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("store", &self.0.store)
            .field("peppers", &self.0.peppers)
            .finish_non_exhaustive()
    }
}

/// What is counted of calls that belong to no key.
const UNATTRIBUTED: [Refusal; 6] = [
    Refusal::Missing,
    Refusal::Ambiguous,
    Refusal::Malformed,
    Refusal::Checksum,
    Refusal::Unknown,
    Refusal::Unavailable,
];
/// More changes than this are heard as "any key".
const MOST_CHANGES: usize = 1_000;
const STALE_MICROS: i64 = Gate::STALE.as_micros() as i64;
/// Older than it gets as long as somebody asks every second.
const OLD_MICROS: i64 = 3 * Gate::ASK.as_micros() as i64 / 2;
