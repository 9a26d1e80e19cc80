//! A field of an `application/x-www-form-urlencoded` text.

use std::borrow::Cow;

/// The name is there more than once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::inbound) struct Repeated;

/// The value of the field, decoded.
pub(in crate::inbound) fn find<'t>(text: &'t [u8], name: &str) -> Result<Option<Cow<'t, str>>, Repeated> {
    let mut values =
        url::form_urlencoded::parse(text).filter(|(found, _)| found == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Repeated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_decoded_and_there_once() {
        assert_eq!(find(b"a=1&b=x+y%21&c", "b"), Ok(Some("x y!".into())));
        assert_eq!(find(b"a=1&b=x+y%21&c", "c"), Ok(Some("".into())));
        assert_eq!(find(b"a=1", "b"), Ok(None));
        assert_eq!(find(b"a=1&%61=2", "a"), Err(Repeated));
        assert_eq!(find(b"%zz=%&=&&\xff=1", "\u{fffd}"), Ok(Some("1".into())));
    }
}
