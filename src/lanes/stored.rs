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
