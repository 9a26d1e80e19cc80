//! Providers whose check is code: Twilio, Amazon SNS, PayPal. What is data about them is here.

use http::Method;

use crate::inbound::presets::{at, fields};
use crate::inbound::scheme::model::{Scheme, Unit};
use crate::inbound::scheme::reception::{Envelope, Moment, Reception};

/// Twilio, checked by the verifier `twilio`.
pub fn twilio() -> Scheme {
    Scheme::by_code("twilio").with_reception(Reception {
        // By GET everything would stand in the query, which is not kept: 405 instead of an acknowledged loss.
        methods: vec![Method::POST],
        envelope: Envelope {
            event_id: fields(["header:i-twilio-idempotency-token"]),
            kind: fields(["form:MessageStatus", "form:CallStatus"]),
            tenant_key: Some(at("form:AccountSid")),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// Amazon SNS, checked by the verifier `amazon_sns`, which also confirms subscriptions.
pub fn amazon_sns() -> Scheme {
    Scheme::by_code("amazon_sns").with_reception(Reception {
        envelope: Envelope {
            event_id: fields(["json:/MessageId"]),
            kind: fields(["json:/Type"]),
            tenant_key: Some(at("json:/TopicArn")),
            occurred_at: Some(Moment::new(at("json:/Timestamp"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}

/// PayPal, checked by the verifier `paypal`.
pub fn paypal() -> Scheme {
    Scheme::by_code("paypal").with_reception(Reception {
        envelope: Envelope {
            event_id: fields(["json:/id"]),
            kind: fields(["json:/event_type"]),
            occurred_at: Some(Moment::new(at("json:/create_time"), Unit::Rfc3339)),
            ..Envelope::default()
        },
        ..Reception::default()
    })
}
