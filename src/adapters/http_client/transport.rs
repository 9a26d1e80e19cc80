//! The transport and its settings.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};

use super::connect::{Connector, Progress, Step};
use super::dial::{Dial, TcpDialler};
use super::link::{self, SendFailure};
use super::pool::{Pool, PoolBounds};
use super::resolve::{Resolve, SystemResolver};
use super::tls;
use crate::error::Result;
use crate::ports::{Answer, Exchange, ExchangeRequest, TransportError, TransportErrorKind};
use crate::primitives::egress::{EgressPolicy, TenantUrl};

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

    async fn run(
        &self,
        request: ExchangeRequest,
        started: Instant,
        progress: &mut Progress,
    ) -> Result<Answer, TransportErrorKind> {
        let ExchangeRequest { url, method, headers, body, limits, destinations } = request;
        let mut message = message(&url, method, headers, body);
        let (mut link, response) = loop {
            let reused = self.pool.take(url.origin(), &destinations, started);
            let fresh = reused.is_none();
            let (mut link, sent_at) = match reused {
                Some(link) => (link, started),
                None => {
                    // Boxed, because it is rare and would make every exchange's future larger.
                    let connecting = self.connector.connect(&url, &destinations, limits.connect, progress);
                    (Box::pin(connecting).await?, Instant::now())
                }
            };
            progress.step = Step::Exchange;
            progress.peer = Some(link.peer());
            match link.send(message).await {
                Ok(response) => {
                    progress.timings.first_byte = Some(sent_at.elapsed());
                    break (link, response);
                }
                // The receiver closed the connection in this very moment and never saw the request.
                Err(SendFailure::Unsent(unsent, _)) if !fresh => message = *unsent,
                Err(SendFailure::Unsent(_, kind) | SendFailure::Sent(kind)) => return Err(kind),
            }
        };

        let (head, body) = response.into_parts();
        let taken = link.take(body, limits).await?;
        if taken.whole && head.status != StatusCode::SWITCHING_PROTOCOLS {
            self.pool.put(url.origin(), link, Instant::now());
        }
        let mut answer = Answer::new(head.status);
        answer.headers = link::owned(head.headers);
        answer.body = taken.kept;
        answer.truncated = taken.truncated;
        Ok(answer)
    }
}

fn message(url: &TenantUrl, method: Method, mut headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    for ours in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE] {
        headers.remove(ours);
    }
    headers.insert(HOST, url.host_header().clone());
    let mut message = Request::new(Full::new(body));
    *message.method_mut() = method;
    *message.uri_mut() = url.request_target().clone();
    *message.headers_mut() = headers;
    message
}

#[async_trait]
impl Exchange for HttpTransport {
    /// Dropping the future closes the connection: a request may have been sent in part or in whole.
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError> {
        let started = Instant::now();
        let deadline = started + request.limits.total.min(LONGEST_EXCHANGE);
        let mut progress = Progress::default();
        let outcome = timeout_at(deadline, self.run(request, started, &mut progress)).await;
        progress.timings.total = started.elapsed();
        match outcome {
            Ok(Ok(mut answer)) => {
                answer.peer = progress.peer.map(|peer| peer.ip());
                answer.timings = progress.timings;
                Ok(answer)
            }
            Ok(Err(kind)) => Err(progress.failed(kind)),
            Err(_) => Err(progress.failed(progress.out_of_time())),
        }
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
                resolver: self.resolver,
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
