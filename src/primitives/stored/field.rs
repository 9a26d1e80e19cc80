//! How the parts of a record are written: ids and names as text, times, lengths of time, bytes, rates.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::primitives::stored::word::Word;

/// What has a text of its own that it can be parsed from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Text<T>(pub(crate) T);

/// An enum by its word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<T>(pub(crate) T);

/// A text that is shared.
#[derive(Clone, Debug)]
pub(crate) struct Label(pub(crate) Arc<str>);

/// A time, to the nanosecond, leap seconds included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

/// A length of time in nanoseconds: a number, or its digits as text where they are more than a number should have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Nanos(pub(crate) Duration);

/// Bytes in base64.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base64(pub(crate) Bytes);

/// Bytes that mostly are text, and in base64 if they are none.
#[derive(Clone, Debug)]
pub(crate) struct MostlyText<T>(pub(crate) T);

/// A finite number, to the last bit: the digits are read by the standard library, which rounds to the nearest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exact(pub(crate) f64);

impl Nanos {
    pub(crate) fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl Base64 {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a field says nothing, so that it need not be written.
pub(crate) fn says_nothing<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parse(|text: &str| text.parse().ok().map(Self), PhantomData))
    }
}

impl<T: Word> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de, T: Word> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parse(|word: &str| T::from_word(word).map(Self), PhantomData))
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Straight from the text into its last place.
        deserializer.deserialize_str(Parse(|text: &str| Some(Self(text.into())), PhantomData))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // RFC 3339 with as many digits as it takes; years beyond 9999 have a sign.
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parse(|text: &str| text.parse().ok().map(Self), PhantomData))
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = self.0.as_nanos();
        match u64::try_from(nanos) {
            Ok(nanos) => serializer.serialize_u64(nanos),
            Err(_) => serializer.collect_str(&nanos),
        }
    }
}

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;

        impl Visitor<'_> for Count {
            type Value = Nanos;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("nanoseconds")
            }

            fn visit_u64<E: Error>(self, nanos: u64) -> Result<Nanos, E> {
                Ok(Nanos(Duration::from_nanos(nanos)))
            }

            fn visit_str<E: Error>(self, digits: &str) -> Result<Nanos, E> {
                let nanos: u128 = digits.parse().map_err(|_| unreadable())?;
                let seconds = u64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| unreadable())?;
                // Less than a second, so it fits.
                Ok(Nanos(Duration::new(seconds, (nanos % NANOS_PER_SECOND) as u32)))
            }
        }

        deserializer.deserialize_any(Count)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let decode = |text: &str| STANDARD.decode(text).ok().map(|bytes| Self(bytes.into()));
        deserializer.deserialize_str(Parse(decode, PhantomData))
    }
}

impl<T: AsRef<[u8]>> Serialize for MostlyText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.as_ref();
        match std::str::from_utf8(bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("base64", &format_args!("{}", Base64Display::new(bytes, &STANDARD)))?;
                map.end()
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MostlyText<Cow<'a, [u8]>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Cow<'de, [u8]>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or bytes in base64")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text.as_bytes()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.as_bytes().to_vec()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                match (map.next_entry::<String, Base64>()?, map.next_key::<String>()?) {
                    (Some((name, Base64(bytes))), None) if name == "base64" => Ok(Cow::Owned(bytes.into())),
                    _ => Err(unreadable()),
                }
            }
        }

        deserializer.deserialize_any(Either).map(Self)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <&RawValue>::deserialize(deserializer)?.get();
        let number: f64 = digits.parse().map_err(|_| unreadable())?;
        if number.is_finite() { Ok(Self(number)) } else { Err(unreadable()) }
    }
}

/// Takes a text as the given function understands it.
struct Parse<F, T>(F, PhantomData<T>);

impl<F: FnOnce(&str) -> Option<T>, T> Visitor<'_> for Parse<F, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.0(text).ok_or_else(unreadable)
    }
}

/// Never repeats what could not be read.
fn unreadable<E: Error>() -> E {
    E::custom("unreadable")
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;
