//! The form in which stores keep a record.

use crate::error::Result;

/// A record as a store keeps it: JSON text, which [`from_stored`](Self::from_stored) turns back into an equal record.
///
/// Stores that keep rows in a database give columns to what they search by, and keep the rest of a record in this form. It
/// is made for reading back in later versions of this crate: a field that was added later and is missing in the text takes
/// the value that says nothing, and a field that is not known is passed over.
pub trait Stored: Sized {
    /// The record as text.
    ///
    /// # Errors
    /// `Invalid` if the record holds something that has no such form, with the field.
    fn to_stored(&self) -> Result<String>;

    /// The record that was kept as this text.
    ///
    /// # Errors
    /// `Corrupt` if the text is none that [`to_stored`](Self::to_stored) has made.
    fn from_stored(text: &str) -> Result<Self>;
}
