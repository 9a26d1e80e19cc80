//! JSON Schema, draft 2020-12, on the crate `jsonschema`; nothing is ever fetched.

use std::fmt;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;

use crate::events::schema::{SchemaCheck, SchemaEngine, SchemaViolation};

/// Checks payloads against JSON Schemas of draft 2020-12.
///
/// The keyword `format` is enforced, because that is what people who write it expect. References stay within the
/// schema: no file and no URL is read. The names of an object's members may appear in what it reports, values never.
///
/// ```
/// use crossdock::adapters::JsonSchemaEngine;
/// use crossdock::events::SchemaEngine;
/// use serde_json::json;
///
/// let schema = json!({"properties": {"eta": {"type": "string", "format": "date-time"}}});
/// let check = JsonSchemaEngine::new().compile(&schema).map_err(|found| format!("{found:?}"))?;
///
/// let violations = check.check(&json!({"eta": "tomorrow"}));
///
/// assert_eq!(violations[0].pointer, "/eta");
/// assert_eq!(violations[0].rule, "format: the value is not a \"date-time\"");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct JsonSchemaEngine(());

struct CompiledSchema(Validator);

impl JsonSchemaEngine {
    /// An engine.
    pub fn new() -> Self {
        Self(())
    }
}

impl SchemaEngine for JsonSchemaEngine {
    fn compile(&self, schema: &Value) -> Result<Arc<dyn SchemaCheck>, Vec<SchemaViolation>> {
        refuse_other_drafts(schema)?;
        // The meta-schema first: it finds every mistake, building stops at one.
        let meta_schema = jsonschema::draft202012::meta::validator();
        let mistakes = in_order(meta_schema.iter_errors(schema).take(MAX_REPORTED).map(in_schema));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .offline()
            .build(schema)
            .map_err(|mistake| vec![in_schema(mistake)])?;
        Ok(Arc::new(CompiledSchema(validator)))
    }
}

impl SchemaCheck for CompiledSchema {
    fn check(&self, instance: &Value) -> Vec<SchemaViolation> {
        // Nearly every payload matches, and this is several times faster than looking for errors.
        if self.0.is_valid(instance) {
            return Vec::new();
        }
        in_order(self.0.iter_errors(instance).flat_map(in_payload).take(MAX_REPORTED))
    }
}

impl fmt::Debug for CompiledSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompiledSchema")
    }
}

fn refuse_other_drafts(schema: &Value) -> Result<(), Vec<SchemaViolation>> {
    let Some(named) = schema.get("$schema") else { return Ok(()) };
    if named.as_str().is_some_and(|uri| uri.trim_end_matches('#') == DRAFT) {
        return Ok(());
    }
    let fix = format!("write the schema for {DRAFT}, and name that or nothing");
    Err(vec![SchemaViolation::new("/$schema", "$schema: only draft 2020-12 is understood", fix)])
}

/// What is wrong with a schema; it is the host's own, so its values may be told.
fn in_schema(mistake: ValidationError<'_>) -> SchemaViolation {
    let fix = match mistake.kind() {
        ValidationErrorKind::Referencing(_) => {
            "refer to what stands in the same schema, such as `#/$defs/address`"
        }
        _ => "correct the schema",
    };
    let rule = format!("{}: {mistake}", mistake.kind().keyword());
    SchemaViolation::new(mistake.instance_path().as_str(), shortened(rule), fix)
}

/// What is wrong with a payload: its values are the tenant's and stay untold. Members too many are told one by one,
/// each at its own place.
fn in_payload(error: ValidationError<'_>) -> Vec<SchemaViolation> {
    let keyword = error.kind().keyword().to_owned();
    let pointer = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let rule = format!("{keyword}: the schema does not know this member");
            let fix = "leave it out, or add it to the schema";
            let place = |name: &String| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            unexpected.iter().map(|name| SchemaViolation::new(place(name), &rule, fix)).collect()
        }
        ValidationErrorKind::Required { property } => {
            let rule = format!("{keyword}: the member {property} is missing");
            vec![SchemaViolation::new(pointer, shortened(rule), "add it")]
        }
        ValidationErrorKind::PropertyNames { .. } => {
            let rule = format!("{keyword}: the name of a member breaks the rule for names");
            vec![SchemaViolation::new(pointer, rule, "rename it as the schema says")]
        }
        ValidationErrorKind::Referencing(_)
        | ValidationErrorKind::BacktrackLimitExceeded { .. }
        | ValidationErrorKind::RegexEngineFailure { .. }
        | ValidationErrorKind::FromUtf8 { .. }
        | ValidationErrorKind::Custom { .. } => {
            let rule = format!("{keyword}: the value could not be checked");
            vec![SchemaViolation::new(pointer, rule, "simplify the schema at this place")]
        }
        _ => {
            let rule = format!("{keyword}: {}", error.masked_with("the value"));
            vec![SchemaViolation::new(
                pointer,
                shortened(rule),
                "correct the payload, or the schema if it asks too much",
            )]
        }
    }
}

/// By place: the order must not depend on how the validator walks.
fn in_order(violations: impl Iterator<Item = SchemaViolation>) -> Vec<SchemaViolation> {
    let mut violations: Vec<_> = violations.collect();
    violations.sort_by(|left, right| (&left.pointer, &left.rule).cmp(&(&right.pointer, &right.rule)));
    violations
}

/// A schema's own lists and patterns can be long; the beginning tells which rule it is.
fn shortened(mut rule: String) -> String {
    if let Some((end, _)) = rule.char_indices().nth(MAX_RULE_CHARACTERS) {
        rule.truncate(end);
        rule.push('…');
    }
    rule
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
const MAX_REPORTED: usize = 32;
const MAX_RULE_CHARACTERS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn violations(schema: Value, instance: &Value) -> Vec<(String, String)> {
        let check = JsonSchemaEngine::new().compile(&schema).expect("a schema");
        check.check(instance).into_iter().map(|found| (found.pointer, found.rule)).collect()
    }

    fn mistakes(schema: &Value) -> Vec<String> {
        let found = JsonSchemaEngine::new().compile(schema).expect_err("no schema");
        found.into_iter().map(|found| format!("{} {}", found.pointer, found.rule)).collect()
    }

    #[test]
    fn a_payload_that_matches_has_no_violations() {
        let schema = json!({"type": "object", "required": ["a"], "$defs": {"n": {"type": "null"}},
            "properties": {"a": {"$ref": "#/$defs/n"}}});

        assert_eq!(violations(schema, &json!({"a": null})), []);
    }

    #[test]
    fn every_violation_names_its_place_and_its_keyword_and_no_value() {
        let schema = json!({
            "type": "object",
            "required": ["order", "items"],
            "additionalProperties": false,
            "propertyNames": {"maxLength": 12},
            "properties": {
                "items": {"type": "array", "minItems": 3, "uniqueItems": true, "items": {
                    "properties": {"sku": {"pattern": "^[A-Z]+$"}, "units": {"type": "integer", "minimum": 1}},
                    "unevaluatedProperties": false,
                }},
                "state": {"enum": ["open", "closed"]},
                "kind": {"const": "x"},
                "id": {"format": "uuid"},
                "either": {"oneOf": [{"type": "null"}, {"type": "boolean"}]},
                "never": {"not": {"type": "string"}},
            },
        });
        let secret = "hunter2";
        let instance = json!({
            "items": [{"sku": secret, "units": 0, "tint/~": secret}, {"sku": "A", "units": secret}],
            "state": secret, "kind": secret, "id": secret, "either": secret, "never": secret, "a-very-long-name": secret,
        });

        let found = violations(schema, &instance);

        assert!(!format!("{found:?}").contains(secret), "{found:#?}");
        let lines: Vec<_> = found.into_iter().map(|(pointer, rule)| format!("{pointer} {rule}")).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
         propertyNames: the name of a member breaks the rule for names
         required: the member "order" is missing
        /a-very-long-name additionalProperties: the schema does not know this member
        /either oneOf: the value is not valid under any of the schemas listed in the 'oneOf' keyword
        /id format: the value is not a "uuid"
        /items minItems: the value has less than 3 items
        /items/0/sku pattern: the value does not match "^[A-Z]+$"
        /items/0/tint~1~0 unevaluatedProperties: the schema does not know this member
        /items/0/units minimum: the value is less than the minimum of 1
        /items/1/units type: the value is not of type "integer"
        /kind const: "x" was expected
        /never not: {"type":"string"} is not allowed for the value
        /state enum: the value is not one of "open" or "closed"
        "#);
    }

    #[test]
    fn the_list_of_violations_is_short() {
        let known = json!({"a": true});
        let schema = json!({"properties": known, "additionalProperties": false, "items": {"type": "null"}});
        let many: serde_json::Map<_, _> = (0..1000).map(|n| (n.to_string(), json!(n))).collect();

        assert_eq!(violations(schema.clone(), &Value::Object(many)).len(), 32);
        assert_eq!(violations(schema, &json!(vec![1; 1000])).len(), 32);
    }

    #[test]
    fn a_long_rule_is_cut() {
        let schema = json!({"enum": (0..5000).map(|n| format!("ä{n}")).collect::<Vec<_>>(), "pattern": "é".repeat(2000)});

        for (_, rule) in violations(schema, &json!("x")) {
            assert!(rule.chars().count() <= 301, "{rule}");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused_with_every_mistake() {
        let found =
            mistakes(&json!({"type": "objekt", "minimum": "3", "properties": {"a": {"required": "b"}}}));

        let places: Vec<_> = found.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(places, ["/minimum", "/properties/a/required", "/type"], "{found:#?}");
    }

    #[test]
    fn nothing_outside_the_schema_is_read() {
        for reference in [
            "https://example.com/schema.json",
            "http://127.0.0.1:1/schema.json",
            "file:///etc/hostname",
            "other.json",
            "#/$defs/missing",
            "#anchor",
        ] {
            let found = mistakes(&json!({"properties": {"a": {"$ref": reference}}}));
            assert!(found.iter().any(|line| line.contains("$ref")), "{reference}: {found:?}");
        }
    }

    #[test]
    fn only_draft_2020_12_is_understood() {
        for draft in ["http://json-schema.org/draft-07/schema#", "https://example.com/mine", ""] {
            let found = mistakes(&json!({"$schema": draft}));
            assert_eq!(found, ["/$schema $schema: only draft 2020-12 is understood"], "{draft}");
        }
        for draft in [DRAFT.to_owned(), format!("{DRAFT}#")] {
            assert_eq!(violations(json!({"$schema": draft, "type": "null"}), &json!(null)), []);
        }
    }

    #[test]
    fn schemas_of_every_shape_are_accepted_or_refused_without_a_panic() {
        for schema in
            [json!(null), json!(1), json!("a"), json!([]), json!({"pattern": "("}), json!({"$id": ":"})]
        {
            assert!(!mistakes(&schema).is_empty(), "{schema}");
        }
        assert_eq!(violations(json!(true), &json!(1)), []);
        assert_eq!(violations(json!(false), &json!(1)).len(), 1);
    }

    #[test]
    fn a_schema_may_refer_to_itself() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});

        let found = violations(schema, &json!({"next": {"next": {"next": 7}}}));

        assert_eq!(found[0].0, "/next/next/next");
    }

    #[test]
    fn a_pattern_that_explodes_ends_with_an_answer() {
        let schema = json!({"pattern": "^(?=(a+)+$)(a|aa)+$"});

        let found = violations(schema, &json!(format!("{}!", "a".repeat(5000))));

        assert_eq!(found.len(), 1, "{found:?}");
    }
}
