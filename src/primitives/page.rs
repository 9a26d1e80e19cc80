//! How every listing is paged.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::primitives::id::{parse_base32, write_base32};

/// One page of a listing, newest first unless the listing says otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// What is on this page.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Cursor>,
}

/// Which page is wanted.
///
/// ```
/// use crossdock::primitives::PageRequest;
///
/// let first = PageRequest::first(50);
///
/// assert_eq!(first.limit(), 50);
/// assert_eq!(PageRequest::first(100_000).limit(), PageRequest::MAX);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageRequest {
    limit: usize,
    after: Option<Cursor>,
}

/// A stable place in a listing: rows that appear or vanish elsewhere do not move it.
///
/// A cursor holds no tenant and grants nothing: a listing always filters by its own tenant.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Cursor(Uuid);

/// The text is not a cursor that this crate has given out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a cursor is the text that the page before this one gave as `next`")]
pub struct InvalidCursor;

impl<T> Page<T> {
    /// A page as a store gives it.
    pub fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self { items, next }
    }

    /// Cuts a page out of what was found behind its cursor: one more than fits says that there is a next page.
    ///
    /// ```
    /// use crossdock::primitives::{Cursor, Page, PageRequest};
    /// use uuid::Uuid;
    ///
    /// let found = [5, 4, 3].map(Uuid::from_u128);
    ///
    /// let page = Page::cut(found, PageRequest::first(2), |row| Cursor::behind(*row));
    ///
    /// assert_eq!(page.items, found[..2]);
    /// assert_eq!(page.next, Some(Cursor::behind(found[1])));
    /// ```
    pub fn cut(
        found: impl IntoIterator<Item = T>,
        request: PageRequest,
        place: impl FnOnce(&T) -> Cursor,
    ) -> Self {
        let mut found = found.into_iter();
        let items: Vec<_> = found.by_ref().take(request.limit()).collect();
        let next = found.next().and_then(|_| items.last().map(place));
        Self { items, next }
    }

    /// The same page with every item turned into something else.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next: self.next }
    }
}

impl PageRequest {
    /// No page holds more items than this.
    pub const MAX: usize = 1_000;

    /// The first page, with at most `limit` items (at least 1, at most [`PageRequest::MAX`]).
    pub fn first(limit: usize) -> Self {
        Self { limit: limit.clamp(1, Self::MAX), after: None }
    }

    /// The page that begins behind the cursor.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// How many items at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Behind which place the page begins.
    pub fn cursor(&self) -> Option<Cursor> {
        self.after
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(50)
    }
}

impl Cursor {
    /// The place behind the row with this id.
    pub const fn behind(row: Uuid) -> Self {
        Self(row)
    }

    /// The id of the row behind which the page begins.
    pub const fn row(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cur_")?;
        write_base32(self.0, f)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("cur_").and_then(parse_base32).map(Self).ok_or(InvalidCursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_just_full_is_the_last_one() {
        let cut = |found: std::ops::Range<u128>| {
            Page::cut(found, PageRequest::first(2), |&row| Cursor::behind(Uuid::from_u128(row)))
        };

        assert_eq!(cut(0..0), Page::new(vec![], None));
        assert_eq!(cut(0..2), Page::new(vec![0, 1], None));
        assert_eq!(cut(0..3), Page::new(vec![0, 1], Some(Cursor::behind(Uuid::from_u128(1)))));
    }

    #[test]
    fn a_cursor_survives_the_way_through_text() -> Result<(), InvalidCursor> {
        let cursor = Cursor::behind(Uuid::from_u128(7));

        assert_eq!(cursor.to_string().parse::<Cursor>()?, cursor);
        assert!("cur_7".parse::<Cursor>().is_err());
        Ok(())
    }
}
