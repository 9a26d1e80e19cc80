//! Keys that this process knows, for a look without waiting: bounded, and dropped by word of what has changed.
//!
//! A key that was changed stays here with its counters, but is not answered with until it was read anew. What was read before
//! word of a change came, and arrives after it, is not kept: each part of the cache counts how often it has heard such words.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};
use ipnet::IpNet;

use crate::api_keys::life::standing_refusal;
use crate::api_keys::line::{Limits, Line};
use crate::api_keys::model::ApiKey;
use crate::api_keys::pepper::{PepperSlot, SecretMac};
use crate::api_keys::refusal::Refusal;
use crate::api_keys::scope::PackedRights;
use crate::api_keys::tally::Tally;
use crate::api_keys::token::{Environment, PublicId};
use crate::primitives::id::ApiKeyId;

/// A key, ready to be judged by: what is looked at with every call lies together.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What is kept of the secret, and under which pepper.
    pub(crate) mac: SecretMac,
    pub(crate) pepper: PepperSlot,
    pub(crate) environment: Environment,
    pub(crate) networks: Box<[IpNet]>,
    pub(crate) rights: PackedRights,
    /// Why it may not be used whatever the time.
    pub(crate) standing: Option<Refusal>,
    /// From when on, and until when it may be used, in microseconds.
    pub(crate) begins: i64,
    pub(crate) ends: i64,
    pub(crate) line: Option<Arc<Line>>,
    pub(crate) tally: Arc<Tally>,
    /// All of it.
    pub(crate) key: Arc<ApiKey>,
}

/// What the cache knows of a public id.
#[derive(Debug)]
pub(crate) enum Known {
    Key(Arc<Entry>),
    /// There was no such key, a moment ago.
    Nobody,
    /// It must be looked up; the ticket says since when.
    Ask(Ticket),
}

/// Taken before a look-up: what comes back is kept if no word of a change has come meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u64);

#[derive(Debug)]
pub(crate) struct Cache {
    parts: Box<[RwLock<Part>]>,
    lines: Mutex<HashMap<ApiKeyId, Arc<Line>>>,
    /// Counters of keys that had to go before they were flushed.
    gone: Mutex<Vec<Arc<Tally>>>,
    keys_per_part: usize,
}

#[derive(Debug, Default)]
struct Part {
    /// How often word of a change has come.
    words: u64,
    keys: HashMap<PublicId, Slot>,
    /// The order in which keys came, for the one that goes next.
    order: VecDeque<PublicId>,
    /// Public ids that nobody has, and until when that is believed, in microseconds.
    nobody: HashMap<PublicId, i64>,
    nobody_order: VecDeque<PublicId>,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    is_current: bool,
    /// Whether it was asked for since it was last passed over.
    was_used: AtomicBool,
}

impl Cache {
    /// A cache for so many keys.
    pub(crate) fn new(keys: usize) -> Self {
        Self {
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
            lines: Mutex::default(),
            gone: Mutex::default(),
            keys_per_part: keys.div_ceil(PARTS).max(1),
        }
    }

    /// What is known of this id, at this time in microseconds.
    #[inline]
    pub(crate) fn look(&self, id: PublicId, now: i64) -> Known {
        let part = read(self.part(id));
        match part.keys.get(&id) {
            Some(slot) if slot.is_current => {
                // Read first: only the first of many writes.
                if !slot.was_used.load(Ordering::Relaxed) {
                    slot.was_used.store(true, Ordering::Relaxed);
                }
                Known::Key(Arc::clone(&slot.entry))
            }
            None if part.nobody.get(&id).is_some_and(|until| now < *until) => Known::Nobody,
            _ => Known::Ask(Ticket(part.words)),
        }
    }

    /// Keeps a key that was read, unless word of a change has come since the ticket was taken; answers with what to judge by.
    pub(crate) fn keep(
        &self,
        ticket: Ticket,
        key: Arc<ApiKey>,
        pepper: PepperSlot,
        limits: Limits,
        now: i64,
    ) -> Arc<Entry> {
        let line = (!limits.is_none()).then(|| self.line(&key, limits, now));
        let mut part = write(self.part(key.public_id));
        let tally = part.keys.get(&key.public_id).map_or_else(
            || Arc::new(Tally::new(key.tenant.clone(), key.id)),
            |slot| Arc::clone(&slot.entry.tally),
        );
        let id = key.public_id;
        let entry = Arc::new(Entry::new(key, pepper, line, tally));
        if part.words != ticket.0 {
            // Fit for this one call, which began before the word came; but its counters must not be lost.
            if !part.keys.contains_key(&id) {
                lock(&self.gone).push(Arc::clone(&entry.tally));
            }
            return entry;
        }
        part.nobody.remove(&id);
        let slot = Slot { entry: Arc::clone(&entry), is_current: true, was_used: AtomicBool::new(false) };
        if part.keys.insert(id, slot).is_none() {
            part.order.push_back(id);
        }
        while part.keys.len() > self.keys_per_part
            && let Some(gone) = part.drop_one()
        {
            lock(&self.gone).push(gone);
        }
        entry
    }

    /// Keeps for a moment that there is no such key.
    pub(crate) fn keep_nobody(&self, ticket: Ticket, id: PublicId, now: i64) {
        let mut part = write(self.part(id));
        if part.words != ticket.0 {
            return;
        }
        if part.nobody.insert(id, now.saturating_add(NOBODY)).is_none() {
            part.nobody_order.push_back(id);
        }
        while part.nobody_order.len() > NOBODIES_PER_PART {
            if let Some(oldest) = part.nobody_order.pop_front() {
                part.nobody.remove(&oldest);
            }
        }
    }

    /// Takes word of a change: the key is read anew before it is answered with.
    pub(crate) fn distrust(&self, id: PublicId) {
        let mut part = write(self.part(id));
        part.words += 1;
        part.nobody.remove(&id);
        if let Some(slot) = part.keys.get_mut(&id) {
            slot.is_current = false;
        }
    }

    /// Takes word that any key may be changed.
    pub(crate) fn distrust_all(&self) {
        for part in &self.parts {
            let mut part = write(part);
            part.words += 1;
            part.nobody.clear();
            part.nobody_order.clear();
            part.keys.values_mut().for_each(|slot| slot.is_current = false);
        }
    }

    /// The counters of all keys that are or were here since the last time.
    pub(crate) fn tallies(&self) -> Vec<Arc<Tally>> {
        let mut tallies = std::mem::take(&mut *lock(&self.gone));
        for part in &self.parts {
            tallies.extend(read(part).keys.values().map(|slot| Arc::clone(&slot.entry.tally)));
        }
        tallies
    }

    /// The counters of one key.
    pub(crate) fn tally(&self, id: PublicId) -> Option<Arc<Tally>> {
        read(self.part(id)).keys.get(&id).map(|slot| Arc::clone(&slot.entry.tally))
    }

    /// All lines that have limits.
    pub(crate) fn lines(&self) -> Vec<Arc<Line>> {
        lock(&self.lines).values().cloned().collect()
    }

    /// The line of a key: the same for its successors, and after the key was read anew.
    fn line(&self, key: &ApiKey, limits: Limits, now: i64) -> Arc<Line> {
        let mut lines = lock(&self.lines);
        if let Some(line) = lines.get(&key.line)
            && line.limits() == limits
        {
            return Arc::clone(line);
        }
        if lines.len() >= 2 * self.keys_per_part * PARTS {
            lines.retain(|_, line| Arc::strong_count(line) > 1 || !line.is_idle(now));
        }
        let line = Arc::new(Line::new(key.tenant.clone(), key.line, limits));
        lines.insert(key.line, Arc::clone(&line));
        line
    }

    fn part(&self, id: PublicId) -> &RwLock<Part> {
        &self.parts[id.spread() % PARTS]
    }
}

impl Part {
    /// Drops the key that came first and was not asked for since it was last passed over.
    fn drop_one(&mut self) -> Option<Arc<Tally>> {
        // Everybody is passed over once at most, so it ends.
        for _ in 0..=self.order.len() {
            let id = self.order.pop_front()?;
            match self.keys.get(&id) {
                None => {}
                Some(slot) if slot.was_used.swap(false, Ordering::Relaxed) => self.order.push_back(id),
                Some(_) => return self.keys.remove(&id).map(|slot| Arc::clone(&slot.entry.tally)),
            }
        }
        None
    }
}

impl Entry {
    fn new(key: Arc<ApiKey>, pepper: PepperSlot, line: Option<Arc<Line>>, tally: Arc<Tally>) -> Self {
        Self {
            mac: key.mac.clone(),
            pepper,
            environment: key.environment,
            networks: key.networks.clone().into(),
            rights: PackedRights::of(&key.rights),
            standing: standing_refusal(&key),
            // Whole microseconds, as clocks give them: a key begins with the first one that is not too early, and ends with the
            // first one that is not before its end.
            begins: key.not_before.map_or(i64::MIN, micros_up),
            ends: key.ends_at().map_or(i64::MAX, micros_up),
            line,
            tally,
            key,
        }
    }
}

/// The first whole microsecond that is not before this time.
fn micros_up(time: DateTime<Utc>) -> i64 {
    let micros = time.timestamp_micros();
    if time.timestamp_subsec_nanos().is_multiple_of(1_000) { micros } else { micros.saturating_add(1) }
}

// Nothing under these locks can panic halfway.

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const PARTS: usize = 64;
/// In microseconds.
const NOBODY: i64 = 1_000_000;
const NOBODIES_PER_PART: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_keys::pepper::Peppers;

    const UNLIMITED: Limits = Limits { rate: None, by_address: None, max_uses: None };

    fn key(seed: u8) -> Arc<ApiKey> {
        let peppers = Peppers::new("a", "x".repeat(32)).expect("a pepper");
        let id = ApiKeyId::mint(DateTime::UNIX_EPOCH, [seed; 10]);
        let public_id = PublicId::mint([seed; 16]);
        let tenant = "acme".parse().expect("a tenant");
        Arc::new(ApiKey::new(id, tenant, public_id, peppers.mac(b"s"), "cd…", DateTime::UNIX_EPOCH))
    }

    fn ticket(cache: &Cache, id: PublicId) -> Ticket {
        match cache.look(id, 0) {
            Known::Ask(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn keep(cache: &Cache, key: &Arc<ApiKey>) {
        let ticket = ticket(cache, key.public_id);
        cache.keep(ticket, Arc::clone(key), PepperSlot::Current, UNLIMITED, 0);
    }

    fn is_known(cache: &Cache, key: &ApiKey) -> bool {
        matches!(cache.look(key.public_id, 0), Known::Key(_))
    }

    #[test]
    fn what_was_read_is_known_until_word_of_a_change_comes() {
        let (cache, key) = (Cache::new(100), key(1));
        keep(&cache, &key);
        assert!(is_known(&cache, &key));

        cache.distrust(key.public_id);
        assert!(!is_known(&cache, &key));

        keep(&cache, &key);
        assert!(is_known(&cache, &key));
        cache.distrust_all();
        assert!(!is_known(&cache, &key));
    }

    #[test]
    fn what_was_read_before_the_word_and_arrives_after_it_is_not_kept() {
        let (cache, key) = (Cache::new(100), key(1));
        let early = ticket(&cache, key.public_id);

        cache.distrust(key.public_id);
        cache.keep(early, Arc::clone(&key), PepperSlot::Current, UNLIMITED, 0);
        assert!(!is_known(&cache, &key));

        let early = ticket(&cache, key.public_id);
        cache.distrust_all();
        cache.keep_nobody(early, key.public_id, 0);
        assert!(matches!(cache.look(key.public_id, 0), Known::Ask(_)));
    }

    #[test]
    fn counters_outlive_a_change() {
        let (cache, key) = (Cache::new(100), key(1));
        keep(&cache, &key);
        let before = cache.tally(key.public_id).expect("counters");

        cache.distrust(key.public_id);
        keep(&cache, &key);

        assert!(Arc::ptr_eq(&before, &cache.tally(key.public_id).expect("counters")));
    }

    #[test]
    fn it_holds_no_more_keys_than_it_may_and_keeps_the_counters_of_those_that_go() {
        let cache = Cache::new(64);
        let keys: Vec<_> = (0..=255).map(key).collect();
        keys.iter().for_each(|key| keep(&cache, key));

        let known = keys.iter().filter(|key| is_known(&cache, key)).count();

        assert!((1..=64).contains(&known), "{known}");
        assert_eq!(cache.tallies().len(), 256);
        assert_eq!(cache.tallies().len(), known, "those that went are told once");
    }

    #[test]
    fn a_key_in_use_stays_longer_than_one_that_nobody_asks_for() {
        let cache = Cache::new(2 * PARTS);
        // Three keys that share a part.
        let mut all = (0..=255_u8).map(key);
        let first = all.next().expect("a key");
        let place = first.public_id.spread() % PARTS;
        let mut others = all.filter(|key| key.public_id.spread() % PARTS == place);
        let (second, third) = (others.next().expect("a second"), others.next().expect("a third"));
        keep(&cache, &first);
        keep(&cache, &second);
        assert!(is_known(&cache, &first), "which is a use");

        keep(&cache, &third);

        assert!(is_known(&cache, &first) && !is_known(&cache, &second) && is_known(&cache, &third));
    }

    #[test]
    fn that_nobody_has_an_id_is_believed_for_a_second() {
        let (cache, key) = (Cache::new(100), key(1));
        let ticket = ticket(&cache, key.public_id);
        cache.keep_nobody(ticket, key.public_id, 0);

        assert!(matches!(cache.look(key.public_id, NOBODY - 1), Known::Nobody));
        assert!(matches!(cache.look(key.public_id, NOBODY), Known::Ask(_)));
        cache.distrust(key.public_id);
        assert!(matches!(cache.look(key.public_id, 0), Known::Ask(_)), "somebody has just got it");
    }

    #[test]
    fn ids_that_nobody_has_take_no_more_room_than_they_may() {
        let cache = Cache::new(100);
        for number in 0..20_000_u128 {
            let id = PublicId::mint(number.to_be_bytes());
            cache.keep_nobody(Ticket(0), id, 0);
        }

        let kept: usize = cache.parts.iter().map(|part| read(part).nobody.len()).sum();
        assert!(kept <= PARTS * NOBODIES_PER_PART, "{kept}");
        assert!(cache.parts.iter().all(|part| read(part).nobody_order.len() <= NOBODIES_PER_PART));
    }

    #[test]
    fn a_line_is_one_for_all_its_keys() {
        let cache = Cache::new(100);
        let limits = Limits { max_uses: Some(5), ..UNLIMITED };
        let (old, mut new) = (key(1), (*key(2)).clone());
        new.line = old.id;
        let new = Arc::new(new);

        let keep = |key: &Arc<ApiKey>| {
            let ticket = ticket(&cache, key.public_id);
            cache.keep(ticket, Arc::clone(key), PepperSlot::Current, limits, 0).line.clone().expect("a line")
        };

        assert!(Arc::ptr_eq(&keep(&old), &keep(&new)));
        assert_eq!(cache.lines().len(), 1);
    }

    #[test]
    fn times_within_a_microsecond_are_rounded_to_the_safe_side() {
        let at = |nanos| micros_up(DateTime::from_timestamp_nanos(nanos));

        assert_eq!([at(0), at(1), at(999), at(1_000), at(1_001)], [0, 1, 1, 1, 2]);
    }
}
