//! Expressions that are refused, and trees that are bounded.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Parsed, ExpressionError> {
    super::parse(text, &Limits::default())
}

fn error(text: &str) -> ExpressionError {
    match parse(text) {
        Ok(parsed) => panic!("{text} became {:?}", parsed.root),
        Err(error) => error,
    }
}

#[test]
fn each_refused_construct_is_named_where_it_stands() {
    for (text, named, part) in [
        ("function($x){$x}", "functions of one's own", "function"),
        ("λ($x){$x}", "functions of one's own", "λ"),
        ("$total + 1", "variables", "$total"),
        ("($x := 1; $x)", "assignment with `:=`", ":="),
        ("x := 1", "assignment with `:=`", ":="),
        ("(a; b)", "a block of several statements", ";"),
        ("a; b", "a block of several statements", ";"),
        ("a & ()", "an empty block", "()"),
        ("$contains(a, /x+/)", "regular expressions", "/"),
        ("a ~> $sum()", "chaining with `~>`", "~>"),
        ("lines^(price)", "ordering with `^( )`", "^"),
        ("lines.(%.id)", "the parent operator `%`", "%"),
        ("lines@$l.id", "binding with `@` or `#`", "@"),
        ("lines#$i.id", "binding with `@` or `#`", "#"),
        ("|a|{}|", "transforms with `| |`", "|"),
        ("a.*", "wildcards", "*"),
        ("**.price", "wildcards", "**"),
        ("lines{sku: price}", "grouping with `{ }`", "{"),
        ("[1..5]", "ranges with `..`", ".."),
        ("lines[].sku", "`[]`", "[]"),
        ("$substring(?, 1)", "partial application with `?`", "?"),
        ("a.b(1)", "calling anything but a function by its name", "("),
        ("{sku: 1}", "computed names of members", "sku"),
        ("$map(lines, $f)", "`$map`", "$map"),
        ("$filter(lines, $f)", "`$filter`", "$filter"),
        ("$reduce(lines, $f)", "`$reduce`", "$reduce"),
        ("$eval(\"1\")", "`$eval`", "$eval"),
        ("$now()", "a clock", "$now"),
        ("$fromMillis(1)", "time functions", "$fromMillis"),
        ("$random()", "`$random`", "$random"),
        ("$formatNumber(1, '0')", "`$formatNumber`", "$formatNumber"),
    ] {
        let error = error(text);

        assert_eq!(error.code(), "E-EXPR-REFUSED", "{text}: {error}");
        assert!(error.message().starts_with(named), "{text}: {error}");
        assert_eq!(&text[error.span()], part, "{text}: {error}");
        assert!(error.help().is_some_and(|help| !help.is_empty()), "{text}: {error}");
    }
}

#[test]
fn what_is_no_expression_says_where_it_goes_wrong() {
    for (text, code, start) in [
        ("", "E-EXPR-SYNTAX", 0),
        ("a +", "E-EXPR-SYNTAX", 3),
        ("a b", "E-EXPR-SYNTAX", 2),
        ("a.1", "E-EXPR-SYNTAX", 2),
        ("(a", "E-EXPR-SYNTAX", 2),
        ("[a, b", "E-EXPR-SYNTAX", 5),
        ("a ]", "E-EXPR-SYNTAX", 2),
        ("{\"a\": 1, \"a\": 2}", "E-EXPR-SYNTAX", 9),
        ("a ! b", "E-EXPR-SYNTAX", 2),
        ("$sume(a)", "E-EXPR-FUNCTION", 0),
        ("$sum()", "E-EXPR-ARGUMENTS", 0),
        ("1 + $round(1, 2, 3)", "E-EXPR-ARGUMENTS", 4),
        ("$table(name, key)", "E-EXPR-ARGUMENTS", 7),
        ("$table(\"country\")", "E-EXPR-ARGUMENTS", 0),
        ("1 + 1e99", "E-EXPR-NUMBER", 4),
    ] {
        let error = error(text);

        assert_eq!((error.code(), error.span().start), (code, start), "{text}: {error}");
    }
    assert_eq!(error("$sume(a)").help(), Some("did you mean `$sum`?"));
    assert_eq!(error("$completelyDifferent(a)").help(), None);
}

#[test]
fn a_tree_has_limits() {
    let long = format!("\"{}\"", "x".repeat(1_023));
    let deep = format!("{}1{}", "(".repeat(40), ")".repeat(40));
    let right = format!("{}1", "a ? b : ".repeat(40));
    let wide = vec!["1"; 300].join("+");
    let steps = vec!["a"; 300].join(".");
    for text in [long, deep, right, wide, steps] {
        assert_eq!(error(&text).code(), "E-EXPR-LIMIT", "{text}");
    }
    assert!(parse(&format!("\"{}\"", "x".repeat(1_022))).is_ok());
    assert!(parse(&vec!["a"; 100].join(" & ")).is_ok());
}

#[test]
fn the_paths_that_are_read_are_known() -> Result<(), ExpressionError> {
    let text = "a.b[c > $$.limit].d + $.e & ^.^.f.(g & $sum(h)) & $lookup($, 'k') & a.b.c[0]";

    let reads: Vec<String> =
        parse(text)?.reads.iter().map(|read| format!("{} {}", read.base, read.names.join("."))).collect();

    assert_eq!(reads, ["$ a.b", "$$ limit", "$ e", "^.^ f", "$ ", "$ a.b.c"]);
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_an_expression_or_an_error(text in ".{0,80}") {
        if let Err(error) = parse(&text) {
            prop_assert!(text.get(error.span()).is_some(), "{}", error);
        }
    }

    #[test]
    fn any_tokens_are_an_expression_or_an_error(tokens in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = tokens.into_iter().map(|piece| PIECES[piece]).collect();

        if let Err(error) = parse(&text) {
            prop_assert!(text.get(error.span()).is_some(), "{}", error);
        }
    }
}

const PIECES: &[&str] = &[
    "a",
    "b.c",
    "`odd name`",
    "$",
    "$$",
    "^",
    "^.",
    ".",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ";",
    ":",
    "?",
    "?:",
    "??",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    " in ",
    " and ",
    " or ",
    "~>",
    ":=",
    "..",
    "|",
    "@",
    "#",
    "!",
    "~",
    "1",
    "0.5",
    "1e3",
    "\"x\"",
    "'y'",
    "\"",
    "'",
    "`",
    "\\",
    "true",
    "false",
    "null",
    "$sum(",
    "$map(",
    "$round(",
    "$x",
    " ",
    "/*",
    "*/",
    "é",
    "function(",
];
