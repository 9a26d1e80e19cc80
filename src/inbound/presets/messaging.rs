//! Messages: Slack, Mailgun.

use crate::inbound::presets::{at, fields};
use crate::inbound::scheme::field::Part;
use crate::inbound::scheme::model::{Scheme, SignatureFormat, SignatureRule, TimestampRule, Unit};
use crate::inbound::scheme::reception::{Condition, Envelope, Handshake, Moment, Reception, Trust};

/// Slack: `x-slack-signature: v0=…` over version, time and body; the URL is proven by a signed challenge.
pub fn slack() -> Scheme {
    Scheme::signed(SignatureRule {
        format: SignatureFormat::Plain { prefix: "v0=".into() },
        signed: vec![Part::Text("v0:".into()), Part::Timestamp, Part::Text(":".into()), Part::Body],
        timestamp: Some(TimestampRule::within(300).at(at("header:x-slack-request-timestamp"))),
        ..SignatureRule::at(at("header:x-slack-signature"))
    })
    .with_reception(Reception {
        handshakes: vec![Handshake::BodyEcho {
            when: vec![Condition::is(at("json:/type"), "url_verification")],
            echo: at("json:/challenge"),
            trust: Trust::Signed,
        }],
        envelope: Envelope {
            event_id: fields(["json:/event_id"]),
            kind: fields(["json:/event/type", "form:command"]),
            tenant_key: Some(at("json:/team_id")),
            occurred_at: Some(Moment::new(at("json:/event_time"), Unit::Seconds)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Mailgun: time and token are signed, the rest of the body is not. A retry may be hours old.
pub fn mailgun() -> Scheme {
    let timestamp = "json:/signature/timestamp";
    let token = "json:/signature/token";
    Scheme::signed(SignatureRule {
        signed: vec![Part::Timestamp, Part::Field(at(token))],
        timestamp: Some(TimestampRule { past: Some(DAY), ..TimestampRule::within(300) }.at(at(timestamp))),
        ..SignatureRule::at(at("json:/signature/signature"))
    })
    .with_reception(Reception {
        envelope: Envelope {
            event_id: fields([token]),
            kind: fields(["json:/event-data/event"]),
            occurred_at: Some(Moment::new(at(timestamp), Unit::Seconds)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

const DAY: u64 = 24 * 60 * 60;
