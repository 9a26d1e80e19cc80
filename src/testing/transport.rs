//! Receivers without a network.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::ports::{Answer, Clock, Exchange, ExchangeRequest, TransportError, TransportErrorKind};
use crate::primitives::egress::TenantUrl;

/// Answers from a script, and remembers every request; a clone is the same transport.
///
/// Whoever has no script answers 204. Time limits hold on the given clock: an answer that comes after the total time, or never,
/// is [`TransportErrorKind::TimedOut`] at that time.
///
/// ```
/// use crossdock::ports::{Exchange, ExchangeRequest};
/// use crossdock::primitives::EgressPolicy;
/// use crossdock::testing::{ManualClock, Reply, ScriptedTransport};
/// use futures_util::FutureExt;
///
/// let transport = ScriptedTransport::new(ManualClock::new())
///     .host("erp.example.com", [Reply::status(503), Reply::status(200)]);
/// let url = EgressPolicy::default().parse("https://erp.example.com/hooks")?;
/// let send = || transport.exchange(ExchangeRequest::post(url.clone(), "{}")).now_or_never().expect("no wait");
///
/// assert_eq!(send()?.status, 503);
/// assert_eq!(send()?.status, 200);
/// assert_eq!(transport.requests().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScriptedTransport {
    clock: Arc<dyn Clock>,
    rules: Arc<Mutex<Vec<Rule>>>,
    requests: Arc<Mutex<Vec<SentRequest>>>,
}

/// A request that a [`ScriptedTransport`] was asked to make.
#[derive(Clone)]
#[non_exhaustive]
pub struct SentRequest {
    /// When it was begun.
    pub at: DateTime<Utc>,
    /// Where it went.
    pub url: TenantUrl,
    /// How.
    pub method: Method,
    /// With which headers.
    pub headers: HeaderMap,
    /// With which body.
    pub body: Bytes,
}

/// What a receiver does with a request.
///
/// ```
/// use std::time::Duration;
/// use crossdock::testing::Reply;
///
/// let slow = Reply::status(429).with_header("retry-after", "120").after(Duration::from_secs(2));
/// # drop(slow);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    delay: Duration,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Answer { status: StatusCode, headers: HeaderMap, body: Bytes },
    Error(TransportErrorKind),
    Silence,
}

struct Rule {
    /// A host, a whole URL, or everything.
    place: Option<String>,
    answers: Answers,
}

enum Answers {
    /// The last one is given again and again.
    List(VecDeque<Reply>),
    Closure(Box<dyn FnMut(&SentRequest) -> Reply + Send>),
}

impl ScriptedTransport {
    /// Answers 204 to everything, at once.
    pub fn new(clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), rules: Arc::default(), requests: Arc::default() }
    }

    /// What this host answers: one reply per request, the last one again and again.
    #[must_use]
    pub fn host(self, host: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        self.rule(Some(host), Answers::List(replies.into_iter().collect()))
    }

    /// What this URL answers: one reply per request, the last one again and again.
    #[must_use]
    pub fn url(self, url: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        self.host(url, replies)
    }

    /// What everybody answers for whom nothing was said later.
    #[must_use]
    pub fn everybody(self, replies: impl IntoIterator<Item = Reply>) -> Self {
        self.rule(None, Answers::List(replies.into_iter().collect()))
    }

    /// What everybody answers for whom nothing was said later, decided request by request.
    #[must_use]
    pub fn answering(self, decide: impl FnMut(&SentRequest) -> Reply + Send + 'static) -> Self {
        self.rule(None, Answers::Closure(Box::new(decide)))
    }

    /// Every request so far, in the order in which they were begun.
    pub fn requests(&self) -> Vec<SentRequest> {
        unpoisoned(&self.requests).clone()
    }

    fn rule(self, place: Option<&str>, answers: Answers) -> Self {
        unpoisoned(&self.rules).push(Rule { place: place.map(str::to_owned), answers });
        self
    }

    fn reply(&self, request: &SentRequest) -> Reply {
        let mut rules = unpoisoned(&self.rules);
        let url = &request.url;
        let fits = |place: &str| place == url.host() || place == url.as_str();
        let rule = rules.iter_mut().rev().find(|rule| rule.place.as_deref().is_none_or(fits));
        let reply = match rule.map(|rule| &mut rule.answers) {
            Some(Answers::Closure(decide)) => Some(decide(request)),
            Some(Answers::List(replies)) if replies.len() > 1 => replies.pop_front(),
            Some(Answers::List(replies)) => replies.front().cloned(),
            None => None,
        };
        reply.unwrap_or_else(|| Reply::status(204))
    }
}

/// Nothing under these locks but a host's closure can panic, and that leaves nothing half done.
fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reply {
    /// An answer with this status, at once, without headers and body. A number that is no status is 500.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::of(What::Answer { status, headers: HeaderMap::new(), body: Bytes::new() })
    }

    /// No answer, for this reason.
    pub fn error(kind: TransportErrorKind) -> Self {
        Self::of(What::Error(kind))
    }

    /// No answer at all: the time limit ends it.
    pub fn hang() -> Self {
        Self::of(What::Silence)
    }

    /// With one more header.
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        if let What::Answer { headers, .. } = &mut self.what {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        self
    }

    /// With this body.
    pub fn with_body(mut self, bytes: impl Into<Bytes>) -> Self {
        if let What::Answer { body, .. } = &mut self.what {
            *body = bytes.into();
        }
        self
    }

    /// So much later.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn of(what: What) -> Self {
        Self { delay: Duration::ZERO, what }
    }
}

#[async_trait]
impl Exchange for ScriptedTransport {
    /// Dropping the future leaves the request in the list.
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError> {
        let begun = self.clock.now();
        let limits = request.limits;
        let sent = SentRequest {
            at: begun,
            url: request.url,
            method: request.method,
            headers: request.headers,
            body: request.body,
        };
        unpoisoned(&self.requests).push(sent.clone());
        let Reply { delay, what } = self.reply(&sent);
        let in_time = delay < limits.total && !matches!(what, What::Silence);
        let wait = if in_time { delay } else { limits.total };
        if !wait.is_zero() {
            self.clock.sleep_until(begun + wait).await;
        }
        let error = |kind| {
            let mut error = TransportError::new(kind);
            error.timings.total = wait;
            Err(error)
        };
        match what {
            _ if !in_time => error(TransportErrorKind::TimedOut),
            What::Answer { status, headers, body } => {
                let mut answer = Answer::new(status);
                answer.headers = headers;
                answer.truncated = body.len() > limits.keep;
                answer.body = body.slice(..body.len().min(limits.keep));
                answer.timings.first_byte = Some(wait);
                answer.timings.total = wait;
                Ok(answer)
            }
            What::Error(kind) => error(kind),
            What::Silence => error(TransportErrorKind::TimedOut),
        }
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedTransport")
            .field("requests", &unpoisoned(&self.requests).len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SentRequest {
    /// Header values and body are left out: they hold credentials and payloads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentRequest")
            .field("at", &self.at)
            .field("url", &self.url)
            .field("method", &self.method)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::primitives::egress::EgressPolicy;
    use crate::testing::clock::ManualClock;

    fn request(url: &str) -> ExchangeRequest {
        ExchangeRequest::post(EgressPolicy::default().parse(url).expect("a URL"), "{}")
    }

    #[test]
    fn the_last_rule_that_fits_answers() {
        let transport = ScriptedTransport::new(ManualClock::new())
            .answering(|sent| Reply::status(if sent.url.as_str().ends_with("/teapot") { 418 } else { 200 }))
            .host("erp.example.com", [Reply::error(TransportErrorKind::Dns)])
            .url("https://erp.example.com/well", [Reply::status(202)]);
        let send = |url| transport.exchange(request(url)).now_or_never().expect("no wait");

        assert_eq!(send("https://a.example.com/teapot").expect("an answer").status, 418);
        assert_eq!(send("https://a.example.com/").expect("an answer").status, 200);
        assert_eq!(send("https://erp.example.com/ill").expect_err("an error").kind, TransportErrorKind::Dns);
        assert_eq!(send("https://erp.example.com/well").expect("an answer").status, 202);
    }

    #[test]
    fn silence_ends_with_the_total_time() {
        let clock = ManualClock::new();
        let transport = ScriptedTransport::new(clock.clone()).everybody([Reply::hang()]);
        let mut sending = transport.exchange(request("https://a.example.com/"));
        assert!(sending.as_mut().now_or_never().is_none());

        clock.advance(Duration::from_secs(20));

        let error = sending.now_or_never().expect("the end").expect_err("an error");
        assert_eq!(
            (error.kind, error.timings.total),
            (TransportErrorKind::TimedOut, Duration::from_secs(20))
        );
    }

    #[test]
    fn no_more_of_a_body_is_kept_than_asked_for() {
        let transport =
            ScriptedTransport::new(ManualClock::new()).everybody([Reply::status(200).with_body("four")]);
        let mut asking = request("https://a.example.com/");
        asking.limits.keep = 3;

        let answer = transport.exchange(asking).now_or_never().expect("no wait").expect("an answer");

        assert_eq!((&*answer.body, answer.truncated), (&b"fou"[..], true));
    }
}
