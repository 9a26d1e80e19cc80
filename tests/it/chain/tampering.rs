//! The table: what somebody does with SQL, the same to a store in memory, and what the verification says.

use crossdock::activity::{ActivityAdmin, ChainAnchor, ChainFinding};
use crossdock::primitives::ActivityId;

use super::Told;
use super::grounds::{Ground, Kept, id, stranger};

/// One way of tampering with the chain of ten of `acme`. In SQL, `LOG`, `CHAIN`, `TENANT`, `RECORD` and `STRANGER` stand for what the
/// database calls them, `COPIED` for the columns of an entry but its id, and each statement is about `acme` where it says `MINE`.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) sql: &'static [&'static str],
    pub(super) memory: fn(&mut Kept),
    /// What is found without an anchor.
    found: fn() -> Vec<ChainFinding>,
    /// What is found with the anchor of the last entry besides.
    anchored: fn() -> Vec<ChainFinding>,
}

/// Each case on a store of its own.
pub(super) async fn all(ground: &impl Ground) -> Told {
    for case in cases() {
        let (log, anchor, _kept) = ground.tampered(&case).await?;
        let found = findings(&log, None).await?;
        assert_eq!(found, sorted((case.found)()), "{}", case.name);
        let found = findings(&log, Some(&anchor)).await?;
        let both = (case.found)().into_iter().chain((case.anchored)()).collect();
        assert_eq!(found, sorted(both), "{}, with an anchor", case.name);
    }
    Ok(())
}

async fn findings(
    log: &ActivityAdmin,
    anchor: Option<&ChainAnchor>,
) -> Result<Vec<ChainFinding>, Box<dyn std::error::Error>> {
    Ok(sorted(log.verify(anchor).await?.findings))
}

fn sorted(mut findings: Vec<ChainFinding>) -> Vec<ChainFinding> {
    findings.sort();
    findings
}

fn altered(sequence: u64) -> Vec<ChainFinding> {
    vec![ChainFinding::Altered { sequence, id: id(sequence) }]
}

fn nothing() -> Vec<ChainFinding> {
    Vec::new()
}

fn hollow(kept: &mut Kept) {
    kept.row(4).entry = None;
}

fn case(
    name: &'static str,
    sql: &'static [&'static str],
    memory: fn(&mut Kept),
    found: fn() -> Vec<ChainFinding>,
) -> Case {
    Case { name, sql, memory, found, anchored: nothing }
}

fn cases() -> Vec<Case> {
    use ChainFinding::{BaseAltered, Cut, Inserted, Moved, Unchained};
    vec![
        case("nothing at all", &[], |_| {}, nothing),
        case("the actor", &["UPDATE LOG SET actor = 'eve' WHERE MINE AND sequence = 4"], hollow, || {
            altered(4)
        }),
        case(
            "the subject",
            &["UPDATE LOG SET subject = 'wh_99' WHERE MINE AND sequence = 4"],
            hollow,
            || altered(4),
        ),
        case(
            "the kind",
            &["UPDATE LOG SET kind = 'key.revoked' WHERE MINE AND sequence = 4"],
            hollow,
            || altered(4),
        ),
        case(
            "the record",
            &["UPDATE LOG SET RECORD = replace(RECORD, '\"ada\"', '\"eve\"') WHERE MINE AND sequence = 4"],
            hollow,
            || altered(4),
        ),
        case(
            "record and actor alike",
            &["UPDATE LOG SET actor = 'eve', RECORD = replace(RECORD, '\"ada\"', '\"eve\"') \
               WHERE MINE AND sequence = 4"],
            |kept| {
                let entry = kept.row(4).entry.as_mut().expect("contents");
                entry.actor = "eve".into();
            },
            || altered(4),
        ),
        case(
            "a detail",
            &["UPDATE LOG SET RECORD = replace(RECORD, 'step 4', 'step 5') WHERE MINE AND sequence = 4"],
            |kept| {
                let entry = kept.row(4).entry.as_mut().expect("contents");
                entry.details.insert("note".into(), "step 5".to_owned());
            },
            || altered(4),
        ),
        case(
            "a record that cannot be read any more",
            &["UPDATE LOG SET RECORD = '{}' WHERE MINE AND sequence = 10"],
            |kept| kept.row(10).entry = None,
            || altered(10),
        ),
        case(
            "its own hash",
            &["UPDATE LOG SET hash = previous WHERE MINE AND sequence = 4"],
            |kept| kept.row(4).link.hash = kept.row(4).link.previous,
            || altered(4),
        ),
        case(
            "the hash before",
            &["UPDATE LOG SET previous = hash WHERE MINE AND sequence = 4"],
            |kept| kept.row(4).link.previous = kept.row(4).link.hash,
            || altered(4),
        ),
        case(
            "a hash that is none",
            &["UPDATE LOG SET hash = NULL WHERE MINE AND sequence = 1"],
            |kept| kept.row(1).link.hash = crossdock::activity::ChainHash::ZERO,
            || altered(1),
        ),
        case(
            "how it was hashed",
            &["UPDATE LOG SET encoding = 9 WHERE MINE AND sequence = 4"],
            |kept| kept.row(4).link.encoding = crossdock::activity::ChainEncoding::from_number(9),
            || altered(4),
        ),
        case(
            "cut in between",
            &["DELETE FROM LOG WHERE MINE AND sequence IN (4, 5)"],
            |kept| kept.cut(4..=5),
            || vec![Cut { from: 4, to: 5 }],
        ),
        case(
            "cut at the beginning",
            &["DELETE FROM LOG WHERE MINE AND sequence < 3"],
            |kept| kept.cut(1..=2),
            || vec![Cut { from: 1, to: 2 }],
        ),
        case(
            "cut at the end",
            &["DELETE FROM LOG WHERE MINE AND sequence > 7"],
            |kept| kept.cut(8..=10),
            || vec![Cut { from: 8, to: 10 }],
        ),
        Case {
            name: "cut at the end, and the head with it",
            sql: &[
                "DELETE FROM LOG WHERE MINE AND sequence = 10",
                "UPDATE CHAIN SET sequence = 9, hash = (SELECT hash FROM LOG WHERE MINE AND sequence = 9) WHERE MINE",
            ],
            memory: |kept| {
                kept.cut(10..=10);
                kept.ends.head = kept.row(9).link.anchor();
            },
            found: nothing,
            anchored: || vec![Cut { from: 10, to: 10 }],
        },
        Case {
            name: "everything gone",
            sql: &["DELETE FROM LOG WHERE MINE", "DELETE FROM CHAIN WHERE MINE"],
            memory: |kept| {
                kept.cut(1..=10);
                kept.ends = crossdock::activity::ChainEnds::default();
            },
            found: nothing,
            anchored: || vec![Cut { from: 1, to: 10 }],
        },
        case(
            "two in each other's place",
            &["UPDATE LOG SET sequence = 10 - sequence WHERE MINE AND sequence IN (3, 7)"],
            |kept| {
                let (three, seven) = (kept.row(3).id, kept.row(7).id);
                for row in &mut kept.chain {
                    if row.id == three || row.id == seven {
                        row.link.sequence = 10 - row.link.sequence;
                    }
                }
            },
            || vec![Moved { id: id(3), from: 3, to: 7 }, Moved { id: id(7), from: 7, to: 3 }],
        ),
        case(
            "a copy under another id beside it",
            &["INSERT INTO LOG (id, COPIED) SELECT STRANGER, COPIED FROM LOG WHERE MINE AND sequence = 5"],
            |kept| kept.copy(5, 5),
            || vec![Inserted { sequence: 5, id: stranger() }],
        ),
        case(
            "one more in between, and the others counted anew",
            &[
                "UPDATE LOG SET sequence = sequence + 1 WHERE MINE AND sequence >= 5",
                "INSERT INTO LOG (id, COPIED) SELECT STRANGER, COPIED FROM LOG WHERE MINE AND sequence = 6",
                "UPDATE LOG SET sequence = 5 WHERE MINE AND id = STRANGER",
            ],
            |kept| {
                kept.chain
                    .iter_mut()
                    .filter(|row| row.link.sequence >= 5)
                    .for_each(|row| row.link.sequence += 1);
                kept.copy(6, 5);
            },
            || vec![Inserted { sequence: 5, id: stranger() }, Moved { id: id(5), from: 5, to: 6 }],
        ),
        case(
            "one more at the end",
            &[
                "INSERT INTO LOG (id, COPIED) SELECT STRANGER, COPIED FROM LOG WHERE MINE AND sequence = 10",
                "UPDATE LOG SET sequence = 11, previous = hash WHERE MINE AND id = STRANGER",
            ],
            |kept| {
                kept.copy(10, 11);
                let copy = kept.chain.last_mut().expect("a row");
                copy.link.previous = copy.link.hash;
            },
            || vec![Inserted { sequence: 11, id: stranger() }],
        ),
        case(
            "one more in the log alone",
            &[
                "INSERT INTO LOG (id, COPIED) SELECT STRANGER, COPIED FROM LOG WHERE MINE AND sequence = 10",
                "UPDATE LOG SET sequence = NULL, RECORD = replace(RECORD, 'LAST_TEXT', 'STRANGER_TEXT') \
                 WHERE MINE AND id = STRANGER",
            ],
            |kept| {
                let mut entry = kept.log.last().expect("an entry").clone();
                entry.id = stranger();
                kept.log.push(entry);
            },
            || vec![Unchained { id: stranger() }],
        ),
        case(
            "taken out of the chain",
            &["UPDATE LOG SET sequence = NULL WHERE MINE AND sequence = 4"],
            |kept| kept.chain.retain(|row| row.link.sequence != 4),
            || vec![Cut { from: 4, to: 4 }, Unchained { id: id(4) }],
        ),
        case(
            "given to another tenant",
            &["UPDATE LOG SET TENANT = 'other' WHERE MINE AND sequence = 4"],
            |kept| kept.cut(4..=4),
            || vec![Cut { from: 4, to: 4 }],
        ),
        case(
            "what is said of the head",
            &["UPDATE CHAIN SET hash = base_hash WHERE MINE"],
            |kept| kept.ends.head = ChainAnchor::new(10, kept.ends.base.hash()),
            || altered(10),
        ),
        case(
            "what is said of the base",
            &["UPDATE CHAIN SET base_hash = hash WHERE MINE"],
            |kept| kept.ends.base = ChainAnchor::new(0, kept.ends.head.hash()),
            || vec![BaseAltered { sequence: 0 }],
        ),
    ]
}

/// How an id is written in a record.
pub(super) fn text_of(id: ActivityId) -> String {
    id.to_string()
}
