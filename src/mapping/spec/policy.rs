//! What happens to values that are not there, and to steps that fail.

use serde_json::{Map, Value, json};

use crate::mapping::rounding::Rounding;
use crate::mapping::spec::described::{Described, described, words};

words! {
    /// What becomes of a source value that is missing, null or an empty string.
    pub enum Policy {
        /// The target field is not written: a receiver that patches leaves its value alone.
        Omit = "omit",
        /// The target field is written as `null`.
        Null = "null",
        /// The rule's `default` is written.
        Default = "default",
        /// The record fails.
        Error = "error",
        /// The value goes on as it is (of `null` and `empty_string`).
        Keep = "keep",
        /// The value is treated as if it were not there (of `null` and `empty_string`).
        AsMissing = "as_missing",
    }
}

words! {
    /// What becomes of a step that fails.
    pub enum OnError {
        /// The whole record fails. This is the default.
        FailRecord = "fail_record",
        /// The field is not written, the report says so, and the record goes on.
        FailField = "fail_field",
        /// The `default` of the step, or else of the rule, takes the place of the value.
        Default = "default",
    }
}

described! {
    /// What holds for every rule that says nothing else.
    #[derive(Default, Eq)]
    pub struct Defaults {
        required {}
        optional {
            /// Of a value that is missing: `omit` unless said otherwise.
            missing: Option<Policy>,
            /// Of a null: `as_missing` unless said otherwise.
            null: Option<Policy>,
            /// Of an empty string: `keep` unless said otherwise.
            empty_string: Option<Policy>,
            /// Of a step that fails: `fail_record` unless said otherwise.
            on_error: Option<OnError>,
            /// How steps round that say no mode themselves; without it, losing a digit is an error.
            rounding: Option<Rounding>,
        }
    }
}

impl Described for Rounding {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({"enum": ["half_up", "half_even", "half_down", "up", "down", "ceiling", "floor"]})
    }
}
