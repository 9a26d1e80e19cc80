//! The catalogue with a real schema engine: what is refused, where, and why.

use crossdock::adapters::JsonSchemaEngine;
use crossdock::events::{CompiledCatalog, EventCatalog, EventTypeSpec, NewEvent, SchemaMode};
use crossdock::{Error, Problem};
use libtest_mimic::Trial;
use serde_json::json;

use crate::rule;

type Story = fn() -> Result<(), Error>;

pub(crate) fn trials() -> Vec<Trial> {
    let stories: [(&str, Story); 7] = [
        ("a_payload_against_its_schema_is_refused_with_type_pointer_and_keyword", pointer_and_keyword),
        ("a_schema_that_only_warns_lets_the_payload_through", warning_only),
        ("a_schema_that_is_off_says_nothing", switched_off),
        ("a_payload_too_deep_for_its_schema_is_refused_and_without_a_schema_it_passes", too_deep),
        ("every_broken_declaration_is_reported_at_once", broken_declarations),
        ("a_broken_schema_is_refused_even_where_it_is_only_shown", broken_schema_shown),
        ("an_example_may_stray_where_nobody_looks_at_the_schema", straying_example),
    ];
    stories.into_iter().map(|(name, story)| rule(&format!("catalog::{name}"), story)).collect()
}

fn pointer_and_keyword() -> Result<(), Error> {
    let problems = refused(given("stock.counted", r#"{"units":"x","items":[{"sku":"A"}]}"#));

    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    data/items/0/sku: stock.counted version 3, minLength: the value is shorter than 3 characters (correct the payload, or the schema if it asks too much)
    data/units: stock.counted version 3, type: the value is not of type "integer" (correct the payload, or the schema if it asks too much)
    "#);
    Ok(())
}

fn warning_only() -> Result<(), Error> {
    let checked = catalog(SchemaMode::Warn).check(given("stock.counted", "{}"))?;

    assert_eq!(checked.warnings().len(), 1);
    assert_eq!(checked.warnings()[0].field, "data");
    assert_eq!(checked.payload(), "{}");
    Ok(())
}

fn switched_off() -> Result<(), Error> {
    assert_eq!(catalog(SchemaMode::Off).check(given("stock.counted", "{}"))?.warnings(), []);
    Ok(())
}

fn too_deep() -> Result<(), Error> {
    let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));

    assert_eq!(refused(given("stock.counted", &deep))[0].field, "data");
    assert!(catalog(SchemaMode::Enforce).check(given("shipment.shipped", &deep)).is_ok());
    Ok(())
}

fn broken_declarations() -> Result<(), Error> {
    let counted = json!({"type": "object", "properties": {"units": {"type": "integer"}}});
    let catalog = EventCatalog::new()
        .with(EventTypeSpec::new("stock counted"))
        .with(EventTypeSpec::new("a.b"))
        .with(EventTypeSpec::new("a.b").version(2))
        .with(EventTypeSpec::new("c").version(0))
        .with(EventTypeSpec::new("d").schema(json!({"properties": {"x": {"type": "strin"}}})))
        .with(EventTypeSpec::new("e").schema(json!({"$ref": "https://example.com/e.json"})))
        .with(EventTypeSpec::new("f").schema(counted.clone()).example(json!({"units": "three"})))
        .with(EventTypeSpec::new("fine").schema(counted).example(json!({"units": 3})));

    let fields: Vec<_> = problems(catalog).into_iter().map(|problem| problem.field).collect();

    insta::assert_debug_snapshot!(fields, @r#"
    [
        "events[\"stock counted\"]",
        "events[a.b]",
        "events[c].version",
        "events[d].schema/properties/x/type",
        "events[e].schema",
        "events[f].example/units",
    ]
    "#);
    Ok(())
}

fn broken_schema_shown() -> Result<(), Error> {
    let spec = EventTypeSpec::new("a").schema(json!({"type": 1})).schema_mode(SchemaMode::Off);

    assert_eq!(problems(EventCatalog::new().with(spec)).len(), 1);
    Ok(())
}

fn straying_example() -> Result<(), Error> {
    let spec = EventTypeSpec::new("a").schema(json!({"type": "null"})).example(json!(1));
    let of = |mode| EventCatalog::new().with(spec.clone().schema_mode(mode));

    assert!(of(SchemaMode::Off).compile(Some(&JsonSchemaEngine::new())).is_ok());
    for mode in [SchemaMode::Enforce, SchemaMode::Warn] {
        assert_eq!(problems(of(mode))[0].field, "events[a].example", "{mode:?}");
    }
    Ok(())
}

fn catalog(mode: SchemaMode) -> CompiledCatalog {
    let counted = json!({"type": "object", "required": ["units"], "properties": {
        "units": {"type": "integer"},
        "items": {"items": {"properties": {"sku": {"minLength": 3}}}},
    }});
    EventCatalog::new()
        .with_schema_mode(mode)
        .with_payload_limit(1000)
        .with(EventTypeSpec::new("stock.counted").version(3).schema(counted))
        .with(EventTypeSpec::new("shipment.shipped"))
        .with(EventTypeSpec::new("shipment.leg.started"))
        .with(EventTypeSpec::new("forecast.published").requires_any(["planning", "all"]))
        .compile(Some(&JsonSchemaEngine::new()))
        .expect("a catalogue")
}

fn problems(catalog: EventCatalog) -> Vec<Problem> {
    catalog.compile(Some(&JsonSchemaEngine::new())).expect_err("refused").problems().to_vec()
}

fn given(event_type: &str, data: &str) -> NewEvent {
    NewEvent::from_json("t".parse().expect("a tenant"), event_type, data.to_owned())
}

fn refused(event: NewEvent) -> Vec<Problem> {
    catalog(SchemaMode::Enforce).check(event).expect_err("refused").problems().to_vec()
}
