//! What looks on while a plan is carried out, and writes everything down.

use crate::mapping::error::MapError;
use crate::mapping::evaluate::sink::{Bytes, Place, Sink};
use crate::mapping::evaluate::tracer::{Ending, Tracer};
use crate::mapping::evaluate::value::V;
use crate::mapping::limits::Limits;
use crate::mapping::plan::{Kind, RulePlan};
use crate::mapping::preview::trace::{FieldStatus, FieldTrace, StepTrace};

/// Writes down what happens to every field, of which there may be as many as a record has elements: of the first so many.
pub(crate) struct Watch<'l> {
    pub(crate) fields: Vec<FieldTrace>,
    pub(crate) errors: Vec<MapError>,
    limits: &'l Limits,
    /// Where the rule that is carried out is written down, if it is.
    current: Option<usize>,
    /// The same of the rules around it, outermost first, and of itself.
    around: Vec<Option<usize>>,
    /// The target paths of the lists around, outermost first.
    lists: Vec<String>,
}

impl<'l> Watch<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self {
            fields: Vec::new(),
            errors: Vec::new(),
            limits,
            current: None,
            around: Vec::new(),
            lists: Vec::new(),
        }
    }

    fn current(&mut self) -> Option<&mut FieldTrace> {
        self.current.and_then(|at| self.fields.get_mut(at))
    }

    /// The value as JSON text; nothing if there is none.
    fn text(&self, value: &V<'_>) -> Option<String> {
        if matches!(value, V::Missing) || self.current.is_none() {
            return None;
        }
        let mut out = Vec::new();
        let written = Bytes::new(&mut out, self.limits).put(Place::Top, &mut value.clone());
        match written {
            Ok(()) => Some(shortened(String::from_utf8_lossy(&out).into_owned())),
            Err(_) => Some(format!("({})", value.kind())),
        }
    }
}

/// `lines.qty`, where `lines` is a list, as `lines[].qty`.
fn with_lists(to: &str, lists: &[String]) -> String {
    let mut text = String::with_capacity(to.len() + 2 * lists.len());
    let mut written = 0;
    for list in lists {
        text.push_str(to.get(written..list.len()).unwrap_or_default());
        text.push_str("[]");
        written = list.len();
    }
    text + to.get(written..).unwrap_or_default()
}

/// Enough to recognise a value: a trace over a large record stays smaller than the record.
fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

impl Tracer for Watch<'_> {
    const ON: bool = true;

    fn rule(&mut self, rule: &RulePlan, rows: &[u32]) {
        self.lists.truncate(rows.len());
        self.current = (self.fields.len() < MOST_FIELDS).then_some(self.fields.len());
        self.around.resize(rows.len(), None);
        self.around.push(self.current);
        if self.current.is_some() {
            self.fields.push(FieldTrace {
                to: with_lists(&rule.to, &self.lists),
                rows: rows.to_vec(),
                from: rule.from.iter().map(|path| path.to_string()).collect(),
                is_list: matches!(rule.kind, Kind::Each(_)),
                source: None,
                steps: Vec::new(),
                result: None,
                status: FieldStatus::Omitted,
                failure: None,
            });
        }
        if matches!(rule.kind, Kind::Each(_)) {
            self.lists.push(rule.to.to_string());
        }
    }

    fn source(&mut self, value: &V<'_>) {
        let text = self.text(value);
        if let Some(field) = self.current()
            && field.source.is_none()
        {
            field.source = text;
        }
    }

    fn step(&mut self, name: &'static str, before: &V<'_>, after: Result<&V<'_>, &'static str>) {
        let (before, after) = (self.text(before), after.map(|value| self.text(value)));
        if let Some(field) = self.current() {
            field.steps.push(StepTrace { op: name.to_owned(), before, after });
        }
    }

    fn end(&mut self, ending: Ending, result: Option<&V<'_>>) {
        let status = match ending {
            Ending::Mapped => FieldStatus::Mapped,
            Ending::Defaulted => FieldStatus::Defaulted,
            Ending::Omitted | Ending::NotAsked => FieldStatus::Omitted,
            // The error follows, and says which field it is about.
            Ending::Failed => return,
        };
        let result = result.and_then(|value| self.text(value));
        if let Some(field) = self.current() {
            (field.result, field.status) = (result, status);
        }
    }

    fn instead(&mut self, code: &'static str) {
        if let Some(field) = self.current() {
            field.failure = Some(code);
        }
    }

    fn error(&mut self, error: &MapError) {
        // A rule that failed stands among as many elements as the error says; not looked for in all that has been written down.
        let at = self.around.get(error.rows.len()).copied().flatten();
        if let Some(field) = at.and_then(|at| self.fields.get_mut(at))
            && field.place() == error.target
        {
            field.status = FieldStatus::Error(error.code);
            field.failure = Some(error.code);
            field.result = None;
        }
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(error.clone());
        }
    }
}

const LONGEST: usize = 400;
/// So many fields and so many errors of one record are written down.
const MOST_FIELDS: usize = 20_000;
const MOST_ERRORS: usize = 1_000;
