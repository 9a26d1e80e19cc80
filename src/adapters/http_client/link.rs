//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! hyper splits a connection into a handle and a future that must be polled for anything to move. The usual way is to
//! spawn that future; here both stay together and the caller's task polls it, which saves a task switch in each
//! direction per exchange. The handle's futures can then only become ready while the connection is polled, so they
//! are polled with a waker that does nothing.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::{io, mem};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::dial::Io;
use crate::ports::{ExchangeLimits, TransportErrorKind};

type Stream = TokioIo<Box<dyn Io>>;

/// An open connection.
pub(super) struct Link {
    handle: http1::SendRequest<Full<Bytes>>,
    connection: Box<http1::Connection<Stream, Full<Bytes>>>,
    ended: bool,
    peer: SocketAddr,
    born: Instant,
}

/// Why there is no response.
pub(super) enum SendFailure {
    /// Not a byte of the request has left: it may go over another connection.
    Unsent(Box<Request<Full<Bytes>>>, TransportErrorKind),
    /// The receiver may have got the request.
    Sent(TransportErrorKind),
}

/// What of the body was taken.
pub(super) struct Taken {
    pub(super) kept: Bytes,
    pub(super) truncated: bool,
    /// Whether the body was read to its end, so that the connection can carry another request.
    pub(super) whole: bool,
}

/// Bounds on an answer's head: 64 KiB; hyper's own bound of 100 headers costs nothing as long as it is not set.
pub(super) fn http() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD);
    builder
}

impl Link {
    /// Speaks HTTP/1.1 over this stream from now on.
    pub(super) async fn open(
        http: &http1::Builder,
        io: Box<dyn Io>,
        peer: SocketAddr,
    ) -> Result<Self, TransportErrorKind> {
        let (handle, connection) =
            http.handshake(TokioIo::new(io)).await.map_err(|_| TransportErrorKind::Broken)?;
        Ok(Self { handle, connection: Box::new(connection), ended: false, peer, born: Instant::now() })
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Whether the last exchange is quite over, as far as is known without looking at the socket again.
    pub(super) fn is_idle(&mut self) -> bool {
        if !self.ended && !self.handle.is_ready() {
            self.drive(&mut quiet());
        }
        !self.ended && self.handle.is_ready()
    }

    /// Whether another request can be sent. Looks at the socket once, without waiting: a receiver that has closed
    /// the connection, or that talks without being asked, has ended it.
    pub(super) fn is_alive(&mut self) -> bool {
        self.drive(&mut quiet());
        !self.ended && self.handle.is_ready()
    }

    /// Sends the request and waits for the head of the response.
    ///
    /// Dropping the future leaves the request half sent; the link is then good for nothing and must be dropped too.
    pub(super) fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendFailure>> {
        // The handle hands over at once, so that the future need not hold the request.
        let mut response = Box::pin(self.handle.try_send_request(request));
        poll_fn(move |cx| {
            self.drive(cx);
            match response.as_mut().poll(&mut quiet()) {
                Poll::Ready(Ok(response)) if is_sound(&response) => Poll::Ready(Ok(response)),
                Poll::Ready(Ok(_)) => Poll::Ready(Err(SendFailure::Sent(TransportErrorKind::Protocol))),
                Poll::Ready(Err(mut failure)) => {
                    let kind = kind_of(failure.error());
                    Poll::Ready(Err(match failure.take_message() {
                        Some(request) => SendFailure::Unsent(Box::new(request), kind),
                        None => SendFailure::Sent(kind),
                    }))
                }
                Poll::Pending if self.ended => {
                    Poll::Ready(Err(SendFailure::Sent(TransportErrorKind::Broken)))
                }
                Poll::Pending => Poll::Pending,
            }
        })
    }

    /// Reads the body within its bounds.
    pub(super) async fn take(
        &mut self,
        body: Incoming,
        limits: ExchangeLimits,
    ) -> Result<Taken, TransportErrorKind> {
        let mut body = pin!(body);
        let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut kept = Vec::with_capacity(expected.min(limits.keep));
        let mut read = 0_usize;
        let whole = poll_fn(|cx| {
            let mut driven = false;
            loop {
                match body.as_mut().poll_frame(&mut quiet()) {
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(kind_of(&error))),
                    Poll::Ready(Some(Ok(frame))) => {
                        let Ok(data) = frame.into_data() else { continue };
                        read = read.saturating_add(data.len());
                        let room = limits.keep.saturating_sub(kept.len()).min(data.len());
                        kept.extend_from_slice(&data[..room]);
                        if read > limits.read {
                            return Poll::Ready(Ok(false));
                        }
                        driven = false;
                    }
                    Poll::Pending if self.ended => return Poll::Ready(Err(TransportErrorKind::Broken)),
                    // Nothing came although the connection was just polled; it will wake this task.
                    Poll::Pending if driven => return Poll::Pending,
                    Poll::Pending => {
                        self.drive(cx);
                        driven = true;
                    }
                }
            }
        })
        .await?;
        Ok(Taken { truncated: read > kept.len(), kept: kept.into(), whole })
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            // What went wrong reaches whoever waits through the handle or the body.
            self.ended = Pin::new(&mut *self.connection).poll(cx).is_ready();
        }
    }
}

/// The same headers in memory of their own: as hyper gives them, each keeps the whole read buffer alive, and the
/// log keeps some of them for a long time.
pub(super) fn own(headers: &mut HeaderMap) {
    let total = headers.values().map(HeaderValue::len).sum();
    let mut buffer = BytesMut::with_capacity(total);
    let last = headers.len().saturating_sub(1);
    for (index, value) in headers.values_mut().enumerate() {
        buffer.extend_from_slice(value.as_bytes());
        // The last one takes what is left as it is: a single header, which many answers have, costs one allocation.
        let piece = if index == last { mem::take(&mut buffer) } else { buffer.split() };
        if let Ok(copy) = HeaderValue::from_maybe_shared(piece.freeze()) {
            *value = copy;
        }
    }
}

/// RFC 9110, section 15: there is no status above 599. And hyper may read up to twice its bound before it looks.
fn is_sound(response: &Response<Incoming>) -> bool {
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    response.status().as_u16() <= 599 && response.headers().iter().map(line).sum::<usize>() <= MAX_HEAD
}

fn kind_of(error: &hyper::Error) -> TransportErrorKind {
    if error.is_parse() {
        return TransportErrorKind::Protocol;
    }
    if error.is_user() {
        return TransportErrorKind::Internal;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => TransportErrorKind::Protocol,
                _ => TransportErrorKind::Broken,
            };
        }
        if let Some(error) = inner.downcast_ref::<hyper::Error>() {
            return if error.is_parse() { TransportErrorKind::Protocol } else { kind_of(error) };
        }
        cause = inner.source();
    }
    TransportErrorKind::Broken
}

fn quiet() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

const MAX_HEAD: usize = 64 * 1024;
