//! A proxy on loopback between the transport and a receiver: each connection passes through it, or meets with what a fault says.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crossdock::adapters::http_client::{Dial, Dialled, Io, TcpDialler};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpListener;

/// What one connection meets with.
#[derive(Clone, Debug)]
pub(super) enum Encounter {
    /// Nobody listens.
    Refused,
    /// Packets vanish.
    Silence,
    /// The socket says that it ends somewhere else than was asked for.
    WrongPeer,
    /// It goes to another receiver.
    Elsewhere(SocketAddr),
    /// The proxy deals with it.
    Handled(Handling),
}

/// What the proxy does with a connection.
#[derive(Clone, Debug)]
pub(super) struct Handling {
    takes: Takes,
    says: Vec<Said>,
    ends: Ends,
}

/// How much is read before anything is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Takes {
    Nothing,
    /// Whatever comes first, such as a TLS greeting.
    Something,
    Head,
    PartOfTheBody,
    Everything,
}

#[derive(Clone, Debug)]
enum Said {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The receiver's own answer, up to here.
    Answer(Upto),
    /// These bytes, one at a time, as slowly as one a second: everything is ten times as fast here.
    Slowly(Vec<u8>),
    /// These bytes again and again.
    ForEver(Vec<u8>),
}

/// How much of the receiver's answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Upto {
    StatusLine,
    Headers,
    Head,
    Body,
    End,
}

/// How the connection ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ends {
    Closed,
    Reset,
    /// Not at all, until the other end has had enough.
    Never,
    /// Whatever comes next passes.
    Passing,
}

impl Handling {
    pub(super) fn takes(takes: Takes) -> Self {
        Self { takes, says: Vec::new(), ends: Ends::Closed }
    }

    /// The receiver's answer is cut off here.
    pub(super) fn answers(upto: Upto) -> Self {
        Self { says: vec![Said::Answer(upto)], ..Self::takes(Takes::Everything) }
    }

    /// These bytes come instead of the receiver's answer.
    pub(super) fn says(bytes: impl AsRef<[u8]>) -> Self {
        Self::takes(Takes::Everything).and(bytes)
    }

    pub(super) fn and(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.says.push(Said::Bytes(bytes.as_ref().to_vec()));
        self
    }

    pub(super) fn slowly(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.says.push(Said::Slowly(bytes.as_ref().to_vec()));
        self
    }

    pub(super) fn for_ever(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.says.push(Said::ForEver(bytes.as_ref().to_vec()));
        self
    }

    pub(super) fn ends(mut self, ends: Ends) -> Self {
        self.ends = ends;
        self
    }
}

/// Leads every permitted address to the proxy, and the proxy to the receiver.
#[derive(Clone, Debug)]
pub(super) struct Way {
    proxy: SocketAddr,
    coming: Arc<Mutex<Coming>>,
}

#[derive(Debug, Default)]
struct Coming {
    /// What the next connections meet with; the others pass.
    encounters: VecDeque<Encounter>,
    /// What those meet with that were dialled and have not arrived yet.
    dialled: VecDeque<Option<Handling>>,
}

impl Way {
    pub(super) async fn to(receiver: SocketAddr, encounters: Vec<Encounter>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let coming = Coming { encounters: encounters.into(), dialled: VecDeque::new() };
        let way = Self { proxy: listener.local_addr()?, coming: Arc::new(Mutex::new(coming)) };
        let arriving = way.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let handling = arriving.coming().dialled.pop_front().flatten();
                tokio::spawn(async move {
                    // What is said in two pieces has to arrive in two pieces.
                    let _ = connection.set_nodelay(true);
                    let reset =
                        handling.as_ref().is_some_and(|handling| matches!(handling.ends, Ends::Reset));
                    if reset {
                        let _ = connection.set_zero_linger();
                    }
                    // Faults end connections at any point, and so does the transport.
                    let _ = deal(connection, receiver, handling).await;
                });
            }
        });
        Ok(way)
    }

    fn coming(&self) -> std::sync::MutexGuard<'_, Coming> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Dial for Way {
    async fn dial(&self, address: SocketAddr) -> io::Result<Dialled> {
        let next = self.coming().encounters.pop_front();
        let (to, handling, peer) = match next {
            None => (self.proxy, None, address),
            Some(Encounter::Handled(handling)) => (self.proxy, Some(handling), address),
            Some(Encounter::Elsewhere(other)) => (other, None, address),
            Some(Encounter::WrongPeer) => (self.proxy, None, SocketAddr::from(([10, 0, 0, 1], 443))),
            // Nobody listens on the port of the multiplexer.
            Some(Encounter::Refused) => (SocketAddr::from(([127, 0, 0, 1], 1)), None, address),
            Some(Encounter::Silence) => return std::future::pending().await,
        };
        if to == self.proxy {
            self.coming().dialled.push_back(handling);
        }
        let (io, _) = TcpDialler::new().dial(to).await?.into_parts();
        Ok(Dialled::new(io, peer))
    }
}

async fn deal(mut near: impl Io, receiver: SocketAddr, handling: Option<Handling>) -> io::Result<()> {
    let Some(Handling { takes, says, ends }) = handling else {
        let (mut far, _) = TcpDialler::new().dial(receiver).await?.into_parts();
        return copy_bidirectional(&mut near, &mut far).await.map(drop);
    };
    let request = take(&mut near, takes).await?;
    // What was taken as a whole has reached the receiver, whatever is heard of its answer.
    let answer = if takes == Takes::Everything { ask(receiver, &request).await? } else { Vec::new() };
    for said in says {
        match said {
            Said::Bytes(bytes) => near.write_all(&bytes).await?,
            Said::Answer(upto) => near.write_all(&answer[..place_in(&answer, upto)]).await?,
            Said::Slowly(bytes) => {
                for byte in bytes {
                    near.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Said::ForEver(bytes) => loop {
                near.write_all(&bytes).await?;
            },
        }
    }
    match ends {
        Ends::Closed => near.shutdown().await,
        // Dropping it does, with what was not read and will not be sent.
        Ends::Reset => Ok(()),
        Ends::Passing => {
            let (mut far, _) = TcpDialler::new().dial(receiver).await?.into_parts();
            copy_bidirectional(&mut near, &mut far).await.map(drop)
        }
        Ends::Never => {
            let mut rest = Vec::new();
            near.read_to_end(&mut rest).await.map(drop)
        }
    }
}

async fn take(near: &mut impl Io, takes: Takes) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        let head = request.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        let has_come = match (takes, head) {
            (Takes::Nothing, _) => true,
            (Takes::Something, _) => !request.is_empty(),
            (Takes::Head, head) => head.is_some(),
            (Takes::PartOfTheBody, head) => head.is_some_and(|head| request.len() > head),
            (Takes::Everything, head) => {
                head.is_some_and(|head| request.len() >= head + length(&request[..head]))
            }
        };
        if has_come {
            return Ok(request);
        }
        if near.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// The receiver's answer to this request, which says how long it is.
async fn ask(receiver: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let (mut far, _) = TcpDialler::new().dial(receiver).await?.into_parts();
    far.write_all(request).await?;
    take(&mut far, Takes::Everything).await
}

fn place_in(answer: &[u8], upto: Upto) -> usize {
    let find =
        |what: &[u8]| answer.windows(what.len()).position(|window| window == what).unwrap_or(answer.len());
    let head = find(b"\r\n\r\n") + 4;
    match upto {
        Upto::StatusLine => find(b"\r\n") / 2,
        Upto::Headers => find(b"\r\n") + 9,
        Upto::Head => head,
        Upto::Body => head + (answer.len() - head) / 2,
        Upto::End => answer.len(),
    }
}
