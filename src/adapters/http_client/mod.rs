//! The default transport: HTTP/1.1 on hyper and rustls, and the one place that opens connections.
//!
//! [`HttpTransport`] is [`Exchange`](crate::ports::Exchange) over real sockets. Each attempt goes through the same
//! steps, in this order, whoever the caller is:
//!
//! | step | where | what it refuses |
//! |---|---|---|
//! | reuse | `pool` | connections older than 60 s, or whose peer this request may not reach |
//! | look up | `lookup`, `resolve` | names without an address, more than 64 answers, lookups beyond 2 s |
//! | judge | [`EgressPolicy`](crate::primitives::EgressPolicy) | any forbidden address, and with it all the others |
//! | dial | `dial` | a peer that is none of the judged addresses |
//! | prove | `tls` | certificates that do not hold for the URL's host |
//! | exchange | `link` | heads above 64 KiB or 100 headers, bodies beyond the bounds, whatever is not HTTP/1 |
//!
//! It never follows a redirect, reads a proxy variable, keeps a cookie, or decompresses a body.
//!
//! ```no_run
//! use crossdock::adapters::http_client::HttpTransport;
//! use crossdock::ports::{Exchange, ExchangeRequest};
//! use crossdock::primitives::EgressPolicy;
//!
//! # async fn send() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = EgressPolicy::default();
//! let url = policy.parse("https://erp.example.com/hooks")?;
//!
//! let answer = HttpTransport::new(policy)?.exchange(ExchangeRequest::post(url, "{}")).await?;
//! # let _ = answer;
//! # Ok(())
//! # }
//! ```

mod connect;
mod dial;
mod link;
mod lookup;
mod pool;
mod resolve;
mod tls;
mod transport;

pub use dial::{Dial, Dialled, Io, TcpDialler};
pub use resolve::{Resolve, SystemResolver};
pub use transport::{HttpTransport, HttpTransportBuilder};
