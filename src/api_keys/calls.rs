//! How calls were answered, kept in memory until they are flushed: one short lock of the thread's own shard for each call, and no
//! memory but for the first call of its kind in a minute.

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::DateTime;
use http::{Method, StatusCode};

use crate::activity::model::{Activity, ActivityKind};
use crate::api_keys::route::Route;
use crate::api_keys::settings::CallLogging;
use crate::api_keys::shard::{Padded, shard_of, shards};
use crate::primitives::id::{ActivityId, ApiKeyId};
use crate::tenancy::model::{Actor, TenantId};

/// How calls were answered since the last flush.
#[derive(Debug)]
pub(crate) struct Calls {
    logging: CallLogging,
    shards: Box<[Padded<Mutex<Shard>>]>,
    /// How many calls are in no entry, because there was too much to remember.
    missed: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    cells: HashMap<CellName, Cell>,
    failed: Vec<Failed>,
}

/// What was called.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct CallPlace {
    method: u8,
    route: Route,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Microseconds.
    pub(crate) at: i64,
    /// Microseconds.
    pub(crate) latency: u64,
    pub(crate) status: StatusCode,
    pub(crate) address: IpAddr,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct CellName {
    key: ApiKeyId,
    place: CallPlace,
    /// The first digit of the status.
    class: u8,
    minute: i64,
}

#[derive(Clone, Debug)]
struct Cell {
    tenant: TenantId,
    /// How many, those that are told one by one not among them.
    count: u64,
    /// How many are told one by one.
    told: u32,
    latency: u64,
    longest: u64,
    last: i64,
    address: IpAddr,
}

#[derive(Clone, Debug)]
struct Failed {
    tenant: TenantId,
    key: ApiKeyId,
    place: CallPlace,
    ended: Ended,
}

impl CallPlace {
    #[inline]
    pub(crate) fn new(method: &Method, route: Route) -> Self {
        let known = METHODS.iter().position(|known| known == method);
        // There are nine of them.
        Self { method: known.unwrap_or(METHODS.len()) as u8, route }
    }

    fn method(&self) -> &'static str {
        METHOD_NAMES.get(usize::from(self.method)).copied().unwrap_or("OTHER")
    }
}

impl Calls {
    pub(crate) fn new(logging: CallLogging) -> Self {
        Self {
            logging,
            shards: (0..shards()).map(|_| Padded::default()).collect(),
            missed: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn record(&self, tenant: &TenantId, key: ApiKeyId, place: &CallPlace, ended: &Ended) {
        let is_error = ended.status.as_u16() >= 400;
        match self.logging {
            CallLogging::Everything => {}
            CallLogging::Errors if is_error => {}
            CallLogging::Errors | CallLogging::Nothing => return,
        }
        let name = CellName {
            key,
            place: *place,
            // Statuses have three digits.
            class: (ended.status.as_u16() / 100) as u8,
            minute: ended.at.div_euclid(MICROS_PER_MINUTE),
        };
        let shard = &self.shards[shard_of(self.shards.len())].0;
        // Nothing under this lock can panic halfway.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if !shard.count(tenant, name, ended, is_error) {
            drop(shard);
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Takes what is remembered, as entries of the log, oldest first.
    pub(crate) fn take(&self, mut random: impl FnMut() -> [u8; 10]) -> Vec<Activity> {
        let mut cells: HashMap<CellName, Cell> = HashMap::new();
        let mut entries = Vec::new();
        for shard in &self.shards {
            let taken = mem::take(&mut *shard.0.lock().unwrap_or_else(PoisonError::into_inner));
            entries.extend(taken.failed.iter().map(|failed| failed.entry(random())));
            for (name, cell) in taken.cells {
                match cells.get_mut(&name) {
                    Some(sum) => sum.add(&cell),
                    None => drop(cells.insert(name, cell)),
                }
            }
        }
        let counted = cells.iter().filter(|(_, cell)| cell.count > 0);
        entries.extend(counted.map(|(name, cell)| cell.entry(name, random())));
        entries.sort_by_key(|entry| (entry.at, entry.id));
        entries
    }
}

impl Shard {
    /// Says whether there was room.
    #[inline]
    fn count(&mut self, tenant: &TenantId, name: CellName, ended: &Ended, is_error: bool) -> bool {
        if let Some(cell) = self.cells.get_mut(&name) {
            if is_error && cell.told < TOLD_OF_A_KIND && self.failed.len() < most(MOST_TOLD) {
                cell.told += 1;
                self.failed.push(Failed::new(tenant, name, ended));
            } else {
                cell.see(ended);
            }
            return true;
        }
        self.begin(tenant, name, ended, is_error)
    }

    #[cold]
    fn begin(&mut self, tenant: &TenantId, mut name: CellName, ended: &Ended, is_error: bool) -> bool {
        if self.cells.len() >= most(MOST_CELLS) {
            // Without its route there are not many kinds of calls.
            name.place.route = Route::of("");
        }
        if let Some(cell) = self.cells.get_mut(&name) {
            cell.see(ended);
            return true;
        }
        if self.cells.len() >= 2 * most(MOST_CELLS) {
            return false;
        }
        let mut cell = Cell::new(tenant, ended);
        if is_error && self.failed.len() < most(MOST_TOLD) {
            cell.told = 1;
            self.failed.push(Failed::new(tenant, name, ended));
        } else {
            cell.see(ended);
        }
        self.cells.insert(name, cell);
        true
    }
}

impl Cell {
    fn new(tenant: &TenantId, ended: &Ended) -> Self {
        Self {
            tenant: tenant.clone(),
            count: 0,
            told: 0,
            latency: 0,
            longest: 0,
            last: ended.at,
            address: ended.address,
        }
    }

    #[inline]
    fn see(&mut self, ended: &Ended) {
        self.count += 1;
        self.latency = self.latency.saturating_add(ended.latency);
        self.longest = self.longest.max(ended.latency);
        if self.last <= ended.at {
            (self.last, self.address) = (ended.at, ended.address);
        }
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.latency = self.latency.saturating_add(other.latency);
        self.longest = self.longest.max(other.longest);
        if self.last <= other.last {
            (self.last, self.address) = (other.last, other.address);
        }
    }

    fn entry(&self, name: &CellName, random: [u8; 10]) -> Activity {
        let kind = if name.class >= 4 { ActivityKind::ApiCallFailed } else { ActivityKind::ApiCalled };
        let status = format!("{}xx", name.class);
        entry(&self.tenant, name.key, &name.place, kind, self.last, random)
            .with_detail(STATUS, status)
            .with_detail(COUNT, self.count.to_string())
            .with_detail(LATENCY, self.latency.checked_div(self.count).unwrap_or(0).to_string())
            .with_detail(LONGEST, self.longest.to_string())
            .with_detail(ADDRESS, self.address.to_string())
    }
}

impl Failed {
    fn new(tenant: &TenantId, name: CellName, ended: &Ended) -> Self {
        Self { tenant: tenant.clone(), key: name.key, place: name.place, ended: *ended }
    }

    fn entry(&self, random: [u8; 10]) -> Activity {
        let Ended { at, latency, status, address } = self.ended;
        entry(&self.tenant, self.key, &self.place, ActivityKind::ApiCallFailed, at, random)
            .with_detail(STATUS, status.as_str())
            .with_detail(LATENCY, latency.to_string())
            .with_detail(ADDRESS, address.to_string())
    }
}

fn entry(
    tenant: &TenantId,
    key: ApiKeyId,
    place: &CallPlace,
    kind: ActivityKind,
    at: i64,
    random: [u8; 10],
) -> Activity {
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    let actor = Actor::system(tenant.clone(), key.to_string());
    let entry = Activity::new(ActivityId::mint(at, random), at, &actor, kind, key);
    let entry = entry.with_detail(METHOD, place.method());
    match place.route.text() {
        "" => entry,
        route => entry.with_detail(ROUTE, route),
    }
}

/// A shard's part of a bound for all.
fn most(of_all: usize) -> usize {
    of_all.div_ceil(shards())
}

/// The names of an entry's details.
const METHOD: Cow<'static, str> = Cow::Borrowed("method");
const ROUTE: Cow<'static, str> = Cow::Borrowed("route");
const STATUS: Cow<'static, str> = Cow::Borrowed("status");
const COUNT: Cow<'static, str> = Cow::Borrowed("count");
const LATENCY: Cow<'static, str> = Cow::Borrowed("latency_us");
const LONGEST: Cow<'static, str> = Cow::Borrowed("longest_us");
const ADDRESS: Cow<'static, str> = Cow::Borrowed("address");

/// How many kinds of calls are remembered at once; beyond that they are counted without their routes, and beyond twice that not.
const MOST_CELLS: usize = 16_384;
/// How many errors are told one by one between two flushes, of all tenants together.
const MOST_TOLD: usize = 2_048;
/// How many errors of one key, route, class and minute are told one by one in one shard.
const TOLD_OF_A_KIND: u32 = 4;
const MICROS_PER_MINUTE: i64 = 60_000_000;

const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];
const METHOD_NAMES: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"];

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKeyId {
        ApiKeyId::mint(DateTime::UNIX_EPOCH, [7; 10])
    }

    fn call(calls: &Calls, tenant: &str, route: &str, status: u16, at: i64, latency: u64) {
        let status = StatusCode::from_u16(status).expect("a status");
        let ended = Ended { at, latency, status, address: IpAddr::from([203, 0, 113, 9]) };
        let place = CallPlace::new(&Method::GET, Route::of(route));
        calls.record(&tenant.parse().expect("a tenant"), key(), &place, &ended);
    }

    fn taken(calls: &Calls) -> Vec<String> {
        let mut number = 0_u8;
        let entries = calls.take(|| {
            number = number.wrapping_add(1);
            [number; 10]
        });
        let text = |entry: &Activity| {
            let details: Vec<_> =
                entry.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {} {}", entry.kind.as_str(), entry.at.timestamp_micros(), details.join(" "))
        };
        entries.iter().map(text).collect()
    }

    #[test]
    fn what_succeeds_is_counted_by_route_class_and_minute() {
        let calls = Calls::new(CallLogging::Everything);
        for (at, latency) in [(1, 100), (2, 200), (3, 600)] {
            call(&calls, "acme", "/orders/{id}", 200, at, latency);
        }
        call(&calls, "acme", "/orders/{id}", 201, 4, 100);
        call(&calls, "acme", "/orders/{id}", 304, 5, 10);
        call(&calls, "acme", "/orders", 200, 6, 10);
        call(&calls, "acme", "/orders/{id}", 200, 60_000_000, 10);

        assert_eq!(
            taken(&calls),
            [
                "api.called 4 address=203.0.113.9 count=4 latency_us=250 longest_us=600 method=GET route=/orders/{id} status=2xx",
                "api.called 5 address=203.0.113.9 count=1 latency_us=10 longest_us=10 method=GET route=/orders/{id} status=3xx",
                "api.called 6 address=203.0.113.9 count=1 latency_us=10 longest_us=10 method=GET route=/orders status=2xx",
                "api.called 60000000 address=203.0.113.9 count=1 latency_us=10 longest_us=10 method=GET route=/orders/{id} status=2xx",
            ],
        );
        assert_eq!(taken(&calls), [""; 0], "it is taken once");
    }

    #[test]
    fn errors_are_told_one_by_one_up_to_some() {
        let calls = Calls::new(CallLogging::Errors);
        call(&calls, "acme", "/orders", 200, 0, 10);
        for at in 1..=100 {
            call(&calls, "acme", "/orders", 404, at, 10);
        }
        call(&calls, "acme", "/orders", 503, 101, 7);

        let told = taken(&calls);

        let single = TOLD_OF_A_KIND as usize;
        assert_eq!(told.len(), single + 2, "{told:?}");
        assert!(told.iter().all(|entry| entry.starts_with("api.failed ")));
        assert_eq!(told.iter().filter(|entry| entry.ends_with("status=404")).count(), single);
        let rest = format!("count={}", 100 - single);
        assert_eq!(
            told.iter().filter(|entry| entry.contains(&rest) && entry.ends_with("status=4xx")).count(),
            1
        );
        assert_eq!(told.iter().filter(|entry| entry.ends_with("status=503")).count(), 1);
    }

    #[test]
    fn what_is_too_much_is_counted_without_its_route_and_then_told_as_missed() {
        let calls = Calls::new(CallLogging::Everything);
        let room = most(MOST_CELLS);
        for route in 0..room + 50 {
            call(&calls, "acme", &format!("/{route}"), 200, 0, 10);
        }
        assert_eq!(calls.missed(), 0);
        for minute in 1..=2 * i64::try_from(room).expect("a number") {
            call(&calls, "acme", "/", 200, minute * MICROS_PER_MINUTE, 10);
        }
        assert!(calls.missed() > 0);

        let missed = calls.missed();
        let told = taken(&calls);

        assert_eq!(told.len(), 2 * room);
        assert_eq!(
            told.iter().filter(|entry| entry.contains(" count=50 ") && !entry.contains("route")).count(),
            1
        );
        assert_eq!(calls.missed(), missed);
    }

    #[test]
    fn a_host_may_want_none_of_it() {
        let calls = Calls::new(CallLogging::Nothing);

        call(&calls, "acme", "/orders", 500, 0, 10);

        assert_eq!(taken(&calls), [""; 0]);
    }

    #[test]
    fn every_method_has_its_name() {
        for (method, name) in METHODS.iter().zip(METHOD_NAMES) {
            assert_eq!(method.as_str(), name);
            assert_eq!(CallPlace::new(method, Route::of("")).method(), name);
        }
        let own = Method::from_bytes(b"PURGE").expect("a method");
        assert_eq!(CallPlace::new(&own, Route::of("")).method(), "OTHER");
    }

    #[test]
    fn threads_count_together() {
        let calls = Calls::new(CallLogging::Everything);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1_000).for_each(|at| call(&calls, "acme", "/orders", 200, at, 1)));
            }
        });

        let told = taken(&calls);

        assert_eq!(told.len(), 1);
        assert!(told[0].contains("count=8000 "), "{told:?}");
    }
}
