//! Looks at a mapping from all sides:
//!
//! ```text
//! $ cargo run --example try_mapping -- MAPPING.json INPUT.json [--trace] [--coverage] [--invert] [--markdown] [--csv]
//! $ cargo run --example try_mapping
//! ```
//!
//! With a mapping that cannot be used it shows everything that is wrong, where it stands (`problems.rs`), and exits 1. Without
//! arguments it runs all of `examples/mappings/`: their tests, the laws of their ways back, and whether their rendered documentation is
//! current; `--write` renders it anew (`shipped.rs`).
#![expect(clippy::print_stdout, reason = "a tool for people")]

mod problems;
mod shipped;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use crossdock::mapping::{
    CompileEnv, Coverage, HostData, MappingSpec, Payload, Preview, Previewer, RecordShape, RunCx, invert,
    to_csv,
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (flags, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let asks = |flag: &str| flags.iter().any(|given| given == flag);
    match &files[..] {
        [] => shipped::run(asks("--write")),
        [mapping, rest @ ..] if rest.len() <= 1 => {
            let text = fs::read_to_string(mapping)?;
            match MappingSpec::parse(&text).and_then(|spec| {
                let previewer = Previewer::compile(&spec, &CompileEnv::default())?;
                Ok((spec, previewer))
            }) {
                Ok((spec, previewer)) => look(&spec, &previewer, rest.first(), &asks),
                Err(found) => {
                    problems::show(mapping, &text, &found.located(&text));
                    Ok(ExitCode::FAILURE)
                }
            }
        }
        _ => {
            println!(
                "usage: try_mapping [MAPPING.json [INPUT.json]] [--trace] [--coverage] [--invert] [--markdown] [--csv]"
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

fn look(
    spec: &MappingSpec,
    previewer: &Previewer,
    input: Option<&String>,
    asks: &dyn Fn(&str) -> bool,
) -> Result<ExitCode, Box<dyn Error>> {
    let data = context_of(spec);
    let cx = RunCx::new(&data);
    let mut failed = false;
    let mut samples = Vec::new();
    if let Some(input) = input {
        let bytes = fs::read(input)?;
        let preview = previewer.preview(Payload::Bytes(&bytes), &cx);
        println!("{}", preview.output.as_deref().unwrap_or("nothing came out"));
        for error in &preview.errors {
            failed = true;
            println!("error: {error}");
        }
        if asks("--trace") {
            trace(&preview);
        }
        samples.push(serde_json::from_slice(&bytes)?);
    }
    if asks("--coverage") {
        let source = RecordShape::from_samples(&samples)?;
        let coverage = Coverage::of(spec, Some(&source).filter(|_| !samples.is_empty()), None);
        println!("\n{} % of the source is used; unused:", coverage.source_percent());
        coverage.unused().for_each(|path| println!("  {path}"));
        coverage.unknown_reads.iter().for_each(|path| println!("  read, and not in the sample: {path}"));
    }
    if asks("--invert") {
        let inverted = invert(spec);
        println!("\n{}", serde_json::to_string_pretty(&inverted.spec)?);
        for rule in &inverted.report.rules {
            println!("{:<28} {:<20} {}", rule.to, rule.verdict.as_str(), rule.reasons.join("; "));
        }
    }
    if asks("--markdown") {
        println!("\n{}", shipped::documentation(spec, previewer, &samples)?);
    }
    if asks("--csv") {
        print!("\n{}", to_csv(spec));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The host's values as the mapping's own tests give them.
fn context_of(spec: &MappingSpec) -> HostData {
    let values = spec.tests.iter().flat_map(|test| &test.context);
    values.fold(HostData::new(), |data, (name, value)| data.with_context(name, value.clone()))
}

fn trace(preview: &Preview) {
    println!();
    for field in &preview.fields {
        let nothing = || "–".to_owned();
        let steps: Vec<_> = field
            .steps
            .iter()
            .map(|step| match &step.after {
                Ok(after) => format!("{} → {}", step.op, after.clone().unwrap_or_else(nothing)),
                Err(code) => format!("{} → {code}", step.op),
            })
            .collect();
        println!(
            "{:<30} {:<9} {} {} = {}",
            field.place(),
            field.status.as_str(),
            field.source.clone().unwrap_or_else(nothing),
            if steps.is_empty() { String::new() } else { format!("[{}]", steps.join(", ")) },
            field.result.clone().unwrap_or_else(nothing),
        );
    }
}
