//! Values in memory, as sources and as outputs: whatever way is taken through an object, bytes give the same.

use serde_json::{Map, Value, json};

use crate::mapping::tests::{document, outcome};

#[test]
fn objects_of_any_size_are_read_and_written_alike() {
    for (rules, others) in [(1, 0), (1, 200), (3, 7), (30, 40), (63, 0), (65, 3), (120, 10), (120, 300)] {
        // Names in no order, each third of which the record does not have.
        let name = |at: usize| format!("n{}", at * 7919 % 1000);
        let mut record = Map::new();
        for at in (0..rules).filter(|at| at % 3 != 2) {
            record.insert(name(at), json!({"x": at, "y": [at]}));
        }
        for at in 0..others {
            record.insert(format!("other{at}"), json!(at));
        }
        let fields: Vec<Value> = (0..rules)
            .flat_map(|at| {
                let (name, from) = (name(at), format!("{}.x", name(at)));
                [
                    json!({"to": format!("{name}.a"), "from": from}),
                    json!({"to": format!("{name}.b"), "from": from}),
                ]
            })
            .collect();
        let wanted: Map<String, Value> =
            (0..rules).filter(|at| at % 3 != 2).map(|at| (name(at), json!({"a": at, "b": at}))).collect();
        let record = Value::Object(record);

        assert_eq!(outcome(&document(json!(fields)), &record), Ok(Value::Object(wanted.clone())));

        let rows = json!({"rows": [record, {}, 1, record]});
        let each = document(json!([{"to": "rows", "each": "rows", "fields": fields}]));
        assert_eq!(outcome(&each, &rows), Ok(json!({"rows": [wanted, {}, {}, wanted]})));
    }
}

#[test]
fn a_list_inside_itself_has_rows_of_its_own() {
    let document = document(json!([{"to": "outer", "each": "items", "fields": [
        {"to": "before", "from": "n.m"},
        {"to": "inner", "each": "$.items", "fields": [{"to": "own", "from": "n.m"}, {"to": "around", "from": "^.n.m"}]},
        {"to": "after", "from": "n.m"},
    ]}]));
    let input = json!({"items": [{"n": {"m": 1}}, {}, {"n": {"m": 3}}]});

    let inner = |around: Value| {
        let with = |own: Value| {
            let members = [("own", own), ("around", around.clone())];
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            members.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
        };
        json!([with(json!(1)), with(Value::Null), with(json!(3))])
    };
    let wanted = json!({"outer": [
        {"before": 1, "inner": inner(json!(1)), "after": 1},
        {"inner": inner(Value::Null)},
        {"before": 3, "inner": inner(json!(3)), "after": 3},
    ]});
    assert_eq!(outcome(&document, &input), Ok(wanted));
}

#[test]
fn members_that_no_rule_reads_stand_beside_those_that_are_written() {
    let mut document = document(json!([
        {"to": "b.c", "from": "x"}, {"to": "a", "from": "missing"}, {"to": "lines", "each": "none", "fields": [{"to": "k", "const": 1}]},
    ]));
    document["unmapped"] = json!({"mode": "pass"});
    let input = json!({"x": 1, "z": [1], "e": {"f": null}});

    assert_eq!(outcome(&document, &input), Ok(json!({"b": {"c": 1}, "z": [1], "e": {"f": null}})));
}

#[test]
fn one_element_too_many_is_ambiguous_as_often_as_it_is_asked_for() {
    let rule = |to: &str| json!({"to": to, "from": "notes[name='a'].value", "on_error": "fail_field"});
    let document =
        document(json!([rule("first"), rule("second"), {"to": "third", "from": "notes[0].value"}]));
    let input = json!({"notes": [{"name": "a", "value": 1}, {"name": "a", "value": 2}]});

    assert_eq!(outcome(&document, &input), Ok(json!({"third": 1})));
}
