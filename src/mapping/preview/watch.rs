//! What looks on while a plan is carried out, and writes everything down.

use crate::mapping::error::MapError;
use crate::mapping::evaluate::sink::{Bytes, Place, Sink};
use crate::mapping::evaluate::tracer::{Ending, Tracer};
use crate::mapping::evaluate::value::V;
use crate::mapping::limits::Limits;
use crate::mapping::plan::{Kind, RulePlan};
use crate::mapping::preview::trace::{FieldStatus, FieldTrace, StepTrace};

/// Writes down what happens to every field.
pub(crate) struct Watch<'l> {
    pub(crate) fields: Vec<FieldTrace>,
    pub(crate) errors: Vec<MapError>,
    limits: &'l Limits,
    /// The target paths of the lists around, outermost first.
    lists: Vec<String>,
}

impl<'l> Watch<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { fields: Vec::new(), errors: Vec::new(), limits, lists: Vec::new() }
    }

    /// The value as JSON text; nothing if there is none.
    fn text(&self, value: &V<'_>) -> Option<String> {
        if matches!(value, V::Missing) {
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
        if matches!(rule.kind, Kind::Each(_)) {
            self.lists.push(rule.to.to_string());
        }
    }

    fn source(&mut self, value: &V<'_>) {
        let text = self.text(value);
        if let Some(field) = self.fields.last_mut()
            && field.source.is_none()
        {
            field.source = text;
        }
    }

    fn step(&mut self, name: &'static str, before: &V<'_>, after: Result<&V<'_>, &'static str>) {
        let (before, after) = (self.text(before), after.map(|value| self.text(value)));
        if let Some(field) = self.fields.last_mut() {
            field.steps.push(StepTrace { op: name.to_owned(), before, after });
        }
    }

    fn end(&mut self, ending: Ending, result: Option<&V<'_>>) {
        let result = result.and_then(|value| self.text(value));
        let Some(field) = self.fields.last_mut() else { return };
        field.result = result;
        field.status = match ending {
            Ending::Mapped => FieldStatus::Mapped,
            Ending::Defaulted => FieldStatus::Defaulted,
            Ending::Omitted | Ending::NotAsked => FieldStatus::Omitted,
            // The error follows, and says which field it is about.
            Ending::Failed => return,
        };
    }

    fn instead(&mut self, code: &'static str) {
        if let Some(field) = self.fields.last_mut() {
            field.failure = Some(code);
        }
    }

    fn error(&mut self, error: &MapError) {
        let mut fields = self.fields.iter_mut().rev();
        if let Some(field) = fields.find(|field| field.place() == error.target) {
            field.status = FieldStatus::Error(error.code);
            field.failure = Some(error.code);
            field.result = None;
        }
        self.errors.push(error.clone());
    }
}

const LONGEST: usize = 400;
