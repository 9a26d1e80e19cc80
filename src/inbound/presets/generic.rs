//! Senders that sign as most do: the body's HMAC in a header; and Convoy.

use http::HeaderName;

use crate::inbound::presets::{at, fields};
use crate::inbound::scheme::field::{Field, Part};
use crate::inbound::scheme::model::{
    Algorithm, Scheme, SignatureFormat, SignatureRule, SignatureText, TimestampRule,
};
use crate::inbound::scheme::reception::{Envelope, Reception};

/// The hex of the body's HMAC-SHA-256 in `x-signature`, ids at `/id` and types at `/type`; every part can be changed.
pub fn generic() -> Scheme {
    generic_in(HeaderName::from_static("x-signature"))
}

/// The same in a header of this name, such as `x-betterdata-signature`.
///
/// ```
/// use crossdock::inbound::presets;
/// use http::HeaderName;
///
/// let scheme = presets::generic_in(HeaderName::from_static("x-betterdata-signature"));
///
/// assert!(scheme.problems().is_empty());
/// ```
pub fn generic_in(header: HeaderName) -> Scheme {
    Scheme::signed(SignatureRule::at(Field::Header(vec![header]))).with_reception(events())
}

/// Convoy's simple signatures: the body's code alone.
pub fn convoy_simple(algorithm: Algorithm, text: SignatureText) -> Scheme {
    Scheme::signed(SignatureRule { algorithm, text, ..SignatureRule::at(at(CONVOY)) })
        .with_reception(events())
}

/// Convoy's advanced signatures: `t=…,v1=…` over time, comma and body.
pub fn convoy_advanced(algorithm: Algorithm, text: SignatureText) -> Scheme {
    Scheme::signed(SignatureRule {
        algorithm,
        text,
        format: SignatureFormat::KeyValue {
            separator: ',',
            signature: "v1".into(),
            timestamp: Some("t".into()),
        },
        signed: vec![Part::Timestamp, Part::Text(",".into()), Part::Body],
        timestamp: Some(TimestampRule::within(300)),
        ..SignatureRule::at(at(CONVOY))
    })
    .with_reception(events())
}

fn events() -> Reception {
    Reception {
        envelope: Envelope {
            event_id: fields(["json:/id"]),
            kind: fields(["json:/type"]),
            ..Envelope::default()
        },
        ..Reception::default()
    }
}

const CONVOY: &str = "header:x-convoy-signature";
