use serde_json::{Value, json};

use crate::mapping::reverse::{Optic, Verdict, analyse_reverse, invert};
use crate::mapping::spec::document::MappingSpec;

fn mapping(fields: Value, tables: Value) -> MappingSpec {
    let document =
        json!({"format": "mapping/1", "id": "m", "version": 1, "fields": fields, "tables": tables});
    MappingSpec::parse(&document.to_string()).unwrap()
}

/// The fields of the document of the way back.
fn back(fields: Value) -> Value {
    serde_json::to_value(invert(&mapping(fields, json!({}))).spec.fields).unwrap()
}

#[test]
fn steps_are_undone_from_the_last_to_the_first() {
    let back = back(json!([{"to": "b", "from": "a", "steps": [
        {"op": "split", "on": ","}, {"op": "each", "steps": [{"op": "decimal"}, {"op": "add", "by": "-2"}, {"op": "neg"}]}
    ]}]));

    assert_eq!(
        back[0]["steps"],
        json!([
            {"op": "each", "steps": [{"op": "neg"}, {"op": "add", "by": "2"}, {"op": "string"}]},
            {"op": "join", "sep": ","}
        ])
    );
}

#[test]
fn the_currency_of_an_amount_is_the_field_to_which_it_was_copied() {
    let fields = json!([
        {"to": "money", "from": "currency"},
        {"to": "lines", "each": "items", "key": {"source": "id", "target": "no"}, "fields": [
            {"to": "no", "from": "id"},
            {"to": "cents", "from": "price", "steps": [{"op": "decimal"}, {"op": "minor_units", "currency": "$.currency"}]}
        ]}
    ]);

    let back = back(fields);

    assert_eq!(
        back[1]["fields"][1]["steps"],
        json!([{"op": "major_units", "currency": "$.money"}, {"op": "string"}])
    );
    assert_eq!(back[1]["key"], json!({"source": "no", "target": "id"}));
}

#[test]
fn an_amount_whose_currency_is_not_in_the_target_asks_for_words() {
    let spec = mapping(
        json!([{"to": "cents", "from": "price", "steps": [{"op": "minor_units", "currency": "currency"}]}]),
        json!({}),
    );

    let report = analyse_reverse(&spec);

    assert_eq!(report.rules[0].verdict, Verdict::NeedsExplicit);
    assert_eq!(report.rules[0].reasons, ["the currency at `currency` is not in the target as it is"]);
}

#[test]
fn of_two_rules_that_read_the_same_field_the_exact_one_writes_it_back() {
    let report = analyse_reverse(&mapping(
        json!([
            {"to": "search", "from": "title", "steps": [{"op": "upper"}]},
            {"to": "name", "from": "title"},
            {"to": "part", "from": "title.short"}
        ]),
        json!({}),
    ));

    let verdicts: Vec<_> = report.rules.iter().map(|rule| rule.verdict).collect();
    assert_eq!(verdicts, [Verdict::OneWay, Verdict::Auto, Verdict::OneWay]);
    assert_eq!(report.rules[0].reasons, ["`title` is written back by the rule for `name`"]);
}

#[test]
fn rows_with_the_same_value_ask_which_one_answers() {
    let table = |pick: Value| json!({"t": {"columns": ["a", "b"], "rows": [["x", 1], ["y", 1], ["z", 2]], "reverse_pick": pick}});
    let fields =
        json!([{"to": "q", "from": "p", "steps": [{"op": "table", "name": "t", "key": "a", "value": "b"}]}]);

    let open = analyse_reverse(&mapping(fields.clone(), table(json!([]))));
    let picked = invert(&mapping(fields, table(json!(["y"]))));

    assert_eq!(open.rules[0].verdict, Verdict::NeedsExplicit);
    assert!(open.rules[0].reasons[0].contains("\"x\", \"y\""), "{:?}", open.rules[0].reasons);
    assert_eq!(picked.report.rules[0].optic, Optic::Lossy);
    assert_eq!(
        serde_json::to_value(&picked.spec.tables["t_reverse"].rows).unwrap(),
        json!([["y", 1], ["z", 2]])
    );
}

#[test]
fn cases_that_are_a_table_are_turned_round_and_others_are_not() {
    let back = back(json!([
        {"to": "b", "cases": [{"when": {"path": "a", "eq": 1}, "value": "one"}, {"when": {"path": "a", "eq": 2}, "value": "two"}]},
        {"to": "d", "cases": [{"when": {"path": "c", "gt": 1}, "value": "many"}, {"else": "few"}]}
    ]));

    assert_eq!(back[0]["cases"][1], json!({"when": {"path": "b", "eq": "two"}, "value": 2}));
    assert_eq!((&back[1]["direction"], &back[1]["to"]), (&json!("reverse"), &json!("c")));
    assert!(back[1]["note"].as_str().unwrap().starts_with("TODO: "));
}

#[test]
fn a_default_is_not_written_back_unless_the_rule_says_so() {
    let back = back(json!([
        {"to": "b", "from": "a", "default": "none"},
        {"to": "d", "from": "c", "default": "none", "reverse_default": "keep"}
    ]));

    assert_eq!(back[0]["when"], json!({"path": "b", "ne": "none"}));
    assert_eq!(back[1].get("when"), None);
}

#[test]
fn what_the_rule_says_itself_is_taken() {
    let back = back(json!([
        {"to": "b", "expr": "a + 1", "reverse": {"to": "a", "expr": "b - 1"}},
        {"to": "e", "first": ["c", "d"], "reverse": {"to": "c"}},
        {"to": "name", "join": ["first", "last"], "sep": " ", "reverse": {"split_on": " ", "max": 2}}
    ]));

    assert_eq!((&back[0]["to"], &back[0]["expr"]), (&json!("a"), &json!("b - 1")));
    assert_eq!((&back[1]["to"], &back[1]["from"]), (&json!("c"), &json!("e")));
    assert_eq!(back[3]["steps"], json!([{"op": "split", "on": " ", "max": 2}, {"op": "nth", "index": 1}]));
}

#[test]
fn exact_rules_survive_two_reversals() {
    let fields = json!([
        {"to": "b.c", "type": "string", "from": "a"},
        {"to": "n", "from": "m", "steps": [{"op": "scale10", "n": 2}, {"op": "neg"}]},
        {"to": "lines", "each": "items", "key": {"source": "id", "target": "no"}, "fields": [
            {"to": "no", "from": "id"},
            {"to": "on", "from": "flag", "steps": [{"op": "bool_map", "true": 1, "false": 0, "way": "to_value"}]}
        ]}
    ]);
    let spec = mapping(fields, json!({}));

    let twice = invert(&invert(&spec).spec).spec;

    assert_eq!((&twice.id, &twice.tables), (&spec.id, &spec.tables));
    for (twice, once) in twice.fields.iter().zip(&spec.fields) {
        assert_eq!(
            (&twice.to, &twice.from, &twice.steps, &twice.key),
            (&once.to, &once.from, &once.steps, &once.key)
        );
    }
}
