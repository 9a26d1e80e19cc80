//! Numbers that are written in the document.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::mapping::spec::described::Described;

/// An exact number in the document: a JSON number, or a string when it has more digits than a JSON reader keeps.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DecimalText(String);

impl DecimalText {
    /// The number as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DecimalText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<i64> for DecimalText {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl std::fmt::Display for DecimalText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for DecimalText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DecimalText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => {
                let text = number.to_string();
                // A reader without exact numbers has already changed what has more than fifteen digits.
                if number.is_f64() && text.bytes().filter(u8::is_ascii_digit).count() > 15 {
                    return Err(D::Error::custom("a number with so many digits must be written as a string"));
                }
                Ok(Self(text))
            }
            _ => Err(D::Error::custom("expected a number, or a number in a string")),
        }
    }
}

impl Described for DecimalText {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({"anyOf": [{"type": "number"}, {"type": "string"}]})
    }
}
