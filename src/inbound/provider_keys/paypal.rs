//! PayPal: id, time, webhook and checksum are signed, by a certificate at PayPal's hosts.

use std::borrow::Cow;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::HeaderName;
use url::Url;

use crate::inbound::outcome::{Refusal, Verified};
use crate::inbound::provider_keys::certificate::{Certificate, Digest};
use crate::inbound::provider_keys::fetch::ProviderKeys;
use crate::inbound::read::places::only;
use crate::inbound::request::{Request, SourceSecret};
use crate::inbound::verifier::Verifier;

/// Checks PayPal's requests; goes with [`presets::paypal`](crate::inbound::presets::paypal).
///
/// The source's secrets are the ids of its webhooks, as PayPal's dashboard shows them. PayPal signs a checksum (CRC-32) of
/// the body, which a forger who has seen one request can keep while changing the body: handlers of value should fetch the
/// record.
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
/// use crossdock::inbound::{PayPalVerifier, ProviderKeys};
/// use crossdock::primitives::EgressPolicy;
///
/// let keys = ProviderKeys::new(Arc::new(NoNetwork), EgressPolicy::default());
/// let verifier = PayPalVerifier::new(keys);
/// # drop(verifier);
/// ```
#[derive(Clone, Debug)]
pub struct PayPalVerifier {
    keys: ProviderKeys,
}

impl PayPalVerifier {
    /// A verifier that gets certificates with these.
    pub fn new(keys: ProviderKeys) -> Self {
        Self { keys }
    }

    /// Whether a request is PayPal's, by this certificate: the decision, which needs no network.
    ///
    /// # Errors
    /// [`Refusal`] unless this certificate, which must be at PayPal's, has signed for one of the webhooks.
    pub fn check(
        request: &Request<'_>,
        secrets: &[SourceSecret],
        certificate: &Certificate,
        now: DateTime<Utc>,
    ) -> Result<Verified, Refusal> {
        certificate_url(request)?;
        if certificate.has_ended_at(now) {
            return Err(Refusal::ForeignKey);
        }
        let id = text(request, &ID)?.ok_or(Refusal::MissingPart)?;
        let time = text(request, &TIME)?.ok_or(Refusal::MissingTimestamp)?;
        let sent_at = DateTime::parse_from_rfc3339(&time).map_err(|_| Refusal::InvalidTimestamp)?;
        let signature = text(request, &SIGNATURE)?.ok_or(Refusal::MissingSignature)?;
        let signature = STANDARD.decode(&*signature).map_err(|_| Refusal::MalformedSignature)?;
        if text(request, &ALGORITHM)?.as_deref() != Some("SHA256withRSA") {
            return Err(Refusal::MalformedSignature);
        }
        let checksum = crc32fast::hash(request.body);
        let mut live =
            secrets.iter().filter(|secret| secret.not_after().is_none_or(|end| now <= end)).peekable();
        live.peek().ok_or(Refusal::NoSecret)?;
        let fits = live.find(|secret| {
            let webhook = secret.secret().expose_text().unwrap_or_default();
            let message = format!("{id}|{time}|{webhook}|{checksum}");
            !webhook.is_empty() && certificate.has_signed(message.as_bytes(), &signature, Digest::Sha256)
        });
        fits.map(|secret| Verified::with_secret(secret.name()).with_signed_at(sent_at.to_utc()))
            .ok_or(Refusal::NoMatch)
    }
}

#[async_trait]
impl Verifier for PayPalVerifier {
    async fn verify(
        &self,
        request: &Request<'_>,
        secrets: &[SourceSecret],
        now: DateTime<Utc>,
    ) -> Result<Verified, Refusal> {
        // Before anything is fetched: what lacks a signature is not worth a question.
        text(request, &SIGNATURE)?.ok_or(Refusal::MissingSignature)?;
        let url = certificate_url(request)?;
        let certificate = self.keys.certificate(&url, now).await?;
        Self::check(request, secrets, &certificate, now)
    }
}

/// Where the certificate is said to be: at PayPal's, or it is refused.
fn certificate_url(request: &Request<'_>) -> Result<String, Refusal> {
    let text = text(request, &CERTIFICATE)?.ok_or(Refusal::MissingPart)?;
    let url = Url::parse(&text).map_err(|_| Refusal::ForeignKey)?;
    let is_paypals = url.scheme() == "https"
        && matches!(url.host_str(), Some("api.paypal.com" | "api.sandbox.paypal.com"))
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path().starts_with("/v1/notifications/certs/")
        && url.query().is_none()
        && url.fragment().is_none();
    if is_paypals { Ok(url.into()) } else { Err(Refusal::ForeignKey) }
}

fn text<'r>(request: &Request<'r>, name: &HeaderName) -> Result<Option<Cow<'r, str>>, Refusal> {
    let Some(value) = only(request.headers, name)? else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Refusal::UnreadablePart)?;
    Ok(Some(text.into()).filter(|text: &Cow<'_, str>| !text.is_empty()))
}

const ID: HeaderName = HeaderName::from_static("paypal-transmission-id");
const TIME: HeaderName = HeaderName::from_static("paypal-transmission-time");
const SIGNATURE: HeaderName = HeaderName::from_static("paypal-transmission-sig");
const CERTIFICATE: HeaderName = HeaderName::from_static("paypal-cert-url");
const ALGORITHM: HeaderName = HeaderName::from_static("paypal-auth-algo");
