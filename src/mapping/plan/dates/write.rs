//! Which text says a moment.

use chrono::{Datelike, Timelike};

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::plan::dates::form::{DateForm, MONTHS, Part, WEEKDAYS};
use crate::mapping::plan::dates::moment::{Moment, NANOS, no_zone, wrong};

impl Moment {
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

const RFC3339: &[(Part, &str)] = &[
    (Part::Year, "-"),
    (Part::Month, "-"),
    (Part::Day, "T"),
    (Part::Hour, ":"),
    (Part::Minute, ":"),
    (Part::Second, ""),
];
