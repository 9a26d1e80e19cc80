//! What is said both ways: permissions, environments, standings, rates.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api_keys::{self, CallRate};
use crate::error::Problem;
use crate::web::axum::management::shapes::{mirror, seconds};

mirror!(
    /// What calls do, in four classes.
    Permission of api_keys::Permission {
        /// GET, HEAD, OPTIONS.
        Read,
        /// POST, PUT, PATCH.
        Write,
        /// DELETE.
        Delete,
        /// Whatever the host calls administrative.
        Admin,
    }
);
mirror!(
    /// Which world a key opens.
    Environment of api_keys::Environment { Live, Test }
);
mirror!(
    /// How a key stands.
    KeyStatus of api_keys::KeyStatus {
        Active, Expiring, Rotating, Disabled, NotYetValid, Expired, Exhausted, Revoked, Leaked,
    }
);

/// So many calls in a span of seconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    /// How many calls.
    calls: u32,
    /// In how many seconds.
    seconds: f64,
    /// How many at once after a quiet time; as many as `calls` unless it is said.
    #[serde(default)]
    burst: Option<u32>,
}

impl Rate {
    pub(super) fn checked(self, field: &str, problems: &mut Vec<Problem>) -> Option<CallRate> {
        let before = problems.len();
        let span = seconds(&format!("{field}.seconds"), self.seconds, problems);
        if problems.len() > before {
            return None;
        }
        let rate = CallRate::per(self.calls, span).and_then(|rate| match self.burst {
            Some(burst) => rate.with_burst(burst),
            None => Ok(rate),
        });
        if let Err(invalid) = rate {
            let fix = "use a rate such as 600 calls in 60 seconds, or leave it out";
            problems.push(Problem::new(field, invalid.to_string(), fix));
        }
        rate.ok()
    }

    pub(super) fn of(rate: CallRate) -> Self {
        Self { calls: rate.calls(), seconds: rate.span().as_secs_f64(), burst: Some(rate.burst()) }
    }
}
