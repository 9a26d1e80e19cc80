//! A customer's endpoint: an HTTP server on loopback that refuses every event twice before it accepts it.
//!
//! It checks signatures with the `standardwebhooks` crate, which shares no code with crossdock: what your customers
//! would do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;

/// What the receiver tells of one request.
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) event: String,
    pub(crate) event_type: String,
    pub(crate) attempt: u32,
    pub(crate) answer: StatusCode,
    pub(crate) signature: Result<(), String>,
}

/// Each path is a webhook with a secret of its own.
#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    secrets: Mutex<HashMap<String, String>>,
    requests: Mutex<HashMap<(String, String), u32>>,
    seen: UnboundedSender<Seen>,
}

impl Receiver {
    pub(crate) async fn listen(seen: UnboundedSender<Seen>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shared = Arc::new(Shared { secrets: Mutex::default(), requests: Mutex::default(), seen });
        let receiver = Self { address: listener.local_addr()?, shared: Arc::clone(&shared) };
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let answer = service_fn(|request| answer(&shared, request));
                    // A sender that goes away is no trouble of the receiver's.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), answer).await;
                });
            }
        });
        Ok(receiver)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Somebody pastes the secret into the receiver's configuration.
    pub(crate) fn configure(&self, path: &str, secret: String) {
        let mut secrets = self.shared.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(path.to_owned(), secret);
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    // The bytes as they came: a signature says nothing about JSON that was parsed and written again.
    let body = body.collect().await?.to_bytes();

    let event = head.headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or("none").to_owned();
    let signature = check_signature(shared, &path, &head.headers, &body);
    let attempt = {
        let mut requests = shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = requests.entry((path.clone(), event.clone())).or_insert(0);
        *count += 1;
        *count
    };
    let answer = match attempt {
        _ if signature.is_err() => StatusCode::UNAUTHORIZED,
        1 => StatusCode::INTERNAL_SERVER_ERROR,
        2 => StatusCode::BAD_GATEWAY,
        _ => StatusCode::NO_CONTENT,
    };
    let event_type = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|body| Some(body["type"].as_str()?.to_owned()))
        .unwrap_or_default();
    // Once the story is over nobody listens any more.
    let _ = shared.seen.send(Seen { path, event, event_type, attempt, answer, signature });

    let mut response = Response::new(Empty::new());
    *response.status_mut() = answer;
    Ok(response)
}

fn check_signature(
    shared: &Shared,
    path: &str,
    headers: &http::HeaderMap,
    body: &[u8],
) -> Result<(), String> {
    let secrets = shared.secrets.lock().unwrap_or_else(PoisonError::into_inner);
    let secret = secrets.get(path).ok_or("no webhook has this path")?;
    let verifier = standardwebhooks::Webhook::new(secret).map_err(|error| error.to_string())?;
    verifier.verify(body, headers).map_err(|error| error.to_string())
}
