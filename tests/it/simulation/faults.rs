//! What goes wrong in a simulated world, counted.

use std::fmt;

macro_rules! faults {
    ($($name:ident => $text:literal,)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Fault { $($name,)* }

        const ALL: &[(Fault, &str)] = &[$((Fault::$name, $text),)*];
    };
}

faults! {
    CrashIdle => "a worker dies while it waits",
    CrashInFlight => "a worker dies with requests in flight",
    CrashBeforeWrite => "a worker dies before its write reaches the store",
    CrashAfterWrite => "a worker dies before it hears that its write was made",
    StallPastLease => "a worker stands still until its leases have ended, then goes on",
    ErrorBeforeWrite => "the store fails without having written",
    ErrorAfterWrite => "the store fails after having written",
    StorePanics => "the store panics",
    LostWake => "a wake-up is lost",
    Hang => "a receiver hangs until the timeout",
    Slow => "a receiver takes its time",
    ServerError => "a receiver answers 500",
    Overloaded => "a receiver answers 429 or 503 with Retry-After",
    Gone => "a receiver answers 410",
    Abort => "a receiver refuses one message for good",
    Broken => "a connection breaks before, or after, the receiver has taken the message",
    Panic => "the transport panics",
    VaultAway => "the vault does not answer",
    Paused => "a webhook is paused and resumed",
    Disabled => "a webhook is disabled",
    Deleted => "a webhook is deleted",
    Resent => "a delivery is resent",
    Replayed => "a replay runs",
    TimeJump => "time jumps ahead",
}

/// How often each kind of fault has happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults([u64; ALL.len()]);

impl Faults {
    pub(crate) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// The kinds that have happened less often than this.
    pub(crate) fn rarer_than(&self, least: u64) -> Vec<String> {
        let rare = ALL.iter().filter(|(fault, _)| self.0[*fault as usize] < least);
        rare.map(|(fault, text)| format!("{text}: {}", self.0[*fault as usize])).collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, text) in ALL {
            writeln!(f, "  {:>9}  {text}", self.0[*fault as usize])?;
        }
        Ok(())
    }
}
