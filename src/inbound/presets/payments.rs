//! Payments and accounts: Stripe, Adyen, Paddle, Xero, QuickBooks.

use crate::inbound::presets::{at, fields, pointer};
use crate::inbound::scheme::field::Part;
use crate::inbound::scheme::model::{
    KeyEncoding, KeyRule, Scheme, SignatureFormat, SignatureRule, SignatureText, TimestampRule, Unit,
};
use crate::inbound::scheme::reception::{Batch, Envelope, FixedAnswer, Moment, Reception};

/// Stripe: `stripe-signature: t=…,v1=…`, with the endpoint's secret as it is, `whsec_` included.
pub fn stripe() -> Scheme {
    Scheme::signed(stamped("header:stripe-signature")).with_reception(Reception {
        // What its documentation shows, and its dashboard explains.
        reject: 400,
        envelope: Envelope {
            event_id: fields(["json:/id"]),
            kind: fields(["json:/type"]),
            tenant_key: Some(at("json:/account")),
            occurred_at: Some(Moment::new(at("json:/created"), Unit::Seconds)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Adyen's standard webhooks: every item of the body is signed, over eight of its fields, with a key in hex.
pub fn adyen() -> Scheme {
    let items = "/notificationItems/*/NotificationRequestItem";
    let mut signed = Vec::new();
    for name in [
        "pspReference",
        "originalReference",
        "merchantAccountCode",
        "merchantReference",
        "amount/value",
        "amount/currency",
        "eventCode",
        "success",
    ] {
        if !signed.is_empty() {
            signed.push(Part::Text(":".into()));
        }
        signed.push(Part::Optional(at(&format!("json:/{name}"))));
    }
    Scheme::signed(SignatureRule {
        key: hex_key(),
        text: SignatureText::Base64,
        signed,
        each: Some(pointer(items)),
        ..SignatureRule::at(at("json:/additionalData/hmacSignature"))
    })
    .with_reception(Reception {
        ack: FixedAnswer::with_body(200, "text/plain", "[accepted]"),
        envelope: Envelope {
            batch: Some(Batch::of(pointer(items))),
            event_id: fields(["json:/eventCode", "json:/pspReference"]),
            kind: fields(["json:/eventCode"]),
            tenant_key: Some(at("json:/merchantAccountCode")),
            occurred_at: Some(Moment::new(at("json:/eventDate"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Adyen's platform webhooks: the body is signed in the header `hmacsignature`, with a key in hex.
pub fn adyen_header() -> Scheme {
    Scheme::signed(SignatureRule {
        key: hex_key(),
        text: SignatureText::Base64,
        ..SignatureRule::at(at("header:hmacsignature"))
    })
    .with_reception(Reception {
        envelope: Envelope {
            kind: fields(["json:/type"]),
            tenant_key: Some(at("json:/data/balancePlatform")),
            occurred_at: Some(Moment::new(at("json:/timestamp"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Paddle: `paddle-signature: ts=…;h1=…`, five seconds old at most.
pub fn paddle() -> Scheme {
    Scheme::signed(SignatureRule {
        format: SignatureFormat::KeyValue {
            separator: ';',
            signature: "h1".into(),
            timestamp: Some("ts".into()),
        },
        signed: vec![Part::Timestamp, Part::Text(":".into()), Part::Body],
        timestamp: Some(TimestampRule::within(5)),
        ..SignatureRule::at(at("header:paddle-signature"))
    })
    .with_reception(Reception {
        envelope: Envelope {
            event_id: fields(["json:/event_id"]),
            kind: fields(["json:/event_type"]),
            occurred_at: Some(Moment::new(at("json:/occurred_at"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Xero: the body's signature; a wrong one must be answered 401 for the endpoint to be accepted.
pub fn xero() -> Scheme {
    Scheme::signed(SignatureRule {
        text: SignatureText::Base64,
        ..SignatureRule::at(at("header:x-xero-signature"))
    })
    .with_reception(Reception {
        envelope: Envelope {
            batch: Some(Batch::of(pointer("/events/*"))),
            kind: fields(["json:/eventCategory", "json:/eventType"]),
            tenant_key: Some(at("json:/tenantId")),
            occurred_at: Some(Moment::new(at("json:/eventDateUtc"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// QuickBooks: the body's signature, with the verifier token; an array of CloudEvents.
pub fn quickbooks() -> Scheme {
    Scheme::signed(SignatureRule {
        text: SignatureText::Base64,
        ..SignatureRule::at(at("header:intuit-signature"))
    })
    .with_reception(Reception {
        envelope: Envelope {
            batch: Some(Batch::of(pointer("/*"))),
            event_id: fields(["json:/id"]),
            kind: fields(["json:/type"]),
            tenant_key: Some(at("json:/intuitaccountid")),
            occurred_at: Some(Moment::new(at("json:/time"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// `t=…,v1=…` over timestamp, stop and body, in this header.
pub(super) fn stamped(header: &str) -> SignatureRule {
    SignatureRule {
        format: SignatureFormat::KeyValue {
            separator: ',',
            signature: "v1".into(),
            timestamp: Some("t".into()),
        },
        signed: vec![Part::Timestamp, Part::Text(".".into()), Part::Body],
        timestamp: Some(TimestampRule::within(300)),
        ..SignatureRule::at(at(header))
    }
}

fn hex_key() -> KeyRule {
    KeyRule { encoding: KeyEncoding::Hex, transforms: Vec::new() }
}
