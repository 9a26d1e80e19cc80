//! What taking a request over HTTP costs: verified, told from copies, stored, and only then answered; against a server that reads the
//! body and answers, and against rows that go into the same database in batches.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use crossdock::web::axum::receiver;
use http::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use crate::engine::Failure;
use crate::ground::{Ground, Store};
use crate::load::{BODY, CONNECTIONS, flat_out, letters, paced};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Output {
    Table,
    Json,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    rounds: usize,
    requests: usize,
}

impl Amount {
    pub(crate) const FULL: Self = Self { rounds: 5, requests: 20_000 };
    pub(crate) const QUICK: Self = Self { rounds: 2, requests: 2_560 };
}

/// One line of the table.
struct Row {
    bare: f64,
    accepted: f64,
    limit: Option<f64>,
    p50: Duration,
    p99: Duration,
}

pub(crate) async fn measure(stores: &[Store], amount: Amount, output: Output) -> Result<(), Failure> {
    if output == Output::Table {
        println!(
            "\naccepting over HTTP, {BODY} bytes, {CONNECTIONS} connections, median of {} interleaved rounds of {} requests, allocator {}",
            amount.rounds,
            amount.requests,
            crate::allocator::NAME
        );
        println!(
            "{:<10}{:>12}{:>12}{:>8}{:>16}{:>8}{:>14}{:>14}",
            "", "bare axum/s", "accepted/s", "ratio", "insert limit/s", "ratio", "p50 at half", "p99 at half"
        );
    }
    for &store in stores {
        match row(store, amount).await {
            Ok(row) => print(store, &row, output),
            // One store that is not there does not keep the others from being measured.
            Err(failure) if stores.len() > 1 => println!("{:<10}not measured: {failure}", store.name()),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

async fn row(store: Store, amount: Amount) -> Result<Row, Failure> {
    let ground = Ground::open(store).await?;
    let ours = serve(receiver(&ground.hub)).await?;
    let bare = serve(Router::new().route("/stripe", post(read_and_answer))).await?;
    // Connections, caches and tables are warm.
    flat_out(bare, letters("warm", amount.requests / 4)?).await?;
    flat_out(ours, letters("warm", amount.requests / 4)?).await?;
    let (mut bares, mut accepted, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..amount.rounds {
        bares.push(flat_out(bare, letters(&format!("r{round}"), amount.requests)?).await?);
        accepted.push(flat_out(ours, letters(&format!("r{round}"), amount.requests)?).await?);
        limits.extend(ground.insert_limit(store, amount.requests).await?);
    }
    let accepted = median(accepted);
    let took = paced(ours, letters("paced", amount.requests / 2)?, accepted / 2.0).await?;
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
    let limit = (!limits.is_empty()).then(|| median(limits));
    Ok(Row { bare: median(bares), accepted, limit, p50: at(0.50), p99: at(0.99) })
}

fn print(store: Store, row: &Row, output: Output) {
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    let (of_bare, of_limit) = (row.accepted / row.bare, row.limit.map(|limit| row.accepted / limit));
    match output {
        Output::Json => println!(
            "{}",
            json!({
                "store": store.name(), "bare_per_second": row.bare, "accepted_per_second": row.accepted,
                "of_bare": of_bare, "insert_limit_per_second": row.limit, "of_insert_limit": of_limit,
                "p50_ms_at_half": millis(row.p50), "p99_ms_at_half": millis(row.p99),
            })
        ),
        Output::Table => {
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
            println!(
                "{:<10}{:>12.0}{:>12.0}{of_bare:>8.2}{:>16}{:>8}{:>11.2} ms{:>11.2} ms",
                store.name(),
                row.bare,
                row.accepted,
                or_none(row.limit.map(|limit| format!("{limit:.0}"))),
                or_none(of_limit.map(|ratio| format!("{ratio:.2}"))),
                millis(row.p50),
                millis(row.p99),
            );
        }
    }
}

async fn read_and_answer(body: Bytes) -> StatusCode {
    std::hint::black_box(body);
    StatusCode::OK
}

async fn serve(app: Router) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // It ends with the process.
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
