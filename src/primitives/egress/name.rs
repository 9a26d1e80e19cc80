//! Which host names are never looked up.

use super::refusal::UrlRefusal;

/// Judges a name as the URL parser has normalised it: lower case, ASCII, without the final dot.
pub(super) fn judge(name: &str, allowed: &[String]) -> Result<(), UrlRefusal> {
    check_form(name)?;
    let single_label = !name.contains('.');
    let denied = single_label || DENIED_NAMES.iter().any(|suffix| is_at_or_below(name, suffix));
    if denied && !is_allowed(name, allowed) { Err(UrlRefusal::DeniedName) } else { Ok(()) }
}

/// Whether such a name can exist.
pub(super) fn check_form(name: &str) -> Result<(), UrlRefusal> {
    let is_name = name.len() <= MAX_NAME && name.split('.').all(is_label);
    if is_name { Ok(()) } else { Err(UrlRefusal::InvalidName) }
}

/// Whether the operator listed this very name, or `*.` and a parent of it.
pub(super) fn is_allowed(name: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|entry| match entry.strip_prefix("*.") {
        Some(parent) => name != parent && is_at_or_below(name, parent),
        None => name == entry,
    })
}

fn is_at_or_below(name: &str, parent: &str) -> bool {
    match name.strip_suffix(parent) {
        Some(front) => front.is_empty() || front.ends_with('.'),
        None => false,
    }
}

/// Letters, digits, hyphens inside, and the underscore, which exists in the wild.
fn is_label(label: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(known)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// RFC 1035, section 2.3.4: 255 octets on the wire are 253 characters of text.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Names that end here never lead to a receiver on the internet: RFC 6761 (`localhost`, `invalid`, `test`), RFC 6762
/// (`local`), RFC 7686 (`onion`), RFC 8375 (`home.arpa`), ICANN's resolution 2024.07.29.06 (`internal`), and the
/// customs of clusters and hosts files.
const DENIED_NAMES: [&str; 9] =
    ["localhost", "local", "internal", "svc", "home.arpa", "onion", "invalid", "test", "localdomain"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_ending_is_a_whole_label() {
        assert_eq!(judge("db.prod.svc", &[]), Err(UrlRefusal::DeniedName));
        assert_eq!(judge("my-local.example", &[]), Ok(()));
        assert_eq!(judge("notlocal.mylocal", &[]), Ok(()));
        assert_eq!(judge("home.arpa", &[]), Err(UrlRefusal::DeniedName));
        assert_eq!(judge("e164.arpa", &[]), Ok(()));
    }

    #[test]
    fn every_ending_on_the_list_is_denied() {
        for ending in DENIED_NAMES {
            assert_eq!(judge(&format!("shop.{ending}"), &[]), Err(UrlRefusal::DeniedName), "{ending}");
        }
        for name in ["expyuzz4wqqyqhjn.onion", "receiver.test", "a.invalid", "metadata.google.internal"] {
            assert_eq!(judge(name, &[]), Err(UrlRefusal::DeniedName), "{name}");
        }
    }

    #[test]
    fn the_operators_exception_is_exact() {
        let allowed = ["vault".to_owned(), "*.corp.internal".to_owned()];

        assert_eq!(judge("vault", &allowed), Ok(()));
        assert_eq!(judge("a.vault.local", &allowed), Err(UrlRefusal::DeniedName));
        assert_eq!(judge("erp.corp.internal", &allowed), Ok(()));
        assert_eq!(judge("corp.internal", &allowed), Err(UrlRefusal::DeniedName));
        assert_eq!(judge("evilcorp.internal", &allowed), Err(UrlRefusal::DeniedName));
        assert_eq!(judge("-x.corp.internal", &allowed), Err(UrlRefusal::InvalidName));
    }

    #[test]
    fn labels_and_names_have_a_longest_length() {
        let label = "a".repeat(63);

        assert_eq!(judge(&format!("{label}.com"), &[]), Ok(()));
        assert_eq!(judge(&format!("{label}a.com"), &[]), Err(UrlRefusal::InvalidName));
        assert_eq!(judge(&format!("{label}.{label}.{label}.{}", "b".repeat(61)), &[]), Ok(()));
        assert_eq!(
            judge(&format!("{label}.{label}.{label}.{}", "b".repeat(62)), &[]),
            Err(UrlRefusal::InvalidName)
        );
    }
}
