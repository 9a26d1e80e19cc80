//! Whoever sends: providers, and people who are none.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "it plays programs outside, which call the product"
)]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use crossdock::SystemClock;
use crossdock::inbound::{Scheme, SignedRequest, SourceSecret, TestSigner};
use crossdock::ports::Clock;
use futures_util::future::join_all;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A provider: how it signs, and where it sends.
pub(crate) struct Provider {
    signer: TestSigner,
    /// What the provider was told.
    url: String,
    path: String,
}

/// The way to the product, and what went over it.
pub(crate) struct Way {
    address: SocketAddr,
    requests: AtomicUsize,
    /// Events, as `source event`, that nobody genuine has sent.
    forged: Mutex<Vec<String>>,
}

impl Provider {
    pub(crate) fn new(scheme: &Scheme, secret: &str, path: &str) -> Result<Self, Box<dyn Error>> {
        let signer = TestSigner::new(scheme, &SourceSecret::new("1", secret.into()))
            .map_err(|problems| format!("{problems:?}"))?;
        Ok(Self { signer, url: format!("{PUBLIC}{path}"), path: path.to_owned() })
    }

    /// A request, signed now.
    pub(crate) fn sign(&self, body: &Value) -> Result<SignedRequest, Box<dyn Error>> {
        self.sign_at(body, now())
    }

    /// A request, signed an hour ago.
    pub(crate) fn sign_long_ago(&self, body: &Value) -> Result<SignedRequest, Box<dyn Error>> {
        self.sign_at(body, now() - TimeDelta::hours(1))
    }

    fn sign_at(&self, body: &Value, at: DateTime<Utc>) -> Result<SignedRequest, Box<dyn Error>> {
        let signed = self.signer.sign(&self.url, body.to_string().as_bytes(), at);
        Ok(signed.map_err(|problem| problem.to_string())?)
    }
}

impl Way {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, requests: AtomicUsize::new(0), forged: Mutex::default() }
    }

    /// How many requests were made.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Notes that an event is nobody's: it must have no effect.
    pub(crate) fn note_forged(&self, event: &str) {
        self.forged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event.to_owned());
    }

    pub(crate) fn is_forged(&self, event: &str) -> bool {
        let forged = self.forged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        forged.iter().any(|known| known == event)
    }

    /// Sends a request, and answers with the status that it was answered.
    pub(crate) async fn send(
        &self,
        what: &str,
        to: &Provider,
        signed: &SignedRequest,
    ) -> Result<u16, Box<dyn Error>> {
        let status = self.exchange(&to.path, signed).await?;
        println!("  > POST {} ({what})  < {status}", to.path);
        Ok(status)
    }

    /// Sends copies at the same time.
    pub(crate) async fn send_copies(
        &self,
        copies: usize,
        to: &Provider,
        signed: &SignedRequest,
    ) -> Result<Vec<u16>, Box<dyn Error>> {
        let statuses = join_all((0..copies).map(|_| self.exchange(&to.path, signed))).await;
        let statuses: Vec<u16> = statuses.into_iter().collect::<Result<_, _>>()?;
        println!("  > POST {} ({copies} copies at once)  < {statuses:?}", to.path);
        Ok(statuses)
    }

    /// Each on a connection of its own.
    async fn exchange(&self, path: &str, signed: &SignedRequest) -> Result<u16, Box<dyn Error>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let mut request = Request::builder()
            .method(signed.method.clone())
            .uri(path)
            .body(Full::new(Bytes::from(signed.body.clone())))?;
        request.headers_mut().extend(signed.headers.clone());
        request.headers_mut().insert(HOST, HeaderValue::try_from(self.address.to_string())?);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?.status().as_u16())
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    SystemClock::new().now()
}

/// What providers know the product as.
pub(crate) const PUBLIC: &str = "https://shop.example.com";
