//! jq programs as mappings, on the crates of jaq. For programs of the operator only: see [`JqEngine`].

use std::fmt;
use std::io;
use std::sync::Arc;

use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader, lex};
use jaq_core::{Compiler, Ctx, Vars};
use jaq_json::{Val, read, write};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::mapping::{
    Caps, CompileEnv, CompiledMapping, Diagnostic, Diagnostics, Limits, MapError, MappingEngine, MappingSpec,
    Payload, RunCx, RunReport,
};

/// Runs mappings that are one jq program: a document with a single rule `{"to": "$", "expr": …, "lang": "jq"}`.
///
/// Only for programs that the operator has written or reviewed. What the library allows is fenced: the size and depth of the input,
/// the size of the output, one output per record. A program sees neither the environment, nor a clock, nor files, nor other
/// inputs, and cannot end the process or write to its log. But jaq has no fuel and no bound on memory: a program without an end does
/// not end, one that recurses without an end ends the process, and one that builds gigabytes builds them. Numbers are
/// calculated as binary floats; what only passes stays as it is.
///
/// ```
/// use crossdock::adapters::JqEngine;
/// use crossdock::mapping::{CompileEnv, MappingEngine, MappingSpec, Payload, RunCx};
///
/// let text = r#"{"format":"mapping/1","id":"orders","version":1,
///                "fields":[{"to":"$","lang":"jq","expr":"{number: .id, skus: [.lines[].sku]}"}]}"#;
/// let mapping = JqEngine::new().compile(&MappingSpec::parse(text)?, &CompileEnv::default())?;
/// let mut out = Vec::new();
/// mapping.run(Payload::Bytes(br#"{"id":7,"lines":[{"sku":"A"}]}"#), &RunCx::default(), &mut out)?;
///
/// assert_eq!(out, br#"{"number":7,"skus":["A"]}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JqEngine(());

struct JqMapping {
    id: String,
    version: u64,
    filter: jaq_core::Filter<JustLut<Val>>,
    limits: Limits,
    warnings: Diagnostics,
}

impl JqEngine {
    /// An engine.
    pub fn new() -> Self {
        Self(())
    }
}

impl MappingEngine for JqEngine {
    fn id(&self) -> &'static str {
        LANGUAGE
    }

    fn compile(
        &self,
        spec: &MappingSpec,
        env: &CompileEnv<'_>,
    ) -> Result<Arc<dyn CompiledMapping>, Diagnostics> {
        let program = program(spec)?;
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let definitions = definitions.filter(|definition| !CLOSED.contains(&definition.name));
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let functions = functions.filter(|function: &(&'static str, _, _)| !CLOSED.contains(&function.0));
        let arena = Arena::default();
        // Without a reader, no module is ever loaded.
        let modules =
            Loader::new(definitions).load(&arena, File { code: program, path: () }).map_err(|errors| {
                Diagnostics(errors.into_iter().flat_map(|(_, error)| not_loaded(program, error)).collect())
            })?;
        let filter = Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
            let undefined = errors.into_iter().flat_map(|(_, undefined)| undefined);
            Diagnostics(undefined.map(|(name, kind)| unknown(program, name, kind.as_str())).collect())
        })?;
        Ok(Arc::new(JqMapping {
            id: spec.id.clone(),
            version: spec.version,
            filter,
            limits: env.limits,
            warnings: Diagnostics::default(),
        }))
    }
}

impl CompiledMapping for JqMapping {
    fn run(&self, input: Payload<'_>, _: &RunCx<'_>, out: &mut Vec<u8>) -> Result<RunReport, MapError> {
        let before = out.len();
        let written = match input {
            Payload::Bytes(bytes) => self.translate(bytes, out),
            Payload::Value(value) => match serde_json::to_vec(value) {
                Ok(bytes) => self.translate(&bytes, out),
                Err(_) => Err(self.error("E-JQ-INPUT", "the input cannot be written as JSON")),
            },
        };
        if written.is_err() {
            out.truncate(before);
        }
        written.map(|()| RunReport::default())
    }

    fn run_to_value(&self, input: Payload<'_>, cx: &RunCx<'_>) -> Result<(Value, RunReport), MapError> {
        let mut out = Vec::new();
        let report = self.run(input, cx, &mut out)?;
        match serde_json::from_slice(&out) {
            Ok(value) => Ok((value, report)),
            Err(_) => Err(self.error("E-JQ-OUTPUT", "the output is more than a value can hold")),
        }
    }

    fn capabilities(&self) -> Caps {
        Caps::none()
    }

    fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }
}

impl JqMapping {
    fn translate(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), MapError> {
        if bytes.len() > self.limits.input_bytes {
            return Err(self.error("E-JQ-INPUT", "the input is larger than the limit"));
        }
        // jaq reads and drops values recursively.
        if depth(bytes) > self.limits.json_depth {
            return Err(self.error("E-JQ-INPUT", "the input is nested deeper than the limit"));
        }
        // jaq also reads what is not JSON, such as `NaN` and comments.
        if serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
            return Err(self.error("E-JQ-INPUT", "the input is not JSON"));
        }
        let input = read::parse_single(bytes)
            .map_err(|_| self.error("E-JQ-INPUT", "the input cannot be read by jaq"))?;
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let mut results = self.filter.id.run((context, input));
        let result = match (results.next(), results.next()) {
            // The message of a program may hold what the record holds, so it is not told.
            (Some(Err(_)), _) | (_, Some(Err(_))) => {
                return Err(self.error("E-JQ-RUN", "the program has raised an error"));
            }
            (Some(Ok(result)), None) => result,
            (None, _) => return Err(self.error("E-JQ-OUTPUTS", "the program gives no output")),
            (Some(Ok(_)), Some(Ok(_))) => {
                return Err(self.error("E-JQ-OUTPUTS", "the program gives more than one output"));
            }
        };
        let before = out.len();
        let mut bounded = Bounded { out, left: self.limits.output_bytes };
        if write::write(&mut bounded, &write::Pp::default(), 0, &result).is_err() {
            return Err(self.error("E-JQ-OUTPUT", "the output is larger than the limit"));
        }
        // jaq also knows what is not JSON, such as infinity and bytes that are no text.
        match serde_json::from_slice::<IgnoredAny>(&out[before..]) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.error("E-JQ-OUTPUT", "the output is not JSON")),
        }
    }

    fn error(&self, code: &'static str, message: &'static str) -> MapError {
        MapError::of_record(&self.id, self.version, code, message)
    }
}

impl fmt::Debug for JqMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JqMapping")
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The program of a document that is nothing but one.
fn program(spec: &MappingSpec) -> Result<&str, Diagnostics> {
    match &*spec.fields {
        [field] if field.to == "$" && field.lang.as_deref() == Some(LANGUAGE) => match &field.expr {
            Some(program) => Ok(program),
            None => Err(refused("/fields/0", "a rule without a program")),
        },
        [field] if field.to == "$" => Err(refused("/fields/0/lang", "a rule in another language")),
        _ => Err(refused("/fields", "a jq mapping is one program, not rules")),
    }
}

fn refused(pointer: &str, message: &str) -> Diagnostics {
    let help = r#"write one rule: `{"to": "$", "lang": "jq", "expr": "…"}`"#;
    Diagnostics(vec![Diagnostic::error("E-JQ-DOCUMENT", pointer, message).with_help(help)])
}

fn not_loaded(program: &str, error: load::Error<&str>) -> Vec<Diagnostic> {
    match error {
        load::Error::Io(modules) => modules
            .into_iter()
            .map(|(name, _)| at(program, name, "a module, and none is ever loaded".to_owned()))
            .collect(),
        load::Error::Lex(errors) => {
            errors.into_iter().map(|(expected, found)| not_lexed(program, &expected, found)).collect()
        }
        load::Error::Parse(errors) => errors
            .into_iter()
            .map(|(expected, found)| at(program, found, format!("{} should be here", expected.as_str())))
            .collect(),
    }
}

fn not_lexed(program: &str, expected: &lex::Expect<&str>, found: &str) -> Diagnostic {
    at(program, found, format!("{} should be here", expected.as_str()))
}

fn unknown(program: &str, name: &str, kind: &str) -> Diagnostic {
    let error = at(program, name, format!("there is no {kind} `{name}`"));
    if CLOSED.contains(&name) {
        return error
            .with_help("a mapping has no environment, no clock, no log, and does not end the process");
    }
    error
}

fn at(program: &str, part: &str, message: String) -> Diagnostic {
    let error = Diagnostic::error("E-JQ-PROGRAM", "/fields/0/expr", message);
    // Of the program, or of nothing: jaq says "at the end" with a text of its own.
    let whole = program.as_bytes().as_ptr_range();
    if whole.contains(&part.as_ptr()) { error.with_within(load::span(program, part)) } else { error }
}

/// How deep lists and objects are nested in a JSON text, or in what looks like one.
fn depth(bytes: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !in_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Takes no more than is left.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const LANGUAGE: &str = "jq";

/// What a program cannot call: the environment, clocks and the machine's time zone, the log, the end of the process.
const CLOSED: &[&str] = &[
    "env",
    "now",
    "localtime",
    "strflocaltime",
    "halt",
    "halt_error",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(program: &str, limits: Limits) -> Result<Arc<dyn CompiledMapping>, Diagnostics> {
        let document = json!({
            "format": "mapping/1", "id": "m", "version": 1,
            "fields": [{"to": "$", "lang": "jq", "expr": program}],
        });
        let spec = MappingSpec::parse(&document.to_string())?;
        JqEngine::new().compile(&spec, &CompileEnv::default().with_limits(limits))
    }

    fn outcome(program: &str, input: &str) -> String {
        let limits = Limits { input_bytes: 1_000, json_depth: 8, output_bytes: 1_000, ..Limits::default() };
        let mapping = match compiled(program, limits) {
            Ok(mapping) => mapping,
            Err(found) => return format!("{} {:?}", found[0].code, found[0].within),
        };
        let mut out = b"before".to_vec();
        match mapping.run(Payload::Bytes(input.as_bytes()), &RunCx::default(), &mut out) {
            Ok(_) => String::from_utf8_lossy(&out[6..]).into_owned(),
            Err(error) => {
                assert_eq!(out, b"before", "{program}");
                format!("{}: {}", error.code, error.message)
            }
        }
    }

    #[test]
    fn a_program_translates_a_record() {
        assert_eq!(outcome("{a: .b, n: (.c | length)}", r#"{"b": [1], "c": "xyz"}"#), r#"{"a":[1],"n":3}"#);
        assert_eq!(outcome(".id", r#"{"id": 450789469123456789}"#), "450789469123456789");
        assert_eq!(outcome(".u", r#"{"u": 18446744073709551615}"#), "18446744073709551615");
        assert_eq!(outcome(".n | gsub(\"-\"; \"\")", r#"{"n": "a-b"}"#), r#""ab""#);
    }

    #[test]
    fn what_passes_the_fences_is_refused() {
        let large = format!("\"{}\"", "x".repeat(1_000));
        let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
        for (program, input, expected) in [
            (".", large.as_str(), "E-JQ-INPUT: the input is larger than the limit"),
            (".", deep.as_str(), "E-JQ-INPUT: the input is nested deeper than the limit"),
            (".", "[1,", "E-JQ-INPUT: the input is not JSON"),
            (".", "NaN", "E-JQ-INPUT: the input is not JSON"),
            ("empty", "{}", "E-JQ-OUTPUTS: the program gives no output"),
            (".[]", "[1, 2]", "E-JQ-OUTPUTS: the program gives more than one output"),
            ("repeat(.)", "1", "E-JQ-OUTPUTS: the program gives more than one output"),
            ("\"x\" * 2000", "1", "E-JQ-OUTPUT: the output is larger than the limit"),
            ("infinite", "1", "E-JQ-OUTPUT: the output is not JSON"),
            ("error(.secret)", r#"{"secret": "s3"}"#, "E-JQ-RUN: the program has raised an error"),
            (".a + 1", r#"{"a": {}}"#, "E-JQ-RUN: the program has raised an error"),
        ] {
            assert_eq!(outcome(program, input), expected, "{program}");
        }
    }

    #[test]
    fn a_program_reaches_nothing_outside() {
        for program in [
            "env",
            "$ENV",
            "now",
            "input",
            "[inputs]",
            "halt",
            "halt_error",
            "debug",
            "stderr",
            "localtime",
            "input_filename",
            "import \"a\" as a; .",
            "include \"a\"; .",
            "$__prog_args",
        ] {
            let outcome = outcome(program, "{}");
            assert!(outcome.starts_with("E-JQ-PROGRAM"), "{program}: {outcome}");
        }
    }

    #[test]
    fn a_mistake_is_found_where_it_stands() {
        assert_eq!(outcome(". | nosuch", "{}"), "E-JQ-PROGRAM Some(4..10)");
        assert!(outcome("{a: ", "{}").starts_with("E-JQ-PROGRAM"));
        assert!(outcome("if 1", "{}").starts_with("E-JQ-PROGRAM"));
    }

    #[test]
    fn rules_are_not_a_program() -> Result<(), Diagnostics> {
        for fields in [
            json!([{"to": "a", "from": "b"}]),
            json!([]),
            json!([{"to": "$", "expr": "."}]),
            json!([{"to": "$", "lang": "jq", "expr": "."}, {"to": "a", "from": "b"}]),
        ] {
            let document = json!({"format": "mapping/1", "id": "m", "version": 1, "fields": fields});
            let spec = MappingSpec::parse(&document.to_string())?;

            let refused = JqEngine::new().compile(&spec, &CompileEnv::default()).map(|_| ());

            assert_eq!(refused.map_err(|found| found[0].code), Err("E-JQ-DOCUMENT"), "{fields}");
        }
        Ok(())
    }

    #[test]
    fn a_program_is_opaque_and_is_previewed_as_a_whole() -> Result<(), Diagnostics> {
        let mapping = compiled("{a: .b}", Limits::default())?;
        let preview = |input: &str| mapping.preview(Payload::Bytes(input.as_bytes()), &RunCx::default());

        assert_eq!(mapping.facts(), crate::mapping::Facts::Opaque);
        assert!(mapping.collect_keys(&[Payload::Bytes(br#"{"b": 1}"#)], &RunCx::default()).is_empty());
        let done = preview(r#"{"b": 1}"#);
        assert_eq!((done.output.as_deref(), done.fields.len()), (Some(r#"{"a":1}"#), 0));
        let failed = preview("[1]");
        assert_eq!((failed.output, failed.errors[0].code), (None, "E-JQ-RUN"));
        Ok(())
    }

    #[test]
    fn nothing_is_promised_that_jaq_cannot_keep() -> Result<(), Diagnostics> {
        let caps = compiled(".", Limits::default())?.capabilities();

        assert!(
            !caps.exact_numbers && !caps.traceable && !caps.reversible && !caps.bounded && !caps.tenant_safe
        );
        Ok(())
    }
}
