//! The document as a whole.

use std::collections::BTreeMap;

use crate::mapping::spec::described::{described, words};
use crate::mapping::spec::field::{FieldSpec, TargetType};
use crate::mapping::spec::policy::Defaults;
use crate::mapping::spec::table::TableSpec;
use crate::mapping::spec::test::TestSpec;

words! {
    /// The language that a document is written in; not the version of a mapping.
    #[derive(Default)]
    pub enum Format {
        /// The first.
        #[default]
        V1 = "mapping/1",
    }
}

words! {
    /// What becomes of source fields that no rule reads.
    pub enum UnmappedMode {
        /// They are left out.
        Drop = "drop",
        /// Those at the top of the record are copied, unless a rule writes the same name.
        Pass = "pass",
        /// They are an error.
        Error = "error",
    }
}

described! {
    /// A mapping as it is written, reviewed and saved.
    ///
    /// ```
    /// use crossdock::mapping::MappingSpec;
    ///
    /// let text = r#"{"format":"mapping/1","id":"orders","version":1,
    ///                "fields":[{"to":"externalId","from":"id","required":true}]}"#;
    /// let spec = MappingSpec::parse(text)?;
    ///
    /// assert_eq!(spec.fields[0].from.as_deref(), Some("id"));
    /// # Ok::<(), crossdock::mapping::Diagnostics>(())
    /// ```
    #[derive(Default)]
    pub struct MappingSpec {
        required {
            /// The language of the document: `mapping/1`.
            format: Format,
            /// The name of the mapping.
            id: String,
            /// The version of the mapping; it only grows.
            version: u64,
            /// The rules.
            fields: Vec<FieldSpec>,
        }
        optional {
            /// Where an editor finds the JSON Schema of documents.
            schema_reference as "$schema": Option<String>,
            /// For people.
            title: Option<String>,
            /// What comes in.
            source: Option<RecordType>,
            /// What goes out.
            target: Option<RecordType>,
            /// What holds for every rule that says nothing else.
            defaults: Option<Defaults>,
            /// The names of what rules take from the host with `ctx`, and of rates.
            context: BTreeMap<String, ContextValue>,
            /// The tables that steps look into.
            tables: BTreeMap<String, TableSpec>,
            /// What becomes of source fields that no rule reads: `drop` unless said otherwise.
            unmapped: Option<Unmapped>,
            /// Examples that must hold.
            tests: Vec<TestSpec>,
            /// For the reader.
            note: Option<String>,
        }
    }
}

described! {
    /// A kind of record in a system.
    #[derive(Default, Eq)]
    pub struct RecordType {
        required {
            /// The system.
            system: String,
            /// The kind of record.
            entity: String,
        }
        optional {
            /// The name of its JSON Schema.
            schema: Option<String>,
        }
    }
}

described! {
    /// A value that the host gives.
    #[derive(Default, Eq)]
    pub struct ContextValue {
        required {}
        optional {
            /// Its type.
            value_type as "type": Option<TargetType>,
            /// For the reader.
            note: Option<String>,
        }
    }
}

described! {
    /// What becomes of source fields that no rule reads.
    #[derive(Eq)]
    pub struct Unmapped {
        required {
            /// The choice.
            mode: UnmappedMode,
        }
        optional {
            /// Top-level names that are left out of `pass` and are no `error`.
            except: Vec<String>,
        }
    }
}

impl MappingSpec {
    /// A mapping with this name, version and these rules; what else is to be said is set on the value.
    pub fn new(id: impl Into<String>, version: u64, fields: Vec<FieldSpec>) -> Self {
        Self { id: id.into(), version, fields, ..Self::default() }
    }
}
