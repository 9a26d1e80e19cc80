//! The port: a language of mappings, and a mapping that is ready to run.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::mapping::diagnostic::Diagnostics;
use crate::mapping::error::{Excerpt, MapError};
use crate::mapping::facts::Facts;
use crate::mapping::host::HostData;
use crate::mapping::keys::HostKeys;
use crate::mapping::limits::Limits;
use crate::mapping::preview::Preview;
use crate::mapping::spec::condition::Intent;
use crate::mapping::spec::document::MappingSpec;

/// A language in which mappings are written.
///
/// # Contract
///
/// - Compiling is pure: the same document and environment give the same mapping, or the same diagnostics.
/// - All problems are reported at once.
/// - Neither a document nor an input makes an engine panic, hang, or exceed the limits that its [`Caps`] promise to hold.
pub trait MappingEngine: fmt::Debug + Send + Sync + 'static {
    /// The name of the engine, such as `builtin`.
    fn id(&self) -> &'static str;

    /// A mapping that is ready to run.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the document.
    fn compile(
        &self,
        spec: &MappingSpec,
        env: &CompileEnv<'_>,
    ) -> Result<Arc<dyn CompiledMapping>, Diagnostics>;
}

/// A mapping that is ready to run, any number of times, from any thread.
///
/// # Contract
///
/// - A run is pure: the same input and the same [`RunCx`] give the same output.
/// - A run that fails leaves `out` as it was.
/// - The output is the same whether the input comes as bytes or as a value, and whichever of the two comes out.
pub trait CompiledMapping: fmt::Debug + Send + Sync + 'static {
    /// Translates a record and appends it to `out` as JSON.
    ///
    /// # Errors
    ///
    /// The first field that failed, or why the input cannot be read.
    fn run(&self, input: Payload<'_>, cx: &RunCx<'_>, out: &mut Vec<u8>) -> Result<RunReport, MapError>;

    /// Translates a record into a value.
    ///
    /// # Errors
    ///
    /// As [`CompiledMapping::run`]; also if a number is one that a [`Value`] cannot hold exactly.
    fn run_to_value(&self, input: Payload<'_>, cx: &RunCx<'_>) -> Result<(Value, RunReport), MapError>;

    /// What the mapping does to one record, field by field. Errors do not end it: every field is tried.
    ///
    /// An engine that cannot look into its mappings tells the output or the error, and no fields; [`Caps::traceable`] says which.
    fn preview(&self, input: Payload<'_>, cx: &RunCx<'_>) -> Preview {
        let mut out = Vec::new();
        match self.run(input, cx, &mut out) {
            Ok(report) => Preview {
                output: Some(String::from_utf8_lossy(&out).into_owned()),
                errors: report.failed_fields,
                fields: Vec::new(),
            },
            Err(error) => Preview { output: None, errors: vec![error], fields: Vec::new() },
        }
    }

    /// What is known about the mapping without running it; nothing, unless the engine says otherwise.
    fn facts(&self) -> Facts {
        Facts::Opaque
    }

    /// Which keys the records would ask the host for; nothing of an engine that looks nothing up.
    ///
    /// Records that cannot be read, and fields that fail, ask for nothing more: the run itself tells about them.
    fn collect_keys(&self, _batch: &[Payload<'_>], _cx: &RunCx<'_>) -> HostKeys {
        HostKeys::default()
    }

    /// What the mapping can promise.
    fn capabilities(&self) -> Caps;

    /// Warnings about the document.
    fn warnings(&self) -> &Diagnostics;
}

/// What a document is compiled against.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CompileEnv<'a> {
    /// What documents and runs may cost.
    pub limits: Limits,
    /// The JSON Schema of source records, if there is one.
    pub source_schema: Option<&'a Value>,
    /// The JSON Schema of target records, if there is one.
    pub target_schema: Option<&'a Value>,
}

impl<'a> CompileEnv<'a> {
    /// Limits other than the default.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The JSON Schema of source records: paths that it does not know are errors.
    #[must_use]
    pub fn with_source_schema(mut self, schema: &'a Value) -> Self {
        self.source_schema = Some(schema);
        self
    }

    /// The JSON Schema of target records: targets that it does not know, or not of this type, are errors.
    #[must_use]
    pub fn with_target_schema(mut self, schema: &'a Value) -> Self {
        self.target_schema = Some(schema);
        self
    }
}

/// A record to be translated.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// JSON text. Only what the mapping reads is taken from it.
    Bytes(&'a [u8]),
    /// A value in memory.
    Value(&'a Value),
}

/// What a run is told besides the record.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RunCx<'a> {
    /// What the host gives.
    pub data: &'a HostData,
    /// What the host is about to do with the result.
    pub intent: Intent,
    /// How much of a value errors may tell.
    pub excerpt: Excerpt,
}

static NO_DATA: LazyLock<HostData> = LazyLock::new(HostData::new);

impl Default for RunCx<'_> {
    fn default() -> Self {
        Self { data: &NO_DATA, intent: Intent::Create, excerpt: Excerpt::Nothing }
    }
}

impl<'a> RunCx<'a> {
    /// A run with what the host gives.
    pub fn new(data: &'a HostData) -> Self {
        Self { data, ..Self::default() }
    }

    /// What the host is about to do with the result.
    #[must_use]
    pub fn with_intent(mut self, intent: Intent) -> Self {
        self.intent = intent;
        self
    }

    /// How much of a value errors may tell.
    #[must_use]
    pub fn with_excerpt(mut self, excerpt: Excerpt) -> Self {
        self.excerpt = excerpt;
        self
    }
}

/// What a run has to say besides its output.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RunReport {
    /// Fields that failed and were left out, because their policy says so.
    pub failed_fields: Vec<MapError>,
    /// How many fields have their default.
    pub defaulted: usize,
    /// How many fields were left out.
    pub omitted: usize,
}

/// What a mapping can promise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Caps {
    /// Numbers of any length pass unchanged.
    pub exact_numbers: bool,
    /// A preview shows every step.
    pub traceable: bool,
    /// There can be a way back.
    pub reversible: bool,
    /// Time and memory are bounded by the limits.
    pub bounded: bool,
    /// Tenants may write documents.
    pub tenant_safe: bool,
}

impl Caps {
    /// Promises nothing: the beginning of what another engine promises.
    pub fn none() -> Self {
        Self { exact_numbers: false, traceable: false, reversible: false, bounded: false, tenant_safe: false }
    }
}
