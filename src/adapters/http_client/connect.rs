//! A new connection: look up, judge, dial, prove.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::dial::{Dial, Dialled, Io};
use super::link::Link;
use super::lookup::Lookups;
use super::tls;
use crate::ports::{ExchangeRequest, Timings, TransportError, TransportErrorKind};
use crate::primitives::egress::{EgressPolicy, LookupRefusal, TenantUrl};

/// Makes connections, and is the only one who does.
pub(super) struct Connector {
    pub(super) policy: EgressPolicy,
    pub(super) lookups: Lookups,
    pub(super) dialler: Arc<dyn Dial>,
    pub(super) tls: TlsConnector,
    pub(super) http: http1::Builder,
}

/// How far an exchange has come, so that a failure at any point still tells what is known.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) step: Step,
    pub(super) peer: Option<SocketAddr>,
    pub(super) timings: Timings,
}

/// What is under way.
#[derive(Clone, Copy, Default)]
pub(super) enum Step {
    #[default]
    LookUp,
    Dial,
    Prove,
    Exchange,
}

impl Connector {
    /// A connection that may carry this request.
    pub(super) async fn connect(
        &self,
        request: &ExchangeRequest,
        progress: &mut Progress,
    ) -> Result<Link, TransportErrorKind> {
        let ExchangeRequest { url, destinations, limits, .. } = request;
        progress.peer = None;
        // The URL may have been read under another policy than this transport's.
        self.policy.check_url(url).map_err(|_| TransportErrorKind::Unreachable)?;
        let addresses = self.addresses(request, progress).await?;
        self.policy.check_answers(&addresses, url.port(), destinations).map_err(|refusal| match refusal {
            LookupRefusal::NoAddress => TransportErrorKind::Dns,
            _ => TransportErrorKind::Unreachable,
        })?;

        let started = Instant::now();
        let deadline = started + limits.connect.min(LONGEST_CONNECT);
        let dialled = self.dial(&addresses, url.port(), deadline, progress).await;
        progress.timings.connect = Some(started.elapsed());
        let Dialled { io, peer } = dialled?;

        let io = if url.is_https() { self.prove(url, io, deadline, progress).await? } else { io };
        progress.step = Step::Exchange;
        Link::open(&self.http, io, peer).await
    }

    async fn addresses(
        &self,
        request: &ExchangeRequest,
        progress: &mut Progress,
    ) -> Result<Arc<[IpAddr]>, TransportErrorKind> {
        if let Some(address) = request.url.address() {
            return Ok(Arc::from([address]));
        }
        progress.step = Step::LookUp;
        let name = self.policy.lookup_name(&request.url);
        let started = Instant::now();
        let lookup = self.lookups.addresses(request.party.as_ref(), &name);
        let answers = timeout(LONGEST_LOOKUP, lookup).await;
        progress.timings.dns = Some(started.elapsed());
        answers.ok().flatten().ok_or(TransportErrorKind::Dns)
    }

    /// Tries one address after the other. Each gets its share of the time that is left, so that one that swallows
    /// packets does not use up the time of the next.
    async fn dial(
        &self,
        addresses: &[IpAddr],
        port: u16,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Dialled, TransportErrorKind> {
        progress.step = Step::Dial;
        for (index, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let share = (left / others).max(left.min(SHORTEST_SHARE));
            // The kernel would unwrap `::ffff:…` by itself; done here, the peer compares.
            let target = SocketAddr::new(address.to_canonical(), port);
            progress.peer = Some(target);
            if let Ok(Ok(dialled)) = timeout(share, self.dialler.dial(target)).await {
                let peer = SocketAddr::new(dialled.peer.ip().to_canonical(), dialled.peer.port());
                if peer == target {
                    return Ok(dialled);
                }
                progress.peer = None;
                return Err(TransportErrorKind::Unreachable);
            }
        }
        Err(TransportErrorKind::Unreachable)
    }

    async fn prove(
        &self,
        url: &TenantUrl,
        io: Box<dyn Io>,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Box<dyn Io>, TransportErrorKind> {
        progress.step = Step::Prove;
        let started = Instant::now();
        let proven = timeout_at(deadline, tls::handshake(&self.tls, url, io)).await;
        progress.timings.tls = Some(started.elapsed());
        match proven {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(_)) | Err(_) => Err(TransportErrorKind::Tls),
        }
    }
}

impl Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("policy", &self.policy)
            .field("lookups", &self.lookups)
            .field("dialler", &self.dialler)
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// The error of this exchange, with what is known so far.
    pub(super) fn failed(&self, kind: TransportErrorKind) -> TransportError {
        let mut error = TransportError::new(kind);
        error.peer = self.peer;
        error.timings = self.timings;
        error
    }

    /// What it means that the total time is over. A connection that was not there yet looks like a refused one:
    /// how long the limit is must not tell filtered ports from closed ones.
    pub(super) fn out_of_time(&self) -> TransportErrorKind {
        match self.step {
            Step::LookUp => TransportErrorKind::Dns,
            Step::Dial => TransportErrorKind::Unreachable,
            Step::Prove | Step::Exchange => TransportErrorKind::TimedOut,
        }
    }
}

const LONGEST_LOOKUP: Duration = Duration::from_secs(2);
const LONGEST_CONNECT: Duration = Duration::from_secs(3600);
const SHORTEST_SHARE: Duration = Duration::from_secs(1);
