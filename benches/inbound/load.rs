//! Senders: connections that are kept, and requests that were signed before anything is measured.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "they play programs outside, which call the host"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crossdock::SystemClock;
use crossdock::inbound::{SourceSecret, TestSigner, presets};
use crossdock::ports::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::engine::Failure;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Bytes of a body.
pub(crate) const BODY: usize = 2_048;
pub(crate) const CONNECTIONS: usize = 64;

/// What each connection sends, one after the other.
pub(crate) type Letters = Vec<Vec<Vec<u8>>>;

/// Different events, signed now, dealt to all connections; `round` tells those of one measurement from another's.
pub(crate) fn letters(round: &str, count: usize) -> Result<Letters, Failure> {
    let secret = SourceSecret::new("1", SECRET.into());
    let signer = TestSigner::new(&presets::stripe(), &secret).map_err(|wrong| format!("{wrong:?}"))?;
    let now = SystemClock::new().now();
    let mut letters: Letters = vec![Vec::new(); CONNECTIONS];
    for number in 0..count {
        let mut body =
            format!(r#"{{"id":"evt_{round}_{number}","type":"invoice.paid","padding":""#).into_bytes();
        body.resize(BODY - 2, b'x');
        body.extend_from_slice(b"\"}");
        let signed = signer.sign("https://bench.example.com/stripe", &body, now);
        let signed = signed.map_err(|problem| problem.to_string())?;
        let signature = signed.headers.get("stripe-signature").ok_or("a signature")?.to_str()?;
        let head = format!(
            "POST /stripe HTTP/1.1\r\nhost: bench.example.com\r\ncontent-type: application/json\r\n\
             stripe-signature: {signature}\r\ncontent-length: {BODY}\r\n\r\n"
        );
        letters[number % CONNECTIONS].push([head.into_bytes(), body].concat());
    }
    Ok(letters)
}

/// Requests a second, each connection as fast as it is answered.
pub(crate) async fn flat_out(address: SocketAddr, letters: Letters) -> Result<f64, Failure> {
    let count: usize = letters.iter().map(Vec::len).sum();
    let mut connections = Vec::new();
    for letters in letters {
        connections.push((TcpStream::connect(address).await?, letters));
    }
    let start = Instant::now();
    let mut senders = JoinSet::new();
    for (mut stream, letters) in connections {
        senders.spawn(async move {
            stream.set_nodelay(true)?;
            for letter in letters {
                exchange(&mut stream, &letter).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// How long answers take at this many requests a second, counted from when each was to be sent; sorted.
pub(crate) async fn paced(
    address: SocketAddr,
    letters: Letters,
    per_second: f64,
) -> Result<Vec<Duration>, Failure> {
    let gap = Duration::from_secs_f64(CONNECTIONS as f64 / per_second);
    let start = tokio::time::Instant::now() + Duration::from_millis(10);
    let mut senders = JoinSet::new();
    for (index, letters) in letters.into_iter().enumerate() {
        let mut stream = TcpStream::connect(address).await?;
        senders.spawn(async move {
            stream.set_nodelay(true)?;
            let first = start + gap.mul_f64(index as f64 / CONNECTIONS as f64);
            let mut took = Vec::with_capacity(letters.len());
            for (number, letter) in (0u32..).zip(&letters) {
                let due = first + gap * number;
                tokio::time::sleep_until(due).await;
                exchange(&mut stream, letter).await?;
                took.push(due.elapsed());
            }
            Ok::<_, Failure>(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = senders.join_next().await {
        all.extend(took??);
    }
    all.sort_unstable();
    Ok(all)
}

/// One request and its answer, which has no body.
async fn exchange(stream: &mut TcpStream, letter: &[u8]) -> Result<(), Failure> {
    stream.write_all(letter).await?;
    let (mut answer, mut length) = ([0; 1_024], 0);
    while !answer[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut answer[length..]).await? {
            0 => return Err("the server has hung up".into()),
            read => length += read,
        }
    }
    if answer.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&answer[..length]).into_owned().into())
}
