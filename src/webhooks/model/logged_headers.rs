//! Headers as the log keeps them.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers as the log keeps them: credentials redacted, all lines in one piece of memory.
///
/// A log holds very many of these for a long time. Keeping them as a map would take a dozen pieces of memory for each
/// attempt, and those, not the sending, would be what a delivery costs.
///
/// ```
/// use crossdock::webhooks::LoggedHeaders;
/// use http::{HeaderMap, HeaderValue};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("retry-after", HeaderValue::from_static("7"));
///
/// let logged = LoggedHeaders::from(&headers);
///
/// assert_eq!(logged.value("retry-after"), Some(b"7".as_slice()));
/// assert_eq!(logged.iter().collect::<Vec<_>>(), [("retry-after", b"7".as_slice())]);
/// ```
#[derive(Clone, Default)]
pub struct LoggedHeaders {
    /// Lines that come first and are the same for many attempts.
    shared: Bytes,
    own: Bytes,
}

impl LoggedHeaders {
    /// Lines as a store has kept them.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let lines: Vec<_> = lines.into_iter().collect();
        Self { shared: Bytes::new(), own: encoded(|| lines.iter().copied()) }
    }

    /// Puts the lines of another in front, without copying them.
    #[must_use]
    pub fn behind(mut self, shared: &Self) -> Self {
        self.shared = if shared.shared.is_empty() && self.shared.is_empty() {
            shared.own.clone()
        } else {
            encoded(|| shared.iter().chain(Lines(&self.shared)))
        };
        self
    }

    /// Every line: the name in lower case, and the value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        Lines(&self.shared).chain(Lines(&self.own))
    }

    /// The first value of this header.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.own.is_empty()
    }
}

impl From<&HeaderMap> for LoggedHeaders {
    /// Values that are marked as sensitive are redacted.
    fn from(headers: &HeaderMap) -> Self {
        Self { shared: Bytes::new(), own: encoded(|| headers.iter().map(line)) }
    }
}

impl PartialEq for LoggedHeaders {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for LoggedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))))
            .finish()
    }
}

fn line<'a>((name, value): (&'a HeaderName, &'a HeaderValue)) -> (&'a str, &'a [u8]) {
    (name.as_str(), if value.is_sensitive() { REDACTED } else { value.as_bytes() })
}

/// Each line is the lengths of name and value, and then both.
#[derive(Clone, Copy)]
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_first_chunk()?;
        let (value, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(u32::from_le_bytes(*name) as usize)?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value) as usize)?;
        self.0 = rest;
        Some((std::str::from_utf8(name).unwrap_or_default(), value))
    }
}

fn encoded<'a, I: Iterator<Item = (&'a str, &'a [u8])>>(lines: impl Fn() -> I) -> Bytes {
    // Exactly as much as it takes: spare room would be kept as long as the lines.
    let mut text = Vec::with_capacity(lines().map(|(name, value)| LENGTHS + name.len() + value.len()).sum());
    for (name, value) in lines() {
        // A longer one would be cut; no message is as long.
        let (name, value) = (&name.as_bytes()[..name.len().min(LONGEST)], &value[..value.len().min(LONGEST)]);
        text.extend_from_slice(&(name.len() as u32).to_le_bytes());
        text.extend_from_slice(&(value.len() as u32).to_le_bytes());
        text.extend_from_slice(name);
        text.extend_from_slice(value);
    }
    Bytes::from(text)
}

/// Stands in the log where a credential stood in the request.
const REDACTED: &[u8] = b"redacted";
const LENGTHS: usize = 2 * size_of::<u32>();
const LONGEST: usize = u32::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_redacted() {
        let mut secret = HeaderValue::from_static("Bearer t0ken");
        secret.set_sensitive(true);
        let headers: HeaderMap = [(http::header::AUTHORIZATION, secret)].into_iter().collect();

        let logged = LoggedHeaders::from(&headers);

        assert_eq!(logged.value("authorization"), Some(REDACTED));
        assert!(!format!("{logged:?}").contains("t0ken"));
    }

    #[test]
    fn shared_lines_come_first_and_are_not_copied() {
        let shared = LoggedHeaders::from_lines([("user-agent", b"crossdock/1".as_slice())]);
        let own = LoggedHeaders::from_lines([("webhook-id", b"evt_1".as_slice())]);

        let both = own.clone().behind(&shared);

        let names: Vec<_> = both.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["user-agent", "webhook-id"]);
        assert_eq!(both.shared.as_ptr(), shared.own.as_ptr());
        assert_eq!(LoggedHeaders::from_lines([("a", b"".as_slice())]).behind(&both).iter().count(), 3);
    }

    #[test]
    fn lines_are_kept_byte_for_byte_and_in_order() {
        let lines =
            [("set-cookie", b"a=1".as_slice()), ("x", b"\xff\x00"), ("set-cookie", b"b=2"), ("e", b"")];

        let logged = LoggedHeaders::from_lines(lines);

        assert!(logged.iter().eq(lines));
        assert_eq!(logged, logged.clone());
        assert_ne!(logged, LoggedHeaders::default());
        assert!(!logged.is_empty() && LoggedHeaders::default().is_empty());
    }
}
