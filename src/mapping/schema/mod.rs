//! What a JSON Schema, or a number of samples, says about a record: its leaves.
//!
//! Of JSON Schema this reads what mappings need: `type`, `properties`, `required`, `items`, `enum`, `const`, `format`,
//! `minLength`/`maxLength`, `minimum`/`maximum`, `oneOf`/`anyOf` (for "or null" and for alternatives), `allOf`, and `$ref` into the same document.
//! Everything else is passed over: this is no validator.
//!
//! | module | decides |
//! |---|---|
//! | `model` | what the leaves of a record are, and how they are asked for |
//! | `keywords` | which leaves a JSON Schema describes |
//! | `samples` | which leaves samples have |

mod keywords;
mod model;
mod samples;

pub use model::{Leaf, LeafKind, RecordShape, UnreadableSchema};
pub(crate) use model::{child, is_below};

#[cfg(test)]
mod tests;
