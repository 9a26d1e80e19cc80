//! The catalogue at work: is this event fit to be published, who sees which type, does this pattern mean anything?

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::error::{Error, Problem, Result};
use crate::events::bounds::{check_labels, check_payload};
use crate::events::event_type::{EventPattern, EventType};
use crate::events::nearest::{near_pattern, nearest};
use crate::events::new_event::{CheckedEvent, NewEvent};
use crate::events::schema::{SchemaCheck, SchemaMode, SchemaViolation};
use crate::events::type_spec::EventTypeSpec;
use crate::tenancy::model::{Actor, Entitlement, Role};

/// The host's event types, checked and ready; made by [`EventCatalog::compile`](crate::events::EventCatalog::compile).
///
/// Cloning shares it.
///
/// ```
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
///
/// let catalog = EventCatalog::new()
///     .with(EventTypeSpec::new("shipment.shipped"))
///     .with(EventTypeSpec::new("forecast.published").requires_any(["planning"]))
///     .compile(None)?;
///
/// let ada = Actor::org_admin("org_42".parse()?, "ada");
/// let seen: Vec<_> = catalog.visible_to(&ada).map(|entry| entry.event_type().as_str()).collect();
///
/// assert_eq!(seen, ["shipment.shipped"]);
/// assert!(catalog.check_pattern(&"forecast.*".parse()?, &ada).is_err());
/// assert!(catalog.check_pattern(&"forecast.*".parse()?, &ada.with_entitlement("planning")).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CompiledCatalog(Arc<Types>);

#[derive(Debug)]
struct Types {
    entries: Vec<Arc<CatalogEntry>>,
    positions: HashMap<EventType, usize>,
    payload_limit: usize,
}

/// One event type, as people and programs look it up.
///
/// ```
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use serde_json::json;
///
/// let spec = EventTypeSpec::new("stock.counted").group("Inventory").example(json!({"units": 3}));
/// let catalog = EventCatalog::new().with(spec).compile(None)?;
/// let entry = catalog.find("stock.counted").ok_or("declared above")?;
///
/// assert_eq!(entry.group(), Some("Inventory"));
/// assert_eq!(entry.example_payload().map(|bytes| &bytes[..]), Some(br#"{"units":3}"#.as_slice()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CatalogEntry {
    event_type: EventType,
    spec: EventTypeSpec,
    mode: SchemaMode,
    check: Option<Arc<dyn SchemaCheck>>,
    example: Option<Bytes>,
}

impl CompiledCatalog {
    pub(crate) fn new(
        entries: Vec<Arc<CatalogEntry>>,
        positions: HashMap<EventType, usize>,
        payload_limit: usize,
    ) -> Self {
        Self(Arc::new(Types { entries, positions, payload_limit }))
    }

    /// Every type: groups in the order in which they were first declared, types within them as declared.
    pub fn entries(&self) -> &[Arc<CatalogEntry>] {
        &self.0.entries
    }

    /// The type of this name, whoever asks.
    pub fn find(&self, name: &str) -> Option<&Arc<CatalogEntry>> {
        self.0.positions.get(name).and_then(|&position| self.0.entries.get(position))
    }

    /// The types that this actor may know of, in the order of [`entries`](Self::entries).
    pub fn visible_to<'a>(&'a self, actor: &'a Actor) -> impl Iterator<Item = &'a Arc<CatalogEntry>> {
        self.0.entries.iter().filter(|entry| entry.is_visible_to(actor))
    }

    /// How many bytes a payload may hold.
    pub fn payload_limit(&self) -> usize {
        self.0.payload_limit
    }

    /// Whether the event may be published, and what is left of it then.
    ///
    /// A payload is parsed only if its type has a schema that somebody looks at.
    ///
    /// # Errors
    /// Everything that is wrong, at once: a type that is not declared, a payload that is too large, not JSON, or
    /// against its schema (field `data` and the JSON pointer, rule with type and keyword), labels out of bounds.
    pub fn check(&self, event: NewEvent) -> Result<CheckedEvent> {
        let NewEvent { tenant, event_type, payload, labels } = event;
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let entry = self.find(&event_type);
        if entry.is_none() {
            problems.push(self.unknown_type(&event_type));
        }
        let payload = check_payload(payload, self.0.payload_limit);
        if let (Some(entry), Ok(payload)) = (entry, &payload) {
            let found = entry.check(payload);
            if entry.mode == SchemaMode::Enforce { problems.extend(found) } else { warnings.extend(found) }
        }
        check_labels(&labels, &mut problems);
        match (entry, payload) {
            (Some(entry), Ok(payload)) if problems.is_empty() => {
                let mut labels = labels;
                without_repetition(&mut labels.channels);
                Ok(CheckedEvent::new(
                    tenant,
                    entry.event_type.clone(),
                    entry.requires_any().clone(),
                    payload,
                    labels,
                    warnings,
                ))
            }
            (_, payload) => Err(Error::invalid("publish event", problems.into_iter().chain(payload.err()))),
        }
    }

    /// Whether the pattern covers at least one type that this actor may know of.
    ///
    /// # Errors
    /// The field is `events`; types that the actor may not know of are never named.
    pub fn check_pattern(&self, pattern: &EventPattern, actor: &Actor) -> Result<(), Problem> {
        if self.visible_to(actor).any(|entry| pattern.matches(&entry.event_type)) {
            return Ok(());
        }
        let names: Vec<&str> = self.visible_to(actor).map(|entry| entry.event_type.as_str()).collect();
        let fix = match near_pattern(pattern.as_str(), &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "choose among the event types that the catalogue lists".to_owned(),
        };
        Err(Problem::new("events", format!("`{pattern}` covers no known event type"), fix))
    }

    fn unknown_type(&self, name: &str) -> Problem {
        let known = self.0.entries.iter().map(|entry| entry.event_type.as_str());
        let fix = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare the type in the event catalogue".to_owned(),
        };
        let rule = match name.parse::<EventType>() {
            Ok(name) => format!("the event catalogue does not declare `{name}`"),
            Err(invalid) => invalid.to_string(),
        };
        Problem::new("type", rule, fix)
    }
}

impl CatalogEntry {
    pub(crate) fn new(
        event_type: EventType,
        spec: EventTypeSpec,
        mode: SchemaMode,
        check: Option<Arc<dyn SchemaCheck>>,
        example: Option<Bytes>,
    ) -> Self {
        Self { event_type, spec, mode, check, example }
    }

    /// The type's name.
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The heading under which people find it.
    pub fn group(&self) -> Option<&str> {
        self.spec.group.as_deref()
    }

    /// What has happened when it is published.
    pub fn description(&self) -> Option<&str> {
        self.spec.description.as_deref()
    }

    /// The version of its payload's shape.
    pub fn version(&self) -> u32 {
        self.spec.version
    }

    /// What its payload looks like, as a JSON Schema of draft 2020-12.
    pub fn schema(&self) -> Option<&Value> {
        self.spec.schema.as_ref()
    }

    /// What happens to a payload that does not match.
    pub fn schema_mode(&self) -> SchemaMode {
        self.mode
    }

    /// A payload to show to people.
    pub fn example(&self) -> Option<&Value> {
        self.spec.example.as_ref()
    }

    /// The example as it is sent for a test.
    pub fn example_payload(&self) -> Option<&Bytes> {
        self.example.as_ref()
    }

    /// What to use instead, if the type will go.
    pub fn deprecated(&self) -> Option<&str> {
        self.spec.deprecated.as_deref()
    }

    /// The entitlements of which one is needed to know of the type; empty if it is open to everybody.
    pub fn requires_any(&self) -> &BTreeSet<Entitlement> {
        &self.spec.requires_any
    }

    /// Whether somebody with these entitlements may know of the type, and subscribe to it.
    pub fn is_open_to(&self, entitlements: &BTreeSet<Entitlement>) -> bool {
        self.spec.requires_any.is_empty() || !self.spec.requires_any.is_disjoint(entitlements)
    }

    /// Whether this actor may know of the type; the host's own code is not asked for entitlements.
    pub fn is_visible_to(&self, actor: &Actor) -> bool {
        actor.role() == Role::System || self.is_open_to(actor.entitlements())
    }

    fn check(&self, payload: &[u8]) -> Vec<Problem> {
        let Some(check) = &self.check else { return Vec::new() };
        let violations = match serde_json::from_slice(payload) {
            Ok(instance) => check.check(&instance),
            // It is JSON, but deeper or with larger numbers than a value in memory can be.
            Err(cause) => {
                let rule = format!("the payload cannot be held against its schema: {cause}");
                vec![SchemaViolation::new(
                    "",
                    rule,
                    "nest less deeply, and write numbers within the range of a double",
                )]
            }
        };
        let name_rule = |SchemaViolation { pointer, rule, fix }| {
            let rule = format!("{} version {}, {rule}", self.event_type, self.spec.version);
            Problem::new(format!("data{pointer}"), rule, fix)
        };
        violations.into_iter().map(name_rule).collect()
    }
}

fn without_repetition(channels: &mut Vec<Arc<str>>) {
    let mut seen = BTreeSet::new();
    channels.retain(|channel| seen.insert(channel.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::catalog::EventCatalog;

    fn catalog() -> CompiledCatalog {
        EventCatalog::new()
            .with_payload_limit(1000)
            .with(EventTypeSpec::new("stock.counted"))
            .with(EventTypeSpec::new("shipment.shipped"))
            .with(EventTypeSpec::new("shipment.leg.started"))
            .with(EventTypeSpec::new("forecast.published").requires_any(["planning", "all"]))
            .compile(None)
            .expect("a catalogue")
    }

    fn given(event_type: &str, data: &str) -> NewEvent {
        NewEvent::from_json("t".parse().expect("a tenant"), event_type, data.to_owned())
    }

    fn refused(event: NewEvent) -> Vec<Problem> {
        let error = catalog().check(event).expect_err("refused");
        assert_eq!((error.kind(), error.step()), (crate::ErrorKind::Invalid, "publish event"));
        error.problems().to_vec()
    }

    fn member(entitlements: &[&'static str]) -> Actor {
        let nobody = Actor::member("t".parse().expect("a tenant"), "m");
        entitlements.iter().fold(nobody, |actor, entitlement| actor.with_entitlement(*entitlement))
    }

    #[test]
    fn everything_wrong_with_an_event_is_told_at_once() {
        let problems = refused(given("stock.count", "{").with_owner("").with_traceparent("x"));

        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["type", "owner", "traceparent", "data"]);
    }

    #[test]
    fn an_unknown_type_is_refused_with_the_name_that_was_meant() {
        for (name, fix) in [
            ("shipment.shiped", "did you mean `shipment.shipped`?"),
            ("Shipment.Shipped", "did you mean `shipment.shipped`?"),
            ("invoice.paid", "declare the type in the event catalogue"),
            ("", "declare the type in the event catalogue"),
        ] {
            let problems = refused(given(name, "{}"));
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].field, "type");
            assert_eq!(problems[0].fix, fix, "{name}");
        }
    }

    #[test]
    fn the_name_of_an_unknown_type_is_not_repeated_unless_it_is_one() {
        let problems = refused(given(&"\u{7}".repeat(10_000), "{}"));

        assert!(problems[0].to_string().len() < 300);
    }

    #[test]
    fn the_payload_is_published_byte_for_byte() -> Result<()> {
        let text = r#"{ "units" : 3, "cost": 0.10000000000000000001, "big": 9007199254740993 }"#;

        let checked = catalog().check(given("stock.counted", text))?;

        assert_eq!(checked.payload(), text);
        Ok(())
    }

    #[test]
    fn a_channel_named_twice_is_one() -> Result<()> {
        let event = given("shipment.shipped", "1").with_channels(["b", "a", "b"]);

        let event = catalog().check(event)?.into_event(
            crate::primitives::id::EventId::mint(chrono::DateTime::UNIX_EPOCH, [0; 10]),
            chrono::DateTime::UNIX_EPOCH,
        );

        assert_eq!(event.channels, ["b".into(), "a".into()] as [Arc<str>; 2]);
        Ok(())
    }

    #[test]
    fn debug_output_never_shows_a_payload() -> Result<()> {
        let event = given("shipment.shipped", r#""hunter2""#);
        let before = format!("{event:?}");

        let after = format!("{:?}", catalog().check(event)?);

        assert!(!before.contains("hunter2") && !after.contains("hunter2"), "{before} {after}");
        Ok(())
    }

    #[test]
    fn only_the_entitled_and_the_host_know_of_a_gated_type() {
        let catalog = catalog();
        let system = Actor::system("t".parse().expect("a tenant"), "import");

        for (actor, sees) in
            [(member(&[]), 3), (member(&["edi"]), 3), (member(&["edi", "all"]), 4), (system, 4)]
        {
            assert_eq!(catalog.visible_to(&actor).count(), sees, "{actor:?}");
        }
    }

    #[test]
    fn a_pattern_covers_at_least_one_type_that_the_actor_may_know_of() {
        let catalog = catalog();
        let fix = |pattern: &str, actor: &Actor| {
            let verdict = catalog.check_pattern(&pattern.parse().expect("a pattern"), actor);
            verdict.map_err(|problem| (problem.field, problem.fix)).err()
        };
        let means = |near: &str| Some(("events".to_owned(), format!("did you mean `{near}`?")));
        let listed = || {
            Some(("events".to_owned(), "choose among the event types that the catalogue lists".to_owned()))
        };

        for (pattern, entitlements, expected) in [
            ("*", [].as_slice(), None),
            ("shipment.*", &[], None),
            ("shipment.leg.*", &[], None),
            ("stock.counted", &[], None),
            ("forecast.*", &["planning"], None),
            ("shipments.*", &[], means("shipment.*")),
            ("shipment", &[], means("shipment.*")),
            ("shipment.leg", &[], means("shipment.leg.*")),
            ("stock.counted.*", &[], listed()),
            ("stock.count", &[], means("stock.counted")),
            ("forecast.published", &[], listed()),
            ("forecast.*", &["edi"], listed()),
            ("forecasts.*", &["planning"], means("forecast.*")),
        ] {
            assert_eq!(fix(pattern, &member(entitlements)), expected, "{pattern}");
        }
    }
}
