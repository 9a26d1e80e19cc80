//! The other side: HTTP servers on loopback that answer 204 and note when each event arrived.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::latency::Latencies;

/// One server with an address of its own, and what it has seen.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) latencies: Latencies,
    pub(crate) arrived: AtomicU64,
    /// How much may be under way: each arrival gives a place back.
    pub(crate) places: Semaphore,
    manner: Manner,
    first: OnceLock<Received>,
}

/// How a receiver treats those who call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    Answers,
    /// Answers after 15 s.
    Hangs,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A time in nanoseconds, as text: formatting one costs a tenth of a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp([u8; DIGITS]);

/// How long a hanging receiver lets others wait.
pub(crate) const HANGS_FOR: Duration = Duration::from_secs(15);

/// In front of the time of publishing, in the body.
const STAMP: &[u8] = b"\"published\":\"";
const DIGITS: usize = 20;

impl Receiver {
    pub(crate) async fn start(manner: Manner, places: usize) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let receiver = Arc::new(Self {
            address: listener.local_addr()?,
            latencies: Latencies::new(),
            arrived: AtomicU64::new(0),
            places: Semaphore::new(places),
            manner,
            first: OnceLock::new(),
        });
        tokio::spawn(Arc::clone(&receiver).serve(listener));
        Ok(receiver)
    }

    /// The first request that came.
    pub(crate) fn first(&self) -> Option<&Received> {
        self.first.get()
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let receiver = Arc::clone(&self);
            tokio::spawn(async move {
                if stream.set_nodelay(true).is_ok() {
                    let answer = service_fn(|request| receiver.answer(request));
                    // A connection that ends is the other side's business.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                }
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let mut response = Response::new(Empty::new());
        let Ok(body) = body.collect().await else {
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(response);
        };
        let body = body.to_bytes();
        if let Some(published) = stamp_in(&body) {
            self.latencies.record(now().saturating_sub(published));
        }
        self.arrived.fetch_add(1, Ordering::Relaxed);
        self.places.add_permits(1);
        if self.first.get().is_none() {
            // Whoever was first stays it.
            let _ = self.first.set(Received { headers: head.headers, body });
        }
        if self.manner == Manner::Hangs {
            tokio::time::sleep(HANGS_FOR).await;
        }
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }
}

/// The time of publishing as it stands in the data: always as many digits, so that all bodies are equally long.
pub(crate) fn stamp() -> Stamp {
    let mut digits = [b'0'; DIGITS];
    let mut rest = now();
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    Stamp(digits)
}

impl Deref for Stamp {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits only")
    }
}

fn stamp_in(body: &[u8]) -> Option<u64> {
    let begin = body.windows(STAMP.len()).position(|window| window == STAMP)? + STAMP.len();
    std::str::from_utf8(body.get(begin..begin + DIGITS)?).ok()?.parse().ok()
}

/// Nanoseconds since the first call.
fn now() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGIN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}
