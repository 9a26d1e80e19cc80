//! An integrator's endpoint: an HTTP server on loopback that can be out of order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;

#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<Records>>,
}

#[derive(Default)]
struct Records {
    /// Which sales are refused, and how often still.
    refusals: HashMap<String, u32>,
    taken: Vec<Taken>,
}

/// A request that was accepted.
#[derive(Clone)]
pub(crate) struct Taken {
    pub(crate) path: String,
    pub(crate) event: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Receiver {
    pub(crate) async fn listen() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self { address: listener.local_addr()?, state: Arc::default() };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// So many times this sale will be refused.
    pub(crate) fn refuse(&self, sale: &str, times: u32) {
        self.records().refusals.insert(sale.to_owned(), times);
    }

    /// What was accepted on this path.
    pub(crate) fn taken(&self, path: &str) -> Vec<Taken> {
        self.records().taken.iter().filter(|taken| taken.path == path).cloned().collect()
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let sale = told["data"]["saleId"].as_str().unwrap_or_default();
    let mut records = receiver.records();
    if let Some(times @ 1..) = records.refusals.get_mut(sale) {
        *times -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let event = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    records.taken.push(Taken { path: uri.path().to_owned(), event, headers, body });
    StatusCode::NO_CONTENT
}
