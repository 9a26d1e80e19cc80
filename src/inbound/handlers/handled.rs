//! What a handler can answer.

use std::fmt::Display;
use std::time::Duration;

/// What a handler made of an item.
///
/// A handler may return this, nothing at all, or a `Result` of either: an error means that the item is tried again, by the route's schedule.
///
/// ```
/// use std::time::Duration;
/// use crossdock::inbound::{Handled, IntoHandled};
///
/// assert_eq!(().into_handled(), Handled::Done);
/// assert_eq!(Ok::<(), String>(()).into_handled(), Handled::Done);
/// let busy: Result<Handled, String> = Ok(Handled::Retry(Duration::from_secs(60)));
/// assert_eq!(busy.into_handled(), Handled::Retry(Duration::from_secs(60)));
/// assert_eq!(Err::<(), _>("no such plan").into_handled(), Handled::Failed("no such plan".to_owned()));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Handled {
    /// It is done.
    Done,
    /// It is to be tried again after this time, if the route's schedule has an attempt left.
    Retry(Duration),
    /// It went wrong like this, and is to be tried again by the route's schedule. The text is kept, and shown to whoever owns the source.
    Failed(String),
    /// It will never work, for this reason: it becomes a dead letter at once. The text is kept, and shown to whoever owns the source.
    Dead(String),
}

/// What a handler's answer comes to.
pub trait IntoHandled {
    /// The answer.
    fn into_handled(self) -> Handled;
}

impl IntoHandled for Handled {
    fn into_handled(self) -> Handled {
        self
    }
}

impl IntoHandled for () {
    fn into_handled(self) -> Handled {
        Handled::Done
    }
}

impl<T: IntoHandled, E: Display> IntoHandled for Result<T, E> {
    fn into_handled(self) -> Handled {
        self.map_or_else(|error| Handled::Failed(error.to_string()), T::into_handled)
    }
}
