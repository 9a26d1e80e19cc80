//! What a label may say, whoever carries it: events, and the webhooks that are compared with them.

use crate::error::Problem;

/// The longest label, in bytes.
pub(crate) const MAX_LABEL: usize = 256;

/// Why the text is no label, if it is none.
pub(crate) fn check_label(field: &str, text: &str) -> Option<Problem> {
    let rule = if text.is_empty() || text.len() > MAX_LABEL {
        format!("a label is 1 to {MAX_LABEL} bytes long, this one has {}", text.len())
    } else if text.chars().any(is_unprintable) {
        "a label has no control characters and no code points that Unicode calls noncharacters".to_owned()
    } else {
        return None;
    };
    Some(Problem::new(field, rule, "give a short name or id, or leave the field out"))
}

/// Appends what is wrong with the channels of an event or a webhook; says whether there are few enough to look at.
pub(crate) fn check_channels<'c>(
    of: &str,
    channels: impl ExactSizeIterator<Item = &'c str>,
    most: usize,
    problems: &mut Vec<Problem>,
) -> bool {
    if channels.len() > most {
        let rule = format!("{of} has at most {most} channels, this one has {}", channels.len());
        problems.push(Problem::new("channels", rule, "name fewer channels, or none"));
        return false;
    }
    let labels = channels.enumerate();
    problems.extend(labels.filter_map(|(index, text)| check_label(&format!("channels[{index}]"), text)));
    true
}

/// Appends what is wrong with the metadata of an event or a webhook: keys are labels, values what `check_value` says.
pub(crate) fn check_metadata<'e>(
    entries: impl ExactSizeIterator<Item = (&'e str, &'e str)>,
    check_value: fn(&str, &str) -> Option<Problem>,
    problems: &mut Vec<Problem>,
) {
    if entries.len() > MAX_METADATA {
        let rule = format!("metadata has at most {MAX_METADATA} entries, this has {}", entries.len());
        problems.push(Problem::new("metadata", rule, "keep what things are looked up by"));
        return;
    }
    for (index, (key, value)) in entries.enumerate() {
        // A key that breaks the rules cannot serve as a name.
        match check_label(&format!("metadata[{index}].key"), key) {
            Some(problem) => problems.push(problem),
            None => problems.extend(check_value(&format!("metadata[{key}]"), value)),
        }
    }
}

/// What the type `String` of CloudEvents leaves out; the subject becomes one of its attributes.
fn is_unprintable(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

const MAX_METADATA: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_may_say_anything_printable_in_any_script() {
        for text in ["a", "org/42:7", "Größe 10 %", "荷物", "😀", &"x".repeat(256)] {
            assert_eq!(check_label("owner", text), None, "{text}");
        }
        for text in ["", "a\nb", "\u{85}", "\u{ffff}", "\u{fdd0}", &"x".repeat(257)] {
            assert!(check_label("owner", text).is_some(), "{text:?}");
        }
    }
}
