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
