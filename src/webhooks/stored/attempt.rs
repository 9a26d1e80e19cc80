//! An attempt as a store keeps it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ports::Timings;
use crate::primitives::id::{AttemptId, DeliveryId};
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Base64, Nanos, Text, Time, says_nothing};
use crate::primitives::stored::record::{self, FormatOne};
use crate::webhooks::model::{Attempt, LoggedHeaders};
use crate::webhooks::stored::attempt_error::StoredError;
use crate::webhooks::stored::header::KeptLines;

/// There is one per request: what is large is shared, not copied, to be written.
#[derive(Deserialize, Serialize)]
struct Kept {
    v: FormatOne,
    id: Text<AttemptId>,
    delivery: Text<DeliveryId>,
    number: u32,
    started_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<Text<IpAddr>>,
    #[serde(default, skip_serializing_if = "KeptLines::is_empty")]
    request_headers: KeptLines,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Text<StoredError>>,
    #[serde(default, skip_serializing_if = "KeptLines::is_empty")]
    response_headers: KeptLines,
    #[serde(default, skip_serializing_if = "Base64::is_empty")]
    response_body: Base64,
    #[serde(default, skip_serializing_if = "says_nothing")]
    truncated: bool,
    #[serde(default, skip_serializing_if = "says_nothing")]
    timings: KeptTimings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Time>,
    #[serde(default, skip_serializing_if = "says_nothing")]
    fenced: bool,
}

#[derive(Default, Deserialize, PartialEq, Serialize)]
struct KeptTimings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dns: Option<Nanos>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connect: Option<Nanos>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls: Option<Nanos>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_byte: Option<Nanos>,
    #[serde(default, skip_serializing_if = "Nanos::is_zero")]
    total: Nanos,
}

impl Stored for Attempt {
    fn to_stored(&self) -> Result<String> {
        let Timings { dns, connect, tls, first_byte, total } = self.timings;
        record::write(
            "write an attempt for a store",
            usual_length(self),
            &Kept {
                v: FormatOne,
                id: Text(self.id),
                delivery: Text(self.delivery),
                number: self.number,
                started_at: Time(self.started_at),
                peer: self.peer.map(Text),
                request_headers: KeptLines(self.request_headers.clone()),
                status: self.status,
                error: self.error.map(|error| Text(StoredError(error))),
                response_headers: KeptLines(self.response_headers.clone()),
                response_body: Base64(self.response_body.clone()),
                truncated: self.truncated,
                timings: KeptTimings {
                    dns: dns.map(Nanos),
                    connect: connect.map(Nanos),
                    tls: tls.map(Nanos),
                    first_byte: first_byte.map(Nanos),
                    total: Nanos(total),
                },
                next_attempt_at: self.next_attempt_at.map(Time),
                fenced: self.fenced,
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept = record::read("read an attempt that a store has kept", text)?;
        let length = |length: Option<Nanos>| length.map(|Nanos(length)| length);
        let KeptTimings { dns, connect, tls, first_byte, total: Nanos(total) } = kept.timings;
        Ok(Self {
            id: kept.id.0,
            delivery: kept.delivery.0,
            number: kept.number,
            started_at: kept.started_at.0,
            peer: kept.peer.map(|Text(peer)| peer),
            request_headers: kept.request_headers.0,
            status: kept.status,
            error: kept.error.map(|Text(StoredError(error))| error),
            response_headers: kept.response_headers.0,
            response_body: kept.response_body.0,
            truncated: kept.truncated,
            timings: Timings {
                dns: length(dns),
                connect: length(connect),
                tls: length(tls),
                first_byte: length(first_byte),
                total,
            },
            next_attempt_at: kept.next_attempt_at.map(|Time(at)| at),
            fenced: kept.fenced,
        })
    }
}

/// So that the text takes its memory once.
fn usual_length(attempt: &Attempt) -> usize {
    let headers = |headers: &LoggedHeaders| -> usize {
        headers.iter().map(|(name, value)| name.len() + value.len() + PUNCTUATION).sum()
    };
    ALL_BUT_CONTENTS
        + headers(&attempt.request_headers)
        + headers(&attempt.response_headers)
        + attempt.response_body.len().div_ceil(3) * 4
}

/// Of one pair: `["",""],`.
const PUNCTUATION: usize = 8;
const ALL_BUT_CONTENTS: usize = 512;
