//! Attributes of CloudEvents: how one becomes the value of a header, and what may be a source.

use bytes::Bytes;
use http::header::HeaderValue;

use crate::events::envelope::json_text::HEX;

/// The value of an attribute as a header: §3.1.3.2 of the HTTP binding encodes space, quotation mark, percent sign and
/// everything outside printable ASCII.
pub(crate) fn header_value(text: &str) -> HeaderValue {
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' | ..=0x20 | 0x7f.. => {
                encoded.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => encoded.push(byte),
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(encoded)).expect("printable ASCII is the value of a header")
}

/// The grammar of RFC 3986, as far as an opaque name needs it: the right characters, whole `%xx`, a scheme before the
/// first colon, one fragment.
pub(crate) fn is_uri_reference(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let is_hex = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    let bytes = text.as_bytes();
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    let first_segment = text.split(['/', '?', '#']).next().unwrap_or("");
    (1..=MAX_SOURCE_BYTES).contains(&bytes.len())
        && bytes.iter().all(|byte| is_allowed(*byte))
        && escapes
            .into_iter()
            .all(|(at, _)| is_hex(bytes.get(at + 1).copied()) && is_hex(bytes.get(at + 2).copied()))
        && bytes.iter().filter(|byte| **byte == b'#').count() <= 1
        && first_segment.split_once(':').is_none_or(|(scheme, _)| is_scheme(scheme))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

const MAX_SOURCE_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As a receiver decodes a header's value, by §3.1.3.2.
    fn decoded(value: &HeaderValue) -> String {
        let mut bytes = Vec::new();
        let mut rest = value.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            if *first == b'%' {
                let digits = std::str::from_utf8(&tail[..2]).expect("two digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("hex"));
                rest = &tail[2..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_header_is_encoded_like_the_example_of_the_http_binding() {
        // §3.1.3.2 of the HTTP binding.
        assert_eq!(header_value("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
    }

    #[test]
    fn a_source_is_a_uri_reference() {
        for source in [
            "https://github.com/cloudevents",
            "mailto:cncf-wg-serverless@lists.cncf.io",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "/cloudevents/spec/pull/123",
            "1-555-123-4567",
            "//example.com/a?b=c#d",
            "a/b:c",
            "https://[2001:db8::1]/%C3%A9",
        ] {
            assert!(is_uri_reference(source), "{source}");
        }
        for source in [
            "",
            "a b",
            "1a:b",
            ":b",
            "%",
            "%4",
            "%zz",
            "a#b#c",
            "größe",
            "a\"b",
            "a\\b",
            "a\r\nb",
            &"a".repeat(1025),
        ] {
            assert!(!is_uri_reference(source), "{source}");
        }
    }

    proptest! {
        #[test]
        fn a_header_is_printable_and_reads_back_as_it_was(text in any::<String>()) {
            let value = header_value(&text);

            prop_assert!(value.as_bytes().iter().all(|byte| (0x21..=0x7e).contains(byte) && *byte != b'"'));
            prop_assert_eq!(decoded(&value), text);
        }
    }
}
