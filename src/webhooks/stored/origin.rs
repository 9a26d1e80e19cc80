//! Why a delivery exists, as a word: `live`, `replay.rpl_…`.

use crate::error::Result;
use crate::primitives::stored::Stored;
use crate::primitives::stored::record;
use crate::webhooks::model::Origin;

impl Stored for Origin {
    fn to_stored(&self) -> Result<String> {
        Ok(match self {
            Self::Replay(id) => format!("{}.{id}", self.as_str()),
            Self::Live | Self::Resend | Self::Test => self.as_str().to_owned(),
        })
    }

    fn from_stored(text: &str) -> Result<Self> {
        let origin = match text {
            "live" => Some(Self::Live),
            "resend" => Some(Self::Resend),
            "test" => Some(Self::Test),
            other => other.strip_prefix("replay.").and_then(|id| id.parse().ok()).map(Self::Replay),
        };
        origin.ok_or_else(|| record::corrupt("read the origin of a delivery that a store has kept", "origin"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::primitives::id::ReplayId;
    use crate::primitives::stored::proof::{any_damage, comes_back, holds_out};

    #[test]
    fn every_origin_has_its_word() -> Result<()> {
        let replay = ReplayId::mint(chrono::DateTime::UNIX_EPOCH, [7; 10]);
        for (origin, word) in [
            (Origin::Live, "live"),
            (Origin::Resend, "resend"),
            (Origin::Test, "test"),
            (Origin::Replay(replay), "replay.rpl_0000000000ew3re1r70w3ge1r7"),
        ] {
            assert_eq!(origin.to_stored()?, word);
            assert_eq!(Origin::from_stored(word)?, origin);
        }
        for word in ["", "replay", "replay.", "replay.evt_0000000000ew3re1r70w3ge1r7", "LIVE", "live.x"] {
            assert!(Origin::from_stored(word).is_err(), "{word}");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_replay_comes_back(id in any::<u128>(), damage in any_damage()) {
            let origin = Origin::Replay(ReplayId::from_uuid(uuid::Uuid::from_u128(id)));
            comes_back(&origin)?;
            holds_out::<Origin>(&damage.to(&origin.to_stored()?))?;
        }
    }
}
