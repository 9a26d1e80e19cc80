//! What is known about a mapping before it runs: what it reads, what it writes, where it looks things up.

use std::collections::BTreeSet;

use crate::mapping::path::Segment;
use crate::mapping::plan::output::{Member, Members};
use crate::mapping::plan::{
    Act, CasePlan, CurrencyOf, EachPlan, ExprPlan, Kind, Look, PathId, Plan, Question, Rows, RulePlan,
    StepPlan, TableStep, Then,
};
use crate::mapping::schema::child;

/// What is known about a mapping without running it.
///
/// ```
/// use crossdock::mapping::{BuiltinEngine, CompileEnv, Facts, MappingEngine, MappingSpec};
///
/// let spec = MappingSpec::parse(r#"{"format":"mapping/1","id":"m","version":1,
///     "tables":{"sku":{"ref":"host:sku_xref","columns":["shop","erp"]}},
///     "fields":[{"to":"lines","each":"items","fields":[{"to":"item","from":"sku",
///         "steps":[{"op":"table","name":"sku","key":"shop","value":"erp"}]}]}]}"#)?;
/// let mapping = BuiltinEngine.compile(&spec, &CompileEnv::default())?;
///
/// let Facts::Known(facts) = mapping.facts() else { panic!("documents can be looked into") };
/// assert!(facts.reads.contains("items[].sku") && facts.writes.contains("lines[].item"));
/// let table = &facts.tables[0];
/// assert_eq!((table.host.as_deref(), &*table.key), (Some("sku_xref"), "shop"));
/// assert!(table.keys.contains("items[].sku"));
/// # Ok::<(), crossdock::mapping::Diagnostics>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Facts {
    /// All of it.
    Known(MappingFacts),
    /// Nothing: the mapping is a program of another language. Coverage, the way back and the trace are not to be had.
    Opaque,
}

/// What a mapping reads and writes, as paths of records: `lines[].sku`; the empty path is the whole record.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MappingFacts {
    /// What is read, each with everything below it.
    pub reads: BTreeSet<String>,
    /// What is written.
    pub writes: BTreeSet<String>,
    /// Where something is looked up in a table, in the order of the document.
    pub tables: Vec<TableFacts>,
    /// Which identities are looked up, as system and entity.
    pub identities: BTreeSet<(String, String)>,
    /// Which values of the host are used.
    pub context: BTreeSet<String>,
}

/// One place where a mapping looks something up in a table.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TableFacts {
    /// The table's name in the document.
    pub name: String,
    /// The name of the host's table, where the host has the rows.
    pub host: Option<String>,
    /// The column that is searched.
    pub key: String,
    /// The column that is the result.
    pub value: String,
    /// The source paths that the key is made of.
    pub keys: BTreeSet<String>,
}

/// The facts of a plan.
pub(crate) fn of(plan: &Plan) -> MappingFacts {
    let mut gathering = Gathering { plan, elements: vec![String::new()], facts: MappingFacts::default() };
    gathering.members(&plan.record, "");
    gathering.facts
}

struct Gathering<'p> {
    plan: &'p Plan,
    /// The source paths of the elements around, the record first.
    elements: Vec<String>,
    facts: MappingFacts,
}

impl<'p> Gathering<'p> {
    /// As deep as target paths and `each` are nested, which has been bounded.
    fn members(&mut self, members: &'p Members, target: &str) {
        for (key, member) in &members.list {
            let target = child(target, &key.name);
            match member {
                Member::Rule(rule) => self.rule(&self.plan.rules[*rule as usize], &target),
                Member::Object(inner) => self.members(inner, &target),
            }
        }
    }

    fn rule(&mut self, rule: &'p RulePlan, target: &str) {
        let keys = match &rule.kind {
            Kind::From(path) => vec![*path],
            Kind::First { paths, .. } | Kind::Join { paths, .. } => paths.to_vec(),
            Kind::Cases(cases) => self.cases(cases),
            Kind::Expr(plan) => self.expression(plan),
            Kind::Ctx(name) => {
                self.facts.context.insert(name.to_string());
                Vec::new()
            }
            Kind::Const(_) | Kind::Index { .. } => Vec::new(),
            Kind::Each(each) => {
                self.each(each, target);
                Vec::new()
            }
        };
        let keys: BTreeSet<String> = keys.into_iter().map(|path| self.path(path)).collect();
        self.facts.reads.extend(keys.iter().cloned());
        if let Some(when) = &rule.when {
            self.question(when);
        }
        self.steps(&rule.steps, &keys);
        self.facts.writes.insert(target.to_owned());
    }

    fn each(&mut self, each: &'p EachPlan, target: &str) {
        let list = self.path(each.list);
        self.elements.push(format!("{list}[]"));
        if let Some(keep) = &each.keep {
            self.question(keep);
        }
        self.members(&each.element, &format!("{target}[]"));
        self.elements.pop();
    }

    /// The paths that the results come from.
    fn cases(&mut self, cases: &'p [CasePlan]) -> Vec<PathId> {
        let mut from = Vec::new();
        for case in cases {
            if let Some(when) = &case.when {
                self.question(when);
            }
            match &case.then {
                Then::Value(_) => {}
                Then::Path(path) => from.push(*path),
                Then::Expr(plan) => from.extend(self.expression(plan)),
            }
        }
        from
    }

    fn expression(&mut self, plan: &'p ExprPlan) -> Vec<PathId> {
        // The last is the whole path; those before it are where a list may stand.
        let reads: Vec<PathId> = plan.reads.iter().filter_map(|paths| paths.last().copied()).collect();
        let keys: BTreeSet<String> = reads.iter().map(|path| self.path(*path)).collect();
        for table in &plan.tables {
            self.table(table, &keys);
        }
        reads
    }

    fn question(&mut self, question: &'p Question) {
        match question {
            Question::Present(look)
            | Question::Absent(look)
            | Question::Equals(look, _)
            | Question::Differs(look, _)
            | Question::Compares(look, ..)
            | Question::OneOf(look, _)
            | Question::StartsWith(look, _)
            | Question::Contains(look, _) => {
                if let Look::Path(path) = look {
                    self.read(*path);
                }
            }
            Question::Intent(_) => {}
            Question::All(all) | Question::Any(all) => all.iter().for_each(|inner| self.question(inner)),
            Question::Not(inner) => self.question(inner),
            Question::Expr(plan) => {
                for path in self.expression(plan) {
                    self.read(path);
                }
            }
        }
    }

    fn steps(&mut self, steps: &'p [StepPlan], keys: &BTreeSet<String>) {
        let mut keys = keys.clone();
        for step in steps {
            match &step.act {
                Act::Table(table) => self.table(table, &keys),
                Act::Xref { system, entity, .. } => {
                    self.facts.identities.insert((system.to_string(), entity.to_string()));
                }
                Act::Rate { name, .. } => {
                    self.facts.context.insert(name.to_string());
                }
                Act::MinorUnits(CurrencyOf::Path(path)) | Act::MajorUnits(CurrencyOf::Path(path)) => {
                    self.read(*path);
                }
                Act::Cases(cases) => {
                    for path in self.cases(cases) {
                        keys.insert(self.path(path));
                        self.read(path);
                    }
                }
                Act::Each(steps) => self.steps(steps, &keys),
                Act::Filter(question) => self.question(question),
                _ => {}
            }
        }
    }

    fn table(&mut self, step: &TableStep, keys: &BTreeSet<String>) {
        let table = &self.plan.tables[step.table as usize];
        let column = |at: usize| table.columns.get(at).map(|name| name.to_string()).unwrap_or_default();
        self.facts.tables.push(TableFacts {
            name: table.name.to_string(),
            host: match &table.rows {
                Rows::Host(name) => Some(name.to_string()),
                Rows::Inline(_) => None,
            },
            key: column(step.key),
            value: column(step.value),
            keys: keys.clone(),
        });
    }

    fn read(&mut self, path: PathId) {
        let path = self.path(path);
        self.facts.reads.insert(path);
    }

    fn path(&self, path: PathId) -> String {
        let path = &self.plan.paths[path.0 as usize];
        let base = self.elements.get(path.level).cloned().unwrap_or_default();
        path.steps.iter().fold(base, |path, step| match &step.segment {
            Segment::Name(name) => child(&path, name),
            Segment::Index(_) | Segment::Filter { .. } => format!("{path}[]"),
        })
    }
}
