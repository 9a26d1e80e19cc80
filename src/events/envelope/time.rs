//! How a time is written: RFC 3339 with milliseconds, unless a receiver wants it otherwise.

use std::fmt::Write;
use std::sync::Arc;

use chrono::format::{Fixed, Item, StrftimeItems};
use chrono::{DateTime, Datelike, FixedOffset, Timelike, Utc};

use crate::events::envelope::format::InvalidFormat;

/// How the flat format writes an event's time: a pattern, and the zone whose clock it shows.
///
/// ```
/// use chrono::{DateTime, FixedOffset};
/// use crossdock::events::{TimeFormat, Zone};
///
/// let at = DateTime::from_timestamp_millis(1_700_000_000_250).ok_or("a time")?;
/// let berlin = Zone::Offset("+01:00".parse::<FixedOffset>()?);
///
/// assert_eq!(TimeFormat::default().write(at), "2023-11-14T22:13:20.250Z");
/// assert_eq!(TimeFormat::iso(berlin).write(at), "2023-11-14T23:13:20.250+01:00");
/// assert_eq!(TimeFormat::iso(Zone::Unwritten).write(at), "2023-11-14T22:13:20.250");
/// assert_eq!(TimeFormat::strftime("%d.%m.%Y %H:%M", berlin)?.write(at), "14.11.2023 23:13");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TimeFormat {
    pattern: Option<Arc<str>>,
    zone: Zone,
}

/// Whose clock a time shows, and whether it says so.
///
/// ```
/// use crossdock::events::Zone;
///
/// assert_eq!(Zone::default(), Zone::Utc);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Zone {
    /// UTC, written as `Z`.
    #[default]
    Utc,
    /// A fixed distance from UTC, written as such: `+01:00`.
    Offset(FixedOffset),
    /// UTC, without saying so: for receivers that choke on a zone.
    Unwritten,
}

impl TimeFormat {
    /// RFC 3339 with milliseconds, such as `2018-04-05T17:31:00.000Z`.
    pub fn iso(zone: Zone) -> Self {
        Self { pattern: None, zone }
    }

    /// A pattern of strftime, as [`chrono::format::strftime`] lists it.
    ///
    /// # Errors
    /// The pattern is empty, too long, or unknown; or it writes a zone that is not the chosen one.
    pub fn strftime(pattern: &str, zone: Zone) -> Result<Self, InvalidFormat> {
        if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES || pattern.chars().any(char::is_control) {
            return Err(InvalidFormat::TimePattern);
        }
        let items: Vec<_> = StrftimeItems::new(pattern).collect();
        if items.contains(&Item::Error) {
            return Err(InvalidFormat::TimePattern);
        }
        let says_z = matches!(items.last(), Some(Item::Literal(text)) if text.ends_with('Z'));
        if (zone != Zone::Utc && says_z) || (zone == Zone::Unwritten && items.iter().any(writes_zone)) {
            return Err(InvalidFormat::TimeZone);
        }
        Ok(Self { pattern: Some(pattern.into()), zone })
    }

    /// The pattern of strftime; `None` for RFC 3339.
    pub fn pattern(&self) -> Option<&str> {
        self.pattern.as_deref()
    }

    /// Whose clock the time shows.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The time, written.
    pub fn write(&self, time: DateTime<Utc>) -> String {
        let time = within_rfc3339(time);
        let iso = || String::from_utf8_lossy(&rfc3339_millis(time)).into_owned();
        let mut text = String::new();
        let written = match (&self.pattern, self.zone) {
            (Some(pattern), Zone::Utc | Zone::Unwritten) => write!(text, "{}", time.format(pattern)),
            (Some(pattern), Zone::Offset(offset)) => {
                write!(text, "{}", time.with_timezone(&offset).format(pattern))
            }
            (None, Zone::Utc) => return iso(),
            (None, Zone::Unwritten) => write!(text, "{}", time.format("%Y-%m-%dT%H:%M:%S%.3f")),
            (None, Zone::Offset(offset)) => {
                write!(text, "{}", time.with_timezone(&offset).format("%Y-%m-%dT%H:%M:%S%.3f%:z"))
            }
        };
        // Every item was checked when the format was made. If one fails all the same, a time beats half a time.
        if written.is_ok() { text } else { iso() }
    }
}

/// `2018-04-05T17:31:00.000Z`, always this long: times outside the years that RFC 3339 knows become its first or last.
pub(crate) fn rfc3339_millis(time: DateTime<Utc>) -> [u8; 24] {
    let time = within_rfc3339(time);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    // A leap second, which few receivers can read, is the last millisecond before it.
    let millis = time.timestamp_subsec_millis().min(999);
    for (place, digits, number) in [
        (0, 4, time.year().unsigned_abs()),
        (5, 2, time.month()),
        (8, 2, time.day()),
        (11, 2, time.hour()),
        (14, 2, time.minute()),
        (17, 2, time.second()),
        (20, 3, millis),
    ] {
        let mut rest = number;
        for slot in text[place..place + digits].iter_mut().rev() {
            *slot = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    text
}

fn within_rfc3339(time: DateTime<Utc>) -> DateTime<Utc> {
    if (1..=9999).contains(&time.year()) {
        return time;
    }
    let edge = if time.year() < 1 { FIRST_SECOND } else { LAST_SECOND };
    DateTime::from_timestamp(edge, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

fn writes_zone(item: &Item<'_>) -> bool {
    matches!(
        item,
        Item::Fixed(
            Fixed::TimezoneName
                | Fixed::TimezoneOffset
                | Fixed::TimezoneOffsetColon
                | Fixed::TimezoneOffsetDoubleColon
                | Fixed::TimezoneOffsetTripleColon
                | Fixed::TimezoneOffsetColonZ
                | Fixed::TimezoneOffsetZ
                | Fixed::RFC2822
                | Fixed::RFC3339
        )
    )
}

const MAX_PATTERN_BYTES: usize = 64;
/// `0001-01-01T00:00:00Z`.
const FIRST_SECOND: i64 = -62_135_596_800;
/// `9999-12-31T23:59:59Z`.
const LAST_SECOND: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    fn text(time: DateTime<Utc>) -> String {
        String::from_utf8_lossy(&rfc3339_millis(time)).into_owned()
    }

    proptest! {
        #[test]
        fn times_are_written_as_rfc_3339_says(seconds in FIRST_SECOND..=LAST_SECOND, nanos in 0_u32..1_000_000_000) {
            let time = DateTime::from_timestamp(seconds, nanos).expect("a time");

            prop_assert_eq!(text(time), time.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
    }

    #[test]
    fn a_time_that_rfc_3339_cannot_write_is_its_first_or_last() {
        assert_eq!(text(DateTime::<Utc>::MIN_UTC), "0001-01-01T00:00:00.000Z");
        assert_eq!(text(DateTime::<Utc>::MAX_UTC), "9999-12-31T23:59:59.000Z");
    }

    #[test]
    fn a_leap_second_is_the_end_of_the_one_before() {
        let leap = DateTime::from_timestamp(1_483_228_799, 1_500_000_000).expect("a time");

        assert_eq!(text(leap), "2016-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_pattern_is_known_and_tells_no_wrong_zone() {
        let east = Zone::Offset(FixedOffset::east_opt(3600).expect("an offset"));
        for (pattern, zone, verdict) in [
            ("%Y-%m-%dT%H:%M:%SZ", Zone::Utc, None),
            ("%Y-%m-%dT%H:%M:%SZ", east, Some(InvalidFormat::TimeZone)),
            ("%Y-%m-%dT%H:%M:%SZ", Zone::Unwritten, Some(InvalidFormat::TimeZone)),
            ("%Y-%m-%dT%H:%M:%S%:z", east, None),
            ("%Y-%m-%dT%H:%M:%S%:z", Zone::Unwritten, Some(InvalidFormat::TimeZone)),
            ("%+", Zone::Unwritten, Some(InvalidFormat::TimeZone)),
            ("%H:%M %Z", Zone::Unwritten, Some(InvalidFormat::TimeZone)),
            ("%s", Zone::Unwritten, None),
            ("%d.%m.%Y \"%H\"", east, None),
            ("%Q", Zone::Utc, Some(InvalidFormat::TimePattern)),
            ("%", Zone::Utc, Some(InvalidFormat::TimePattern)),
            ("", Zone::Utc, Some(InvalidFormat::TimePattern)),
            ("%Y\n", Zone::Utc, Some(InvalidFormat::TimePattern)),
            (&"%Y".repeat(33), Zone::Utc, Some(InvalidFormat::TimePattern)),
        ] {
            assert_eq!(TimeFormat::strftime(pattern, zone).err(), verdict, "{pattern} {zone:?}");
        }
    }

    #[test]
    fn every_specifier_writes_every_time_in_every_zone() {
        let far = |seconds| Zone::Offset(FixedOffset::east_opt(seconds).expect("an offset"));
        let times = [DateTime::<Utc>::MIN_UTC, DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC];
        let letters = ('A'..='Z').chain('a'..='z').chain(['%', '+']);
        let patterns = letters.flat_map(|letter| {
            ["", "-", "_", "0", ".", ".3", "3", ":", "::"].map(|flag| format!("x%{flag}{letter}"))
        });
        let mut written = 0;
        for pattern in patterns {
            for zone in [Zone::Utc, Zone::Unwritten, far(86_399), far(-86_399)] {
                let Ok(format) = TimeFormat::strftime(&pattern, zone) else { continue };
                for time in times {
                    assert!(format.write(time).starts_with('x'), "{pattern} {zone:?} {time}");
                    written += 1;
                }
            }
        }
        assert!(written > 500, "{written}");
    }
}
