//! The task of the mapping benchmark in other engines: VRL and jq (jaq), bytes in, bytes out, in the same run, with the results
//! compared before anything is measured.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml` prints a table, with `-- --json` a JSON object; `-- --quick`
//! is for a look whether it works.

mod jq;
#[path = "../../mapping/task.rs"]
mod task;
#[path = "../../mapping/typed.rs"]
#[allow(dead_code, reason = "the other benchmark uses its parts too")]
mod typed;
mod vector;

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crossdock::mapping::{BuiltinEngine, CompileEnv, MappingEngine, MappingSpec, Payload, RunCx};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let wants = |option: &str| std::env::args().any(|argument| argument == option);
    let rounds = if wants("--quick") { 21 } else { 301 };
    let order = task::ORDER.as_bytes();

    let (mapping, mapping_compile) = timed(|| {
        let spec = MappingSpec::parse(task::DOCUMENT)?;
        Ok(BuiltinEngine.compile(&spec, &CompileEnv::default())?)
    })?;
    let (program, vrl_compile) = timed(vector::Program::compile)?;
    let (filter, jq_compile) = timed(jq::Filter::compile)?;

    let mut mapped = Vec::new();
    mapping.run(Payload::Bytes(order), &RunCx::default(), &mut mapped)?;
    let mut by_hand = Vec::new();
    typed::translate(order, &mut by_hand)?;
    let wanted: Value = serde_json::from_slice(&by_hand)?;
    for (name, result) in [("mapping", &mapped), ("VRL", &program.run(order)?), ("jq", &filter.run(order)?)] {
        let result: Value = serde_json::from_slice(result)?;
        if !same(&result, &wanted) {
            return Err(format!("{name} gives\n{result}\nand typed structs give\n{wanted}").into());
        }
    }

    let mut rows = [
        row("typed structs", None, || {
            by_hand.clear();
            typed::translate(black_box(order), &mut by_hand).is_ok()
        }),
        row("mapping", Some(mapping_compile), || {
            mapped.clear();
            mapping.run(Payload::Bytes(black_box(order)), &RunCx::default(), &mut mapped).is_ok()
        }),
        row("VRL", Some(vrl_compile), || program.run(black_box(order)).is_ok()),
        row("jq (jaq)", Some(jq_compile), || filter.run(black_box(order)).is_ok()),
    ];
    for _ in 0..rounds {
        for row in &mut rows {
            row.nanoseconds.push(slice(&mut row.work));
        }
    }
    report(&rows, wants("--json"));
    Ok(())
}

/// Equal, with numbers as the binary ones that VRL and jq have.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

struct Row<'a> {
    name: &'static str,
    compile: Option<Duration>,
    work: Box<dyn FnMut() -> bool + 'a>,
    nanoseconds: Vec<f64>,
}

fn row<'a>(name: &'static str, compile: Option<Duration>, work: impl FnMut() -> bool + 'a) -> Row<'a> {
    Row { name, compile, work: Box::new(work), nanoseconds: Vec::new() }
}

impl Row<'_> {
    /// The lower decile: what another process steals from a slice makes it longer, never shorter, and so does not count.
    fn nanoseconds(&self) -> f64 {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 10]
    }
}

fn timed<T>(work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<(T, Duration), Box<dyn Error>> {
    let start = Instant::now();
    let result = work()?;
    Ok((result, start.elapsed()))
}

/// Nanoseconds of one run, of as many as fit into two milliseconds.
fn slice(work: &mut dyn FnMut() -> bool) -> f64 {
    let start = Instant::now();
    let mut runs = 0_u32;
    while start.elapsed() < Duration::from_millis(2) {
        assert!(work());
        runs += 1;
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(runs)
}

fn report(rows: &[Row<'_>], as_json: bool) {
    let (hand, mapping) = (rows[0].nanoseconds(), rows[1].nanoseconds());
    let limits = [None, None, Some(5.0), Some(20.0)];
    if as_json {
        let mut fields = Map::new();
        for row in rows {
            let compile = row.compile.map(|compile| compile.as_secs_f64() * 1e6);
            fields
                .insert(row.name.to_owned(), json!({"ns": row.nanoseconds().round(), "compile_us": compile}));
        }
        println!("{}", Value::Object(fields));
        return;
    }
    println!("\nan order of {} bytes, 5 lines; bytes in, bytes out\n", task::ORDER.len());
    println!("{:<18}{:>12}{:>14}{:>16}{:>16}", "", "µs", "times typed", "times mapping", "compile, µs");
    for (row, limit) in rows.iter().zip(limits) {
        let time = row.nanoseconds();
        let compile =
            row.compile.map_or(String::new(), |compile| format!("{:.0}", compile.as_secs_f64() * 1e6));
        let verdict = match limit {
            None => String::new(),
            Some(least) => {
                format!("  at least {least}: {}", if time / mapping >= least { "kept" } else { "MISSED" })
            }
        };
        println!(
            "{:<18}{:>12.1}{:>14.1}{:>16.1}{compile:>16}{verdict}",
            row.name,
            time / 1e3,
            time / hand,
            time / mapping
        );
    }
}
