//! The host's own API: orders, behind keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use crossdock::Hub;
use crossdock::api_keys::{InvalidScope, NewApiKey, Permission, Refusal};
use crossdock::tenancy::TenantId;
use crossdock::web::axum::{Authenticated, Failure, authentication};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What the handlers need; cloning shares it.
#[derive(Clone)]
struct Shop {
    hub: Hub,
    orders: Arc<Mutex<BTreeMap<TenantId, BTreeMap<String, Value>>>>,
}

/// Why calls were refused, in this order: a host would write it into its log, callers are not told.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Refusal>>>);

impl Log {
    /// What was written since somebody looked last.
    pub(crate) fn take(&self) -> Vec<Refusal> {
        std::mem::take(&mut *self.lines())
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(hub: Hub, log: Log) -> Result<Router, InvalidScope> {
    // What a call needs is said by its method, unless the route says something else.
    let keys = authentication(&hub).on_refused(move |_, refused| log.lines().push(refused.reason()));
    let one_order = keys.on("orders/{id}")?;
    let administrative = keys.require(Permission::Admin);
    Ok(Router::new()
        .route("/orders", get(list).post(place).route_layer(keys.on("orders")?))
        .route("/orders/{id}", get(read).delete(remove).route_layer(one_order))
        .route("/admin/keys", post(make_key).route_layer(administrative))
        .with_state(Shop { hub, orders: Arc::default() }))
}

/// Serves it on loopback, on a port that the system chooses, until it is told to stop.
pub(crate) async fn serve(
    hub: Hub,
    log: Log,
    told_to_stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(SocketAddr, tokio::task::JoinHandle<std::io::Result<()>>), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // Without the address of the other end nobody comes in.
    let service = router(hub, log)?.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(told_to_stop);
    Ok((address, tokio::spawn(async move { serving.await })))
}

impl Shop {
    /// The caller's orders: the key says whose they are.
    fn orders<T>(&self, caller: &Authenticated, look: impl FnOnce(&mut BTreeMap<String, Value>) -> T) -> T {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        look(orders.entry(caller.tenant.clone()).or_default())
    }
}

async fn list(State(shop): State<Shop>, caller: Authenticated) -> Json<Vec<Value>> {
    Json(shop.orders(&caller, |orders| orders.values().cloned().collect()))
}

async fn place(State(shop): State<Shop>, caller: Authenticated) -> (StatusCode, Json<Value>) {
    let order = shop.orders(&caller, |orders| {
        let id = format!("ord_{}", orders.len() + 1);
        let order = json!({"id": id, "placed_with": caller.key.to_string()});
        orders.insert(id, order.clone());
        order
    });
    (StatusCode::CREATED, Json(order))
}

async fn read(
    State(shop): State<Shop>,
    caller: Authenticated,
    Path(id): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    shop.orders(&caller, |orders| orders.get(&id).cloned()).map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn remove(State(shop): State<Shop>, caller: Authenticated, Path(id): Path<String>) -> StatusCode {
    match shop.orders(&caller, |orders| orders.remove(&id)) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

/// A key makes a key, which can do no more than itself.
async fn make_key(
    State(shop): State<Shop>,
    caller: Authenticated,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let keys = shop.hub.admin_by_key(&caller.caller)?.api_keys();
    let created = keys.create(NewApiKey::new("Made by a key").allow([Permission::Read])).await?;
    // Shown this once.
    Ok((StatusCode::CREATED, Json(json!({"token": created.token.reveal()}))))
}
