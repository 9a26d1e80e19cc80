//! An attempt as a store keeps it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ports::Timings;
use crate::primitives::id::{AttemptId, DeliveryId};
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Base64, Label, Nanos, Text, Time, says_nothing};
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Label>,
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
                refusal: self.refusal.clone().map(Label),
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
            refusal: kept.refusal.map(|Label(refusal)| refusal),
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
        + attempt.refusal.as_ref().map_or(0, |refusal| refusal.len() + PUNCTUATION)
}

/// Of one pair: `["",""],`.
const PUNCTUATION: usize = 8;
const ALL_BUT_CONTENTS: usize = 512;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::{DateTime, TimeDelta};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::time::Duration;
    use uuid::Uuid;

    use super::*;
    use crate::ports::TransportErrorKind;
    use crate::primitives::stored::proof::{
        any_damage, any_length, any_time, broken_field, comes_back, holds_out,
    };
    use crate::webhooks::model::AttemptError;

    fn any_lines() -> impl Strategy<Value = LoggedHeaders> {
        let name = prop_oneof!["[a-z-]{1,20}", any::<String>()];
        let value = prop_oneof![any::<String>().prop_map(String::into_bytes), vec(any::<u8>(), 0..20)];
        vec((name, value), 0..4).prop_map(|lines| {
            LoggedHeaders::from_lines(lines.iter().map(|(name, value)| (&**name, &**value)))
        })
    }

    fn any_attempt() -> impl Strategy<Value = Attempt> {
        let error = prop_oneof![
            any::<u16>().prop_map(AttemptError::Status),
            select(vec![
                AttemptError::Unsendable,
                AttemptError::Unmapped,
                AttemptError::Transport(TransportErrorKind::Dns),
                AttemptError::Transport(TransportErrorKind::Internal),
            ]),
        ];
        let length = || option::of(any_length());
        (
            (any::<(u128, u128, u32)>(), any_time(), option::of(any::<IpAddr>())),
            (any_lines(), any_lines(), vec(any::<u8>(), 0..100)),
            (
                option::of(any::<u16>()),
                (option::of(error), option::of(any::<String>())),
                any::<(bool, bool)>(),
                option::of(any_time()),
            ),
            (length(), length(), length(), length(), any_length()),
        )
            .prop_map(
                |(
                    ((id, delivery, number), started_at, peer),
                    log,
                    (status, (error, refusal), flags, next),
                    timings,
                )| {
                    let (id, delivery) = (Uuid::from_u128(id), Uuid::from_u128(delivery));
                    let (dns, connect, tls, first_byte, total) = timings;
                    Attempt {
                        id: AttemptId::from_uuid(id),
                        delivery: DeliveryId::from_uuid(delivery),
                        number,
                        started_at,
                        peer,
                        request_headers: log.0,
                        status,
                        error,
                        refusal: refusal.map(Into::into),
                        response_headers: log.1,
                        response_body: log.2.into(),
                        truncated: flags.0,
                        timings: Timings { dns, connect, tls, first_byte, total },
                        next_attempt_at: next,
                        fenced: flags.1,
                    }
                },
            )
    }

    fn full() -> Attempt {
        let now = DateTime::from_timestamp_nanos(1_767_225_600_000_001_000);
        let mut attempt = Attempt::new(AttemptId::mint(now, [7; 10]), DeliveryId::mint(now, [8; 10]), 2, now);
        attempt.peer = Some(IpAddr::from([192, 0, 2, 7]));
        attempt.request_headers = LoggedHeaders::from_lines([("webhook-id", b"evt_1".as_slice())]);
        attempt.status = Some(503);
        attempt.error = Some(AttemptError::Status(503));
        attempt.response_headers =
            LoggedHeaders::from_lines([("retry-after", b"7".as_slice()), ("x-odd", b"\xff")]);
        attempt.response_body = Bytes::from_static(b"busy");
        attempt.truncated = true;
        attempt.timings = Timings {
            dns: Some(Duration::from_micros(1)),
            connect: Some(Duration::from_micros(2)),
            tls: Some(Duration::from_micros(3)),
            first_byte: Some(Duration::from_micros(4)),
            total: Duration::from_millis(5),
        };
        attempt.next_attempt_at = Some(now + TimeDelta::seconds(30));
        attempt.fenced = true;
        attempt
    }

    proptest! {
        #[test]
        fn every_attempt_comes_back(attempt in any_attempt()) {
            comes_back(&attempt)?;
        }

        #[test]
        fn any_text_is_an_attempt_or_an_error(attempt in any_attempt(), damage in any_damage()) {
            holds_out::<Attempt>(&damage.to(&attempt.to_stored()?))?;
        }
    }

    #[test]
    fn an_attempt_is_written_like_this() -> Result<()> {
        insta::assert_snapshot!(full().to_stored()?, @r#"{"v":1,"id":"att_01kdvdna00ew3re1r70w3ge1r7","delivery":"dlv_01kdvdna00f048g2081040g208","number":2,"started_at":"2026-01-01T00:00:00.000001Z","peer":"192.0.2.7","request_headers":[["webhook-id","evt_1"]],"status":503,"error":"status.503","response_headers":[["retry-after","7"],["x-odd",{"base64":"/w=="}]],"response_body":"YnVzeQ==","truncated":true,"timings":{"dns":1000,"connect":2000,"tls":3000,"first_byte":4000,"total":5000000},"next_attempt_at":"2026-01-01T00:00:30.000001Z","fenced":true}"#);
        Ok(())
    }

    #[test]
    fn what_the_first_version_wrote_is_read() -> Result<()> {
        assert_eq!(Attempt::from_stored(FIRST_FULL)?, full());
        let plain = Attempt::from_stored(FIRST_PLAIN)?;
        assert_eq!(plain, Attempt::new(plain.id, plain.delivery, 1, plain.started_at));
        Ok(())
    }

    #[test]
    fn an_error_names_the_field() {
        for (damaged, field) in [
            (FIRST_FULL.replace("status.503", "status.x"), "error"),
            (FIRST_FULL.replace("192.0.2.7", "192.0.2"), "peer"),
            (FIRST_FULL.replace("[\"retry-after\",\"7\"]", "[\"retry-after\"]"), "response_headers[0]"),
            (FIRST_FULL.replace("\"/w==\"", "\"/w=\""), "response_headers[1][1].base64"),
            (FIRST_FULL.replace("\"dns\":1000", "\"dns\":-1"), "timings.dns"),
            (FIRST_FULL.replace("\"number\":2", "\"number\":4294967296"), "number"),
        ] {
            assert_eq!(broken_field::<Attempt>(&damaged), field, "{damaged}");
        }
    }

    #[test]
    fn the_text_takes_its_memory_once() -> Result<()> {
        let mut attempt = full();
        attempt.response_body = Bytes::from(vec![7; 16 * 1024]);

        let text = attempt.to_stored()?;

        assert!(text.len() <= usual_length(&attempt), "{} > {}", text.len(), usual_length(&attempt));
        Ok(())
    }

    const FIRST_FULL: &str = r#"{"v":1,"id":"att_01kdvdna00ew3re1r70w3ge1r7","delivery":"dlv_01kdvdna00f048g2081040g208","number":2,"started_at":"2026-01-01T00:00:00.000001Z","peer":"192.0.2.7","request_headers":[["webhook-id","evt_1"]],"status":503,"error":"status.503","response_headers":[["retry-after","7"],["x-odd",{"base64":"/w=="}]],"response_body":"YnVzeQ==","truncated":true,"timings":{"dns":1000,"connect":2000,"tls":3000,"first_byte":4000,"total":5000000},"next_attempt_at":"2026-01-01T00:00:30.000001Z","fenced":true}"#;
    const FIRST_PLAIN: &str = r#"{"v":1,"id":"att_01kdvg3n3v0w3g71r70w3ge1r7","delivery":"dlv_01kdvg3n3v0w3g71r70w3ge1r7","number":1,"started_at":"2026-01-01T00:00:00Z"}"#;
}
