//! What the hub asks of the world besides storage: time, randomness, wake-ups, one HTTP exchange, secrets at rest.

use std::fmt::{self, Debug};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::primitives::backoff::Jitter;
use crate::primitives::egress::TenantUrl;
use crate::primitives::secret::Secret;
use crate::primitives::stored::word::words;

/// Tells the time, and sleeps.
///
/// # Contract
/// - `now` never runs backwards within one clock.
/// - `sleep_until` returns at or after the given time of this same clock, at once if it has passed.
/// - Dropping the future of `sleep_until` leaves nothing behind.
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> DateTime<Utc>;

    /// Waits until `at`.
    async fn sleep_until(&self, at: DateTime<Utc>);
}

/// Throws the dice.
///
/// # Contract
/// - Outside tests the bytes are cryptographically strong: ids, secrets and keys are made of them.
pub trait Entropy: Debug + Send + Sync + 'static {
    /// Fills the buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// What is convenient to throw.
pub trait EntropyExt: Entropy {
    /// An array of random bytes, such as an id needs.
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random share for a wait.
    fn jitter(&self) -> Jitter {
        Jitter::from_bits(u32::from_le_bytes(self.bytes()))
    }
}

impl<E: Entropy + ?Sized> EntropyExt for E {}

/// A wake-up as a listener waits for it.
pub type Wakened = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries the hint "there is work" to whoever waits for work.
///
/// It is only a hint: workers also look by themselves at least once a second.
///
/// # Contract
/// - A `wake` that comes after `listen` has returned completes that listener, or is lost; it never fails.
/// - Dropping a listener leaves nothing behind.
pub trait Wake: Debug + Send + Sync + 'static {
    /// Says that there is work.
    fn wake(&self);

    /// Starts to listen at once; completes with the next `wake`.
    fn listen(&self) -> Wakened;
}

/// One HTTP request and the bounds within which its answer is taken.
#[derive(Clone)]
#[non_exhaustive]
pub struct ExchangeRequest {
    /// Where it goes: already parsed by the egress policy.
    pub url: TenantUrl,
    /// The method; webhooks use POST.
    pub method: http::Method,
    /// The headers besides `host` and `content-length`, which the transport writes.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The bounds in time and size.
    pub limits: ExchangeLimits,
    /// If not empty: the resolved addresses must also lie in one of these networks.
    pub destinations: Arc<[IpNet]>,
    /// For whom it is made, such as a tenant: what all share, one party may not use up.
    pub party: Option<Arc<str>>,
}

/// Bounds of one exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExchangeLimits {
    /// For the TCP and TLS handshakes; 5 s by default.
    pub connect: Duration,
    /// For everything, the body of the answer included; 20 s by default.
    pub total: Duration,
    /// How many bytes of the answer's body are read before the connection is closed; 64 KiB by default.
    pub read: usize,
    /// How many bytes of the answer's body are kept; 16 KiB by default.
    pub keep: usize,
}

/// What came back, whatever its status.
#[derive(Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Bytes,
    /// Whether there was more body than is kept.
    pub truncated: bool,
    /// The address that answered.
    pub peer: Option<IpAddr>,
    /// How long each part took.
    pub timings: Timings,
}

/// How long each part of an exchange took; a part that did not happen is `None`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timings {
    /// The name lookup.
    pub dns: Option<Duration>,
    /// The TCP handshake; `None` on a reused connection.
    pub connect: Option<Duration>,
    /// The TLS handshake; `None` on a reused connection and on plain HTTP.
    pub tls: Option<Duration>,
    /// From the request's first byte until the answer's head was there.
    pub first_byte: Option<Duration>,
    /// Everything.
    pub total: Duration,
}

/// No answer came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
#[non_exhaustive]
pub struct TransportError {
    /// Why, in words that tell a port scanner nothing.
    pub kind: TransportErrorKind,
    /// The address that was dialled, if it was a permitted one.
    pub peer: Option<SocketAddr>,
    /// How long each part took.
    pub timings: Timings,
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The URL or an address behind it is not permitted, or cannot be reached from here. Refused,
    /// filtered and forbidden look the same.
    Unreachable,
    /// The name could not be resolved.
    Dns,
    /// The TLS handshake failed: expired, self-signed, wrong name.
    Tls,
    /// The total time was over before the answer was complete.
    TimedOut,
    /// The connection broke after it had been made.
    Broken,
    /// What came back is not HTTP, or breaks a bound on headers.
    Protocol,
    /// This hub has no transport, or does not know the payload format that the webhook names.
    Unconfigured,
    /// The transport panicked, or failed in a way of its own.
    Internal,
}

/// One bounded HTTP exchange: how every part of the crate calls out.
///
/// # Contract
/// - The answer, or the error, is there by `limits.total` after the call.
/// - No redirect is followed, no proxy variable read, no cookie kept, no body decompressed.
/// - Only addresses that the egress policy and `destinations` permit are dialled; every lookup is judged anew.
/// - At most `limits.read` bytes of the answer's body are read and at most `limits.keep` are kept; an answer whose
///   body is longer is still an answer, with `truncated` set.
/// - Dropping the future closes the connection or returns it to the pool unused; nothing is sent twice.
#[async_trait]
pub trait Exchange: Debug + Send + Sync + 'static {
    /// Sends the request and takes the answer.
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError>;
}

/// Bytes that only the vault which sealed them can open.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Sealed(Bytes);

/// Where a sealed value lives: part of the seal, so that a value moved elsewhere does not open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SealPlace<'a> {
    /// The tenant's text.
    pub tenant: &'a str,
    /// The kind of record, such as `webhook`.
    pub table: &'a str,
    /// The record's id.
    pub record: &'a str,
    /// The field, such as `secret`.
    pub column: &'a str,
}

/// Keeps secrets at rest: repositories only ever see sealed bytes.
///
/// # Contract
/// - `open` gives back exactly what `seal` was given, for the same place.
/// - Another place, or a single changed bit, is [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt); no input of any length panics.
/// - An unknown key is [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable): it may come back.
/// - Sealing the same secret twice gives different bytes.
/// - `is_current` is true for what `seal` makes now, and false for what names another key, be it known or not; it opens nothing,
///   so a damaged seal may be current. What cannot have been sealed by a vault of this kind is `Corrupt`.
#[async_trait]
pub trait Vault: Debug + Send + Sync + 'static {
    /// Seals a secret for this place.
    async fn seal(&self, place: SealPlace<'_>, secret: &Secret) -> Result<Sealed>;

    /// Opens what was sealed for this place.
    async fn open(&self, place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret>;

    /// Whether a seal is of the key that seals now: after keys have changed, what is not is sealed anew.
    async fn is_current(&self, sealed: &Sealed) -> Result<bool>;
}

/// What becomes of a secret when its key may have changed.
pub(crate) enum Resealing {
    /// It is sealed under the present key.
    Current,
    /// The same secret under the present key.
    Anew(Sealed),
    /// Why this one cannot be sealed anew, while others may.
    Failed(Error),
}

/// Seals a secret anew if another key than the present one has sealed it.
///
/// # Errors
/// Nothing can be sealed at present: the vault does not say, or does not have, the present key.
pub(crate) async fn reseal(vault: &dyn Vault, place: SealPlace<'_>, seal: &Sealed) -> Result<Resealing> {
    let told = |error: Error| if error.is_transient() { Err(error) } else { Ok(Resealing::Failed(error)) };
    match vault.is_current(seal).await {
        Ok(true) => return Ok(Resealing::Current),
        Ok(false) => {}
        // Nobody can say which key is the present one.
        Err(error) => return told(error),
    }
    let secret = match vault.open(place, seal).await {
        Ok(secret) => secret,
        // A missing key is the reason for which operators look at a rewrap: it is told, and the next one may open.
        Err(error) => return Ok(Resealing::Failed(error)),
    };
    // Without the present key, nothing can be sealed.
    vault.seal(place, &secret).await.map_or_else(told, |sealed| Ok(Resealing::Anew(sealed)))
}

// A port that is shared is still that port: a host keeps a clone of its clock or transport to look at it later.

#[async_trait]
impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        (**self).sleep_until(at).await;
    }
}

impl<T: Entropy + ?Sized> Entropy for Arc<T> {
    fn fill(&self, buffer: &mut [u8]) {
        (**self).fill(buffer);
    }
}

impl<T: Wake + ?Sized> Wake for Arc<T> {
    fn wake(&self) {
        (**self).wake();
    }

    fn listen(&self) -> Wakened {
        (**self).listen()
    }
}

#[async_trait]
impl<T: Exchange + ?Sized> Exchange for Arc<T> {
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError> {
        (**self).exchange(request).await
    }
}

#[async_trait]
impl<T: Vault + ?Sized> Vault for Arc<T> {
    async fn seal(&self, place: SealPlace<'_>, secret: &Secret) -> Result<Sealed> {
        (**self).seal(place, secret).await
    }

    async fn open(&self, place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        (**self).open(place, sealed).await
    }

    async fn is_current(&self, sealed: &Sealed) -> Result<bool> {
        (**self).is_current(sealed).await
    }
}

impl ExchangeRequest {
    /// A POST of these bytes with the default limits and no headers.
    pub fn post(url: TenantUrl, body: impl Into<Bytes>) -> Self {
        Self {
            url,
            method: http::Method::POST,
            headers: HeaderMap::new(),
            body: body.into(),
            limits: ExchangeLimits::default(),
            destinations: Arc::default(),
            party: None,
        }
    }
}

impl fmt::Debug for ExchangeRequest {
    /// Header values and body are left out: they hold credentials and payloads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeRequest")
            .field("url", &self.url)
            .field("method", &self.method)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("limits", &self.limits)
            .field("destinations", &self.destinations)
            .field("party", &self.party)
            .finish()
    }
}

impl fmt::Debug for Answer {
    /// Header values and body are left out: a receiver may echo what it was sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("truncated", &self.truncated)
            .field("peer", &self.peer)
            .field("timings", &self.timings)
            .finish()
    }
}

impl ExchangeLimits {
    /// 5 s to connect, 20 s in all, 64 KiB read, 16 KiB kept.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(5),
        total: Duration::from_secs(20),
        read: 64 * 1024,
        keep: 16 * 1024,
    };
}

impl Default for ExchangeLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Answer {
    /// An answer without headers and body.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            truncated: false,
            peer: None,
            timings: Timings::default(),
        }
    }
}

impl TransportError {
    /// An error of this kind, with nothing known about the way.
    pub fn new(kind: TransportErrorKind) -> Self {
        Self { kind, peer: None, timings: Timings::default() }
    }
}

words!(TransportErrorKind {
    Unreachable => "unreachable",
    Dns => "dns",
    Tls => "tls",
    TimedOut => "timed_out",
    Broken => "broken",
    Protocol => "protocol",
    Unconfigured => "unconfigured",
    Internal => "internal",
});

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Sealed {
    /// Sealed bytes as a vault has made, or a store has kept them.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// What a store keeps.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same bytes once more, without a copy.
    pub(crate) fn shared(&self) -> Bytes {
        self.0.clone()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl<'a> SealPlace<'a> {
    /// The place of one column of one record of one tenant.
    pub const fn new(tenant: &'a str, table: &'a str, record: &'a str, column: &'a str) -> Self {
        Self { tenant, table, record, column }
    }
}
