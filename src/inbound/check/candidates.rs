//! Which texts of a header or field could be the signature.

use crate::inbound::outcome::Refusal;
use crate::inbound::scheme::model::SignatureFormat;

/// The texts, and the timestamp beside them.
#[derive(Debug)]
pub(in crate::inbound) struct Candidates<'v> {
    texts: [&'v [u8]; MOST],
    count: usize,
    pub(in crate::inbound) timestamp: Option<&'v [u8]>,
}

impl<'v> Candidates<'v> {
    pub(in crate::inbound) fn none() -> Self {
        Self { texts: [b""; MOST], count: 0, timestamp: None }
    }

    pub(in crate::inbound) fn as_slice(&self) -> &[&'v [u8]] {
        &self.texts[..self.count]
    }

    /// Reads a value; what is bad or unknown is skipped, but there may not be too much of it.
    pub(in crate::inbound) fn read(value: &'v [u8], format: &SignatureFormat) -> Result<Self, Refusal> {
        let mut found = Self::none();
        match format {
            SignatureFormat::Plain { prefix } => {
                found.push(value.strip_prefix(prefix.as_bytes()).ok_or(Refusal::MalformedSignature)?)?;
            }
            SignatureFormat::KeyValue { separator, signature, timestamp } => {
                for item in split(value, *separator) {
                    let behind = |name: &str| item.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
                    if let Some(digits) = timestamp.as_deref().and_then(behind) {
                        if found.timestamp.replace(digits).is_some() {
                            return Err(Refusal::MalformedSignature);
                        }
                    } else if let Some(text) = behind(signature) {
                        found.push(text)?;
                    }
                }
                if timestamp.is_some() && found.timestamp.is_none() {
                    return Err(Refusal::MissingTimestamp);
                }
            }
            SignatureFormat::Tagged { tag } => {
                let items = value.split(|&byte| byte == b' ');
                for (index, item) in items.enumerate() {
                    if index == MOST {
                        return Err(Refusal::TooManyCandidates);
                    }
                    if let Some(text) = item.strip_prefix(tag.as_bytes()) {
                        found.push(text)?;
                    }
                }
            }
            SignatureFormat::Positional { separator, signature, timestamp } => {
                for (index, item) in split(value, *separator).enumerate() {
                    if index == *signature {
                        found.push(item)?;
                    } else if Some(index) == *timestamp {
                        found.timestamp = Some(item);
                    } else if index >= MOST {
                        return Err(Refusal::TooManyCandidates);
                    }
                }
                if timestamp.is_some() && found.timestamp.is_none() {
                    return Err(Refusal::MissingTimestamp);
                }
            }
        }
        if found.count == 0 { Err(Refusal::MalformedSignature) } else { Ok(found) }
    }

    /// Adds the candidates of another value.
    pub(in crate::inbound) fn extend(&mut self, others: &Self) -> Result<(), Refusal> {
        others.as_slice().iter().try_for_each(|text| self.push(text))
    }

    fn push(&mut self, text: &'v [u8]) -> Result<(), Refusal> {
        // An empty text is no signature of anything.
        if !text.is_empty() {
            *self.texts.get_mut(self.count).ok_or(Refusal::TooManyCandidates)? = text;
            self.count += 1;
        }
        Ok(())
    }
}

fn split(value: &[u8], separator: char) -> impl Iterator<Item = &[u8]> {
    // Separators are ASCII: the scheme was checked.
    let separator = u8::try_from(separator).unwrap_or(b',');
    value.split(move |&byte| byte == separator)
}

/// More is an attempt to keep us busy.
pub(in crate::inbound) const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str, format: &SignatureFormat) -> Result<(Vec<String>, Option<String>), Refusal> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Candidates::read(value.as_bytes(), format)
            .map(|found| (found.as_slice().iter().map(|one| text(one)).collect(), found.timestamp.map(text)))
    }

    fn list() -> SignatureFormat {
        SignatureFormat::KeyValue { separator: ',', signature: "v1".into(), timestamp: Some("t".into()) }
    }

    #[test]
    fn a_list_has_one_timestamp_and_any_number_of_signatures() {
        let both = Ok((vec!["a".to_owned(), "b".to_owned()], Some("1".to_owned())));

        assert_eq!(read("t=1,v1=a,v0=x,v1=b", &list()), both);
        assert_eq!(read("v1=a,v1=,t=1,,=,v1=b,v11=c", &list()), both);
        for (text, refusal) in [
            ("", Refusal::MissingTimestamp),
            ("v1=a", Refusal::MissingTimestamp),
            ("T=1,v1=a", Refusal::MissingTimestamp),
            (" t=1,v1=a", Refusal::MissingTimestamp),
            ("t=1,t=1,v1=a", Refusal::MalformedSignature),
            ("t=1,v0=a", Refusal::MalformedSignature),
            ("t=1,v1=", Refusal::MalformedSignature),
        ] {
            assert_eq!(read(text, &list()), Err(refusal), "{text}");
        }
    }

    #[test]
    fn there_are_sixteen_candidates_at_most() {
        let tagged = SignatureFormat::Tagged { tag: "v1,".into() };

        for (format, front, one) in [(list(), "t=1", ",v1=a"), (tagged, "v1,a", " v1,a")] {
            let most = if front == "t=1" { MOST } else { MOST - 1 };
            let value = |count| format!("{front}{}", one.repeat(count));
            assert_eq!(read(&value(most), &format).map(|(texts, _)| texts.len()), Ok(MOST));
            assert_eq!(read(&value(most + 1), &format), Err(Refusal::TooManyCandidates));
        }
    }

    #[test]
    fn a_position_is_counted_from_nought() {
        let format = SignatureFormat::Positional { separator: ':', signature: 1, timestamp: Some(0) };

        assert_eq!(read("17:abc", &format), Ok((vec!["abc".to_owned()], Some("17".to_owned()))));
        assert_eq!(read("17", &format), Err(Refusal::MalformedSignature));
        assert_eq!(read("17:", &format), Err(Refusal::MalformedSignature));
    }
}
