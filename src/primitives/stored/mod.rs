//! The form in which stores keep a record.
//!
//! What is inside the text belongs to the slice that owns the record; what all of them share stands here.

pub(crate) mod field;
#[cfg(test)]
pub(crate) mod proof;
pub(crate) mod record;
pub(crate) mod word;

use crate::error::Result;

/// A record as a store keeps it: one line of text, which [`from_stored`](Self::from_stored) turns back into an equal record.
///
/// Stores that keep rows in a database give columns to what they search by, and keep the rest of a record in this form.
/// Records are JSON objects; what stands in a column of its own, such as a status, is a short word. Times are RFC 3339,
/// lengths of time nanoseconds, bytes base64.
///
/// It is made for reading back in later versions of this crate: a field that was added later and is missing in the text
/// takes the value that says nothing, and a field that is not known is passed over. A record carries the number of its
/// format as `v`; a number that this version does not know is refused, because guessing would lose what it means.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::ErrorKind;
/// use crossdock::events::EventHead;
/// use crossdock::primitives::{EventId, Stored};
/// use crossdock::webhooks::{DeadReason, DeliveryStatus};
///
/// let now = DateTime::UNIX_EPOCH;
/// let head = EventHead::new(EventId::mint(now, [7; 10]), "org_42".parse()?, "shipment.shipped".parse()?, now);
///
/// let text = head.to_stored()?;
/// assert!(text.starts_with(r#"{"v":1,"id":"evt_0000000000ew3re1r70w3ge1r7","tenant":"org_42","#));
/// assert_eq!(EventHead::from_stored(&text)?, head);
///
/// let status = DeliveryStatus::DeadLetter(DeadReason::Exhausted);
/// assert_eq!(status.to_stored()?, "dead_letter.exhausted");
///
/// // What cannot be read says where, and never what stood there.
/// let error = EventHead::from_stored(&text.replace("shipment.shipped", "?")).unwrap_err();
/// assert_eq!((error.kind(), &*error.problems()[0].field), (ErrorKind::Corrupt, "type"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Stored: Sized {
    /// The record as text.
    ///
    /// # Errors
    /// `Invalid` if the record holds something that has no such form, with the field.
    fn to_stored(&self) -> Result<String>;

    /// The record that was kept as this text.
    ///
    /// # Errors
    /// `Corrupt` if the text is none that [`to_stored`](Self::to_stored) has made, with the field.
    fn from_stored(text: &str) -> Result<Self>;
}
