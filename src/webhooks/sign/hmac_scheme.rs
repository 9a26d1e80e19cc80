//! HMAC-SHA-256 in a header of one's own, as data.

use http::header::HeaderName;

use crate::primitives::header::is_reserved;
use crate::primitives::stored::word::words;
use crate::webhooks::sign::refusal::SchemeRefusal;
use crate::webhooks::sign::template::SignedTemplate;

/// HMAC-SHA-256 in a header of your own: which header, what is signed, and how it is written.
///
/// ```
/// use crossdock::webhooks::sign::{Encoding, HmacScheme};
///
/// // As Slack writes it:
/// let scheme = HmacScheme::new("x-acme-signature")?
///     .with_template("v0:{timestamp}:{body}".parse()?)
///     .with_prefix("v0=")?
///     .with_timestamp_header("x-acme-request-timestamp")?;
///
/// assert_eq!(scheme.encoding(), Encoding::Hex);
/// # Ok::<(), crossdock::webhooks::sign::SchemeRefusal>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HmacScheme {
    header: HeaderName,
    timestamp_header: Option<HeaderName>,
    form: Form,
    encoding: Encoding,
    template: SignedTemplate,
    key_use: KeyUse,
}

/// What the header holds.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Form {
    /// One signature behind a prefix, which may be empty.
    Value(Box<str>),
    /// The timestamp and all signatures, by name.
    List(SignatureList),
}

/// A header that lists the timestamp and one signature per live secret, such as `t=1700000000,v1=…,v1=…`.
///
/// ```
/// use crossdock::webhooks::sign::SignatureList;
///
/// let as_paddle_writes_it = SignatureList::new("ts", "h1", ';')?;
///
/// assert_ne!(as_paddle_writes_it, SignatureList::stripe());
/// # Ok::<(), crossdock::webhooks::sign::SchemeRefusal>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SignatureList {
    timestamp: Box<str>,
    signature: Box<str>,
    separator: u8,
}

/// How the bytes of a code become text.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Base64 of the standard alphabet, padded.
    Base64,
}

/// How the secret becomes the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyUse {
    /// The bytes of the secret's text, `whsec_` included: what a receiver does who pastes the secret into a
    /// configuration file.
    Verbatim,
    /// The bytes that the base64 behind `whsec_` stands for.
    Decoded,
}

impl HmacScheme {
    /// The hex of the body's code in this header, keyed with the secret's text; `with_…` changes each of these.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when the header cannot be used.
    pub fn new(header: &str) -> Result<Self, SchemeRefusal> {
        Ok(Self::of(usable_header(header)?, Form::Value("".into()), SignedTemplate::body()))
    }

    /// With headers as a store has kept them.
    pub(super) fn kept(header: HeaderName, timestamp_header: Option<HeaderName>) -> Self {
        Self { timestamp_header, ..Self::of(header, Form::Value("".into()), SignedTemplate::body()) }
    }

    pub(super) fn of(header: HeaderName, form: Form, template: SignedTemplate) -> Self {
        Self {
            header,
            timestamp_header: None,
            form,
            encoding: Encoding::Hex,
            template,
            key_use: KeyUse::Verbatim,
        }
    }

    /// Signs other bytes than the body alone.
    #[must_use]
    pub fn with_template(mut self, template: SignedTemplate) -> Self {
        self.template = template;
        self
    }

    /// Writes the code as hex or as base64.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Turns the secret into the key in another way.
    #[must_use]
    pub fn with_key_use(mut self, key_use: KeyUse) -> Self {
        self.key_use = key_use;
        self
    }

    /// Puts this before the one signature that the header holds.
    ///
    /// # Errors
    /// [`SchemeRefusal::BadPrefix`] when a header cannot carry it.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, SchemeRefusal> {
        if prefix.len() > 64 || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SchemeRefusal::BadPrefix);
        }
        self.form = Form::Value(prefix.into());
        Ok(self)
    }

    /// Lists the timestamp and a signature per live secret instead of a single signature behind a prefix.
    #[must_use]
    pub fn with_list(mut self, list: SignatureList) -> Self {
        self.form = Form::List(list);
        self
    }

    /// Sends the timestamp in this header too; `webhook-timestamp` is always sent.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when the header cannot be used.
    pub fn with_timestamp_header(mut self, header: &str) -> Result<Self, SchemeRefusal> {
        self.timestamp_header = Some(usable_header(header)?);
        Ok(self)
    }

    /// The header that holds the signature.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The header that holds the timestamp, besides `webhook-timestamp`.
    pub fn timestamp_header(&self) -> Option<&HeaderName> {
        self.timestamp_header.as_ref()
    }

    /// What stands before the signature; `None` where the header is a list.
    pub fn prefix(&self) -> Option<&str> {
        match &self.form {
            Form::Value(prefix) => Some(prefix),
            Form::List(_) => None,
        }
    }

    /// How the header lists its signatures; `None` where it holds a single one.
    pub fn list(&self) -> Option<&SignatureList> {
        match &self.form {
            Form::Value(_) => None,
            Form::List(list) => Some(list),
        }
    }

    /// How the code becomes text.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Which bytes are signed.
    pub fn template(&self) -> &SignedTemplate {
        &self.template
    }

    /// How the secret becomes the key.
    pub fn key_use(&self) -> KeyUse {
        self.key_use
    }

    pub(super) fn form(&self) -> &Form {
        &self.form
    }
}

impl SignatureList {
    /// `t=…,v1=…`.
    pub fn stripe() -> Self {
        Self { timestamp: "t".into(), signature: "v1".into(), separator: b',' }
    }

    /// A list with other names and, if it must be, `;` between its items.
    ///
    /// # Errors
    /// [`SchemeRefusal::BadList`] when a name is not made of 1 to 32 letters and digits, when both are the same, or when
    /// the separator is neither `,` nor `;`.
    pub fn new(timestamp: &str, signature: &str, separator: char) -> Result<Self, SchemeRefusal> {
        let is_name = |name: &str| {
            (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let separator = match separator {
            ',' => b',',
            ';' => b';',
            _ => return Err(SchemeRefusal::BadList),
        };
        if !is_name(timestamp) || !is_name(signature) || timestamp == signature {
            return Err(SchemeRefusal::BadList);
        }
        Ok(Self { timestamp: timestamp.into(), signature: signature.into(), separator })
    }

    /// The name before the timestamp.
    pub fn timestamp(&self) -> &str {
        &self.timestamp
    }

    /// The name before each signature.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// What stands between two items.
    pub fn separator(&self) -> char {
        char::from(self.separator)
    }

    pub(super) fn separator_byte(&self) -> u8 {
        self.separator
    }
}

words!(Encoding {
    Hex => "hex",
    Base64 => "base64",
});

words!(KeyUse {
    Verbatim => "verbatim",
    Decoded => "decoded",
});

fn usable_header(name: &str) -> Result<HeaderName, SchemeRefusal> {
    let bad = || SchemeRefusal::BadHeader { name: name.chars().take(128).collect() };
    if name.len() > 128 {
        return Err(bad());
    }
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
    let text = header.as_str();
    if is_reserved(&header)
        || RESERVED.contains(&text)
        || RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
    {
        return Err(SchemeRefusal::ReservedHeader { name: text.to_owned() });
    }
    Ok(header)
}

/// What HTTP, the engine, a proxy or a receiver's own login reads: a signature there would change what it reads.
const RESERVED: [&str; 25] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "metadata",
    "metadata-flavor",
    "origin",
    "range",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
const RESERVED_PREFIXES: [&str; 7] =
    ["ce-", "proxy-", "sec-", "webhook-", "x-aws-ec2-metadata-", "x-forwarded-", "x-google-metadata-"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_a_meaning_of_its_own_is_refused() {
        for name in
            ["Host", "content-length", "Connection", "TE", "webhook-id", "WEBHOOK-SIGNATURE", "webhook-x"]
                .into_iter()
                .chain([
                    "authorization",
                    "x-aws-ec2-metadata-token",
                    "X-Forwarded-For",
                    "Metadata-Flavor",
                    "ce-id",
                ])
        {
            let refusal = HmacScheme::new(name);

            assert_eq!(refusal, Err(SchemeRefusal::ReservedHeader { name: name.to_ascii_lowercase() }));
        }
    }

    #[test]
    fn a_text_that_is_no_header_name_is_refused() {
        let long = "x".repeat(129);
        for name in ["", " ", "x y", "x:y", "x\r\ny", "x\0", "é", &long] {
            let refusal = HmacScheme::new(name);

            assert!(matches!(refusal, Err(SchemeRefusal::BadHeader { .. })), "{name:?}: {refusal:?}");
        }
    }

    #[test]
    fn a_prefix_and_a_list_must_fit_into_a_header() -> Result<(), SchemeRefusal> {
        let scheme = HmacScheme::new("x-acme-signature")?;

        for prefix in ["a b", "a\n", "é", "\0", &"x".repeat(65)] {
            assert_eq!(scheme.clone().with_prefix(prefix), Err(SchemeRefusal::BadPrefix), "{prefix:?}");
        }
        for (timestamp, signature, separator) in [
            ("t", "t", ','),
            ("", "v1", ','),
            ("t", "v=1", ','),
            ("t", "v,1", ','),
            ("t", "v1", ' '),
            ("t", "v1", '='),
        ] {
            let refusal = SignatureList::new(timestamp, signature, separator);

            assert_eq!(refusal, Err(SchemeRefusal::BadList), "{timestamp} {signature} {separator}");
        }
        Ok(())
    }
}
