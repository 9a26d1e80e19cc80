//! What a date says, and the same moment elsewhere and on other days.

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::plan::dates::form::DateForm;

/// A date, perhaps with a time, perhaps with an offset from Greenwich.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) date: NaiveDate,
    pub(crate) time: Option<NaiveTime>,
    pub(crate) offset: Option<i32>,
}

impl Moment {
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
}

pub(super) fn wrong(problem: &'static str) -> Failure {
    Failure::new("E-DATE-VALUE", problem)
}

pub(super) fn no_zone() -> Failure {
    Failure::new("E-DATE-VALUE", "the time names no zone; `assume` says which one is meant")
}

pub(super) const NANOS: u32 = 1_000_000_000;
