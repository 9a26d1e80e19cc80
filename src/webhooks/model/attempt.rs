//! One HTTP request and what came of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::ports::{Timings, TransportErrorKind};
use crate::primitives::id::{AttemptId, DeliveryId};
use crate::webhooks::model::logged_headers::LoggedHeaders;

/// One HTTP request and what came of it ("a run").
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// Names the attempt.
    pub id: AttemptId,
    /// Which delivery it was for.
    pub delivery: DeliveryId,
    /// Which attempt of that delivery, counted from 1.
    pub number: u32,
    /// When the request was begun.
    pub started_at: DateTime<Utc>,
    /// The address that was called, if one was.
    pub peer: Option<IpAddr>,
    /// What was sent along, credentials redacted.
    pub request_headers: LoggedHeaders,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why it failed; `None` if the receiver took the delivery.
    pub error: Option<AttemptError>,
    /// Where and why the webhook's mapping refused the event, without anything of the event.
    pub refusal: Option<Arc<str>>,
    /// The answer's headers.
    pub response_headers: LoggedHeaders,
    /// The beginning of the answer's body.
    pub response_body: Bytes,
    /// Whether the answer was longer than what is kept, in its body or (beyond 8 KiB) in its headers.
    pub truncated: bool,
    /// How long each part took.
    pub timings: Timings,
    /// When the next attempt is due, if there is one.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Whether the lease was lost before the result came: it changed nothing.
    pub fenced: bool,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AttemptError {
    /// An answer came, with a status that is not 2xx.
    Status(u16),
    /// No answer came.
    Transport(TransportErrorKind),
    /// The request could not be made.
    Unsendable,
    /// The webhook's mapping refused the event: [`Attempt::refusal`] says where. Nothing was sent.
    Unmapped,
}

impl Attempt {
    /// An attempt of which nothing is known yet but its beginning.
    pub fn new(id: AttemptId, delivery: DeliveryId, number: u32, started_at: DateTime<Utc>) -> Self {
        Self {
            id,
            delivery,
            number,
            started_at,
            peer: None,
            request_headers: LoggedHeaders::default(),
            status: None,
            error: None,
            refusal: None,
            response_headers: LoggedHeaders::default(),
            response_body: Bytes::new(),
            truncated: false,
            timings: Timings::default(),
            next_attempt_at: None,
            fenced: false,
        }
    }

    /// Forgets what was logged of the request and the answer, because the payload was erased; that it happened stays.
    pub fn forget_contents(&mut self) {
        self.request_headers = LoggedHeaders::default();
        self.response_headers = LoggedHeaders::default();
        self.response_body = Bytes::new();
    }

    /// Whether the receiver took the delivery.
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }
}

impl AttemptError {
    /// The word that logs and listings use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Transport(kind) => kind.as_str(),
            Self::Unsendable => "unsendable",
            Self::Unmapped => "unmapped",
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            other => f.write_str(other.as_str()),
        }
    }
}

impl fmt::Debug for Attempt {
    /// The answer's header values and body are left out: a receiver may echo what it was sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("id", &self.id)
            .field("delivery", &self.delivery)
            .field("number", &self.number)
            .field("started_at", &self.started_at)
            .field("peer", &self.peer)
            .field("status", &self.status)
            .field("error", &self.error)
            .field("refusal", &self.refusal)
            .field("timings", &self.timings)
            .field("next_attempt_at", &self.next_attempt_at)
            .field("fenced", &self.fenced)
            .finish_non_exhaustive()
    }
}
