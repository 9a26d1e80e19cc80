//! What a store says when a key or an id is taken: the same words in every store.

use crate::error::Problem;

/// The idempotency key of the publication at this place was used with another type or payload.
///
/// ```
/// use crossdock::webhooks::conflicts::key_was_used;
/// use crossdock::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Conflict, "publish events").with_problem(key_was_used(2));
///
/// assert_eq!(error.problems()[0].field, "publications[2].idempotency_key");
/// ```
pub fn key_was_used(index: usize) -> Problem {
    Problem::new(
        format!("publications[{index}].idempotency_key"),
        "the key was used for another event",
        "use a new key, or publish the same bytes as before",
    )
}

/// There is an event with the id of the publication at this place; `None` if the store cannot tell which.
pub fn event_exists(index: Option<usize>) -> Problem {
    let place = index.map(|index| index.to_string()).unwrap_or_default();
    Problem::new(
        format!("publications[{place}].event.id"),
        "there is an event with this id",
        "mint a new id for every event",
    )
}

/// There is a delivery with the id of one that fan-out was to make.
pub fn delivery_exists() -> Problem {
    Problem::new("entries", "there is a delivery with one of these ids", "mint a new id for every delivery")
}
