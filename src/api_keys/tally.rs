//! How one key is used, kept in memory until it is flushed: calls that are let in write to a counter of their thread's, and to the
//! last use once a second.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};

use crate::activity::model::{Activity, ActivityKind};
use crate::api_keys::model::{CallOutcome, DayCount, KeyUsage, LastUse, Rekeyed};
use crate::api_keys::refusal::Refusal;
use crate::api_keys::route::Route;
use crate::api_keys::shard::{Padded, shard_of, shards};
use crate::primitives::id::{ActivityId, ApiKeyId};
use crate::tenancy::model::{Actor, TenantId};

/// How one key was used since the last flush.
#[derive(Debug)]
pub(crate) struct Tally {
    tenant: TenantId,
    key: ApiKeyId,
    /// Calls that were let in, by thread, and by whether the day's number is even or odd: at a flush, one is today and the other
    /// yesterday.
    allowed: Box<[Padded<[AtomicU64; 2]>]>,
    last_second: AtomicI64,
    last: Mutex<Option<Seen>>,
    refused: Mutex<Vec<Note>>,
    rekeyed: Mutex<Option<Rekeyed>>,
}

/// Calls that were refused for one reason on one day.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) reason: Refusal,
    pub(crate) day: i64,
    pub(crate) count: u64,
    /// The last of them.
    pub(crate) last: Seen,
}

/// One call, without a pointer in it: remembering never allocates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Microseconds.
    at: i64,
    address: Option<IpAddr>,
    route: Route,
}

impl Tally {
    pub(crate) fn new(tenant: TenantId, key: ApiKeyId) -> Self {
        Self {
            tenant,
            key,
            allowed: (0..shards()).map(|_| Padded::default()).collect(),
            last_second: AtomicI64::new(i64::MIN),
            last: Mutex::new(None),
            refused: Mutex::new(Vec::new()),
            rekeyed: Mutex::new(None),
        }
    }

    /// Counts a call that was let in at this time, in microseconds.
    #[inline]
    pub(crate) fn allow(&self, now: i64, address: IpAddr, route: &str) {
        let day = day_of(now);
        let counters = &self.allowed[shard_of(self.allowed.len())].0;
        counters[(day & 1) as usize].fetch_add(1, Ordering::Relaxed);
        let second = now.div_euclid(MICROS_PER_SECOND);
        let seen = self.last_second.load(Ordering::Relaxed);
        if second > seen
            && self.last_second.compare_exchange(seen, second, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            *lock(&self.last) = Some(Seen::new(now, Some(address), route));
        }
    }

    /// Counts a call that was refused.
    pub(crate) fn refuse(&self, reason: Refusal, now: i64, address: Option<IpAddr>, route: &str) {
        let (day, last) = (day_of(now), Seen::new(now, address, route));
        let mut notes = lock(&self.refused);
        match notes.iter_mut().find(|note| note.reason == reason && note.day == day) {
            Some(note) => {
                note.count += 1;
                note.last = last;
            }
            None => notes.push(Note { reason, day, count: 1, last }),
        }
    }

    /// Remembers that the secret can be kept under the present pepper.
    pub(crate) fn rekey(&self, rekeyed: impl FnOnce() -> Rekeyed) {
        let mut waiting = lock(&self.rekeyed);
        if waiting.is_none() {
            *waiting = Some(rekeyed());
        }
    }

    /// What is waiting to be flushed; it goes on waiting.
    pub(crate) fn peek(&self, now: i64) -> (Option<LastUse>, Vec<DayCount>, Vec<Note>) {
        let notes = lock(&self.refused).clone();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (self.last_use(), self.counts(now, load, &notes), notes)
    }

    /// Takes what is waiting, with an entry of the log for each reason; `None` if nothing is.
    pub(crate) fn take(
        &self,
        now: i64,
        mut random: impl FnMut() -> [u8; 10],
    ) -> Option<(KeyUsage, Vec<Activity>)> {
        let notes = std::mem::take(&mut *lock(&self.refused));
        let counts = self.counts(now, |counter| counter.swap(0, Ordering::Relaxed), &notes);
        let rekeyed = lock(&self.rekeyed).take();
        if counts.is_empty() && rekeyed.is_none() {
            return None;
        }
        let mut usage = KeyUsage::new(self.tenant.clone(), self.key);
        (usage.last, usage.counts, usage.rekeyed) = (self.last_use(), counts, rekeyed);
        let entries = notes.iter().map(|note| self.entry(note, random())).collect();
        Some((usage, entries))
    }

    fn last_use(&self) -> Option<LastUse> {
        let seen = (*lock(&self.last))?;
        Some(LastUse::new(time_of(seen.at), seen.address?, seen.route.text()))
    }

    fn counts(&self, now: i64, read: impl Fn(&AtomicU64) -> u64, notes: &[Note]) -> Vec<DayCount> {
        let today = day_of(now);
        let allowed = [today - 1, today].into_iter().map(|day| {
            let sum = self.allowed.iter().map(|shard| read(&shard.0[(day & 1) as usize])).sum();
            DayCount::new(date_of(day), CallOutcome::Allowed, sum)
        });
        let refused = notes
            .iter()
            .map(|note| DayCount::new(date_of(note.day), CallOutcome::Refused(note.reason), note.count));
        DayCount::sum(allowed.chain(refused).filter(|count| count.count > 0))
    }

    /// One entry for all refusals of one reason since the last flush: a flood of them is a line in the log.
    fn entry(&self, note: &Note, random: [u8; 10]) -> Activity {
        let at = time_of(note.last.at);
        let actor = Actor::system(self.tenant.clone(), self.key.to_string());
        let entry =
            Activity::new(ActivityId::mint(at, random), at, &actor, ActivityKind::KeyRefused, self.key)
                .with_detail(REASON, note.reason.as_str())
                .with_detail(COUNT, note.count.to_string());
        let entry = match note.last.address {
            Some(address) => entry.with_detail(ADDRESS, address.to_string()),
            None => entry,
        };
        match note.last.route.text() {
            "" => entry,
            route => entry.with_detail(ROUTE, route),
        }
    }
}

impl Note {
    /// When the last of them was.
    pub(crate) fn at(&self) -> DateTime<Utc> {
        time_of(self.last.at)
    }

    /// From where.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.last.address
    }

    /// For what.
    pub(crate) fn route(&self) -> &str {
        self.last.route.text()
    }
}

impl Seen {
    fn new(at: i64, address: Option<IpAddr>, route: &str) -> Self {
        Self { at, address, route: Route::of(route) }
    }
}

/// Nothing under these locks can panic halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn day_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_DAY)
}

fn date_of(day: i64) -> NaiveDate {
    time_of(day.saturating_mul(MICROS_PER_DAY)).date_naive()
}

fn time_of(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

/// The names of an entry's details.
pub(crate) const REASON: &str = "reason";
pub(crate) const COUNT: &str = "count";
pub(crate) const ADDRESS: &str = "address";
pub(crate) const ROUTE: &str = "route";

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        Tally::new("acme".parse().expect("a tenant"), ApiKeyId::mint(DateTime::UNIX_EPOCH, [7; 10]))
    }

    fn address() -> IpAddr {
        IpAddr::from([203, 0, 113, 9])
    }

    fn noon(day: i64) -> i64 {
        day * MICROS_PER_DAY + MICROS_PER_DAY / 2
    }

    fn counts(usage: &KeyUsage) -> Vec<(String, &'static str, u64)> {
        usage.counts.iter().map(|c| (c.day.to_string(), c.outcome.as_str(), c.count)).collect()
    }

    #[test]
    fn calls_are_counted_on_their_day_and_by_their_outcome() {
        let tally = tally();
        for _ in 0..3 {
            tally.allow(noon(1), address(), "/orders");
        }
        tally.allow(noon(2), address(), "/orders");
        tally.refuse(Refusal::Expired, noon(1), Some(address()), "/orders");
        tally.refuse(Refusal::Expired, noon(2), None, "");
        tally.refuse(Refusal::Expired, noon(2), None, "");

        let (usage, entries) = tally.take(noon(2) + 1, || [0; 10]).expect("something");

        assert_eq!(
            counts(&usage),
            [
                ("1970-01-02".to_owned(), "allowed", 3),
                ("1970-01-02".to_owned(), "expired", 1),
                ("1970-01-03".to_owned(), "allowed", 1),
                ("1970-01-03".to_owned(), "expired", 2),
            ]
        );
        assert_eq!(entries.len(), 2);
        assert!(tally.take(noon(2) + 2, || [0; 10]).is_none(), "it is taken once");
    }

    #[test]
    fn the_last_use_is_kept_to_the_second() {
        let tally = tally();
        tally.allow(5_000_000, address(), "/first");
        tally.allow(5_999_999, address(), "/same second");
        tally.allow(6_000_000, address(), "/next");
        tally.allow(4_000_000, address(), "/earlier");

        let last = tally.take(7_000_000, || [0; 10]).and_then(|(usage, _)| usage.last).expect("a use");

        assert_eq!((last.at.timestamp_micros(), last.address, &*last.route), (6_000_000, address(), "/next"));
    }

    #[test]
    fn a_flood_of_refusals_is_one_entry() {
        let tally = tally();
        for micros in 0..100_000 {
            tally.refuse(Refusal::WrongSecret, micros, Some(address()), "/orders/{id}");
        }

        let (_, entries) = tally.take(100_000, || [9; 10]).expect("something");

        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].kind, ActivityKind::KeyRefused);
        let details: Vec<_> =
            entries[0].details.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            details,
            ["address=203.0.113.9", "count=100000", "reason=wrong_secret", "route=/orders/{id}"]
        );
        assert_eq!(entries[0].at.timestamp_micros(), 99_999);
    }

    #[test]
    fn threads_lose_nothing() {
        let tally = tally();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..5_000).for_each(|at| tally.allow(at, address(), "/")));
            }
        });

        let (usage, _) = tally.take(5_000, || [0; 10]).expect("something");

        assert_eq!(usage.counts.iter().map(|count| count.count).sum::<u64>(), 40_000);
    }

    #[test]
    fn looking_leaves_it_there() {
        let tally = tally();
        tally.allow(noon(1), address(), "/");
        tally.refuse(Refusal::Address, noon(1), Some(address()), "/");

        let (last, counts, notes) = tally.peek(noon(1));

        assert!(last.is_some());
        assert_eq!((counts.len(), notes.len()), (2, 1));
        assert_eq!(tally.take(noon(1), || [0; 10]).map(|(usage, _)| usage.counts), Some(counts));
    }
}
