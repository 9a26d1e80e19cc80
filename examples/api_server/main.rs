//! A small API behind keys, and everybody who should not come in:
//!
//! ```text
//! $ cargo run --example api_server
//! ```
//!
//! 1. An administrator makes keys, of which each is good for something else (`keys.rs`). They are kept in SQLite, in a temporary folder.
//! 2. The API (`api.rs`) is called over HTTP on loopback. What a caller is told and what the log says stand side by side: a caller
//!    never learns what is wrong with a key.
//! 3. The owner of a key asks why it is not working.
//! 4. The server is started again, and nothing is forgotten.
#![expect(clippy::print_stdout, reason = "a tutorial talks to people")]

mod api;
mod caller;
#[path = "../loopback/checks.rs"]
mod checks;
mod keys;

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use crossdock::Hub;
use crossdock::adapters::sqlite::SqliteStore;
use crossdock::adapters::{EnvelopeVault, StaticKeys};
use crossdock::api_keys::{ApiKeyAdmin, ApiKeySettings, CallOutcome, Peppers, Refusal, Scopes};
use crossdock::primitives::{ApiKeyId, PageRequest};
use crossdock::tenancy::Actor;
use http::Method;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::api::Log;
use crate::caller::{Answer, Call};
use crate::checks::Checks;
use crate::keys::Keys;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let secrets = Secrets { key: secret(), pepper: secret() };
    let server = Server::start(folder.path(), &secrets).await?;
    println!("the API listens on http://{}\n", server.address);
    let admin = server.hub.admin(Actor::org_admin("org_42".parse()?, "ada")).api_keys();
    let neighbour = server.hub.admin(Actor::org_admin("org_43".parse()?, "grace")).api_keys();
    let keys = Keys::make(&admin, &neighbour).await?;

    let mut table = Table::new(&server);
    what_keys_may_do(&mut table, &keys).await?;
    who_does_not_come_in(&mut table, &keys).await?;
    what_does_not_help(&mut table, &keys).await?;
    too_often(&mut table, &keys).await?;
    let Table { mut checks, .. } = table;

    println!("\nwhy is my key not working?");
    for (name, id, reason) in [
        ("reader", keys.reader.id, Refusal::Permission),
        ("expired", keys.expired.id, Refusal::Expired),
        ("office", keys.office.id, Refusal::Address),
    ] {
        let told = why(&admin, name, id).await?;
        checks.that("the owner of a key is told why it was refused", told.contains(&reason));
    }
    let listed = admin.refusals(keys.reader.id, PageRequest::default()).await?;
    let foreign = neighbour.refusals(keys.reader.id, PageRequest::default()).await;
    checks.that("and nobody else is", !listed.items.is_empty() && foreign.is_err());
    server.stop().await?;

    println!("\nthe server is started again");
    let server = Server::start(folder.path(), &secrets).await?;
    let admin = server.hub.admin(Actor::org_admin("org_42".parse()?, "ada")).api_keys();
    let mut table = Table { checks, ..Table::new(&server) };
    table.row("reader", Call::get("/orders").with(&keys.reader.token), 200, None).await?;
    table.row("revoked", Call::get("/orders").with(&keys.revoked.token), 401, Some(Refusal::Revoked)).await?;
    let Table { mut checks, .. } = table;
    let usage = admin.details(keys.reader.id).await?.usage;
    let allowed: u64 =
        usage.iter().filter(|day| day.outcome == CallOutcome::Allowed).map(|day| day.count).sum();
    checks.that("what was counted before is counted still", allowed > 1);
    server.stop().await?;

    println!("\napi_server: {}", checks.told());
    Ok(checks.exit_code())
}

async fn what_keys_may_do(table: &mut Table<'_>, keys: &Keys) -> Result<(), Box<dyn Error>> {
    let Keys { reader, writer, deleter, operator, one_order, neighbour, .. } = keys;
    table.row("writer", Call::post("/orders").with(&writer.token), 201, None).await?;
    table.row("writer", Call::post("/orders").with(&writer.token), 201, None).await?;
    table.row("reader", Call::get("/orders").with(&reader.token), 200, None).await?;
    table.row("reader", Call::get("/orders/ord_1").with(&reader.token), 200, None).await?;
    table.row("reader", Call::new(Method::HEAD, "/orders").with(&reader.token), 200, None).await?;
    let may_not = Some(Refusal::Permission);
    table.row("reader", Call::post("/orders").with(&reader.token), 403, may_not).await?;
    table.row("reader", Call::delete("/orders/ord_1").with(&reader.token), 403, may_not).await?;
    table.row("writer", Call::get("/orders").with(&writer.token), 403, may_not).await?;
    table.row("writer", Call::delete("/orders/ord_1").with(&writer.token), 403, may_not).await?;
    table.row("deleter", Call::get("/orders/ord_2").with(&deleter.token), 403, may_not).await?;
    table.row("deleter", Call::delete("/orders/ord_2").with(&deleter.token), 204, None).await?;
    table.row("one order", Call::get("/orders/ord_1").with(&one_order.token), 200, None).await?;
    table.row("one order", Call::get("/orders/ord_2").with(&one_order.token), 403, may_not).await?;
    table.row("one order", Call::get("/orders").with(&one_order.token), 403, may_not).await?;
    let hidden = "/orders/ord_1%2F..%2Ford_2";
    table.row("one order", Call::get(hidden).with(&one_order.token), 403, may_not).await?;
    table.row("neighbour", Call::get("/orders/ord_1").with(&neighbour.token), 404, None).await?;

    table.row("reader", Call::post("/admin/keys").with(&reader.token), 403, may_not).await?;
    let everything =
        table.row("operator", Call::post("/admin/keys").with(&operator.token), 201, None).await?;
    let made = everything.body["token"].as_str().unwrap_or_default().to_owned();
    table.row("its child", Call::get("/orders").with(&made), 200, None).await?;
    table.row("its child", Call::post("/orders").with(&made), 403, may_not).await?;
    let narrow =
        table.row("narrow admin", Call::post("/admin/keys").with(&keys.narrow.token), 403, None).await?;
    table.checks.that("a key makes no key that may do more", narrow.body["problems"][0]["field"].is_string());
    Ok(())
}

async fn who_does_not_come_in(table: &mut Table<'_>, keys: &Keys) -> Result<(), Box<dyn Error>> {
    keys.expired.until_it_has_ended().await;
    let mut told = Vec::new();
    for (who, token, reason) in [
        ("expired", &*keys.expired.token, Refusal::Expired),
        ("not yet valid", &keys.early.token, Refusal::NotYetValid),
        ("revoked", &keys.revoked.token, Refusal::Revoked),
        ("disabled", &keys.disabled.token, Refusal::Disabled),
        ("office", &keys.office.token, Refusal::Address),
        ("another shop's", &keys.unknown, Refusal::Unknown),
        ("mistyped", &keys.reader.mistyped(), Refusal::Checksum),
        ("cut off", &keys.reader.token[..20], Refusal::Malformed),
        ("garbage", "let me in", Refusal::Malformed),
        ("empty", "", Refusal::Missing),
    ] {
        told.push(table.row(who, Call::get("/orders").with(token), 401, Some(reason)).await?);
    }
    told.push(table.row("nobody", Call::get("/orders"), 401, Some(Refusal::Missing)).await?);
    let first = &told[0];
    let uniform = told.iter().all(|answer| {
        answer.body == first.body
            && answer.headers.get("www-authenticate") == first.headers.get("www-authenticate")
    });
    table.checks.that("whatever is wrong, a caller is told the same", uniform);
    table.checks.that("and how one logs in", first.headers.contains_key("www-authenticate"));
    Ok(())
}

async fn what_does_not_help(table: &mut Table<'_>, keys: &Keys) -> Result<(), Box<dyn Error>> {
    let token = &keys.reader.token;
    let missing = Some(Refusal::Missing);
    for query in ["api_key", "access_token", "token"] {
        table.row("in the query", Call::get(format!("/orders?{query}={token}")), 401, missing).await?;
    }
    table
        .row("in a cookie", Call::get("/orders").header("cookie", &format!("token={token}")), 401, missing)
        .await?;
    let other = Call::get("/orders").header("x-api-key", token);
    table.row("in another header", other, 401, missing).await?;
    let basic = Call::get("/orders").header("authorization", "Basic YWRhOmxvdmVsYWNl");
    table.row("another login", basic, 401, missing).await?;
    let twice = Call::get("/orders").with(&keys.writer.token).with(token);
    table.row("two tokens", twice, 401, Some(Refusal::Ambiguous)).await?;

    let overriding = ["x-http-method-override", "x-http-method", "x-method-override"];
    for name in overriding {
        let as_get = Call::post("/orders").with(token).header(name, "GET");
        table.row("POST, called GET", as_get, 403, Some(Refusal::Permission)).await?;
    }
    let as_delete = Call::get("/orders/ord_1").with(token).header(overriding[0], "DELETE");
    table.row("GET, called DELETE", as_delete, 200, None).await?;
    table.row("it is still there", Call::get("/orders/ord_1").with(token), 200, None).await?;
    for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        let value = if name == "forwarded" { "for=198.51.100.7" } else { "198.51.100.7" };
        let forged = Call::get("/orders").with(&keys.office.token).header(name, value);
        table.row("office, they say", forged, 401, Some(Refusal::Address)).await?;
    }
    Ok(())
}

async fn too_often(table: &mut Table<'_>, keys: &Keys) -> Result<(), Box<dyn Error>> {
    let mut left = Vec::new();
    for _ in 0..3 {
        let answer = table.row("limited", Call::get("/orders").with(&keys.limited.token), 200, None).await?;
        left.push(answer.headers.get("ratelimit").cloned());
    }
    table.checks.that("a caller is told how much of its rate is left", left.iter().all(Option::is_some));
    let over = Call::get("/orders").with(&keys.limited.token);
    let over = table.row("limited", over, 429, Some(Refusal::Rate)).await?;
    let wait = over.headers.get("retry-after").and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
    table.checks.that("and when to try again", wait.is_some_and(|seconds| (1..=60).contains(&seconds)));

    table.row("twice", Call::get("/orders").with(&keys.twice.token), 200, None).await?;
    table.row("twice", Call::get("/orders").with(&keys.twice.token), 200, None).await?;
    let third = Call::get("/orders").with(&keys.twice.token);
    table.row("twice", third, 401, Some(Refusal::Exhausted)).await?;
    Ok(())
}

/// What the log knows of a key's refusals.
async fn why(admin: &ApiKeyAdmin, name: &str, id: ApiKeyId) -> Result<Vec<Refusal>, Box<dyn Error>> {
    let refusals = admin.refusals(id, PageRequest::default()).await?.items;
    for refusal in &refusals {
        println!(
            "  {name:<10} {:<12} {} times, last for {} from {}",
            refusal.reason.as_str(),
            refusal.count,
            refusal.route.as_deref().unwrap_or("-"),
            refusal.address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
        );
    }
    Ok(refusals.iter().map(|refusal| refusal.reason).collect())
}

/// What a host has in its environment, and not in its database.
struct Secrets {
    key: String,
    pepper: String,
}

fn secret() -> String {
    (0..32).map(|_| format!("{:02x}", rand::random::<u8>())).collect()
}

/// One life of the host's process.
struct Server {
    hub: Hub,
    address: SocketAddr,
    log: Log,
    stop: [oneshot::Sender<()>; 2],
    serving: JoinHandle<std::io::Result<()>>,
    keeping: JoinHandle<()>,
}

impl Server {
    async fn start(folder: &Path, secrets: &Secrets) -> Result<Self, Box<dyn Error>> {
        let store = SqliteStore::open(folder.join("shop.db"))?;
        let settings = ApiKeySettings::new().prefix("shop").scopes(Scopes::declare(["orders:read"])?);
        let hub = Hub::builder()
            .store(store.clone())
            .key_store(store)
            .vault(EnvelopeVault::new(StaticKeys::new("tutorial", &secrets.key)?))
            .peppers(Peppers::new("tutorial", secrets.pepper.as_str())?)
            .api_keys(settings)
            .build()?;
        let ((stop_serving, served), (stop_keeping, kept)) = (oneshot::channel(), oneshot::channel());
        // It hears every second what other processes have changed, writes usage down, and a last time when it ends.
        let keeping = tokio::spawn({
            let gate = hub.gate().clone();
            async move { gate.run_until(until(kept)).await }
        });
        let log = Log::default();
        let (address, serving) = api::serve(hub.clone(), log.clone(), until(served)).await?;
        Ok(Self { hub, address, log, stop: [stop_serving, stop_keeping], serving, keeping })
    }

    async fn stop(self) -> Result<(), Box<dyn Error>> {
        // Nobody calls any more before usage is written down.
        let [serving, keeping] = self.stop;
        drop(serving);
        self.serving.await??;
        drop(keeping);
        self.keeping.await?;
        Ok(())
    }
}

/// Ends when the other end is dropped.
async fn until(told: oneshot::Receiver<()>) {
    let _ = told.await;
}

/// Calls, what was answered, and what the log says.
struct Table<'s> {
    server: &'s Server,
    checks: Checks,
}

impl<'s> Table<'s> {
    fn new(server: &'s Server) -> Self {
        println!("  {:<18} {:<34} {:<6} the log", "with", "request", "answer");
        Self { server, checks: Checks::default() }
    }

    async fn row(
        &mut self,
        who: &str,
        call: Call,
        status: u16,
        reason: Option<Refusal>,
    ) -> Result<Answer, Box<dyn Error>> {
        let request = call.shown();
        let answer = call.send(self.server.address).await?;
        let log = self.server.log.take();
        let words = log.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ");
        let words = if words.is_empty() { "-" } else { &words };
        let holds = answer.status == status && log == Vec::from_iter(reason);
        let verdict = if holds { "" } else { "  <- FAILED" };
        println!("  {who:<18} {request:<34} {:<6} {}{verdict}", answer.status.as_u16(), words);
        self.checks.count(holds);
        Ok(answer)
    }
}
