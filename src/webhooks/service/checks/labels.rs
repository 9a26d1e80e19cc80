//! Names and labels: text that people read and events are compared with.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Problem;
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
    if channels.len() > MAX_CHANNELS {
        let rule = format!("a webhook has at most {MAX_CHANNELS} channels, this one has {}", channels.len());
        problems.push(Problem::new("channels", rule, "name fewer channels, or none to hear all events"));
        return Vec::new();
    }
    let mut taken: Vec<Arc<str>> = Vec::with_capacity(channels.len());
    for (index, channel) in channels.iter().enumerate() {
        problems.extend(check_label(&format!("channels[{index}]"), channel));
        if !taken.iter().any(|earlier| **earlier == **channel) {
            taken.push(channel.as_str().into());
        }
    }
    taken
}

pub(super) fn check_metadata(metadata: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    if metadata.len() > MAX_METADATA {
        let rule = format!("metadata has at most {MAX_METADATA} entries, this has {}", metadata.len());
        problems.push(Problem::new("metadata", rule, "keep what you look webhooks up by"));
        return;
    }
    for (index, (key, value)) in metadata.iter().enumerate() {
        // A key that breaks the rules cannot serve as a name.
        match check_label(&format!("metadata[{index}].key"), key) {
            Some(problem) => problems.push(problem),
            None if value.len() > MAX_LABEL || value.chars().any(char::is_control) => {
                problems.push(Problem::new(
                    format!("metadata[{key}]"),
                    format!("a value has at most {MAX_LABEL} bytes, none of them a control character"),
                    "shorten it, or keep it where the webhook's id leads to it",
                ));
            }
            None => {}
        }
    }
}

fn check_label(field: &str, text: &str) -> Option<Problem> {
    if (1..=MAX_LABEL).contains(&text.len()) && !text.chars().any(char::is_control) {
        return None;
    }
    let rule = format!("a label is 1 to {MAX_LABEL} bytes long and has no control characters");
    Some(Problem::new(field, rule, "give a short name or id, or leave the field out"))
}

const MAX_NAME: usize = 200;
// As long as what events carry, with which they are compared.
const MAX_LABEL: usize = 256;
const MAX_CHANNELS: usize = 100;
const MAX_METADATA: usize = 32;

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
