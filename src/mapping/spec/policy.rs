//! What happens to values that are not there, and to steps that fail.

use crate::mapping::spec::described::{described, words};

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

words! {
    /// How a number is rounded. There is no default: nothing is rounded without a word.
    pub enum Rounding {
        /// Half away from zero: 2.5 becomes 3, -2.5 becomes -3.
        HalfUp = "half_up",
        /// Half towards zero.
        HalfDown = "half_down",
        /// Half to the even neighbour: 2.5 becomes 2, 3.5 becomes 4.
        HalfEven = "half_even",
        /// Away from zero.
        Up = "up",
        /// Towards zero.
        Down = "down",
        /// Towards plus infinity.
        Ceiling = "ceiling",
        /// Towards minus infinity.
        Floor = "floor",
        /// Digits that would be lost are an error.
        Exact = "exact",
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
