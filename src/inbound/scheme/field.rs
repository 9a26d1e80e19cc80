//! Where in a request something stands, as a short text.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use serde::{Deserialize, Serialize};

/// A place in a request that holds one text.
///
/// | text | means |
/// |---|---|
/// | `header:x-id` | this header; `header:x-id\|y-id` is the first of them that is there |
/// | `headers:x-signature-` | the headers `x-signature-1`, `x-signature-2`, … |
/// | `query:id` | a parameter of the URL's query |
/// | `form:id` | a field of an `application/x-www-form-urlencoded` body |
/// | `json:/data/id` | a JSON pointer into the body; of a batch, into the element |
/// | `document:/account` | a JSON pointer into the whole body, also in a batch; `*` follows the element's own way |
///
/// ```
/// use crossdock::inbound::Field;
///
/// let field: Field = "json:/data/id".parse()?;
///
/// assert_eq!(field.to_string(), "json:/data/id");
/// assert!("body:/data/id".parse::<Field>().is_err());
/// # Ok::<(), crossdock::inbound::InvalidField>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Field {
    /// The first of these headers that is there.
    Header(Vec<HeaderName>),
    /// All headers of this beginning and a number from 1.
    Numbered(String),
    /// A parameter of the query.
    Query(String),
    /// A field of a form body.
    Form(String),
    /// A pointer into the body, or into the element of a batch.
    Json(Pointer),
    /// A pointer into the whole body.
    Document(Pointer),
}

/// One part of the message that is signed.
///
/// | text | means |
/// |---|---|
/// | `body` | the body as it came |
/// | `timestamp`, `id` | the scheme's timestamp and id, as they came |
/// | `method`, `url` | the method; the URL that the sender was told |
/// | `text:v0:` | these characters |
/// | a [`Field`] | the text there |
/// | `?` before a field | the text there, or nothing if it is missing |
///
/// ```
/// use crossdock::inbound::{Part, Scheme};
///
/// let parts: Vec<Part> = serde_json::from_str(r#"["timestamp", "text:.", "body"]"#)?;
///
/// assert_eq!(parts, [Part::Timestamp, Part::Text(".".to_owned()), Part::Body]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Part {
    /// The body as it came.
    Body,
    /// The timestamp as it came.
    Timestamp,
    /// The message's id as it came.
    Id,
    /// The method, in capitals.
    Method,
    /// The configured public URL.
    Url,
    /// These characters.
    Text(String),
    /// What stands there; a request without it is refused.
    Field(Field),
    /// What stands there, or nothing.
    Optional(Field),
}

/// A JSON pointer (RFC 6901) in which `*` stands for every element of an array.
///
/// ```
/// use crossdock::inbound::Pointer;
///
/// let pointer: Pointer = "/entry/*/changes".parse()?;
///
/// assert_eq!(pointer.as_str(), "/entry/*/changes");
/// assert_eq!(pointer.wildcards(), 1);
/// assert!("entry".parse::<Pointer>().is_err());
/// # Ok::<(), crossdock::inbound::InvalidField>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// The text does not say where something stands.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidField {
    /// It begins with no word that is known.
    #[error("a field begins with `header:`, `headers:`, `query:`, `form:`, `json:` or `document:`")]
    Kind,
    /// The name of the header is none.
    #[error("`{0}` is not the name of a header")]
    Header(String),
    /// A name or text is missing or too long.
    #[error("a name has 1 to 256 bytes")]
    Length,
    /// The pointer is none.
    #[error("a JSON pointer is empty or begins with `/`, and has at most 16 steps")]
    Pointer,
}

impl FromStr for Field {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or(InvalidField::Kind)?;
        let name = || match rest.len() {
            1..=MAX_NAME => Ok(rest.to_owned()),
            _ => Err(InvalidField::Length),
        };
        match kind {
            "header" => rest.split('|').map(header).collect::<Result<_, _>>().map(Self::Header),
            // The number is appended, so what makes a name of it must be a name itself.
            "headers" => header(rest).map(|front| Self::Numbered(front.as_str().to_owned())),
            "query" => name().map(Self::Query),
            "form" => name().map(Self::Form),
            "json" => rest.parse().map(Self::Json),
            "document" => rest.parse().map(Self::Document),
            _ => Err(InvalidField::Kind),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(names) => {
                for (index, name) in names.iter().enumerate() {
                    write!(f, "{}{name}", if index == 0 { "header:" } else { "|" })?;
                }
                Ok(())
            }
            Self::Numbered(front) => write!(f, "headers:{front}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Form(name) => write!(f, "form:{name}"),
            Self::Json(pointer) => write!(f, "json:{}", pointer.text),
            Self::Document(pointer) => write!(f, "document:{}", pointer.text),
        }
    }
}

impl FromStr for Part {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "body" => Self::Body,
            "timestamp" => Self::Timestamp,
            "id" => Self::Id,
            "method" => Self::Method,
            "url" => Self::Url,
            _ => match (text.strip_prefix("text:"), text.strip_prefix('?')) {
                (Some(literal), _) if literal.len() <= MAX_NAME => Self::Text(literal.to_owned()),
                (Some(_), _) => return Err(InvalidField::Length),
                (None, Some(field)) => Self::Optional(field.parse()?),
                (None, None) => Self::Field(text.parse()?),
            },
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("body"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Id => f.write_str("id"),
            Self::Method => f.write_str("method"),
            Self::Url => f.write_str("url"),
            Self::Text(text) => write!(f, "text:{text}"),
            Self::Field(field) => field.fmt(f),
            Self::Optional(field) => write!(f, "?{field}"),
        }
    }
}

impl Pointer {
    /// The whole document.
    pub const fn root() -> Self {
        Self { text: String::new(), tokens: Vec::new() }
    }

    /// The text, as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many times it goes through every element of an array.
    pub fn wildcards(&self) -> usize {
        self.tokens.iter().filter(|token| *token == WILDCARD).count()
    }

    /// The steps, unescaped.
    pub(in crate::inbound) fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

impl FromStr for Pointer {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let steps = text.strip_prefix('/').ok_or(InvalidField::Pointer)?;
        if text.len() > MAX_NAME || steps.split('/').count() > MAX_STEPS {
            return Err(InvalidField::Pointer);
        }
        let tokens = steps.split('/').map(unescaped).collect::<Option<_>>().ok_or(InvalidField::Pointer)?;
        Ok(Self { text: text.to_owned(), tokens })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

macro_rules! written_as_text {
    ($($name:ty),+) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidField;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )+};
}

written_as_text!(Field, Part, Pointer);

fn header(name: &str) -> Result<HeaderName, InvalidField> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| InvalidField::Header(name.chars().take(64).collect()))
}

fn unescaped(token: &str) -> Option<String> {
    let mut text = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '~' => match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(text)
}

/// Stands for every element of an array.
pub(in crate::inbound) const WILDCARD: &str = "*";
const MAX_NAME: usize = 256;
const MAX_STEPS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_as_it_was_read() {
        for text in [
            "header:x-id",
            "header:x-id|y-id",
            "headers:x-signature-",
            "query:id",
            "form:a b",
            "json:",
            "json:/a~1b/0",
            "document:/entry/*/id",
        ] {
            assert_eq!(text.parse::<Field>().map(|field| field.to_string()).as_deref(), Ok(text));
        }
        for text in ["body", "timestamp", "id", "method", "url", "text:", "text:v0:", "?json:/a", "header:x"]
        {
            assert_eq!(text.parse::<Part>().map(|part| part.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_field_is_refused_by_its_rule() {
        for (text, refusal) in [
            ("", InvalidField::Kind),
            ("x-id", InvalidField::Kind),
            ("body:/a", InvalidField::Kind),
            ("header:", InvalidField::Header(String::new())),
            ("header:a b", InvalidField::Header("a b".to_owned())),
            ("query:", InvalidField::Length),
            ("json:a", InvalidField::Pointer),
            ("json:/~2", InvalidField::Pointer),
            ("json:/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0", InvalidField::Pointer),
        ] {
            assert_eq!(text.parse::<Field>(), Err(refusal), "{text}");
        }
    }
}
