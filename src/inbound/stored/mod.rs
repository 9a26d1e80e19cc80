//! Sources, and what was received from them, as stores keep them.

mod received;
mod source;

pub use received::subject_in_store;
