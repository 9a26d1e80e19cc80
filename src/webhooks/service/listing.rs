//! Which page, and which span of time: read from what somebody has typed.

use chrono::{DateTime, Utc};

use crate::error::Problem;
use crate::primitives::page::{Cursor, PageRequest};

/// Where a page begins: a cursor, or the text of one.
///
/// ```
/// use crossdock::webhooks::DeliveryQuery;
///
/// let typed = DeliveryQuery::new().after("cur_00000000000000000000000007");
///
/// assert_ne!(typed, DeliveryQuery::new());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct After(Place);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Place {
    Cursor(Cursor),
    Text(String),
}

impl From<Cursor> for After {
    fn from(cursor: Cursor) -> Self {
        Self(Place::Cursor(cursor))
    }
}

impl From<&str> for After {
    fn from(text: &str) -> Self {
        Self(Place::Text(text.to_owned()))
    }
}

impl From<String> for After {
    fn from(text: String) -> Self {
        Self(Place::Text(text))
    }
}

/// The methods that choose a page, for whatever has a `limit` and an `after`: they are written, and documented, once.
macro_rules! paging {
    () => {
        /// At most so many, up to [`PageRequest::MAX`](crate::primitives::PageRequest::MAX).
        #[must_use]
        pub fn limit(mut self, limit: usize) -> Self {
            self.limit = Some(limit);
            self
        }

        /// The page behind this cursor, as the page before has given it or as a client has sent it.
        #[must_use]
        pub fn after(mut self, cursor: impl Into<After>) -> Self {
            self.after = Some(cursor.into());
            self
        }
    };
}

pub(crate) use paging;

/// The page that is wanted; without a limit, 50 items.
pub(crate) fn page(limit: Option<usize>, after: Option<&After>) -> Result<PageRequest, Problem> {
    let page = limit.map_or_else(PageRequest::default, PageRequest::first);
    let cursor = match after {
        None => return Ok(page),
        Some(After(Place::Cursor(cursor))) => *cursor,
        Some(After(Place::Text(text))) => {
            text.parse().map_err(|invalid: crate::primitives::InvalidCursor| {
                Problem::new(
                    "after",
                    invalid.to_string(),
                    "send it back unchanged, or leave it out for the first page",
                )
            })?
        }
    };
    Ok(page.after(cursor))
}

/// What is wrong with a span of time that begins at `from` and ends before `to`.
pub(crate) fn check_span(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Option<Problem> {
    match (from, to) {
        (Some(from), Some(to)) if from >= to => Some(Problem::new(
            "from",
            "a span of time begins before it ends; `to` itself is not part of it",
            "give a `from` that is earlier than `to`",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_cursor_may_come_as_text() {
        let cursor = Cursor::behind(uuid::Uuid::from_u128(7));

        let typed = page(Some(20), Some(&After::from(cursor.to_string())));

        assert_eq!(typed, page(Some(20), Some(&After::from(cursor))));
        assert_eq!(
            page(None, Some(&After::from("cur_7"))).map_err(|problem| problem.field),
            Err("after".to_owned())
        );
    }

    #[test]
    fn a_span_of_time_has_a_length() {
        let noon = DateTime::UNIX_EPOCH;
        let later = noon + TimeDelta::seconds(1);

        assert_eq!(check_span(Some(noon), Some(later)), None);
        assert_eq!(check_span(Some(noon), None), None);
        assert_eq!(check_span(None, Some(noon)), None);
        for to in [noon, noon - TimeDelta::seconds(1)] {
            assert!(check_span(Some(noon), Some(to)).is_some());
        }
    }
}
