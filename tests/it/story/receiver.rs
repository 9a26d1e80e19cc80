//! An HTTP server on loopback that answers as a closure says, and remembers every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Which request of all, from 1.
    pub(crate) number: usize,
    /// Which request with this event and path, from 1.
    pub(crate) number_of_event: usize,
}

impl Seen {
    pub(crate) fn event_id(&self) -> String {
        String::from_utf8_lossy(self.headers["webhook-id"].as_bytes()).into_owned()
    }
}

/// What the receiver does with a request.
pub(crate) struct Reply {
    status: Option<StatusCode>,
    delay: Duration,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status: StatusCode::from_u16(status).ok(), delay: Duration::ZERO }
    }

    /// Nothing, as long as anybody waits.
    pub(crate) fn hang() -> Self {
        Self { status: None, delay: Duration::ZERO }
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Decide = dyn Fn(&Seen) -> Reply + Send + Sync;

#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    pub(crate) async fn listen(
        decide: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self { address: listener.local_addr()?, seen: Arc::default() };
        let (seen, decide): (_, Arc<Decide>) = (Arc::clone(&receiver.seen), Arc::new(decide));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (seen, decide) = (Arc::clone(&seen), Arc::clone(&decide));
                tokio::spawn(async move {
                    let serve = service_fn(|request| answer(&seen, &*decide, request));
                    // Stories end with connections open.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), serve).await;
                });
            }
        });
        Ok(receiver)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    seen: &Mutex<Vec<Seen>>,
    decide: &Decide,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let body = body.collect().await?.to_bytes();
    let request = {
        let mut all = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request =
            Seen { path, headers: head.headers, body, number: all.len() + 1, number_of_event: 1 };
        let id = request.event_id();
        let earlier = all.iter().filter(|seen| seen.path == request.path && seen.event_id() == id);
        request.number_of_event += earlier.count();
        all.push(request.clone());
        request
    };
    let reply = decide(&request);
    tokio::time::sleep(reply.delay).await;
    let Some(status) = reply.status else { return std::future::pending().await };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}
