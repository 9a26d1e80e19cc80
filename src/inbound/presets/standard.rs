//! Standard Webhooks and Svix.

use crate::inbound::presets::{at, fields};
use crate::inbound::scheme::field::Part;
use crate::inbound::scheme::model::{
    Algorithm, KeyEncoding, KeyRule, Scheme, SignatureFormat, SignatureRule, SignatureText, TimestampRule,
    Unit,
};
use crate::inbound::scheme::reception::{Envelope, Moment, Reception};

/// Standard Webhooks with a shared secret, `whsec_…`: `v1` signatures, in `webhook-*` or `svix-*` headers.
pub fn standard_webhooks() -> Scheme {
    Scheme::signed(rule(Algorithm::HmacSha256, KeyEncoding::Whsec, "v1,")).with_reception(reception())
}

/// Svix: the same scheme; its older headers are `svix-*`.
pub fn svix() -> Scheme {
    standard_webhooks()
}

/// Standard Webhooks with the sender's public key, `whpk_…`: `v1a` signatures. Needs the feature `ed25519`.
pub fn standard_webhooks_ed25519() -> Scheme {
    Scheme::signed(rule(Algorithm::Ed25519, KeyEncoding::Whpk, "v1a,")).with_reception(reception())
}

pub(super) fn rule(algorithm: Algorithm, encoding: KeyEncoding, tag: &str) -> SignatureRule {
    SignatureRule {
        algorithm,
        key: KeyRule { encoding, transforms: Vec::new() },
        format: SignatureFormat::Tagged { tag: tag.to_owned() },
        text: SignatureText::Base64,
        signed: vec![Part::Id, Part::Text(".".into()), Part::Timestamp, Part::Text(".".into()), Part::Body],
        id: Some(at(ID)),
        timestamp: Some(TimestampRule::within(300).at(at("header:webhook-timestamp|svix-timestamp"))),
        ..SignatureRule::at(at("header:webhook-signature|svix-signature"))
    }
}

fn reception() -> Reception {
    Reception {
        envelope: Envelope {
            event_id: fields([ID]),
            kind: fields(["json:/type"]),
            occurred_at: Some(Moment::new(at("json:/timestamp"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    }
}

pub(super) const ID: &str = "header:webhook-id|svix-id";
