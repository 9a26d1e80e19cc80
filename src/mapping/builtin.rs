//! The engine of `mapping/1` documents.

use std::sync::Arc;

use serde_json::Value;

use crate::mapping::diagnostic::Diagnostics;
use crate::mapping::engine::{Caps, CompileEnv, CompiledMapping, MappingEngine, Payload, RunCx, RunReport};
use crate::mapping::error::MapError;
use crate::mapping::evaluate::failure::Failure;
use crate::mapping::evaluate::run::Run;
use crate::mapping::evaluate::sink::{Bytes, Sink, Tree};
use crate::mapping::evaluate::tracer::{Tracer, Unseen};
use crate::mapping::facts::{self, Facts};
use crate::mapping::keys::{Asked, HostKeys};
use crate::mapping::plan::Plan;
use crate::mapping::plan::compile::compile;
use crate::mapping::preview::Preview;
use crate::mapping::preview::watch::Watch;
use crate::mapping::source::extract::extract;
use crate::mapping::source::memory::Memory;
use crate::mapping::spec::document::MappingSpec;

/// The engine of documents: everything that the documentation of mappings describes.
///
/// ```
/// use crossdock::mapping::{BuiltinEngine, CompileEnv, MappingEngine, MappingSpec, Payload, RunCx};
///
/// let text = r#"{"format":"mapping/1","id":"orders","version":1,"fields":[
///     {"to":"externalId","from":"id","steps":[{"op":"prefix","text":"SHOP-"}],"required":true}]}"#;
/// let mapping = BuiltinEngine.compile(&MappingSpec::parse(text)?, &CompileEnv::default())?;
///
/// let mut out = Vec::new();
/// mapping.run(Payload::Bytes(br#"{"id":450789469123456789}"#), &RunCx::default(), &mut out)?;
///
/// assert_eq!(out, br#"{"externalId":"SHOP-450789469123456789"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltinEngine;

/// A compiled document.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) plan: Plan,
    warnings: Diagnostics,
}

impl MappingEngine for BuiltinEngine {
    fn id(&self) -> &'static str {
        "builtin"
    }

    fn compile(
        &self,
        spec: &MappingSpec,
        env: &CompileEnv<'_>,
    ) -> Result<Arc<dyn CompiledMapping>, Diagnostics> {
        Ok(Arc::new(self.build(spec, env)?))
    }
}

impl BuiltinEngine {
    pub(crate) fn build(&self, spec: &MappingSpec, env: &CompileEnv<'_>) -> Result<Builtin, Diagnostics> {
        match compile(spec, env) {
            (Some(plan), warnings) => Ok(Builtin { plan, warnings }),
            (None, found) => Err(found),
        }
    }
}

impl Builtin {
    /// Carries the plan out.
    pub(crate) fn translate<'a, K: Sink<'a>, T: Tracer>(
        &'a self,
        input: Payload<'a>,
        cx: &RunCx<'a>,
        sink: &mut K,
        tracer: &mut T,
    ) -> Result<RunReport, MapError> {
        let plan = &self.plan;
        match input {
            Payload::Value(record) => {
                Run::new(plan, &Memory::new(record, &plan.trie, plan.limits.fuel), cx, tracer).record(sink)
            }
            Payload::Bytes(bytes) => {
                if bytes.len() > plan.limits.input_bytes {
                    return Err(self.of_input(Failure::limit("the input is larger than inputs may be")));
                }
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| self.of_input(Failure::new("E-INPUT", "the input is not UTF-8")))?;
                let slots =
                    extract(&plan.trie, text, &plan.limits).map_err(|failure| self.of_input(failure))?;
                Run::new(plan, &slots, cx, tracer).record(sink)
            }
        }
    }

    fn of_input(&self, failure: Failure) -> MapError {
        MapError::of_record(&self.plan.id, self.plan.version, failure.code, failure.message.into_owned())
    }
}

impl CompiledMapping for Builtin {
    fn run(&self, input: Payload<'_>, cx: &RunCx<'_>, out: &mut Vec<u8>) -> Result<RunReport, MapError> {
        let before = out.len();
        let outcome = self.translate(input, cx, &mut Bytes::new(out, &self.plan.limits), &mut Unseen);
        if outcome.is_err() {
            out.truncate(before);
        }
        outcome
    }

    fn run_to_value(&self, input: Payload<'_>, cx: &RunCx<'_>) -> Result<(Value, RunReport), MapError> {
        let mut tree = Tree::new(&self.plan.limits);
        let report = self.translate(input, cx, &mut tree, &mut Unseen)?;
        Ok((tree.into_value(), report))
    }

    fn preview(&self, input: Payload<'_>, cx: &RunCx<'_>) -> Preview {
        let limits = &self.plan.limits;
        let mut out = Vec::new();
        let mut watch = Watch::new(limits);
        let outcome = self.translate(input, cx, &mut Bytes::new(&mut out, limits), &mut watch);
        let Watch { fields, mut errors, .. } = watch;
        let output = match outcome {
            Ok(_) => Some(String::from_utf8_lossy(&out).into_owned()),
            Err(error) => {
                if errors.last() != Some(&error) {
                    errors.push(error);
                }
                None
            }
        };
        Preview { output, errors, fields }
    }

    fn facts(&self) -> Facts {
        Facts::Known(facts::of(&self.plan))
    }

    fn collect_keys(&self, batch: &[Payload<'_>], cx: &RunCx<'_>) -> HostKeys {
        let mut asked = Asked::default();
        let mut scratch = Vec::new();
        for record in batch {
            scratch.clear();
            // What fails here fails in the run too, and is told there.
            let outcome =
                self.translate(*record, cx, &mut Bytes::new(&mut scratch, &self.plan.limits), &mut asked);
            drop(outcome);
        }
        asked.into_keys()
    }

    fn capabilities(&self) -> Caps {
        Caps { exact_numbers: true, traceable: true, reversible: true, bounded: true, tenant_safe: true }
    }

    fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }
}
