//! The limit: what hyper alone does on this machine, with the same bytes, receivers and number of connections.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::receiver::{Received, Receiver};

/// Open connections that post one request over and over.
#[derive(Debug)]
pub(crate) struct BareLoop {
    connections: Vec<SendRequest<Full<Bytes>>>,
    request: Arc<Received>,
}

type Failure = Box<dyn Error + Send + Sync>;

impl BareLoop {
    /// Connections to these receivers in turn.
    pub(crate) async fn connect(
        receivers: &[Arc<Receiver>],
        connections: usize,
        request: Received,
    ) -> Result<Self, Failure> {
        let mut open = Vec::with_capacity(connections);
        for receiver in receivers.iter().cycle().take(connections) {
            open.push(connect(receiver).await?);
        }
        Ok(Self { connections: open, request: Arc::new(request) })
    }

    /// Requests per second over so many requests.
    pub(crate) async fn run(&mut self, requests: u64) -> Result<f64, Failure> {
        let begun = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut loops = JoinSet::new();
        for connection in self.connections.drain(..) {
            loops.spawn(post(connection, Arc::clone(&self.request), Arc::clone(&begun), requests));
        }
        while let Some(ended) = loops.join_next().await {
            self.connections.push(ended??);
        }
        Ok(requests as f64 / started.elapsed().as_secs_f64())
    }
}

#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the limit is measured without anything of the engine, to a receiver of our own"
)]
async fn connect(receiver: &Receiver) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = tokio::net::TcpStream::connect(receiver.address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn post(
    mut connection: SendRequest<Full<Bytes>>,
    what: Arc<Received>,
    begun: Arc<AtomicU64>,
    requests: u64,
) -> Result<SendRequest<Full<Bytes>>, Failure> {
    while begun.fetch_add(1, Ordering::Relaxed) < requests {
        let mut request = Request::new(Full::new(what.body.clone()));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = what.headers.clone();
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        if response.status() != StatusCode::NO_CONTENT {
            return Err(format!("the receiver answered {}", response.status()).into());
        }
        response.into_body().collect().await?;
    }
    Ok(connection)
}
