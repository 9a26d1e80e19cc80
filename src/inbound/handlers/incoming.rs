//! What a handler gets.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::inbound::host_transaction::CompletingTransaction;
use crate::inbound::received::{InboundJob, Received};
use crate::inbound::source::SourceName;
use crate::ports::Clock;
use crate::tenancy::model::TenantId;

/// An item on its way to a handler.
#[derive(Clone, Debug)]
pub(crate) struct Handing {
    pub(crate) job: InboundJob,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether the handler has written the completion in a transaction of its own.
    pub(crate) is_written: Arc<AtomicBool>,
}

/// What was received, as a handler gets it.
#[derive(Clone)]
pub struct Incoming<T> {
    /// What it says.
    pub payload: T,
    handing: Handing,
}

impl<T> Incoming<T> {
    pub(crate) fn new(payload: T, handing: Handing) -> Self {
        Self { payload, handing }
    }

    /// Everything that is known about it.
    pub fn received(&self) -> &Received {
        &self.handing.job.received
    }

    /// The source that it came from.
    pub fn source(&self) -> &SourceName {
        &self.received().name
    }

    /// What it is, in the sender's words.
    pub fn kind(&self) -> &str {
        &self.received().kind
    }

    /// Whose source it came from; `None` for one of the platform's own.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.received().owner.tenant()
    }

    /// Which attempt this is, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.handing.job.attempt
    }

    /// Writes in a transaction of the host's own that this item is done: then its effect and its completion are one, and the effect
    /// happens exactly once. The handler returns [`Handled::Done`](crate::inbound::Handled::Done) after the commit; if nothing was committed, the item is tried again.
    ///
    /// A worker that stood still for so long that somebody else has the item by now is told so here, and rolls back.
    ///
    /// # Errors
    /// `Conflict` when the item is somebody else's by now, or done: roll back. The driver's.
    pub fn complete_in<X: CompletingTransaction>(&self, transaction: X) -> X::Completed {
        self.handing.is_written.store(true, Ordering::Release);
        transaction.complete(self.handing.job.completion(self.handing.clock.now()))
    }
}

impl<T> fmt::Debug for Incoming<T> {
    /// The payload is left out: it is somebody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("received", self.received())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
