//! How fast events reach their receivers, against what hyper alone does on the same machine in the same run.
//!
//! `cargo bench --bench throughput` prints three tables: throughput, latency and allocations; what becomes of nine
//! webhooks when a tenth hangs; resident memory. `-- --help` lists the options. Nothing here passes or fails: times
//! differ from machine to machine, and ratios are for people to judge.

mod allocations;
mod bare;
mod cpu;
mod engine;
mod hanging;
mod latency;
mod memory;
mod options;
mod receiver;
mod report;
mod speed;

use std::process::ExitCode;

use crate::allocations::Counted;
use crate::engine::Failure;
use crate::options::{Options, TableName, USAGE};

#[global_allocator]
static ALLOCATOR: Counted = Counted;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command says what is wrong")]
fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // As many threads as there are cores, shared by both sides and by whatever is measured.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("the benchmark failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Failure> {
    let wanted = |table| options.tables.contains(&table);
    // First, because what the others leave behind would hide whether memory grows.
    let footprint = if wanted(TableName::Memory) { Some(memory::measure(options).await?) } else { None };
    let limit = if wanted(TableName::Throughput) {
        let (report, limit) = speed::measure(options).await?;
        report.print(options.output);
        limit
    } else {
        speed::limit(options).await?
    };
    if wanted(TableName::Hanging) {
        hanging::measure(options, limit).await?.print(options.output);
    }
    if let Some(footprint) = footprint {
        footprint.report(options, limit).print(options.output);
    }
    Ok(())
}
