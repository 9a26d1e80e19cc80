//! The text of an expression, token by token, when the parser asks: a refused construct is named before what is in it is read.

use std::borrow::Cow;

use super::error::{ExpressionError, Span};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind<'t>,
    pub(super) at: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind<'t> {
    End,
    /// A field; also `true`, `null`, `and` and their like, unless it was quoted.
    Name(&'t str),
    QuotedName(&'t str),
    /// `$` and what follows it.
    Variable(&'t str),
    Number(&'t str),
    Text(Cow<'t, str>),
    Sign(&'static str),
}

#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Token<'t>, ExpressionError> {
        self.skip_blanks()?;
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else {
            return Ok(Token { kind: TokenKind::End, at: Span::new(start, start) });
        };
        if let Some(&sign) = SIGNS.iter().find(|&&sign| rest.starts_with(sign)) {
            self.at += sign.len();
            return Ok(self.token(TokenKind::Sign(sign), start));
        }
        match first {
            '"' | '\'' => self.text_literal(first, start),
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| self.unfinished(start, "a quoted name", '`'))?;
                self.at += end + 2;
                Ok(self.token(TokenKind::QuotedName(&rest[1..=end]), start))
            }
            '0'..='9' => {
                self.at += number_length(rest.as_bytes());
                Ok(self.token(TokenKind::Number(&self.text[start..self.at]), start))
            }
            _ => {
                let end = rest.find(ends_name).unwrap_or(rest.len());
                self.at += end;
                let name = &rest[..end];
                let kind = match name.strip_prefix('$') {
                    Some(variable) => TokenKind::Variable(variable),
                    None => TokenKind::Name(name),
                };
                Ok(self.token(kind, start))
            }
        }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn token(&self, kind: TokenKind<'t>, start: usize) -> Token<'t> {
        Token { kind, at: Span::new(start, self.at) }
    }

    fn skip_blanks(&mut self) -> Result<(), ExpressionError> {
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start_matches(is_blank).len();
            let rest = &self.text[self.at..];
            if !rest.starts_with("/*") {
                return Ok(());
            }
            let end = rest[2..].find("*/").ok_or_else(|| {
                ExpressionError::syntax(Span::new(self.at, self.at + 2), "a comment without an end")
            })?;
            self.at += end + 4;
        }
    }

    fn text_literal(&mut self, quote: char, start: usize) -> Result<Token<'t>, ExpressionError> {
        let mut text = Cow::Borrowed("");
        let mut at = start + 1;
        loop {
            let rest = &self.text[at..];
            let stop = rest.find([quote, '\\']).ok_or_else(|| self.unfinished(start, "a text", quote))?;
            // Borrowed as long as there is no escape.
            if text.is_empty() {
                text = Cow::Borrowed(&rest[..stop]);
            } else {
                text.to_mut().push_str(&rest[..stop]);
            }
            at += stop;
            if rest[stop..].starts_with(quote) {
                self.at = at + 1;
                return Ok(self.token(TokenKind::Text(text), start));
            }
            let (escaped, length) = escape(&rest[stop..]).ok_or_else(|| unknown_escape(at))?;
            text.to_mut().push(escaped);
            at += length;
        }
    }

    fn unfinished(&self, start: usize, what: &str, quote: char) -> ExpressionError {
        ExpressionError::syntax(
            Span::new(start, self.text.len()),
            format!("{what} without its closing {quote}"),
        )
    }
}

/// The character behind a backslash, and how many bytes the escape takes.
fn escape(text: &str) -> Option<(char, usize)> {
    let escaped = text[1..].chars().next()?;
    Some(match escaped {
        '"' | '\\' | '/' => (escaped, 2),
        'b' => ('\u{8}', 2),
        'f' => ('\u{c}', 2),
        'n' => ('\n', 2),
        'r' => ('\r', 2),
        't' => ('\t', 2),
        'u' => {
            let first = four_digits(&text[2..])?;
            match char::from_u32(first) {
                Some(c) => (c, 6),
                None => {
                    // A character outside the basic plane is written as two halves.
                    let second = four_digits(text[6..].strip_prefix("\\u")?)?;
                    let mut halves =
                        char::decode_utf16([u16::try_from(first).ok()?, u16::try_from(second).ok()?]);
                    (halves.next()?.ok()?, 12)
                }
            }
        }
        _ => return None,
    })
}

fn four_digits(text: &str) -> Option<u32> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

fn unknown_escape(at: usize) -> ExpressionError {
    ExpressionError::syntax(Span::new(at, at + 1), "an unknown escape in a text").with_help(
        r#"known are `\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, and `\u` with four hexadecimal digits"#,
    )
}

/// How many bytes at the front are a number as JSON writes it, without a sign.
fn number_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = if bytes.first() == Some(&b'0') { 1 } else { digits(0) };
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        if fraction > 0 {
            length += 1 + fraction;
        }
    }
    if let Some(b'e' | b'E') = bytes.get(length) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = bytes.get(length + 1 + sign).map_or(0, |_| digits(length + 1 + sign));
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}')
}

fn ends_name(c: char) -> bool {
    is_blank(c) || matches!(c, '"' | '\'' | '`') || SIGN_STARTS.contains(c)
}

/// The longer before the shorter with the same beginning.
const SIGNS: &[&str] = &[
    "..", ":=", "!=", ">=", "<=", "**", "~>", "?:", "??", ".", "[", "]", "{", "}", "(", ")", ",", "@", "#",
    ";", ":", "?", "+", "-", "*", "/", "%", "|", "=", "<", ">", "^", "&", "!", "~",
];
const SIGN_STARTS: &str = ".[]{}(),@#;:?+-*/%|=<>^&!~";

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<TokenKind<'_>>, ExpressionError> {
        let mut lexer = Lexer::new(text);
        let mut all = Vec::new();
        loop {
            match lexer.next()?.kind {
                TokenKind::End => return Ok(all),
                kind => all.push(kind),
            }
        }
    }

    #[test]
    fn a_text_is_cut_into_tokens() -> Result<(), ExpressionError> {
        let text = r#"a.`odd name`[0] >= 1.5e3 & "x\n\u00e9\ud83d\ude00" /* why */ ?: $sum ** 'it'"#;

        let cut = tokens(text)?;

        assert_eq!(
            cut,
            [
                TokenKind::Name("a"),
                TokenKind::Sign("."),
                TokenKind::QuotedName("odd name"),
                TokenKind::Sign("["),
                TokenKind::Number("0"),
                TokenKind::Sign("]"),
                TokenKind::Sign(">="),
                TokenKind::Number("1.5e3"),
                TokenKind::Sign("&"),
                TokenKind::Text("x\né😀".into()),
                TokenKind::Sign("?:"),
                TokenKind::Variable("sum"),
                TokenKind::Sign("**"),
                TokenKind::Text("it".into()),
            ]
        );
        Ok(())
    }

    #[test]
    fn what_has_no_end_says_where_it_began() {
        for (text, start) in
            [("a & \"b", 4), ("`a", 0), ("1 + /* x", 4), (r#""\q""#, 1), (r#""\u12""#, 1), (r#""\ud800""#, 1)]
        {
            match tokens(text) {
                Ok(tokens) => panic!("{text}: {tokens:?}"),
                Err(error) => assert_eq!(error.span().start, start, "{text}: {error}"),
            }
        }
    }
}
