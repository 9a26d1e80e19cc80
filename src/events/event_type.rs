//! Names of event types, and patterns over them.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of an event type: segments of `[A-Za-z0-9_]` joined by dots, at most 128 bytes.
///
/// ```
/// use crossdock::events::EventType;
///
/// let shipped: EventType = "shipment.shipped".parse()?;
///
/// assert_eq!(shipped.as_str(), "shipment.shipped");
/// assert!("SaleCreated".parse::<EventType>().is_ok());
/// assert!("shipment..shipped".parse::<EventType>().is_err());
/// # Ok::<(), crossdock::events::InvalidEventType>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventType(Arc<str>);

/// The text is not the name of an event type.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an event type is dot-separated segments of letters, digits and underscores, at most 128 bytes, such as `shipment.shipped`"
)]
pub struct InvalidEventType;

/// Which event types a webhook wants: an exact name, `shipment.*`, or `*`.
///
/// ```
/// use crossdock::events::EventPattern;
///
/// let pattern: EventPattern = "shipment.*".parse()?;
///
/// assert!(pattern.matches(&"shipment.shipped".parse()?));
/// assert!(pattern.matches(&"shipment.leg.started".parse()?));
/// assert!(!pattern.matches(&"shipments.shipped".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventPattern(Arc<str>);

/// The text is not a pattern over event types.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a pattern is an event type, an event type's beginning followed by `.*`, or `*`")]
pub struct InvalidPattern;

impl EventType {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EventPattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is no pattern but the name of one type.
    pub fn is_exact(&self) -> bool {
        !self.0.ends_with('*')
    }

    /// Whether a webhook with this pattern hears of that type.
    pub fn matches(&self, event_type: &EventType) -> bool {
        match self.0.strip_suffix('*') {
            Some("") => true,
            // What is left ends with a dot, so only whole segments match.
            Some(beginning) => event_type.as_str().starts_with(beginning),
            None => *self.0 == *event_type.0,
        }
    }
}

impl FromStr for EventType {
    type Err = InvalidEventType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_type_name(text) { Ok(Self(text.into())) } else { Err(InvalidEventType) }
    }
}

impl FromStr for EventPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix(".*").unwrap_or(text);
        if text == "*" || is_type_name(name) { Ok(Self(text.into())) } else { Err(InvalidPattern) }
    }
}

impl From<EventType> for EventPattern {
    fn from(event_type: EventType) -> Self {
        Self(event_type.0)
    }
}

impl Borrow<str> for EventType {
    /// A type hashes and compares like its name, so that maps keyed by types are looked up by names.
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_type_name(text: &str) -> bool {
    text.len() <= EventType::MAX_BYTES
        && text.split('.').all(|segment| {
            !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for name in ["a", "shipment.shipped", "SaleCreated", "ORDERRESPONSE", "a.b_1.C"] {
            assert!(name.parse::<EventType>().is_ok(), "{name}");
        }
        for name in ["", ".", "a.", ".a", "a..b", "a b", "a-b", "ä", "a.*", "*", &"a".repeat(129)] {
            assert_eq!(name.parse::<EventType>(), Err(InvalidEventType), "{name}");
        }
    }

    #[test]
    fn a_star_stands_for_whole_segments_at_the_end() {
        for pattern in ["", "*.a", "a*", "a.*.b", "a.**", "**", ".*", "a..*"] {
            assert_eq!(pattern.parse::<EventPattern>(), Err(InvalidPattern), "{pattern}");
        }
        for (pattern, name, matches) in [
            ("*", "a", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", true),
            ("a.*", "a", false),
            ("a.*", "ab.c", false),
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
        ] {
            let pattern: EventPattern = pattern.parse().expect("a pattern");
            assert_eq!(pattern.matches(&name.parse().expect("a name")), matches, "{pattern} {name}");
        }
    }
}
