//! One step of the document becomes one of the plan.

use crate::mapping::diagnostic::Diagnostic;
use crate::mapping::path::Segment;
use crate::mapping::plan::compile::Compiler;
use crate::mapping::plan::dates::{DateForm, DatePlan, Zone, offset};
use crate::mapping::plan::{Act, CurrencyOf, Rows, StepPlan, TableStep, currencies, units};
use crate::mapping::rounding::Rounding;
use crate::mapping::spec::policy::OnError;
use crate::mapping::spec::step::{Op, Step};
use crate::mapping::spec::table::TableMiss;

impl Compiler<'_> {
    pub(super) fn steps(&mut self, steps: &[Step], pointer: &str) -> Option<Box<[StepPlan]>> {
        let plans: Vec<_> =
            steps.iter().enumerate().map(|(at, step)| self.step(step, &format!("{pointer}/{at}"))).collect();
        plans.into_iter().collect()
    }

    fn step(&mut self, step: &Step, pointer: &str) -> Option<StepPlan> {
        if step.error_default.is_some() && step.on_error != Some(OnError::Default) {
            let place = format!("{pointer}/error_default");
            let message = "the step does not say `\"on_error\":\"default\"`";
            self.found.add(Diagnostic::warning("W-DEFAULT", place, message));
        }
        let act = self.act(&step.op, pointer)?;
        Some(StepPlan {
            name: step.op.name(),
            act,
            on_error: step.on_error,
            default: step.error_default.clone(),
        })
    }

    fn act(&mut self, op: &Op, pointer: &str) -> Option<Act> {
        let rounding = self.defaults.rounding;
        let mode = |mode: &Option<Rounding>| mode.or(rounding);
        Some(match op {
            Op::Decimal { separator, group } => {
                let separator = match separator {
                    Some(text) => self.one_character(text, &format!("{pointer}/separator"))?,
                    None => '.',
                };
                let group = match group {
                    Some(text) => Some(self.one_character(text, &format!("{pointer}/group"))?),
                    None => None,
                };
                if group == Some(separator) {
                    self.error(
                        "E-ARGUMENT",
                        &format!("{pointer}/group"),
                        "groups and decimals have the same separator",
                    );
                }
                Act::Decimal { separator, group }
            }
            Op::Round { scale, mode: own } => {
                self.at_most(*scale, 37, &format!("{pointer}/scale"))?;
                Act::Round { scale: *scale, mode: mode(own) }
            }
            Op::Scale10 { n } => {
                self.at_most(n.unsigned_abs(), 37, &format!("{pointer}/n"))?;
                Act::Plain(Box::new(op.clone()))
            }
            Op::Mul { by } => Act::Mul(self.exact(by, &format!("{pointer}/by"))?),
            Op::Add { by } => Act::Add(self.exact(by, &format!("{pointer}/by"))?),
            Op::Div { by, scale, mode: own } => {
                let by = self.exact(by, &format!("{pointer}/by"))?;
                if by.is_zero() {
                    self.error("E-ARGUMENT", &format!("{pointer}/by"), "a division by zero");
                    return None;
                }
                self.scale_and_mode(*scale, own.is_some(), pointer)?;
                Act::Div { by, scale: *scale, mode: mode(own) }
            }
            Op::Clamp { min, max } => {
                let bound = |this: &mut Self, number: &Option<_>, key: &str| match number {
                    Some(number) => this.exact(number, &format!("{pointer}/{key}")).map(Some),
                    None => Some(None),
                };
                let (min, max) = (bound(self, min, "min")?, bound(self, max, "max")?);
                match (min, max) {
                    (None, None) => self.error("E-ARGUMENT", pointer, "`clamp` needs `min` or `max`"),
                    (Some(min), Some(max)) if min > max => {
                        self.error("E-ARGUMENT", &format!("{pointer}/min"), "`min` is greater than `max`");
                    }
                    _ => {}
                }
                Act::Clamp { min, max }
            }
            Op::MinorUnits { currency, code } => Act::MinorUnits(self.currency(currency, code, pointer)?),
            Op::MajorUnits { currency, code } => Act::MajorUnits(self.currency(currency, code, pointer)?),
            Op::Unit { from, to, scale, mode: own } => {
                let (from, to) =
                    (self.unit(from, &format!("{pointer}/from")), self.unit(to, &format!("{pointer}/to")));
                let ((measured, times), (wanted, by)) = (from?, to?);
                if measured != wanted {
                    self.error("E-UNIT", &format!("{pointer}/to"), "the two units measure different things");
                    return None;
                }
                self.scale_and_mode(*scale, own.is_some(), pointer)?;
                Act::Unit { times, by, scale: *scale, mode: mode(own) }
            }
            Op::Currency { rate, scale, mode: own } => {
                self.context_name(rate, &format!("{pointer}/rate"));
                self.at_most(*scale, 37, &format!("{pointer}/scale"))?;
                Act::Rate { name: rate.as_str().into(), scale: *scale, mode: mode(own) }
            }
            Op::Date { input, output, zone, assume } => {
                Act::Date(Box::new(self.date(input, output, zone.as_deref(), assume.as_deref(), pointer)?))
            }
            Op::Table { name, key, value, miss, default } => {
                if let Some(default) = default {
                    self.literal(default, &format!("{pointer}/default"));
                }
                let step = self.table_step(name, key, value, pointer)?;
                let spec = &self.spec.tables[name];
                let miss = miss.or(spec.miss).unwrap_or(TableMiss::Error);
                let default = default.clone().or_else(|| spec.default.clone());
                if miss == TableMiss::Default && default.is_none() {
                    let message = "a miss gives the default, and neither the step nor the table has one";
                    self.error("E-DEFAULT", pointer, message);
                }
                Act::Table(Box::new(TableStep { miss, default, ..step }))
            }
            Op::Cases { cases } => Act::Cases(self.cases(cases, true, &format!("{pointer}/cases"))?),
            Op::Each { steps } => {
                self.not_empty(steps.len(), &format!("{pointer}/steps"));
                Act::Each(self.steps(steps, &format!("{pointer}/steps"))?)
            }
            Op::Filter { when } => {
                Act::Filter(Box::new(self.question(when, true, &format!("{pointer}/when"))?))
            }
            Op::GroupBy { key } => Act::GroupBy(self.inner_path(Some(key), &format!("{pointer}/key"))?),
            Op::Sum { path } => Act::Sum(self.inner_path(path.as_ref(), &format!("{pointer}/path"))?),
            Op::Min { path } => Act::Min(self.inner_path(path.as_ref(), &format!("{pointer}/path"))?),
            Op::Max { path } => Act::Max(self.inner_path(path.as_ref(), &format!("{pointer}/path"))?),
            Op::Pick { path } => Act::Pick(self.inner_path(Some(path), &format!("{pointer}/path"))?),
            Op::Xref { system, entity, to, miss } => Act::Xref {
                system: system.as_str().into(),
                entity: entity.as_str().into(),
                to: to.unwrap_or(crate::mapping::spec::step::XrefSide::Internal),
                miss: match miss {
                    Some(TableMiss::Default) => {
                        self.error("E-ARGUMENT", &format!("{pointer}/miss"), "an unknown id has no default");
                        return None;
                    }
                    other => other.unwrap_or(TableMiss::Error),
                },
            },
            Op::Pad { with, width, .. } => {
                if let Some(text) = with {
                    self.one_character(text, &format!("{pointer}/with"))?;
                }
                self.at_most(*width, self.limits.text_bytes as u32, &format!("{pointer}/width"))?;
                Act::Plain(Box::new(op.clone()))
            }
            Op::Mask { with, .. } => {
                if let Some(text) = with {
                    self.one_character(text, &format!("{pointer}/with"))?;
                }
                Act::Plain(Box::new(op.clone()))
            }
            Op::Replace { find, .. } => {
                self.not_blank(find, &format!("{pointer}/find"))?;
                Act::Plain(Box::new(op.clone()))
            }
            Op::Split { on, max } => {
                self.not_blank(on, &format!("{pointer}/on"))?;
                if *max == Some(0) {
                    self.error("E-ARGUMENT", &format!("{pointer}/max"), "into no parts nothing is split");
                }
                Act::Plain(Box::new(op.clone()))
            }
            Op::StripPrefix { text, .. } | Op::StripSuffix { text, .. } => {
                self.not_blank(text, &format!("{pointer}/text"))?;
                Act::Plain(Box::new(op.clone()))
            }
            Op::BoolMap { yes, no, .. } => {
                if yes.is_none() && no.is_none() {
                    self.error("E-ARGUMENT", pointer, "`bool_map` needs `true` or `false`");
                } else if yes == no {
                    self.error("E-ARGUMENT", pointer, "`true` and `false` are the same value");
                }
                Act::Plain(Box::new(op.clone()))
            }
            Op::Default { value } => {
                self.literal(value, &format!("{pointer}/value"));
                Act::Plain(Box::new(op.clone()))
            }
            _ => Act::Plain(Box::new(op.clone())),
        })
    }

    pub(super) fn table_step(
        &mut self,
        name: &str,
        key: &str,
        value: &str,
        pointer: &str,
    ) -> Option<TableStep> {
        self.used_tables.insert(name.to_owned());
        let Some(spec) = self.spec.tables.get(name) else {
            let known = self.spec.tables.keys().map(String::as_str);
            let found = Diagnostic::error(
                "E-TABLE",
                format!("{pointer}/name"),
                format!("there is no table `{name}`"),
            );
            self.found.add(found.with_nearest(name, known));
            return None;
        };
        let column = |this: &mut Self, column: &str, argument: &str| {
            let found = spec.columns.iter().position(|known| known == column);
            if found.is_none() {
                let message = format!("the table `{name}` has no column `{column}`");
                let found = Diagnostic::error("E-COLUMN", format!("{pointer}/{argument}"), message);
                this.found.add(found.with_nearest(column, spec.columns.iter().map(String::as_str)));
            }
            found
        };
        let (key_column, value_column) = (column(self, key, "key"), column(self, value, "value"));
        // Not there if something is wrong with it: that has been said.
        let table = self.tables.iter().position(|table| *table.name == *name)?;
        if let (Rows::Inline(rows), Some(column)) = (&self.tables[table].rows, key_column)
            && self.searched.insert((table, column))
        {
            // Once per column, not per step: a document has room for many steps and for many rows.
            for (first, again) in rows.repeated(column) {
                if !self.repeated_rows.insert((table, again)) {
                    continue;
                }
                let place = format!("/tables/{}/rows/{again}", super::compile::escape(name));
                let message = format!("the key is that of row {first} already, and `{key}` is searched");
                self.found.add(Diagnostic::error("E-TABLE-KEY", place, message));
            }
        }
        Some(TableStep {
            table: table as u32,
            key: key_column?,
            value: value_column?,
            miss: TableMiss::Error,
            default: None,
        })
    }

    fn date(
        &mut self,
        input: &str,
        output: &str,
        zone: Option<&str>,
        assume: Option<&str>,
        pointer: &str,
    ) -> Option<DatePlan> {
        let form = |this: &mut Self, text: &str, key: &str| match DateForm::parse(text) {
            Ok(form) => Some(form),
            Err(error) => {
                let width = text[error.at..].chars().take(2).map(char::len_utf8).sum::<usize>();
                let found = Diagnostic::error("E-DATE", format!("{pointer}/{key}"), error.problem);
                this.found.add(found.with_within(error.at..error.at + width));
                None
            }
        };
        let (input, output) = (form(self, input, "in"), form(self, output, "out"));
        let offset_of = |this: &mut Self, text: &str, key: &str| {
            let found = offset(text);
            if found.is_none() {
                this.error(
                    "E-DATE",
                    &format!("{pointer}/{key}"),
                    format!("`{text}` is no offset such as `+02:00`"),
                );
            }
            found
        };
        let zone = match zone {
            None | Some("keep") => Some(Zone::Keep),
            Some(text) => offset_of(self, text, "zone").map(Zone::Fixed),
        };
        let assume = match assume {
            None => Some(None),
            Some(text) => offset_of(self, text, "assume").map(Some),
        };
        let plan = DatePlan { input: input?, output: output?, zone: zone?, assume: assume? };
        if !plan.input.has_date() {
            self.error(
                "E-DATE",
                &format!("{pointer}/in"),
                "the pattern does not say the year, the month and the day",
            );
        }
        if plan.output.has_time() && !plan.input.has_time() {
            self.error("E-DATE", &format!("{pointer}/out"), "a time is written, but none is read");
        }
        let needs_offset = plan.zone != Zone::Keep || plan.output.has_offset();
        if needs_offset && !plan.input.has_offset() && plan.assume.is_none() {
            self.found.add(
                Diagnostic::error("E-DATE", pointer, "the input says no zone, and the output needs one")
                    .with_help("`assume` says which zone is meant, as `utc` or `+02:00`"),
            );
        }
        Some(plan)
    }

    fn currency(
        &mut self,
        path: &Option<String>,
        code: &Option<String>,
        pointer: &str,
    ) -> Option<CurrencyOf> {
        match (path, code) {
            (Some(path), None) => {
                self.value_at(path, None, &format!("{pointer}/currency")).map(CurrencyOf::Path)
            }
            (None, Some(code)) => {
                let places = currencies::places(code);
                if places.is_none() {
                    let message = format!("`{code}` is no currency of ISO 4217");
                    self.error("E-CURRENCY", &format!("{pointer}/code"), message);
                }
                places.map(CurrencyOf::Code)
            }
            _ => {
                let message = "one of `currency` (the path to a code) and `code` (the code itself) is needed";
                self.error("E-ARGUMENT", pointer, message);
                None
            }
        }
    }

    fn unit(
        &mut self,
        name: &str,
        pointer: &str,
    ) -> Option<(units::Dimension, crate::mapping::decimal::Decimal)> {
        let unit = units::unit(name);
        if unit.is_none() {
            let found = Diagnostic::error("E-UNIT", pointer, format!("`{name}` is not a known unit"));
            self.found.add(found.with_nearest(name, units::names()));
        }
        unit
    }

    /// A path inside the value that the step works on.
    fn inner_path(&mut self, text: Option<&String>, pointer: &str) -> Option<Box<[Segment]>> {
        let Some(text) = text else { return Some(Box::default()) };
        let path = self.source_path(text, pointer)?;
        if path.origin != crate::mapping::path::Origin::Element {
            self.error("E-PATH", pointer, "this path begins at the element of the list");
            return None;
        }
        Some(path.segments.into())
    }

    fn one_character(&mut self, text: &str, pointer: &str) -> Option<char> {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(c), None) => Some(c),
            _ => {
                self.error("E-ARGUMENT", pointer, "one character is expected");
                None
            }
        }
    }

    fn not_blank(&mut self, text: &str, pointer: &str) -> Option<()> {
        if text.is_empty() {
            self.error("E-ARGUMENT", pointer, "the text is empty");
            return None;
        }
        Some(())
    }

    fn at_most(&mut self, number: u32, most: u32, pointer: &str) -> Option<()> {
        if number > most {
            self.error("E-ARGUMENT", pointer, format!("at most {most}"));
            return None;
        }
        Some(())
    }

    fn scale_and_mode(&mut self, scale: Option<u32>, has_mode: bool, pointer: &str) -> Option<()> {
        if has_mode && scale.is_none() {
            self.error(
                "E-ARGUMENT",
                &format!("{pointer}/mode"),
                "a result that is not cut to a `scale` is not rounded",
            );
        }
        self.at_most(scale.unwrap_or(0), 37, &format!("{pointer}/scale"))
    }
}

/// How many steps there are, with those inside; not counted further than one above the limit.
pub(crate) fn count(steps: &[Step], limit: usize) -> usize {
    let mut open = vec![steps];
    let mut counted = 0;
    while let Some(steps) = open.pop() {
        counted += steps.len();
        if counted > limit {
            break;
        }
        open.extend(steps.iter().filter_map(|step| match &step.op {
            Op::Each { steps } => Some(steps.as_slice()),
            _ => None,
        }));
    }
    counted
}
