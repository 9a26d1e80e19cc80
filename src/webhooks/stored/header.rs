//! Headers in a record: those that a webhook sends, and those that the log keeps.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::primitives::stored::field::{MostlyText, Text, says_nothing};
use crate::webhooks::model::LoggedHeaders;

/// One header that every request of a webhook carries.
#[derive(Deserialize, Serialize)]
pub(super) struct KeptHeader {
    name: Text<HeaderName>,
    value: KeptValue,
    /// Whether the log shows that it was sent, and not what it was.
    #[serde(default, skip_serializing_if = "says_nothing")]
    sensitive: bool,
}

struct KeptValue(HeaderValue);

/// Headers of the log, as a list of pairs.
#[derive(Default)]
pub(super) struct KeptLines(pub(super) LoggedHeaders);

#[derive(Deserialize)]
struct KeptLine<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] MostlyText<Cow<'a, [u8]>>);

impl From<&(HeaderName, HeaderValue)> for KeptHeader {
    fn from((name, value): &(HeaderName, HeaderValue)) -> Self {
        Self { name: Text(name.clone()), value: KeptValue(value.clone()), sensitive: value.is_sensitive() }
    }
}

impl From<KeptHeader> for (HeaderName, HeaderValue) {
    fn from(KeptHeader { name, value: KeptValue(mut value), sensitive }: KeptHeader) -> Self {
        value.set_sensitive(sensitive);
        (name.0, value)
    }
}

impl Serialize for KeptValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        MostlyText(self.0.as_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeptValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let MostlyText(bytes) = MostlyText::<Cow<'de, [u8]>>::deserialize(deserializer)?;
        HeaderValue::from_bytes(&bytes).map(Self).map_err(|_| D::Error::custom("no header's value"))
    }
}

impl KeptLines {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for KeptLines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(name, value)| (name, MostlyText(value))))
    }
}

impl<'de> Deserialize<'de> for KeptLines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lines = Vec::<KeptLine<'de>>::deserialize(deserializer)?;
        let lines = lines.iter().map(|KeptLine(name, MostlyText(value))| (&**name, &**value));
        Ok(Self(LoggedHeaders::from_lines(lines)))
    }
}
