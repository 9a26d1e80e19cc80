//! The examples inside a document, run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::mapping::engine::{CompiledMapping, Payload, RunCx};
use crate::mapping::evaluate::value::V;
use crate::mapping::host::HostData;
use crate::mapping::plan::tables::LookupTable;
use crate::mapping::spec::condition::Intent;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::test::{ExpectedError, TestSpec};

/// How one example of a document went.
///
/// ```
/// use crossdock::mapping::{BuiltinEngine, CompileEnv, MappingEngine, MappingSpec, run_tests};
///
/// let text = r#"{"format":"mapping/1","id":"m","version":1,"fields":[{"to":"a","from":"b"}],
///     "tests":[{"name":"copies","input":{"b":1},"expect":{"a":1}}]}"#;
/// let spec = MappingSpec::parse(text)?;
/// let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default())?;
///
/// assert!(run_tests(&spec, &*mapping).iter().all(|test| test.problem.is_none()));
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TestOutcome {
    /// The name of the example.
    pub name: String,
    /// What is not as it must be; nothing if all is.
    pub problem: Option<String>,
}

/// Runs the examples of a document through a mapping.
pub fn run_tests(spec: &MappingSpec, mapping: &dyn CompiledMapping) -> Vec<TestOutcome> {
    spec.tests
        .iter()
        .map(|test| TestOutcome { name: test.name.clone(), problem: problem(spec, test, mapping) })
        .collect()
}

fn problem(spec: &MappingSpec, test: &TestSpec, mapping: &dyn CompiledMapping) -> Option<String> {
    let data = match data(spec, test) {
        Ok(data) => data,
        Err(problem) => return Some(problem),
    };
    let cx = RunCx::new(&data).with_intent(test.op.unwrap_or(Intent::Create));
    // Bytes keep every number that an example may hold.
    let mut out = Vec::new();
    let outcome = mapping.run(Payload::Value(&test.input), &cx, &mut out);
    match (outcome, &test.expect, &test.expect_error) {
        (_, Some(_), Some(_)) => Some("an example has `expect` or `expect_error`, not both".to_owned()),
        (_, None, None) => Some("an example has `expect` or `expect_error`".to_owned()),
        (Ok(_), Some(expected), None) => match serde_json::from_slice::<Value>(&out) {
            Ok(output) => difference(&output, expected, ""),
            Err(error) => Some(format!("the output cannot be read: {error}")),
        },
        (Err(error), Some(_), None) => Some(format!("it fails: {error}")),
        (Ok(_), None, Some(_)) => Some("it does not fail".to_owned()),
        (Err(error), None, Some(expected)) => {
            let ExpectedError { field, code } = expected;
            let without_rows = without_brackets(&error.target);
            if field.as_ref().is_some_and(|field| *field != error.target && *field != without_rows) {
                return Some(format!("it fails at another field: {error}"));
            }
            if code.as_ref().is_some_and(|code| *code != error.code) {
                return Some(format!("it fails with another code: {error}"));
            }
            None
        }
    }
}

fn data(spec: &MappingSpec, test: &TestSpec) -> Result<HostData, String> {
    let mut data = HostData::new();
    for (name, value) in &test.context {
        data = data.with_context(name, value.clone());
    }
    for (name, rows) in &test.tables {
        let table = spec.tables.get(name).ok_or_else(|| format!("there is no table `{name}`"))?;
        let host = table.reference.as_deref().and_then(|reference| reference.strip_prefix("host:"));
        let host = host.ok_or_else(|| format!("the table `{name}` does not come from the host"))?;
        let columns = table.columns.iter().cloned();
        let table = LookupTable::new(columns, rows.clone(), table.case.unwrap_or_default());
        data = data.with_table(host, Arc::new(table.map_err(|error| format!("table `{name}`: {error}"))?));
    }
    Ok(data)
}

fn without_brackets(target: &str) -> String {
    let mut plain = String::new();
    let mut rest = target;
    while let Some(open) = rest.find('[') {
        let number = rest[open + 1..].find(']').map(|close| &rest[open + 1..open + 1 + close]);
        match number {
            Some(number) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                plain.push_str(&rest[..open]);
                rest = &rest[open + number.len() + 2..];
            }
            _ => {
                plain.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The first place where two values differ, numbers as numbers.
fn difference(found: &Value, expected: &Value, at: &str) -> Option<String> {
    let place = if at.is_empty() { "the record" } else { at };
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let found: BTreeMap<_, _> = found.iter().collect();
            let expected: BTreeMap<_, _> = expected.iter().collect();
            for (name, wanted) in &expected {
                let Some(value) = found.get(name) else { return Some(format!("{at}/{name} is missing")) };
                if let Some(difference) = difference(value, wanted, &format!("{at}/{name}")) {
                    return Some(difference);
                }
            }
            let surplus = found.keys().find(|name| !expected.contains_key(*name));
            surplus.map(|name| format!("{at}/{name} is not expected"))
        }
        (Value::Array(found), Value::Array(expected)) => {
            if found.len() != expected.len() {
                return Some(format!("{place} has {} elements instead of {}", found.len(), expected.len()));
            }
            let mut pairs = found.iter().zip(expected).enumerate();
            pairs.find_map(|(index, (found, wanted))| difference(found, wanted, &format!("{at}/{index}")))
        }
        _ if V::of(found).equals(&V::of(expected)) => None,
        _ => Some(format!("{place} is {found} instead of {expected}")),
    }
}
