//! How much our signing costs beyond the hashing itself: every row is compared with a bare HMAC-SHA-256 of the same
//! bytes (key schedule kept) that is measured in turns with it.
//!
//! The time of a row is the lower decile of many short slices: what another process steals from a slice makes it
//! longer, never shorter, and so does not count.
//!
//! `cargo bench --bench signing` prints a table, `cargo bench --bench signing -- --json` a JSON object per line.
#![expect(clippy::print_stdout, reason = "a benchmark prints its findings")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use crossdock::webhooks::sign::{Message, MessageId, SignatureScheme, Signer, SigningSecret};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use serde_json::json;
use sha2::Sha256;

const ROUNDS: usize = 401;
const SLICE: Duration = Duration::from_micros(500);
const BODIES: [usize; 2] = [1_024, 10_240];
const ID: &str = "evt_0191n5t3k2e8sbh4m0q7c9d6fz";
const SECONDS: i64 = 1_760_000_000;
/// What the standard scheme may cost, as a multiple of the bare HMAC, with a body of 1 KiB.
const LIMIT: f64 = 1.2;

struct Row<'a> {
    name: &'static str,
    sign: Box<dyn FnMut() + 'a>,
    nanoseconds: Vec<f64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let as_json = std::env::args().any(|argument| argument == "--json");
    for bytes in BODIES {
        let body: Vec<u8> = (b' '..=b'~').cycle().take(bytes).collect();
        let mut rows = rows(&body)?;
        measure(&mut rows);
        report(&rows, bytes, as_json);
    }
    Ok(())
}

fn rows(body: &[u8]) -> Result<Vec<Row<'_>>, Box<dyn Error>> {
    let secret = SigningSecret::generate([7; 32]);
    let two = [secret.clone(), SigningSecret::generate([8; 32])];
    let one = std::slice::from_ref(&secret);
    let library = standardwebhooks::Webhook::new(&secret.reveal())?;
    Ok(vec![
        bare_hmac(body)?,
        ours("standard", &[SignatureScheme::Standard], one, body)?,
        ours("standard, two secrets", &[SignatureScheme::Standard], &two, body)?,
        ours("github", &[SignatureScheme::github()], one, body)?,
        ours("stripe", &[SignatureScheme::stripe("x-acme-signature")?], one, body)?,
        ours("hmac base64", &[SignatureScheme::hmac_base64("x-acme-signature")?], one, body)?,
        ours("standard + github", &[SignatureScheme::Standard, SignatureScheme::github()], one, body)?,
        ours(
            "ed25519",
            &[SignatureScheme::StandardEd25519],
            &[SigningSecret::generate_ed25519([7; 32])],
            body,
        )?,
        row("standardwebhooks crate (signature only)", move || {
            black_box(library.sign(black_box(ID), black_box(SECONDS), black_box(body)).is_ok());
        }),
    ])
}

fn bare_hmac(body: &[u8]) -> Result<Row<'_>, Box<dyn Error>> {
    let kept = Hmac::<Sha256>::new_from_slice(&[7; 32])?;
    let timestamp = SECONDS.to_string();
    Ok(row("bare HMAC-SHA-256", move || {
        let mut mac = kept.clone();
        mac.update(black_box(ID).as_bytes());
        mac.update(b".");
        mac.update(black_box(timestamp.as_bytes()));
        mac.update(b".");
        mac.update(black_box(body));
        black_box(mac.finalize().into_bytes());
    }))
}

/// Signs into a request's headers: a map made for it, as every request has one.
fn ours<'a>(
    name: &'static str,
    schemes: &[SignatureScheme],
    secrets: &[SigningSecret],
    body: &'a [u8],
) -> Result<Row<'a>, Box<dyn Error>> {
    let signer = Signer::new(schemes, secrets)?;
    let id: MessageId = ID.parse()?;
    let timestamp = DateTime::UNIX_EPOCH + TimeDelta::seconds(SECONDS);
    // The request's map is there anyway, with its `content-type` and `user-agent`; what signing adds is measured.
    let mut headers = HeaderMap::with_capacity(6);
    Ok(row(name, move || {
        let message = Message { id: black_box(&id), timestamp, url: "https://erp.example.com/hooks", body };
        headers.clear();
        signer.sign(black_box(&message), &mut headers);
        black_box(&headers);
    }))
}

fn row<'a>(name: &'static str, sign: impl FnMut() + 'a) -> Row<'a> {
    Row { name, sign: Box::new(sign), nanoseconds: Vec::with_capacity(ROUNDS) }
}

/// Takes the rows in turns, so that a slow second of the machine meets all of them alike.
fn measure(rows: &mut [Row<'_>]) {
    let batches: Vec<u32> = rows.iter_mut().map(batch_of).collect();
    for _ in 0..ROUNDS {
        for (row, &batch) in rows.iter_mut().zip(&batches) {
            let start = Instant::now();
            for _ in 0..batch {
                (row.sign)();
            }
            row.nanoseconds.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(batch));
        }
    }
}

/// How many messages fill a slice of time; finding out warms up.
fn batch_of(row: &mut Row<'_>) -> u32 {
    let start = Instant::now();
    let mut signed = 0;
    while start.elapsed() < SLICE {
        (0..4).for_each(|_| (row.sign)());
        signed += 4;
    }
    signed
}

fn report(rows: &[Row<'_>], bytes: usize, as_json: bool) {
    let bare = lower_decile(&rows[0].nanoseconds);
    if !as_json {
        println!("\n{bytes} bytes, lower decile of {ROUNDS} interleaved slices");
        println!("{:<42}{:>12}{:>14}{:>10}", "", "ns", "per second", "ratio");
    }
    for row in rows {
        let nanoseconds = lower_decile(&row.nanoseconds);
        let ratio = nanoseconds / bare;
        if as_json {
            let line = json!({
                "body_bytes": bytes, "scheme": row.name, "ns": nanoseconds.round(),
                "signatures_per_s": (1e9 / nanoseconds).round(), "bare_hmac_ns": bare.round(),
                "ratio": (ratio * 1000.0).round() / 1000.0,
            });
            println!("{line}");
        } else {
            println!("{:<42}{nanoseconds:>12.0}{:>14.0}{ratio:>10.2}", row.name, 1e9 / nanoseconds);
            if row.name == "standard" && bytes == BODIES[0] {
                println!("{:<42}{:>36}", "", format!("limit {LIMIT:.2}: {}", verdict(ratio)));
            }
        }
    }
}

fn verdict(ratio: f64) -> &'static str {
    if ratio <= LIMIT { "kept" } else { "MISSED" }
}

fn lower_decile(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 10]
}
