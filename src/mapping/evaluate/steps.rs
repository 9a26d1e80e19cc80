//! Which step does what.

use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::run::Run;
use crate::mapping::evaluate::tracer::Tracer;
use crate::mapping::evaluate::value::V;
use crate::mapping::evaluate::{dates, lists, numbers, texts, types};
use crate::mapping::plan::{Act, StepPlan};
use crate::mapping::source::Source;
use crate::mapping::source::walk;
use crate::mapping::spec::step::Op;

impl<'a, S: Source<'a>, T: Tracer> Run<'_, 'a, S, T> {
    pub(super) fn step(&mut self, step: &'a StepPlan, value: V<'a>) -> Result<V<'a>, Failure> {
        if value.is_absent() {
            // What is not there passes through.
            return Ok(match &step.act {
                Act::Plain(op) => match &**op {
                    Op::Default { value: default } => V::of(default),
                    _ => value,
                },
                _ => value,
            });
        }
        self.pay(value.weight(), 1)?;
        let most = self.plan.limits.text_bytes;
        match &step.act {
            Act::Plain(op) => self.plain(op, value, most),
            Act::Decimal { separator, group } => numbers::read(value, *separator, *group),
            Act::Round { scale, mode } => numbers::round(value, *scale, *mode),
            Act::Mul(by) => Ok(V::Decimal(value.number()?.times(*by)?)),
            Act::Add(by) => Ok(V::Decimal(value.number()?.plus(*by)?)),
            Act::Div { by, scale, mode } => numbers::divide(value.number()?, *by, *scale, *mode),
            Act::Clamp { min, max } => numbers::clamp(value, *min, *max),
            Act::MinorUnits(currency) => {
                let places = self.places_of(currency)?;
                numbers::minor_units(&value, places)
            }
            Act::MajorUnits(currency) => {
                let places = self.places_of(currency)?;
                numbers::major_units(&value, places)
            }
            Act::Unit { times, by, scale, mode } => {
                numbers::divide(value.number()?.times(*times)?, *by, *scale, *mode)
            }
            Act::Rate { name, scale, mode } => {
                let rate = self.rate(name)?;
                numbers::round(V::Decimal(value.number()?.times(rate)?), *scale, *mode)
            }
            Act::Date(plan) => dates::rewrite(value, plan),
            Act::Table(table) => self.look_up(table, value),
            Act::Cases(cases) => Ok(self.first_case(cases, Some(&value))?.unwrap_or(value)),
            Act::Each(steps) => {
                let mut items = self.items(value)?;
                for item in &mut items {
                    let mut current = std::mem::replace(item, V::Null);
                    for step in steps {
                        self.spend(1)?;
                        current = self.step(step, current)?;
                    }
                    *item = current;
                }
                Ok(V::List(items))
            }
            Act::Filter(question) => {
                let mut kept = Vec::new();
                for item in self.items(value)? {
                    if self.holds(question, Some(&item))? {
                        kept.push(item);
                    }
                }
                Ok(V::List(kept))
            }
            Act::GroupBy(key) => lists::group_by(self.items(value)?, key),
            Act::Sum(path) => lists::sum(self.items(value)?, path),
            Act::Min(path) => lists::extreme(self.items(value)?, path, std::cmp::Ordering::Less),
            Act::Max(path) => lists::extreme(self.items(value)?, path, std::cmp::Ordering::Greater),
            Act::Pick(path) => {
                if value.is_list() {
                    let items = self.items(value)?;
                    let picked = items.iter().map(|item| walk::within(item, path));
                    return Ok(V::List(picked.collect::<Result<_, _>>()?));
                }
                walk::within(&value, path)
            }
            Act::Xref { system, entity, to, miss } => self.identity(system, entity, *to, *miss, value),
        }
    }

    fn plain(&mut self, op: &'a Op, value: V<'a>, most: usize) -> Result<V<'a>, Failure> {
        Ok(match op {
            Op::Prefix { text } => texts::joined(&[text, &value.text_or_number()?], most)?,
            Op::Suffix { text } => texts::joined(&[&value.text_or_number()?, text], most)?,
            Op::StripPrefix { text, required } => texts::strip_prefix(value.text()?, text, *required)?,
            Op::StripSuffix { text, required } => texts::strip_suffix(value.text()?, text, *required)?,
            Op::Trim {} => texts::trim(value.text()?),
            Op::Lower {} => texts::lower(value.text()?, most)?,
            Op::Upper {} => texts::upper(value.text()?, most)?,
            Op::Title {} => texts::title(&value.text()?, most)?,
            Op::Pad { width, with, side } => {
                texts::pad(value.text_or_number()?, *width as usize, with.as_deref(), *side, most)?
            }
            Op::Truncate { max, mode } => texts::truncate(value.text()?, *max as usize, *mode)?,
            Op::Replace { find, with } => texts::replace(value.text()?, find, with, most)?,
            Op::Substring { start, length } => texts::substring(value.text()?, *start, *length),
            Op::NormaliseSpace {} => texts::normalise_space(value.text()?),
            Op::DigitsOnly {} => texts::digits_only(value.text_or_number()?),
            Op::Split { on, max } => {
                let text = value.text()?;
                self.spend(text.len() as u64 / on.len().max(1) as u64)?;
                lists::split(text, on, *max)
            }
            Op::Join { sep, skip_empty } => lists::join(self.items(value)?, sep, *skip_empty, most)?,
            Op::First {} => self.nth(value, 0)?,
            Op::Last {} => self.nth(value, -1)?,
            Op::Nth { index } => self.nth(value, *index)?,
            Op::Unique {} => lists::unique(self.items(value)?),
            Op::Sort { order } => lists::sort(self.items(value)?, *order)?,
            Op::Flatten {} => {
                let mut flat = Vec::new();
                for item in self.items(value)? {
                    match item.is_list() {
                        true => flat.extend(self.items(item)?),
                        false => flat.push(item),
                    }
                }
                V::List(flat)
            }
            Op::Count {} => V::Decimal((self.items(value)?.len() as u64).into()),
            Op::Int {} | Op::Integer {} => numbers::whole(value)?,
            Op::Scale10 { n } => V::Decimal(value.number()?.scaled(*n)?),
            Op::Neg {} => V::Decimal(value.number()?.negated()),
            Op::Abs {} => V::Decimal(value.number()?.magnitude()),
            Op::EpochS {} => dates::epoch(&value.text()?, 1000)?,
            Op::EpochMs {} => dates::epoch(&value.text()?, 1)?,
            Op::DateOnly {} => dates::date_only(&value.text()?)?,
            Op::AddDays { days } => dates::add_days(&value.text()?, *days)?,
            Op::BoolMap { yes, no, way } => types::bool_map(&value, yes.as_ref(), no.as_ref(), *way)?,
            Op::Default { .. } => value,
            Op::Hash { key, text } => self.hash(key, *text, value)?,
            Op::Mask { keep, with } => {
                texts::mask(&value.text_or_number()?, *keep as usize, with.as_deref(), most)?
            }
            Op::String {} => types::string(value)?,
            Op::Boolean {} => types::boolean(value)?,
            Op::JsonText {} => types::json_text(value, &self.plan.limits)?,
            Op::ParseJson { max } => types::parse_json(value, *max, &self.plan.limits)?,
            // Compiled into acts of their own.
            _ => return Err(Failure::new("E-TYPE", "the step was not compiled")),
        })
    }

    /// The elements of a list, each of which costs something.
    pub(super) fn items(&mut self, value: V<'a>) -> Result<Vec<V<'a>>, Failure> {
        // Of lists that are read from text or from memory, the elements are made first.
        if !matches!(value, V::List(_)) {
            self.pay(value.weight(), 1)?;
        }
        let items = walk::items(value)?;
        self.spend(items.len() as u64)?;
        Ok(items)
    }

    fn nth(&mut self, value: V<'a>, index: i64) -> Result<V<'a>, Failure> {
        let mut items = self.items(value)?;
        Ok(walk::place(index, items.len()).map_or(V::Missing, |place| items.swap_remove(place)))
    }
}
