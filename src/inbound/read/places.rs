//! The text that a field names, in one request.

use std::borrow::Cow;
use std::cell::OnceCell;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::inbound::outcome::Refusal;
use crate::inbound::read::{form, json};
use crate::inbound::request::Request;
use crate::inbound::scheme::field::Field;

/// A request, and the element of its body that is looked at.
pub(in crate::inbound) struct Places<'r> {
    pub(in crate::inbound) request: &'r Request<'r>,
    document: OnceCell<Option<&'r str>>,
    element: Option<&'r str>,
}

impl<'r> Places<'r> {
    pub(in crate::inbound) fn of(request: &'r Request<'r>) -> Self {
        Self { request, document: OnceCell::new(), element: None }
    }

    /// The same request, where `json:` pointers start at this element.
    pub(in crate::inbound) fn within(&self, element: &'r str) -> Self {
        Self { request: self.request, document: self.document.clone(), element: Some(element) }
    }

    /// The body as text; `None` if it is no UTF-8.
    pub(in crate::inbound) fn document(&self) -> Option<&'r str> {
        *self.document.get_or_init(|| std::str::from_utf8(self.request.body).ok())
    }

    /// The text there, as it came; `None` if there is none.
    ///
    /// What is there twice, or in a body that cannot be read, is refused.
    pub(in crate::inbound) fn text(&self, field: &Field) -> Result<Option<Cow<'r, [u8]>>, Refusal> {
        let unreadable = || Refusal::UnreadablePart;
        match field {
            Field::Header(names) => Ok(self.header(names)?.map(|value| value.as_bytes().into())),
            Field::Numbered(_) => Ok(None),
            Field::Query(name) => form::find(self.request.query_text().as_bytes(), name)
                .map(|value| value.map(bytes_of))
                .map_err(|_| unreadable()),
            Field::Form(_) if !self.is_form() => Ok(None),
            Field::Form(name) => {
                form::find(self.request.body, name).map(|value| value.map(bytes_of)).map_err(|_| unreadable())
            }
            Field::Json(pointer) => {
                let start = self.element.or_else(|| self.document()).ok_or_else(unreadable)?;
                let value = json::find(start, pointer.tokens()).map_err(|_| unreadable())?;
                Ok(value.and_then(json::text).map(bytes_of))
            }
            Field::Document(pointer) => {
                let value = json::find(self.document().ok_or_else(unreadable)?, pointer.tokens())
                    .map_err(|_| unreadable())?;
                Ok(value.and_then(json::text).map(bytes_of))
            }
        }
    }

    fn header(&self, names: &[HeaderName]) -> Result<Option<&'r HeaderValue>, Refusal> {
        for name in names {
            if let Some(value) = only(self.request.headers, name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Whether the body says that it is a form, and does not look like JSON: nobody signs the content type, and under another one a
    /// captured request would have no id.
    pub(in crate::inbound) fn is_form(&self) -> bool {
        content_type(self.request.headers).eq_ignore_ascii_case("application/x-www-form-urlencoded")
            && !self.looks_like_json()
    }

    fn looks_like_json(&self) -> bool {
        matches!(self.request.body.trim_ascii_start().first(), Some(b'{' | b'['))
    }
}

/// The one value of a header.
pub(in crate::inbound) fn only<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Refusal::RepeatedHeader),
    }
}

/// The content type without its parameters; empty if there is none.
pub(in crate::inbound) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
