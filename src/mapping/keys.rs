//! Which keys a batch of records asks the host for, so that it costs one query and not one for each record.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::mapping::error::MapError;
use crate::mapping::evaluate::tracer::{Ending, Tracer};
use crate::mapping::evaluate::value::V;
use crate::mapping::plan::RulePlan;
use crate::mapping::spec::step::XrefSide;

/// The keys that records ask the host for. It holds values of the records.
///
/// A key that is itself the result of a lookup in a table of the host is found once that table is there: collect, fetch,
/// and collect again until nothing new is asked for; two tables in a row take two rounds.
///
/// ```
/// use crossdock::mapping::{BuiltinEngine, CompileEnv, MappingEngine, MappingSpec, Payload, RunCx};
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,
///     "tables":{"sku":{"ref":"host:sku_xref","columns":["shop","erp"]}},
///     "fields":[{"to":"item","from":"sku",
///         "steps":[{"op":"upper"},{"op":"table","name":"sku","key":"shop","value":"erp"}]}]}"#)?;
/// let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default())?;
///
/// let batch = [&br#"{"sku":"a-1"}"#[..], br#"{"sku":"b-2"}"#, br#"{"sku":"A-1"}"#].map(Payload::Bytes);
/// let asked = mapping.collect_keys(&batch, &RunCx::default());
///
/// assert_eq!(asked.of_table("sku_xref", "shop").collect::<Vec<_>>(), ["A-1", "B-2"]);
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HostKeys {
    /// By the name of the host's table and the column that is searched.
    pub tables: BTreeMap<(String, String), BTreeSet<String>>,
    /// By system, entity and the side that is wanted.
    pub identities: BTreeMap<(String, String, XrefSide), BTreeSet<String>>,
}

impl HostKeys {
    /// The keys that are looked for in this column of a host's table, each once.
    pub fn of_table(&self, table: &str, column: &str) -> impl Iterator<Item = &str> {
        let keys = self.tables.get(&(table.to_owned(), column.to_owned()));
        keys.into_iter().flatten().map(String::as_str)
    }

    /// The ids of which the other side is looked for, each once.
    pub fn of_identity(&self, system: &str, entity: &str, wanted: XrefSide) -> impl Iterator<Item = &str> {
        let ids = self.identities.get(&(system.to_owned(), entity.to_owned(), wanted));
        ids.into_iter().flatten().map(String::as_str)
    }

    /// Whether the host is asked for nothing.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.identities.is_empty()
    }
}

impl std::fmt::Debug for HostKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |keys: &BTreeSet<String>| keys.len();
        f.debug_struct("HostKeys")
            .field("tables", &self.tables.iter().map(|(name, keys)| (name, count(keys))).collect::<Vec<_>>())
            .field(
                "identities",
                &self.identities.iter().map(|(name, ids)| (name, count(ids))).collect::<Vec<_>>(),
            )
            .finish()
    }
}

/// Looks on, and writes down what the host is asked for. As with every onlooker, errors do not end the run.
#[derive(Default)]
pub(crate) struct Asked(RefCell<HostKeys>);

impl Asked {
    pub(crate) fn into_keys(self) -> HostKeys {
        self.0.into_inner()
    }
}

impl Tracer for Asked {
    const ON: bool = true;

    fn rule(&mut self, _: &RulePlan, _: &[u32]) {}

    fn source(&mut self, _: &V<'_>) {}

    fn step(&mut self, _: &'static str, _: &V<'_>, _: Result<&V<'_>, &'static str>) {}

    fn end(&mut self, _: Ending, _: Option<&V<'_>>) {}

    fn instead(&mut self, _: &'static str) {}

    fn error(&mut self, _: &MapError) {}

    fn asks_table(&self, table: &str, column: &str, key: &str) {
        let mut asked = self.0.borrow_mut();
        asked.tables.entry((table.to_owned(), column.to_owned())).or_default().insert(key.to_owned());
    }

    fn asks_identity(&self, system: &str, entity: &str, wanted: XrefSide, id: &str) {
        let mut asked = self.0.borrow_mut();
        let ids = asked.identities.entry((system.to_owned(), entity.to_owned(), wanted)).or_default();
        ids.insert(id.to_owned());
    }
}
