//! What one request is made of, as far as signatures go.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::HeaderValue;

use crate::primitives::id::EventId;

/// What one request is made of, as far as signatures go.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The event's id, the same on every attempt.
    pub id: &'a MessageId,
    /// When this attempt is made.
    pub timestamp: DateTime<Utc>,
    /// The webhook's URL as it was subscribed.
    pub url: &'a str,
    /// The exact bytes that are sent.
    pub body: &'a [u8],
}

/// The value of `webhook-id`: 1 to 128 visible ASCII characters, none of them a full stop.
///
/// A full stop would leave open where the id ends in `{id}.{timestamp}.{body}`. Make it once per event: cloning is
/// cheap, and signing does not look at it again.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::primitives::EventId;
/// use crossdock::webhooks::sign::MessageId;
///
/// let event = EventId::mint(DateTime::UNIX_EPOCH, [0; 10]);
///
/// assert_eq!(MessageId::from(event).as_str(), event.to_string());
/// assert!("evt.1".parse::<MessageId>().is_err());
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct MessageId(HeaderValue);

/// The text is not the id of a message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a message's id is 1 to 128 visible ASCII characters without a full stop")]
pub struct InvalidMessageId;

impl MessageId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The id.
    pub fn as_str(&self) -> &str {
        // Visible ASCII only, so this is all of it.
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn value(&self) -> &HeaderValue {
        &self.0
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
        if !(1..=Self::MAX_BYTES).contains(&text.len()) || !text.bytes().all(good) {
            return Err(InvalidMessageId);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| InvalidMessageId)
    }
}

impl From<EventId> for MessageId {
    fn from(id: EventId) -> Self {
        let value = HeaderValue::from_maybe_shared(Bytes::from(id.to_string()));
        Self(value.expect("an event's id is short and made of letters, digits and an underscore"))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Seconds in decimal digits between two full stops; formatting them takes longer than signing can spare.
///
/// The full stops are those of `{id}.{timestamp}.{body}`: hashing three pieces takes less time than hashing five.
#[derive(Clone)]
pub(super) struct Seconds {
    seconds: i64,
    text: [u8; MAX_DIGITS + 2],
    start: usize,
    value: HeaderValue,
}

impl Seconds {
    /// The messages of a second share what is made of it.
    #[inline]
    pub(super) fn at(seconds: i64) -> Self {
        thread_local! {
            static LAST: RefCell<Option<Seconds>> = const { RefCell::new(None) };
        }
        LAST.with_borrow_mut(|last| match last {
            Some(last) if last.seconds == seconds => last.clone(),
            _ => last.insert(Self::new(seconds)).clone(),
        })
    }

    fn new(seconds: i64) -> Self {
        let mut text = [b'.'; MAX_DIGITS + 2];
        let mut start = MAX_DIGITS + 1;
        let mut rest = seconds.unsigned_abs();
        // Two at a time: each division waits for the one before it.
        while rest >= 10 {
            let pair = (rest % 100) as u8;
            start -= 2;
            text[start] = b'0' + pair / 10;
            text[start + 1] = b'0' + pair % 10;
            rest /= 100;
        }
        if rest > 0 || seconds == 0 {
            start -= 1;
            text[start] = b'0' + rest as u8;
        }
        if seconds < 0 {
            start -= 1;
            text[start] = b'-';
        }
        let value =
            HeaderValue::from_bytes(&text[start..=MAX_DIGITS]).expect("digits and a sign are visible ASCII");
        Self { seconds, text, start, value }
    }

    /// The value of `webhook-timestamp`.
    #[inline]
    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }

    #[inline]
    pub(super) fn digits(&self) -> &[u8] {
        &self.text[self.start..MAX_DIGITS + 1]
    }

    #[inline]
    pub(super) fn between_full_stops(&self) -> &[u8] {
        &self.text[self.start - 1..]
    }
}

/// Nineteen digits and a sign.
const MAX_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_formatting_would() {
        for number in [0, 7, 10, 100, 101, 101, 1_614_265_330, 7, i64::MAX, -1, -10, i64::MIN] {
            let seconds = Seconds::at(number);

            assert_eq!(seconds.digits(), number.to_string().as_bytes());
            assert_eq!(seconds.value().as_bytes(), number.to_string().as_bytes());
            assert_eq!(seconds.between_full_stops(), format!(".{number}.").as_bytes());
        }
    }

    #[test]
    fn an_id_is_short_visible_and_without_a_full_stop() {
        let longest = "x".repeat(MessageId::MAX_BYTES);
        let too_long = "x".repeat(MessageId::MAX_BYTES + 1);

        for text in ["evt_1", "~", &longest] {
            assert_eq!(text.parse::<MessageId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "evt.1", "evt 1", "evt_\t", "evt_\r\n", "evt_\x7f", "\u{e9}vt", &too_long] {
            assert_eq!(text.parse::<MessageId>(), Err(InvalidMessageId), "{text:?}");
        }
    }
}
