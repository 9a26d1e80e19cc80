//! Requests that are no events and are answered at once.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde::de::IgnoredAny;
use subtle::ConstantTimeEq;

use crate::inbound::check::{Code, Key, digest_of};
use crate::inbound::outcome::{Refusal, Reply};
use crate::inbound::read::places::{Places, only};
use crate::inbound::request::SourceSecret;
use crate::inbound::scheme::model::SignatureText;
use crate::inbound::scheme::reception::{Condition, FixedAnswer, Handshake, Test, TokenCheck, Trust};
use crate::primitives::secret::Secret;

/// What a handshake may know of the source.
pub(in crate::inbound) struct Known<'k> {
    /// A key that is in use.
    pub(in crate::inbound) key: Option<&'k Key>,
    /// Whether the source has a secret at all.
    pub(in crate::inbound) has_secret: bool,
    /// All of its secrets.
    pub(in crate::inbound) secrets: &'k [SourceSecret],
    pub(in crate::inbound) now: DateTime<Utc>,
}

/// The reply to a handshake of this trust; `None` if the request is none.
pub(in crate::inbound) fn reply(
    handshakes: &[Handshake],
    trust: Trust,
    places: &Places<'_>,
    known: &Known<'_>,
) -> Option<Result<Reply, Refusal>> {
    handshakes.iter().filter(|handshake| trust_of(handshake) == trust).find_map(|handshake| match handshake {
        Handshake::QueryEcho { method, parameter, token } => {
            if !is_method(places, method.as_ref()) {
                return None;
            }
            let echo = text(places, &crate::inbound::scheme::Field::Query(parameter.clone()))?;
            Some(permitted(places, token.as_ref(), known).map(|()| Reply::text(echo)))
        }
        Handshake::BodyEcho { when, echo, .. } => {
            holds(places, when).then(|| text(places, echo)).flatten().map(|echo| Ok(Reply::text(echo)))
        }
        Handshake::HmacChallenge {
            method, when, token, text: written, prefix, member, token_member, ..
        } => {
            if !is_method(places, method.as_ref()) || !holds(places, when) {
                return None;
            }
            let token = text(places, token)?;
            Some(challenge(&token, *written, prefix, (member.as_deref(), token_member.as_deref()), known))
        }
        Handshake::HeaderEcho { header } => header_echo(places, header, known),
        Handshake::Ping { when, answer, .. } => holds(places, when).then(|| Ok(fixed(answer))),
        Handshake::Options => options(places),
    })
}

/// The reply that a scheme has written down.
pub(in crate::inbound) fn fixed(answer: &FixedAnswer) -> Reply {
    // The scheme was checked; what is no status all the same is an answer of ours, not of the sender's making.
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut reply = Reply::empty(status);
    if let Some(value) = answer.content_type.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
        reply = reply.with_header(http::header::CONTENT_TYPE, value);
    }
    reply.body = Bytes::from(answer.body.clone());
    reply
}

fn trust_of(handshake: &Handshake) -> Trust {
    match handshake {
        Handshake::BodyEcho { trust, .. }
        | Handshake::HmacChallenge { trust, .. }
        | Handshake::Ping { trust, .. } => *trust,
        Handshake::QueryEcho { .. } | Handshake::HeaderEcho { .. } | Handshake::Options => Trust::Unsigned,
    }
}

fn is_method(places: &Places<'_>, method: Option<&Method>) -> bool {
    method.is_none_or(|method| places.request.method == method)
}

fn holds(places: &Places<'_>, when: &[Condition]) -> bool {
    when.iter().all(|condition| match (&condition.test, places.text(&condition.field)) {
        // What is there twice or cannot be read is neither there nor not there.
        (_, Err(_)) => false,
        (Test::Present, Ok(found)) => found.is_some(),
        (Test::Absent, Ok(found)) => found.is_none(),
        (Test::Is(text), Ok(found)) => found.is_some_and(|found| *found == *text.as_bytes()),
    })
}

/// A text that may come back: not empty, and no longer than anybody needs.
fn text(places: &Places<'_>, field: &crate::inbound::scheme::Field) -> Option<Bytes> {
    let found = places.text(field).ok()??;
    (1..=LONGEST_ECHO).contains(&found.len()).then(|| Bytes::from(found.into_owned()))
}

fn permitted(places: &Places<'_>, token: Option<&TokenCheck>, known: &Known<'_>) -> Result<(), Refusal> {
    let Some(token) = token else {
        return Ok(());
    };
    let given = text(places, &crate::inbound::scheme::Field::Query(token.parameter.clone()));
    let given = digest_of(&given.ok_or(Refusal::MissingPart)?);
    let mut live = known.secrets.iter().filter(|secret| {
        secret.name() == token.secret && secret.not_after().is_none_or(|end| known.now <= end)
    });
    let mut refusal = Refusal::NoSecret;
    let fits = live.any(|secret| {
        refusal = Refusal::NoMatch;
        digest_of(secret.secret().expose()).ct_eq(&given).into()
    });
    if fits { Ok(()) } else { Err(refusal) }
}

/// The token's code.
///
/// Whoever asks gets the code of a text of their choice, so only texts are coded that can be no event: a token has
/// neither braces nor quotes nor spaces, and is short.
fn challenge(
    token: &Bytes,
    written: SignatureText,
    prefix: &str,
    members: (Option<&str>, Option<&str>),
    known: &Known<'_>,
) -> Result<Reply, Refusal> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(byte);
    if token.len() > LONGEST_TOKEN || !token.iter().all(is_token) {
        return Err(Refusal::UnreadablePart);
    }
    // Its code must not be one of an event that somebody then sends: a form, a number, a timestamp before a body.
    let bare = token.strip_suffix(b"==").or_else(|| token.strip_suffix(b"=")).unwrap_or(token);
    if bare.contains(&b'=') || serde_json::from_slice::<IgnoredAny>(token).is_ok() {
        return Err(Refusal::UnreadablePart);
    }
    let code: Code = known.key.and_then(|key| key.code(&[(&token[..]).into()])).ok_or(Refusal::NoSecret)?;
    let mut buffer = [0; crate::inbound::check::LONGEST_TEXT];
    let code = String::from_utf8_lossy(code.text(written, &mut buffer));
    let code = format!("{prefix}{code}");
    let (member, token_member) = members;
    let Some(member) = member else {
        return Ok(Reply::text(code));
    };
    let mut object = serde_json::Map::new();
    if let Some(token_member) = token_member {
        object.insert(token_member.to_owned(), String::from_utf8_lossy(token).into());
    }
    object.insert(member.to_owned(), code.into());
    Ok(Reply::json(serde_json::Value::Object(object).to_string()))
}

fn header_echo(
    places: &Places<'_>,
    header: &HeaderName,
    known: &Known<'_>,
) -> Option<Result<Reply, Refusal>> {
    let value = match only(places.request.headers, header) {
        Ok(value) => value?,
        Err(refusal) => return Some(Err(refusal)),
    };
    if known.has_secret {
        // It was kept once; whoever sends another one now wants to be believed with it.
        return None;
    }
    if !(MIN_KEPT_SECRET..=LONGEST_ECHO).contains(&value.len()) {
        return Some(Err(Refusal::UnreadablePart));
    }
    let secret = Secret::new(value.as_bytes().to_vec());
    let mut value = value.clone();
    value.set_sensitive(true);
    Some(Ok(Reply::empty(StatusCode::OK).with_header(header.clone(), value).with_kept_secret(secret)))
}

fn options(places: &Places<'_>) -> Option<Result<Reply, Refusal>> {
    if places.request.method != Method::OPTIONS {
        return None;
    }
    let origin = only(places.request.headers, &HeaderName::from_static("webhook-request-origin")).ok()??;
    if origin.len() > LONGEST_ECHO {
        return None;
    }
    Some(Ok(Reply::empty(StatusCode::OK)
        .with_header(HeaderName::from_static("webhook-allowed-origin"), origin.clone())
        .with_header(HeaderName::from_static("webhook-allowed-rate"), HeaderValue::from_static("*"))
        .with_header(http::header::ALLOW, HeaderValue::from_static("POST"))))
}

const LONGEST_ECHO: usize = 4096;
const LONGEST_TOKEN: usize = 128;
const MIN_KEPT_SECRET: usize = 16;
