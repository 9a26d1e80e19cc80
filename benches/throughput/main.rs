//! How fast events reach their receivers, against what hyper alone does on the same machine in the same run.
//!
//! `cargo bench --bench throughput` prints three tables: throughput, latency and allocations; what becomes of nine
//! webhooks when a tenth hangs; resident memory. `-- --help` lists the options. Nothing here passes or fails: times
//! differ from machine to machine, and ratios are for people to judge.

#[path = "../../tests/it/postgres/account.rs"]
mod account;
mod aged;
mod allocations;
mod allocator;
mod bare;
mod cpu;
mod engine;
mod ground;
mod hanging;
mod latency;
mod memory;
mod options;
mod pinned;
mod process;
mod publishing;
mod receiver;
#[path = "../../tests/it/relay.rs"]
#[expect(unused_imports, reason = "one port of several is relayed here")]
mod relay;
mod report;
mod server;
mod speed;
mod timed;

use std::process::ExitCode;

use crate::allocations::Counted;
use crate::engine::Failure;
use crate::ground::Ground;
use crate::options::{Options, TableName, USAGE};

#[global_allocator]
static ALLOCATOR: Counted = Counted;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command says what is wrong")]
fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if let Some(site) = process::site_of_this_process() {
        return ended(on_threads(process::deliver(&site)));
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    ended(on_threads(run(&options)))
}

/// As many threads as there are cores, shared by both sides and by whatever is measured.
fn on_threads<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

#[expect(clippy::print_stderr, reason = "a command says what is wrong")]
fn ended(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| {
        eprintln!("the benchmark failed: {failure}");
        ExitCode::FAILURE
    })
}

async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let ground = Ground::open(options).await?;
    let wanted = |table| options.tables.contains(&table);
    // First, because what the others leave behind would hide whether memory grows.
    let footprint =
        if wanted(TableName::Memory) { Some(memory::measure(options, &ground).await?) } else { None };
    if wanted(TableName::Limits) {
        publishing::measure(options, &ground).await?.print(options.output);
    }
    if wanted(TableName::History) {
        aged::measure(options, &ground).await?.print(options.output);
    }
    if wanted(TableName::Pinned) {
        pinned::measure(options, &ground).await?.print(options.output);
    }
    let limit = if wanted(TableName::Throughput) {
        let (report, limit) = speed::measure(options, &ground).await?;
        report.print(options.output);
        limit
    } else if wanted(TableName::Hanging) || footprint.is_some() {
        speed::limit(options, &ground).await?
    } else {
        return Ok(ExitCode::SUCCESS);
    };
    if wanted(TableName::Hanging) {
        hanging::measure(options, &ground, limit).await?.print(options.output);
    }
    if let Some(footprint) = footprint {
        footprint.report(options, limit).print(options.output);
    }
    Ok(ExitCode::SUCCESS)
}
