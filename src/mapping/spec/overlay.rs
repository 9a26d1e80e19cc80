//! Overlays: one tenant's changes to a mapping that others share.

use crate::mapping::spec::described::described;
use crate::mapping::spec::field::FieldSpec;

described! {
    /// Changes to a mapping, by target path. The result is a document of its own, which can be reviewed as any other.
    #[derive(Default)]
    pub struct Overlay {
        required {
            /// The mapping that is changed: its name, and its version behind an `@`.
            base: String,
            /// The changes, in order.
            patch: Vec<Patch>,
        }
        optional {
            /// The name of the result: that of the base unless said otherwise.
            id: Option<String>,
            /// The version of the result: that of the base unless said otherwise.
            version: Option<u64>,
            /// For the reader.
            note: Option<String>,
        }
    }
}

described! {
    /// One change: exactly one of `add`, `replace` and `remove`.
    #[derive(Default)]
    pub struct Patch {
        required {}
        optional {
            /// A rule for a target path that has none. Within an `each`, its path begins with that of the list: `lines.note`.
            add: Option<FieldSpec>,
            /// The target path of the rule that `with` takes the place of.
            replace: Option<String>,
            /// The new rule; it keeps the target path if it names none of its own.
            with: Option<FieldSpec>,
            /// The target path of the rule that is taken out.
            remove: Option<String>,
        }
    }
}
