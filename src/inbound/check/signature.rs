//! The whole rule: signature, parts and timestamp of one request.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use http::HeaderName;

use crate::error::Problem;
use crate::inbound::check::candidates::{Candidates, MOST};
use crate::inbound::check::key::key_bytes;
use crate::inbound::check::mac::Key;
use crate::inbound::outcome::{Refusal, Verified};
use crate::inbound::read::json;
use crate::inbound::read::places::{Places, only};
use crate::inbound::read::time;
use crate::inbound::request::{Request, SourceSecret};
use crate::inbound::scheme::field::{Field, Part, Pointer, WILDCARD};
use crate::inbound::scheme::model::{Algorithm, SignatureRule, TimestampRule, Unit};

/// A rule whose keys are ready.
#[derive(Clone, Debug)]
pub(in crate::inbound) struct PreparedSignature {
    rule: SignatureRule,
    keys: Vec<NamedKey>,
    /// Where the rule reads every text: headers by number have names that are made once.
    numbered: Vec<HeaderName>,
}

#[derive(Clone, Debug)]
struct NamedKey {
    name: Arc<str>,
    key: Key,
    not_after: Option<DateTime<Utc>>,
}

impl PreparedSignature {
    pub(in crate::inbound) fn new<'s>(
        rule: &SignatureRule,
        secrets: impl Iterator<Item = &'s SourceSecret>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keys = Vec::new();
        for secret in secrets {
            let key =
                key_bytes(secret.secret(), &rule.key).and_then(|bytes| Key::new(rule.algorithm, &bytes));
            match key {
                Ok(key) => {
                    keys.push(NamedKey { name: secret.shared_name(), key, not_after: secret.not_after() })
                }
                Err(refusal) => problems.push(refusal.problem(secret.name())),
            }
        }
        let numbered = match &rule.at {
            Field::Numbered(front) => numbered(front),
            _ => Vec::new(),
        };
        if problems.is_empty() { Ok(Self { rule: rule.clone(), keys, numbered }) } else { Err(problems) }
    }

    pub(in crate::inbound) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// A key that is in use now.
    pub(in crate::inbound) fn live_key(&self, now: DateTime<Utc>) -> Option<&Key> {
        self.live(now).next().map(|named| &named.key)
    }

    pub(in crate::inbound) fn verify(
        &self,
        request: &Request<'_>,
        now: DateTime<Utc>,
    ) -> Result<Verified, Refusal> {
        let places = Places::of(request);
        let Some(each) = &self.rule.each else {
            return self.verify_at(&places, now);
        };
        let document = places.document().ok_or(Refusal::UnreadablePart)?;
        let mut verified = Err(Refusal::Elements);
        for element in elements(document, each)? {
            verified = Ok(self.verify_at(&places.within(element), now)?);
        }
        verified
    }

    fn verify_at(&self, places: &Places<'_>, now: DateTime<Utc>) -> Result<Verified, Refusal> {
        let rule = &self.rule;
        let value = match rule.at {
            Field::Numbered(_) => None,
            ref field => Some(places.text(field)?.ok_or(Refusal::MissingSignature)?),
        };
        let decoded;
        let candidates = match &value {
            None => self.numbered_candidates(places)?,
            Some(value) if value.is_empty() => return Err(Refusal::MalformedSignature),
            Some(value) if rule.algorithm == Algorithm::BasicAuth => {
                decoded = credentials(value).ok_or(Refusal::MalformedSignature)?;
                Candidates::read(&decoded, &rule.format)?
            }
            Some(value) => Candidates::read(value, &rule.format)?,
        };
        let timestamp = self.timestamp(places, &candidates)?;
        let signed_at = match (&rule.timestamp, &timestamp) {
            (Some(rule), Some(text)) => Some(check_time(rule, text, now)?),
            _ => None,
        };
        let message = message(rule, places, timestamp.as_deref())?;
        let mut live = self.live(now).peekable();
        if live.peek().is_none() {
            return Err(Refusal::NoSecret);
        }
        let fits = live.find(|named| named.key.fits(&message, candidates.as_slice(), rule.text));
        fits.map(|named| Verified { matched_secret: Some(Arc::clone(&named.name)), signed_at, answer: None })
            .ok_or(Refusal::NoMatch)
    }

    fn numbered_candidates<'r>(&self, places: &Places<'r>) -> Result<Candidates<'r>, Refusal> {
        let mut candidates = Candidates::none();
        for (index, name) in self.numbered.iter().enumerate() {
            let Some(value) = only(places.request.headers, name)? else {
                break;
            };
            if index == MOST {
                return Err(Refusal::TooManyCandidates);
            }
            // One that is not of the form is skipped, as in a list.
            if let Ok(found) = Candidates::read(value.as_bytes(), &self.rule.format) {
                candidates.extend(&found)?;
            }
        }
        if candidates.as_slice().is_empty() { Err(Refusal::MissingSignature) } else { Ok(candidates) }
    }

    fn timestamp<'v, 'r: 'v>(
        &self,
        places: &Places<'r>,
        candidates: &Candidates<'v>,
    ) -> Result<Option<Cow<'v, [u8]>>, Refusal> {
        match &self.rule.timestamp {
            None => Ok(None),
            Some(TimestampRule { at: Some(field), .. }) => {
                places.text(field)?.ok_or(Refusal::MissingTimestamp).map(Some)
            }
            Some(TimestampRule { at: None, .. }) => {
                candidates.timestamp.ok_or(Refusal::MissingTimestamp).map(|text| Some(text.into()))
            }
        }
    }

    fn live(&self, now: DateTime<Utc>) -> impl Iterator<Item = &NamedKey> {
        self.keys.iter().filter(move |named| named.not_after.is_none_or(|end| now <= end))
    }
}

/// The message that is signed, piece by piece.
pub(in crate::inbound) fn message<'m, 'r: 'm>(
    rule: &'m SignatureRule,
    places: &Places<'r>,
    timestamp: Option<&'m [u8]>,
) -> Result<Vec<Cow<'m, [u8]>>, Refusal> {
    let text = |field: &Field| places.text(field)?.ok_or(Refusal::MissingPart);
    let mut message = Vec::with_capacity(rule.signed.len());
    for part in &rule.signed {
        message.push(match part {
            Part::Body => Cow::Borrowed(places.request.body),
            Part::Timestamp => Cow::Borrowed(timestamp.ok_or(Refusal::MissingTimestamp)?),
            Part::Id => match text(rule.id.as_ref().ok_or(Refusal::MissingPart)?)? {
                id if id.is_empty() => return Err(Refusal::MissingPart),
                id => id,
            },
            Part::Method => Cow::Borrowed(places.request.method.as_str().as_bytes()),
            Part::Url => match places.request.signed_url() {
                Cow::Borrowed(url) => Cow::Borrowed(url.as_bytes()),
                Cow::Owned(url) => Cow::Owned(url.into_bytes()),
            },
            Part::Text(literal) => Cow::Borrowed(literal.as_bytes()),
            Part::Field(field) => text(field)?,
            Part::Optional(field) => places.text(field)?.unwrap_or_default(),
        });
    }
    Ok(message)
}

/// The time of a request that is neither too old nor too new.
fn check_time(rule: &TimestampRule, text: &[u8], now: DateTime<Utc>) -> Result<DateTime<Utc>, Refusal> {
    let at = time::exact(text, rule.unit).ok_or(Refusal::InvalidTimestamp)?;
    // Whole seconds are compared with whole seconds: the boundary itself is still good.
    let now = if rule.unit == Unit::Seconds { now.trunc_subsecs(0) } else { now };
    let beyond = |age: TimeDelta, bound: Option<u64>| {
        let bound = bound.and_then(|seconds| i64::try_from(seconds).ok()).and_then(TimeDelta::try_seconds);
        bound.is_some_and(|bound| age > bound)
    };
    if beyond(now.signed_duration_since(at), rule.past) {
        Err(Refusal::Stale)
    } else if beyond(at.signed_duration_since(now), rule.future) {
        Err(Refusal::FromTheFuture)
    } else {
        Ok(at)
    }
}

/// `user:password` of a `Basic` header.
fn credentials(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| STANDARD.decode(rest).ok()).flatten()
}

/// The elements that carry a signature each, in the body's order.
fn elements<'t>(document: &'t str, each: &Pointer) -> Result<Vec<&'t str>, Refusal> {
    let unreadable = |_| Refusal::UnreadablePart;
    let mut found = vec![document];
    let mut steps = each.tokens().split(|step| step == WILDCARD).peekable();
    while let Some(way) = steps.next() {
        let mut next = Vec::new();
        for value in found {
            let value = json::find(value, way).map_err(unreadable)?.ok_or(Refusal::Elements)?;
            if steps.peek().is_none() {
                next.push(value);
            } else {
                next.extend(
                    json::elements(value, MOST_ELEMENTS).map_err(unreadable)?.ok_or(Refusal::Elements)?,
                );
            }
            if next.len() > MOST_ELEMENTS {
                return Err(Refusal::Elements);
            }
        }
        found = next;
    }
    Ok(found)
}

fn numbered(front: &str) -> Vec<HeaderName> {
    (1..=MOST + 1)
        .filter_map(|number| HeaderName::from_bytes(format!("{front}{number}").as_bytes()).ok())
        .collect()
}

const MOST_ELEMENTS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn second(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_timestamp_is_good_up_to_the_boundary_itself() {
        let rule = TimestampRule::within(300);
        for (text, verdict) in [
            ("1301", Err(Refusal::FromTheFuture)),
            ("1300", Ok(1_300)),
            ("700", Ok(700)),
            ("699", Err(Refusal::Stale)),
            ("0", Err(Refusal::Stale)),
            ("9223372036854775807", Err(Refusal::InvalidTimestamp)),
            ("-9223372036854775808", Err(Refusal::InvalidTimestamp)),
        ] {
            let now = second(1_000) + TimeDelta::milliseconds(999);
            let found = check_time(&rule, text.as_bytes(), now).map(|time| time.timestamp());

            assert_eq!(found, verdict, "{text}");
        }
    }

    #[test]
    fn a_boundless_tolerance_does_not_overflow() {
        let rule = TimestampRule::within(u64::MAX);

        for now in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert!(check_time(&rule, b"8210266876799", now).is_ok());
        }
    }

    #[test]
    fn every_element_of_every_array_on_the_way_is_found() {
        let document = r#"{"a":[{"b":[1,2]},{"b":[]},{"b":[3]}]}"#;
        let found = |pointer: &str| elements(document, &pointer.parse().unwrap());

        assert_eq!(found("/a/*/b/*"), Ok(vec!["1", "2", "3"]));
        assert_eq!(found("/a/*/b").map(|all| all.len()), Ok(3));
        assert_eq!(found("/a/*/c"), Err(Refusal::Elements));
        assert_eq!(found("/x/*"), Err(Refusal::Elements));
    }
}
