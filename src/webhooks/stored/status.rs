//! How a delivery stands, as a word: `pending`, `dead_letter.exhausted`.

use crate::error::Result;
use crate::primitives::stored::Stored;
use crate::primitives::stored::record;
use crate::primitives::stored::word::Word;
use crate::webhooks::model::{DeadReason, DeliveryStatus, SkipReason, StatusKind};

impl Stored for DeliveryStatus {
    fn to_stored(&self) -> Result<String> {
        let kind = self.kind().as_str();
        Ok(self.reason().map_or_else(|| kind.to_owned(), |reason| format!("{kind}.{reason}")))
    }

    fn from_stored(text: &str) -> Result<Self> {
        let (kind, reason) = text.split_once('.').map_or((text, None), |(kind, why)| (kind, Some(why)));
        let status = match (StatusKind::from_word(kind), reason) {
            (Some(StatusKind::Pending), None) => Some(Self::Pending),
            (Some(StatusKind::Delivered), None) => Some(Self::Delivered),
            (Some(StatusKind::Stopped), None) => Some(Self::Stopped),
            (Some(StatusKind::DeadLetter), Some(why)) => DeadReason::from_word(why).map(Self::DeadLetter),
            (Some(StatusKind::Skipped), Some(why)) => SkipReason::from_word(why).map(Self::Skipped),
            _ => None,
        };
        status.ok_or_else(|| record::corrupt("read the status of a delivery that a store has kept", "status"))
    }
}
