//! Did you mean …? The known name that is nearest to one that is not known.

use std::collections::BTreeSet;

/// The candidate that differs from the text in the fewest letters, if so few that a slip explains them.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.is_empty() || text.len() > MAX_BYTES {
        return None;
    }
    let slips = text.len() / 4 + 1;
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_BYTES && candidate.len().abs_diff(text.len()) <= slips)
        .map(|candidate| (distance(text.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The known name, or the pattern over known names, that somebody may have meant.
pub(crate) fn near_pattern(pattern: &str, names: &[&str]) -> Option<String> {
    let beginnings = names.iter().flat_map(|name| name.match_indices('.').map(|(dot, _)| &name[..dot]));
    let patterns: BTreeSet<String> = beginnings.map(|beginning| format!("{beginning}.*")).collect();
    if pattern.ends_with('*') {
        return nearest(pattern, patterns.iter().map(String::as_str)).map(str::to_owned);
    }
    // A beginning without its star is the commonest slip, and no matter of letters.
    let starred = format!("{pattern}.*");
    if patterns.contains(&starred) {
        return Some(starred);
    }
    nearest(pattern, names.iter().copied()).map(str::to_owned)
}

/// How many letters must be added, dropped or replaced; upper and lower case are the same letter.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, left) in from.iter().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, right) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(!left.eq_ignore_ascii_case(right));
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

/// Longer texts are no slips of the pen, and comparing them would take time that a caller could make us spend.
const MAX_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        let known = ["shipment.shipped", "shipment.delivered", "SaleCreated", "a"];
        for (text, meant) in [
            ("shipment.shiped", Some("shipment.shipped")),
            ("shipments.shipped", Some("shipment.shipped")),
            ("Shipment.Shipped", Some("shipment.shipped")),
            ("salecreated", Some("SaleCreated")),
            ("shipment.delievered", Some("shipment.delivered")),
            ("invoice.paid", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, known), meant, "{text}");
        }
        assert_eq!(nearest(&"shipment.shipped".repeat(1000), known), None);
    }

    #[test]
    fn distance_counts_single_letters() {
        for (from, to, letters) in
            [("", "", 0), ("abc", "", 3), ("abc", "abd", 1), ("abc", "xabc", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), letters, "{from} {to}");
        }
    }
}
