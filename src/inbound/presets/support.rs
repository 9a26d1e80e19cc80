//! Customers and their questions: Zendesk, HubSpot, Intercom.

use crate::inbound::presets::{at, fields, pointer};
use crate::inbound::scheme::field::Part;
use crate::inbound::scheme::model::{
    Algorithm, Scheme, SignatureFormat, SignatureRule, SignatureText, TimestampRule, Unit,
};
use crate::inbound::scheme::reception::{
    Batch, Condition, Envelope, FixedAnswer, Handshake, Moment, Reception, Trust,
};

/// Zendesk: the signature of time and body, without anything between; the time may be of any age.
pub fn zendesk() -> Scheme {
    let timestamp = TimestampRule { past: None, future: None, ..TimestampRule::within(0) };
    Scheme::signed(SignatureRule {
        text: SignatureText::Base64,
        signed: vec![Part::Timestamp, Part::Body],
        timestamp: Some(
            timestamp.at(at("header:x-zendesk-webhook-signature-timestamp")).in_unit(Unit::Rfc3339),
        ),
        ..SignatureRule::at(at("header:x-zendesk-webhook-signature"))
    })
    .with_reception(Reception {
        envelope: Envelope {
            event_id: fields(["header:x-zendesk-webhook-invocation-id"]),
            kind: fields(["json:/type"]),
            tenant_key: Some(at("json:/account_id")),
            occurred_at: Some(Moment::new(at("json:/time"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// HubSpot, version 3 of its signatures: method, URL, body and time.
pub fn hubspot() -> Scheme {
    Scheme::signed(SignatureRule {
        text: SignatureText::Base64,
        signed: vec![Part::Method, Part::Url, Part::Body, Part::Timestamp],
        timestamp: Some(
            TimestampRule::within(300)
                .at(at("header:x-hubspot-request-timestamp"))
                .in_unit(Unit::Milliseconds),
        ),
        ..SignatureRule::at(at("header:x-hubspot-signature-v3"))
    })
    .with_reception(hubspot_events())
}

/// HubSpot, version 2: SHA-256 of secret, method, URL and body.
pub fn hubspot_v2() -> Scheme {
    let signed = vec![Part::Method, Part::Url, Part::Body];
    Scheme::signed(SignatureRule { signed, ..hubspot_hash() }).with_reception(hubspot_events())
}

/// HubSpot, version 1: SHA-256 of secret and body.
pub fn hubspot_v1() -> Scheme {
    Scheme::signed(hubspot_hash()).with_reception(hubspot_events())
}

/// Intercom: `x-hub-signature: sha1=…`; pings are answered at once.
pub fn intercom() -> Scheme {
    Scheme::signed(SignatureRule {
        algorithm: Algorithm::HmacSha1,
        format: SignatureFormat::Plain { prefix: "sha1=".into() },
        ..SignatureRule::at(at("header:x-hub-signature"))
    })
    .with_reception(Reception {
        handshakes: vec![Handshake::Ping {
            when: vec![Condition::is(at("json:/topic"), "ping")],
            answer: FixedAnswer::status(200),
            trust: Trust::Signed,
        }],
        envelope: Envelope {
            event_id: fields(["json:/id"]),
            kind: fields(["json:/topic"]),
            tenant_key: Some(at("json:/app_id")),
            occurred_at: Some(Moment::new(at("json:/created_at"), Unit::Seconds)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

fn hubspot_hash() -> SignatureRule {
    SignatureRule { algorithm: Algorithm::Sha256, ..SignatureRule::at(at("header:x-hubspot-signature")) }
}

fn hubspot_events() -> Reception {
    Reception {
        envelope: Envelope {
            batch: Some(Batch::of(pointer("/*"))),
            // The id alone "isn't guaranteed to be unique"; what tells two attempts apart is left out.
            event_id: fields(["json:/eventId", "json:/subscriptionId", "json:/occurredAt"]),
            kind: fields(["json:/subscriptionType"]),
            tenant_key: Some(at("json:/portalId")),
            occurred_at: Some(Moment::new(at("json:/occurredAt"), Unit::Milliseconds)),
            ..Envelope::default()
        },
        ..Reception::default()
    }
}
