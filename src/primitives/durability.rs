//! Whether a store outlives the process.

/// Whether what a store keeps outlives the process.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Durability {
    /// It ends with the process; so may the keys that its secrets hang on.
    Process,
    /// It lasts: a hub on it needs keys that last as well.
    Lasting,
}
