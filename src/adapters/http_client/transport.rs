//! The transport and its settings.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};

use super::connect::{Connector, Progress, Step};
use super::dial::{Dial, TcpDialler};
use super::link::{self, SendFailure};
use super::lookup::Lookups;
use super::pool::{Pool, PoolBounds};
use super::resolve::{Resolve, SystemResolver};
use super::tls;
use crate::error::Result;
use crate::ports::{Answer, Exchange, ExchangeRequest, TransportError, TransportErrorKind};
use crate::primitives::egress::EgressPolicy;

/// Sends requests over real connections, and keeps these for the next request.
///
/// It needs a tokio runtime with time and I/O switched on, and belongs to the runtime it is first used in.
///
/// ```
/// use crossdock::adapters::http_client::HttpTransport;
/// use crossdock::primitives::EgressPolicy;
/// use std::time::Duration;
///
/// let transport = HttpTransport::builder()
///     .policy(EgressPolicy::default())
///     .connection_life(Duration::from_secs(30))
///     .build()?;
/// # let _ = transport;
/// # Ok::<(), crossdock::Error>(())
/// ```
#[derive(Debug)]
pub struct HttpTransport {
    connector: Connector,
    pool: Arc<Pool>,
}

/// The settings of an [`HttpTransport`]; see [`HttpTransport::builder`].
///
/// ```
/// use crossdock::adapters::http_client::HttpTransport;
///
/// let refusal = HttpTransport::builder().with_roots([b"not a certificate"]).build().unwrap_err();
///
/// assert_eq!(refusal.problems()[0].field, "roots[0]");
/// ```
#[derive(Debug)]
#[must_use]
pub struct HttpTransportBuilder {
    policy: EgressPolicy,
    resolver: Arc<dyn Resolve>,
    dialler: Arc<dyn Dial>,
    roots: Option<Vec<Vec<u8>>>,
    bounds: PoolBounds,
}

impl HttpTransport {
    /// A transport with this policy and the defaults for everything else.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if TLS cannot be set up.
    pub fn new(policy: EgressPolicy) -> Result<Self> {
        Self::builder().policy(policy).build()
    }

    /// The settings to start from: the strict policy, the system's resolver, Mozilla's roots, at most 32 idle
    /// connections per origin and 1024 in all, none older than 60 s.
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder {
            policy: EgressPolicy::default(),
            resolver: Arc::new(SystemResolver::new()),
            dialler: Arc::new(TcpDialler::new()),
            roots: None,
            bounds: PoolBounds { per_origin: 32, total: 1024, longest_life: LONGEST_LIFE },
        }
    }

    /// The policy that every connection obeys.
    pub fn policy(&self) -> &EgressPolicy {
        &self.connector.policy
    }

    /// Sends and takes. What lives across a wait is kept small: every exchange pays for it.
    async fn run(
        &self,
        request: &mut ExchangeRequest,
        started: Instant,
        progress: &mut Progress,
    ) -> Result<Answer, TransportErrorKind> {
        let mut returned: Option<Box<Request<Full<Bytes>>>> = None;
        let (mut link, response) = loop {
            let reused = self.pool.take(request.url.origin(), &request.destinations, started);
            let fresh = reused.is_none();
            let (mut link, sent_at) = match reused {
                Some(link) => (link, started),
                // Boxed, because it is rare.
                None => (Box::pin(self.connector.connect(request, progress)).await?, Instant::now()),
            };
            progress.step = Step::Exchange;
            progress.peer = Some(link.peer());
            let sending = link.send(match returned.take() {
                Some(message) => *message,
                None => message(request),
            });
            match sending.await {
                Ok(response) => {
                    let now = Instant::now();
                    progress.timings.first_byte = Some(now - sent_at);
                    progress.timings.total = now - started;
                    break (link, response);
                }
                // The receiver closed the connection in this very moment and never saw the request.
                Err(SendFailure::Unsent(message, _)) if !fresh => returned = Some(message),
                Err(SendFailure::Unsent(_, kind) | SendFailure::Sent(kind)) => return Err(kind),
            }
        };

        let (head, body) = response.into_parts();
        let mut answer = Answer::new(head.status);
        answer.headers = head.headers;
        let mut whole = true;
        if !body.is_end_stream() {
            // Boxed, because most answers have no body, and all of them would pay for room for one.
            let taken = Box::pin(link.take(body, request.limits)).await?;
            answer.body = taken.kept;
            answer.truncated = taken.truncated;
            whole = taken.whole;
            progress.timings.total = started.elapsed();
        }
        if whole && answer.status != StatusCode::SWITCHING_PROTOCOLS {
            self.pool.put(request.url.origin(), link, started + progress.timings.total);
        }
        answer.peer = progress.peer.map(|peer| peer.ip());
        answer.timings = progress.timings;
        Ok(answer)
    }
}

fn message(request: &mut ExchangeRequest) -> Request<Full<Bytes>> {
    let mut headers = mem::take(&mut request.headers);
    for ours in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE] {
        headers.remove(ours);
    }
    headers.insert(HOST, request.url.host_header().clone());
    let mut message = Request::new(Full::new(mem::take(&mut request.body)));
    *message.method_mut() = mem::take(&mut request.method);
    *message.uri_mut() = request.url.request_target().clone();
    *message.headers_mut() = headers;
    message
}

#[async_trait]
impl Exchange for HttpTransport {
    /// Dropping the future closes the connection: a request may have been sent in part or in whole.
    async fn exchange(&self, mut request: ExchangeRequest) -> Result<Answer, TransportError> {
        let started = Instant::now();
        let deadline = started + request.limits.total.min(LONGEST_EXCHANGE);
        let mut progress = Progress::default();
        let kind = match timeout_at(deadline, self.run(&mut request, started, &mut progress)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(kind)) => kind,
            Err(_) => progress.out_of_time(),
        };
        progress.timings.total = started.elapsed();
        Err(progress.failed(kind))
    }
}

impl HttpTransportBuilder {
    /// What may be called.
    pub fn policy(mut self, policy: EgressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Who looks names up.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Who opens connections.
    pub fn dialler(mut self, dialler: impl Dial) -> Self {
        self.dialler = Arc::new(dialler);
        self
    }

    /// Trusts these roots, each one DER-encoded certificate, and no longer Mozilla's.
    pub fn with_roots<T: AsRef<[u8]>>(mut self, roots: impl IntoIterator<Item = T>) -> Self {
        self.roots = Some(roots.into_iter().map(|root| root.as_ref().to_vec()).collect());
        self
    }

    /// How many connections to one scheme, host and port may wait for their next request.
    ///
    /// Of a webhook that may have more than that in flight, each further request may take a connection of its own to be opened
    /// and closed.
    pub fn idle_per_origin(mut self, connections: usize) -> Self {
        self.bounds.per_origin = connections;
        self
    }

    /// How many connections may wait for their next request in all.
    pub fn idle_in_all(mut self, connections: usize) -> Self {
        self.bounds.total = connections;
        self
    }

    /// How long a connection is used, counted from its beginning; never longer than 60 s, so that a change of
    /// addresses is noticed.
    pub fn connection_life(mut self, longest: Duration) -> Self {
        self.bounds.longest_life = longest.min(LONGEST_LIFE);
        self
    }

    /// The transport.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a root is not a certificate.
    pub fn build(self) -> Result<HttpTransport> {
        Ok(HttpTransport {
            connector: Connector {
                policy: self.policy,
                lookups: Lookups::new(self.resolver),
                dialler: self.dialler,
                tls: tls::connector(self.roots)?,
                http: link::http(),
            },
            pool: Pool::new(self.bounds),
        })
    }
}

const LONGEST_LIFE: Duration = Duration::from_secs(60);
const LONGEST_EXCHANGE: Duration = Duration::from_secs(24 * 3600);
