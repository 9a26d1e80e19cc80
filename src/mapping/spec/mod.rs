//! The document: what is written, reviewed and saved.
//!
//! | module | holds |
//! |---|---|
//! | [`document`] | the whole: systems, defaults, tables, rules, tests |
//! | [`field`] | one rule: which target field, from what, how |
//! | [`step`] | one step, and all operations |
//! | [`condition`] | when a rule, a case or a row applies |
//! | [`policy`] | what becomes of missing values and of steps that fail |
//! | [`table`] | which word on one side is which on the other |
//! | [`test`](mod@test) | examples that must hold |
//! | [`overlay`] | one tenant's changes to a shared mapping |
//! | [`literal`] | exact numbers in the document |
//! | `reading`, `shape`, `locate` | from text to a document, with everything that is wrong and where |
//! | `schema` | the JSON Schema of documents |
//! | `described` | types that know their keys, meaning and schema |

pub mod condition;
pub(crate) mod described;
pub mod document;
pub mod field;
pub mod literal;
mod locate;
pub mod overlay;
pub mod policy;
mod reading;
mod schema;
mod shape;
pub mod step;
pub mod table;
pub mod test;

pub use described::Key;
