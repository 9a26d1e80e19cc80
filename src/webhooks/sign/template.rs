//! Which bytes a signature covers.

use std::fmt;
use std::str::FromStr;

use crate::webhooks::sign::refusal::SchemeRefusal;

/// The bytes that an HMAC is taken of, written with the placeholders `{body}`, `{timestamp}`, `{id}` and `{url}`.
///
/// The body is mandatory; each placeholder stands at most once. `{timestamp}` is in seconds since 1970, `{id}` is the
/// value of `webhook-id`, `{url}` is the webhook's URL as it was subscribed.
///
/// ```
/// use crossdock::webhooks::sign::SignedTemplate;
///
/// let template: SignedTemplate = "{id}.{timestamp}.{body}".parse()?;
///
/// assert!(template.signs_timestamp());
/// assert!("{timestamp}".parse::<SignedTemplate>().is_err());
/// # Ok::<(), crossdock::webhooks::sign::SchemeRefusal>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct SignedTemplate(Box<[Part]>);

#[derive(Clone, Eq, Hash, PartialEq)]
enum Part {
    Text(Box<str>),
    Placeholder(Placeholder),
}

#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Placeholder {
    Body,
    Timestamp,
    Id,
    Url,
}

/// What the placeholders stand for in one request.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) id: &'a [u8],
    pub(super) timestamp: &'a [u8],
    pub(super) url: &'a [u8],
    pub(super) body: &'a [u8],
}

impl SignedTemplate {
    /// `{body}`: nothing but the body.
    pub fn body() -> Self {
        Self([Part::Placeholder(Placeholder::Body)].into())
    }

    /// `{timestamp}.{body}`.
    pub fn timestamp_and_body() -> Self {
        Self(
            [
                Part::Placeholder(Placeholder::Timestamp),
                Part::Text(".".into()),
                Part::Placeholder(Placeholder::Body),
            ]
            .into(),
        )
    }

    /// Whether a changed timestamp would be noticed.
    pub fn signs_timestamp(&self) -> bool {
        self.has(Placeholder::Timestamp)
    }

    /// Whether a changed id would be noticed.
    pub fn signs_id(&self) -> bool {
        self.has(Placeholder::Id)
    }

    /// Whether the receiver must know the URL that was subscribed.
    pub fn signs_url(&self) -> bool {
        self.has(Placeholder::Url)
    }

    /// Hands the signed bytes over, piece by piece.
    pub(super) fn feed(&self, content: &Content<'_>, mut sink: impl FnMut(&[u8])) {
        for part in &self.0 {
            sink(match part {
                Part::Text(text) => text.as_bytes(),
                Part::Placeholder(Placeholder::Body) => content.body,
                Part::Placeholder(Placeholder::Timestamp) => content.timestamp,
                Part::Placeholder(Placeholder::Id) => content.id,
                Part::Placeholder(Placeholder::Url) => content.url,
            });
        }
    }

    fn has(&self, wanted: Placeholder) -> bool {
        self.0.contains(&Part::Placeholder(wanted))
    }
}

impl Content<'_> {
    /// The bytes that Standard Webhooks signs: `{id}.{timestamp}.{body}`.
    pub(super) fn standard(&self) -> [&[u8]; 5] {
        [self.id, b".", self.timestamp, b".", self.body]
    }
}

impl FromStr for SignedTemplate {
    type Err = SchemeRefusal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_BYTES || !text.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
            return Err(SchemeRefusal::BadTemplateText);
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (part, behind) = next_part(rest)?;
            if let Part::Placeholder(placeholder) = part
                && parts.contains(&part)
            {
                return Err(SchemeRefusal::RepeatedPlaceholder { name: placeholder.name().to_owned() });
            }
            parts.push(part);
            rest = behind;
        }
        let template = Self(parts.into());
        if !template.has(Placeholder::Body) {
            return Err(SchemeRefusal::NoBody);
        }
        // An id and its neighbour run into each other otherwise: `ab` + `c` would be signed like `a` + `bc`.
        let id = Part::Placeholder(Placeholder::Id);
        let blurred =
            |pair: &[Part]| pair.contains(&id) && !pair.iter().any(|part| matches!(part, Part::Text(_)));
        if template.0.windows(2).any(blurred) {
            return Err(SchemeRefusal::IdNotDelimited);
        }
        Ok(template)
    }
}

fn next_part(text: &str) -> Result<(Part, &str), SchemeRefusal> {
    let unknown = |what: &str| SchemeRefusal::UnknownPlaceholder { text: what.to_owned() };
    let Some(inner) = text.strip_prefix('{') else {
        let (plain, behind) = text.split_at(text.find(['{', '}']).unwrap_or(text.len()));
        return if plain.is_empty() { Err(unknown("}")) } else { Ok((Part::Text(plain.into()), behind)) };
    };
    let (name, behind) = inner.split_once('}').ok_or_else(|| unknown(text))?;
    let placeholder = Placeholder::ALL
        .into_iter()
        .find(|placeholder| placeholder.name() == name)
        .ok_or_else(|| unknown(&format!("{{{name}}}")))?;
    Ok((Part::Placeholder(placeholder), behind))
}

impl Placeholder {
    const ALL: [Self; 4] = [Self::Body, Self::Timestamp, Self::Id, Self::Url];

    const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Timestamp => "timestamp",
            Self::Id => "id",
            Self::Url => "url",
        }
    }
}

impl fmt::Display for SignedTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Placeholder(placeholder) => write!(f, "{{{}}}", placeholder.name()),
        })
    }
}

impl fmt::Debug for SignedTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedTemplate({self})")
    }
}

const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(template: &SignedTemplate) -> String {
        let content =
            Content { id: b"evt_1", timestamp: b"1700000000", url: b"https://a.example/", body: b"{}" };
        let mut bytes = Vec::new();
        template.feed(&content, |piece| bytes.extend_from_slice(piece));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn a_template_says_which_bytes_are_signed() -> Result<(), SchemeRefusal> {
        for (template, bytes) in [
            ("{body}", "{}"),
            ("{timestamp}.{body}", "1700000000.{}"),
            ("{id}.{timestamp}.{body}", "evt_1.1700000000.{}"),
            ("{url}{body}", "https://a.example/{}"),
            ("v0:{timestamp}:{body}", "v0:1700000000:{}"),
            ("POST\n{url}\n{body}", "POST\nhttps://a.example/\n{}"),
        ] {
            let parsed: SignedTemplate = template.parse()?;

            assert_eq!(signed(&parsed), bytes);
            assert_eq!(parsed.to_string(), template);
        }
        Ok(())
    }

    #[test]
    fn a_template_that_would_not_protect_is_refused() {
        let unknown = |text: &str| SchemeRefusal::UnknownPlaceholder { text: text.to_owned() };
        let cases = [
            ("", SchemeRefusal::NoBody),
            ("{timestamp}", SchemeRefusal::NoBody),
            ("{body}{body}", SchemeRefusal::RepeatedPlaceholder { name: "body".to_owned() }),
            ("{Body}", unknown("{Body}")),
            ("{}{body}", unknown("{}")),
            ("{body}}", unknown("}")),
            ("{body", unknown("{body")),
            ("{body}{", unknown("{")),
            ("{{body}}", unknown("{{body}")),
            ("{id}{body}", SchemeRefusal::IdNotDelimited),
            ("{timestamp}{id}.{body}", SchemeRefusal::IdNotDelimited),
            ("{body}\r\n", SchemeRefusal::BadTemplateText),
            ("é{body}", SchemeRefusal::BadTemplateText),
        ];

        for (text, refusal) in cases {
            assert_eq!(text.parse::<SignedTemplate>(), Err(refusal), "{text}");
        }
        let long = format!("{}{{body}}", "x".repeat(MAX_BYTES));
        assert_eq!(long.parse::<SignedTemplate>(), Err(SchemeRefusal::BadTemplateText));
    }

    #[test]
    fn the_named_templates_are_what_their_text_says() -> Result<(), SchemeRefusal> {
        assert_eq!(SignedTemplate::body(), "{body}".parse()?);
        assert_eq!(SignedTemplate::timestamp_and_body(), "{timestamp}.{body}".parse()?);
        Ok(())
    }
}
