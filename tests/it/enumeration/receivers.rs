//! Receivers that fail first, each in its own way; what they do depends only on what they were sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crossdock::ports::{Answer, Clock, Exchange, ExchangeRequest, TransportError, TransportErrorKind};
use crossdock::primitives::EventId;
use crossdock::testing::ManualClock;
use http::{HeaderValue, StatusCode};

use crate::simulation::ledger::Ledger;

/// All receivers of one world; a clone is the same receivers.
#[derive(Clone, Debug)]
pub(super) struct Receivers {
    clock: ManualClock,
    ledger: Ledger,
    sent: Arc<Mutex<BTreeMap<(String, EventId), u32>>>,
    /// Events that the receiver of whole orders will not take.
    cursed: Arc<Mutex<Vec<EventId>>>,
    /// A test sends an event that nobody has published.
    tests: Arc<AtomicBool>,
}

enum Mood {
    Status(u16),
    Header(u16, &'static str, &'static str),
    Hang,
    BreakBehind,
}

impl Receivers {
    pub(super) fn new(clock: ManualClock, ledger: Ledger) -> Self {
        Self { clock, ledger, sent: Arc::default(), cursed: Arc::default(), tests: Arc::default() }
    }

    pub(super) fn curse(&self, event: EventId) {
        self.cursed.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    pub(super) fn expect_tests(&self, expected: bool) {
        self.tests.store(expected, Ordering::Relaxed);
    }

    /// What a receiver does with its nth request of an event.
    fn mood(&self, name: &str, event: EventId, nth: u32) -> Mood {
        let is_cursed = || self.cursed.lock().unwrap_or_else(PoisonError::into_inner).contains(&event);
        match (name, nth) {
            ("flaky", 1) => Mood::Status(500),
            ("flaky", 2) => Mood::Status(404),
            ("keyed", 1) => Mood::Status(502),
            ("narrow", 1) => Mood::Hang,
            ("busy", 1) => Mood::Header(503, "retry-after", "7"),
            ("lossy", 1) => Mood::BreakBehind,
            ("refuser", _) => Mood::Header(400, "webhook-delivery", "abort-message"),
            ("gone", _) => Mood::Status(410),
            ("whole", _) if is_cursed() => Mood::Status(500),
            _ => Mood::Status(204),
        }
    }
}

#[async_trait]
impl Exchange for Receivers {
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError> {
        let host = request.url.host().to_owned();
        let id = request.headers.get("webhook-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let event: EventId = id.parse().expect("webhook-id is the event's id");
        let wait = async |span| self.clock.sleep_until(self.clock.now() + span).await;
        if self.tests.load(Ordering::Relaxed) {
            wait(Duration::from_millis(20)).await;
            return Ok(Answer::new(StatusCode::NO_CONTENT));
        }
        let webhook = self.ledger.books().requested(&host, event, &request.body, self.clock.now());
        let nth = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            let count = sent.entry((host.clone(), event)).or_default();
            *count += 1;
            *count
        };
        let name = host.split('.').next().unwrap_or_default();
        let mood = self.mood(name, event, nth);
        wait(Duration::from_millis(20)).await;
        let (status, header) = match mood {
            Mood::Status(status) => (status, None),
            Mood::Header(status, name, value) => (status, Some((name, value))),
            Mood::Hang => {
                wait(request.limits.total).await;
                return Err(TransportError::new(TransportErrorKind::TimedOut));
            }
            Mood::BreakBehind => {
                self.ledger.books().taken(webhook, event);
                return Err(TransportError::new(TransportErrorKind::Broken));
            }
        };
        let mut answer = Answer::new(StatusCode::from_u16(status).expect("a status"));
        answer.headers.extend(
            header
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))),
        );
        if answer.status.is_success() {
            self.ledger.books().taken(webhook, event);
        }
        Ok(answer)
    }
}
