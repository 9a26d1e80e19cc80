//! Which labels and which payload an event may carry, whatever its type: every broken rule at once.

use bytes::Bytes;
use chrono::{DateTime, Datelike, Utc};
use serde_json::value::RawValue;

use crate::error::Problem;
use crate::events::label::{MAX_LABEL, check_channels, check_label, check_metadata};
use crate::events::new_event::{Labels, Payload};

/// How large a payload may be if the catalogue does not say otherwise: 256 KiB.
pub(crate) const PAYLOAD_LIMIT: usize = 256 * 1024;

/// The payload without white space around it, or why it cannot be published.
pub(crate) fn check_payload(payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let (Payload::Written(bytes) | Payload::Given(bytes)) = &payload;
    // Before anything is read: a payload beyond the limit costs nothing.
    if bytes.len() > limit {
        let rule = format!("a payload holds at most {limit} bytes, this one has {}", bytes.len());
        return Err(Problem::new(
            "data",
            rule,
            "publish a link to what is large, or raise the catalogue's limit",
        ));
    }
    match payload {
        Payload::Written(bytes) => Ok(bytes),
        Payload::Given(bytes) => one_json_value(&bytes),
    }
}

/// Appends what is wrong with the labels.
pub(crate) fn check_labels(labels: &Labels, problems: &mut Vec<Problem>) {
    let texts = [
        ("idempotency_key", &labels.idempotency_key),
        ("owner", &labels.owner),
        ("ordering_key", &labels.ordering_key),
        ("subject", &labels.subject),
    ];
    for (field, text) in texts {
        problems.extend(text.as_deref().and_then(|text| check_label(field, text)));
    }
    check_channels("an event", labels.channels.iter().map(|channel| &**channel), MAX_CHANNELS, problems);
    let metadata = labels.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    check_metadata(metadata, check_label, problems);
    if labels.traceparent.as_deref().is_some_and(|text| !is_traceparent(text)) {
        problems.push(Problem::new(
            "traceparent",
            "a trace context is `version-trace-parent-flags` in lower-case hex, with ids that are not all zero",
            "pass on the header `traceparent` as it came, or leave it out",
        ));
    }
    if labels.occurred_at.is_some_and(|time| !has_four_digit_year(time)) {
        problems.push(Problem::new(
            "occurred_at",
            "a time lies in the years 1 to 9999, which is what RFC 3339 can write",
            "give the time at which it happened, or leave it out for now",
        ));
    }
}

fn one_json_value(bytes: &Bytes) -> Result<Bytes, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        let rule = format!("JSON is UTF-8; the byte at {} is not", cause.valid_up_to());
        Problem::new("data", rule, "encode the payload as UTF-8")
    })?;
    // Reads the text through without building anything from it.
    let value: &RawValue = serde_json::from_str(text).map_err(|cause| {
        Problem::new("data", format!("the payload is one JSON value: {cause}"), "correct the JSON text")
    })?;
    Ok(bytes.slice_ref(value.get().as_bytes()))
}

/// The grammar of <https://www.w3.org/TR/trace-context/#traceparent-header>, later versions included.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        parts.next().filter(|part| {
            part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let (Some(version), Some(trace), Some(parent), Some(_flags)) = (hex(2), hex(32), hex(16), hex(2)) else {
        return false;
    };
    let ends_here = parts.next().is_none();
    let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    // Version 00 ends after the flags; a later one may add more, and `ff` is never a version.
    version != "ff"
        && (ends_here || version != "00")
        && !is_zero(trace)
        && !is_zero(parent)
        && text.len() <= MAX_LABEL
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn has_four_digit_year(time: DateTime<Utc>) -> bool {
    (1..=9999).contains(&time.year())
}

const MAX_CHANNELS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn given(text: &'static [u8]) -> Result<Bytes, Problem> {
        check_payload(Payload::Given(Bytes::from_static(text)), 64)
    }

    fn fields(labels: &Labels) -> Vec<String> {
        let mut problems = Vec::new();
        check_labels(labels, &mut problems);
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_payload_is_one_json_value_within_the_limit() {
        for text in [
            b"null".as_slice(),
            b"1e400",
            b"123456789012345678901234567890.10",
            b"\"\xc3\xa9\"",
            b"[1,{\"a\":{}}]",
            b"{\"a\":1,\"a\":2}",
        ] {
            assert_eq!(given(text).as_deref(), Ok(text));
        }
        for (text, rule) in [
            (b"".as_slice(), "EOF"),
            (b"  ", "EOF"),
            (b"{", "EOF"),
            (b"{}{}", "trailing characters"),
            (b"{'a':1}", "key must be a string"),
            (b"{\"a\":01}", "invalid number"),
            (b"[1,]", "expected value"),
            (b"NaN", "expected"),
            (b"\"\n\"", "control character"),
            (b"\xef\xbb\xbf{}", "expected value"),
            (b"\"\xff\"", "UTF-8"),
            (&[b' '; 65], "at most 64 bytes"),
        ] {
            let problem = given(text).expect_err("refused");
            assert_eq!(problem.field, "data");
            assert!(problem.rule.contains(rule), "{rule}: {problem}");
        }
    }

    #[test]
    fn white_space_around_the_payload_is_dropped_and_inside_it_stays() {
        assert_eq!(given(b" \r\n{ \"a\" : 1.0 }\t").as_deref(), Ok(b"{ \"a\" : 1.0 }".as_slice()));
    }

    #[test]
    fn a_message_about_broken_json_does_not_repeat_the_payload() {
        let problem = given(b"{\"card\":4111111111111111").expect_err("refused");

        assert!(!problem.to_string().contains("4111"), "{problem}");
    }

    #[test]
    fn every_broken_label_is_reported_at_once() {
        let long: Arc<str> = "x".repeat(257).into();
        let labels = Labels {
            idempotency_key: Some("".into()),
            occurred_at: Some(DateTime::<Utc>::MAX_UTC),
            owner: Some("a\nb".into()),
            ordering_key: Some(long),
            subject: Some("\u{85}".into()),
            channels: vec!["fine".into(), "".into(), "\u{ffff}".into()],
            metadata: [("k", ""), ("\0", "v"), ("ok", "ok")].map(|(k, v)| (k.into(), v.into())).into(),
            traceparent: Some("00-abc".into()),
        };

        let fields = fields(&labels);

        insta::assert_debug_snapshot!(fields, @r#"
        [
            "idempotency_key",
            "owner",
            "ordering_key",
            "subject",
            "channels[1]",
            "channels[2]",
            "metadata[0].key",
            "metadata[k]",
            "traceparent",
            "occurred_at",
        ]
        "#);
    }

    #[test]
    fn channels_and_metadata_are_few() {
        let entry = |index: usize| (format!("k{index:02}"), "v".to_owned());
        let of = |channels: usize, entries: usize| Labels {
            channels: vec!["c".into(); channels],
            metadata: (0..entries).map(entry).collect(),
            ..Labels::default()
        };

        assert_eq!(fields(&of(16, 32)), Vec::<String>::new());
        assert_eq!(fields(&of(17, 33)), ["channels", "metadata"]);
    }

    #[test]
    fn a_trace_context_follows_its_grammar() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        const SPAN: &str = "00f067aa0ba902b7";
        for (text, good) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), true),
            (format!("00-{TRACE}-{SPAN}-01-more"), false),
            (format!("ff-{TRACE}-{SPAN}-01"), false),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), false),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
            (format!("00-{TRACE}-{SPAN}-1"), false),
            (format!("00-{TRACE}-{SPAN}"), false),
            (format!("01-{TRACE}-{SPAN}-01-a\r\nb"), false),
            (format!("01-{TRACE}-{SPAN}-01-{}", "a".repeat(256)), false),
            (String::new(), false),
        ] {
            assert_eq!(is_traceparent(&text), good, "{text}");
        }
    }
}
