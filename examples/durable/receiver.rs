//! A customer's endpoint: an HTTP server on loopback that refuses every third order the first time.
//!
//! It outlives the shop's processes, and notes what has arrived.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Default)]
struct Ledger {
    secret: Option<String>,
    /// Which orders were accepted, and how often.
    accepted: BTreeMap<u32, usize>,
    refused_once: HashSet<u32>,
    forged: usize,
}

impl Receiver {
    pub(crate) async fn listen() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self { address: listener.local_addr()?, ledger: Arc::default() };
        let shared = receiver.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let receiver = shared.clone();
                tokio::spawn(async move {
                    let answer = service_fn(|request| receiver.answer(request));
                    // A sender that goes away, or is killed, is no trouble of the receiver's.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), answer).await;
                });
            }
        });
        Ok(receiver)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/orders", self.address)
    }

    /// Somebody pastes the secret into the receiver's configuration.
    pub(crate) fn configure(&self, secret: String) {
        self.ledger().secret = Some(secret);
    }

    /// The orders that have arrived.
    pub(crate) fn orders(&self) -> BTreeSet<u32> {
        self.ledger().accepted.keys().copied().collect()
    }

    /// How many requests came although their order had been accepted: delivery is at least once.
    pub(crate) fn repeated(&self) -> usize {
        self.ledger().accepted.values().map(|times| times - 1).sum()
    }

    /// How many requests had a wrong signature.
    pub(crate) fn forged(&self) -> usize {
        self.ledger().forged
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let mut response = Response::new(Empty::new());
        *response.status_mut() = self.judge(&head.headers, &body);
        Ok(response)
    }

    fn judge(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let mut ledger = self.ledger();
        let verifier = ledger.secret.as_deref().map(standardwebhooks::Webhook::new);
        if !matches!(verifier, Some(Ok(verifier)) if verifier.verify(body, headers).is_ok()) {
            ledger.forged += 1;
            return StatusCode::UNAUTHORIZED;
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(order) = body["data"]["order"].as_u64().and_then(|order| u32::try_from(order).ok()) else {
            return StatusCode::BAD_REQUEST;
        };
        if order % 3 == 0 && ledger.refused_once.insert(order) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        *ledger.accepted.entry(order).or_default() += 1;
        StatusCode::NO_CONTENT
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
