//! When a rule, a case or a row applies.

use serde_json::Value;

use crate::mapping::spec::described::{described, words};
use crate::mapping::spec::literal::DecimalText;

words! {
    /// What the sync is about to do in the target system.
    pub enum Intent {
        /// A new record is made.
        Create = "create",
        /// An existing record is changed.
        Update = "update",
    }
}

described! {
    /// A question about the source record. Everything that is said must hold; a comparison is with what `path` leads to,
    /// numbers as numbers.
    #[derive(Default)]
    pub struct Condition {
        required {}
        optional {
            /// This path leads to a value that is not null.
            present: Option<String>,
            /// This path leads to nothing, or to null.
            absent: Option<String>,
            /// What `eq`, `ne`, `gt`, `ge`, `lt`, `le`, `one_of`, `starts_with` and `contains` look at; `@` is the element itself.
            path: Option<String>,
            /// The value equals this.
            #[serde(deserialize_with = "crate::mapping::spec::described::given")]
            eq: Option<Value>,
            /// The value does not equal this; a missing value equals nothing.
            #[serde(deserialize_with = "crate::mapping::spec::described::given")]
            ne: Option<Value>,
            /// The number is greater.
            gt: Option<DecimalText>,
            /// The number is greater or equal.
            ge: Option<DecimalText>,
            /// The number is less.
            lt: Option<DecimalText>,
            /// The number is less or equal.
            le: Option<DecimalText>,
            /// The value equals one of these.
            one_of: Vec<Value>,
            /// The text begins so.
            starts_with: Option<String>,
            /// The text contains this.
            contains: Option<String>,
            /// The host is about to do this.
            op: Option<Intent>,
            /// All of these hold.
            all: Vec<Condition>,
            /// At least one of these holds.
            any: Vec<Condition>,
            /// This does not hold.
            not: Option<Box<Condition>>,
            /// This expression is true.
            expr: Option<String>,
        }
    }
}
