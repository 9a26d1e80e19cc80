//! The laws of a way back, checked over samples.

use std::fmt;

use serde_json::Value;

use crate::mapping::engine::{Payload, RunCx};
use crate::mapping::error::MapError;
use crate::mapping::preview::backtest::any_place;
use crate::mapping::preview::trace::differences;
use crate::mapping::reverse::optic::Verdict;
use crate::mapping::reverse::put::WayBack;
use crate::mapping::schema::is_below;

/// What must hold of a way back.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Law {
    /// Writing back what has not changed changes nothing: `put(s, get(s)) == s`.
    GetPut,
    /// What was written back comes out again: `get(put(s, t)) == t`, for the targets of all samples.
    PutGet,
    /// What is made from a target alone gives that target: `get(create(t)) == t`.
    CreateGet,
}

/// One place at which a law does not hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LawFailure {
    /// The law.
    pub law: Law,
    /// The sample, by its place among all.
    pub sample: usize,
    /// The field: of the source for [`Law::GetPut`], of the target otherwise. Empty if a record failed as a whole.
    pub field: String,
    /// Why, if something failed instead of being different.
    pub error: Option<MapError>,
}

/// Whether the laws hold over samples.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LawReport {
    /// How many samples there were.
    pub samples: usize,
    /// How often a law was tried.
    pub checks: usize,
    /// Where one does not hold.
    pub failures: Vec<LawFailure>,
}

impl fmt::Display for LawFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let law = match self.law {
            Law::GetPut => "put(s, get(s)) = s",
            Law::PutGet => "get(put(s, t)) = t",
            Law::CreateGet => "get(create(t)) = t",
        };
        write!(f, "sample {}: {law} does not hold", self.sample)?;
        if !self.field.is_empty() {
            write!(f, " at {}", self.field)?;
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

impl WayBack {
    /// Whether the laws hold over these source records. Of the target only the fields count that are reversed at all.
    ///
    /// ```
    /// use crossdock::mapping::{CompileEnv, Law, MappingSpec, RunCx, WayBack};
    /// use serde_json::json;
    ///
    /// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[
    ///     {"to":"full","join":["first","last"],"sep":" ","reverse":{"split_on":" "}}]}"#)?;
    /// let way_back = WayBack::compile(&spec, &CompileEnv::default())?;
    /// let check = |first: &str| way_back.check_laws(&[json!({"first": first, "last": "Lovelace"})], &RunCx::default());
    ///
    /// assert!(check("Ada").failures.is_empty());
    /// # Ok::<(), crossdock::mapping::Diagnostics>(())
    /// ```
    pub fn check_laws(&self, samples: &[Value], cx: &RunCx<'_>) -> LawReport {
        let mut report = LawReport { samples: samples.len(), ..LawReport::default() };
        let targets: Vec<_> = samples.iter().map(|sample| self.get(sample, cx)).collect();
        for (index, (sample, target)) in samples.iter().zip(&targets).enumerate() {
            let mut fail = |law: Law, field: String, error: Option<MapError>| {
                report.failures.push(LawFailure { law, sample: index, field, error });
            };
            let target = match target {
                Ok(target) => target,
                Err(error) => {
                    fail(Law::GetPut, String::new(), Some(error.clone()));
                    continue;
                }
            };
            report.checks += 2;
            match self.put(sample, target, cx) {
                Ok(record) => {
                    places(sample, &record).into_iter().for_each(|place| fail(Law::GetPut, place, None))
                }
                Err(error) => fail(Law::GetPut, error.target.clone(), Some(error)),
            }
            match self.create(target, cx) {
                Ok(record) => self
                    .lost(target, &record, cx)
                    .into_iter()
                    .for_each(|place| fail(Law::CreateGet, place, None)),
                Err(error) => fail(Law::CreateGet, error.target.clone(), Some(error)),
            }
            for other in targets.iter().flatten() {
                report.checks += 1;
                match self.put(sample, other, cx) {
                    Ok(record) => self
                        .lost(other, &record, cx)
                        .into_iter()
                        .for_each(|place| fail(Law::PutGet, place, None)),
                    Err(error) => fail(Law::PutGet, error.target.clone(), Some(error)),
                }
            }
        }
        report
    }

    /// The reversed fields of a target that do not come out of a source record.
    fn lost(&self, target: &Value, record: &Value, cx: &RunCx<'_>) -> Vec<String> {
        // Fields that are written one way only may fail here; the others are looked at all the same.
        let output = self.forward.preview(Payload::Value(record), cx).output;
        let again = output.and_then(|output| serde_json::from_str(&output).ok()).unwrap_or_default();
        places(target, &again).into_iter().filter(|place| self.is_reversed(&any_place(place))).collect()
    }

    fn is_reversed(&self, place: &str) -> bool {
        let covers = |rule: &&crate::mapping::reverse::analyse::RuleReverse| {
            rule.to == place || is_below(place, &rule.to) || is_below(&rule.to, place)
        };
        let best = self.report.rules.iter().filter(covers).max_by_key(|rule| rule.to.len());
        best.is_some_and(|rule| matches!(rule.verdict, Verdict::Auto | Verdict::NeedsCheck))
    }
}

fn places(expected: &Value, found: &Value) -> Vec<String> {
    let mut places = Vec::new();
    differences(expected, found, String::new(), &mut places);
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::mapping::engine::CompileEnv;
    use crate::mapping::spec::document::MappingSpec;

    fn way_back(fields: Value) -> WayBack {
        let tables = json!({"t": {"columns": ["a", "b"], "rows": [["x", "one"], ["y", "two"]]}});
        let document =
            json!({"format": "mapping/1", "id": "m", "version": 1, "fields": fields, "tables": tables});
        WayBack::compile(&MappingSpec::parse(&document.to_string()).unwrap(), &CompileEnv::default()).unwrap()
    }

    fn order() -> WayBack {
        way_back(json!([
            {"to": "no", "from": "id", "steps": [{"op": "prefix", "text": "S-"}]},
            {"to": "state", "from": "state", "steps": [{"op": "table", "name": "t", "key": "a", "value": "b"}]},
            {"to": "paid", "from": "paid", "steps": [{"op": "bool_map", "true": "Y", "false": "N"}]},
            {"to": "ship.name", "from": "address.name", "steps": [{"op": "upper"}]},
            {"to": "lines", "each": "items", "keep": {"when": {"path": "qty", "gt": 0}},
             "key": {"source": "sku", "target": "item"}, "fields": [
                {"to": "item", "from": "sku"},
                {"to": "cents", "from": "price", "steps": [{"op": "scale10", "n": 2}]},
                {"to": "text", "from": "text", "steps": [{"op": "truncate", "max": 3, "mode": "cut"}]},
                {"to": "quantity", "from": "qty"}
            ]}
        ]))
    }

    #[test]
    fn a_lossy_field_that_has_not_changed_keeps_its_old_value() {
        let record = json!({"address": {"name": "Ada", "zip": 1}, "items": [
            {"sku": "a", "qty": 0, "text": "none"}, {"sku": "b", "qty": 2, "text": "long text", "price": 3, "own": true}]});
        let way_back = order();
        let mut target = way_back.get(&record, &RunCx::default()).unwrap();
        target["lines"][0]["cents"] = json!(450);

        let merged = way_back.put(&record, &target, &RunCx::default()).unwrap();

        let mut expected = record.clone();
        expected["items"][1]["price"] = json!(4.5);
        assert!(places(&expected, &merged).is_empty(), "{merged}");
    }

    #[test]
    fn elements_come_and_go_with_the_target_and_those_it_never_saw_stay() {
        let record =
            json!({"items": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 0}, {"sku": "c", "qty": 3}]});
        let changed = json!({"lines": [{"item": "c", "quantity": 4}, {"item": "d", "quantity": 1}]});

        let merged = order().put(&record, &changed, &RunCx::default()).unwrap();

        assert_eq!(
            merged,
            json!({"items": [{"sku": "b", "qty": 0}, {"sku": "c", "qty": 4}, {"sku": "d", "qty": 1}]})
        );
    }

    #[test]
    fn a_changed_value_without_an_inverse_is_an_error_and_an_unchanged_one_is_not() {
        let way_back = order();
        let record = json!({"id": "7", "state": "x"});

        let refused = way_back.put(&record, &json!({"no": "7", "state": "one"}), &RunCx::default());

        assert_eq!(refused.unwrap_err().target, "id");
    }

    #[test]
    fn a_way_back_that_loses_something_is_found_out() {
        let way_back = way_back(json!([
            {"to": "full", "join": ["first", "last"], "sep": " ", "reverse": {"split_on": " "}},
            {"to": "b", "from": "a", "reverse": {"steps": [{"op": "suffix", "text": "!"}]}}
        ]));

        let report =
            way_back.check_laws(&[json!({"first": "Ada", "last": "L", "a": "x"})], &RunCx::default());

        let found: Vec<_> =
            report.failures.iter().map(|failure| (failure.law, failure.field.as_str())).collect();
        assert_eq!(found, [(Law::CreateGet, "b")]);
    }

    fn any_record() -> impl Strategy<Value = Value> {
        let item = ("[a-e]", 0..4_i64, 0..1000_i64, "[a-z ]{0,6}").prop_map(|(sku, qty, price, text)| {
            json!({"sku": sku, "qty": qty, "price": price, "text": text, "own": qty})
        });
        let state = prop_oneof![Just("x"), Just("y")];
        (any::<u32>(), state, any::<bool>(), "[a-zA-Z]{1,5}", proptest::collection::vec(item, 0..5)).prop_map(
            |(id, state, paid, name, mut items)| {
                let mut seen = std::collections::BTreeSet::new();
                items.retain(|item: &Value| seen.insert(item["sku"].to_string()));
                json!({"id": id.to_string(), "state": state, "paid": paid, "address": {"name": name, "zip": 1}, "items": items})
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_laws_hold_for_what_is_said_to_be_reversible(records in proptest::collection::vec(any_record(), 1..4)) {
            let report = order().check_laws(&records, &RunCx::default());

            let said: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
            prop_assert!(said.is_empty(), "{:#?}", said);
            prop_assert!(report.checks >= 3 * records.len());
        }
    }
}
