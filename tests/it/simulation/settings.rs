//! Settings under which much happens in little time, and nothing is given up for its age alone.

use std::time::Duration;

use crossdock::primitives::Backoff;
use crossdock::webhooks::{RetryPolicy, Settings};

use crate::simulation::ledger::LEASE;

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.retry = RetryPolicy::after_seconds([1, 5, 20]);
    settings.lease = LEASE;
    settings.limits.total = Duration::from_secs(10);
    settings.circuit.open = Backoff::doubling(Duration::from_secs(2), Duration::from_secs(8));
    settings.circuit.ramp_step = Duration::from_secs(1);
    settings.auto_disable.without_success = Duration::from_secs(100_000_000);
    settings.max_age = Duration::from_secs(1_000 * 24 * 60 * 60);
    settings
}
