//! Receivers on the loopback interface that do exactly what a test says, byte by byte, and the scripts that stand in
//! for name servers and routes.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use crossdock::adapters::http_client::{Dial, Dialled, HttpTransport, Io, Resolve, TcpDialler};
use crossdock::ports::{ExchangeLimits, ExchangeRequest};
use crossdock::primitives::{EgressPolicy, TenantUrl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs a story in a runtime of its own.
pub(crate) fn play(story: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), story).await? })
}

/// A receiver and what it has seen.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

/// One accepted connection.
pub(crate) struct Talk {
    io: Box<dyn Io>,
    seen: Arc<Seen>,
    rest: Vec<u8>,
}

/// Starts a receiver; `act` is called once per connection.
pub(crate) async fn listen<F, Fut>(act: F) -> io::Result<Receiver>
where
    F: Fn(Talk) -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    serve(None, act).await
}

/// Starts a receiver behind TLS with this chain, the leaf first.
pub(crate) async fn listen_tls<F, Fut>(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    act: F,
) -> Result<Receiver, Box<dyn std::error::Error>>
where
    F: Fn(Talk) -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(serve(Some(TlsAcceptor::from(Arc::new(config))), act).await?)
}

async fn serve<F, Fut>(tls: Option<TlsAcceptor>, act: F) -> io::Result<Receiver>
where
    F: Fn(Talk) -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let receiver = Receiver { address: listener.local_addr()?, seen: Arc::default() };
    let seen = Arc::clone(&receiver.seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.connections.fetch_add(1, Ordering::SeqCst);
            // What a story says in two pieces has to arrive in two pieces.
            let _ = stream.set_nodelay(true);
            let io: Box<dyn Io> = match &tls {
                None => Box::new(stream),
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => continue,
                },
            };
            tokio::spawn(act(Talk { io, seen: Arc::clone(&seen), rest: Vec::new() }));
        }
    });
    Ok(receiver)
}

/// Answers every request of a connection with these bytes.
pub(crate) fn answer(bytes: &'static str) -> impl Fn(Talk) -> BoxedTalk + Send + Clone + 'static {
    move |mut talk| {
        Box::pin(async move {
            loop {
                talk.hear().await?;
                talk.say(bytes).await?;
            }
        })
    }
}

pub(crate) type BoxedTalk = std::pin::Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl Receiver {
    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many whole requests were heard.
    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// The heads of the requests, as they came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().expect("no story panics while it holds the heads").clone()
    }

    /// A plain URL of this receiver.
    pub(crate) fn url(&self, policy: &EgressPolicy) -> TenantUrl {
        policy.parse(&format!("http://{}/hook?a=1", self.address)).expect("the policy permits loopback")
    }
}

impl Talk {
    /// Reads one whole request.
    pub(crate) async fn hear(&mut self) -> io::Result<()> {
        let end = loop {
            if let Some(at) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.rest.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            })
            .unwrap_or(0);
        while self.rest.len() < length {
            self.more().await?;
        }
        self.rest.drain(..length);
        self.seen.heads.lock().expect("no story panics while it holds the heads").push(head);
        self.seen.requests.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// The head of the request that any connection heard last, which is this one's when nothing was awaited since.
    pub(crate) fn last_head(&self) -> String {
        let heads = self.seen.heads.lock().expect("no story panics while it holds the heads");
        heads.last().cloned().unwrap_or_default()
    }

    /// Writes these bytes at once.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.io.write_all(bytes.as_ref()).await?;
        self.io.flush().await
    }

    /// Waits until the other end closes.
    pub(crate) async fn until_closed(&mut self) {
        while matches!(self.more().await, Ok(())) {}
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.io.read_buf(&mut self.rest).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// A name server that answers from a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    answers: Arc<Mutex<HashMap<String, Answers>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// One entry per question; `None` is a failure of the server.
type Answers = Vec<Option<Vec<IpAddr>>>;

impl Names {
    /// The next questions for this absolute name get these answers; the last one is repeated.
    pub(crate) fn with(self, name: &str, answers: Answers) -> Self {
        self.answers.lock().expect("names").insert(name.to_owned(), answers);
        self
    }

    /// Every name that was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("names").clone()
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().expect("names").push(name.to_owned());
        let mut answers = self.answers.lock().expect("names");
        let Some(list) = answers.get_mut(name) else {
            return Err(io::Error::other("no such name"));
        };
        let next = if list.len() > 1 { list.remove(0) } else { list[0].clone() };
        next.ok_or_else(|| io::Error::other("server failure"))
    }
}

/// Routes every address to one receiver on loopback, and notes which address was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    to: SocketAddr,
    claimed_peer: Option<SocketAddr>,
    dead: Vec<IpAddr>,
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Route {
    pub(crate) fn to(to: SocketAddr) -> Self {
        Self { to, claimed_peer: None, dead: Vec::new(), dialled: Arc::default() }
    }

    /// Connections end somewhere else than asked for.
    pub(crate) fn claiming(mut self, peer: SocketAddr) -> Self {
        self.claimed_peer = Some(peer);
        self
    }

    /// Packets to this address vanish.
    pub(crate) fn with_dead(mut self, address: IpAddr) -> Self {
        self.dead.push(address);
        self
    }

    /// Every address that was dialled, in order.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().expect("route").clone()
    }
}

#[async_trait]
impl Dial for Route {
    async fn dial(&self, address: SocketAddr) -> io::Result<Dialled> {
        self.dialled.lock().expect("route").push(address);
        if self.dead.contains(&address.ip()) {
            std::future::pending::<()>().await;
        }
        let (io, _) = TcpDialler::new().dial(self.to).await?.into_parts();
        Ok(Dialled::new(io, self.claimed_peer.unwrap_or(address)))
    }
}

/// Plain HTTP to loopback, and nothing else.
pub(crate) fn loopback_policy() -> EgressPolicy {
    let loopback = "127.0.0.0/8".parse().expect("a network");
    EgressPolicy::default().dangerous_allow_http().allow_networks([loopback])
}

/// A transport for [`loopback_policy`].
pub(crate) fn loopback_transport() -> HttpTransport {
    HttpTransport::new(loopback_policy()).expect("TLS can be set up")
}

/// A small POST with this total time.
pub(crate) fn post(url: TenantUrl, total: Duration) -> ExchangeRequest {
    let mut request = ExchangeRequest::post(url, "{\"hello\":\"world\"}");
    request.limits = limits(total);
    request
}

/// The default limits with this total time.
pub(crate) fn limits(total: Duration) -> ExchangeLimits {
    let mut limits = ExchangeLimits::default();
    limits.total = total;
    limits
}

pub(crate) const LONG: Duration = Duration::from_secs(10);
pub(crate) const SHORT: Duration = Duration::from_millis(250);

/// The shortest good answer.
pub(crate) const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
