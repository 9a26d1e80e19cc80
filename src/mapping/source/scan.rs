//! Walks over JSON text without building anything: positions in, positions out.
//!
//! It takes exactly the texts that serde_json takes (a property shows it), but keeps numbers as they are written, needs no
//! recursion to skip what nobody reads, and counts depth itself.

/// The text is not JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotJson {
    /// The byte where it shows.
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// A position in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    pub(crate) at: usize,
}

/// A string of the text, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a> {
    pub(crate) inner: &'a str,
    pub(crate) escaped: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, NotJson> {
        Err(NotJson { at: self.at, what })
    }

    /// The next byte that is not white space, or 0 at the end: no JSON begins with it.
    pub(crate) fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { self.wrong("expected the end of the text") }
    }

    /// Behind `{` or a member: the next key with its colon, or the end of the object.
    pub(crate) fn key(&mut self, first: bool) -> Result<Option<Quoted<'a>>, NotJson> {
        let mut byte = self.peek();
        if byte == b'}' {
            self.at += 1;
            return Ok(None);
        }
        if !first {
            if byte != b',' {
                return self.wrong("expected `,` or `}`");
            }
            self.at += 1;
            byte = self.peek();
        }
        if byte != b'"' {
            return self.wrong("expected a key");
        }
        let key = self.string()?;
        if self.peek() != b':' {
            return self.wrong("expected `:`");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Behind `[` or an element: whether another one follows.
    pub(crate) fn element(&mut self, first: bool) -> Result<bool, NotJson> {
        let byte = self.peek();
        if byte == b']' {
            self.at += 1;
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if byte != b',' {
            return self.wrong("expected `,` or `]`");
        }
        self.at += 1;
        Ok(true)
    }

    /// At a quote: the string behind it.
    pub(crate) fn string(&mut self) -> Result<Quoted<'a>, NotJson> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            // Eight bytes at a time while none of them is a quote, a backslash or a control character.
            while let Some(chunk) = bytes.get(self.at..self.at + 8) {
                let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
                let special = ends_string(word);
                if special != 0 {
                    self.at += (special.trailing_zeros() / 8) as usize;
                    break;
                }
                self.at += 8;
            }
            match bytes.get(self.at) {
                Some(b'"') => {
                    let inner = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Quoted { inner, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..=0x1f) => return self.wrong("a control character in a string"),
                Some(_) => self.at += 1,
                None => return self.wrong("the string is not closed"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        match bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.wrong("this is not an escape");
                }
                self.at += 5;
            }
            _ => return self.wrong("this is not an escape"),
        }
        Ok(())
    }

    /// At a digit or a minus: over the number.
    fn number(&mut self) -> Result<(), NotJson> {
        let bytes = self.text.as_bytes();
        let at = |at: usize| bytes.get(at).copied().unwrap_or(0);
        if at(self.at) == b'-' {
            self.at += 1;
        }
        match at(self.at) {
            b'0' => {
                self.at += 1;
                if at(self.at).is_ascii_digit() {
                    return self.wrong("a number with a leading zero");
                }
            }
            b'1'..=b'9' => self.digits(),
            _ => return self.wrong("expected a digit"),
        }
        if at(self.at) == b'.' {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(at(self.at), b'e' | b'E') {
            self.at += 1;
            if matches!(at(self.at), b'+' | b'-') {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        self.digits();
        if self.at == start { self.wrong("expected a digit") } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str) -> Result<(), NotJson> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        self.wrong("expected a value")
    }

    /// At a value that is no list and no object: over it.
    pub(crate) fn scalar(&mut self) -> Result<&'a str, NotJson> {
        let byte = self.peek();
        let start = self.at;
        match byte {
            b'"' => {
                self.string()?;
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => return self.wrong("expected a value"),
        }
        Ok(&self.text[start..self.at])
    }

    /// Over the next value, whatever it is; how deep it is nested is no matter.
    pub(crate) fn skip(&mut self) -> Result<&'a str, NotJson> {
        let byte = self.peek();
        let start = self.at;
        if !matches!(byte, b'{' | b'[') {
            return self.scalar();
        }
        self.at += 1;
        // One bit for each level: whether it is an object. Sixty-four of them need no memory.
        let mut levels = Levels::default();
        levels.push(byte == b'{');
        let mut first = true;
        while let Some(in_object) = levels.top() {
            let goes_on = if in_object { self.key(first)?.is_some() } else { self.element(first)? };
            first = false;
            if !goes_on {
                levels.pop();
                continue;
            }
            match self.peek() {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    levels.push(open == b'{');
                    first = true;
                }
                _ => {
                    self.scalar()?;
                }
            }
        }
        Ok(&self.text[start..self.at])
    }
}

#[derive(Default)]
struct Levels {
    word: u64,
    count: usize,
    spilled: Vec<u64>,
}

impl Levels {
    fn push(&mut self, is_object: bool) {
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.spilled.push(self.word);
        }
        self.word = (self.word << 1) | u64::from(is_object);
        self.count += 1;
    }

    fn top(&self) -> Option<bool> {
        (self.count > 0).then_some(self.word & 1 == 1)
    }

    fn pop(&mut self) {
        self.word >>= 1;
        self.count -= 1;
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.word = self.spilled.pop().unwrap_or_default();
        }
    }
}

/// The high bit of each byte that ends a run of plain characters: a quote, a backslash, a control character. Bits above the
/// lowest may be wrong.
fn ends_string(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    ((quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash) | control) & HIGH
}

/// How deep lists and objects are nested in a text that has been checked.
pub(crate) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut scanner = Scanner::new(json);
    while let Some(&byte) = json.as_bytes().get(scanner.at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
                scanner.at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                scanner.at += 1;
            }
            b'"' => {
                if scanner.string().is_err() {
                    return usize::MAX;
                }
            }
            _ => scanner.at += 1,
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.skip().and_then(|_| scanner.end()).is_ok()
    }

    fn serde_takes(text: &str) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    #[test]
    fn it_takes_what_serde_json_takes() {
        for text in [
            "{}",
            "[]",
            " [1, 2 ]",
            "{\"a\":1,}",
            "[1,]",
            "[,1]",
            "{,}",
            "01",
            "-",
            "-0",
            "1.",
            ".5",
            "1e",
            "1e+5",
            "1E-05",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"a\u{1}b\"",
            "\"a",
            "tru",
            "true",
            "nul",
            "{\"a\" 1}",
            "{1:2}",
            "[1 2]",
            "",
            " ",
            "[[[[]]]]",
            "[}",
            "{]",
            "1 1",
            "\"12345678\\\"90\"",
            "\"aaaaaaa\u{7f}éé\u{1f}\"",
        ] {
            assert_eq!(is_json(text), serde_takes(text), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(is_json(&deep));
        assert!(!is_json(&deep[..1999]));
        assert_eq!(depth(&deep), 1000);
        let mixed = format!("{}1{}", "{\"a\":[".repeat(100), "]}".repeat(100));
        assert!(is_json(&mixed));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_serde_json_judges_it(text in "[\\[\\]{},:\"\\\\u0-9eE.+a-f truefalsnl\u{1}é-]{0,40}") {
            prop_assert_eq!(is_json(&text), serde_takes(&text));
        }
    }
}
