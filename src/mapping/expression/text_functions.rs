//! The functions on texts. Every result is measured before it is built.

use std::borrow::Cow;

use super::error::{ExpressionError, Span, TEXT};
use super::evaluate::{At, Evaluation};
use super::functions::{Function, wrong_argument};
use super::item::Item;
use super::number::Number;
use super::scope::Scope;

impl<'a, S: Scope<'a>> Evaluation<'_, S> {
    pub(super) fn on_text(
        &self,
        function: Function,
        arguments: [Item<'a>; 4],
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let [first, second, third, fourth] = arguments;
        match function {
            Function::String if first.is_missing() => return Ok(Item::Missing),
            Function::String => return self.written(first).map(Item::Text).at(at),
            Function::Join => return self.join(first, second.single(), at),
            _ => {}
        }
        let Some(text) = self.text(function, first.single(), at)? else { return Ok(Item::Missing) };
        self.budget.read(text.len()).at(at)?;
        match function {
            Function::Length => Ok(Item::Number(Number::Exact((text.chars().count() as u64).into()))),
            Function::Uppercase => self.built(text.to_uppercase(), at),
            Function::Lowercase => self.built(text.to_lowercase(), at),
            Function::Trim => {
                let words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
                let mut trimmed = String::with_capacity(text.len());
                for word in words {
                    if !trimmed.is_empty() {
                        trimmed.push(' ');
                    }
                    trimmed.push_str(word);
                }
                self.built(trimmed, at)
            }
            Function::Substring => {
                let Some(start) = self.whole(function, second, at)? else { return Ok(Item::Text(text)) };
                let length = self.whole(function, third, at)?;
                self.part(text, start, length, at)
            }
            Function::Pad => {
                let Some(width) = self.whole(function, second, at)? else { return Ok(Item::Text(text)) };
                let with = self.text(function, third.single(), at)?;
                self.pad(text, width, with.as_deref().unwrap_or(" "), at)
            }
            _ => {
                let Some(pattern) = self.text(function, second.single(), at)? else {
                    return Ok(if function == Function::Contains { Item::Missing } else { Item::Text(text) });
                };
                match function {
                    Function::Contains => Ok(Item::Bool(text.contains(&*pattern))),
                    Function::SubstringBefore => {
                        let end = text.find(&*pattern).unwrap_or(text.len());
                        self.slice(text, 0, end, at)
                    }
                    Function::SubstringAfter => {
                        let start = text.find(&*pattern).map_or(0, |start| start + pattern.len());
                        let end = text.len();
                        self.slice(text, start, end, at)
                    }
                    Function::Split => {
                        let most = self.most(function, third, at)?;
                        self.split(&text, &pattern, most, at)
                    }
                    _ => {
                        let replacement = self.text(function, third.single(), at)?.unwrap_or_default();
                        let most = self.most(function, fourth, at)?;
                        self.replace(&text, &pattern, &replacement, most, at)
                    }
                }
            }
        }
    }

    /// A text as an argument; nothing is none.
    fn text(
        &self,
        function: Function,
        value: Item<'a>,
        at: Span,
    ) -> Result<Option<Cow<'a, str>>, ExpressionError> {
        match value {
            Item::Missing => Ok(None),
            Item::Text(text) => Ok(Some(text)),
            other => Err(wrong_argument(function, &other, "a text", at)),
        }
    }

    /// How many at most, where that may be said.
    fn most(&self, function: Function, value: Item<'a>, at: Span) -> Result<usize, ExpressionError> {
        match self.whole(function, value, at)? {
            None => Ok(usize::MAX),
            Some(most) => usize::try_from(most).map_err(|_| {
                ExpressionError::new(TEXT, at, format!("`${}` with a limit below zero", function.name()))
            }),
        }
    }

    fn built(&self, text: String, at: Span) -> Result<Item<'a>, ExpressionError> {
        self.budget.text(text.len()).at(at)?;
        Ok(Item::text(text))
    }

    /// The bytes from here to there, borrowed from where the text is borrowed from.
    fn slice(
        &self,
        text: Cow<'a, str>,
        start: usize,
        end: usize,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        match text {
            Cow::Borrowed(text) => Ok(Item::Text(Cow::Borrowed(&text[start..end]))),
            Cow::Owned(text) => self.built(text[start..end].to_owned(), at),
        }
    }

    /// `$substring`: by characters; a start below zero counts from the end.
    fn part(
        &self,
        text: Cow<'a, str>,
        start: i64,
        length: Option<i64>,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let start = if start < 0 { start.saturating_add(count).max(0) } else { start.min(count) };
        let end = length.map_or(count, |length| start.saturating_add(length.max(0)).min(count));
        let byte = |place: i64| {
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte)
        };
        let (start, end) = (byte(start), byte(end));
        self.slice(text, start, end, at)
    }

    fn pad(&self, text: Cow<'a, str>, width: i64, with: &str, at: Span) -> Result<Item<'a>, ExpressionError> {
        let with = if with.is_empty() { " " } else { with };
        let count = text.chars().count() as u64;
        let missing = width.unsigned_abs().saturating_sub(count);
        if missing == 0 {
            return Ok(Item::Text(text));
        }
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        // At most four bytes a character; the exact size only where it could matter.
        self.budget.text(text.len().saturating_add(missing)).at(at)?;
        let padding: String = with.chars().cycle().take(missing).collect();
        self.built(if width > 0 { format!("{text}{padding}") } else { format!("{padding}{text}") }, at)
    }

    fn split(&self, text: &str, separator: &str, most: usize, at: Span) -> Result<Item<'a>, ExpressionError> {
        let mut parts = Vec::new();
        let mut add = |part: &str| {
            self.budget.members(1).at(at)?;
            self.budget.text(part.len()).at(at)?;
            parts.push(Item::text(part.to_owned()));
            Ok(())
        };
        if separator.is_empty() {
            // Character by character, as in JSONata.
            let mut buffer = [0; 4];
            text.chars().take(most).try_for_each(|c| add(c.encode_utf8(&mut buffer)))?;
        } else {
            text.split(separator).take(most).try_for_each(add)?;
        }
        Ok(Item::list(parts))
    }

    fn replace(
        &self,
        text: &str,
        pattern: &str,
        replacement: &str,
        most: usize,
        at: Span,
    ) -> Result<Item<'a>, ExpressionError> {
        if pattern.is_empty() {
            return Err(ExpressionError::new(TEXT, at, "`$replace` of an empty text"));
        }
        let count = text.matches(pattern).take(most).count();
        let grown = count.saturating_mul(replacement.len());
        let size = (text.len() - count * pattern.len()).saturating_add(grown);
        self.budget.text(size).at(at)?;
        Ok(Item::text(text.replacen(pattern, replacement, count)))
    }

    fn join(&self, texts: Item<'a>, separator: Item<'a>, at: Span) -> Result<Item<'a>, ExpressionError> {
        if texts.is_missing() {
            return Ok(Item::Missing);
        }
        let separator = self.text(Function::Join, separator, at)?.unwrap_or_default();
        let mut parts = Vec::new();
        let mut size = 0_usize;
        for item in texts.into_items(self.budget).at(at)? {
            match item {
                Item::Text(text) => {
                    size = size.saturating_add(text.len()).saturating_add(separator.len());
                    parts.push(text);
                }
                other => return Err(wrong_argument(Function::Join, &other, "texts", at)),
            }
        }
        self.budget.text(size).at(at)?;
        Ok(Item::text(parts.join(&separator)))
    }
}
