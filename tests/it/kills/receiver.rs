//! Receivers that fail from time to time, and write down what they get before they answer.

use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::kills::ledger::Ledger;

/// An HTTP server on loopback; each path is a receiver of its own.
#[derive(Clone)]
pub(super) struct Receiver {
    address: SocketAddr,
    arrival: Arc<Notify>,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reply {
    /// 204.
    Take,
    /// The work is done, and the connection cut before the answer.
    TakeAndCut,
    /// 503.
    Refuse,
    /// The connection is cut, and nothing done.
    Cut,
    /// No answer for as long as anybody waits.
    Hang,
}

impl Receiver {
    pub(super) async fn listen(seed: u64, ledger: Ledger) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self { address: listener.local_addr()?, arrival: Arc::default() };
        let arrival = Arc::clone(&receiver.arrival);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (ledger, arrival) = (ledger.clone(), Arc::clone(&arrival));
                tokio::spawn(async move {
                    let serve = service_fn(|request| answer(seed, &ledger, &arrival, request));
                    // Senders are killed, and some connections are cut here.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), serve).await;
                });
            }
        });
        Ok(receiver)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for the next request, which is not answered yet.
    pub(super) async fn next_arrival(&self) {
        self.arrival.notified().await;
    }
}

async fn answer(
    seed: u64,
    ledger: &Ledger,
    arrival: &Notify,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let event = head.headers.get("webhook-id").map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let (receiver, event) = (head.uri.path(), event.unwrap_or_default());
    let (reply, moment) = {
        let mut books = ledger.books();
        let number = books.arrived(receiver, &event, &body);
        let (reply, moment) = decide(seed, receiver, &event, number);
        match reply {
            Reply::Take => books.taken(receiver, &event),
            Reply::TakeAndCut => books.taken_unheard(receiver, &event),
            Reply::Refuse | Reply::Cut | Reply::Hang => {}
        }
        (reply, moment)
    };
    arrival.notify_waiters();
    // A receiver whose failures come sooner than its successes would look to a new worker as if it only failed, and be left alone.
    tokio::time::sleep(moment).await;
    let status = match reply {
        Reply::Take => StatusCode::NO_CONTENT,
        Reply::Refuse => StatusCode::SERVICE_UNAVAILABLE,
        Reply::TakeAndCut | Reply::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
        Reply::Hang => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

/// What becomes of a request, and when. The same for the same seed, whoever sends it: the first three may fail, none of those after.
fn decide(seed: u64, receiver: &str, event: &str, number: u32) -> (Reply, Duration) {
    let mut hasher = DefaultHasher::new();
    (seed, receiver, event, number).hash(&mut hasher);
    let dice = hasher.finish();
    let moment = Duration::from_millis(dice / 1_000 % 40);
    let reply = match dice % 1_000 {
        _ if number > 3 => Reply::Take,
        0..50 => Reply::Refuse,
        50..60 => Reply::Hang,
        60..80 => Reply::Cut,
        80..100 => Reply::TakeAndCut,
        _ => Reply::Take,
    };
    (reply, moment)
}
