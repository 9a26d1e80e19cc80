//! Makes one attempt: request, signature, exchange, verdict. Deliveries and tests go the same way.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::error::{Error, ErrorKind, Result};
use crate::events::envelope::Body;
use crate::events::envelope::named::NamedFormats;
use crate::events::model::Event;
use crate::mapping::MapError;
use crate::ports::{
    Answer, Exchange, ExchangeLimits, ExchangeRequest, Sealed, TransportError, TransportErrorKind, Vault,
};
use crate::primitives::id::{AttemptId, DeliveryId, WebhookId};
use crate::primitives::secret::Secret;
use crate::webhooks::classify::{Verdict, attempt_error, classify};
use crate::webhooks::mapped::{Mapped, Mappings, refusal};
use crate::webhooks::model::{
    Attempt, AttemptError, LoggedHeaders, StoredAuth, TenantDefaults, Version, Webhook,
};
use crate::webhooks::sealing::{AUTH, SECRET, defaults_place, webhook_place};
use crate::webhooks::settings::Settings;
use crate::webhooks::sign::{Message, MessageId, Signer, SigningSecret};

/// Makes attempts, and keeps what does not change between two attempts of one webhook.
pub(crate) struct Dispatcher {
    vault: Arc<dyn Vault>,
    exchange: Option<Arc<dyn Exchange>>,
    formats: NamedFormats,
    mappings: Mappings,
    user_agent: HeaderValue,
    limits: ExchangeLimits,
    ready: Mutex<Kept>,
}

/// What one attempt came to.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) attempt: Attempt,
    pub(crate) verdict: Verdict,
}

/// Names one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptName {
    pub(crate) id: AttemptId,
    pub(crate) delivery: DeliveryId,
    pub(crate) number: u32,
    pub(crate) started_at: DateTime<Utc>,
}

/// The webhooks that are ready.
#[derive(Default)]
struct Kept {
    ready: HashMap<WebhookId, Arc<Ready>>,
    /// Of the documents of their mappings: compiled, they take the more memory the longer they are.
    document_bytes: usize,
}

/// What writes the bodies of a webhook.
enum Writer {
    /// Its format.
    Format,
    /// Its mapping; the same for every version that has the same document.
    Mapping { document: Arc<str>, mapped: Arc<Mapped> },
    /// A mapping that this process cannot run, such as one with a table that only other processes were given.
    Unknown,
}

/// A webhook with its secrets opened, its keys scheduled and its mapping compiled.
struct Ready {
    of: (Version, Version),
    /// An old secret stops signing then.
    until: Option<DateTime<Utc>>,
    signer: Signer,
    writer: Writer,
    headers: HeaderMap,
    /// The same headers as the log shows them.
    logged: LoggedHeaders,
}

const WHAT: &str = "make the request of a webhook";

impl Dispatcher {
    /// Headers that differ from one attempt to the next.
    const VARYING: usize = 8;

    pub(crate) fn new(
        vault: Arc<dyn Vault>,
        exchange: Option<Arc<dyn Exchange>>,
        formats: NamedFormats,
        mappings: Mappings,
        settings: &Settings,
    ) -> Self {
        Self {
            vault,
            exchange,
            formats,
            mappings,
            user_agent: settings.user_agent.clone(),
            limits: settings.limits,
            ready: Mutex::default(),
        }
    }

    /// The host's own formats.
    pub(crate) fn formats(&self) -> &NamedFormats {
        &self.formats
    }

    /// What mappings are checked against.
    pub(crate) fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    /// Sends the event and judges the answer.
    ///
    /// # Errors
    /// The request cannot be made: the vault does not open a secret (transient if the vault is away).
    pub(crate) async fn send(
        &self,
        webhook: &Webhook,
        defaults: &TenantDefaults,
        event: &Event,
        name: AttemptName,
    ) -> Result<Sent> {
        let ready = self.ready(webhook, defaults, name.started_at).await?;
        let unconfigured = || Err(TransportError::new(TransportErrorKind::Unconfigured));
        let body = match &ready.writer {
            Writer::Format => self.formats.render(&webhook.format, event),
            Writer::Mapping { mapped, .. } => match mapped.write(event) {
                Ok(body) => Some(body),
                Err(error) => return Ok(unmapped(name, &error)),
            },
            Writer::Unknown => None,
        };
        let (result, logged) = match body {
            Some(body) => {
                let (headers, logged, body) = Self::request(&ready, webhook, event, body, name.started_at);
                let mut request = ExchangeRequest::post(webhook.url.clone(), body);
                request.headers = headers;
                request.limits = self.limits_of(webhook, defaults);
                request.destinations = Arc::clone(&webhook.destinations);
                request.party = Some(webhook.tenant.shared());
                let result = match &self.exchange {
                    // Straight to what is behind the `Arc`: its own implementation of the port would box a second future.
                    Some(exchange) => (**exchange).exchange(request).await,
                    None => unconfigured(),
                };
                (result, logged)
            }
            // Another process may know the format, or this one once it has been deployed anew: it is tried again.
            None => (unconfigured(), LoggedHeaders::default()),
        };
        let verdict = classify(&result, name.started_at);
        Ok(Sent { attempt: logged_attempt(name, logged, result), verdict })
    }

    fn limits_of(&self, webhook: &Webhook, defaults: &TenantDefaults) -> ExchangeLimits {
        let total = webhook.timeout.or(defaults.timeout).unwrap_or(self.limits.total);
        ExchangeLimits { total, connect: self.limits.connect.min(total), ..self.limits }
    }

    fn request(
        ready: &Ready,
        webhook: &Webhook,
        event: &Event,
        body: Body,
        now: DateTime<Utc>,
    ) -> (HeaderMap, LoggedHeaders, Bytes) {
        let mut headers = HeaderMap::with_capacity(ready.headers.len() + Self::VARYING + body.headers.len());
        headers.insert(header::CONTENT_TYPE, body.content_type);
        headers.extend(body.headers);
        if let Some(traceparent) = &event.head.traceparent
            && let Ok(value) = HeaderValue::from_str(traceparent)
        {
            headers.insert(TRACEPARENT, value);
        }
        let id = MessageId::from(event.head.id);
        let message = Message { id: &id, timestamp: now, url: webhook.url.as_str(), body: &body.bytes };
        ready.signer.sign(&message, &mut headers);

        let logged = LoggedHeaders::from(&headers).behind(&ready.logged);
        headers.extend(ready.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        (headers, logged, body.bytes)
    }

    async fn ready(
        &self,
        webhook: &Webhook,
        defaults: &TenantDefaults,
        now: DateTime<Utc>,
    ) -> Result<Arc<Ready>> {
        let of = (webhook.version, defaults.version);
        let kept = self.lock().ready.get(&webhook.id).map(Arc::clone);
        if let Some(ready) = &kept
            && ready.of == of
            && ready.until.is_none_or(|until| now < until)
        {
            return Ok(Arc::clone(ready));
        }
        // Boxed, because it is rare and would make the future of every delivery larger.
        let ready = Arc::new(Box::pin(self.get_ready(webhook, defaults, kept, now)).await?);
        self.lock().keep(webhook.id, &ready);
        Ok(ready)
    }

    async fn get_ready(
        &self,
        webhook: &Webhook,
        defaults: &TenantDefaults,
        kept: Option<Arc<Ready>>,
        now: DateTime<Utc>,
    ) -> Result<Ready> {
        let (tenant, id) = (webhook.tenant.as_str(), webhook.id.to_string());
        let mut secrets = Vec::new();
        let mut until = None;
        for stored in webhook.secrets.iter().filter(|secret| secret.is_live(now)) {
            let opened = self.vault.open(webhook_place(tenant, &id, SECRET), &stored.sealed).await?;
            secrets.push(SigningSecret::from_bytes(opened.expose()).map_err(corrupt)?);
            until = [until, stored.expires_at].into_iter().flatten().min();
        }
        let signer = match &webhook.schemes[..] {
            [] => Signer::unsigned(),
            schemes => Signer::new(schemes, &secrets).map_err(corrupt)?,
        };

        let mut headers: HeaderMap = webhook.headers.iter().cloned().collect();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        let place_of_auth = match webhook.auth {
            Some(_) => webhook_place(tenant, &id, AUTH),
            None => defaults_place(tenant, AUTH),
        };
        let open = async |sealed: &Sealed| self.vault.open(place_of_auth, sealed).await;
        match webhook.auth.as_ref().or_else(|| defaults.auth_for(&webhook.url)) {
            None | Some(StoredAuth::None) => {}
            Some(StoredAuth::Basic { username, password }) => {
                let password = match password {
                    Some(sealed) => open(sealed).await?,
                    None => Secret::from(""),
                };
                headers.insert(header::AUTHORIZATION, basic(username, &password)?);
            }
            Some(StoredAuth::Bearer { token }) => {
                let token = open(token).await?;
                let text = [b"Bearer ", token.expose()].concat();
                headers.insert(header::AUTHORIZATION, sensitive(&text)?);
            }
            Some(StoredAuth::Headers(sealed)) => {
                for (name, sealed) in sealed {
                    headers.insert(name.clone(), sensitive(open(sealed).await?.expose())?);
                }
            }
        }
        let logged = LoggedHeaders::from(&headers);
        let writer = self.writer(webhook.mapping.as_ref(), kept.as_deref());
        Ok(Ready { of: (webhook.version, defaults.version), until, signer, writer, headers, logged })
    }

    fn writer(&self, document: Option<&Arc<str>>, before: Option<&Ready>) -> Writer {
        match (document, before.map(|before| &before.writer)) {
            (None, _) => Writer::Format,
            (Some(document), Some(Writer::Mapping { document: same, mapped })) if same == document => {
                Writer::Mapping { document: Arc::clone(document), mapped: Arc::clone(mapped) }
            }
            // It was sound where it was saved: what is missing is missing in this process.
            (Some(document), _) => match self.mappings.compile(document) {
                Ok(mapped) => Writer::Mapping { document: Arc::clone(document), mapped: Arc::new(mapped) },
                Err(_) => Writer::Unknown,
            },
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Ready webhooks that are kept; beyond that, all are forgotten.
    const MOST: usize = 10_000;
    /// Bytes of their mappings' documents that are kept.
    const MOST_BYTES: usize = 16 * 1024 * 1024;

    fn keep(&mut self, id: WebhookId, ready: &Arc<Ready>) {
        if self.ready.len() >= Self::MOST || self.document_bytes + ready.document_bytes() > Self::MOST_BYTES {
            *self = Self::default();
        }
        self.document_bytes += ready.document_bytes();
        if let Some(before) = self.ready.insert(id, Arc::clone(ready)) {
            self.document_bytes = self.document_bytes.saturating_sub(before.document_bytes());
        }
    }
}

impl Ready {
    fn document_bytes(&self) -> usize {
        match &self.writer {
            Writer::Mapping { document, .. } => document.len(),
            Writer::Format | Writer::Unknown => 0,
        }
    }
}

impl fmt::Debug for Dispatcher {
    /// What is ready holds keys and credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("vault", &self.vault)
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

/// Nothing was sent, and nothing would be better the next time.
fn unmapped(name: AttemptName, error: &MapError) -> Sent {
    let mut attempt = Attempt::new(name.id, name.delivery, name.number, name.started_at);
    attempt.error = Some(AttemptError::Unmapped);
    attempt.refusal = Some(refusal(error));
    Sent { attempt, verdict: Verdict::Unmapped }
}

fn logged_attempt(
    name: AttemptName,
    headers: LoggedHeaders,
    result: Result<Answer, TransportError>,
) -> Attempt {
    let mut attempt = Attempt::new(name.id, name.delivery, name.number, name.started_at);
    attempt.request_headers = headers;
    attempt.error = attempt_error(&result);
    match result {
        Ok(answer) => {
            attempt.peer = answer.peer;
            attempt.status = Some(answer.status.as_u16());
            attempt.response_headers = bounded(&answer.headers, &mut attempt.truncated);
            attempt.response_body = answer.body;
            attempt.truncated |= answer.truncated;
            attempt.timings = answer.timings;
        }
        Err(error) => {
            attempt.peer = error.peer.map(|peer| peer.ip());
            attempt.timings = error.timings;
        }
    }
    attempt
}

/// The headers that the log keeps: a receiver chooses their size, and every attempt keeps its own.
fn bounded(headers: &HeaderMap, truncated: &mut bool) -> LoggedHeaders {
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    if headers.iter().map(size).sum::<usize>() <= MAX_LOGGED_HEADERS {
        return LoggedHeaders::from(headers);
    }
    *truncated = true;
    let mut room = MAX_LOGGED_HEADERS;
    let fits = |header: &(&HeaderName, &HeaderValue)| {
        let size = size(*header);
        let fits = size <= room;
        room -= if fits { size } else { 0 };
        fits
    };
    let kept = headers.iter().filter(fits);
    LoggedHeaders::from_lines(kept.map(|(name, value)| (name.as_str(), value.as_bytes())))
}

fn basic(username: &str, password: &Secret) -> Result<HeaderValue> {
    let login = Secret::new([username.as_bytes(), b":", password.expose()].concat());
    sensitive(format!("Basic {}", STANDARD.encode(login.expose())).as_bytes())
}

fn sensitive(bytes: &[u8]) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes).map_err(corrupt)?;
    value.set_sensitive(true);
    Ok(value)
}

fn corrupt(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Corrupt, WHAT).with_source(cause)
}

const MAX_LOGGED_HEADERS: usize = 8 * 1024;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
