//! Steps on dates and times.

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::value::V;
use crate::mapping::plan::dates::{DateForm, DatePlan, Moment, Zone};

pub(super) fn rewrite<'a>(value: V<'a>, plan: &DatePlan) -> Result<V<'a>, Failure> {
    let mut moment = match (&value, &plan.input) {
        (V::Text(text), form) => Moment::read(text, form)?,
        (V::Number(_) | V::Decimal(_), form @ (DateForm::EpochSeconds | DateForm::EpochMilliseconds)) => {
            let whole = value.number()?.whole().and_then(|whole| i64::try_from(whole).ok());
            let whole = whole.ok_or_else(|| Failure::new("E-DATE-VALUE", "expected a whole number"))?;
            Moment::of_epoch(whole, form)?
        }
        (other, _) => return Err(other.unexpected("text")),
    };
    moment.offset = moment.offset.or(plan.assume);
    if let Zone::Fixed(offset) = plan.zone {
        moment = moment.told_in(offset)?;
    }
    match plan.output {
        DateForm::EpochSeconds => whole_seconds(moment.epoch_ms()?),
        DateForm::EpochMilliseconds => Ok(V::Decimal(moment.epoch_ms()?.into())),
        DateForm::Rfc3339 | DateForm::Pattern(_) => {
            let mut text = String::with_capacity(32);
            moment.write(&plan.output, &mut text)?;
            Ok(V::owned_text(text))
        }
    }
}

/// The time since 1970, in units of so many milliseconds; what is less than a unit is cut off.
pub(super) fn epoch<'a>(text: &str, unit: i64) -> Result<V<'a>, Failure> {
    let moment = Moment::read(text, &DateForm::Rfc3339)?;
    Ok(V::Decimal(moment.epoch_ms()?.div_euclid(unit).into()))
}

fn whole_seconds<'a>(milliseconds: i64) -> Result<V<'a>, Failure> {
    if milliseconds % 1000 != 0 {
        return Err(Failure::new("E-INEXACT", "the time has parts of a second"));
    }
    Ok(V::Decimal((milliseconds / 1000).into()))
}

pub(super) fn date_only<'a>(text: &str) -> Result<V<'a>, Failure> {
    let moment = Moment::read(text, &DateForm::Rfc3339)?;
    written(moment, &iso_date()?)
}

pub(super) fn add_days<'a>(text: &str, days: i32) -> Result<V<'a>, Failure> {
    let date = iso_date()?;
    match Moment::read(text, &date) {
        Ok(moment) => written(moment.plus_days(days)?, &date),
        Err(_) => written(Moment::read(text, &DateForm::Rfc3339)?.plus_days(days)?, &DateForm::Rfc3339),
    }
}

fn iso_date() -> Result<DateForm, Failure> {
    DateForm::parse("iso_date").map_err(|_| Failure::new("E-DATE-VALUE", "there is no form of dates"))
}

fn written<'a>(moment: Moment, form: &DateForm) -> Result<V<'a>, Failure> {
    let mut text = String::with_capacity(32);
    moment.write(form, &mut text)?;
    Ok(V::owned_text(text))
}
