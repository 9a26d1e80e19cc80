//! Every way of tampering, on a chain of ten, and what it is called.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::activity::chain::Link;
use crate::activity::model::{Activity, ActivityKind};
use crate::tenancy::model::Actor;

/// A chain as a store keeps it, and as somebody who can write there changes it.
#[derive(Clone)]
struct Kept {
    ends: ChainEnds,
    rows: Vec<ChainEntry>,
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn entry(number: u64, name: &str) -> Activity {
    let actor = Actor::org_admin("acme".parse().expect("a tenant"), name);
    let time = at(number.cast_signed());
    let id = ActivityId::mint(time, [number as u8; 10]);
    Activity::new(id, time, &actor, ActivityKind::WebhookUpdated, format!("wh_{number}"))
}

impl Kept {
    fn of(count: u64) -> Self {
        let mut kept = Self { ends: ChainEnds::default(), rows: Vec::new() };
        for number in 1..=count {
            kept.write(entry(number, "ada"));
        }
        kept
    }

    fn write(&mut self, entry: Activity) {
        let link = Link::behind(self.ends.head, entry.digest());
        self.ends.head = link.anchor();
        self.rows.push(ChainEntry::new(entry.id, link, Some(entry)));
    }

    fn row(&mut self, number: u64) -> &mut ChainEntry {
        self.rows.iter_mut().find(|row| row.link.sequence == number).expect("a row")
    }

    /// Makes every hash from this number on anew, as somebody does who knows how.
    fn rehash(&mut self, from: u64) {
        self.rows.sort_by_key(|row| row.link.sequence);
        let mut before = ChainAnchor::BEGINNING;
        for row in &mut self.rows {
            if row.link.sequence >= from {
                let digest = row.entry.as_ref().expect("contents").digest();
                row.link = Link::behind(ChainAnchor::new(row.link.sequence - 1, before.hash()), digest);
            }
            before = row.link.anchor();
        }
    }

    fn findings(&self, known: Option<&ChainAnchor>) -> Vec<ChainFinding> {
        verify_chain(&self.ends, &self.rows, known).findings
    }
}

/// What somebody does, and what the verification says about it.
fn found(tamper: impl FnOnce(&mut Kept)) -> Vec<ChainFinding> {
    let mut kept = Kept::of(10);
    tamper(&mut kept);
    kept.findings(None)
}

fn id(number: u64) -> ActivityId {
    entry(number, "ada").id
}

#[test]
fn a_chain_that_nobody_touched_is_intact() {
    for count in [0, 1, 2, 10] {
        let kept = Kept::of(count);
        let anchors: Vec<_> = kept.rows.iter().map(|row| row.link.anchor()).collect();
        assert_eq!(kept.findings(None), []);
        for anchor in anchors {
            let report = verify_chain(&kept.ends, &kept.rows, Some(&anchor));
            assert!(report.is_intact() && report.anchored, "{anchor}: {report:?}");
        }
    }
}

#[test]
fn what_was_altered_is_named() {
    use ChainFinding::Altered;
    for number in [1, 2, 5, 9, 10] {
        let altered = [Altered { sequence: number, id: id(number) }];
        let contents = |row: &mut ChainEntry| row.entry = Some(entry(row.link.sequence, "eve"));

        assert_eq!(found(|kept| contents(kept.row(number))), altered, "contents of {number}");
        assert_eq!(found(|kept| kept.row(number).entry = None), altered, "{number} made unreadable");
        let hash = |kept: &mut Kept| kept.row(number).link.hash = ChainHash::new([7; 32]);
        assert_eq!(found(hash), altered, "hash of {number}");
        let encoding = |kept: &mut Kept| kept.row(number).link.encoding = ChainEncoding::Unknown(9);
        assert_eq!(found(encoding), altered, "encoding of {number}");
        let both = |kept: &mut Kept| {
            let row = kept.row(number);
            contents(row);
            let digest = row.entry.as_ref().expect("contents").digest();
            row.link.hash = link_hash(number, row.link.previous, digest);
        };
        assert_eq!(found(both), altered, "contents and hash of {number}");
        let previous = |kept: &mut Kept| kept.row(number).link.previous = ChainHash::new([7; 32]);
        assert_eq!(found(previous), altered, "what {number} follows");
    }
    let run = found(|kept| (4..7).for_each(|number| kept.row(number).entry = None));
    assert_eq!(run, [4, 5, 6].map(|number| Altered { sequence: number, id: id(number) }));
}

#[test]
fn what_was_cut_is_named_wherever_it_stood() {
    use ChainFinding::Cut;
    for (from, to) in [(1, 1), (1, 3), (4, 4), (3, 7), (10, 10), (8, 10), (1, 10)] {
        let gone = |kept: &mut Kept| kept.rows.retain(|row| !(from..=to).contains(&row.link.sequence));
        assert_eq!(found(gone), [Cut { from, to }], "{from} to {to}");
    }
    let twice = found(|kept| kept.rows.retain(|row| ![3, 7, 8].contains(&row.link.sequence)));
    assert_eq!(twice, [Cut { from: 3, to: 3 }, Cut { from: 7, to: 8 }]);
}

#[test]
fn an_end_that_was_cut_together_with_its_head_is_found_by_an_anchor() {
    let mut kept = Kept::of(10);
    let anchor = kept.ends.head;
    kept.rows.truncate(7);
    kept.ends.head = kept.rows[6].link.anchor();

    assert_eq!(kept.findings(None), [], "nothing in the store says otherwise");
    assert_eq!(kept.findings(Some(&anchor)), [ChainFinding::Cut { from: 8, to: 10 }]);

    let everything = Kept::of(0);
    assert_eq!(everything.findings(Some(&anchor)), [ChainFinding::Cut { from: 1, to: 10 }]);
}

#[test]
fn what_was_cut_and_counted_anew_is_found() {
    let cut = |from: u64| {
        move |kept: &mut Kept| {
            kept.rows.retain(|row| row.link.sequence != from);
            kept.rows
                .iter_mut()
                .filter(|row| row.link.sequence > from)
                .for_each(|row| row.link.sequence -= 1);
        }
    };
    for from in [1, 4, 9] {
        let moved = ChainFinding::Moved { id: id(from + 1), from: from + 1, to: from };
        assert_eq!(found(cut(from)), [moved, ChainFinding::Cut { from, to: from }], "{from}");
    }
}

#[test]
fn what_was_inserted_is_named() {
    use ChainFinding::{Inserted, Moved};
    let forged = |number: u64, previous: ChainHash| {
        let entry = entry(200 + number, "eve");
        let hash = link_hash(number, previous, entry.digest());
        ChainEntry::new(entry.id, Link::new(ChainEncoding::V1, number, previous, hash), Some(entry))
    };
    for number in [1, 5, 10] {
        let stranger = entry(200 + number, "eve").id;
        let inserted = Inserted { sequence: number, id: stranger };
        let beside = |kept: &mut Kept| {
            let previous = kept.row(number).link.previous;
            kept.rows.push(forged(number, previous));
        };
        assert_eq!(found(beside), [inserted], "beside {number}, with a good hash");
        assert_eq!(
            found(|kept| kept.rows.push(forged(number, ChainHash::new([9; 32])))),
            [inserted],
            "beside {number}, behind nothing"
        );
        let between = |kept: &mut Kept| {
            let previous = kept.row(number).link.previous;
            kept.rows
                .iter_mut()
                .filter(|row| row.link.sequence >= number)
                .for_each(|row| row.link.sequence += 1);
            kept.rows.push(forged(number, previous));
        };
        let pushed = Moved { id: id(number), from: number, to: number + 1 };
        assert_eq!(found(between), [inserted, pushed], "between, the others counted anew, at {number}");
        let copied = |kept: &mut Kept| {
            let mut copy = kept.row(number).clone();
            copy.id = stranger;
            copy.entry = None;
            kept.rows.push(copy);
        };
        assert_eq!(found(copied), [inserted], "a copy of {number}");
    }
    let behind = |kept: &mut Kept| {
        let previous = kept.ends.head.hash();
        kept.rows.push(forged(11, previous));
    };
    assert_eq!(found(behind), [Inserted { sequence: 11, id: entry(211, "eve").id }]);
}

#[test]
fn what_changed_places_is_named() {
    use ChainFinding::Moved;
    let swap = |one: u64, other: u64| {
        move |kept: &mut Kept| {
            for row in &mut kept.rows {
                row.link.sequence = match row.link.sequence {
                    number if number == one => other,
                    number if number == other => one,
                    number => number,
                };
            }
        }
    };
    for (one, other) in [(3, 7), (1, 10), (2, 4)] {
        let mut expected =
            [Moved { id: id(one), from: one, to: other }, Moved { id: id(other), from: other, to: one }];
        expected.sort();
        assert_eq!(found(swap(one, other)), expected, "{one} and {other}");
    }
    // Of two neighbours it is enough to name one.
    let neighbours = found(swap(4, 5));
    assert!(
        matches!(
            neighbours[..],
            [Moved { from: 4, to: 5, .. }] | [Moved { from: 5, to: 4, .. }] | [Moved { .. }, Moved { .. }]
        ),
        "{neighbours:?}"
    );
    let shifted = found(|kept| {
        kept.rows.iter_mut().filter(|row| row.link.sequence > 6).for_each(|row| row.link.sequence += 3);
    });
    assert_eq!(shifted, [Moved { id: id(7), from: 7, to: 10 }], "counted anew without a reason");
}

#[test]
fn a_chain_that_was_written_anew_is_found_by_its_head_or_by_an_anchor() {
    for number in [1, 5, 10] {
        let mut kept = Kept::of(10);
        let anchor = kept.ends.head;
        kept.row(number).entry = Some(entry(number, "eve"));
        kept.rehash(number);
        assert_eq!(
            kept.findings(None),
            [ChainFinding::Altered { sequence: 10, id: id(10) }],
            "the head says what the last one was"
        );

        kept.ends.head = kept.rows[9].link.anchor();
        assert_eq!(kept.findings(None), []);
        assert_eq!(kept.findings(Some(&anchor)), [ChainFinding::Rewritten { sequence: 10 }]);
    }
}

#[test]
fn retention_leaves_a_chain_that_can_be_verified() {
    for cut in 1..=10_usize {
        let mut kept = Kept::of(10);
        let old = kept.rows[cut - 1].link.anchor();
        let oldest = kept.rows[0].link.anchor();
        kept.ends.base = old;
        kept.rows.drain(..cut);

        let head = kept.ends.head;
        assert_eq!(kept.findings(Some(&head)), [], "{cut}");
        assert_eq!(kept.findings(Some(&old)), [], "{cut}: an anchor at the cut itself");
        let report = verify_chain(&kept.ends, &kept.rows, Some(&oldest));
        assert!(
            report.is_intact() && report.anchored == (cut == 1),
            "{cut}: what is gone cannot be compared"
        );

        if cut < 9 {
            let mut altered = kept.clone();
            altered.ends.base = ChainAnchor::new(old.sequence(), ChainHash::new([3; 32]));
            let base = ChainFinding::BaseAltered { sequence: old.sequence() };
            assert_eq!(altered.findings(None), [base], "{cut}");

            let first = cut as u64 + 1;
            let mut more = kept.clone();
            more.rows.remove(0);
            assert_eq!(more.findings(None), [ChainFinding::Cut { from: first, to: first }], "{cut}");
        }
    }
}

#[test]
fn numbers_out_of_this_world_are_findings_like_others() {
    for number in [0, u64::MAX, u64::MAX - 1, 1 << 63] {
        let findings = found(|kept| kept.row(5).link.sequence = number);
        assert!(!findings.is_empty(), "{number}");
    }
    let findings = found(|kept| kept.ends.head = ChainAnchor::new(u64::MAX, ChainHash::ZERO));
    assert_eq!(findings, [ChainFinding::Cut { from: 11, to: u64::MAX }]);
    let base = |kept: &mut Kept| kept.ends.base = ChainAnchor::new(u64::MAX, ChainHash::ZERO);
    assert!(!found(base).is_empty());
}

#[derive(Clone, Debug)]
enum Blow {
    Remove(usize),
    Alter(usize),
    Swap(usize, usize),
    Copy(usize),
    Break(usize),
}

fn any_blow() -> impl Strategy<Value = Blow> {
    let place = 0..20_usize;
    prop_oneof![
        place.clone().prop_map(Blow::Remove),
        place.clone().prop_map(Blow::Alter),
        (place.clone(), place.clone()).prop_map(|(one, other)| Blow::Swap(one, other)),
        place.clone().prop_map(Blow::Copy),
        place.prop_map(Blow::Break),
    ]
}

proptest! {
    /// Whatever is done, a chain that is not what it was is never called intact.
    #[test]
    fn no_damage_goes_unseen(blows in proptest::collection::vec(any_blow(), 1..5)) {
        let whole = Kept::of(12);
        let mut kept = whole.clone();
        for blow in blows {
            let count = kept.rows.len();
            if count == 0 {
                break;
            }
            match blow {
                Blow::Remove(place) => drop(kept.rows.remove(place % count)),
                Blow::Alter(place) => kept.rows[place % count].entry = Some(entry(99, "eve")),
                Blow::Swap(one, other) => {
                    let (one, other) = (one % count, other % count);
                    let number = kept.rows[one].link.sequence;
                    kept.rows[one].link.sequence = kept.rows[other].link.sequence;
                    kept.rows[other].link.sequence = number;
                }
                Blow::Copy(place) => {
                    let mut copy = kept.rows[place % count].clone();
                    copy.link.sequence += 1;
                    kept.rows.push(copy);
                }
                Blow::Break(place) => kept.rows[place % count].link.hash = ChainHash::ZERO,
            }
        }
        let sorted = |kept: &Kept| {
            let mut rows = kept.rows.clone();
            rows.sort_by_key(|row| (row.link.sequence, row.id));
            rows
        };

        let is_whole = sorted(&kept) == sorted(&whole);

        prop_assert_eq!(kept.findings(None).is_empty(), is_whole);
    }
}
