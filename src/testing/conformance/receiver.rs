//! A receiver on loopback that sends raw bytes: it misbehaves in ways that no HTTP library would.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::primitives::egress::{EgressPolicy, TenantUrl};
use crate::testing::conformance::Failure;

/// A receiver on 127.0.0.1 that answers every request in the same way.
pub(super) struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A part of what is sent back.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Bytes(Vec<u8>),
    Wait(Duration),
    /// Bytes without end, until the other side closes.
    Endless,
    /// One byte every 20 ms, until the other side closes.
    Trickle,
}

impl Receiver {
    pub(super) fn answering(parts: impl IntoIterator<Item = Part>) -> Result<Self, Failure> {
        let parts: Vec<_> = parts.into_iter().collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| io_failure(&error))?;
        let address = listener.local_addr().map_err(|error| io_failure(&error))?;
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let noted = Arc::clone(&heard);
        // The thread lives as long as the process: there is one per check.
        thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let (parts, noted) = (parts.clone(), Arc::clone(&noted));
                thread::spawn(move || serve(&mut connection, &parts, &noted));
            }
        });
        Ok(Self { address, heard })
    }

    /// A status line, headers and a body, complete and correct.
    pub(super) fn plain(status: &str, headers: &str, body: &str) -> Part {
        let length = body.len();
        Part::Bytes(
            format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes(),
        )
    }

    pub(super) fn url(&self, path: &str) -> Result<TenantUrl, Failure> {
        loopback_policy()?
            .parse(&format!("http://{}{path}", self.address))
            .map_err(|refusal| Failure(refusal.to_string()))
    }

    /// Every request so far, head and body as they came.
    pub(super) fn requests(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().map(|request| String::from_utf8_lossy(request).into_owned()).collect()
    }
}

/// The policy that a transport under check must have: plain HTTP to 127.0.0.1, on any port.
fn loopback_policy() -> Result<EgressPolicy, Failure> {
    let loopback = "127.0.0.1/32".parse().map_err(|_| Failure("a network".into()))?;
    let policy = EgressPolicy::default().allow_networks([loopback]);
    Ok(policy.dangerous_allow_http().dangerous_allow_all_ports())
}

fn serve(connection: &mut (impl Read + Write), parts: &[Part], heard: &Mutex<Vec<Vec<u8>>>) {
    while let Some(request) = read_request(connection) {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        for part in parts {
            if send(connection, part).is_err() {
                return;
            }
        }
        // What ends without a length ends with the connection.
        if !matches!(parts, [Part::Bytes(_)]) {
            return;
        }
    }
}

fn send(connection: &mut impl Write, part: &Part) -> std::io::Result<()> {
    match part {
        Part::Bytes(bytes) => connection.write_all(bytes),
        Part::Wait(span) => {
            thread::sleep(*span);
            Ok(())
        }
        Part::Endless => loop {
            connection.write_all(&[b'x'; 16 * 1024])?;
        },
        Part::Trickle => loop {
            connection.write_all(b"x")?;
            thread::sleep(Duration::from_millis(20));
        },
    }
}

fn read_request(connection: &mut impl Read) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            if request.len() >= end + 4 + length {
                return Some(request);
            }
        }
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
}

fn io_failure(error: &std::io::Error) -> Failure {
    Failure(format!("the receiver on loopback failed: {error}"))
}
