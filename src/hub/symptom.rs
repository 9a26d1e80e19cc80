//! What can be wrong with a hub, in words for its operator.

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;

use crate::error::ErrorKind;

/// One thing that an operator should look at.
///
/// ```
/// use crossdock::hub::{Checkup, Severity};
///
/// /// Whether somebody must be called.
/// fn is_urgent(checkup: &Checkup) -> bool {
///     checkup.findings.iter().any(|symptom| symptom.severity() == Severity::Critical)
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Symptom {
    /// What is wrong.
    pub sign: Sign,
    /// What a part said about it.
    pub said: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// It will become a problem.
    Warning,
    /// Something does not work now.
    Critical,
}

/// What can be wrong with a hub.
///
/// ```
/// use std::time::Duration;
/// use crossdock::hub::Sign;
///
/// let sign = Sign::OutboxLags(Duration::from_secs(75));
///
/// assert_eq!(sign.as_str(), "outbox_lags");
/// assert_eq!(sign.to_string(), "events have waited for 75 s to be fanned out");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Sign {
    /// The store does not answer, or not as it should.
    StoreFails(ErrorKind),
    /// The vault does not seal, or does not open what it has sealed.
    VaultFails(ErrorKind),
    /// The oldest event has waited so long to be fanned out.
    OutboxLags(Duration),
    /// The oldest delivery that is due has been so for so long.
    DeliveriesWait(Duration),
    /// So many leases ended unsettled within the last minute.
    LeasesExpire(u64),
    /// The store's clock is so far ahead of the hub's, or behind it.
    ClockOff(TimeDelta),
    /// So many rows are in a default partition.
    DefaultPartitionFills(i64),
    /// The store's oldest transaction is so old.
    TransactionOld(Duration),
    /// The store drags along so many dead rows.
    DeadTuples(i64),
    /// The store's write-ahead log has so many bytes.
    WalGrows(i64),
    /// What was received and has been due for longest has been so for so long.
    ReceivedWaits(Duration),
    /// So many received items are dead letters.
    DeadLetters(u64),
    /// So many sources of inbound webhooks take what no route handles.
    SourcesUnhandled(u64),
    /// So many sources of inbound webhooks have no secret that is valid.
    SourcesWithoutSecret(u64),
}

impl Symptom {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.sign.severity()
    }

    /// What it means.
    pub fn meaning(&self) -> &'static str {
        self.sign.meaning()
    }

    /// What to do about it.
    pub fn what_to_do(&self) -> &'static str {
        self.sign.what_to_do()
    }
}

impl Sign {
    /// The word that logs and alerts use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoreFails(_) => "store_fails",
            Self::VaultFails(_) => "vault_fails",
            Self::OutboxLags(_) => "outbox_lags",
            Self::DeliveriesWait(_) => "deliveries_wait",
            Self::LeasesExpire(_) => "leases_expire",
            Self::ClockOff(_) => "clock_off",
            Self::DefaultPartitionFills(_) => "default_partition_fills",
            Self::TransactionOld(_) => "transaction_old",
            Self::DeadTuples(_) => "dead_tuples",
            Self::WalGrows(_) => "wal_grows",
            Self::ReceivedWaits(_) => "received_waits",
            Self::DeadLetters(_) => "dead_letters",
            Self::SourcesUnhandled(_) => "sources_unhandled",
            Self::SourcesWithoutSecret(_) => "sources_without_secret",
        }
    }

    /// How bad it is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::StoreFails(_) | Self::VaultFails(_) | Self::OutboxLags(_) => Severity::Critical,
            _ => Severity::Warning,
        }
    }

    /// What it means.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::StoreFails(_) => "nothing can be published, looked at or delivered",
            Self::VaultFails(_) => "deliveries that need a secret wait, and no webhook can be created",
            Self::OutboxLags(_) => "published events reach nobody",
            Self::DeliveriesWait(_) => {
                "workers are too few or too slow, or a receiver is held back: deliveries of paused webhooks count as well"
            }
            Self::LeasesExpire(_) => {
                "workers die or stall between claiming and settling; their deliveries are made twice"
            }
            Self::ClockOff(_) => {
                "workers correct themselves by it, but signatures, schedules and logs carry the time of one clock or the other"
            }
            Self::DefaultPartitionFills(_) => {
                "partitions are not made in time; dropping what is old becomes slow"
            }
            Self::TransactionOld(_) => "dead rows cannot be cleaned up, and every claim reads more of them",
            Self::DeadTuples(_) => "claims read rows that are no more, and become slower",
            Self::WalGrows(_) => "a reader that does not end keeps the log from being written back",
            Self::ReceivedWaits(_) => {
                "no worker hands notifications to handlers, or handlers are too slow: what was acknowledged has no effect yet"
            }
            Self::DeadLetters(_) => "handlers have given up on them: what they say has had no effect",
            Self::SourcesUnhandled(_) => "what they are sent is acknowledged, and then ignored",
            Self::SourcesWithoutSecret(_) => "whatever they are sent is refused",
        }
    }

    /// What to do about it.
    pub const fn what_to_do(self) -> &'static str {
        match self {
            Self::StoreFails(ErrorKind::Corrupt) => {
                "stop the workers and look at the store: what it holds cannot be read back"
            }
            Self::StoreFails(_) => {
                "see whether the server runs, and can be reached and logged into from here"
            }
            Self::VaultFails(ErrorKind::Unavailable) => {
                "see whether the key service answers, and whether this process was given every key"
            }
            Self::VaultFails(_) => "see whether this process was given the same keys as the others",
            Self::OutboxLags(_) => {
                "see whether a worker is running: `hub.worker().run_until(…)`; and what its `Worker::status` says it failed with last"
            }
            Self::DeliveriesWait(_) => {
                "look at which webhooks wait; run more workers, or let more of a webhook be in flight"
            }
            Self::LeasesExpire(_) => {
                "see whether workers are killed or starved; give them time to end, or make leases longer than the slowest request"
            }
            Self::ClockOff(_) => "let both machines follow the same time server",
            Self::DefaultPartitionFills(_) => {
                "see whether a worker does the chores, and whether it may create tables; then move the rows"
            }
            Self::TransactionOld(_) => {
                "find the session in `pg_stat_activity`, and end it if it is idle in a transaction"
            }
            Self::DeadTuples(_) => {
                "see whether autovacuum runs and keeps up; lower its scale factor for these tables"
            }
            Self::WalGrows(_) => "find the reader, in this process or another, and end its transaction",
            Self::ReceivedWaits(_) => {
                "see whether a worker is running: `hub.inbound_worker().run_until(…)`; give it more slots, or run more of them"
            }
            Self::DeadLetters(_) => "read their notes, mend the handler, and replay them",
            Self::SourcesUnhandled(_) => {
                "add a route for their names, or switch them to not implemented: senders then hear 501 and try again"
            }
            Self::SourcesWithoutSecret(_) => "give them a secret, or switch them off",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreFails(kind) => write!(f, "the store fails: {kind}"),
            Self::VaultFails(kind) => write!(f, "the vault fails: {kind}"),
            Self::OutboxLags(lag) => write!(f, "events have waited for {} s to be fanned out", lag.as_secs()),
            Self::DeliveriesWait(age) => write!(f, "a delivery has been due for {} s", age.as_secs()),
            Self::LeasesExpire(count) => write!(f, "{count} leases ended unsettled within a minute"),
            Self::ClockOff(offset) => write!(f, "the store's clock is off by {}", Signed(*offset)),
            Self::DefaultPartitionFills(rows) => write!(f, "the default partition holds {rows} rows"),
            Self::TransactionOld(age) => {
                write!(f, "a transaction has been open in the store for {} s", age.as_secs())
            }
            Self::DeadTuples(rows) => write!(f, "the store drags {rows} dead rows along"),
            Self::WalGrows(bytes) => write!(f, "the write-ahead log has {bytes} bytes"),
            Self::ReceivedWaits(age) => {
                write!(f, "something received has been due for {} s", age.as_secs())
            }
            Self::DeadLetters(count) => write!(f, "{count} received items are dead letters"),
            Self::SourcesUnhandled(count) => write!(f, "nothing handles what {count} sources are sent"),
            Self::SourcesWithoutSecret(count) => write!(f, "{count} sources have no valid secret"),
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.severity(), self.sign)?;
        if let Some(said) = &self.said {
            writeln!(f, "  said: {said}")?;
        }
        writeln!(f, "  means: {}", self.meaning())?;
        write!(f, "  to do: {}", self.what_to_do())
    }
}

/// A span that may lie behind.
pub(super) struct Signed(pub(super) TimeDelta);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+} ms", self.0.num_milliseconds())
    }
}
