//! What a store keeps of a lane: its circuit and its tokens.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::lanes::throttle::{Brake, TokenBucket};
use crate::primitives::stored::Stored;
use crate::primitives::stored::field::{Exact, Time, says_nothing};
use crate::primitives::stored::record::{self, FormatOne};

#[derive(Deserialize, Serialize)]
struct KeptBrake {
    v: FormatOne,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_until: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(default, skip_serializing_if = "says_nothing")]
    openings: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ramp_at: Option<Time>,
}

#[derive(Deserialize, Serialize)]
struct KeptBucket {
    v: FormatOne,
    tokens: Exact,
    at: Time,
}

impl Stored for Brake {
    fn to_stored(&self) -> Result<String> {
        record::write(
            "write a circuit for a store",
            USUAL_LENGTH,
            &KeptBrake {
                v: FormatOne,
                open_until: self.open_until().map(Time),
                limit: self.limit(),
                openings: self.openings(),
                ramp_at: self.ramp_at().map(Time),
            },
        )
    }

    fn from_stored(text: &str) -> Result<Self> {
        let kept: KeptBrake = record::read("read a circuit that a store has kept", text)?;
        let time = |time: Option<Time>| time.map(|Time(time)| time);
        Ok(Self::from_parts(time(kept.open_until), kept.limit, kept.openings, time(kept.ramp_at)))
    }
}

impl Stored for TokenBucket {
    fn to_stored(&self) -> Result<String> {
        let (tokens, at) = self.parts();
        let kept = KeptBucket { v: FormatOne, tokens: Exact(tokens), at: Time(at) };
        record::write("write tokens for a store", USUAL_LENGTH, &kept)
    }

    fn from_stored(text: &str) -> Result<Self> {
        const STEP: &str = "read tokens that a store has kept";
        let kept: KeptBucket = record::read(STEP, text)?;
        Self::from_parts(kept.tokens.0, kept.at.0).ok_or_else(|| record::corrupt(STEP, "tokens"))
    }
}

/// Two times, and a few numbers.
const USUAL_LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::lanes::throttle::RateLimit;
    use crate::primitives::stored::proof::{any_damage, any_time, broken_field, comes_back, holds_out};

    fn any_brake() -> impl Strategy<Value = Brake> {
        (option::of(any_time()), option::of(any::<u32>()), any::<u32>(), option::of(any_time())).prop_map(
            |(open_until, limit, openings, ramp_at)| Brake::from_parts(open_until, limit, openings, ramp_at),
        )
    }

    fn any_bucket() -> impl Strategy<Value = TokenBucket> {
        let tokens = prop_oneof![0.0..=100_000.0_f64, Just(0.0), Just(f64::MIN_POSITIVE), Just(0.1 + 0.2)];
        (tokens, any_time()).prop_map(|(tokens, at)| TokenBucket::from_parts(tokens, at).expect("a bucket"))
    }

    proptest! {
        #[test]
        fn every_brake_comes_back(brake in any_brake()) {
            comes_back(&brake)?;
        }

        #[test]
        fn every_bucket_comes_back_to_the_last_bit(bucket in any_bucket()) {
            comes_back(&bucket)?;
            let back = TokenBucket::from_stored(&bucket.to_stored()?)?;
            prop_assert_eq!(back.parts().0.to_bits(), bucket.parts().0.to_bits());
        }

        #[test]
        fn any_text_is_a_lane_or_an_error(brake in any_brake(), bucket in any_bucket(), damage in any_damage()) {
            holds_out::<Brake>(&damage.to(&brake.to_stored()?))?;
            holds_out::<TokenBucket>(&damage.to(&bucket.to_stored()?))?;
        }
    }

    fn open() -> Brake {
        let at = |seconds: i64| DateTime::from_timestamp(1_767_225_600 + seconds, 0);
        Brake::from_parts(at(30), Some(1), 3, at(5))
    }

    fn half() -> TokenBucket {
        let limit = RateLimit::per_second(5.0).and_then(|limit| limit.with_burst(10)).expect("a limit");
        let mut bucket = TokenBucket::full(&limit, DateTime::UNIX_EPOCH);
        bucket.take(&limit, DateTime::UNIX_EPOCH, 10);
        bucket.take(&limit, DateTime::from_timestamp_nanos(123_456_789), 0);
        bucket
    }

    #[test]
    fn a_lane_is_written_like_this() -> Result<()> {
        insta::assert_snapshot!(open().to_stored()?, @r#"{"v":1,"open_until":"2026-01-01T00:00:30Z","limit":1,"openings":3,"ramp_at":"2026-01-01T00:00:05Z"}"#);
        insta::assert_snapshot!(Brake::RELEASED.to_stored()?, @r#"{"v":1}"#);
        insta::assert_snapshot!(half().to_stored()?, @r#"{"v":1,"tokens":0.617283945,"at":"1970-01-01T00:00:00.123456789Z"}"#);
        Ok(())
    }

    #[test]
    fn what_the_first_version_wrote_is_read() -> Result<()> {
        assert_eq!(Brake::from_stored(FIRST_BRAKE)?, open());
        assert_eq!(Brake::from_stored(r#"{"v":1}"#)?, Brake::RELEASED);
        assert_eq!(TokenBucket::from_stored(FIRST_BUCKET)?, half());
        Ok(())
    }

    #[test]
    fn tokens_are_a_number_that_a_bucket_can_hold() {
        for tokens in ["-1", "100001", "1e999", "null", "\"5\"", "[]"] {
            let text = format!(r#"{{"v":1,"tokens":{tokens},"at":"2026-01-01T00:00:00Z"}}"#);
            assert_eq!(broken_field::<TokenBucket>(&text), "tokens", "{text}");
        }
    }

    const FIRST_BRAKE: &str = r#"{"v":1,"open_until":"2026-01-01T00:00:30Z","limit":1,"openings":3,"ramp_at":"2026-01-01T00:00:05Z"}"#;
    const FIRST_BUCKET: &str = r#"{"v":1,"tokens":0.617283945,"at":"1970-01-01T00:00:00.123456789Z"}"#;
}
