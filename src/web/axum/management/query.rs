//! Queries: known names only, each once; a list is separated by commas.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::error::Problem;
use crate::web::axum::answer::Failure;
use crate::web::axum::management::input;
use crate::web::tower::ProblemDocument;

/// The query of a request.
pub(super) struct Query<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let text = parts.uri.query().unwrap_or_default();
        let mut values = Map::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if values.insert(name.to_string(), Value::String(value.into_owned())).is_some() {
                let name: String = name.chars().take(64).collect();
                let fix = "leave one of them out; lists are separated by commas";
                return Err(bad(&Problem::new(name, "a name stands once", fix)));
            }
        }
        input::read(Value::Object(values)).map(Self).map_err(|problem| bad(&problem))
    }
}

/// The answer to a query that breaks a rule.
pub(super) fn bad(problem: &Problem) -> Failure {
    ProblemDocument::new(StatusCode::BAD_REQUEST).with_problem(problem).into()
}

/// A number or a word that stands in a query as text.
pub(super) fn text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
{
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map(Some).map_err(|_| D::Error::custom("a value of another kind is expected"))
}

/// A list in one text, separated by commas.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Texts<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Texts<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("values separated by commas")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.split(',').map(|part| T::deserialize(StrDeserializer::new(part))).collect()
        }
    }

    deserializer.deserialize_str(Texts(PhantomData))
}
