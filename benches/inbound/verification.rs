//! How much checking a request costs beyond the computation that the signature is made of.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use crossdock::inbound::{PreparedScheme, Scheme, SignedRequest, SourceSecret, TestSigner, presets};
use crossdock::primitives::Secret;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const BODY: usize = 2_048;
const SLICE: Duration = Duration::from_micros(500);
const SECONDS: i64 = 1_760_000_000;
/// What a check may cost, as a multiple of the bare HMAC of the same bytes: four fifths of its speed.
const HMAC_LIMIT: f64 = 1.25;
/// What a check may cost, as a multiple of the library's own.
const ED25519_LIMIT: f64 = 1.10;

struct Row<'a> {
    name: &'static str,
    run: Box<dyn FnMut() + 'a>,
    nanoseconds: Vec<f64>,
}

pub(crate) fn measure(rounds: usize) -> Result<(), Box<dyn Error>> {
    let body = body();
    println!("\nverification, {BODY} bytes, lower decile of {rounds} interleaved slices");
    println!("{:<42}{:>12}{:>14}{:>10}", "", "ns", "per second", "ratio");
    let now = DateTime::from_timestamp(SECONDS, 0).ok_or("a time")?;
    let mut hmac = vec![bare_hmac(&body)?];
    for (name, scheme) in [
        ("standard webhooks", presets::standard_webhooks()),
        ("stripe", presets::stripe()),
        ("github", presets::github()),
        ("shopify", presets::shopify()),
        ("square (URL and body)", presets::square()),
        ("slack", presets::slack()),
    ] {
        hmac.push(ours(name, &scheme, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &body, now)?);
    }
    report(hmac, rounds, HMAC_LIMIT);
    let mut ed25519 = vec![bare_ed25519(&body)];
    let private = format!("whsk_{}", "A".repeat(43));
    ed25519.push(ours(
        "standard webhooks, ed25519",
        &presets::standard_webhooks_ed25519(),
        &private,
        &body,
        now,
    )?);
    report(ed25519, rounds, ED25519_LIMIT);
    Ok(())
}

/// A JSON body of this length.
fn body() -> Vec<u8> {
    let mut body = br#"{"id":"evt_1","type":"invoice.paid","padding":""#.to_vec();
    body.resize(BODY - 2, b'x');
    body.extend_from_slice(b"\"}");
    body
}

/// The kept key over the bytes that Standard Webhooks signs: id, time and body.
fn bare_hmac(body: &[u8]) -> Result<Row<'_>, Box<dyn Error>> {
    let kept = Hmac::<Sha256>::new_from_slice(&[7; 24])?;
    let timestamp = SECONDS.to_string();
    Ok(row("bare HMAC-SHA-256", move || {
        let mut mac = kept.clone();
        for piece in [b"msg_test", &b"."[..], timestamp.as_bytes(), b".", body] {
            mac.update(black_box(piece));
        }
        black_box(mac.finalize().into_bytes());
    }))
}

fn bare_ed25519(body: &[u8]) -> Row<'_> {
    let key = SigningKey::from_bytes(&[0; 32]);
    let message = [format!("msg_test.{SECONDS}.").as_bytes(), body].concat();
    let signature = key.sign(&message);
    let public = key.verifying_key();
    row("bare Ed25519 (verify_strict)", move || {
        black_box(public.verify_strict(black_box(&message), black_box(&signature)).is_ok());
    })
}

/// A request as it is found in a server: a map of headers, a slice of bytes.
fn ours<'a>(
    name: &'static str,
    scheme: &Scheme,
    secret: &str,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<Row<'a>, Box<dyn Error>> {
    let words = |problems: Vec<crossdock::Problem>| problems[0].to_string();
    let secret = SourceSecret::new("current", Secret::from(secret));
    let signer = TestSigner::new(scheme, &secret).map_err(words)?;
    let url = "https://app.example.com/hooks/7f3a9c";
    let signed: SignedRequest = signer.sign(url, body, now).map_err(|problem| problem.to_string())?;
    let known = match signer.public_key() {
        Some(key) => SourceSecret::new("public", Secret::from(base64_of(&key))),
        None => secret,
    };
    let prepared = PreparedScheme::new(scheme, &[known]).map_err(words)?;
    prepared.verify(&signed.request(), now)?;
    Ok(row(name, move || {
        black_box(prepared.verify(black_box(&signed.request()), black_box(now)).is_ok());
    }))
}

fn base64_of(key: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(key)
}

fn row<'a>(name: &'static str, run: impl FnMut() + 'a) -> Row<'a> {
    Row { name, run: Box::new(run), nanoseconds: Vec::new() }
}

/// Takes the rows in turns, so that a slow second of the machine meets all of them alike.
fn report(mut rows: Vec<Row<'_>>, rounds: usize, limit: f64) {
    let batches: Vec<u32> = rows.iter_mut().map(batch_of).collect();
    for _ in 0..rounds {
        for (row, &batch) in rows.iter_mut().zip(&batches) {
            let start = Instant::now();
            for _ in 0..batch {
                (row.run)();
            }
            row.nanoseconds.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(batch));
        }
    }
    let bare = lower_decile(&rows[0].nanoseconds);
    for (index, row) in rows.iter().enumerate() {
        let nanoseconds = lower_decile(&row.nanoseconds);
        let ratio = nanoseconds / bare;
        let verdict = match (index, ratio <= limit) {
            (0, _) => String::new(),
            (_, true) => format!("   limit {limit:.2}: kept"),
            (_, false) => format!("   limit {limit:.2}: MISSED"),
        };
        println!("{:<42}{nanoseconds:>12.0}{:>14.0}{ratio:>10.2}{verdict}", row.name, 1e9 / nanoseconds);
    }
}

/// How many runs fill a slice of time; finding out warms up.
fn batch_of(row: &mut Row<'_>) -> u32 {
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < SLICE {
        (0..4).for_each(|_| (row.run)());
        runs += 4;
    }
    runs
}

fn lower_decile(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 10]
}
