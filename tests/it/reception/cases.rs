//! One case per preset: a secret and a body as the provider would have them.

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use crossdock::Problem;
use crossdock::inbound::{
    Check, Field, PreparedScheme, Scheme, SignatureRule, SignedRequest, SourceSecret, TestSigner, presets,
};
use crossdock::primitives::Secret;
use http::HeaderName;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) const URL: &str = "https://app.example.com/hooks/7f3a9c";

/// A preset with everything that a test of it needs.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) scheme: Scheme,
    /// What the provider signs with.
    pub(crate) signing: SourceSecret,
    /// What the source is given.
    pub(crate) secret: SourceSecret,
    pub(crate) body: &'static str,
}

/// All presets that are data.
pub(crate) fn cases() -> Outcome<Vec<Case>> {
    presets::all().into_iter().map(|(name, scheme)| case(name, scheme)).collect()
}

pub(crate) fn case_of(name: &str) -> Outcome<Case> {
    cases()?.into_iter().find(|case| case.name == name).ok_or_else(|| format!("no preset `{name}`").into())
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default()
}

pub(crate) fn words(problems: Vec<Problem>) -> Box<dyn Error> {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ").into()
}

impl Case {
    pub(crate) fn prepared(&self) -> Outcome<PreparedScheme> {
        self.prepared_with(std::slice::from_ref(&self.secret))
    }

    pub(crate) fn prepared_with(&self, secrets: &[SourceSecret]) -> Outcome<PreparedScheme> {
        PreparedScheme::new(&self.scheme, secrets).map_err(words)
    }

    pub(crate) fn signed(&self) -> Outcome<SignedRequest> {
        self.signed_body(self.body.as_bytes())
    }

    pub(crate) fn signed_body(&self, body: &[u8]) -> Outcome<SignedRequest> {
        let signer = TestSigner::new(&self.scheme, &self.signing).map_err(words)?;
        signer.sign(URL, body, now()).map_err(|problem| problem.to_string().into())
    }

    pub(crate) fn rule(&self) -> Outcome<&SignatureRule> {
        match &self.scheme.check {
            Check::Signature(rule) => Ok(rule),
            _ => Err("the check is data".into()),
        }
    }

    /// The header that holds the signature; `None` where it stands in the body.
    pub(crate) fn signature_header(&self) -> Outcome<Option<HeaderName>> {
        Ok(header_of(&self.rule()?.at))
    }
}

pub(crate) fn header_of(field: &Field) -> Option<HeaderName> {
    match field {
        Field::Header(names) => names.first().cloned(),
        _ => None,
    }
}

fn case(name: &'static str, scheme: Scheme) -> Outcome<Case> {
    let named = |text: &str| SourceSecret::new("current", Secret::from(text));
    let (signing, body) = match name {
        "adyen" => (HEX_KEY, ADYEN),
        "adyen_header" => (HEX_KEY, r#"{"type":"merchant.created","data":{"balancePlatform":"BP"}}"#),
        "discord" => {
            (HEX_KEY, r#"{"version":1,"application_id":"12","type":1,"event":{"type":"ENTITLEMENT_CREATE"}}"#)
        }
        "hubspot" | "hubspot_v1" | "hubspot_v2" => ("client-secret", HUBSPOT),
        "linear" => {
            ("lin_wh_x", r#"{"action":"create","type":"Comment","webhookTimestamp":0,"organizationId":"o1"}"#)
        }
        "mailgun" => ("key", r#"{"signature":{"token":"a8ce0edb"},"event-data":{"event":"opened"}}"#),
        "meta" => (
            "app-secret",
            r#"{"object":"page","entry":[{"id":"9","time":1700000000,"changes":[{"field":"feed"}]}]}"#,
        ),
        "microsoft_graph" => {
            ("client-state", r#"{"value":[{"id":"n1","changeType":"created","tenantId":"t1"}]}"#)
        }
        "quickbooks" => {
            ("verifier-token", r#"[{"id":"q1","type":"qbo.invoice.created.v1","intuitaccountid":"310687"}]"#)
        }
        "standard_webhooks" | "svix" => ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", PLAIN),
        "standard_webhooks_ed25519" => ("whsk_RHgt9U3v8A6rxpDJM+seAMcf/WjZaa14wL7v36BWoFY=", PLAIN),
        "xero" => (
            "key",
            r#"{"events":[{"resourceId":"r1","eventCategory":"INVOICE","eventType":"UPDATE","tenantId":"x1"}]}"#,
        ),
        "easypost" => ("s\u{e9}cret", r#"{"id":"evt_1","description":"tracker.updated","user_id":"user_1"}"#),
        "woocommerce" => ("a&amp;b", PLAIN),
        _ => ("hush-hush", PLAIN),
    };
    let signing = named(signing);
    let public = TestSigner::new(&scheme, &signing).map_err(words)?.public_key();
    let secret = match (public, name) {
        (None, _) => signing.clone(),
        (Some(key), "discord") => named(&hex::encode(key)),
        (Some(key), _) => named(&format!("whpk_{}", STANDARD.encode(key))),
    };
    Ok(Case { name, scheme, signing, secret, body })
}

const HEX_KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
const PLAIN: &str = r#"{"id":"evt_1","type":"invoice.paid","amount":9007199254740993}"#;
const HUBSPOT: &str = r#"[{"eventId":1,"subscriptionId":2,"portalId":3,"occurredAt":1700000000000,"subscriptionType":"contact.creation"},
{"eventId":2,"subscriptionId":2,"portalId":3,"occurredAt":1700000000001,"subscriptionType":"contact.deletion"}]"#;
const ADYEN: &str = r#"{"live":"false","notificationItems":[
{"NotificationRequestItem":{"pspReference":"791","merchantReference":"m-1","merchantAccountCode":"Acme","amount":{"currency":"EUR","value":1130},"eventCode":"AUTHORISATION","success":"true"}},
{"NotificationRequestItem":{"pspReference":"792","originalReference":"791","merchantReference":"m-1","merchantAccountCode":"Acme","amount":{"currency":"EUR","value":1130},"eventCode":"CAPTURE","success":"true"}}]}"#;
