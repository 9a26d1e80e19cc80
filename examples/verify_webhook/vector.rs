//! One line of the vectors' file: a request, the secret, and how its provider is called.

use std::error::Error;

use chrono::{DateTime, Utc};
use crossdock::inbound::{
    Algorithm, Certificate, Check, Part, PayPalVerifier, PreparedScheme, Refusal, Request, Scheme,
    SignatureText, SnsMessage, SourceSecret, TwilioVerifier, Verified, presets,
};
use crossdock::primitives::Secret;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

/// A request and what is needed to check it.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the trials that play the whole file read more of it than the example")]
pub(crate) struct Vector {
    /// What it is called.
    #[serde(default)]
    pub(crate) name: String,
    provider: String,
    #[serde(default)]
    scheme: Option<NameOrScheme>,
    secret: OneOrMany,
    #[serde(default)]
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: serde_json::Map<String, serde_json::Value>,
    body: String,
    #[serde(default)]
    now: Option<i64>,
    #[serde(default)]
    tolerance: Option<u64>,
    #[serde(default)]
    params: serde_json::Map<String, serde_json::Value>,
    /// Whether it is genuine; given in the file of vectors only.
    #[serde(default)]
    pub(crate) valid: Option<bool>,
}

/// The name of a scheme, or a scheme as data.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum NameOrScheme {
    Name(String),
    Data(Box<Scheme>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// What the check says.
#[derive(Debug)]
#[allow(dead_code, reason = "the trials print what the example shows")]
pub(crate) enum Verdict {
    /// It is genuine.
    Valid(Verified),
    /// It is not to be trusted.
    Invalid(Refusal),
    /// Nobody here knows this scheme.
    Unsupported,
}

impl Vector {
    /// Checks it at its own time: where there is none, at the time that it carries.
    pub(crate) fn verdict(&self) -> Result<Verdict, Box<dyn Error>> {
        let method: Method = self.method.as_deref().unwrap_or("POST").parse()?;
        let headers = self.headers()?;
        let request = Request::new(&method, &self.url, &headers, self.body.as_bytes());
        let now = self
            .now
            .and_then(|now| DateTime::from_timestamp(now, 0))
            .unwrap_or_else(|| own_time(&headers, &self.body));
        Ok(match self.check(&request, now)? {
            Some(Ok(verified)) => Verdict::Valid(verified),
            Some(Err(refusal)) => Verdict::Invalid(refusal),
            None => Verdict::Unsupported,
        })
    }

    fn check(
        &self,
        request: &Request<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<Result<Verified, Refusal>>, Box<dyn Error>> {
        Ok(match self.provider.as_str() {
            "twilio" => Some(TwilioVerifier::check(request, &self.secrets(), now)),
            // Their vectors hold the certificate in place of a secret: nothing is fetched.
            "amazon-sns" => {
                let certificate = self.certificate()?;
                Some(SnsMessage::read(request.body).and_then(|message| message.verify(&certificate, now)))
            }
            "paypal" => {
                let webhook = self.params.get("webhook_id").and_then(|id| id.as_str()).unwrap_or_default();
                let webhooks = [SourceSecret::new("webhook", Secret::from(webhook))];
                Some(PayPalVerifier::check(request, &webhooks, &self.certificate()?, now))
            }
            _ => match self.scheme() {
                Some(scheme) => {
                    let prepared = PreparedScheme::new(&scheme, &self.secrets()).map_err(|problems| {
                        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
                    })?;
                    Some(prepared.verify(request, now))
                }
                None => None,
            },
        })
    }

    fn certificate(&self) -> Result<Certificate, Box<dyn Error>> {
        let secrets = self.secrets();
        let pem = secrets.first().ok_or("a certificate")?.secret().expose();
        Ok(Certificate::from_pem(pem)?)
    }

    /// The scheme, with the tolerance that the vector asks for.
    fn scheme(&self) -> Option<Scheme> {
        let name = match &self.scheme {
            Some(NameOrScheme::Data(scheme)) => return Some((**scheme).clone()),
            Some(NameOrScheme::Name(name)) => name.as_str(),
            None => "",
        };
        let mut scheme = self.preset(name)?;
        if let Check::Signature(rule) = &mut scheme.check
            && let (Some(timestamp), Some(tolerance)) = (&mut rule.timestamp, self.tolerance)
        {
            timestamp.past = Some(tolerance);
            timestamp.future = Some(tolerance);
        }
        Some(scheme)
    }

    fn preset(&self, scheme: &str) -> Option<Scheme> {
        Some(match (self.provider.as_str(), scheme) {
            ("standard-webhooks", "standard-webhooks-v1a") => presets::standard_webhooks_ed25519(),
            ("standard-webhooks", _) => presets::standard_webhooks(),
            ("hubspot", "hubspot-v1") => presets::hubspot_v1(),
            ("hubspot", "hubspot-v2") => presets::hubspot_v2(),
            ("adyen", "adyen-header") => presets::adyen_header(),
            ("zendesk", "custom:base64(hmac-sha256(body + timestamp))") => {
                let mut scheme = presets::zendesk();
                if let Check::Signature(rule) = &mut scheme.check {
                    rule.signed = vec![Part::Body, Part::Timestamp];
                }
                scheme
            }
            ("convoy", name) => {
                let algorithm =
                    if name.contains("sha512") { Algorithm::HmacSha512 } else { Algorithm::HmacSha256 };
                let text = if name.ends_with("base64") { SignatureText::Base64 } else { SignatureText::Hex };
                if name.contains("advanced") {
                    presets::convoy_advanced(algorithm, text)
                } else {
                    presets::convoy_simple(algorithm, text)
                }
            }
            (provider, _) => presets::by_name(&provider.replace('-', "_"))?,
        })
    }

    /// `raw:` and `hex:` before a secret say how the file writes it, not what it is.
    fn secrets(&self) -> Vec<SourceSecret> {
        let texts = match &self.secret {
            OneOrMany::One(text) => std::slice::from_ref(text),
            OneOrMany::Many(texts) => texts,
        };
        let named = texts.iter().enumerate().map(|(index, text)| {
            let text = text.strip_prefix("raw:").or_else(|| text.strip_prefix("hex:")).unwrap_or(text);
            SourceSecret::new(format!("secret {}", index + 1), Secret::from(text))
        });
        named.collect()
    }

    fn headers(&self) -> Result<HeaderMap, Box<dyn Error>> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let texts = match value {
                serde_json::Value::Array(several) => several.iter().collect(),
                one => vec![one],
            };
            for text in texts {
                let text = text.as_str().ok_or("a header is text")?;
                headers.append(HeaderName::try_from(name)?, HeaderValue::from_bytes(text.as_bytes())?);
            }
        }
        Ok(headers)
    }
}

/// The time that the request carries, in a header or as SNS does; 1970 where there is none, which no scheme without a time
/// minds.
fn own_time(headers: &HeaderMap, body: &str) -> DateTime<Utc> {
    let read = |text: &str| {
        let seconds = || DateTime::from_timestamp(text.parse().ok()?, 0);
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()).or_else(seconds)
    };
    let named = headers.iter().filter(|(name, _)| name.as_str().contains("time"));
    let in_header = named.filter_map(|(_, value)| value.to_str().ok()).find_map(read);
    let in_body = || {
        let body: serde_json::Value = serde_json::from_str(body).ok()?;
        read(body.get("Timestamp")?.as_str()?)
    };
    in_header.or_else(in_body).unwrap_or(DateTime::UNIX_EPOCH)
}
