//! Every operation: what it gives, and how it fails. Each line runs over bytes and values, into bytes and values.

use serde_json::{Value, json};

use crate::mapping::tests::{document, outcome};

/// What the steps make of a value; `null` in a list of results stands for nothing written; errors are their codes.
fn made(steps: &Value, input: &Value) -> Value {
    let document = document(json!([{"to": "out", "from": "in", "null": "keep", "steps": steps}]));
    match outcome(&document, &json!({"in": input, "cur": "JPY"})) {
        Ok(output) => output.get("out").cloned().unwrap_or(json!("nothing")),
        Err(error) => json!(code(&error)),
    }
}

fn code(error: &str) -> String {
    let start = error.find("E-").unwrap_or(0);
    error[start..].split([':', ']']).next().unwrap_or_default().to_owned()
}

#[track_caller]
fn check(op: Value, cases: &[(Value, Value)]) {
    let steps = if op.is_array() { op.clone() } else { json!([op]) };
    for (input, expected) in cases {
        let found = made(&steps, input);
        assert_eq!(found, *expected, "{op} of {input}");
    }
    // What is not there passes through.
    if steps[0]["op"] != "default" {
        assert_eq!(made(&steps, &Value::Null), Value::Null, "{op} of null");
    }
}

#[test]
fn operations_on_texts() {
    let type_error = json!("E-TYPE");
    check(
        json!({"op": "prefix", "text": "SHOP-"}),
        &[
            (json!("7"), json!("SHOP-7")),
            (json!(450789469123456789_u64), json!("SHOP-450789469123456789")),
            (json!(true), type_error.clone()),
            (json!([1]), type_error.clone()),
        ],
    );
    check(
        json!({"op": "suffix", "text": "!"}),
        &[(json!("a"), json!("a!")), (json!({}), type_error.clone())],
    );
    check(
        json!({"op": "strip_prefix", "text": "A-"}),
        &[(json!("A-1"), json!("1")), (json!("1"), json!("1"))],
    );
    check(
        json!({"op": "strip_prefix", "text": "A-", "required": true}),
        &[(json!("A-\u{e9}"), json!("\u{e9}")), (json!("1"), json!("E-TEXT"))],
    );
    check(
        json!({"op": "strip_suffix", "text": "-A", "required": true}),
        &[(json!("1-A"), json!("1")), (json!("1"), json!("E-TEXT")), (json!(1), type_error.clone())],
    );
    check(json!({"op": "trim"}), &[(json!(" \t a b \n"), json!("a b")), (json!(1), type_error.clone())]);
    check(json!({"op": "lower"}), &[(json!("ÄB"), json!("äb")), (json!("ab"), json!("ab"))]);
    check(json!({"op": "upper"}), &[(json!("straße"), json!("STRASSE")), (json!("AB"), json!("AB"))]);
    check(json!({"op": "title"}), &[(json!("o'neill of the éIRE"), json!("O'neill Of The Éire"))]);
    check(
        json!({"op": "pad", "width": 5, "with": "0"}),
        &[(json!("12"), json!("00012")), (json!(12), json!("00012")), (json!("123456"), json!("123456"))],
    );
    check(json!({"op": "pad", "width": 3, "side": "end"}), &[(json!("é"), json!("é  "))]);
    check(
        json!({"op": "truncate", "max": 2, "mode": "cut"}),
        &[(json!("éàü"), json!("éà")), (json!("é"), json!("é"))],
    );
    check(
        json!({"op": "truncate", "max": 2, "mode": "error"}),
        &[(json!("éà"), json!("éà")), (json!("éàü"), json!("E-TEXT-LENGTH"))],
    );
    check(
        json!({"op": "replace", "find": ",", "with": ";;"}),
        &[(json!("a,b,"), json!("a;;b;;")), (json!("a"), json!("a"))],
    );
    check(
        json!({"op": "substring", "start": 1, "length": 2}),
        &[(json!("éàüö"), json!("àü")), (json!("é"), json!(""))],
    );
    check(json!({"op": "substring", "start": 2}), &[(json!("abc"), json!("c"))]);
    check(
        json!({"op": "normalise_space"}),
        &[(json!("  a \u{a0} b\n"), json!("a b")), (json!("a b"), json!("a b"))],
    );
    check(json!({"op": "digits_only"}), &[(json!("+49 (0)30"), json!("49030")), (json!("12"), json!("12"))]);
    check(json!({"op": "mask", "keep": 2}), &[(json!("1234é6"), json!("****é6")), (json!("1"), json!("1"))]);
}

#[test]
fn operations_on_numbers() {
    check(
        json!({"op": "decimal"}),
        &[
            (json!("12.50"), json!(12.5)),
            (json!(3), json!(3)),
            (json!(" 1"), json!("E-NUMBER")),
            (json!("1,5"), json!("E-NUMBER")),
            (json!(true), json!("E-TYPE")),
        ],
    );
    check(
        json!({"op": "decimal", "separator": ",", "group": "."}),
        &[
            (json!("1.234,50"), json!(1234.5)),
            (json!("1,2,3"), json!("E-NUMBER")),
            (json!("-0,5"), json!(-0.5)),
        ],
    );
    check(
        json!({"op": "int"}),
        &[
            (json!("12"), json!(12)),
            (json!("12.0"), json!(12)),
            (json!("12.5"), json!("E-NUMBER")),
            (json!("x"), json!("E-NUMBER")),
            (json!(u64::MAX), json!(u64::MAX)),
        ],
    );
    check(
        json!({"op": "round", "scale": 2, "mode": "half_up"}),
        &[(json!(2.345), json!(2.35)), (json!("2.345"), json!("E-TYPE"))],
    );
    check(json!({"op": "round", "scale": 1}), &[(json!(2.5), json!(2.5)), (json!(2.55), json!("E-INEXACT"))]);
    check(json!({"op": "scale10", "n": -3}), &[(json!(1500), json!(1.5))]);
    check(json!({"op": "mul", "by": 1.19}), &[(json!(100), json!(119)), (json!(1e30), json!(1.19e30))]);
    check(json!({"op": "mul", "by": "1e30"}), &[(json!(1e10), json!("E-NUMBER"))]);
    check(json!({"op": "add", "by": -1}), &[(json!(0.5), json!(-0.5))]);
    check(json!({"op": "div", "by": 8}), &[(json!(1), json!(0.125))]);
    check(json!({"op": "div", "by": 3}), &[(json!(3), json!(1)), (json!(1), json!("E-INEXACT"))]);
    check(json!({"op": "div", "by": 3, "scale": 2, "mode": "half_up"}), &[(json!(2), json!(0.67))]);
    check(json!({"op": "neg"}), &[(json!(1.5), json!(-1.5))]);
    check(json!({"op": "abs"}), &[(json!(-1.5), json!(1.5))]);
    check(
        json!({"op": "clamp", "min": 0, "max": "10"}),
        &[(json!(-1), json!(0)), (json!(11), json!(10)), (json!(5.5), json!(5.5))],
    );
    check(
        json!({"op": "minor_units", "code": "EUR"}),
        &[(json!(19.99), json!(1999)), (json!(0.001), json!("E-INEXACT"))],
    );
    check(
        json!({"op": "minor_units", "currency": "cur"}),
        &[(json!(1999), json!(1999)), (json!(0.5), json!("E-INEXACT"))],
    );
    check(
        json!({"op": "minor_units", "currency": "in"}),
        &[(json!(5), json!("E-TYPE")), (json!("ZZZ"), json!("E-CURRENCY"))],
    );
    check(
        json!({"op": "major_units", "code": "KWD"}),
        &[(json!(1500), json!(1.5)), (json!(1.5), json!("E-NUMBER"))],
    );
    check(json!({"op": "unit", "from": "lb", "to": "kg"}), &[(json!(2), json!(0.90718474))]);
    check(json!({"op": "unit", "from": "kg", "to": "lb"}), &[(json!(1), json!("E-INEXACT"))]);
    check(
        json!({"op": "unit", "from": "kg", "to": "lb", "scale": 3, "mode": "half_even"}),
        &[(json!(1), json!(2.205))],
    );
    check(
        json!({"op": "unit", "from": "DZN", "to": "EA"}),
        &[(json!(2), json!(24)), (json!("2"), json!("E-TYPE"))],
    );
}

#[test]
fn operations_on_dates() {
    let date = |input: &str, output: &str| json!({"op": "date", "in": input, "out": output});
    check(
        date("rfc3339", "%Y%m%d"),
        &[
            (json!("2026-02-03T23:30:00-05:00"), json!("20260203")),
            (json!("2026-02-30T23:30:00Z"), json!("E-DATE-VALUE")),
            (json!("2026-02-03"), json!("E-DATE-VALUE")),
            (json!("2026-02-03T23:30:00Zx"), json!("E-DATE-VALUE")),
            (json!(1), json!("E-TYPE")),
        ],
    );
    check(
        json!({"op": "date", "in": "rfc3339", "out": "rfc3339", "zone": "utc"}),
        &[(json!("2026-02-03T23:30:00.250-05:00"), json!("2026-02-04T04:30:00.25Z"))],
    );
    check(
        json!({"op": "date", "in": "%d.%m.%Y %H:%M", "out": "rfc3339", "assume": "+01:00"}),
        &[(json!("03.02.2026 08:05"), json!("2026-02-03T08:05:00+01:00"))],
    );
    check(
        date("%d %b %y %I:%M %p", "%Y-%m-%d %H:%M"),
        &[
            (json!("03 feb 26 12:05 AM"), json!("2026-02-03 00:05")),
            (json!("03 FEB 69 01:05 pm"), json!("1969-02-03 13:05")),
        ],
    );
    check(date("iso_date", "%j/%Y %a %B"), &[(json!("2024-12-31"), json!("366/2024 Tue December"))]);
    check(
        date("epoch_s", "rfc3339"),
        &[(json!(0), json!("1970-01-01T00:00:00Z")), (json!("x"), json!("E-DATE-VALUE"))],
    );
    check(date("rfc3339", "epoch_ms"), &[(json!("1970-01-01T00:00:01.5Z"), json!(1500))]);
    check(date("rfc3339", "epoch_s"), &[(json!("1970-01-01T00:00:01.5Z"), json!("E-INEXACT"))]);
    check(
        date("rfc3339", "%H:%M:%S.%3f%:z"),
        &[(json!("2026-02-03T01:02:03.04+05:30"), json!("01:02:03.040+05:30"))],
    );
    check(json!({"op": "epoch_s"}), &[(json!("1969-12-31T23:59:59.5Z"), json!(-1))]);
    check(json!({"op": "epoch_ms"}), &[(json!("1970-01-01T01:00:00+01:00"), json!(0))]);
    check(json!({"op": "date_only"}), &[(json!("2026-02-03T23:30:00-05:00"), json!("2026-02-03"))]);
    check(
        json!({"op": "add_days", "days": 30}),
        &[
            (json!("2026-01-31"), json!("2026-03-02")),
            (json!("2026-01-31T10:00:00+02:00"), json!("2026-03-02T10:00:00+02:00")),
            (json!("soon"), json!("E-DATE-VALUE")),
        ],
    );
}

#[test]
fn operations_on_lists() {
    check(
        json!({"op": "split", "on": ", "}),
        &[(json!("a, b"), json!(["a", "b"])), (json!(""), json!([""]))],
    );
    check(json!({"op": "split", "on": " ", "max": 2}), &[(json!("a b c"), json!(["a", "b c"]))]);
    check(
        json!({"op": "join", "sep": "-", "skip_empty": true}),
        &[
            (json!(["a", "", 2, null]), json!("a-2")),
            (json!([true]), json!("E-TYPE")),
            (json!("a"), json!("E-TYPE")),
        ],
    );
    check(json!({"op": "first"}), &[(json!([1, 2]), json!(1)), (json!([]), json!("nothing"))]);
    check(json!({"op": "last"}), &[(json!([1, 2]), json!(2)), (json!({}), json!("E-TYPE"))]);
    check(json!({"op": "nth", "index": -2}), &[(json!([1, 2, 3]), json!(2)), (json!([1]), json!("nothing"))]);
    check(
        json!({"op": "unique"}),
        &[(json!([1, 1.0, "1", {"a": 1, "b": 2}, {"b": 2, "a": 1}]), json!([1, "1", {"a": 1, "b": 2}]))],
    );
    check(
        json!({"op": "sort"}),
        &[
            (json!([10, 9.5, -1]), json!([-1, 9.5, 10])),
            (json!(["b", "a"]), json!(["a", "b"])),
            (json!(["b", 1]), json!("E-TYPE")),
        ],
    );
    check(json!({"op": "sort", "order": "descending"}), &[(json!([1, 2]), json!([2, 1]))]);
    check(json!({"op": "flatten"}), &[(json!([[1], 2, [[3]]]), json!([1, 2, [3]]))]);
    check(json!({"op": "count"}), &[(json!([1, null]), json!(2)), (json!("ab"), json!("E-TYPE"))]);
    check(
        json!({"op": "sum", "path": "q"}),
        &[(json!([{"q": 1.1}, {"q": 2.2}, {}]), json!(3.3)), (json!([{"q": "1"}]), json!("E-TYPE"))],
    );
    check(json!({"op": "sum"}), &[(json!([]), json!(0))]);
    check(json!({"op": "min"}), &[(json!([2, 1.5]), json!(1.5)), (json!([]), json!("nothing"))]);
    check(json!({"op": "max", "path": "a.b"}), &[(json!([{"a": {"b": 2}}, {"a": {"b": 10}}]), json!(10))]);
    check(
        json!({"op": "pick", "path": "a[0]"}),
        &[(json!({"a": [7]}), json!(7)), (json!([{"a": [7]}, {"a": []}]), json!([7, null]))],
    );
    check(
        json!({"op": "group_by", "key": "w"}),
        &[(
            json!([{"w": "A", "n": 1}, {"w": "B", "n": 2}, {"w": "A", "n": 3}]),
            json!([
                {"key": "A", "items": [{"w": "A", "n": 1}, {"w": "A", "n": 3}]},
                {"key": "B", "items": [{"w": "B", "n": 2}]}
            ]),
        )],
    );
    check(
        json!({"op": "each", "steps": [{"op": "trim"}, {"op": "upper"}]}),
        &[(json!([" a ", "b"]), json!(["A", "B"])), (json!([1]), json!("E-TYPE"))],
    );
    check(
        json!({"op": "filter", "when": {"path": "q", "gt": 0}}),
        &[(json!([{"q": 1}, {"q": 0}, {}]), json!([{"q": 1}]))],
    );
    check(json!({"op": "filter", "when": {"path": "@", "ne": "x"}}), &[(json!(["x", "y"]), json!(["y"]))]);
}

#[test]
fn operations_on_types_and_choices() {
    check(
        json!({"op": "string"}),
        &[(json!(1.5), json!("1.5")), (json!(true), json!("true")), (json!([]), json!("E-TYPE"))],
    );
    check(json!({"op": "integer"}), &[(json!("007"), json!(7)), (json!(-1), json!(-1))]);
    check(
        json!({"op": "boolean"}),
        &[(json!("true"), json!(true)), (json!("yes"), json!("E-BOOL")), (json!(1), json!("E-TYPE"))],
    );
    check(json!({"op": "json_text"}), &[(json!({"a": [1, "\""]}), json!("{\"a\":[1,\"\\\"\"]}"))]);
    check(
        json!({"op": "parse_json"}),
        &[
            (json!(" {\"a\": [1, \"\\n\"]} "), json!({"a": [1, "\n"]})),
            (json!("{"), json!("E-JSON")),
            (json!("[".repeat(100) + &"]".repeat(100)), json!("E-JSON")),
        ],
    );
    check(
        json!({"op": "parse_json", "max": 2}),
        &[(json!("[]"), json!([])), (json!("[1]"), json!("E-JSON"))],
    );
    check(
        json!({"op": "bool_map", "true": "Y", "false": "N"}),
        &[(json!(true), json!("Y")), (json!("Y"), json!("E-TYPE"))],
    );
    check(
        json!({"op": "bool_map", "true": "Y", "false": "N", "way": "to_boolean"}),
        &[(json!("Y"), json!(true)), (json!("N"), json!(false)), (json!("x"), json!("E-BOOL"))],
    );
    check(
        json!([{"op": "default", "value": "d"}, {"op": "upper"}]),
        &[(Value::Null, json!("D")), (json!("x"), json!("X"))],
    );
    check(
        json!({"op": "cases", "cases": [
            {"when": {"path": "@", "one_of": ["a", "b"]}, "value": 1},
            {"when": {"path": "$.cur", "eq": "EUR"}, "value": 2},
            {"when": {"path": "@", "starts_with": "z"}, "from": "cur"}
        ]}),
        &[(json!("b"), json!(1)), (json!("zz"), json!("JPY")), (json!("q"), json!("q"))],
    );
}
