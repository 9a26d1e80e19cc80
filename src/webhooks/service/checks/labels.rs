//! Names and labels: text that people read and events are compared with.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Problem;
use crate::events::label::{self, check_label};
use crate::primitives::egress::TenantUrl;

/// The name, or the URL's host.
pub(super) fn check_name(name: &str, url: Option<&TenantUrl>, problems: &mut Vec<Problem>) -> String {
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        problems.push(Problem::new(
            "name",
            format!("a name has at most {MAX_NAME} characters, none of them a control character"),
            "shorten it, or leave it out: the URL's host serves as a name",
        ));
    }
    match (name.trim(), url) {
        // A host is at most 253 characters long, and never a control character among them.
        ("", Some(url)) => url.host().chars().take(MAX_NAME).collect(),
        (name, _) => name.to_owned(),
    }
}

pub(super) fn check_owner(owner: Option<String>, problems: &mut Vec<Problem>) -> Option<Arc<str>> {
    let owner = owner?;
    problems.extend(check_label("owner", &owner));
    Some(owner.into())
}

/// The channels, each once.
pub(super) fn check_channels(channels: &[String], problems: &mut Vec<Problem>) -> Vec<Arc<str>> {
    if !label::check_channels("a webhook", channels.iter().map(String::as_str), MAX_CHANNELS, problems) {
        return Vec::new();
    }
    let mut taken: Vec<Arc<str>> = Vec::with_capacity(channels.len());
    for channel in channels {
        if !taken.iter().any(|earlier| **earlier == **channel) {
            taken.push(channel.as_str().into());
        }
    }
    taken
}

pub(super) fn check_metadata(metadata: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    let entries = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    label::check_metadata(entries, check_value, problems);
}

/// A value may be empty: the key says enough.
fn check_value(field: &str, value: &str) -> Option<Problem> {
    if value.is_empty() { None } else { check_label(field, value) }
}

const MAX_NAME: usize = 200;
const MAX_CHANNELS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(check: impl FnOnce(&mut Vec<Problem>)) -> Vec<String> {
        let mut problems = Vec::new();
        check(&mut problems);
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_name_is_short_and_printable() {
        for (name, fine) in [("", true), ("ERP Süd", true), ("a\nb", false), ("\0", false)] {
            assert_eq!(
                fields(|problems| drop(check_name(name, None, problems))).is_empty(),
                fine,
                "{name:?}"
            );
        }
        assert!(fields(|problems| drop(check_name(&"ü".repeat(200), None, problems))).is_empty());
        assert_eq!(fields(|problems| drop(check_name(&"ü".repeat(201), None, problems))), ["name"]);
    }

    #[test]
    fn labels_are_refused_where_they_stand() {
        let owner = |owner: &str| fields(|problems| drop(check_owner(Some(owner.into()), problems)));
        assert!(owner("merchant 7").is_empty());
        assert_eq!(owner(""), ["owner"]);
        assert_eq!(owner("a\r\nb"), ["owner"]);

        let channels = ["a", "", "b\0", &"c".repeat(257)].map(String::from);
        assert_eq!(
            fields(|problems| drop(check_channels(&channels, problems))),
            ["channels[1]", "channels[2]", "channels[3]"]
        );
        let many = vec!["a".to_owned(); 101];
        assert_eq!(fields(|problems| drop(check_channels(&many, problems))), ["channels"]);
    }

    #[test]
    fn a_repeated_channel_is_taken_once() {
        let mut problems = Vec::new();

        let taken = check_channels(&["a", "b", "a"].map(String::from), &mut problems);

        assert_eq!((taken, problems), (vec!["a".into(), "b".into()], vec![]));
    }

    #[test]
    fn metadata_is_refused_by_key() {
        let entries = |entries: Vec<(String, String)>| {
            let metadata = entries.into_iter().collect();
            fields(|problems| check_metadata(&metadata, problems))
        };
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());

        assert!(entries(vec![entry("team", ""), entry("region", "süd")]).is_empty());
        assert_eq!(entries(vec![entry("", "a"), entry("b", "\n")]), ["metadata[0].key", "metadata[b]"]);
        assert_eq!(entries((0..33).map(|key| entry(&key.to_string(), "")).collect()), ["metadata"]);
    }
}
