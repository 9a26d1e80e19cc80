//! How dates and times are written: patterns taken apart once, and read and written by hand.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use crate::mapping::evaluate::failure::Failure;

/// A rewriting of dates.
#[derive(Debug)]
pub(crate) struct DatePlan {
    pub(crate) input: DateForm,
    pub(crate) output: DateForm,
    pub(crate) zone: Zone,
    pub(crate) assume: Option<i32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Zone {
    Keep,
    /// Seconds east of Greenwich.
    Fixed(i32),
}

#[derive(Debug, PartialEq)]
pub(crate) enum DateForm {
    Rfc3339,
    EpochSeconds,
    EpochMilliseconds,
    Pattern(Box<[Part]>),
}

/// One part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Literal(Box<str>),
    Year,
    ShortYear,
    Month,
    MonthName,
    MonthAbbreviation,
    Day,
    DayOfYear,
    Weekday,
    Hour,
    Hour12,
    HalfOfDay,
    Minute,
    Second,
    /// Digits of a second; 0 means as many as there are.
    Fraction(u8),
    /// With a colon or without.
    Offset(bool),
}

/// A date, perhaps with a time, perhaps with an offset from Greenwich.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) date: NaiveDate,
    pub(crate) time: Option<NaiveTime>,
    pub(crate) offset: Option<i32>,
}

/// What is wrong with a pattern, and at which byte.
#[derive(Debug, PartialEq)]
pub(crate) struct InvalidPattern {
    pub(crate) at: usize,
    pub(crate) problem: String,
}

impl DateForm {
    /// Reads `rfc3339`, `iso_date`, `epoch_s`, `epoch_ms` or a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        Ok(match text {
            "rfc3339" => Self::Rfc3339,
            "epoch_s" => Self::EpochSeconds,
            "epoch_ms" => Self::EpochMilliseconds,
            "iso_date" => Self::Pattern(parts("%Y-%m-%d")?),
            _ if text.contains('%') => Self::Pattern(parts(text)?),
            _ => {
                let problem = "expected `rfc3339`, `iso_date`, `epoch_s`, `epoch_ms` or a pattern with `%`";
                return Err(InvalidPattern { at: 0, problem: problem.to_owned() });
            }
        })
    }

    /// Whether a value of this form says at which time of the day.
    pub(crate) fn has_time(&self) -> bool {
        match self {
            Self::Rfc3339 | Self::EpochSeconds | Self::EpochMilliseconds => true,
            Self::Pattern(parts) => parts.iter().any(|part| {
                matches!(part, Part::Hour | Part::Hour12 | Part::Minute | Part::Second | Part::Fraction(_))
            }),
        }
    }

    /// Whether a value of this form says a date.
    pub(crate) fn has_date(&self) -> bool {
        match self {
            Self::Rfc3339 | Self::EpochSeconds | Self::EpochMilliseconds => true,
            Self::Pattern(parts) => {
                let has = |wanted: &[Part]| parts.iter().any(|part| wanted.contains(part));
                has(&[Part::Year, Part::ShortYear])
                    && (has(&[Part::DayOfYear])
                        || (has(&[Part::Month, Part::MonthName, Part::MonthAbbreviation])
                            && has(&[Part::Day])))
            }
        }
    }

    /// Whether a value of this form says its offset from Greenwich.
    pub(crate) fn has_offset(&self) -> bool {
        match self {
            Self::Rfc3339 | Self::EpochSeconds | Self::EpochMilliseconds => true,
            Self::Pattern(parts) => parts.iter().any(|part| matches!(part, Part::Offset(_))),
        }
    }
}

fn parts(pattern: &str) -> Result<Box<[Part]>, InvalidPattern> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = pattern.char_indices();
    while let Some((at, c)) = rest.next() {
        if c != '%' {
            literal.push(c);
            continue;
        }
        let invalid = |problem: &str| InvalidPattern { at, problem: problem.to_owned() };
        let letter = rest.next().map(|(_, c)| c);
        let expanded: &[Part] = match letter {
            Some('%') => {
                literal.push('%');
                continue;
            }
            Some('Y') => &[Part::Year],
            Some('y') => &[Part::ShortYear],
            Some('m') => &[Part::Month],
            Some('B') => &[Part::MonthName],
            Some('b') => &[Part::MonthAbbreviation],
            Some('d') => &[Part::Day],
            Some('j') => &[Part::DayOfYear],
            Some('a') => &[Part::Weekday],
            Some('H') => &[Part::Hour],
            Some('I') => &[Part::Hour12],
            Some('p') => &[Part::HalfOfDay],
            Some('M') => &[Part::Minute],
            Some('S') => &[Part::Second],
            Some('f') => &[Part::Fraction(0)],
            Some('z') => &[Part::Offset(false)],
            Some('3' | '6' | '9') if rest.clone().next().map(|(_, c)| c) == Some('f') => {
                rest.next();
                match letter {
                    Some('3') => &[Part::Fraction(3)],
                    Some('6') => &[Part::Fraction(6)],
                    _ => &[Part::Fraction(9)],
                }
            }
            Some(':') if rest.clone().next().map(|(_, c)| c) == Some('z') => {
                rest.next();
                &[Part::Offset(true)]
            }
            Some(other) => {
                return Err(invalid(&format!(
                    "`%{other}` is not a part of dates; known are %Y %y %m %B %b %d %j %a %H %I %p %M %S %f %3f %6f %9f %z %:z %%"
                )));
            }
            None => return Err(invalid("a lone `%` at the end")),
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal).into()));
        }
        parts.extend_from_slice(expanded);
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts.into())
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

    /// A number of seconds or milliseconds since 1970.
    pub(crate) fn of_epoch(number: i64, form: &DateForm) -> Result<Self, Failure> {
        let utc = match form {
            DateForm::EpochMilliseconds => chrono::DateTime::from_timestamp_millis(number),
            _ => chrono::DateTime::from_timestamp(number, 0),
        };
        let utc = utc.ok_or_else(|| wrong("a time too far away"))?.naive_utc();
        Ok(Self { date: utc.date(), time: Some(utc.time()), offset: Some(0) })
    }

    /// The same moment, told in another zone.
    pub(crate) fn told_in(self, offset: i32) -> Result<Self, Failure> {
        let from = self.offset.ok_or_else(no_zone)?;
        if from == offset {
            return Ok(self);
        }
        let time = self.time.ok_or_else(|| wrong("a date without a time is in no zone"))?;
        let moved = NaiveDateTime::new(self.date, time)
            .checked_add_signed(TimeDelta::seconds(i64::from(offset) - i64::from(from)))
            .ok_or_else(|| wrong("a time too far away"))?;
        Ok(Self { date: moved.date(), time: Some(moved.time()), offset: Some(offset) })
    }

    /// So many days later.
    pub(crate) fn plus_days(self, days: i32) -> Result<Self, Failure> {
        let by = Days::new(u64::from(days.unsigned_abs()));
        let date = if days < 0 { self.date.checked_sub_days(by) } else { self.date.checked_add_days(by) };
        Ok(Self { date: date.ok_or_else(|| wrong("a date too far away"))?, ..self })
    }

    /// Milliseconds since 1970.
    pub(crate) fn epoch_ms(self) -> Result<i64, Failure> {
        let utc = self.told_in(0)?;
        let time = utc.time.ok_or_else(|| wrong("a date without a time"))?;
        Ok(NaiveDateTime::new(utc.date, time).and_utc().timestamp_millis())
    }

    /// Writes the moment.
    pub(crate) fn write(self, form: &DateForm, out: &mut String) -> Result<(), Failure> {
        let parts = match form {
            DateForm::Rfc3339 => {
                let time =
                    self.time.ok_or_else(|| wrong("a date without a time cannot be written as `rfc3339`"))?;
                for (part, behind) in RFC3339 {
                    self.write_parts(std::slice::from_ref(part), out)?;
                    out.push_str(behind);
                }
                if time.nanosecond() % NANOS != 0 {
                    out.push('.');
                    self.write_parts(&[Part::Fraction(0)], out)?;
                }
                match self.offset.ok_or_else(no_zone)? {
                    0 => out.push('Z'),
                    _ => self.write_parts(&[Part::Offset(true)], out)?,
                }
                return Ok(());
            }
            DateForm::EpochSeconds | DateForm::EpochMilliseconds => return Err(wrong("epochs are numbers")),
            DateForm::Pattern(parts) => parts,
        };
        self.write_parts(parts, out)
    }

    fn write_parts(self, parts: &[Part], out: &mut String) -> Result<(), Failure> {
        let time = || self.time.ok_or_else(|| wrong("the date has no time"));
        for part in parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Year => match u32::try_from(self.date.year()) {
                    Ok(year) if year <= 9999 => digits(year, 4, out),
                    _ => return Err(wrong("a year outside of 0 to 9999")),
                },
                Part::ShortYear => match self.date.year() {
                    year @ 1969..=2068 => digits(year.unsigned_abs() % 100, 2, out),
                    _ => return Err(wrong("a year that two digits do not tell")),
                },
                Part::Month => digits(self.date.month(), 2, out),
                Part::MonthName => out.push_str(MONTHS[self.date.month0() as usize]),
                Part::MonthAbbreviation => out.push_str(&MONTHS[self.date.month0() as usize][..3]),
                Part::Day => digits(self.date.day(), 2, out),
                Part::DayOfYear => digits(self.date.ordinal(), 3, out),
                Part::Weekday => out.push_str(WEEKDAYS[self.date.weekday().num_days_from_monday() as usize]),
                Part::Hour => digits(time()?.hour(), 2, out),
                Part::Hour12 => digits(time()?.hour12().1, 2, out),
                Part::HalfOfDay => out.push_str(if time()?.hour() < 12 { "AM" } else { "PM" }),
                Part::Minute => digits(time()?.minute(), 2, out),
                Part::Second => {
                    let time = time()?;
                    digits(time.second() + u32::from(time.nanosecond() >= NANOS), 2, out);
                }
                Part::Fraction(wanted) => {
                    let nanos = time()?.nanosecond() % NANOS;
                    let (mut count, mut value) = (9, nanos);
                    let least = if *wanted == 0 { 1 } else { *wanted };
                    while count > least && value % 10 == 0 {
                        value /= 10;
                        count -= 1;
                    }
                    if *wanted != 0 && count > *wanted {
                        return Err(Failure::new("E-INEXACT", "the time has more digits than the pattern"));
                    }
                    digits(value, usize::from(count), out);
                }
                Part::Offset(colon) => {
                    let offset = self.offset.ok_or_else(no_zone)?;
                    out.push(if offset < 0 { '-' } else { '+' });
                    let minutes = offset.unsigned_abs() / 60;
                    digits(minutes / 60, 2, out);
                    if *colon {
                        out.push(':');
                    }
                    digits(minutes % 60, 2, out);
                }
            }
        }
        Ok(())
    }
}

const RFC3339: &[(Part, &str)] = &[
    (Part::Year, "-"),
    (Part::Month, "-"),
    (Part::Day, "T"),
    (Part::Hour, ":"),
    (Part::Minute, ":"),
    (Part::Second, ""),
];
const NANOS: u32 = 1_000_000_000;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

fn digits(value: u32, width: usize, out: &mut String) {
    let mut buffer = [b'0'; 10];
    let (mut rest, mut at) = (value, buffer.len());
    while rest > 0 {
        at -= 1;
        // Below ten.
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let from = at.min(buffer.len() - width.min(buffer.len()));
    out.extend(buffer[from..].iter().map(|&byte| char::from(byte)));
}

fn wrong(problem: &'static str) -> Failure {
    Failure::new("E-DATE-VALUE", problem)
}

fn no_zone() -> Failure {
    Failure::new("E-DATE-VALUE", "the time names no zone; `assume` says which one is meant")
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
