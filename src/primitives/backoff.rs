//! Growing waits; the dice are an argument.

use std::time::Duration;

/// A share of randomness from 0 to 1, thrown by the caller.
///
/// ```
/// use crossdock::primitives::Jitter;
///
/// assert_eq!(Jitter::from_bits(0), Jitter::NONE);
/// assert!(Jitter::from_bits(u32::MAX).share() < 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// No randomness: waits are exactly what the table says.
    pub const NONE: Self = Self(0.0);

    /// Random bits as a share in `[0, 1)`.
    pub fn from_bits(bits: u32) -> Self {
        Self(f64::from(bits) / (f64::from(u32::MAX) + 1.0))
    }

    /// The share, at least 0 and below 1.
    pub fn share(self) -> f64 {
        self.0
    }

    /// `wait` and up to `percent` per cent more, never less.
    pub fn stretch(self, wait: Duration, percent: u8) -> Duration {
        wait + wait.mul_f64(self.0 * f64::from(percent) / 100.0)
    }
}

/// Waits that double from `first` up to `cap`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// Doubles from `first`, never above `cap`.
    pub const fn doubling(first: Duration, cap: Duration) -> Self {
        Self { first, cap }
    }

    /// The first wait.
    pub const fn first(&self) -> Duration {
        self.first
    }

    /// The longest wait.
    pub const fn cap(&self) -> Duration {
        self.cap
    }

    /// The wait after this many failures, counted from 1.
    pub fn after(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(31));
        self.first.saturating_mul(factor).min(self.cap)
    }

    /// The same with full jitter: anything from nothing up to the wait.
    pub fn after_with_full_jitter(&self, failures: u32, jitter: Jitter) -> Duration {
        self.after(failures).mul_f64(jitter.share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff::doubling(Duration::from_secs(30), Duration::from_secs(100));

        let waits: Vec<_> =
            [1, 2, 3, 4, 4_000_000_000].map(|failures| backoff.after(failures).as_secs()).into();

        assert_eq!(waits, [30, 60, 100, 100, 100]);
    }

    #[test]
    fn jitter_never_shortens_a_wait() {
        for bits in [0, 1, u32::MAX / 2, u32::MAX] {
            let wait = Jitter::from_bits(bits).stretch(Duration::from_secs(10), 10);

            assert!((Duration::from_secs(10)..=Duration::from_secs(11)).contains(&wait));
        }
    }
}
