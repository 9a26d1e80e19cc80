//! Shops: Shopify, Square, WooCommerce, BigCommerce.

use crate::inbound::presets::standard;
use crate::inbound::presets::{at, fields};
use crate::inbound::scheme::field::Part;
use crate::inbound::scheme::model::{
    Algorithm, KeyEncoding, KeyRule, KeyTransform, Scheme, SignatureRule, SignatureText, Unit,
};
use crate::inbound::scheme::reception::{
    Condition, Envelope, FixedAnswer, Handshake, Moment, Reception, Trust,
};

/// Shopify: the body's signature; id, topic and shop stand in headers that are not signed.
pub fn shopify() -> Scheme {
    let topic = "header:x-shopify-topic|shopify-topic";
    Scheme::signed(base64_of_body("header:x-shopify-hmac-sha256|shopify-hmac-sha256")).with_reception(
        Reception {
            envelope: Envelope {
                // One action of a merchant causes several topics, all with the same event id.
                event_id: fields(["header:x-shopify-event-id|shopify-event-id", topic]),
                delivery_id: Some(at("header:x-shopify-webhook-id|shopify-webhook-id")),
                kind: fields([topic]),
                tenant_key: Some(at("header:x-shopify-shop-domain|shopify-shop-domain")),
                occurred_at: Some(Moment::new(
                    at("header:x-shopify-triggered-at|shopify-triggered-at"),
                    Unit::Rfc3339,
                )),
                ..Envelope::default()
            },
            ..Reception::default()
        },
    )
}

/// Square: the signature of the subscribed URL and the body, without anything between.
pub fn square() -> Scheme {
    Scheme::signed(SignatureRule {
        signed: vec![Part::Url, Part::Body],
        ..base64_of_body("header:x-square-hmacsha256-signature")
    })
    .with_reception(Reception {
        envelope: Envelope {
            event_id: fields(["json:/event_id"]),
            kind: fields(["json:/type"]),
            tenant_key: Some(at("json:/merchant_id")),
            occurred_at: Some(Moment::new(at("json:/created_at"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// WooCommerce: the body's signature; an unsigned ping when the webhook is saved.
///
/// Its delivery ids are made of the second and the webhook, so two events of one second share one: events are told apart
/// by topic and body.
pub fn woocommerce() -> Scheme {
    let signature = "header:x-wc-webhook-signature";
    Scheme::signed(SignatureRule {
        key: KeyRule { encoding: KeyEncoding::Utf8, transforms: vec![KeyTransform::HtmlEntities] },
        ..base64_of_body(signature)
    })
    .with_reception(Reception {
        handshakes: vec![Handshake::Ping {
            when: vec![Condition::absent(at(signature)), Condition::present(at("form:webhook_id"))],
            answer: FixedAnswer::status(200),
            trust: Trust::Unsigned,
        }],
        envelope: Envelope {
            kind: fields(["header:x-wc-webhook-topic"]),
            tenant_key: Some(at("header:x-wc-webhook-source")),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// BigCommerce: Standard Webhooks, keyed with the app's client secret as it is.
pub fn bigcommerce() -> Scheme {
    Scheme::signed(standard::rule(Algorithm::HmacSha256, KeyEncoding::Utf8, "v1,")).with_reception(
        Reception {
            envelope: Envelope {
                event_id: fields([standard::ID]),
                kind: fields(["json:/scope"]),
                tenant_key: Some(at("json:/producer")),
                occurred_at: Some(Moment::new(at("json:/created_at"), Unit::Seconds)),
                ..Envelope::default()
            },
            ..Reception::default()
        },
    )
}

fn base64_of_body(header: &str) -> SignatureRule {
    SignatureRule { text: SignatureText::Base64, ..SignatureRule::at(at(header)) }
}
