//! Examples inside the document: what must come out of what.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::mapping::spec::condition::Intent;
use crate::mapping::spec::described::described;

described! {
    /// An example: `input`, and either `expect` or `expect_error`.
    #[derive(Default)]
    pub struct TestSpec {
        required {
            /// What it shows.
            name: String,
            /// The source record.
            input: Value,
        }
        optional {
            /// The whole target record.
            #[serde(deserialize_with = "crate::mapping::spec::described::given")]
            expect: Option<Value>,
            /// The error that the record must fail with.
            expect_error: Option<ExpectedError>,
            /// The values of `ctx` rules.
            context: BTreeMap<String, Value>,
            /// The rows of the host's tables that it needs, by the table's name in the document.
            tables: BTreeMap<String, Vec<Vec<Value>>>,
            /// What the host is about to do: `create` unless said otherwise.
            op: Option<Intent>,
        }
    }
}

described! {
    /// Where a record must fail, and how.
    #[derive(Default, Eq)]
    pub struct ExpectedError {
        required {}
        optional {
            /// The target path; rows in brackets, as in `lines[3].qty`, or left out, as in `lines.qty`.
            field: Option<String>,
            /// The code of the error.
            code: Option<String>,
        }
    }
}
