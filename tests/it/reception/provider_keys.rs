//! Amazon SNS and PayPal: whose certificate, for which topic, and what is asked of whom.
//!
//! The requests and their certificate are those of the published vectors.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use crossdock::inbound::{
    Certificate, Outcome as Found, PayPalVerifier, PreparedScheme, ProviderKeys, Refusal, Request, Scheme,
    SnsMessage, SnsVerifier, SourceSecret, Verifier, presets,
};
use crossdock::ports::{Answer, Exchange, ExchangeRequest, TransportError, TransportErrorKind};
use crossdock::primitives::{EgressPolicy, Secret};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use libtest_mimic::Trial;
use serde_json::Value;

use super::cases::{Outcome, URL, now, words};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule(
            "reception::provider_keys::a_topic_that_is_known_is_taken_and_its_certificate_is_asked_for_once",
            || play(notifications()),
        ),
        rule("reception::provider_keys::foreign_topics_and_hosts_are_refused_unasked", || play(foreign())),
        rule("reception::provider_keys::a_subscription_is_confirmed_at_amazon", || play(subscription())),
        rule("reception::provider_keys::what_cannot_be_had_is_tried_again_later", || play(unavailable())),
        rule("reception::provider_keys::forgers_cannot_make_us_ask_without_end", || play(floods())),
        rule("reception::provider_keys::paypal_is_taken_for_its_webhook_alone", || play(paypal())),
        rule("reception::provider_keys::a_certificate_ends", certificate_ends),
        rule("reception::provider_keys::every_bit_of_an_sns_message_counts", sns_bits),
    ]
}

const TOPIC: &str = "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P";

/// Answers with one text, and remembers what it was asked.
#[derive(Debug)]
struct Site {
    answer: Mutex<Result<Vec<u8>, TransportErrorKind>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Exchange for Site {
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError> {
        self.asked.lock().expect("nobody panics").push(format!(
            "{} {}",
            request.method,
            request.url.as_str()
        ));
        match &*self.answer.lock().expect("nobody panics") {
            Ok(body) => {
                let mut answer = Answer::new(StatusCode::OK);
                answer.body = body.clone().into();
                Ok(answer)
            }
            Err(kind) => Err(TransportError::new(*kind)),
        }
    }
}

impl Site {
    fn new(answer: Result<Vec<u8>, TransportErrorKind>) -> Arc<Self> {
        Arc::new(Self { answer: Mutex::new(answer), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics").clone()
    }
}

/// A request of the vectors' file.
struct Published {
    certificate: Vec<u8>,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn published(name: &str) -> Outcome<Published> {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../../data/signature-vectors.json"))?;
    let vector = vectors.iter().find(|vector| vector["name"] == name).ok_or("a vector of this name")?;
    let mut headers = HeaderMap::new();
    for (name, value) in vector["headers"].as_object().ok_or("headers")? {
        headers.insert(HeaderName::try_from(name)?, HeaderValue::from_str(value.as_str().ok_or("text")?)?);
    }
    Ok(Published {
        certificate: vector["secret"].as_str().ok_or("a certificate")?.into(),
        headers,
        body: vector["body"].as_str().ok_or("a body")?.into(),
    })
}

fn sns(site: &Arc<Site>) -> SnsVerifier {
    SnsVerifier::new(ProviderKeys::new(Arc::clone(site) as Arc<dyn Exchange>, EgressPolicy::default()))
}

async fn ask(
    verifier: &dyn Verifier,
    scheme: &Scheme,
    secret: &str,
    asked: &Published,
    at: DateTime<Utc>,
) -> Outcome<Found> {
    let secret = SourceSecret::new("current", Secret::from(secret));
    let prepared = PreparedScheme::new(scheme, &[secret]).map_err(words)?;
    let request = Request::new(&Method::POST, URL, &asked.headers, &asked.body);
    Ok(prepared.receive_by(verifier, &request, at).await)
}

async fn notifications() -> Outcome {
    let one = published("sns-notification-v1")?;
    let site = Site::new(Ok(one.certificate.clone()));
    let verifier = sns(&site);
    for message in [one, published("sns-notification-v2")?] {
        let Found::Genuine(genuine) = ask(&verifier, &presets::amazon_sns(), TOPIC, &message, now()).await?
        else {
            return Err("a notification is taken".into());
        };
        assert_eq!(genuine.items[0].dedupe_key, "id:4d4dc071-ddbf-465d-bba8-08f81c89da64");
        assert_eq!(genuine.items[0].kind, "Notification");
        assert_eq!(genuine.items[0].tenant_key.as_deref(), Some(TOPIC));
        assert_eq!(genuine.matched_secret.as_deref(), Some("current"));
    }
    let url = "GET https://sns.us-east-2.amazonaws.com/SimpleNotificationService-test.pem";
    assert_eq!(site.asked(), [url]);

    let next_day = now() + TimeDelta::hours(25);
    ask(&verifier, &presets::amazon_sns(), TOPIC, &published("sns-notification-v2")?, next_day).await?;
    assert_eq!(site.asked(), [url, url]);
    Ok(())
}

async fn foreign() -> Outcome {
    let message = published("sns-notification-v2")?;
    let site = Site::new(Ok(message.certificate.clone()));
    let verifier = sns(&site);
    let topic = "arn:aws:sns:us-east-2:666666666666:mine";
    is_refused(ask(&verifier, &presets::amazon_sns(), topic, &message, now()).await?, Refusal::NoMatch)?;
    let elsewhere = published("sns-cert-host-not-aws")?;
    is_refused(ask(&verifier, &presets::amazon_sns(), TOPIC, &elsewhere, now()).await?, Refusal::ForeignKey)?;
    for (body, refusal) in [
        (&b"{}"[..], Refusal::MissingPart),
        (b"", Refusal::UnreadablePart),
        (b"\xff", Refusal::UnreadablePart),
        (br#"{"Type":"Other"}"#, Refusal::MissingPart),
    ] {
        let message = Published { body: body.to_vec(), headers: HeaderMap::new(), certificate: Vec::new() };
        is_refused(ask(&verifier, &presets::amazon_sns(), TOPIC, &message, now()).await?, refusal)?;
    }
    assert!(site.asked().is_empty());
    Ok(())
}

async fn subscription() -> Outcome {
    let message = published("sns-subscription-confirmation-v2")?;
    let site = Site::new(Ok(message.certificate.clone()));
    let verifier = sns(&site);
    let Found::Answer(reply) = ask(&verifier, &presets::amazon_sns(), TOPIC, &message, now()).await? else {
        return Err("a subscription is answered".into());
    };
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        site.asked()[1..],
        ["GET https://sns.us-east-2.amazonaws.com/?Action=ConfirmSubscription&Token=233"]
    );

    // If Amazon does not hear of it, it shall send the request again.
    *site.answer.lock().expect("nobody panics") = Err(TransportErrorKind::TimedOut);
    let found = ask(&verifier, &presets::amazon_sns(), TOPIC, &message, now()).await?;
    is_refused(found, Refusal::KeyUnavailable)?;

    // A message that is not signed confirms nothing.
    let asked = site.asked().len();
    let mut forged = published("sns-subscription-confirmation-v2")?;
    forged.body = String::from_utf8(forged.body)?.replace("Token=233", "Token=234").into_bytes();
    is_refused(ask(&verifier, &presets::amazon_sns(), TOPIC, &forged, now()).await?, Refusal::NoMatch)?;
    assert_eq!(site.asked().len(), asked);
    Ok(())
}

async fn unavailable() -> Outcome {
    let message = published("sns-notification-v2")?;
    for answer in [Err(TransportErrorKind::Dns), Ok(b"not a certificate".to_vec()), Ok(Vec::new())] {
        let site = Site::new(answer);
        let verifier = sns(&site);
        let at = |seconds| now() + TimeDelta::seconds(seconds);
        for seconds in [0, 1, 30] {
            let found = ask(&verifier, &presets::amazon_sns(), TOPIC, &message, at(seconds)).await?;
            is_refused(found, Refusal::KeyUnavailable)?;
        }
        assert_eq!(site.asked().len(), 1);

        *site.answer.lock().expect("nobody panics") = Ok(message.certificate.clone());
        let found = ask(&verifier, &presets::amazon_sns(), TOPIC, &message, at(31)).await?;
        assert!(matches!(found, Found::Genuine(_)), "{found:?}");
    }
    Ok(())
}

async fn floods() -> Outcome {
    let message = published("sns-notification-v2")?;
    let site = Site::new(Err(TransportErrorKind::Unreachable));
    let verifier = sns(&site);
    let text = String::from_utf8(message.body.clone())?;
    for number in 0..200 {
        let url = format!("SimpleNotificationService-{number}.pem");
        let forged = Published {
            body: text.replace("SimpleNotificationService-test.pem", &url).into_bytes(),
            headers: HeaderMap::new(),
            certificate: Vec::new(),
        };
        is_refused(
            ask(&verifier, &presets::amazon_sns(), TOPIC, &forged, now()).await?,
            Refusal::KeyUnavailable,
        )?;
    }
    assert_eq!(site.asked().len(), 30);
    Ok(())
}

async fn paypal() -> Outcome {
    let genuine = published("paypal-rsa")?;
    let site = Site::new(Ok(genuine.certificate.clone()));
    let verifier = PayPalVerifier::new(ProviderKeys::new(
        Arc::clone(&site) as Arc<dyn Exchange>,
        EgressPolicy::default(),
    ));
    let webhook = "9XL90610J3647323C";
    let Found::Genuine(found) = ask(&verifier, &presets::paypal(), webhook, &genuine, now()).await? else {
        return Err("it is taken".into());
    };
    assert_eq!(found.items[0].kind, "PAYMENT.SALE.COMPLETED");
    let foreign = ask(&verifier, &presets::paypal(), "9XL90610J3647323D", &genuine, now()).await?;
    is_refused(foreign, Refusal::NoMatch)?;

    let asked = site.asked().len();
    for url in [
        "https://api.paypal.com.evil.example/v1/notifications/certs/x",
        "https://evil.example/v1/notifications/certs/x",
        "http://api.paypal.com/v1/notifications/certs/x",
        "https://api.paypal.com:8443/v1/notifications/certs/x",
        "https://api.paypal.com/v1/notifications/certs/../../../evil",
        "https://api.paypal.com@evil.example/v1/notifications/certs/x",
        "nonsense",
    ] {
        let mut forged = published("paypal-rsa")?;
        forged.headers.insert("paypal-cert-url", HeaderValue::from_str(url)?);
        is_refused(ask(&verifier, &presets::paypal(), webhook, &forged, now()).await?, Refusal::ForeignKey)?;
    }
    for (name, value, refusal) in [
        ("paypal-transmission-id", "d938e770-8046-11e6-8103-6b62a8a99ac5", Refusal::NoMatch),
        ("paypal-transmission-time", "2016-09-21T22:00:47Z", Refusal::NoMatch),
        ("paypal-transmission-time", "yesterday", Refusal::InvalidTimestamp),
        ("paypal-transmission-time", "", Refusal::MissingTimestamp),
        ("paypal-transmission-id", "", Refusal::MissingPart),
        ("paypal-transmission-sig", "", Refusal::MissingSignature),
        ("paypal-transmission-sig", "%", Refusal::MalformedSignature),
        ("paypal-auth-algo", "SHA1withRSA", Refusal::MalformedSignature),
        ("paypal-cert-url", "", Refusal::MissingPart),
    ] {
        let mut forged = published("paypal-rsa")?;
        forged.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        is_refused(ask(&verifier, &presets::paypal(), webhook, &forged, now()).await?, refusal)?;
    }
    let mut forged = published("paypal-rsa")?;
    forged.body[10] ^= 1;
    is_refused(ask(&verifier, &presets::paypal(), webhook, &forged, now()).await?, Refusal::NoMatch)?;
    let mut twice = published("paypal-rsa")?;
    let value = twice.headers["paypal-transmission-sig"].clone();
    twice.headers.append("paypal-transmission-sig", value);
    is_refused(ask(&verifier, &presets::paypal(), webhook, &twice, now()).await?, Refusal::RepeatedHeader)?;
    assert_eq!(site.asked().len(), asked);
    Ok(())
}

fn certificate_ends() -> Outcome {
    let message = published("sns-notification-v2")?;
    let certificate = Certificate::from_pem(&message.certificate)?;
    let at = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());

    let read = SnsMessage::read(&message.body)?;
    assert!(read.verify(&certificate, at("2039-12-31T23:59:59Z")?).is_ok());
    assert_eq!(read.verify(&certificate, at("2040-01-01T00:00:01Z")?).map(|_| ()), Err(Refusal::ForeignKey));

    // No beginning of a certificate is one, and no change of a byte is a panic.
    for length in (0..message.certificate.len()).step_by(7) {
        assert!(Certificate::from_pem(&message.certificate[..length]).is_err());
    }
    for index in 0..message.certificate.len() {
        let mut changed = message.certificate.clone();
        changed[index] ^= 1;
        let _ = Certificate::from_pem(&changed).map(|certificate| read.verify(&certificate, now()));
    }
    Ok(())
}

fn sns_bits() -> Outcome {
    for name in ["sns-notification-v1", "sns-notification-v2"] {
        let message = published(name)?;
        let certificate = Certificate::from_pem(&message.certificate)?;
        let text = String::from_utf8(message.body.clone())?;
        let end = text.find("\"SigningCertURL\"").ok_or("the signed part")?;
        let mut changed = 0;
        for index in 0..end {
            // The space between two members is nobody's.
            if text.as_bytes()[index] == b' ' {
                continue;
            }
            let mut forged = message.body.clone();
            forged[index] ^= 1;
            let verdict = SnsMessage::read(&forged).and_then(|message| message.verify(&certificate, now()));
            assert!(verdict.is_err(), "{name}: {index}");
            changed += 1;
        }
        assert!(changed > 100, "{name}");
    }
    Ok(())
}

fn is_refused(found: Found, refusal: Refusal) -> Outcome {
    match found {
        Found::Refused(same) if same == refusal => Ok(()),
        other => Err(format!("expected {refusal}, found {other:?}").into()),
    }
}

fn play(story: impl Future<Output = Outcome>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    runtime.block_on(story).map_err(|error| error.to_string())
}
