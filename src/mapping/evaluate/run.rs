//! The loop over rules and elements.

use std::collections::HashMap;

use crate::mapping::engine::{RunCx, RunReport};
use crate::mapping::error::{MapError, MapErrorParts, excerpt};
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::sink::{Place, Sink, Verdict, too_large};
use crate::mapping::evaluate::tracer::{Ending, Tracer};
use crate::mapping::evaluate::value::V;
use crate::mapping::plan::output::{Member, Members};
use crate::mapping::plan::{EachPlan, Kind, PathId, Plan, RulePlan};
use crate::mapping::source::{Listed, Source};
use crate::mapping::spec::document::UnmappedMode;
use crate::mapping::spec::policy::{OnError, Policy};

/// One run of a plan over one record.
pub(crate) struct Run<'r, 'a, S: Source<'a>, T: Tracer> {
    pub(super) plan: &'a Plan,
    pub(super) source: &'r S,
    pub(super) cx: &'r RunCx<'a>,
    pub(super) tracer: &'r mut T,
    pub(super) fuel: u64,
    /// The elements that are being gone through, outermost first; the record is the first.
    pub(super) rows: Vec<S::Row>,
    /// Their places.
    pub(super) places: Vec<u32>,
    /// The numbers of the elements among those that were kept.
    pub(super) numbers: Vec<u32>,
    /// The target paths of the lists that are being gone through.
    targets: Vec<&'a str>,
    rows_in_all: usize,
    pub(super) report: RunReport,
}

/// Why a rule gave nothing, with what is to be told about it.
pub(super) struct Failed<'a> {
    pub(super) failure: Failure,
    pub(super) step: Option<(usize, &'static str)>,
    /// What the step worked on; kept only if it is to be told.
    pub(super) value: Option<Box<V<'a>>>,
}

impl<'r, 'a, S: Source<'a>, T: Tracer> Run<'r, 'a, S, T> {
    pub(crate) fn new(plan: &'a Plan, source: &'r S, cx: &'r RunCx<'a>, tracer: &'r mut T) -> Self {
        let mut rows = Vec::with_capacity(4);
        rows.push(source.root());
        Self {
            plan,
            source,
            cx,
            tracer,
            fuel: plan.limits.fuel,
            rows,
            places: Vec::new(),
            numbers: Vec::new(),
            targets: Vec::new(),
            rows_in_all: 0,
            report: RunReport::default(),
        }
    }

    /// Translates the record.
    pub(crate) fn record<K: Sink<'a>>(mut self, sink: &mut K) -> Result<RunReport, MapError> {
        let plan = self.plan;
        let entered = sink.enter_object(Place::Top, &plan.record);
        self.members(&plan.record, sink)?;
        if plan.unmapped != UnmappedMode::Drop {
            self.unmapped(sink)?;
        }
        sink.leave(entered, Verdict::Keep);
        Ok(self.report)
    }

    /// The members of an object; whether any of them was written.
    fn members<K: Sink<'a>>(&mut self, members: &'a Members, sink: &mut K) -> Result<bool, MapError> {
        let mut any = false;
        for (key, member) in &members.list {
            any |= match member {
                Member::Rule(rule) => self.member(&self.plan.rules[*rule as usize], Place::Key(key), sink)?,
                Member::Object(inner) => {
                    let entered = sink.enter_object(Place::Key(key), inner);
                    let written = self.members(inner, sink)?;
                    // An object of which nothing is known is not written.
                    sink.leave(entered, if written { Verdict::Keep } else { Verdict::Undo });
                    written
                }
            };
        }
        Ok(any)
    }

    /// One rule; whether it wrote something.
    fn member<K: Sink<'a>>(
        &mut self,
        rule: &'a RulePlan,
        place: Place<'_>,
        sink: &mut K,
    ) -> Result<bool, MapError> {
        if T::ON {
            self.tracer.rule(rule, &self.places);
        }
        if let Kind::Each(each) = &rule.kind {
            return self.each_rule(rule, each, place, sink);
        }
        let mut value = V::Missing;
        let outcome = match self.value(rule, &mut value) {
            Ok(Some(ending)) => {
                if T::ON {
                    self.tracer.end(ending, Some(&value));
                }
                match sink.put(place, &mut value) {
                    Ok(()) => {
                        self.report.defaulted += usize::from(ending == Ending::Defaulted);
                        return Ok(true);
                    }
                    Err(failure) => Err(Failed { failure, step: None, value: None }),
                }
            }
            Ok(None) => Ok(()),
            Err(failed) => Err(failed),
        };
        match outcome {
            Ok(()) => {
                self.report.omitted += 1;
                Ok(false)
            }
            Err(failed) => {
                self.failed(rule, failed)?;
                Ok(false)
            }
        }
    }

    /// A rule that failed for good: the record fails, or the field is left out.
    fn failed(&mut self, rule: &RulePlan, failed: Failed<'a>) -> Result<(), MapError> {
        let fatal = failed.failure.fatal;
        let policy = failed.step.and_then(|(step, _)| rule.steps.get(step)).and_then(|step| step.on_error);
        let error = self.error(rule, failed);
        if T::ON {
            self.tracer.end(Ending::Failed, None);
            self.tracer.error(&error);
        }
        if !fatal && policy.unwrap_or(rule.on_error) == OnError::FailField && !rule.required {
            if self.report.failed_fields.len() < MOST_FAILED_FIELDS {
                self.report.failed_fields.push(error);
                return Ok(());
            }
            // A record in which this much fails is not worth its report; who looks on goes through it all the same.
            return if T::ON { Ok(()) } else { Err(error) };
        }
        if T::ON && !fatal {
            return Ok(());
        }
        Err(error)
    }

    fn error(&self, rule: &RulePlan, failed: Failed<'a>) -> MapError {
        let Failed { failure, step, value } = failed;
        MapError::new(MapErrorParts {
            mapping: self.plan.id.to_string(),
            version: self.plan.version,
            target: with_places(&rule.to, &self.targets, &self.places),
            sources: rule.from.iter().map(|path| path.to_string()).collect(),
            rows: self.places.clone(),
            step: step.map(|(step, _)| step),
            op: step.map(|(_, op)| op),
            code: failure.code,
            excerpt: value.and_then(|value| excerpt(&value, self.cx.excerpt)),
            is_queued: failure.code == "E-TABLE-QUEUED",
            message: failure.message.into_owned(),
        })
    }

    fn each_rule<K: Sink<'a>>(
        &mut self,
        rule: &'a RulePlan,
        each: &'a EachPlan,
        place: Place<'_>,
        sink: &mut K,
    ) -> Result<bool, MapError> {
        let failed = |failure| Failed { failure, step: None, value: None };
        let listed = self
            .spend(1)
            .and_then(|()| self.applies(rule.when.as_ref()))
            .and_then(|applies| if applies { self.list(each.list).map(Some) } else { Ok(None) });
        let policy = match listed {
            Err(failure) => return self.failed(rule, failed(failure)).map(|()| false),
            Ok(None) => {
                self.report.omitted += 1;
                if T::ON {
                    self.tracer.end(Ending::NotAsked, None);
                }
                return Ok(false);
            }
            Ok(Some(Listed::From(first))) => return self.elements(rule, each, first, place, sink),
            Ok(Some(Listed::NotAList)) => {
                let failure = Failure::new("E-TYPE", "`each` goes through a list, and this is none");
                return self.failed(rule, failed(failure)).map(|()| false);
            }
            Ok(Some(Listed::Missing)) => rule.missing,
            Ok(Some(Listed::Null)) if rule.null == Policy::AsMissing => rule.missing,
            Ok(Some(Listed::Null)) => rule.null,
        };
        let outcome = match policy {
            Policy::Error => Err(Failure::new("E-MISSING", "there is no list")),
            Policy::Null | Policy::Keep => Ok(Some(V::Null)),
            Policy::Default => Ok(rule.default.as_ref().map(V::of)),
            Policy::Omit | Policy::AsMissing => Ok(None),
        };
        let outcome = match outcome {
            Ok(None | Some(V::Null)) if rule.required || each.min.is_some_and(|min| min > 0) => {
                Err(Failure::new("E-REQUIRED", "the list is required, and there is none"))
            }
            other => other,
        };
        match outcome {
            Ok(Some(mut value)) => {
                if T::ON {
                    self.tracer.end(Ending::Defaulted, Some(&value));
                }
                match sink.put(place, &mut value) {
                    Ok(()) => Ok(true),
                    Err(failure) => self.failed(rule, failed(failure)).map(|()| false),
                }
            }
            Ok(None) => {
                self.report.omitted += 1;
                if T::ON {
                    self.tracer.end(Ending::Omitted, None);
                }
                Ok(false)
            }
            Err(failure) => self.failed(rule, failed(failure)).map(|()| false),
        }
    }

    fn elements<K: Sink<'a>>(
        &mut self,
        rule: &'a RulePlan,
        each: &'a EachPlan,
        first: Option<S::Row>,
        place: Place<'_>,
        sink: &mut K,
    ) -> Result<bool, MapError> {
        if T::ON {
            self.tracer.end(Ending::Mapped, None);
        }
        let entered = sink.enter_list(place);
        if sink.is_full() {
            // Lists without elements write nothing that would be refused, and yet their names add up.
            sink.leave(entered, Verdict::Undo);
            let failed = Failed { failure: too_large(), step: None, value: None };
            return self.failed(rule, failed).map(|()| false);
        }
        let mut next = first;
        let (mut at, mut kept) = (0_u32, 0_u32);
        self.targets.push(&rule.to);
        let mut outcome = Ok(());
        while let Some(row) = next {
            self.rows.push(row);
            self.places.push(at);
            let element = self.element(rule, each, kept, sink);
            self.rows.pop();
            self.places.pop();
            match element {
                Ok(true) => kept += 1,
                Ok(false) => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            at += 1;
            next = self.source.next(row);
        }
        self.targets.pop();
        outcome?;
        let failure = if each.min.is_some_and(|min| kept < min) {
            Some(Failure::new("E-ROWS", format!("{kept} elements are fewer than `min`")))
        } else if each.max.is_some_and(|max| kept > max) {
            Some(Failure::new("E-ROWS", "there are more elements than `max`"))
        } else {
            None
        };
        match failure {
            Some(failure) => {
                sink.leave(entered, Verdict::Undo);
                self.failed(rule, Failed { failure, step: None, value: None }).map(|()| false)
            }
            None => {
                sink.leave(entered, Verdict::Keep);
                Ok(true)
            }
        }
    }

    /// One element; whether it was kept.
    fn element<K: Sink<'a>>(
        &mut self,
        rule: &'a RulePlan,
        each: &'a EachPlan,
        kept: u32,
        sink: &mut K,
    ) -> Result<bool, MapError> {
        self.rows_in_all += 1;
        let limits = &self.plan.limits;
        let keeps = if self.places.last().is_some_and(|place| *place as usize >= limits.rows)
            || self.rows_in_all > limits.rows_in_all
        {
            Err(Failure::limit("more elements than `each` goes through"))
        } else {
            self.spend(1).and_then(|()| self.applies(each.keep.as_ref()))
        };
        match keeps {
            Ok(true) if each.max.is_some_and(|max| kept >= max) => {
                // Counted, so that the list is found to be too long, and not written.
                Ok(true)
            }
            Ok(true) => {
                let entered = sink.enter_object(Place::Element, &each.element);
                self.numbers.push(kept);
                let written = self.members(&each.element, sink);
                self.numbers.pop();
                written?;
                sink.leave(entered, Verdict::Keep);
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(failure) => self.failed(rule, Failed { failure, step: None, value: None }).map(|()| false),
        }
    }

    /// The members of the record that no rule reads.
    fn unmapped<K: Sink<'a>>(&mut self, sink: &mut K) -> Result<(), MapError> {
        let plan = self.plan;
        let of_record = |failure: Failure| {
            MapError::of_record(&plan.id, plan.version, failure.code, failure.message.into_owned())
        };
        let unread = self.source.unread().map_err(of_record)?;
        // Of members with the same name, the last counts, however far apart they are.
        let last: HashMap<&str, usize> =
            unread.iter().enumerate().map(|(at, (name, _))| (&**name, at)).collect();
        for (at, (name, value)) in unread.iter().enumerate() {
            if plan.except.contains(&**name) || last.get(&**name) != Some(&at) {
                continue;
            }
            if plan.unmapped == UnmappedMode::Error {
                let failure = Failure::new("E-UNMAPPED", "the record has fields that no rule reads");
                return Err(of_record(failure));
            }
            let mut value = value.clone();
            self.spend(1).and_then(|()| sink.put(Place::Name(name), &mut value)).map_err(of_record)?;
        }
        Ok(())
    }

    pub(super) fn spend(&mut self, fuel: u64) -> Result<(), Failure> {
        match self.fuel.checked_sub(fuel) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => Err(Failure::limit("the run takes more steps than it may")),
        }
    }

    /// Pays for going through a value, or through it as often as this.
    #[inline]
    pub(super) fn pay(&mut self, weight: usize, times: usize) -> Result<(), Failure> {
        let weight = weight as u64;
        if weight < BYTES_PER_STEP {
            return Ok(());
        }
        self.spend((weight / BYTES_PER_STEP).saturating_mul(times as u64))
    }

    pub(super) fn fetch(&self, path: PathId) -> Result<V<'a>, Failure> {
        let mut found = V::Missing;
        self.fetch_into(path, &mut found)?;
        Ok(found)
    }

    pub(super) fn fetch_into(&self, path: PathId, into: &mut V<'a>) -> Result<(), Failure> {
        self.source.fetch(&self.rows, &self.plan.paths[path.0 as usize], into)
    }

    fn list(&self, path: PathId) -> Result<Listed<S::Row>, Failure> {
        self.source.list(&self.rows, &self.plan.paths[path.0 as usize])
    }

    pub(super) fn context(&self, name: &str) -> Result<V<'a>, Failure> {
        match self.cx.data.context(name) {
            Some(value) => Ok(V::of(value)),
            None => Ok(V::Missing),
        }
    }
}

/// A target path with the places of the elements in it.
fn with_places(to: &str, lists: &[&str], places: &[u32]) -> String {
    let mut text = String::new();
    let mut written = 0;
    for (list, place) in lists.iter().zip(places) {
        text.push_str(to.get(written..list.len()).unwrap_or_default());
        text.push_str(&format!("[{place}]"));
        written = list.len();
    }
    text.push_str(to.get(written..).unwrap_or_default());
    text
}

/// So many bytes are read for what one step costs.
const BYTES_PER_STEP: u64 = 64;

/// Fields of one record that may fail and be reported.
const MOST_FAILED_FIELDS: usize = 1_000;
