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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::primitives::stored::proof::{any_damage, comes_back, holds_out};

    #[test]
    fn every_status_has_its_word() -> Result<()> {
        use DeadReason::{
            Exhausted, Expired, Gone, Interrupted, Rejected, SkippedByPerson, Unmapped, Unsendable,
        };
        for (status, word) in [
            (DeliveryStatus::Pending, "pending"),
            (DeliveryStatus::Delivered, "delivered"),
            (DeliveryStatus::Stopped, "stopped"),
            (DeliveryStatus::DeadLetter(Exhausted), "dead_letter.exhausted"),
            (DeliveryStatus::DeadLetter(Gone), "dead_letter.gone"),
            (DeliveryStatus::DeadLetter(Rejected), "dead_letter.rejected"),
            (DeliveryStatus::DeadLetter(Expired), "dead_letter.expired"),
            (DeliveryStatus::DeadLetter(Interrupted), "dead_letter.interrupted"),
            (DeliveryStatus::DeadLetter(Unsendable), "dead_letter.unsendable"),
            (DeliveryStatus::DeadLetter(Unmapped), "dead_letter.unmapped"),
            (DeliveryStatus::DeadLetter(SkippedByPerson), "dead_letter.skipped_by_person"),
            (DeliveryStatus::Skipped(SkipReason::WebhookDisabled), "skipped.webhook_disabled"),
            (DeliveryStatus::Skipped(SkipReason::WebhookDeleted), "skipped.webhook_deleted"),
            (DeliveryStatus::Skipped(SkipReason::Erased), "skipped.erased"),
        ] {
            assert_eq!(status.to_stored()?, word);
            assert_eq!(DeliveryStatus::from_stored(word)?, status);
        }
        Ok(())
    }

    #[test]
    fn no_other_word_is_a_status() {
        for word in [
            "",
            ".",
            "pending.",
            "pending.erased",
            "skipped",
            "skipped.gone",
            "dead_letter.",
            "Pending",
            " pending",
        ] {
            assert!(DeliveryStatus::from_stored(word).is_err(), "{word}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_status_or_an_error(damage in any_damage()) {
            comes_back(&DeliveryStatus::Skipped(SkipReason::Erased))?;
            holds_out::<DeliveryStatus>(&damage.to("skipped.erased"))?;
        }
    }
}
