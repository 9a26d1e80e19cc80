//! Tables: which word on one side is which on the other.

use serde_json::Value;

use crate::mapping::spec::described::{described, words};

words! {
    /// What becomes of a key that is in no row.
    pub enum TableMiss {
        /// The step fails.
        Error = "error",
        /// The step's or the table's `default` is the value.
        Default = "default",
        /// The key itself is the value.
        Pass = "pass",
        /// The value is null.
        Null = "null",
        /// The field is treated as missing.
        Omit = "omit",
        /// The record is held until somebody has added a row.
        Queue = "queue",
    }
}

words! {
    /// Whether upper and lower case differ in keys.
    #[derive(Default)]
    pub enum LetterCase {
        /// They differ.
        #[default]
        Sensitive = "sensitive",
        /// They do not.
        Insensitive = "insensitive",
    }
}

described! {
    /// Rows in the document, or the name of a table that the host keeps.
    #[derive(Default)]
    pub struct TableSpec {
        required {
            /// The names of the columns.
            columns: Vec<String>,
        }
        optional {
            /// One list of texts, numbers, booleans or nulls per row, as many as there are columns.
            rows: Vec<Vec<Value>>,
            /// `host:NAME`: the rows come from the host.
            reference as "ref": Option<String>,
            /// Of a key that is in no row: `error` unless said otherwise.
            miss: Option<TableMiss>,
            /// The value for keys that are in no row, with `"miss":"default"`.
            #[serde(deserialize_with = "crate::mapping::spec::described::given")]
            default: Option<Value>,
            /// Whether upper and lower case differ in keys: `sensitive` unless said otherwise.
            case: Option<LetterCase>,
            /// The rows that answer on the way back when several have the same value: their keys.
            reverse_pick: Vec<Value>,
            /// For the reader.
            note: Option<String>,
        }
    }
}
