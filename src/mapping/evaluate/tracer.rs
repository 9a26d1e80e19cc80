//! Who looks on while a plan is carried out: nobody, or a preview.

use crate::mapping::error::MapError;
use crate::mapping::evaluate::value::V;
use crate::mapping::plan::RulePlan;
use crate::mapping::spec::step::XrefSide;

/// How a rule ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// The value came from the source.
    Mapped,
    /// The default took its place.
    Defaulted,
    /// The field is not written.
    Omitted,
    /// The rule does not apply.
    NotAsked,
    Failed,
}

/// Looks on. Errors do not end a run that is looked at: every field is tried.
pub(crate) trait Tracer {
    /// Whether there is anybody; nothing of the rest is compiled in if there is not.
    const ON: bool;

    fn rule(&mut self, rule: &RulePlan, rows: &[u32]);

    /// The value that a rule took from the source.
    fn source(&mut self, value: &V<'_>);

    fn step(&mut self, name: &'static str, before: &V<'_>, after: Result<&V<'_>, &'static str>);

    fn end(&mut self, ending: Ending, result: Option<&V<'_>>);

    /// The default takes the place of a failure with this code.
    fn instead(&mut self, code: &'static str);

    fn error(&mut self, error: &MapError);

    /// A table of the host is asked for a key.
    fn asks_table(&self, _table: &str, _column: &str, _key: &str) {}

    /// The host is asked for the other side of an id.
    fn asks_identity(&self, _system: &str, _entity: &str, _wanted: XrefSide, _id: &str) {}
}

/// Nobody.
pub(crate) struct Unseen;

impl Tracer for Unseen {
    const ON: bool = false;

    fn rule(&mut self, _: &RulePlan, _: &[u32]) {}

    fn source(&mut self, _: &V<'_>) {}

    fn step(&mut self, _: &'static str, _: &V<'_>, _: Result<&V<'_>, &'static str>) {}

    fn end(&mut self, _: Ending, _: Option<&V<'_>>) {}

    fn instead(&mut self, _: &'static str) {}

    fn error(&mut self, _: &MapError) {}
}
