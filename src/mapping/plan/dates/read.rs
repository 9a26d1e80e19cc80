//! Which moment a text says.

use chrono::{NaiveDate, NaiveTime};

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::plan::dates::form::{DateForm, MONTHS, Part, WEEKDAYS};
use crate::mapping::plan::dates::moment::{Moment, NANOS, wrong};

impl Moment {
    /// Reads a text.
    pub(crate) fn read(text: &str, form: &DateForm) -> Result<Self, Failure> {
        let mut reader = Reader { rest: text };
        let moment = match form {
            DateForm::Rfc3339 => reader.rfc3339()?,
            DateForm::EpochSeconds | DateForm::EpochMilliseconds => {
                return text
                    .parse()
                    .map_err(|_| wrong("expected a whole number"))
                    .and_then(|n| Self::of_epoch(n, form));
            }
            DateForm::Pattern(parts) => reader.pattern(parts)?,
        };
        if reader.rest.is_empty() { Ok(moment) } else { Err(wrong("something follows the date")) }
    }
}

/// Reads `utc` or an offset such as `+02:00`.
pub(crate) fn offset(text: &str) -> Option<i32> {
    if matches!(text, "utc" | "UTC" | "Z") {
        return Some(0);
    }
    let mut reader = Reader { rest: text };
    let offset = reader.offset().ok()?;
    reader.rest.is_empty().then_some(offset)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn number(&mut self, least: usize, most: usize) -> Result<u32, Failure> {
        let count = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return Err(wrong("expected digits"));
        }
        let value =
            self.rest[..count].bytes().fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
        self.rest = &self.rest[count..];
        Ok(value)
    }

    fn literal(&mut self, text: &str) -> Result<(), Failure> {
        self.rest = self.rest.strip_prefix(text).ok_or_else(|| wrong("the text does not fit the pattern"))?;
        Ok(())
    }

    /// Digits of a second, as nanoseconds.
    fn fraction(&mut self, least: usize, most: usize) -> Result<u32, Failure> {
        let before = self.rest.len();
        let value = self.number(least, most)?;
        let count = before - self.rest.len();
        Ok(value * 10_u32.pow(9_u32.saturating_sub(count as u32)))
    }

    fn offset(&mut self) -> Result<i32, Failure> {
        if let Some(rest) = self.rest.strip_prefix(['Z', 'z']) {
            self.rest = rest;
            return Ok(0);
        }
        let sign = match self.rest.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(wrong("expected an offset such as `+02:00`")),
        };
        self.rest = &self.rest[1..];
        let hours = self.number(2, 2)?;
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let minutes = self.number(2, 2)?;
        if hours > 23 || minutes > 59 {
            return Err(wrong("an offset out of range"));
        }
        Ok(sign * (hours * 3600 + minutes * 60) as i32)
    }

    fn rfc3339(&mut self) -> Result<Moment, Failure> {
        let year = self.number(4, 4)?;
        self.literal("-")?;
        let month = self.number(2, 2)?;
        self.literal("-")?;
        let day = self.number(2, 2)?;
        self.rest = self
            .rest
            .strip_prefix(['T', 't', ' '])
            .ok_or_else(|| wrong("expected a time behind the date"))?;
        let hour = self.number(2, 2)?;
        self.literal(":")?;
        let minute = self.number(2, 2)?;
        self.literal(":")?;
        let second = self.number(2, 2)?;
        let mut nanos = 0;
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            nanos = self.fraction(1, 9)?;
        }
        let offset = self.offset()?;
        Ok(Moment {
            date: NaiveDate::from_ymd_opt(year as i32, month, day).ok_or_else(no_such_date)?,
            time: Some(time(hour, minute, second, nanos)?),
            offset: Some(offset),
        })
    }

    fn pattern(&mut self, parts: &[Part]) -> Result<Moment, Failure> {
        let (mut year, mut month, mut day, mut ordinal) = (None, None, None, None);
        let (mut hour, mut minute, mut second, mut nanos, mut afternoon) = (None, 0, 0, 0, None);
        let mut offset = None;
        for part in parts {
            match part {
                Part::Literal(text) => self.literal(text)?,
                Part::Year => year = Some(self.number(4, 4)?),
                // As POSIX reads them.
                Part::ShortYear => {
                    year = Some(self.number(2, 2).map(|y| if y < 69 { 2000 + y } else { 1900 + y })?)
                }
                Part::Month => month = Some(self.number(2, 2)?),
                Part::MonthName => month = Some(self.word(&MONTHS, usize::MAX)?),
                Part::MonthAbbreviation => month = Some(self.word(&MONTHS, 3)?),
                Part::Day => day = Some(self.number(2, 2)?),
                Part::DayOfYear => ordinal = Some(self.number(3, 3)?),
                Part::Weekday => {
                    self.word(&WEEKDAYS, usize::MAX)?;
                }
                Part::Hour => hour = Some(self.number(2, 2)?),
                Part::Hour12 => match self.number(2, 2)? {
                    twelve @ 1..=12 => hour = Some(twelve % 12),
                    _ => return Err(wrong("an hour outside of 1 to 12")),
                },
                Part::HalfOfDay => afternoon = Some(self.word(&["AM", "PM"], usize::MAX)? == 2),
                Part::Minute => minute = self.number(2, 2)?,
                Part::Second => second = self.number(2, 2)?,
                Part::Fraction(0) => nanos = self.fraction(1, 9)?,
                Part::Fraction(count) => nanos = self.fraction(usize::from(*count), usize::from(*count))?,
                Part::Offset(_) => offset = Some(self.offset()?),
            }
        }
        let year = year.ok_or_else(no_such_date)? as i32;
        let date = match (ordinal, month, day) {
            (Some(ordinal), ..) => NaiveDate::from_yo_opt(year, ordinal),
            (None, Some(month), Some(day)) => NaiveDate::from_ymd_opt(year, month, day),
            _ => None,
        };
        if afternoon == Some(true) {
            hour = hour.map(|hour| hour + 12);
        }
        let time = hour.map(|hour| time(hour, minute, second, nanos)).transpose()?;
        Ok(Moment { date: date.ok_or_else(no_such_date)?, time, offset })
    }

    /// The number, counted from 1, of the word that stands here, in any case.
    fn word(&mut self, words: &[&str], length: usize) -> Result<u32, Failure> {
        for (index, word) in words.iter().enumerate() {
            let word = &word[..length.min(word.len())];
            if self.rest.get(..word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word)) {
                self.rest = &self.rest[word.len()..];
                return Ok(index as u32 + 1);
            }
        }
        Err(wrong("expected the name of a month, a day or a half of the day"))
    }
}

fn time(hour: u32, minute: u32, second: u32, nanos: u32) -> Result<NaiveTime, Failure> {
    // A leap second is the second before it, a second longer.
    let (second, nanos) = if second == 60 { (59, nanos + NANOS) } else { (second, nanos) };
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos).ok_or_else(|| wrong("there is no such time"))
}

fn no_such_date() -> Failure {
    wrong("there is no such date")
}
