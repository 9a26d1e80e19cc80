//! Completing an item inside a transaction of the host's own: its effect and its completion are one.

use crate::error::{Error, ErrorKind, Result};
use crate::inbound::received::Completion;

/// A transaction of the host's own, as a database driver offers it: what [`Incoming::complete_in`](crate::inbound::Incoming::complete_in) takes.
///
/// Each SQL store implements it for its driver's transactions and connections. Nothing is committed here.
///
/// # Contract
/// - The item is done in the transaction that is given, so that its rollback leaves it as it was.
/// - If the item's claim is not the last one any more, or the item has ended, nothing is written and the answer is `Conflict`.
pub trait CompletingTransaction {
    /// What completing gives: a `Result<()>`, or a future of one where the driver is asynchronous.
    type Completed;

    /// Writes that the item is done.
    fn complete(self, completion: Completion) -> Self::Completed;
}

/// What a store answers from whether the item was still held.
///
/// # Errors
/// `Conflict` if it was not.
pub fn held(was_held: bool) -> Result<()> {
    if was_held {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, COMPLETE)
        .with_source("the item is somebody else's by now, or has ended; roll the transaction back"))
}

/// The step of completing, for a store's errors.
pub const COMPLETE: &str = "complete an item in the host's transaction";
