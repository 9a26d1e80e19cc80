//! How a hub stands, and what an operator should do about it: pure, so that each finding can be shown alone.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::hub::symptom::{Sign, Signed, Symptom};
use crate::inbound::service::examine::InboundState;
use crate::inbound::store::InboundExamination;
use crate::webhooks::queue::Examination;

/// How a hub stands; from [`Hub::doctor`](crate::Hub::doctor). Its `Display` is for a terminal.
///
/// ```
/// use crossdock::Hub;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), crossdock::Error> {
/// let hub = Hub::builder().build()?;
///
/// let checkup = hub.doctor().await;
///
/// assert!(checkup.findings.is_empty(), "{checkup}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Checkup {
    /// When that was, by the hub's clock.
    pub at: DateTime<Utc>,
    /// How the queue stands; `None` if the store did not answer.
    pub queue: Option<Examination>,
    /// How what was received stands; `None` if its store did not answer.
    pub received: Option<InboundExamination>,
    /// How many sources of inbound webhooks take what no route handles; of tenants', some hundreds are looked at.
    pub sources_unhandled: u64,
    /// How many sources of inbound webhooks have no secret that is valid.
    pub sources_without_secret: u64,
    /// What is wrong by [`Thresholds::default`], the worst first.
    pub findings: Vec<Symptom>,
    /// What parts said instead of doing their work.
    failures: Vec<Symptom>,
}

/// From where on a number is a finding.
///
/// ```
/// use std::time::Duration;
/// use crossdock::hub::{Checkup, Thresholds};
///
/// fn is_fine(checkup: &Checkup) -> bool {
///     let mut strict = Thresholds::default();
///     strict.outbox_lag = Duration::from_secs(5);
///     checkup.judge(&strict).is_empty()
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Thresholds {
    /// Events that wait longer to be fanned out; 60 s by default.
    pub outbox_lag: Duration,
    /// Deliveries that are due for longer; 15 minutes by default.
    pub due_age: Duration,
    /// More expired leases within a minute; 10 by default.
    pub expired_leases: u64,
    /// A store's clock that is off by more; 1 s by default.
    pub clock_offset: Duration,
    /// More rows in a default partition; none by default.
    pub default_partition_rows: i64,
    /// A transaction that is open for longer; 10 minutes by default.
    pub transaction_age: Duration,
    /// More dead rows; a million by default.
    pub dead_tuples: i64,
    /// A longer write-ahead log; 256 MiB by default.
    pub wal_bytes: i64,
    /// Something received that is due for longer; 15 minutes by default.
    pub received_age: Duration,
    /// More dead letters among what was received; 100 by default.
    pub dead_letters: u64,
}

impl Checkup {
    /// What the parts have answered at this time, judged.
    pub(super) fn new(at: DateTime<Utc>, store: Result<Examination>, vault: Result<()>) -> Self {
        let failed = |error: &Error, sign: fn(ErrorKind) -> Sign| Symptom {
            sign: sign(error.kind()),
            said: Some(error.in_words()),
        };
        let store_failed = store.as_ref().err().map(|error| failed(error, Sign::StoreFails));
        let vault_failed = vault.as_ref().err().map(|error| failed(error, Sign::VaultFails));
        let failures = store_failed.into_iter().chain(vault_failed).collect();
        let mut checkup = Self {
            at,
            queue: store.ok(),
            received: None,
            sources_unhandled: 0,
            sources_without_secret: 0,
            findings: Vec::new(),
            failures,
        };
        checkup.findings = checkup.judge(&Thresholds::default());
        checkup
    }

    /// The same with what was found about inbound webhooks.
    pub(super) fn with_inbound(mut self, found: Result<InboundState>) -> Self {
        match found {
            Ok(state) => {
                self.received = Some(state.received);
                self.sources_unhandled = state.unhandled;
                self.sources_without_secret = state.without_secret;
            }
            // It is mostly one store, and that it fails need not be said twice.
            Err(error) if self.queue.is_some() => {
                let sign = Sign::StoreFails(error.kind());
                self.failures.push(Symptom { sign, said: Some(error.in_words()) });
            }
            Err(_) => {}
        }
        self.findings = self.judge(&Thresholds::default());
        self
    }

    /// Whether nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.findings.is_empty()
    }

    /// How long the oldest event has waited to be fanned out; zero if none waits, `None` if the store did not answer.
    pub fn outbox_lag(&self) -> Option<Duration> {
        self.queue.as_ref().map(|queue| self.age_of(queue.oldest_in_outbox))
    }

    /// How long the oldest due delivery has been due; zero if none is, `None` if the store did not answer.
    pub fn due_age(&self) -> Option<Duration> {
        self.queue.as_ref().map(|queue| self.age_of(queue.oldest_due))
    }

    /// How long what was received and is due has been so; zero if nothing is, `None` if its store did not answer.
    pub fn received_age(&self) -> Option<Duration> {
        self.received.map(|received| self.age_of(received.oldest_due))
    }

    /// How far the store's clock is ahead of the hub's, or behind it; `None` if it has none.
    pub fn clock_offset(&self) -> Option<TimeDelta> {
        Some(self.queue.as_ref()?.store_clock? - self.at)
    }

    /// What is wrong by these thresholds, the worst first.
    pub fn judge(&self, thresholds: &Thresholds) -> Vec<Symptom> {
        let numbers = self.queue.iter().flat_map(|queue| self.judge_queue(queue, thresholds));
        let numbers = numbers.chain(self.judge_inbound(thresholds)).map(|sign| Symptom { sign, said: None });
        let mut symptoms: Vec<_> = self.failures.iter().cloned().chain(numbers).collect();
        symptoms.sort_by_key(|symptom| std::cmp::Reverse(symptom.severity()));
        symptoms
    }

    fn judge_queue(&self, queue: &Examination, thresholds: &Thresholds) -> Vec<Sign> {
        let vital = |name: &str| queue.vitals.get(name).copied().unwrap_or_default();
        let above = |found: i64, limit: i64| (found > limit).then_some(found);
        let longer = |found: Duration, limit: Duration| (found > limit).then_some(found);
        let transaction =
            Duration::from_secs(u64::try_from(vital("oldest_transaction_seconds")).unwrap_or(0));
        let offset = self.clock_offset().filter(|offset| {
            let distance = offset.abs().to_std().unwrap_or(Duration::MAX);
            distance > thresholds.clock_offset
        });
        let leases = queue.expired_leases_per_minute;
        [
            longer(self.age_of(queue.oldest_in_outbox), thresholds.outbox_lag).map(Sign::OutboxLags),
            longer(self.age_of(queue.oldest_due), thresholds.due_age).map(Sign::DeliveriesWait),
            (leases > thresholds.expired_leases).then_some(Sign::LeasesExpire(leases)),
            offset.map(Sign::ClockOff),
            above(vital("default_partition_rows"), thresholds.default_partition_rows)
                .map(Sign::DefaultPartitionFills),
            longer(transaction, thresholds.transaction_age).map(Sign::TransactionOld),
            above(vital("dead_tuples"), thresholds.dead_tuples).map(Sign::DeadTuples),
            above(vital("wal_bytes"), thresholds.wal_bytes).map(Sign::WalGrows),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn judge_inbound(&self, thresholds: &Thresholds) -> Vec<Sign> {
        let age = self.received_age().filter(|age| *age > thresholds.received_age);
        let dead = self.received.map(|received| received.dead).filter(|dead| *dead > thresholds.dead_letters);
        let some = |count: u64| (count > 0).then_some(count);
        [
            age.map(Sign::ReceivedWaits),
            dead.map(Sign::DeadLetters),
            some(self.sources_unhandled).map(Sign::SourcesUnhandled),
            some(self.sources_without_secret).map(Sign::SourcesWithoutSecret),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn age_of(&self, since: Option<DateTime<Utc>>) -> Duration {
        since.and_then(|since| (self.at - since).to_std().ok()).unwrap_or_default()
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            outbox_lag: Duration::from_secs(60),
            due_age: Duration::from_secs(15 * 60),
            expired_leases: 10,
            clock_offset: Duration::from_secs(1),
            default_partition_rows: 0,
            transaction_age: Duration::from_secs(10 * 60),
            dead_tuples: 1_000_000,
            wal_bytes: 256 * 1024 * 1024,
            received_age: Duration::from_secs(15 * 60),
            dead_letters: 100,
        }
    }
}

impl fmt::Display for Checkup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        match self.findings.len() {
            0 => write!(f, "{at}: healthy")?,
            1 => write!(f, "{at}: 1 finding")?,
            count => write!(f, "{at}: {count} findings")?,
        }
        for symptom in &self.findings {
            write!(f, "\n{symptom}")?;
        }
        let Some(queue) = &self.queue else { return Ok(()) };
        write!(f, "\noutbox: {} events, the oldest for {} s", queue.outbox, seconds(self.outbox_lag()))?;
        write!(f, "\ndue: for {} s", seconds(self.due_age()))?;
        let (live, expired) = (queue.live_leases, queue.expired_leases_per_minute);
        write!(f, "\nleases: {live} live, {expired} expired within a minute")?;
        if let Some(offset) = self.clock_offset() {
            write!(f, "\nclock: off by {}", Signed(offset))?;
        }
        for (name, value) in &queue.vitals {
            write!(f, "\n{name}: {value}")?;
        }
        if let Some(received) = &self.received {
            let age = seconds(self.received_age());
            write!(f, "\nreceived: due for {age} s, {} dead letters", received.dead)?;
        }
        Ok(())
    }
}

fn seconds(span: Option<Duration>) -> u64 {
    span.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).expect("a time")
    }

    fn examined(change: impl FnOnce(&mut Examination)) -> Checkup {
        let mut queue = Examination::default();
        change(&mut queue);
        Checkup::new(at(), Ok(queue), Ok(()))
    }

    fn signs(checkup: &Checkup) -> Vec<Sign> {
        checkup.findings.iter().map(|symptom| symptom.sign).collect()
    }

    #[test]
    fn each_number_is_a_finding_beyond_its_threshold_and_not_at_it() {
        type Change = fn(&mut Examination, i64);
        let table: [(Change, i64, Sign); 9] = [
            (
                |queue, at_s| queue.oldest_in_outbox = Some(at() - TimeDelta::seconds(at_s)),
                60,
                Sign::OutboxLags(Duration::from_secs(61)),
            ),
            (
                |queue, at_s| queue.oldest_due = Some(at() - TimeDelta::seconds(at_s)),
                900,
                Sign::DeliveriesWait(Duration::from_secs(901)),
            ),
            (
                |queue, count| queue.expired_leases_per_minute = count.unsigned_abs(),
                10,
                Sign::LeasesExpire(11),
            ),
            (
                |queue, off| queue.store_clock = Some(at() + TimeDelta::seconds(off)),
                1,
                Sign::ClockOff(TimeDelta::seconds(2)),
            ),
            (
                |queue, off| queue.store_clock = Some(at() - TimeDelta::seconds(off)),
                1,
                Sign::ClockOff(TimeDelta::seconds(-2)),
            ),
            (vital("default_partition_rows"), 0, Sign::DefaultPartitionFills(1)),
            (vital("oldest_transaction_seconds"), 600, Sign::TransactionOld(Duration::from_secs(601))),
            (vital("dead_tuples"), 1_000_000, Sign::DeadTuples(1_000_001)),
            (vital("wal_bytes"), 268_435_456, Sign::WalGrows(268_435_457)),
        ];
        for (change, limit, sign) in table {
            let fine = examined(|queue| change(queue, limit));
            assert!(fine.is_healthy(), "{fine}");
            assert_eq!(signs(&examined(|queue| change(queue, limit + 1))), [sign]);
        }
    }

    fn vital(name: &'static str) -> fn(&mut Examination, i64) {
        match name {
            "default_partition_rows" => |queue, value| {
                queue.vitals.insert("default_partition_rows", value);
            },
            "oldest_transaction_seconds" => |queue, value| {
                queue.vitals.insert("oldest_transaction_seconds", value);
            },
            "dead_tuples" => |queue, value| {
                queue.vitals.insert("dead_tuples", value);
            },
            _ => |queue, value| {
                queue.vitals.insert("wal_bytes", value);
            },
        }
    }

    #[test]
    fn what_was_received_is_judged_by_its_thresholds() {
        let state = |seconds, dead, unhandled| {
            let received = InboundExamination::new(Some(at() - TimeDelta::seconds(seconds)), dead);
            examined(|_| {}).with_inbound(Ok(InboundState { received, unhandled, without_secret: unhandled }))
        };

        assert!(state(900, 100, 0).is_healthy());
        assert_eq!(
            signs(&state(901, 101, 2)),
            [
                Sign::ReceivedWaits(Duration::from_secs(901)),
                Sign::DeadLetters(101),
                Sign::SourcesUnhandled(2),
                Sign::SourcesWithoutSecret(2),
            ]
        );
        let away = || Error::new(ErrorKind::Unavailable, "reach the store");
        let found = examined(|_| {}).with_inbound(Err(away()));
        assert_eq!(signs(&found), [Sign::StoreFails(ErrorKind::Unavailable)]);
        let once = Checkup::new(at(), Err(away()), Ok(())).with_inbound(Err(away()));
        assert_eq!(signs(&once), [Sign::StoreFails(ErrorKind::Unavailable)]);
    }

    #[test]
    fn what_lies_in_the_future_has_no_age() {
        let later = Some(at() + TimeDelta::days(1));
        let checkup = examined(|queue| {
            queue.oldest_due = later;
            queue.oldest_in_outbox = later;
            queue.vitals.insert("oldest_transaction_seconds", i64::MIN);
        });

        assert!(checkup.is_healthy());
        assert_eq!((checkup.outbox_lag(), checkup.due_age()), (Some(Duration::ZERO), Some(Duration::ZERO)));
    }

    #[test]
    fn the_worst_comes_first_and_an_operator_can_read_it() {
        let checkup = examined(|queue| {
            queue.outbox = 12;
            queue.oldest_in_outbox = Some(at() - TimeDelta::seconds(75));
            queue.live_leases = 4;
            queue.store_clock = Some(at() - TimeDelta::milliseconds(1_500));
            queue.vitals.insert("schema_version", 3);
            queue.vitals.insert("dead_tuples", 2_000_000);
        });

        insta::assert_snapshot!(checkup, @r"
        2026-01-01T00:00:00Z: 3 findings
        critical: events have waited for 75 s to be fanned out
          means: published events reach nobody
          to do: see whether a worker is running: `hub.worker().run_until(…)`; and what its `Worker::status` says it failed with last
        warning: the store's clock is off by -1500 ms
          means: workers correct themselves by it, but signatures, schedules and logs carry the time of one clock or the other
          to do: let both machines follow the same time server
        warning: the store drags 2000000 dead rows along
          means: claims read rows that are no more, and become slower
          to do: see whether autovacuum runs and keeps up; lower its scale factor for these tables
        outbox: 12 events, the oldest for 75 s
        due: for 0 s
        leases: 4 live, 0 expired within a minute
        clock: off by -1500 ms
        dead_tuples: 2000000
        schema_version: 3
        ");
    }

    #[test]
    fn a_part_that_fails_is_a_finding_with_what_it_said() {
        let refused = Error::new(ErrorKind::Unavailable, "reach the store")
            .with_source(std::io::Error::other("connection refused"));
        let damaged = Error::new(ErrorKind::Corrupt, "open a sealed secret");

        let checkup = Checkup::new(at(), Err(refused), Err(damaged));

        assert_eq!((checkup.outbox_lag(), checkup.due_age(), checkup.clock_offset()), (None, None, None));
        insta::assert_snapshot!(checkup, @r"
        2026-01-01T00:00:00Z: 2 findings
        critical: the store fails: unavailable
          said: could not reach the store: unavailable: connection refused
          means: nothing can be published, looked at or delivered
          to do: see whether the server runs, and can be reached and logged into from here
        critical: the vault fails: corrupt
          said: could not open a sealed secret: corrupt
          means: deliveries that need a secret wait, and no webhook can be created
          to do: see whether this process was given the same keys as the others
        ");
    }

    #[test]
    fn an_operator_may_be_stricter() {
        let checkup = examined(|queue| queue.expired_leases_per_minute = 1);
        let strict = Thresholds { expired_leases: 0, ..Thresholds::default() };

        assert!(checkup.is_healthy());
        assert_eq!(checkup.judge(&strict)[0].sign, Sign::LeasesExpire(1));
    }
}
