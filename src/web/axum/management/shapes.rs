//! Shapes that several resources speak: times, lengths of time, ids in paths, secrets on their way in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::error::{Error, Problem};
use crate::primitives::Secret;
use crate::web::axum::answer::Failure;
use crate::web::tower::ProblemDocument;

/// What a handler answers.
pub(super) type Answer = Result<Response, Failure>;

/// An instant, as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(super) struct Time(pub(super) DateTime<Utc>);

/// A secret on its way in. It is never shown.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, format = Password)]
pub(super) struct SecretText(pub(super) Secret);

/// An id or a name in the path; one that cannot be any record's is as good as missing.
pub(super) struct Named<T>(pub(super) T);

/// An enum of the API beside the domain's, word by word.
macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident of $domain:ty { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl From<$domain> for $name {
            fn from(value: $domain) -> Self {
                match value {
                    $(<$domain>::$variant => Self::$variant),+
                }
            }
        }

        impl From<$name> for $domain {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => Self::$variant),+
                }
            }
        }
    };
}

pub(super) use mirror;

impl From<DateTime<Utc>> for Time {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl From<Time> for DateTime<Utc> {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.with_timezone(&Utc));
        let time = time.filter(|time| (EARLIEST..=LATEST).contains(&time.timestamp()));
        // No store keeps more than microseconds, and what is stored must read back as it was sent.
        let time = time.and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()));
        time.map(Self).ok_or_else(|| D::Error::custom("a time is written as `2026-01-31T12:00:00Z`"))
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Named<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        text.and_then(|Path(text)| text.parse().ok()).map(Self).ok_or_else(missing)
    }
}

/// What every id that is not this tenant's answers.
pub(super) fn missing() -> Failure {
    ProblemDocument::new(StatusCode::NOT_FOUND).into()
}

/// A length of time, given in seconds.
pub(super) fn seconds(field: &str, seconds: f64, problems: &mut Vec<Problem>) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_else(|_| {
        problems.push(Problem::new(
            field,
            "a length of time is a number of seconds, not below 0",
            "give 30 for half a minute",
        ));
        Duration::ZERO
    })
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, shape: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(shape).map_err(|error| {
        Error::new(crate::error::ErrorKind::Internal, "write the answer").with_source(error)
    })?;
    Ok((status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

/// What is wrong with what was sent, if anything is.
pub(super) fn refuse(step: &'static str, problems: Vec<Problem>) -> Result<(), Failure> {
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid(step, problems).into()) }
}

/// A field that may be `null`, told from one that is left out.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// A field that may be left out, and never is `null`.
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl<T> fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Named")
    }
}

/// The years that every store can keep.
const EARLIEST: i64 = -62_135_596_800;
const LATEST: i64 = 253_402_300_799;
