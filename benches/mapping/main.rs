//! What a mapping costs, beside the same task written by hand, in the same run: with serde's derived structs from bytes to bytes,
//! over `serde_json::Value` from value to value.
//!
//! `cargo bench --bench mapping` prints a table, with `-- --json` a JSON object; `-- --quick` is for a look whether it works. Each
//! figure stands beside its limit; nothing here passes or fails, because times differ from machine to machine. Other engines
//! on the same task: `cargo run --release --manifest-path benches/peers/Cargo.toml`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its findings")]

mod by_value;
mod task;
mod typed;

use std::alloc::System;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossdock::mapping::{
    BuiltinEngine, CompileEnv, CompiledMapping, MappingEngine, MappingSpec, Payload, RunCx,
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Scale {
    /// Slices of time, in turns, for what is compared.
    rounds: usize,
    slice: Duration,
    /// Mappings that live at the same time.
    mappings: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let wants = |option: &str| std::env::args().any(|argument| argument == option);
    let scale = match wants("--quick") {
        true => Scale { rounds: 41, slice: Duration::from_micros(500), mappings: 50 },
        false => Scale { rounds: 601, slice: Duration::from_millis(1), mappings: 1_000 },
    };
    let order = task::ORDER.as_bytes();
    let value: Value = serde_json::from_slice(order)?;
    let spec = MappingSpec::parse(task::DOCUMENT)?;
    let mapping = compile(&spec)?;
    same_results(&*mapping, order, &value)?;

    let cx = RunCx::default();
    let (mut ours, mut hand) = (Vec::new(), Vec::new());
    let mut rows = [
        row("mapping, bytes to bytes", || {
            ours.clear();
            mapping.run(Payload::Bytes(black_box(order)), &cx, &mut ours).is_ok()
        }),
        row("typed structs, bytes to bytes", || {
            hand.clear();
            typed::translate(black_box(order), &mut hand).is_ok()
        }),
        row("mapping, value to value", || {
            mapping.run_to_value(Payload::Value(black_box(&value)), &cx).is_ok()
        }),
        row("by hand, value to value", || by_value::translate(black_box(&value)).is_ok()),
        row("reading the bytes, keeping nothing", || {
            serde_json::from_slice::<IgnoredAny>(black_box(order)).is_ok()
        }),
        row("reading the bytes into a value", || serde_json::from_slice::<Value>(black_box(order)).is_ok()),
        row("compile", || compile(black_box(&spec)).is_ok()),
        row("parse and compile", || {
            MappingSpec::parse(black_box(task::DOCUMENT)).is_ok_and(|spec| compile(&spec).is_ok())
        }),
    ];
    measure(&mut rows, &scale);

    let mut report = Report::default();
    for row in &rows {
        let limit = (row.name == "compile").then_some(Limit::AtMost(100_000.0));
        report.line(row.name, row.nanoseconds(), "ns", limit);
    }
    let ratio = |ours: usize, theirs: usize| rows[ours].nanoseconds() / rows[theirs].nanoseconds();
    report.line("bytes to bytes, times typed structs", ratio(0, 1), "", Some(Limit::AtMost(1.6)));
    report.line("value to value, times by hand", ratio(2, 3), "", Some(Limit::AtMost(1.6)));
    report.line("orders per second, one thread", 1e9 / rows[0].nanoseconds(), "", None);
    report.line("allocations, bytes to bytes", rows[0].allocations, "", Some(Limit::AtMost(50.0)));
    report.line("allocations, typed structs", rows[1].allocations, "", None);
    report.line("allocations, value to value", rows[2].allocations, "", None);
    report.line("allocations, value by hand", rows[3].allocations, "", None);
    drop(rows);
    let bytes = held(&scale)?;
    report.line("bytes held by one mapping", bytes, "", Some(Limit::AtMost(65_536.0)));
    report.print(wants("--json"));
    Ok(())
}

fn compile(spec: &MappingSpec) -> Result<Arc<dyn CompiledMapping>, Box<dyn Error>> {
    Ok(BuiltinEngine.compile(spec, &CompileEnv::default())?)
}

/// All ways give the same sales order, or the figures mean nothing.
fn same_results(mapping: &dyn CompiledMapping, order: &[u8], value: &Value) -> Result<(), Box<dyn Error>> {
    let cx = RunCx::default();
    let (mut ours, mut hand) = (Vec::new(), Vec::new());
    mapping.run(Payload::Bytes(order), &cx, &mut ours)?;
    typed::translate(order, &mut hand)?;
    let wanted: Value = serde_json::from_slice(&hand)?;
    let results = [
        ("mapping, bytes to bytes", serde_json::from_slice(&ours)?),
        ("mapping, value to value", mapping.run_to_value(Payload::Value(value), &cx)?.0),
        ("by hand, value to value", by_value::translate(value)?),
    ];
    for (name, result) in results {
        if result != wanted {
            return Err(format!("{name} gives\n{result}\nand typed structs give\n{wanted}").into());
        }
    }
    Ok(())
}

/// Bytes that one more live mapping takes, its document included.
fn held(scale: &Scale) -> Result<f64, Box<dyn Error>> {
    let region = Region::new(ALLOCATOR);
    let mut mappings = Vec::with_capacity(scale.mappings);
    for _ in 0..scale.mappings {
        mappings.push(compile(&MappingSpec::parse(task::DOCUMENT)?)?);
    }
    let change = region.change();
    drop(black_box(mappings));
    // What a vector grew by counts among the allocated bytes already.
    Ok((change.bytes_allocated - change.bytes_deallocated) as f64 / scale.mappings as f64)
}

struct Row<'a> {
    name: &'static str,
    work: Box<dyn FnMut() -> bool + 'a>,
    nanoseconds: Vec<f64>,
    /// Allocations of one run.
    allocations: f64,
}

fn row<'a>(name: &'static str, work: impl FnMut() -> bool + 'a) -> Row<'a> {
    Row { name, work: Box::new(work), nanoseconds: Vec::new(), allocations: 0.0 }
}

impl Row<'_> {
    /// The lower decile: what another process steals from a slice makes it longer, never shorter, and so does not count.
    fn nanoseconds(&self) -> f64 {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 10]
    }
}

/// Takes the rows in turns, so that a slow moment of the machine meets all of them alike.
fn measure(rows: &mut [Row<'_>], scale: &Scale) {
    for _ in 0..scale.rounds {
        for row in &mut *rows {
            row.nanoseconds.push(slice(scale.slice, &mut row.work));
        }
    }
    for row in rows {
        let region = Region::new(ALLOCATOR);
        assert!((row.work)());
        let stats = region.change();
        row.allocations = (stats.allocations + stats.reallocations) as f64;
    }
}

/// Nanoseconds of one step, of as many as fit into the span.
fn slice(span: Duration, work: &mut dyn FnMut() -> bool) -> f64 {
    let start = Instant::now();
    let mut steps = 0_u32;
    while start.elapsed() < span {
        for _ in 0..4 {
            assert!(work());
        }
        steps += 4;
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(steps)
}

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
}

#[derive(Default)]
struct Report {
    rows: Vec<(String, String, String, &'static str)>,
    fields: Map<String, Value>,
}

impl Report {
    fn line(&mut self, name: &str, value: f64, unit: &str, limit: Option<Limit>) {
        let (bound, verdict) = match limit {
            None => (String::new(), ""),
            Some(Limit::AtMost(most)) => {
                (format!("at most {}", number(most)), if value <= most { "kept" } else { "MISSED" })
            }
        };
        self.rows.push((name.to_owned(), format!("{} {unit}", number(value)), bound, verdict));
        self.fields.insert(name.to_owned(), json!((value * 1_000.0).round() / 1_000.0));
    }

    fn print(self, as_json: bool) {
        if as_json {
            println!("{}", Value::Object(self.fields));
            return;
        }
        println!("\nan order of {} bytes, 5 lines, 42 rules\n", task::ORDER.len());
        for (name, value, bound, verdict) in self.rows {
            println!("{name:<42}{value:>16}  {bound:<20}{verdict}");
        }
    }
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
