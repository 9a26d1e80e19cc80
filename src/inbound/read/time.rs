//! Times as providers write them.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::inbound::scheme::model::Unit;

/// A time that is signed: nothing but plain digits, or RFC 3339.
pub(in crate::inbound) fn exact(text: &[u8], unit: Unit) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(text).ok()?;
    // `parse` alone would take `+1`.
    let number =
        || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    match unit {
        Unit::Seconds => DateTime::from_timestamp(number()?, 0),
        Unit::Milliseconds => DateTime::from_timestamp_millis(number()?),
        Unit::Rfc3339 => Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()),
    }
}

/// A time that only orders events: without an offset it is taken as UTC.
pub(in crate::inbound) fn lenient(text: &str, unit: Unit) -> Option<DateTime<Utc>> {
    let without_offset = || text.parse::<NaiveDateTime>().ok().map(|time| time.and_utc());
    exact(text.as_bytes(), unit).or_else(|| if unit == Unit::Rfc3339 { without_offset() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_digits_are_a_number() {
        for text in [
            "",
            "+1",
            " 1",
            "1 ",
            "1.5",
            "1e400",
            "-1",
            "0x3e8",
            "\u{661}",
            "-9223372036854775808",
            "9223372036854775807",
            "99999999999999999999",
            "Infinity",
        ] {
            assert_eq!(exact(text.as_bytes(), Unit::Seconds), None, "{text}");
        }
        assert_eq!(exact(b"\xff1", Unit::Seconds), None);
        assert_eq!(exact(b"1700000000", Unit::Seconds), DateTime::from_timestamp(1_700_000_000, 0));
        assert_eq!(
            exact(b"1700000000123", Unit::Milliseconds),
            DateTime::from_timestamp(1_700_000_000, 123_000_000)
        );
    }

    #[test]
    fn a_time_without_an_offset_orders_but_signs_nothing() {
        let text = "2017-06-21T01:15:39.902";

        assert_eq!(exact(text.as_bytes(), Unit::Rfc3339), None);
        assert_eq!(lenient(text, Unit::Rfc3339).map(|time| time.timestamp()), Some(1_498_007_739));
    }
}
