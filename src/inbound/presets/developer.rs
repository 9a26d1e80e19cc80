//! Platforms for developers: GitHub, Linear, Discord, Meta, Microsoft Graph.

use http::Method;

use crate::inbound::presets::{at, fields, pointer};
use crate::inbound::scheme::field::Part;
use crate::inbound::scheme::model::{
    Algorithm, KeyEncoding, KeyRule, Scheme, SignatureFormat, SignatureRule, TimestampRule, Unit,
};
use crate::inbound::scheme::reception::{
    Batch, Condition, Envelope, FixedAnswer, Handshake, Moment, Reception, TokenCheck, Trust,
};

/// GitHub: `x-hub-signature-256: sha256=…`; id and type stand in headers that are not signed.
pub fn github() -> Scheme {
    Scheme::signed(hub_signature()).with_reception(Reception {
        envelope: Envelope {
            event_id: fields(["header:x-github-delivery"]),
            kind: fields(["header:x-github-event", "json:/action"]),
            tenant_key: Some(at("json:/installation/id")),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Linear: the body's signature, and a time in the body that is at most a minute old.
pub fn linear() -> Scheme {
    Scheme::signed(SignatureRule {
        timestamp: Some(
            TimestampRule::within(60).at(at("json:/webhookTimestamp")).in_unit(Unit::Milliseconds),
        ),
        ..SignatureRule::at(at("header:linear-signature"))
    })
    .with_reception(Reception {
        envelope: Envelope {
            event_id: fields(["header:linear-delivery"]),
            kind: fields(["header:linear-event", "json:/action"]),
            tenant_key: Some(at("json:/organizationId")),
            occurred_at: Some(Moment::new(at("json:/createdAt"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Discord: the application's public key in hex; pings are answered 204, forgeries must be answered 401. Needs the
/// feature `ed25519`.
pub fn discord() -> Scheme {
    let timestamp = TimestampRule { past: None, future: None, ..TimestampRule::within(0) };
    Scheme::signed(SignatureRule {
        algorithm: Algorithm::Ed25519,
        key: KeyRule { encoding: KeyEncoding::Hex, transforms: Vec::new() },
        signed: vec![Part::Timestamp, Part::Body],
        timestamp: Some(timestamp.at(at("header:x-signature-timestamp"))),
        ..SignatureRule::at(at("header:x-signature-ed25519"))
    })
    .with_reception(Reception {
        ack: FixedAnswer::status(204),
        handshakes: vec![Handshake::Ping {
            when: vec![Condition::is(at("json:/type"), "0")],
            answer: FixedAnswer::status(204),
            trust: Trust::Signed,
        }],
        envelope: Envelope {
            kind: fields(["json:/event/type"]),
            tenant_key: Some(at("json:/application_id")),
            occurred_at: Some(Moment::new(at("json:/event/timestamp"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Meta (Facebook, Instagram, WhatsApp): as GitHub signs; subscribing sends `hub.challenge`, which comes back if
/// `hub.verify_token` is the source's secret named `verify_token`.
pub fn meta() -> Scheme {
    Scheme::signed(hub_signature()).with_reception(Reception {
        handshakes: vec![Handshake::QueryEcho {
            method: Some(Method::GET),
            parameter: "hub.challenge".into(),
            token: Some(TokenCheck::new("hub.verify_token", "verify_token")),
        }],
        envelope: Envelope {
            batch: Some(Batch::of(pointer("/entry/*"))),
            kind: fields(["document:/object", "json:/changes/0/field"]),
            tenant_key: Some(at("json:/id")),
            occurred_at: Some(Moment::new(at("json:/time"), Unit::Seconds)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Microsoft Graph: every item carries the subscription's `clientState`; subscribing sends `validationToken`, which
/// comes back.
pub fn microsoft_graph() -> Scheme {
    Scheme::signed(SignatureRule {
        algorithm: Algorithm::StaticToken,
        signed: Vec::new(),
        each: Some(pointer("/value/*")),
        ..SignatureRule::at(at("json:/clientState"))
    })
    .with_reception(Reception {
        ack: FixedAnswer::status(202),
        handshakes: vec![Handshake::QueryEcho {
            method: Some(Method::POST),
            parameter: "validationToken".into(),
            token: None,
        }],
        envelope: Envelope {
            batch: Some(Batch::of(pointer("/value/*"))),
            event_id: fields(["json:/id"]),
            kind: fields(["json:/changeType"]),
            tenant_key: Some(at("json:/tenantId")),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

fn hub_signature() -> SignatureRule {
    SignatureRule {
        format: SignatureFormat::Plain { prefix: "sha256=".into() },
        ..SignatureRule::at(at("header:x-hub-signature-256"))
    }
}
