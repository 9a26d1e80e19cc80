//! The body that a webhook's mapping writes: the document is compiled, and an event goes through it.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error::Problem;
use crate::events::envelope::Body;
use crate::events::envelope::format::data_of;
use crate::events::envelope::time::rfc3339_millis;
use crate::events::model::Event;
use crate::mapping::{
    BuiltinEngine, CompileEnv, CompiledMapping, Diagnostic, HostData, Limits, MapError, MappingEngine,
    MappingSpec, Payload, Preview, Previewer, RunCx,
};

/// What mappings of webhooks are checked against and run with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mappings {
    limits: Limits,
    data: Arc<HostData>,
}

/// A webhook's mapping, ready to run.
#[derive(Debug)]
pub(crate) struct Mapped {
    mapping: Arc<dyn CompiledMapping>,
    data: Arc<HostData>,
    /// Of the event's own values, those that the document asks for.
    asked: BTreeSet<&'static str>,
}

impl Mappings {
    pub(crate) fn new(limits: Limits, data: HostData) -> Self {
        Self { limits, data: Arc::new(data) }
    }

    /// The document, ready to run, or everything that is wrong with it.
    pub(crate) fn compile(&self, text: &str) -> Result<Mapped, Vec<Problem>> {
        let spec = self.read(text)?;
        let mapping = BuiltinEngine.compile(&spec, &self.env());
        let problems = self.undeclared(&spec);
        match mapping {
            Ok(mapping) if problems.is_empty() => {
                Ok(Mapped { mapping, data: Arc::clone(&self.data), asked: asked(&spec) })
            }
            Ok(_) => Err(problems),
            Err(found) => Err(of_diagnostics(&found).chain(problems).collect()),
        }
    }

    /// What the document makes of the event, field by field.
    pub(crate) fn preview(&self, text: &str, event: &Event) -> Result<Preview, Vec<Problem>> {
        let spec = self.read(text)?;
        let previewer = Previewer::compile(&spec, &self.env())
            .map_err(|found| of_diagnostics(&found).collect::<Vec<_>>())?;
        let data = with_event(&self.data, &asked(&spec), event);
        Ok(previewer.preview(Payload::Bytes(data_of(event)), &RunCx::new(&data)))
    }

    fn read(&self, text: &str) -> Result<MappingSpec, Vec<Problem>> {
        MappingSpec::parse_within(text, &self.limits).map_err(|found| of_diagnostics(&found).collect())
    }

    fn env(&self) -> CompileEnv<'static> {
        CompileEnv::default().with_limits(self.limits)
    }

    /// What the document asks for and nobody gives: a run would not find it.
    fn undeclared(&self, spec: &MappingSpec) -> Vec<Problem> {
        let values = spec
            .context
            .keys()
            .filter(|name| !EVENT_VALUES.contains(&name.as_str()) && self.data.context(name).is_none())
            .map(|name| {
                let rule = format!("E-CTX: neither the event nor this product has a value `{name}`");
                let fix =
                    format!("choose among {}", list(EVENT_VALUES.iter().copied().chain(self.data.names())));
                Problem::new(format!("mapping/context/{}", escaped(name)), rule, fix)
            });
        let tables = spec.tables.iter().filter_map(|(name, table)| {
            let wanted = table.reference.as_deref()?.strip_prefix("host:")?;
            let field = format!("mapping/tables/{}/ref", escaped(name));
            let Some(found) = self.data.table(wanted) else {
                let rule = format!("E-HOST: this product has no table `{wanted}`");
                let fix = match list(self.data.table_names()) {
                    names if names.is_empty() => "write the rows into the document".to_owned(),
                    names => format!("choose among {names}, or write the rows into the document"),
                };
                return Some(Problem::new(field, rule, fix));
            };
            let missing =
                table.columns.iter().find(|column| found.columns().all(|known| known != column.as_str()))?;
            let rule = format!("E-HOST: the table `{wanted}` has no column `{missing}`");
            Some(Problem::new(field, rule, "name the columns as the table has them"))
        });
        values.chain(tables).collect()
    }
}

impl Mapped {
    /// The body for this event.
    ///
    /// # Errors
    /// The first field that the mapping could not make.
    pub(crate) fn write(&self, event: &Event) -> Result<Body, MapError> {
        let mut out = Vec::with_capacity(event.payload.len());
        let payload = Payload::Bytes(data_of(event));
        if self.asked.is_empty() {
            self.mapping.run(payload, &RunCx::new(&self.data), &mut out)?;
        } else {
            let data = with_event(&self.data, &self.asked, event);
            self.mapping.run(payload, &RunCx::new(&data), &mut out)?;
        }
        Ok(Body::json(out))
    }
}

/// What the attempt's log says of a refusal: codes and places, nothing of the event.
pub(crate) fn refusal(error: &MapError) -> Arc<str> {
    let text = error.to_string();
    match text.char_indices().nth(MAX_REFUSAL) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// The event's own values, by the names under which a document declares them in `context`.
const EVENT_VALUES: [&str; 7] = [
    "event.id",
    "event.type",
    "event.occurred_at",
    "event.published_at",
    "event.tenant",
    "event.owner",
    "event.subject",
];

fn asked(spec: &MappingSpec) -> BTreeSet<&'static str> {
    EVENT_VALUES.into_iter().filter(|name| spec.context.contains_key(*name)).collect()
}

fn with_event(data: &Arc<HostData>, asked: &BTreeSet<&'static str>, event: &Event) -> HostData {
    let mut with = HostData::over(Arc::clone(data));
    for &name in asked {
        let value = match name {
            "event.id" => Some(event.id.to_string()),
            "event.type" => Some(event.event_type.as_str().to_owned()),
            "event.occurred_at" => Some(time(event.occurred_at)),
            "event.published_at" => Some(time(event.published_at)),
            "event.tenant" => Some(event.tenant.as_str().to_owned()),
            "event.owner" => event.owner.as_deref().map(str::to_owned),
            _ => event.subject.as_deref().map(str::to_owned),
        };
        // What an event does not have is missing, which the rule's policies are about.
        if let Some(value) = value {
            with = with.with_context(name, Value::String(value));
        }
    }
    with
}

fn time(time: DateTime<Utc>) -> String {
    rfc3339_millis(time).into_iter().map(char::from).collect()
}

/// Every error, at its place in the document; warnings hold nobody up.
fn of_diagnostics(found: &[Diagnostic]) -> impl Iterator<Item = Problem> {
    found.iter().filter(|found| found.is_error()).map(|found| {
        let code = found.code;
        let place =
            found.within.as_ref().map_or_else(String::new, |within| format!(" (at byte {})", within.start));
        let rule = format!("{code}: {}{place}", found.message);
        let fix =
            found.help.clone().unwrap_or_else(|| format!("look up {code} in the list of codes of mappings"));
        Problem::new(format!("mapping{}", found.pointer), rule, fix)
    })
}

/// A name as a JSON Pointer has it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Characters of one refusal in the log.
const MAX_REFUSAL: usize = 500;
