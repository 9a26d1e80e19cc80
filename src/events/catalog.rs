//! Which event types there are: declared in code, checked as a whole, once.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Problem, Result};
use crate::events::bounds::PAYLOAD_LIMIT;
use crate::events::compiled::{CatalogEntry, CompiledCatalog};
use crate::events::event_type::EventType;
use crate::events::schema::{SchemaCheck, SchemaEngine, SchemaMode, SchemaViolation};
use crate::events::type_spec::EventTypeSpec;

/// The host's event types, as they are declared; [`compile`](Self::compile) makes a catalogue that checks of them.
///
/// ```
/// use crossdock::adapters::JsonSchemaEngine;
/// use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
/// use serde_json::json;
///
/// let catalog = EventCatalog::new()
///     .with(EventTypeSpec::new("stock.counted").schema(json!({
///         "type": "object",
///         "required": ["units"],
///         "properties": {"units": {"type": "integer", "minimum": 0}},
///     })))
///     .compile(Some(&JsonSchemaEngine::new()))?;
///
/// let negative = NewEvent::new("org_42".parse()?, "stock.counted", &json!({"units": -3}))?;
/// let error = catalog.check(negative).expect_err("less than the minimum");
///
/// assert_eq!(error.problems()[0].field, "data/units");
/// assert_eq!(error.problems()[0].rule, "stock.counted version 1, minimum: the value is less than the minimum of 0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a catalogue checks nothing before it is compiled"]
pub struct EventCatalog {
    types: Vec<EventTypeSpec>,
    schema_mode: SchemaMode,
    payload_limit: usize,
}

impl EventCatalog {
    /// A catalogue without types: schemas are enforced, payloads hold at most 256 KiB.
    pub fn new() -> Self {
        Self { types: Vec::new(), schema_mode: SchemaMode::default(), payload_limit: PAYLOAD_LIMIT }
    }

    /// Adds a type.
    pub fn with(mut self, spec: EventTypeSpec) -> Self {
        self.types.push(spec);
        self
    }

    /// Adds the types of one part of the host.
    pub fn with_all(mut self, specs: impl IntoIterator<Item = EventTypeSpec>) -> Self {
        self.types.extend(specs);
        self
    }

    /// What happens to payloads that do not match their schema, for types that do not say so themselves.
    pub fn with_schema_mode(mut self, mode: SchemaMode) -> Self {
        self.schema_mode = mode;
        self
    }

    /// How many bytes a payload may hold.
    pub fn with_payload_limit(mut self, bytes: usize) -> Self {
        self.payload_limit = bytes;
        self
    }

    /// Checks every declaration and makes the schemas ready.
    ///
    /// # Errors
    /// Everything that is wrong, at once: names that are none or occur twice, a version 0, schemas that the engine
    /// refuses, examples that do not match their schema or exceed the limit, and schemas that somebody has to look
    /// at without an engine that could: no schema is skipped silently.
    pub fn compile(self, engine: Option<&dyn SchemaEngine>) -> Result<CompiledCatalog> {
        let mut problems = Vec::new();
        if self.payload_limit == 0 {
            let fix = "give the number of bytes, such as 262144";
            problems.push(Problem::new("payload_limit", "an event needs at least one byte of payload", fix));
        }
        let mut positions = HashMap::new();
        let mut entries = Vec::with_capacity(self.types.len());
        for spec in in_order_of_groups(self.types) {
            let place = format!("events[{}]", spec.name);
            let mode = spec.schema_mode.unwrap_or(self.schema_mode);
            let Some(event_type) = check_name(&spec, &mut problems) else { continue };
            if positions.contains_key(&event_type) {
                let fix = "declare it once; a changed payload is a new version, not a second declaration";
                problems.push(Problem::new(
                    &place,
                    "an event type is declared once, this one is declared again",
                    fix,
                ));
                continue;
            }
            positions.insert(event_type.clone(), entries.len());
            if spec.version == 0 {
                let fix = "begin with 1";
                problems.push(Problem::new(format!("{place}.version"), "versions are counted from 1", fix));
            }
            let check = compile_schema(&place, &spec, mode, engine, &mut problems);
            let example = check_example(&place, &spec, check.as_deref(), self.payload_limit, &mut problems);
            entries.push(Arc::new(CatalogEntry::new(event_type, spec, mode, check, example)));
        }
        if problems.is_empty() {
            Ok(CompiledCatalog::new(entries, positions, self.payload_limit))
        } else {
            Err(Error::invalid("compile the event catalogue", problems))
        }
    }
}

impl Default for EventCatalog {
    fn default() -> Self {
        Self::new()
    }
}

/// Groups in the order in which they are first mentioned, types within them as declared: the host decides what
/// people read first.
fn in_order_of_groups(mut types: Vec<EventTypeSpec>) -> Vec<EventTypeSpec> {
    let mut ranks: HashMap<Option<String>, usize> = HashMap::new();
    for spec in &types {
        let next = ranks.len();
        ranks.entry(spec.group.clone()).or_insert(next);
    }
    types.sort_by_key(|spec| ranks.get(&spec.group).copied());
    types
}

fn check_name(spec: &EventTypeSpec, problems: &mut Vec<Problem>) -> Option<EventType> {
    let invalid = match spec.name.parse::<EventType>() {
        Ok(event_type) => return Some(event_type),
        Err(invalid) => invalid,
    };
    let fix = "rename it, such as to `shipment.shipped`";
    problems.push(Problem::new(format!("events[{:?}]", spec.name), invalid.to_string(), fix));
    None
}

/// What checks payloads of this type; `None` if nobody has to look.
fn compile_schema(
    place: &str,
    spec: &EventTypeSpec,
    mode: SchemaMode,
    engine: Option<&dyn SchemaEngine>,
    problems: &mut Vec<Problem>,
) -> Option<Arc<dyn SchemaCheck>> {
    let schema = spec.schema.as_ref()?;
    let Some(engine) = engine else {
        if mode != SchemaMode::Off {
            problems.push(Problem::new(
                format!("{place}.schema"),
                "the schema is to be looked at, and no schema engine is there to do so",
                "switch on the feature `schemas` or give the hub an engine; or declare `SchemaMode::Off`",
            ));
        }
        return None;
    };
    match engine.compile(schema) {
        Ok(check) => (mode != SchemaMode::Off).then_some(check),
        Err(violations) => {
            let field = format!("{place}.schema");
            problems.extend(violations.into_iter().map(|violation| located(&field, violation)));
            None
        }
    }
}

fn check_example(
    place: &str,
    spec: &EventTypeSpec,
    check: Option<&dyn SchemaCheck>,
    payload_limit: usize,
    problems: &mut Vec<Problem>,
) -> Option<Bytes> {
    let example = spec.example.as_ref()?;
    let field = format!("{place}.example");
    let violations = check.map(|check| check.check(example)).unwrap_or_default();
    problems.extend(violations.into_iter().map(|violation| located(&field, violation)));
    let bytes = example.to_string();
    if bytes.len() > payload_limit {
        let rule = format!("a payload holds at most {payload_limit} bytes, this example has {}", bytes.len());
        problems.push(Problem::new(field, rule, "show a smaller one"));
    }
    Some(Bytes::from(bytes))
}

fn located(field: &str, violation: SchemaViolation) -> Problem {
    Problem::new(format!("{field}{}", violation.pointer), violation.rule, violation.fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_types_keep_the_order_of_their_declaration() -> Result<()> {
        let of = |name: &str, group: &str| EventTypeSpec::new(name).group(group);
        let catalog = EventCatalog::new()
            .with(of("z.1", "Z"))
            .with(EventTypeSpec::new("loose.1"))
            .with_all([of("a.1", "A"), of("z.0", "Z")])
            .with(EventTypeSpec::new("loose.0"))
            .compile(None)?;

        let names: Vec<_> = catalog.entries().iter().map(|entry| entry.event_type().as_str()).collect();

        assert_eq!(names, ["z.1", "z.0", "loose.1", "loose.0", "a.1"]);
        for name in names {
            assert_eq!(catalog.find(name).map(|entry| entry.event_type().as_str()), Some(name));
        }
        Ok(())
    }

    #[test]
    fn no_schema_is_skipped_silently() {
        let of = |mode| {
            EventCatalog::new().with(EventTypeSpec::new("a").schema(true.into())).with_schema_mode(mode)
        };

        for mode in [SchemaMode::Enforce, SchemaMode::Warn] {
            let error = of(mode).compile(None).expect_err("refused");
            assert_eq!(error.problems()[0].field, "events[a].schema");
        }
        assert!(of(SchemaMode::Off).compile(None).is_ok());
    }

    #[test]
    fn an_example_obeys_the_limit_of_payloads() {
        let of = |limit| {
            let spec = EventTypeSpec::new("a").example("x".repeat(20).into());
            EventCatalog::new().with_payload_limit(limit).with(spec).compile(None)
        };

        assert!(of(22).is_ok());
        assert_eq!(of(21).expect_err("refused").problems()[0].field, "events[a].example");
    }

    #[test]
    fn a_payload_has_at_least_one_byte() {
        let error = EventCatalog::new().with_payload_limit(0).compile(None).expect_err("refused");

        assert_eq!(error.problems()[0].field, "payload_limit");
    }
}
