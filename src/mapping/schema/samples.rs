//! From samples to leaves: the union, and what all of them have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::mapping::schema::model::{
    DEEPEST, LEAVES, LONGEST_PATH, Leaf, LeafKind, RecordShape, UnreadableSchema, child,
};

impl RecordShape {
    /// The leaves that samples have: the union, and required is what all of them have.
    ///
    /// # Errors
    /// There are too many leaves, or they are nested too deeply.
    pub fn from_samples<'a>(samples: impl IntoIterator<Item = &'a Value>) -> Result<Self, UnreadableSchema> {
        let mut shape = Self::default();
        let mut count = 0_usize;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for sample in samples {
            count += 1;
            let mut present = BTreeSet::new();
            shape.take_in(sample, String::new(), &mut present, 0)?;
            for path in present {
                *seen.entry(path).or_default() += 1;
            }
        }
        for (path, leaf) in &mut shape.leaves {
            leaf.required = seen.get(path) == Some(&count);
        }
        // A leaf that is elsewhere an object is no leaf.
        let inner = shape.inner.clone();
        shape.leaves.retain(|path, _| !inner.contains(path));
        Ok(shape)
    }

    fn take_in(
        &mut self,
        value: &Value,
        path: String,
        present: &mut BTreeSet<String>,
        depth: usize,
    ) -> Result<(), UnreadableSchema> {
        if depth > DEEPEST || self.leaves.len() > LEAVES || path.len() > LONGEST_PATH {
            return Err(UnreadableSchema::TooLarge);
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                if !path.is_empty() {
                    self.inner.insert(path.clone());
                }
                for (name, member) in members {
                    self.take_in(member, child(&path, name), present, depth + 1)?;
                }
            }
            Value::Array(items) if !items.is_empty() => {
                self.inner.insert(path.clone());
                for item in items {
                    self.take_in(item, format!("{path}[]"), present, depth + 1)?;
                }
            }
            value => {
                present.insert(path.clone());
                let leaf =
                    self.leaves.entry(path.clone()).or_insert_with(|| Leaf { path, ..Leaf::default() });
                match kind_of(value) {
                    Some(kind) => {
                        leaf.kinds.insert(kind);
                    }
                    None => leaf.nullable = true,
                }
            }
        }
        Ok(())
    }
}

fn kind_of(value: &Value) -> Option<LeafKind> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(LeafKind::Boolean),
        Value::Number(number) if number.is_f64() => Some(LeafKind::Number),
        Value::Number(_) => Some(LeafKind::Integer),
        Value::String(_) => Some(LeafKind::Text),
        Value::Array(_) => Some(LeafKind::List),
        Value::Object(_) => Some(LeafKind::Object),
    }
}
