//! Shipping: EasyPost, Shippo, Sendcloud.

use crate::inbound::presets::payments::stamped;
use crate::inbound::presets::{at, fields};
use crate::inbound::scheme::model::{
    KeyEncoding, KeyRule, KeyTransform, Scheme, SignatureFormat, SignatureRule, Unit,
};
use crate::inbound::scheme::reception::{Envelope, Moment, Reception};

/// EasyPost: `x-hmac-signature: hmac-sha256-hex=…`; the secret is normalised (NFKD) first.
pub fn easypost() -> Scheme {
    Scheme::signed(SignatureRule {
        key: KeyRule { encoding: KeyEncoding::Utf8, transforms: vec![KeyTransform::Nfkd] },
        format: SignatureFormat::Plain { prefix: "hmac-sha256-hex=".into() },
        ..SignatureRule::at(at("header:x-hmac-signature"))
    })
    .with_reception(Reception {
        envelope: Envelope {
            event_id: fields(["json:/id"]),
            kind: fields(["json:/description"]),
            tenant_key: Some(at("json:/user_id")),
            occurred_at: Some(Moment::new(at("json:/created_at"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Shippo: `shippo-auth-signature: t=…,v1=…`.
pub fn shippo() -> Scheme {
    Scheme::signed(stamped("header:shippo-auth-signature")).with_reception(Reception {
        envelope: Envelope { kind: fields(["json:/event"]), ..Envelope::default() },
        ..Reception::default()
    })
}

/// Sendcloud: the body's signature in hex.
pub fn sendcloud() -> Scheme {
    Scheme::signed(SignatureRule::at(at("header:sendcloud-signature"))).with_reception(Reception {
        envelope: Envelope {
            kind: fields(["json:/action"]),
            occurred_at: Some(Moment::new(at("json:/timestamp"), Unit::Milliseconds)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}
