//! Writing a changed target record back into the source record that it came from.

use serde_json::{Map, Value};

use crate::mapping::diagnostic::Diagnostics;
use crate::mapping::engine::{CompileEnv, Payload, RunCx};
use crate::mapping::error::MapError;
use crate::mapping::path::{SourcePath, TargetPath};
use crate::mapping::preview::trace::{Previewer, differences};
use crate::mapping::reverse::analyse::ReverseReport;
use crate::mapping::reverse::invert::invert;
use crate::mapping::spec::document::MappingSpec;
use crate::mapping::spec::field::{Case, Direction, FieldSpec};

/// A mapping and its way back, ready to run.
///
/// What is written back is only what has changed in the target: a field that was shortened or written in capitals on the way there does
/// not come back shortened or in capitals, and so two systems do not answer each other's echo.
///
/// ```
/// use crossdock::mapping::{CompileEnv, MappingSpec, RunCx, WayBack};
/// use serde_json::json;
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,"fields":[
///     {"to":"NAME","from":"name","steps":[{"op":"upper"}]}, {"to":"cents","from":"price","steps":[{"op":"scale10","n":2}]}]}"#)?;
/// let way_back = WayBack::compile(&spec, &CompileEnv::default())?;
///
/// let record = json!({"name": "Ada", "price": 5, "secret": true});
/// let changed = json!({"NAME": "ADA", "cents": 700});
///
/// assert_eq!(way_back.put(&record, &changed, &RunCx::default())?, json!({"name": "Ada", "price": 7, "secret": true}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WayBack {
    pub(crate) forward: Previewer,
    backward: Previewer,
    rules: Vec<FieldSpec>,
    pub(crate) report: ReverseReport,
}

impl WayBack {
    /// A mapping with the way back that follows from it.
    ///
    /// # Errors
    /// Everything that is wrong with the document or with the one of the way back.
    pub fn compile(spec: &MappingSpec, env: &CompileEnv<'_>) -> Result<Self, Diagnostics> {
        Self::with_inverse(spec, &invert(spec).spec, env)
    }

    /// A mapping with a way back that somebody has edited.
    ///
    /// # Errors
    /// Everything that is wrong with either document.
    pub fn with_inverse(
        spec: &MappingSpec,
        inverse: &MappingSpec,
        env: &CompileEnv<'_>,
    ) -> Result<Self, Diagnostics> {
        // Schemas belong to the way there; on the way back they change sides.
        let turned = CompileEnv {
            source_schema: env.target_schema,
            target_schema: None,
            ..CompileEnv::default().with_limits(env.limits)
        };
        Ok(Self {
            forward: Previewer::compile(spec, env)?,
            backward: Previewer::compile(inverse, &turned)?,
            rules: inverse.fields.clone(),
            report: invert(spec).report,
        })
    }

    /// The target record for a source record.
    ///
    /// # Errors
    /// Why the record cannot be translated.
    pub fn get(&self, record: &Value, cx: &RunCx<'_>) -> Result<Value, MapError> {
        self.forward.mapping().run_to_value(Payload::Value(record), cx).map(|(target, _)| target)
    }

    /// A new source record for a target record that has none.
    ///
    /// # Errors
    /// Why the record cannot be translated.
    pub fn create(&self, target: &Value, cx: &RunCx<'_>) -> Result<Value, MapError> {
        self.backward.mapping().run_to_value(Payload::Value(target), cx).map(|(record, _)| record)
    }

    /// The source record with what has changed in the target since it was translated; all else stays as it is.
    ///
    /// Elements of lists are paired by their `key`. Those that the way there does not keep stay in the record.
    ///
    /// # Errors
    /// The record cannot be translated, or what has changed cannot be translated back.
    pub fn put(&self, record: &Value, changed: &Value, cx: &RunCx<'_>) -> Result<Value, MapError> {
        let current = self.get(record, cx)?;
        let (back, errors) = self.back(changed, cx)?;
        let (back_of_current, _) = self.back(&current, cx)?;
        let merge = Merge { errors: &errors };
        let mut merged = record.clone();
        let sides = Sides { current: &current, changed, back: &back, back_of_current: &back_of_current };
        merge.element(&self.rules, &mut merged, &sides, "")?;
        Ok(merged)
    }

    /// What the way back makes of a target record. A field that fails is of interest only if it has changed.
    fn back(&self, target: &Value, cx: &RunCx<'_>) -> Result<(Value, Vec<MapError>), MapError> {
        let failed = match self.create(target, cx) {
            Ok(record) => return Ok((record, Vec::new())),
            Err(error) => error,
        };
        let preview = self.backward.preview(Payload::Value(target), cx);
        match preview.output.and_then(|output| serde_json::from_str(&output).ok()) {
            Some(record) => Ok((record, preview.errors)),
            None => Err(failed),
        }
    }
}

/// One element, or the record, on all sides.
struct Sides<'a> {
    /// The target as the old source record gives it.
    current: &'a Value,
    /// The target as it is now.
    changed: &'a Value,
    /// What the way back makes of the target as it is now.
    back: &'a Value,
    /// What the way back makes of the old target.
    back_of_current: &'a Value,
}

struct Merge<'e> {
    errors: &'e [MapError],
}

impl Merge<'_> {
    fn element(
        &self,
        rules: &[FieldSpec],
        record: &mut Value,
        sides: &Sides<'_>,
        place: &str,
    ) -> Result<(), MapError> {
        for rule in rules.iter().filter(|rule| rule.direction != Some(Direction::Reverse)) {
            let Ok(to) = rule.to.parse::<TargetPath>() else { continue };
            if let Some(list) = &rule.each {
                self.list(rule, list, &to, record, sides, place)?;
                continue;
            }
            let has_changed = match reads(rule) {
                Some(paths) => {
                    paths.iter().any(|path| !same(at(sides.current, path), at(sides.changed, path)))
                }
                None => !same(Some(sides.current), Some(sides.changed)),
            };
            if !has_changed {
                continue;
            }
            let target = format!("{place}{}", rule.to);
            if let Some(error) = self.errors.iter().find(|error| error.target == target) {
                return Err(error.clone());
            }
            match at(sides.back, &to.names) {
                Some(value) => set(record, &to.names, value.clone()),
                None => remove(record, &to.names),
            }
        }
        Ok(())
    }

    fn list(
        &self,
        rule: &FieldSpec,
        list: &str,
        to: &TargetPath,
        record: &mut Value,
        sides: &Sides<'_>,
        place: &str,
    ) -> Result<(), MapError> {
        let Some(from) = names(list) else { return Ok(()) };
        let (current, changed) = (at(sides.current, &from), at(sides.changed, &from));
        if same(current, changed) {
            return Ok(());
        }
        let Some(changed) = changed.and_then(Value::as_array) else {
            remove(record, &to.names);
            return Ok(());
        };
        let rows = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let current = rows(current);
        let back = rows(at(sides.back, &to.names));
        let back_of_current = rows(at(sides.back_of_current, &to.names));
        let old = rows(at(record, &to.names));
        let key = rule.key.as_ref().and_then(|key| names(&key.target));
        // Without a key, an element is known by its place.
        let pair = |rows: &[Value], index: usize, wanted: Option<&Value>| match &key {
            Some(key) => {
                let wanted = wanted.and_then(|row| at(row, key));
                wanted.and_then(|wanted| rows.iter().position(|row| same(at(row, key), Some(wanted))))
            }
            None => (index < rows.len()).then_some(index),
        };
        let nothing = Value::Null;
        let mut merged: Vec<(Option<usize>, Value)> = Vec::with_capacity(changed.len());
        for (index, changed) in changed.iter().enumerate() {
            let back = back.get(index).unwrap_or(&nothing);
            let Some(old_at) = pair(&old, index, Some(back)) else {
                merged.push((None, back.clone()));
                continue;
            };
            let current_at = pair(&back_of_current, index, Some(&old[old_at]));
            let inner = Sides {
                current: current_at.and_then(|at| current.get(at)).unwrap_or(&nothing),
                changed,
                back,
                back_of_current: current_at.and_then(|at| back_of_current.get(at)).unwrap_or(&nothing),
            };
            let mut row = old[old_at].clone();
            self.element(&rule.fields, &mut row, &inner, &format!("{place}{}[{index}].", rule.to))?;
            merged.push((Some(old_at), row));
        }
        // What the way there did not keep is not gone because it is not in the target.
        let unseen: Vec<usize> = (0..old.len())
            .filter(|index| pair(&back_of_current, *index, Some(&old[*index])).is_none())
            .filter(|index| !merged.iter().any(|(from, _)| *from == Some(*index)))
            .collect();
        set(record, &to.names, Value::Array(in_order(merged, &old, &unseen)));
        Ok(())
    }
}

/// The elements in the target's order; those that the target does not know stay where they were, if that order allows it.
fn in_order(merged: Vec<(Option<usize>, Value)>, old: &[Value], unseen: &[usize]) -> Vec<Value> {
    let places: Vec<usize> = merged.iter().map_while(|(from, _)| *from).collect();
    let new_ones_last = merged[places.len()..].iter().all(|(from, _)| from.is_none());
    if !new_ones_last || !places.is_sorted() {
        let unseen = unseen.iter().filter_map(|index| old.get(*index).cloned());
        return merged.into_iter().map(|(_, row)| row).chain(unseen).collect();
    }
    let mut rows: Vec<(usize, Value)> =
        merged.into_iter().map(|(from, row)| (from.unwrap_or(usize::MAX), row)).collect();
    rows.extend(unseen.iter().filter_map(|index| Some((*index, old.get(*index)?.clone()))));
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The places in the target that a rule of the way back reads; nothing if that cannot be told.
fn reads(rule: &FieldSpec) -> Option<Vec<Vec<String>>> {
    if let Some(path) = &rule.from {
        return Some(vec![names(path)?]);
    }
    let asked = |case: &Case| match (&case.when, &case.otherwise) {
        (Some(when), _) => when.path.as_deref().and_then(names),
        (None, Some(_)) => Some(Vec::new()),
        (None, None) => None,
    };
    let paths: Option<Vec<_>> = rule.cases.as_ref()?.iter().map(asked).collect();
    Some(paths?.into_iter().filter(|path| !path.is_empty()).collect())
}

/// A path as names from the element on, if it is only that.
fn names(path: &str) -> Option<Vec<String>> {
    let path: SourcePath = path.parse().ok()?;
    let plain = path.origin == crate::mapping::path::Origin::Element;
    Some(path.names().filter(|_| plain)?.into_iter().map(str::to_owned).collect())
}

fn same(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => {
            let mut places = Vec::new();
            differences(left, right, String::new(), &mut places);
            places.is_empty()
        }
        (None, None) => true,
        _ => false,
    }
}

fn at<'a>(value: &'a Value, names: &[String]) -> Option<&'a Value> {
    names.iter().try_fold(value, |value, name| value.get(name))
}

fn set(record: &mut Value, names: &[String], value: Value) {
    let mut place = record;
    for name in names {
        // What is no object becomes one: the way back says that there is one.
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Some(members) = place.as_object_mut() else { return };
        place = members.entry(name).or_insert(Value::Null);
    }
    *place = value;
}

fn remove(record: &mut Value, names: &[String]) {
    let Some((last, around)) = names.split_last() else { return };
    let place = around.iter().try_fold(record, |value, name| value.get_mut(name));
    if let Some(Value::Object(members)) = place {
        members.remove(last);
    }
}
