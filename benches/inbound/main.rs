//! What receiving costs. `cargo bench --bench inbound` prints two tables: checking a request, and taking one over HTTP.
//!
//! `-- --quick` measures less, `--store memory|sqlite|postgres` the second table with that store alone, `--json` prints the second
//! table as one JSON object a line. With PostgreSQL the measurement starts a server of its own, unless `CROSSDOCK_BENCH_POSTGRES_URL`
//! names one.
#![expect(clippy::print_stdout, reason = "a benchmark prints its findings")]

mod accept;
#[path = "../../tests/it/postgres/account.rs"]
mod account;
#[path = "../throughput/allocator.rs"]
mod allocator;
mod engine;
mod ground;
mod load;
#[path = "../throughput/server.rs"]
mod server;
mod verification;

use crate::engine::Failure;
use crate::ground::Store;

#[global_allocator]
static ALLOCATOR: allocator::Chosen = allocator::Chosen;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (is_quick, output) =
        (has("--quick"), if has("--json") { accept::Output::Json } else { accept::Output::Table });
    let named = arguments.iter().position(|argument| argument == "--store").map(|at| arguments.get(at + 1));
    let stores = match named {
        Some(name) => vec![name.and_then(|name| Store::named(name)).ok_or("--store memory|sqlite|postgres")?],
        None => Store::ALL.to_vec(),
    };
    if named.is_none() && output == accept::Output::Table {
        verification::measure(if is_quick { 41 } else { 401 }).map_err(|error| error.to_string())?;
    }
    let amount = if is_quick { accept::Amount::QUICK } else { accept::Amount::FULL };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(accept::measure(&stores, amount, output))
}
