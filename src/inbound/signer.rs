//! Signs as a provider does, for the tests of hosts.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::error::Problem;
use crate::inbound::check::signature::message;
use crate::inbound::check::{SigningKey, key_bytes};
use crate::inbound::read::places::Places;
use crate::inbound::request::{Request, SourceSecret};
use crate::inbound::scheme::field::{Field, WILDCARD};
use crate::inbound::scheme::model::{Algorithm, Check, Scheme, SignatureFormat, SignatureRule, Unit};

/// Signs requests as the provider of a scheme does, so that a host can test its handlers and its wiring.
///
/// For public-key schemes it is given the private key: a seed, or seed and public key, written as the scheme writes keys.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::inbound::{Outcome, PreparedScheme, SourceSecret, TestSigner, presets};
/// use crossdock::primitives::Secret;
///
/// let words = |problems: Vec<crossdock::Problem>| problems[0].to_string();
/// let secret = SourceSecret::new("test", Secret::from("whsec_test"));
/// let stripe = PreparedScheme::new(&presets::stripe(), std::slice::from_ref(&secret)).map_err(words)?;
/// let signer = TestSigner::new(&presets::stripe(), &secret).map_err(words)?;
/// let now = DateTime::UNIX_EPOCH;
///
/// let body = br#"{"id":"evt_1","type":"invoice.paid"}"#;
/// let signed = signer.sign("https://app.example.com/hooks/stripe", body, now).map_err(|problem| problem.to_string())?;
///
/// let Outcome::Genuine(genuine) = stripe.receive(&signed.request(), now) else {
///     return Err("it is genuine".into());
/// };
/// assert_eq!(genuine.items[0].kind, "invoice.paid");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TestSigner {
    rule: SignatureRule,
    key: SigningKey,
    id: String,
}

/// A request as the provider would send it; more headers can be added.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedRequest {
    /// The method; POST.
    pub method: Method,
    /// The URL that was signed, if the scheme signs it.
    pub url: String,
    /// The headers of the signature.
    pub headers: HeaderMap,
    /// The body; schemes whose signature stands in the body have changed it.
    pub body: Vec<u8>,
}

impl TestSigner {
    /// A signer of this scheme.
    ///
    /// # Errors
    /// What is wrong with the scheme or the key. A scheme whose check is code has signers of its own.
    pub fn new(scheme: &Scheme, secret: &SourceSecret) -> Result<Self, Vec<Problem>> {
        let mut problems = scheme.problems();
        let Check::Signature(rule) = &scheme.check else {
            problems.push(Problem::new(
                "check",
                "a verifier in code has a signer of its own",
                "use that one",
            ));
            return Err(problems);
        };
        let key = key_bytes(secret.secret(), &rule.key).and_then(|key| SigningKey::new(rule.algorithm, &key));
        match key {
            Ok(key) if problems.is_empty() => {
                Ok(Self { rule: (**rule).clone(), key, id: "msg_test".to_owned() })
            }
            Ok(_) => Err(problems),
            Err(refusal) => {
                problems.push(refusal.problem(secret.name()));
                Err(problems)
            }
        }
    }

    /// Signs messages of this id, where the scheme signs one.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The public key of a private one, as a source would be given it; `None` for shared secrets.
    pub fn public_key(&self) -> Option<[u8; 32]> {
        match &self.key {
            SigningKey::Ed25519(key) => Some(key.public_key()),
            _ => None,
        }
    }

    /// Signs a request to this URL at this time.
    ///
    /// # Errors
    /// What the body lacks, where parts of it are signed.
    pub fn sign(&self, url: &str, body: &[u8], at: DateTime<Utc>) -> Result<SignedRequest, Problem> {
        let mut signed = SignedRequest {
            method: Method::POST,
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: body.to_vec(),
        };
        let time = self.rule.timestamp.as_ref().map(|rule| match rule.unit {
            Unit::Seconds => at.timestamp().to_string(),
            Unit::Milliseconds => at.timestamp_millis().to_string(),
            Unit::Rfc3339 => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        });
        if let Some(Field::Header(names)) = &self.rule.id {
            signed.headers.insert(names[0].clone(), header(&self.id)?);
        }
        let place = self.rule.timestamp.as_ref().and_then(|rule| rule.at.as_ref());
        if let (Some(Field::Header(names)), Some(time)) = (place, &time) {
            signed.headers.insert(names[0].clone(), header(time)?);
        }
        let changes_body = |field: &Field| matches!(field, Field::Json(_));
        if changes_body(&self.rule.at) || place.is_some_and(changes_body) {
            signed.body = self.sign_within(&signed, time.as_deref())?;
        }
        match &self.rule.at {
            Field::Header(names) => {
                let signature = self.signature(&signed.request(), None, time.as_deref())?;
                signed.headers.insert(names[0].clone(), header(&signature)?);
            }
            Field::Numbered(front) => {
                let signature = self.signature(&signed.request(), None, time.as_deref())?;
                let name =
                    HeaderName::from_bytes(format!("{front}1").as_bytes()).map_err(|_| unable("header"))?;
                signed.headers.insert(name, header(&signature)?);
            }
            Field::Json(_) => {}
            _ => return Err(unable("at")),
        }
        Ok(signed)
    }

    /// The body with time and signature in their places.
    fn sign_within(&self, signed: &SignedRequest, time: Option<&str>) -> Result<Vec<u8>, Problem> {
        let mut document: Value = serde_json::from_slice(&signed.body).map_err(|_| unable("body"))?;
        let ways: Vec<&[String]> = match &self.rule.each {
            Some(each) => each.tokens().split(|step| step == WILDCARD).collect(),
            None => vec![&[]],
        };
        self.sign_elements(signed, &mut document, &ways, time)?;
        serde_json::to_vec(&document).map_err(|_| unable("body"))
    }

    fn sign_elements(
        &self,
        signed: &SignedRequest,
        value: &mut Value,
        ways: &[&[String]],
        time: Option<&str>,
    ) -> Result<(), Problem> {
        let Some((way, rest)) = ways.split_first() else {
            return Ok(());
        };
        let mut value = value;
        for step in *way {
            value = value.get_mut(step.as_str()).ok_or_else(|| unable("each"))?;
        }
        if !rest.is_empty() {
            let elements = value.as_array_mut().ok_or_else(|| unable("each"))?;
            return elements
                .iter_mut()
                .try_for_each(|element| self.sign_elements(signed, element, rest, time));
        }
        let place = self.rule.timestamp.as_ref().and_then(|rule| rule.at.as_ref());
        if let (Some(Field::Json(pointer)), Some(time)) = (place, time) {
            let number = time.parse::<i64>().map_or_else(|_| Value::from(time), Value::from);
            put(value, pointer.tokens(), number)?;
        }
        if let Field::Json(pointer) = &self.rule.at {
            let element = value.to_string();
            let signature = self.signature(&signed.request(), Some(&element), time)?;
            put(value, pointer.tokens(), signature.into())?;
        }
        Ok(())
    }

    /// The signature of a request or of an element of it, as it is written in its place.
    fn signature(
        &self,
        request: &Request<'_>,
        element: Option<&str>,
        time: Option<&str>,
    ) -> Result<String, Problem> {
        let places = Places::of(request);
        let places = match element {
            Some(element) => places.within(element),
            None => places,
        };
        let is_token = matches!(self.rule.algorithm, Algorithm::StaticToken | Algorithm::BasicAuth);
        let message: Vec<Cow<'_, [u8]>> = if is_token {
            Vec::new()
        } else {
            message(&self.rule, &places, time.map(str::as_bytes))
                .map_err(|refusal| Problem::new("body", refusal.to_string(), "add what the scheme signs"))?
        };
        let text = self.key.sign(&message, self.rule.text);
        let text = match self.rule.algorithm {
            Algorithm::BasicAuth => format!("Basic {}", STANDARD.encode(text)),
            _ => String::from_utf8(text).map_err(|_| unable("secret"))?,
        };
        let time = time.unwrap_or_default();
        Ok(match &self.rule.format {
            SignatureFormat::Plain { prefix } => format!("{prefix}{text}"),
            SignatureFormat::KeyValue { separator, signature, timestamp: Some(name) } => {
                format!("{name}={time}{separator}{signature}={text}")
            }
            SignatureFormat::KeyValue { signature, .. } => format!("{signature}={text}"),
            SignatureFormat::Tagged { tag } => format!("{tag}{text}"),
            SignatureFormat::Positional { separator, signature, timestamp } => {
                let last = timestamp.map_or(*signature, |timestamp| timestamp.max(*signature));
                let item = |index| match index {
                    index if index == *signature => text.as_str(),
                    index if Some(index) == *timestamp => time,
                    _ => "-",
                };
                (0..=last).map(item).collect::<Vec<_>>().join(&separator.to_string())
            }
        })
    }
}

impl SignedRequest {
    /// A POST with these headers and this body.
    pub fn new(url: impl Into<String>, headers: HeaderMap, body: impl Into<Vec<u8>>) -> Self {
        Self { method: Method::POST, url: url.into(), headers, body: body.into() }
    }

    /// The request as a source receives it.
    pub fn request(&self) -> Request<'_> {
        Request::new(&self.method, &self.url, &self.headers, &self.body)
    }
}

/// Puts a value there, and objects on the way.
fn put(mut value: &mut Value, steps: &[String], new: Value) -> Result<(), Problem> {
    for step in steps {
        if value.is_null() {
            *value = Value::Object(serde_json::Map::new());
        }
        value =
            value.as_object_mut().ok_or_else(|| unable("body"))?.entry(step.as_str()).or_insert(Value::Null);
    }
    *value = new;
    Ok(())
}

fn header(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| unable("secret"))
}

fn unable(field: &str) -> Problem {
    Problem::new(field, "the signature has its place in the request", "use a body as the provider sends it")
}
