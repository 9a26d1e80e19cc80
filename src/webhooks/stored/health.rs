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

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::primitives::stored::proof::{any_damage, any_time, broken_field, comes_back, holds_out};

    fn any_health() -> impl Strategy<Value = WebhookHealth> {
        let time = || option::of(any_time());
        (time(), time(), time(), any::<u32>(), any::<u8>()).prop_map(
            |(last_success_at, last_failure_at, failing_since, failed_deliveries, warned_percent)| {
                WebhookHealth {
                    last_success_at,
                    last_failure_at,
                    failing_since,
                    failed_deliveries,
                    warned_percent,
                }
            },
        )
    }

    fn full() -> WebhookHealth {
        let at = |hours: i64| DateTime::from_timestamp(1_767_225_600 + hours * 3600, 0);
        WebhookHealth {
            last_success_at: at(0),
            last_failure_at: at(90),
            failing_since: at(1),
            failed_deliveries: 33,
            warned_percent: 70,
        }
    }

    proptest! {
        #[test]
        fn every_health_comes_back(health in any_health()) {
            comes_back(&health)?;
        }

        #[test]
        fn any_text_is_a_health_or_an_error(health in any_health(), damage in any_damage()) {
            holds_out::<WebhookHealth>(&damage.to(&health.to_stored()?))?;
        }
    }

    #[test]
    fn health_is_written_like_this() -> Result<()> {
        insta::assert_snapshot!(full().to_stored()?, @r#"{"v":1,"last_success_at":"2026-01-01T00:00:00Z","last_failure_at":"2026-01-04T18:00:00Z","failing_since":"2026-01-01T01:00:00Z","failed_deliveries":33,"warned_percent":70}"#);
        insta::assert_snapshot!(WebhookHealth::default().to_stored()?, @r#"{"v":1}"#);
        Ok(())
    }

    #[test]
    fn what_the_first_version_wrote_is_read() -> Result<()> {
        assert_eq!(WebhookHealth::from_stored(FIRST)?, full());
        assert_eq!(WebhookHealth::from_stored(r#"{"v":1}"#)?, WebhookHealth::default());
        assert_eq!(broken_field::<WebhookHealth>(r#"{"v":1,"warned_percent":256}"#), "warned_percent");
        Ok(())
    }

    const FIRST: &str = r#"{"v":1,"last_success_at":"2026-01-01T00:00:00Z","last_failure_at":"2026-01-04T18:00:00Z","failing_since":"2026-01-01T01:00:00Z","failed_deliveries":33,"warned_percent":70}"#;
}
