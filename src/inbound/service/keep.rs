//! Verified items become what is kept.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use crate::inbound::context::InboundContext;
use crate::inbound::outcome::{Genuine, Item};
use crate::inbound::received::{ItemVersion, Reading, Received};
use crate::inbound::scheme::Scheme;
use crate::inbound::scheme::field::Field;
use crate::inbound::service::known::ReadySource;
use crate::inbound::settings::InboundSettings;
use crate::ports::EntropyExt;
use crate::primitives::id::ReceivedId;

/// What is kept of a genuine request.
pub(super) fn kept(
    context: &InboundContext,
    source: &ReadySource,
    genuine: &Genuine,
    reading: Reading,
    headers: &HeaderMap,
    body: &Bytes,
    now: DateTime<Utc>,
) -> Vec<Received> {
    let headers = chosen(source, headers);
    let one = |item: &Item| {
        let id = ReceivedId::mint(now, context.entropy.bytes());
        // The ranges are the envelope's own; a wrong one keeps the whole body.
        let body =
            if body.get(item.body.clone()).is_some() { body.slice(item.body.clone()) } else { body.clone() };
        let (name, owner) = (source.name.clone(), source.owner.clone());
        let mut received = Received::new(id, source.id, name, owner, key(&item.dedupe_key), now, body);
        received.guard = item.guard.as_deref().map(key);
        received.event_id = item.event_id.as_deref().map(bounded);
        received.kind = bounded(&item.kind);
        received.tenant_key = item.tenant_key.as_deref().map(key);
        // Nothing happens after it was received: a time far ahead would outdate all that comes behind it.
        received.version = ItemVersion::new(item.occurred_at.map(|at| at.min(now)), item.sequence);
        received.reading = reading;
        received.headers.clone_from(&headers);
        if let Some(route) = context.router.find(&received.name, &received.kind) {
            received.order_key = route.order_key(&received.body).as_deref().map(key);
            received.subject = route.subject(&received.body).as_deref().map(key);
        }
        received
    };
    genuine.items.iter().map(one).collect()
}

/// A key as it is, or its digest where it is long or has characters that not every store keeps: keys stand in indexes.
pub(super) fn key(text: &str) -> Arc<str> {
    if text.len() <= LONGEST_KEY && !text.chars().any(char::is_control) {
        return text.into();
    }
    format!("sha256:{}", hex::encode(Sha256::digest(text))).into()
}

/// The beginning of a text that people read.
fn bounded(text: &str) -> Arc<str> {
    // No text has more characters than bytes.
    if text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control) {
        return text.into();
    }
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect::<String>().into()
}

/// The headers that are kept: those that the scheme reads ids and types from, and those that the hub's settings name.
pub(super) fn kept_headers(scheme: &Scheme, settings: &InboundSettings) -> Vec<(HeaderName, Arc<str>)> {
    let envelope = &scheme.reception.envelope;
    let fields = envelope
        .event_id
        .iter()
        .chain(&envelope.delivery_id)
        .chain(&envelope.kind)
        .chain(&envelope.tenant_key);
    let read = fields.filter_map(|field| match field {
        Field::Header(names) => Some(names),
        _ => None,
    });
    let mut names: Vec<&HeaderName> = read.flatten().chain(&settings.keep_headers).collect();
    names.sort_by_key(|name| name.as_str());
    names.dedup();
    names.into_iter().map(|name| (name.clone(), name.as_str().into())).collect()
}

fn chosen(source: &ReadySource, headers: &HeaderMap) -> Vec<(Arc<str>, Arc<str>)> {
    let value = |name: &HeaderName| Some(bounded(headers.get(name)?.to_str().ok()?));
    source.keeps.iter().filter_map(|(name, text)| Some((Arc::clone(text), value(name)?))).collect()
}

const LONGEST_KEY: usize = 256;
const LONGEST_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_no_index_takes_are_kept_as_their_digest() {
        assert_eq!(&*key("evt_1"), "evt_1");
        for text in ["a\0b".to_owned(), "x".repeat(257), "a\nb".to_owned()] {
            assert_eq!(key(&text).len(), 71, "{text}");
        }
        assert_ne!(key("a\0b"), key("a\0c"));
    }

    #[test]
    fn texts_for_people_are_short_and_plain() {
        assert_eq!(&*bounded("invoice.paid\n"), "invoice.paid");
        assert_eq!(&*bounded("invoice.paid"), "invoice.paid");
        assert_eq!(bounded(&"ä".repeat(1_000)).chars().count(), 256);
    }
}
