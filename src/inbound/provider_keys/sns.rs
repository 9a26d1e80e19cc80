//! Amazon SNS: which lines are signed, by whose certificate, for which topic.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::{Method, StatusCode};
use subtle::ConstantTimeEq;
use url::Url;

use crate::inbound::check::digest_of;
use crate::inbound::outcome::{Refusal, Reply, Verified};
use crate::inbound::provider_keys::certificate::{Certificate, Digest};
use crate::inbound::provider_keys::fetch::ProviderKeys;
use crate::inbound::read::json;
use crate::inbound::request::{Request, SourceSecret};
use crate::inbound::verifier::Verifier;

/// Checks messages of Amazon SNS, and confirms subscriptions; goes with
/// [`presets::amazon_sns`](crate::inbound::presets::amazon_sns).
///
/// Everybody with an account there can have messages signed, so the source's secrets are the ARNs of the topics that it
/// takes. A subscription to one of them is confirmed at once, by a request to Amazon's own hosts.
///
/// ```
/// # #[derive(Debug)] struct NoNetwork;
/// # #[async_trait::async_trait]
/// # impl crossdock::ports::Exchange for NoNetwork {
/// #     async fn exchange(&self, _: crossdock::ports::ExchangeRequest)
/// #         -> Result<crossdock::ports::Answer, crossdock::ports::TransportError> {
/// #         Err(crossdock::ports::TransportError::new(crossdock::ports::TransportErrorKind::Unconfigured))
/// #     }
/// # }
/// use std::sync::Arc;
/// use crossdock::inbound::{ProviderKeys, SnsVerifier};
/// use crossdock::primitives::EgressPolicy;
///
/// let keys = ProviderKeys::new(Arc::new(NoNetwork), EgressPolicy::default());
/// let verifier = SnsVerifier::new(keys);
/// # drop(verifier);
/// ```
#[derive(Clone, Debug)]
pub struct SnsVerifier {
    keys: ProviderKeys,
}

/// A message of SNS whose form is right and whose certificate is Amazon's; nothing else is known of it yet.
#[derive(Clone, Debug)]
pub struct SnsMessage {
    topic: String,
    certificate_url: String,
    subscribe_url: Option<String>,
    signed: String,
    signature: Vec<u8>,
    digest: Digest,
    sent_at: DateTime<Utc>,
}

impl SnsMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refusal`] when something that is signed is missing, or the certificate is said to be at a foreign host.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let document = std::str::from_utf8(body).map_err(|_| Refusal::UnreadablePart)?;
        let optional = |name: &str| {
            let found = json::find(document, &[name.to_owned()]).map_err(|_| Refusal::UnreadablePart)?;
            Ok(found.and_then(json::text).map(std::borrow::Cow::into_owned))
        };
        let text = |name: &str| optional(name)?.ok_or(Refusal::MissingPart);
        let kind = text("Type")?;
        let names: &[&str] = match kind.as_str() {
            "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => {
                &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
            }
            _ => return Err(Refusal::MissingPart),
        };
        let mut signed = String::new();
        for &name in names {
            match optional(name)? {
                Some(value) => {
                    for piece in [name, "\n", &value, "\n"] {
                        signed.push_str(piece);
                    }
                }
                None if name == "Subject" => {}
                None => return Err(Refusal::MissingPart),
            }
        }
        let digest = match text("SignatureVersion")?.as_str() {
            "1" => Digest::Sha1,
            "2" => Digest::Sha256,
            _ => return Err(Refusal::MalformedSignature),
        };
        let signature = optional("Signature")?.ok_or(Refusal::MissingSignature)?;
        let signature = STANDARD.decode(signature).map_err(|_| Refusal::MalformedSignature)?;
        let certificate_url = text("SigningCertURL")?;
        if !is_amazons(&certificate_url) || !certificate_url.ends_with(".pem") {
            return Err(Refusal::ForeignKey);
        }
        let sent_at =
            DateTime::parse_from_rfc3339(&text("Timestamp")?).map_err(|_| Refusal::InvalidTimestamp)?;
        let subscribe_url = match kind.as_str() {
            "SubscriptionConfirmation" => Some(text("SubscribeURL")?),
            _ => None,
        };
        Ok(Self {
            topic: text("TopicArn")?,
            certificate_url,
            subscribe_url,
            signed,
            signature,
            digest,
            sent_at: sent_at.to_utc(),
        })
    }

    /// Where its certificate is.
    pub fn certificate_url(&self) -> &str {
        &self.certificate_url
    }

    /// The topic that it is of.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Whether the key of this certificate has signed it.
    ///
    /// # Errors
    /// [`Refusal`] when it has not, or the certificate has ended.
    pub fn verify(&self, certificate: &Certificate, now: DateTime<Utc>) -> Result<Verified, Refusal> {
        if certificate.has_ended_at(now) {
            return Err(Refusal::ForeignKey);
        }
        if certificate.has_signed(self.signed.as_bytes(), &self.signature, self.digest) {
            Ok(Verified::with_public_key().with_signed_at(self.sent_at))
        } else {
            Err(Refusal::NoMatch)
        }
    }
}

impl SnsVerifier {
    /// A verifier that gets certificates with these.
    pub fn new(keys: ProviderKeys) -> Self {
        Self { keys }
    }
}

#[async_trait]
impl Verifier for SnsVerifier {
    async fn verify(
        &self,
        request: &Request<'_>,
        secrets: &[SourceSecret],
        now: DateTime<Utc>,
    ) -> Result<Verified, Refusal> {
        let message = SnsMessage::read(request.body)?;
        // Before anything is fetched: a foreign topic is refused without a word to anybody.
        let name = name_of_topic(&message, secrets, now)?;
        let certificate = self.keys.certificate(&message.certificate_url, now).await?;
        let verified = message.verify(&certificate, now)?;
        let verified = Verified { matched_secret: Some(name), ..verified };
        match &message.subscribe_url {
            None => Ok(verified),
            Some(url) if !is_amazons(url) => Err(Refusal::ForeignKey),
            Some(url) => {
                self.keys.ask(Method::GET, url).await?;
                Ok(verified.with_answer(Reply::empty(StatusCode::OK)))
            }
        }
    }
}

/// The name of the secret that is the message's topic.
fn name_of_topic(
    message: &SnsMessage,
    secrets: &[SourceSecret],
    now: DateTime<Utc>,
) -> Result<Arc<str>, Refusal> {
    let topic = digest_of(message.topic.as_bytes());
    let mut live = secrets.iter().filter(|secret| secret.not_after().is_none_or(|end| now <= end)).peekable();
    live.peek().ok_or(Refusal::NoSecret)?;
    live.find(|secret| digest_of(secret.secret().expose()).ct_eq(&topic).into())
        .map(SourceSecret::shared_name)
        .ok_or(Refusal::NoMatch)
}

/// Whether a URL is at SNS itself: `https://sns.<region>.amazonaws.com`, or `.com.cn`.
fn is_amazons(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let region = host.strip_prefix("sns.").and_then(|host| {
        host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))
    });
    let is_region = region.is_some_and(|region| {
        region.len() >= 3 && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let is_plain = url.port().is_none() && url.username().is_empty() && url.password().is_none();
    url.scheme() == "https" && is_region && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_amazons_own_hosts_are_amazons() {
        for url in [
            "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-x.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/x.pem",
        ] {
            assert!(is_amazons(url), "{url}");
        }
        for url in [
            "http://sns.us-east-2.amazonaws.com/x.pem",
            "https://sns.us-east-2.amazonaws.com:8443/x.pem",
            "https://user@sns.us-east-2.amazonaws.com/x.pem",
            "https://sns.us-east-2.amazonaws.com.evil.example/x.pem",
            "https://sns.us-east-2.evil.amazonaws.com/x.pem",
            "https://s3.us-east-2.amazonaws.com/sns.x.amazonaws.com/x.pem",
            "https://sns..amazonaws.com/x.pem",
            "https://sns.ab.amazonaws.com/x.pem",
            "https://evil.example/sns.us-east-2.amazonaws.com/x.pem",
            "https://evil.example#sns.us-east-2.amazonaws.com/x.pem",
            "sns.us-east-2.amazonaws.com",
            "",
        ] {
            assert!(!is_amazons(url), "{url}");
        }
    }
}
