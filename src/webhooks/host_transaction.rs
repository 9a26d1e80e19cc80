//! Publishing inside a transaction of the host's own: the event exists if, and only if, the host's change does.

use crate::error::{Error, ErrorKind, Result};
use crate::webhooks::model::{Publication, Published};

/// A transaction of the host's own, as a database driver offers it: what [`Publication::write_in`] takes.
///
/// Each SQL store implements it for its driver's transactions and connections. Nothing is committed here, and nobody is
/// woken: a worker finds the event within a second after the host has committed.
///
/// # Contract
/// - Everything is written in the transaction that is given, so that its rollback leaves nothing.
/// - What is written is what [`DeliveryQueue::publish`](crate::webhooks::DeliveryQueue::publish) would have written, with the
///   same answers and errors; the time is the event's `published_at`.
pub trait HostTransaction {
    /// What writing gives: a `Result<R>`, or a future of one where the driver is asynchronous.
    type Written<R: Send + 'static>;

    /// Writes publications, all or none, and answers with what `pick` makes of the answers.
    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Self::Written<R>;
}

/// What becomes of one answer per publication.
pub type Pick<R> = fn(Vec<Published>) -> Result<R>;

/// Events ready to be written together.
#[derive(Clone, Debug)]
pub struct Publications(Vec<Publication>);

impl Publication {
    /// Writes this event in a transaction of the host's own; answers in the way of the transaction's driver.
    ///
    /// # Errors
    /// `Conflict` when its idempotency key was used with another type or payload; the driver's.
    pub fn write_in<T: HostTransaction>(self, transaction: T) -> T::Written<Published> {
        transaction.write(vec![self], |answers| {
            answers.into_iter().next().ok_or_else(|| {
                Error::new(ErrorKind::Internal, "publish an event in the host's transaction")
                    .with_source("the transaction has not said what it wrote")
            })
        })
    }
}

impl Publications {
    /// These events, in this order.
    pub const fn new(publications: Vec<Publication>) -> Self {
        Self(publications)
    }

    /// Writes these events in a transaction of the host's own, with one answer for each.
    ///
    /// # Errors
    /// As [`Publication::write_in`].
    pub fn write_in<T: HostTransaction>(self, transaction: T) -> T::Written<Vec<Published>> {
        transaction.write(self.0, Ok)
    }

    /// The events one by one, for a driver that nobody has written an adapter for.
    pub fn into_vec(self) -> Vec<Publication> {
        self.0
    }
}
