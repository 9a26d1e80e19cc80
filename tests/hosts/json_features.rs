//! Mappings and what they must give, whatever features of `serde_json` another crate has switched on. Read by the packages beside
//! this file, each of which switches on one.

use crossdock::mapping::{BuiltinEngine, CompileEnv, Expression, MappingEngine, MappingSpec, Payload, RunCx};
use serde_json::Value;

/// Rules, input, output.
const CASES: &[(&str, &str, &str)] = &[
    // Ids of 18 digits, and the whole range of 64 bits.
    (
        r#"[{"to":"id","from":"id"},{"to":"big","from":"big"},{"to":"least","from":"least"},
            {"to":"text","from":"id","steps":[{"op":"string"},{"op":"prefix","text":"N-"}]}]"#,
        r#"{"id":450789469123456789,"big":18446744073709551615,"least":-9223372036854775808}"#,
        r#"{"id":450789469123456789,"big":18446744073709551615,"least":-9223372036854775808,"text":"N-450789469123456789"}"#,
    ),
    // Money: exact, and whole cents are whole.
    (
        r#"[{"to":"cents","type":"integer","from":"price","steps":[{"op":"decimal"},{"op":"minor_units","code":"EUR"}]},
            {"to":"sum","expr":"$number(price) + 0.2"},
            {"to":"third","expr":"$number(price) / 3","steps":[{"op":"round","scale":2,"mode":"half_up"}]},
            {"to":"scaled","from":"grams","steps":[{"op":"scale10","n":-3}]},
            {"to":"times","from":"grams","steps":[{"op":"mul","by":"1.10"}]}]"#,
        r#"{"price":"0.10","grams":2150}"#,
        r#"{"cents":10,"sum":0.3,"third":0.03,"scaled":2.15,"times":2365}"#,
    ),
    // Numbers in the document: constants, defaults, comparisons, tables.
    (
        r#"[{"to":"const","const":{"n":18446744073709551615,"list":[1,2]}},
            {"to":"default","from":"none","missing":"default","default":450789469123456789},
            {"to":"size","cases":[{"when":{"path":"n","gt":9007199254740992},"value":"large"},{"else":"small"}]},
            {"to":"same","cases":[{"when":{"path":"n","eq":9007199254740993},"value":true},{"else":false}]},
            {"to":"one","cases":[{"when":{"path":"one","eq":1},"value":true},{"else":false}]},
            {"to":"of","cases":[{"when":{"path":"one","one_of":[3,2,1]},"value":1},{"else":0}]}]"#,
        r#"{"n":9007199254740993,"one":1.0}"#,
        r#"{"const":{"list":[1,2],"n":18446744073709551615},"default":450789469123456789,"size":"large","same":true,"one":true,"of":1}"#,
    ),
    // Lists with indexes, filters and expressions.
    (
        r#"[{"to":"lines","each":"lines","keep":{"when":{"path":"q","gt":0}},"fields":[
              {"to":"no","index":{"start":10,"step":10}},{"to":"id","from":"id"},{"to":"total","expr":"p * q"},
              {"to":"currency","from":"$.currency"}]},
            {"to":"vat","from":"notes[name='vat'].value"},
            {"to":"count","expr":"$count(lines[q > 0])"},
            {"to":"sum","expr":"$sum(lines.(p * q))"}]"#,
        r#"{"currency":"EUR","lines":[{"id":450789469123456789,"p":0.1,"q":3},{"id":1,"p":9.99,"q":0}],
            "notes":[{"name":"a","value":1},{"name":"vat","value":"DE1"}]}"#,
        r#"{"lines":[{"no":10,"id":450789469123456789,"total":0.3,"currency":"EUR"}],"vat":"DE1","count":1,"sum":0.3}"#,
    ),
];

/// What only passes from bytes to bytes, of any length.
const LONG: (&str, &str, &str) = (
    r#"[{"to":"a","from":"a"},{"to":"b","from":"b"},{"to":"c","from":"c"}]"#,
    r#"{"a":0.1234567890123456789012345678901234567890123456789,"b":1.50,"c":123456789012345678901234567890123456789012345678}"#,
    r#"{"a":0.1234567890123456789012345678901234567890123456789,"b":1.50,"c":123456789012345678901234567890123456789012345678}"#,
);

/// Expression, input, output.
const EXPRESSIONS: &[(&str, &str, &str)] = &[
    ("id + 1", r#"{"id":450789469123456789}"#, "450789469123456790"),
    ("0.1 + a", r#"{"a":0.2}"#, "0.3"),
    ("$keys($)", r#"{"b":1,"a":2}"#, r#"["a","b"]"#),
    ("$string($)", r#"{"b":1.0,"a":2}"#, r#""{\"a\":2,\"b\":1}""#),
    ("$merge([$, {\"c\": 1}])", r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1,"c":1}"#),
    ("$distinct(n)", r#"{"n":[1,2,1]}"#, "[1,2]"),
    ("$max(n)", r#"{"n":[18446744073709551614,18446744073709551615]}"#, "18446744073709551615"),
];

pub fn same_bytes() {
    for &(rules, input, expected) in CASES {
        assert_eq!(of_bytes(rules, input), expected, "{rules}");
        let value: Value = serde_json::from_str(input).expect("the input is JSON");
        let expected: Value = serde_json::from_str(expected).expect("the output is JSON");
        assert_eq!(of_value(rules, &value), expected, "{rules}");
    }
    assert_eq!(of_bytes(LONG.0, LONG.1), LONG.2);
    for &(text, input, expected) in EXPRESSIONS {
        let expression = Expression::parse(text).expect(text);
        let value: Value = serde_json::from_str(input).expect("the input is JSON");
        let result = expression.evaluate_json(input).expect(text).expect("there is a result");
        assert_eq!(result, expected, "{text}");
        let result = expression.evaluate_value(&value).expect(text).expect("there is a result");
        assert_eq!(result.to_string(), expected, "{text}");
    }
}

fn of_bytes(rules: &str, input: &str) -> String {
    let mut out = Vec::new();
    mapping(rules).run(Payload::Bytes(input.as_bytes()), &RunCx::default(), &mut out).expect(rules);
    String::from_utf8(out).expect("the output is text")
}

fn of_value(rules: &str, input: &Value) -> Value {
    mapping(rules).run_to_value(Payload::Value(input), &RunCx::default()).expect(rules).0
}

fn mapping(rules: &str) -> std::sync::Arc<dyn crossdock::mapping::CompiledMapping> {
    let document = format!(r#"{{"format":"mapping/1","id":"m","version":1,"fields":{rules}}}"#);
    let spec = MappingSpec::parse(&document).expect(rules);
    BuiltinEngine.compile(&spec, &CompileEnv::default()).expect(rules)
}
