//! What an operator should hear of, as it happens.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use chrono::{DateTime, Utc};
use futures_channel::mpsc;
use futures_util::Stream;

use crate::primitives::id::{DeliveryId, ReplayId, WebhookId};
use crate::tenancy::model::TenantId;
use crate::webhooks::model::{DeadReason, DisableReason};

/// Something an operator should hear of, as it happens. Notices end with the process; what was disabled, given up or stopped also
/// stands in the activity log and in the deliveries.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// When.
    pub at: DateTime<Utc>,
    /// Whose webhook.
    pub tenant: TenantId,
    /// Which webhook.
    pub webhook: WebhookId,
    /// What.
    pub kind: NoticeKind,
}

/// What an operator should hear of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NoticeKind {
    /// The webhook was disabled: from now on its events are recorded as skipped.
    Disabled(DisableReason),
    /// The webhook is so many per cent on its way to being disabled: 50, 70 or 90.
    Failing(u8),
    /// A webhook that was failing delivers again.
    Recovered,
    /// An order stands still behind this delivery.
    LaneStopped(DeliveryId),
    /// This delivery was given up.
    DeadLetter(DeliveryId, DeadReason),
    /// The circuit is open until then: nothing is sent.
    CircuitOpened(DateTime<Utc>),
    /// A replay has made its last delivery.
    ReplayCompleted(ReplayId),
}

/// Hands notices to whoever has subscribed in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices(Arc<Mutex<Vec<Subscriber>>>);

#[derive(Debug)]
struct Subscriber {
    sender: mpsc::Sender<Notice>,
    missed: Arc<AtomicU64>,
}

/// The notices of this process from the time of subscribing on.
///
/// A reader that falls more than [`NoticeStream::CAPACITY`] behind misses notices; [`NoticeStream::missed`] says how many.
#[derive(Debug)]
pub struct NoticeStream {
    receiver: mpsc::Receiver<Notice>,
    missed: Arc<AtomicU64>,
}

impl NoticeStream {
    /// How many notices wait for a slow reader.
    pub const CAPACITY: usize = 1_024;

    /// How many notices came while the reader was too far behind.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// What has come since the last look, without waiting.
    pub fn drain(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.receiver.try_recv().ok()).collect()
    }
}

impl Stream for NoticeStream {
    type Item = Notice;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Notice>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

impl Notice {
    /// A notice about this webhook.
    pub fn new(at: DateTime<Utc>, tenant: TenantId, webhook: WebhookId, kind: NoticeKind) -> Self {
        Self { at, tenant, webhook, kind }
    }
}

impl NoticeKind {
    /// The word that logs and event types use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled(_) => "webhook.disabled",
            Self::Failing(_) => "webhook.failing",
            Self::Recovered => "webhook.recovered",
            Self::LaneStopped(_) => "webhook.lane_stopped",
            Self::DeadLetter(..) => "webhook.dead_letter",
            Self::CircuitOpened(_) => "webhook.circuit_opened",
            Self::ReplayCompleted(_) => "webhook.replay_completed",
        }
    }
}

impl Notices {
    pub(crate) fn subscribe(&self) -> NoticeStream {
        let (sender, receiver) = mpsc::channel(NoticeStream::CAPACITY);
        let missed = Arc::new(AtomicU64::new(0));
        self.lock().push(Subscriber { sender, missed: Arc::clone(&missed) });
        NoticeStream { receiver, missed }
    }

    pub(crate) fn tell(&self, notice: &Notice) {
        self.lock().retain_mut(|subscriber| match subscriber.sender.try_send(notice.clone()) {
            Ok(()) => true,
            Err(error) if error.is_full() => {
                subscriber.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(_gone) => false,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Subscriber>> {
        // A panic while telling leaves a list that is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
