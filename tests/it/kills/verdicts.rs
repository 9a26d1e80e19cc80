//! The books themselves: what is missing, or too much, is seen.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::json;

use crate::kills::ledger::{Books, Verdict};
use crate::kills::orders::{IN_ORDER, payload};
use crate::kills::publisher::{Said, Way};
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("kills::ledger::what_balances_balances", balanced),
        rule("kills::ledger::what_is_missing_or_too_much_is_seen", unbalanced),
    ]
}

fn balanced() -> Result<(), String> {
    let verdict = judge(|_| {});

    let expected = Verdict {
        acknowledged: 2,
        delivered: 2,
        duplicates: 1,
        in_doubt: 1,
        taken_back: 1,
        requests: 5,
        ways: [Way::Hub, Way::Transaction].into(),
        ..Verdict::default()
    };
    if verdict == expected { Ok(()) } else { Err(format!("{verdict:?}")) }
}

fn unbalanced() -> Result<(), String> {
    let lost: [Case; 4] = [
        ("acknowledged, and nobody has it", |books| {
            books.note(Said::Tries { order: "d".to_owned(), way: Way::Hub });
            books.note(Said::Acknowledged { order: "d".to_owned(), event: "evt_d".to_owned() });
        }),
        ("in doubt, and one receiver has it", |books| take(books, "/erp", "evt_c", "c")),
        ("in doubt, and a receiver has refused it", |books| {
            take(books, "/erp", "evt_c", "c");
            arrive(books, "/crm", "evt_c", "c");
        }),
        ("wanted in order, and not there", |books| {
            books.note(Said::Tries { order: "0-1-4-kept".to_owned(), way: Way::Hub });
            everywhere(books, "evt_4", "0-1-4-kept");
        }),
    ];
    for (what, change) in lost {
        let verdict = judge(change);
        if verdict.lost.len() != 1 || !verdict.broken.is_empty() {
            return Err(format!("{what}: {verdict:?}"));
        }
    }
    let broken: [Case; 8] = [
        ("rolled back, and it arrived", |books| everywhere(books, "evt_r", "r")),
        ("nobody has tried it", |books| everywhere(books, "evt_x", "x")),
        ("an order under two ids", |books| everywhere(books, "evt_again", "a")),
        ("other bytes than before", |books| {
            let body = json!({ "data": payload("a"), "time": 2 }).to_string();
            books.arrived("/erp", "evt_a", body.as_bytes());
        }),
        ("other bytes than published", |books| {
            for receiver in RECEIVERS {
                books.arrived(receiver, "evt_c", json!({ "data": { "order": "c" } }).to_string().as_bytes());
                books.taken(receiver, "evt_c");
            }
        }),
        ("out of order", |books| {
            for (event, order) in [("evt_5", "0-1-5-kept"), ("evt_4", "0-1-4-kept")] {
                books.note(Said::Tries { order: order.to_owned(), way: Way::Hub });
                everywhere(books, event, order);
                take(books, IN_ORDER, event, order);
            }
        }),
        ("came to a receiver that has not asked for it", |books| take(books, IN_ORDER, "evt_a", "a")),
        ("said twice", |books| {
            books.note(Said::Acknowledged { order: "a".to_owned(), event: "evt_a".to_owned() });
        }),
    ];
    for (what, change) in broken {
        let verdict = judge(change);
        if verdict.broken.is_empty() {
            return Err(format!("{what}: {verdict:?}"));
        }
    }
    let mut books = history();
    everywhere(&mut books, "evt_b", "b");
    match books.judge(&BTreeSet::new()).broken.is_empty() {
        true => Err("an order that the host does not have arrived".to_owned()),
        false => Ok(()),
    }
}

/// What happens, and how.
type Case = (&'static str, fn(&mut Books));

fn judge(change: impl FnOnce(&mut Books)) -> Verdict {
    let mut books = history();
    change(&mut books);
    books.judge(&BTreeSet::from(["b".to_owned()]))
}

/// Two were acknowledged and arrived, one is in doubt and one was rolled back; neither of these arrived.
fn history() -> Books {
    let mut books = Books::default();
    let ways = [("a", Way::Hub), ("b", Way::Transaction), ("c", Way::Keyed), ("r", Way::Transaction)];
    for (order, way) in ways {
        books.note(Said::Tries { order: order.to_owned(), way });
    }
    for order in ["a", "b"] {
        let event = format!("evt_{order}");
        books.note(Said::Acknowledged { order: order.to_owned(), event: event.clone() });
        everywhere(&mut books, &event, order);
    }
    books.note(Said::TakenBack { order: "r".to_owned() });
    take(&mut books, "/erp", "evt_a", "a");
    books
}

fn everywhere(books: &mut Books, event: &str, order: &str) {
    RECEIVERS.iter().for_each(|receiver| take(books, receiver, event, order));
}

fn take(books: &mut Books, receiver: &str, event: &str, order: &str) {
    arrive(books, receiver, event, order);
    books.taken(receiver, event);
}

fn arrive(books: &mut Books, receiver: &str, event: &str, order: &str) {
    books.arrived(receiver, event, json!({ "data": payload(order), "time": 1 }).to_string().as_bytes());
}

const RECEIVERS: [&str; 2] = ["/erp", "/crm"];
