//! Reads requests as JSON lines and says of each, in order, whether it is genuine: `valid`, `invalid: reason` or
//! `unsupported`.
//!
//! `cargo run --example verify_webhook < requests.jsonl`; without input it checks a request of its own. A line has `provider` or
//! `scheme` (a name or the scheme itself), `secret`, `url`, `method`, `headers`, `body`, `now`, `tolerance`.
#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

mod vector;

use std::error::Error;
use std::io::{BufRead, IsTerminal};

use vector::{Vector, Verdict};

fn main() -> Result<(), Box<dyn Error>> {
    let input = std::io::stdin();
    if input.is_terminal() {
        println!("{}", verdict(SAMPLE));
        return Ok(());
    }
    for line in input.lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            println!("{}", verdict(&line));
        }
    }
    Ok(())
}

fn verdict(line: &str) -> String {
    let vector: Vector = match serde_json::from_str(line) {
        Ok(vector) => vector,
        Err(error) => return format!("invalid: the line is no request: {error}"),
    };
    match vector.verdict() {
        Ok(Verdict::Valid(_)) => "valid".to_owned(),
        Ok(Verdict::Invalid(refusal)) => format!("invalid: {refusal}"),
        Ok(Verdict::Unsupported) => "unsupported".to_owned(),
        Err(error) => format!("invalid: {error}"),
    }
}

/// GitHub's own example: docs.github.com, "Validating webhook deliveries".
const SAMPLE: &str = r#"{"provider": "github", "secret": "It's a Secret to Everybody", "body": "Hello, World!", "headers":
    {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}}"#;
