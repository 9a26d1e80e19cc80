//! Steps on texts. What makes a text longer looks at the length first.

use std::borrow::Cow;

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::spec::step::{Side, TooLong};

fn within(length: usize, most: usize) -> Result<(), Failure> {
    if length > most { Err(Failure::limit("the text is longer than texts may be")) } else { Ok(()) }
}

/// A part of a text, still borrowed if the text was.
fn part<'a>(text: Cow<'a, str>, cut: impl FnOnce(&str) -> &str) -> V<'a> {
    V::Text(match text {
        Cow::Borrowed(text) => {
            // The part is of the same text; found again by its place, because the closure cannot say so.
            let found = cut(text);
            let from = found.as_ptr() as usize - text.as_ptr() as usize;
            text.get(from..from + found.len()).map_or_else(|| Cow::Owned(found.to_owned()), Cow::Borrowed)
        }
        Cow::Owned(text) => Cow::Owned(cut(&text).to_owned()),
    })
}

pub(super) fn joined<'a>(parts: &[&str], most: usize) -> Result<V<'a>, Failure> {
    within(parts.iter().map(|part| part.len()).sum(), most)?;
    Ok(V::owned_text(parts.concat()))
}

pub(super) fn strip_prefix<'a>(text: Cow<'a, str>, prefix: &str, required: bool) -> Result<V<'a>, Failure> {
    if !text.starts_with(prefix) {
        return kept(text, required, "the text does not begin as it must");
    }
    Ok(part(text, |text| &text[prefix.len()..]))
}

pub(super) fn strip_suffix<'a>(text: Cow<'a, str>, suffix: &str, required: bool) -> Result<V<'a>, Failure> {
    if !text.ends_with(suffix) {
        return kept(text, required, "the text does not end as it must");
    }
    Ok(part(text, |text| &text[..text.len() - suffix.len()]))
}

fn kept<'a>(text: Cow<'a, str>, required: bool, problem: &'static str) -> Result<V<'a>, Failure> {
    if required { Err(Failure::new("E-TEXT", problem)) } else { Ok(V::Text(text)) }
}

pub(super) fn trim(text: Cow<'_, str>) -> V<'_> {
    part(text, str::trim)
}

pub(super) fn lower<'a>(text: Cow<'a, str>, most: usize) -> Result<V<'a>, Failure> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Ok(V::Text(text));
    }
    // Letters grow to three times their bytes at most.
    within(text.len().saturating_mul(3).min(most.max(text.len())), most)?;
    let lower = text.to_lowercase();
    within(lower.len(), most)?;
    Ok(V::owned_text(lower))
}

pub(super) fn upper<'a>(text: Cow<'a, str>, most: usize) -> Result<V<'a>, Failure> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase()) {
        return Ok(V::Text(text));
    }
    let upper = text.to_uppercase();
    within(upper.len(), most)?;
    Ok(V::owned_text(upper))
}

pub(super) fn title<'a>(text: &str, most: usize) -> Result<V<'a>, Failure> {
    let mut title = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        match in_word {
            true => title.extend(c.to_lowercase()),
            false => title.extend(c.to_uppercase()),
        }
        in_word = c.is_alphanumeric() || (in_word && c == '\'');
    }
    within(title.len(), most)?;
    Ok(V::owned_text(title))
}

pub(super) fn pad<'a>(
    text: Cow<'a, str>,
    width: usize,
    with: Option<&str>,
    side: Option<Side>,
    most: usize,
) -> Result<V<'a>, Failure> {
    let missing = width.saturating_sub(text.chars().count());
    if missing == 0 {
        return Ok(V::Text(text));
    }
    let with = with.unwrap_or(" ");
    within(text.len().saturating_add(missing.saturating_mul(with.len())), most)?;
    let fill = with.repeat(missing);
    Ok(V::owned_text(match side.unwrap_or(Side::Start) {
        Side::Start => fill + &text,
        Side::End => text.into_owned() + &fill,
    }))
}

pub(super) fn truncate<'a>(text: Cow<'a, str>, most: usize, mode: TooLong) -> Result<V<'a>, Failure> {
    let Some((end, _)) = text.char_indices().nth(most) else { return Ok(V::Text(text)) };
    match mode {
        TooLong::Error => {
            Err(Failure::new("E-TEXT-LENGTH", format!("the text has more than {most} characters")))
        }
        TooLong::Cut => Ok(part(text, |text| &text[..end])),
    }
}

pub(super) fn replace<'a>(text: Cow<'a, str>, find: &str, with: &str, most: usize) -> Result<V<'a>, Failure> {
    let count = text.matches(find).count();
    if count == 0 {
        return Ok(V::Text(text));
    }
    // In this order nothing goes below zero.
    within((text.len() - count * find.len()).saturating_add(count.saturating_mul(with.len())), most)?;
    Ok(V::owned_text(text.replace(find, with)))
}

pub(super) fn substring(text: Cow<'_, str>, start: u32, length: Option<u32>) -> V<'_> {
    part(text, |text| {
        let place = |count: usize| text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
        let from = place(start as usize);
        let to = length.map_or(text.len(), |length| place((start as usize).saturating_add(length as usize)));
        &text[from..to]
    })
}

pub(super) fn normalise_space(text: Cow<'_, str>) -> V<'_> {
    let is_normal = !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.contains("  ")
        && text.chars().all(|c| c == ' ' || !c.is_whitespace());
    if is_normal {
        return V::Text(text);
    }
    let mut normal = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.push_str(word);
    }
    V::owned_text(normal)
}

pub(super) fn digits_only(text: Cow<'_, str>) -> V<'_> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return V::Text(text);
    }
    V::owned_text(text.chars().filter(char::is_ascii_digit).collect())
}

pub(super) fn mask<'a>(text: &str, keep: usize, with: Option<&str>, most: usize) -> Result<V<'a>, Failure> {
    let covered = text.chars().count().saturating_sub(keep);
    let with = with.unwrap_or("*");
    let kept = text.char_indices().nth(covered).map_or("", |(at, _)| text.get(at..).unwrap_or_default());
    // The sign that covers may be longer than what it covers.
    within(covered.saturating_mul(with.len()).saturating_add(kept.len()), most)?;
    let mut masked = with.repeat(covered);
    masked.push_str(kept);
    Ok(V::owned_text(masked))
}
