//! What was altered, inserted, moved or cut: judged from a chain's entries and ends alone.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::activity::chain::{ChainAnchor, ChainEncoding, ChainEnds, ChainEntry, ChainHash, link_hash};
use crate::primitives::id::ActivityId;

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ChainFinding {
    /// What stands at this number is not what was written there.
    Altered {
        /// The number.
        sequence: u64,
        /// The entry that stands there.
        id: ActivityId,
    },
    /// An entry that the chain never had.
    Inserted {
        /// The number that it claims.
        sequence: u64,
        /// The entry.
        id: ActivityId,
    },
    /// An entry stands under another number than the one that it was written with, and so do those behind it that moved with it.
    Moved {
        /// The entry.
        id: ActivityId,
        /// The number that it was written with.
        from: u64,
        /// The number that it stands under.
        to: u64,
    },
    /// Entries are missing, at the beginning, in between, or at the end.
    Cut {
        /// The number of the first one.
        from: u64,
        /// The number of the last one.
        to: u64,
    },
    /// The chain does not go on from where retention has ended it: what it says of that is not what it was.
    BaseAltered {
        /// The number of the last link that was dropped, as it is kept.
        sequence: u64,
    },
    /// The chain is whole, and it is not the one that the anchor was taken from: it was written anew from this number, or from one
    /// before it.
    Rewritten {
        /// The anchor's number.
        sequence: u64,
    },
    /// An administrative entry of the log that is not in the chain: it was put there, or written before there were chains.
    Unchained {
        /// The entry.
        id: ActivityId,
    },
}

/// What a verification has found.
///
/// ```
/// use crossdock::activity::{ChainEnds, verify_chain};
///
/// let report = verify_chain(&ChainEnds::default(), &[], None);
///
/// assert!(report.is_intact());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChainReport {
    /// Everything that is wrong, in the order of numbers as far as there are any.
    pub findings: Vec<ChainFinding>,
    /// How many entries were looked at.
    pub entries: u64,
    /// Where the chain began and ended: its head is what a host keeps apart.
    pub ends: ChainEnds,
    /// Whether the anchor could be compared; `false` if none was given, or if retention has dropped what it stands for.
    pub anchored: bool,
}

impl ChainReport {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Finds out whether these are all entries of a chain, in their order and as they were written.
///
/// `known` is an anchor that was kept apart: without one, a chain whose end was cut, or that was written anew, together with what the
/// store says of its head, looks whole.
pub fn verify_chain<'a>(
    ends: &ChainEnds,
    entries: impl IntoIterator<Item = &'a ChainEntry>,
    known: Option<&ChainAnchor>,
) -> ChainReport {
    let mut check = ChainCheck::default();
    entries.into_iter().for_each(|entry| check.take(entry));
    check.report(ends, known)
}

/// A verification at work: what it keeps of an entry is small.
#[derive(Debug, Default)]
pub(crate) struct ChainCheck {
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    id: ActivityId,
    /// The number that it stands under.
    stands: u64,
    previous: ChainHash,
    hash: ChainHash,
    /// `None` if the contents cannot be read, or were hashed in an unknown way.
    digest: Option<ChainHash>,
    /// The number that it was written with, once that is known.
    written: Option<u64>,
}

impl Row {
    /// Whether its hash is the one of its contents at this number.
    fn holds(&self, sequence: u64) -> bool {
        self.digest.is_some_and(|digest| link_hash(sequence, self.previous, digest) == self.hash)
    }
}

impl ChainCheck {
    pub(crate) fn take(&mut self, entry: &ChainEntry) {
        let contents = entry.entry.as_ref().filter(|_| entry.link.encoding == ChainEncoding::V1);
        self.rows.push(Row {
            id: entry.id,
            stands: entry.link.sequence,
            previous: entry.link.previous,
            hash: entry.link.hash,
            digest: contents.map(|contents| contents.digest()),
            written: None,
        });
    }

    /// Forgets what stands behind this number: it was written while the chain was read.
    pub(crate) fn forget_between(&mut self, behind: u64, up_to: u64) {
        self.rows.retain(|row| row.stands <= behind || row.stands > up_to);
    }

    pub(crate) fn ids(&self) -> HashSet<ActivityId> {
        self.rows.iter().map(|row| row.id).collect()
    }

    /// What cannot be read.
    pub(crate) fn hollow(&self) -> BTreeSet<ActivityId> {
        self.rows.iter().filter(|row| row.digest.is_none()).map(|row| row.id).collect()
    }

    pub(crate) fn report(mut self, ends: &ChainEnds, known: Option<&ChainAnchor>) -> ChainReport {
        self.rows.sort_by_key(|row| (row.stands, row.id));
        let entries = self.rows.len() as u64;
        let mut walk = Walk::over(self.rows, ends);
        walk.follow();
        walk.judge_end(ends, known);
        walk.judge_leftovers();
        walk.judge_order();
        let reached = known.filter(|anchor| anchor.sequence() >= ends.base.sequence());
        let Walk { mut findings, missing, .. } = walk;
        findings.extend(spans(&missing));
        ChainReport {
            findings: findings.into_iter().collect(),
            entries,
            ends: *ends,
            anchored: reached.is_some(),
        }
    }
}

/// Follows a chain from hash to hash, whatever numbers its entries stand under.
struct Walk {
    rows: Vec<Row>,
    by_previous: HashMap<ChainHash, Vec<usize>>,
    /// What something stands behind.
    followed: HashSet<ChainHash>,
    base: ChainAnchor,
    at: ChainAnchor,
    /// The number that the chain may go up to.
    most: u64,
    /// How many more numbers are tried for entries that stand under a wrong one.
    tries: u64,
    missing: BTreeSet<u64>,
    findings: BTreeSet<ChainFinding>,
}

impl Walk {
    fn over(rows: Vec<Row>, ends: &ChainEnds) -> Self {
        let mut by_previous: HashMap<_, Vec<_>> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            by_previous.entry(row.previous).or_default().push(place);
        }
        let mut followed: HashSet<_> = rows.iter().map(|row| row.previous).collect();
        followed.insert(ends.head.hash());
        let last = rows.last().map_or(0, |row| row.stands);
        let most = last.max(ends.head.sequence());
        Self {
            rows,
            by_previous,
            followed,
            base: ends.base,
            at: ends.base,
            most,
            tries: MOST_TRIES,
            missing: BTreeSet::new(),
            findings: BTreeSet::new(),
        }
    }

    fn follow(&mut self) {
        loop {
            while let Some(place) = self.next() {
                self.arrive(place, self.at.sequence() + 1);
            }
            let Some((place, sequence)) = self.resume() else { return };
            if sequence == self.at.sequence() + 1 {
                // Nothing is missing, but this one was written behind another than stands before it.
                self.blame_present();
            }
            self.miss(self.at.sequence() + 1, sequence - 1);
            self.arrive(place, sequence);
        }
    }

    /// The entry that was written behind the present one.
    fn next(&self) -> Option<usize> {
        let sequence = self.at.sequence().checked_add(1)?;
        let candidates = self.by_previous.get(&self.at.hash())?;
        let rank = |place: &usize| {
            let row = &self.rows[*place];
            (row.holds(sequence), row.stands == sequence, self.followed.contains(&row.hash))
        };
        let free = candidates.iter().copied().filter(|place| self.rows[*place].written.is_none());
        let best = free.max_by_key(|place| {
            let (holds, stands, is_followed) = rank(place);
            // Of two that both could be next, the one that others were written behind.
            (u8::from(holds) + u8::from(is_followed) * 2, stands)
        })?;
        let (holds, stands, is_followed) = rank(&best);
        (holds || stands || is_followed).then_some(best)
    }

    /// Where the chain goes on behind a break: the first entry that is whole under some number.
    fn resume(&mut self) -> Option<(usize, u64)> {
        let begin = self.at.sequence().checked_add(1)?;
        let free: Vec<_> = (0..self.rows.len()).filter(|place| self.rows[*place].written.is_none()).collect();
        let stands = |place: usize| Some(self.rows[place].stands).filter(|sequence| *sequence >= begin);
        let whole = free
            .iter()
            .filter_map(|place| Some((*place, stands(*place).filter(|at| self.rows[*place].holds(*at))?)));
        // The lowest number, and of several with it the one that others were written behind.
        let found = whole.min_by_key(|(place, at)| (*at, !self.followed.contains(&self.rows[*place].hash)));
        if found.is_some() {
            return found;
        }
        for place in free {
            for sequence in begin..=self.most {
                if self.tries == 0 {
                    return None;
                }
                self.tries -= 1;
                if self.rows[place].holds(sequence) {
                    return Some((place, sequence));
                }
            }
        }
        None
    }

    fn arrive(&mut self, place: usize, sequence: u64) {
        let row = &mut self.rows[place];
        row.written = Some(sequence);
        let (id, hash) = (row.id, row.hash);
        if !row.holds(sequence) {
            self.findings.insert(ChainFinding::Altered { sequence, id });
        }
        self.at = ChainAnchor::new(sequence, hash);
    }

    /// The entry that stands where the chain was followed to, or the base, is not the one that was there.
    fn blame_present(&mut self) {
        let sequence = self.at.sequence();
        let finding = match self.rows.iter().find(|row| row.written == Some(sequence)) {
            Some(row) => ChainFinding::Altered { sequence, id: row.id },
            None => ChainFinding::BaseAltered { sequence },
        };
        self.findings.insert(finding);
    }

    fn miss(&mut self, from: u64, to: u64) {
        // A number that nobody has reached by counting is named by its ends alone.
        if to.saturating_sub(from) > MOST_TRIES {
            self.findings.insert(ChainFinding::Cut { from, to });
            return;
        }
        self.missing.extend(from..=to);
    }

    /// What was not reached stands in the place of what is missing, or was put beside it.
    fn judge_leftovers(&mut self) {
        for row in self.rows.iter().filter(|row| row.written.is_none()) {
            let (sequence, id) = (row.stands, row.id);
            let finding = if self.missing.remove(&sequence) {
                ChainFinding::Altered { sequence, id }
            } else {
                ChainFinding::Inserted { sequence, id }
            };
            self.findings.insert(finding);
        }
    }

    fn judge_end(&mut self, ends: &ChainEnds, known: Option<&ChainAnchor>) {
        let (head, last) = (ends.head, self.at);
        // Whatever else is wrong with what stands behind the head: it was never there.
        for row in self.rows.iter().filter(|row| row.written.is_some_and(|at| at > head.sequence())) {
            let (sequence, id) = (row.stands, row.id);
            self.findings.remove(&ChainFinding::Altered { sequence: row.written.unwrap_or_default(), id });
            self.findings.insert(ChainFinding::Inserted { sequence, id });
        }
        let anchor = known.filter(|anchor| anchor.sequence() >= ends.base.sequence());
        let end = anchor.map_or(head.sequence(), |anchor| anchor.sequence().max(head.sequence()));
        if last.sequence() < end {
            self.miss(last.sequence() + 1, end);
        } else if last.sequence() == head.sequence() && last.hash() != head.hash() {
            self.blame_present();
        }
        if let Some(anchor) = anchor
            && self.hash_at(anchor.sequence()).is_some_and(|hash| hash != anchor.hash())
        {
            self.findings.insert(ChainFinding::Rewritten { sequence: anchor.sequence() });
        }
    }

    fn hash_at(&self, sequence: u64) -> Option<ChainHash> {
        if sequence == self.base.sequence() {
            return Some(self.base.hash());
        }
        self.rows.iter().find(|row| row.written == Some(sequence)).map(|row| row.hash)
    }

    /// Names what stands elsewhere than it was written: of those that changed places as few as explain it, and of those that were
    /// only counted anew the first.
    fn judge_order(&mut self) {
        let placed = self.rows.iter().filter_map(|row| Some((row.written?, row.stands, row.id)));
        let placed: Vec<_> = placed.collect();
        let in_order = longest_rise(placed.iter().map(|(written, ..)| *written));
        let mut shift = 0;
        for (place, &(written, stands, id)) in placed.iter().enumerate() {
            let moved = i128::from(stands) - i128::from(written);
            let is_out = !in_order.contains(&place);
            if is_out || moved != shift {
                if moved != 0 {
                    self.findings.insert(ChainFinding::Moved { id, from: written, to: stands });
                }
                if !is_out {
                    shift = moved;
                }
            }
        }
    }
}

/// The places of a longest strictly rising part.
fn longest_rise(numbers: impl Iterator<Item = u64>) -> HashSet<usize> {
    let numbers: Vec<_> = numbers.collect();
    // By length, where the part of that length ends whose last number is the lowest.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; numbers.len()];
    for (place, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before[place] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    std::iter::successors(ends.last().copied(), |place| before[*place]).collect()
}

/// Numbers next to one another as one finding.
fn spans(missing: &BTreeSet<u64>) -> Vec<ChainFinding> {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for &number in missing {
        match spans.last_mut() {
            Some((_, to)) if *to + 1 == number => *to = number,
            _ => spans.push((number, number)),
        }
    }
    spans.into_iter().map(|(from, to)| ChainFinding::Cut { from, to }).collect()
}

/// A chain that was damaged in a thousand places is not tried out for ever.
const MOST_TRIES: u64 = 200_000;

#[cfg(test)]
mod tests;
