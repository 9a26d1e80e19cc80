//! The gate as a host holds it, and what is behind it.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{self, Either};

use crate::activity::store::ActivityStore;
use crate::activity::{Broadcast, Heard};
use crate::api_keys::cache::Cache;
use crate::api_keys::call::{ApiCall, Authenticated, TokenHeader};
use crate::api_keys::calls::Calls;
use crate::api_keys::flush::Flusher;
use crate::api_keys::gate::judge::{Look, Turn};
use crate::api_keys::gate::status::UNATTRIBUTED;
use crate::api_keys::leak::KeyLeaked;
use crate::api_keys::log::Log;
use crate::api_keys::pepper::Peppers;
use crate::api_keys::refusal::{Refusal, Refused};
use crate::api_keys::settings::ApiKeySettings;
use crate::api_keys::store::{Epoch, KeyStore};
use crate::api_keys::token::TokenForm;
use crate::error::Result;
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
    pub(super) epoch: Mutex<Option<Epoch>>,
    /// When the last look at the changes began that has come back, in microseconds.
    pub(super) confirmed_at: AtomicI64,
    /// Whether a call is asking for all what has changed, before what is known is too old.
    pub(super) asking: AtomicBool,
    pub(super) refused: [AtomicU64; UNATTRIBUTED.len()],
    pub(super) failures: AtomicU64,
    pub(super) last_failure: Mutex<Option<String>>,
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
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("store", &self.0.store)
            .field("peppers", &self.0.peppers)
            .finish_non_exhaustive()
    }
}
