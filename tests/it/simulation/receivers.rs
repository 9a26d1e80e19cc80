//! Receivers that hang, flap, go away and refuse; and a transport that panics.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use crossdock::ports::{
    Answer, Clock, Exchange, ExchangeRequest, SealPlace, Sealed, TransportError, TransportErrorKind, Vault,
    Wake, Wakened,
};
use crossdock::primitives::{EventId, Secret, WebhookId};
use crossdock::testing::ManualClock;
use crossdock::{Error, ErrorKind, Result};
use http::{HeaderValue, StatusCode};

use super::dice::Dice;
use super::faults::Fault;
use super::ledger::Ledger;
use super::store::{During, Phase};

/// One process's way to all receivers of the world.
#[derive(Debug)]
pub(super) struct Receivers {
    pub(super) clock: ManualClock,
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
    pub(super) phase: Arc<Phase>,
}

enum Mood {
    Answer { status: u16, retry_after: Option<u32>, abort: bool, delay: Duration },
    Hang,
    BrokenBefore,
    BrokenAfter,
    Panic,
}

impl Receivers {
    fn mood(&self, is_anchor: bool) -> Mood {
        let answer = |status, delay| Mood::Answer { status, retry_after: None, abort: false, delay };
        let quick = Duration::from_millis(u64::from(self.dice.below(50)) + 1);
        let mut books = self.ledger.books();
        if books.calm {
            return answer(204, quick);
        }
        let (fault, mood) = match self.dice.below(1_000) {
            0..600 => return answer(200, quick),
            600..680 => {
                (Fault::Slow, answer(204, Duration::from_millis(u64::from(self.dice.below(9_000)) + 500)))
            }
            680..820 => (Fault::ServerError, answer(500, quick)),
            820..880 => {
                let status = if self.dice.per_mille(500) { 429 } else { 503 };
                let retry_after = Some(self.dice.below(20));
                (Fault::Overloaded, Mood::Answer { status, retry_after, abort: false, delay: quick })
            }
            880..920 => (Fault::Hang, Mood::Hang),
            920..940 => (Fault::Broken, Mood::BrokenBefore),
            940..965 => (Fault::Broken, Mood::BrokenAfter),
            965..980 => (Fault::Panic, Mood::Panic),
            980..990 if !is_anchor => (Fault::Gone, answer(410, quick)),
            990..1_000 if !is_anchor => {
                (Fault::Abort, Mood::Answer { status: 400, retry_after: None, abort: true, delay: quick })
            }
            _ => (Fault::ServerError, answer(502, quick)),
        };
        books.fault(fault);
        mood
    }

    fn arrive(&self, request: &ExchangeRequest) -> (WebhookId, EventId, bool) {
        let host = request.url.host().to_owned();
        let id = request.headers.get("webhook-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let event: EventId = id.parse().expect("webhook-id is the event's id");
        let mut books = self.ledger.books();
        let webhook = books.requested(&host, event, &request.body, self.clock.now());
        (webhook, event, books.webhooks[&webhook].is_anchor)
    }

    async fn wait(&self, delay: Duration) {
        self.clock.sleep_until(self.clock.now() + delay).await;
    }
}

#[async_trait]
impl Exchange for Receivers {
    async fn exchange(&self, request: ExchangeRequest) -> Result<Answer, TransportError> {
        let _in_flight = During::new(&self.phase.in_flight);
        let (webhook, event, is_anchor) = self.arrive(&request);
        let lost = |kind| Err(TransportError::new(kind));
        match self.mood(is_anchor) {
            Mood::Answer { delay, .. } if delay >= request.limits.total => {
                self.wait(request.limits.total).await;
                lost(TransportErrorKind::TimedOut)
            }
            Mood::Answer { status, retry_after, abort, delay } => {
                self.wait(delay).await;
                let mut answer = Answer::new(StatusCode::from_u16(status).expect("a status"));
                if let Some(seconds) = retry_after {
                    answer.headers.insert("retry-after", HeaderValue::from(seconds));
                }
                if abort {
                    answer.headers.insert("webhook-delivery", HeaderValue::from_static("abort-message"));
                }
                if answer.status.is_success() {
                    self.ledger.books().taken(webhook, event);
                }
                Ok(answer)
            }
            Mood::Hang => {
                self.wait(request.limits.total).await;
                lost(TransportErrorKind::TimedOut)
            }
            Mood::BrokenBefore => lost(TransportErrorKind::Broken),
            Mood::BrokenAfter => {
                self.wait(Duration::from_millis(5)).await;
                self.ledger.books().taken(webhook, event);
                lost(TransportErrorKind::Broken)
            }
            Mood::Panic => planned_panic(),
        }
    }
}

/// A panic that is part of the plan: it unwinds like any other, without a word on the terminal.
pub(super) fn planned_panic() -> ! {
    std::panic::resume_unwind(Box::new("a planned panic of the simulated world"))
}

/// A vault that is away now and then; what it seals is only marked.
#[derive(Debug)]
pub(super) struct ShakyVault {
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
}

#[async_trait]
impl Vault for ShakyVault {
    async fn seal(&self, _place: SealPlace<'_>, secret: &Secret) -> Result<Sealed> {
        Ok(Sealed::new(secret.expose().to_vec()))
    }

    async fn open(&self, _place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        let mut books = self.ledger.books();
        if !books.calm && self.dice.per_mille(100) {
            books.fault(Fault::VaultAway);
            return Err(Error::new(ErrorKind::Unavailable, "open a secret"));
        }
        Ok(Secret::new(sealed.as_bytes().to_vec()))
    }

    async fn is_current(&self, _sealed: &Sealed) -> Result<bool> {
        Ok(true)
    }
}

/// Wake-ups between the processes of the world; some are lost.
#[derive(Debug)]
pub(super) struct LossyWake<W> {
    pub(super) inner: W,
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
}

impl<W: Wake> Wake for LossyWake<W> {
    fn wake(&self) {
        let mut books = self.ledger.books();
        if !books.calm && self.dice.per_mille(100) {
            books.fault(Fault::LostWake);
            return;
        }
        drop(books);
        self.inner.wake();
    }

    fn listen(&self) -> Wakened {
        self.inner.listen()
    }
}

/// What is in flight in a process.
pub(super) fn in_flight(phase: &Phase) -> u32 {
    phase.in_flight.load(Ordering::Relaxed)
}
