//! A webhook's health as a store keeps it.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Time, says_nothing};
use crate::primitives::stored::record::{self, FormatOne};
use crate::webhooks::health::WebhookHealth;

#[derive(Deserialize, Serialize)]
struct Kept {
    v: FormatOne,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_success_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_failure_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failing_since: Option<Time>,
    #[serde(default, skip_serializing_if = "says_nothing")]
    failed_deliveries: u32,
    #[serde(default, skip_serializing_if = "says_nothing")]
    warned_percent: u8,
}

impl Stored for WebhookHealth {
    fn to_stored(&self) -> Result<String> {
        record::write(
            "write a webhook's health for a store",
            USUAL_LENGTH,
            &Kept {
                v: FormatOne,
                last_success_at: self.last_success_at.map(Time),
                last_failure_at: self.last_failure_at.map(Time),
                failing_since: self.failing_since.map(Time),
                failed_deliveries: self.failed_deliveries,
                warned_percent: self.warned_percent,
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: Kept = record::read("read a webhook's health that a store has kept", text)?;
        let time = |time: Option<Time>| time.map(|Time(time)| time);
        Ok(Self {
            last_success_at: time(kept.last_success_at),
            last_failure_at: time(kept.last_failure_at),
            failing_since: time(kept.failing_since),
            failed_deliveries: kept.failed_deliveries,
            warned_percent: kept.warned_percent,
        })
    }
}

const USUAL_LENGTH: usize = 192;
