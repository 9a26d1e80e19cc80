//! What publishers were told and what receivers got, written down outside of all that is killed; and the judgement of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::kills::orders::{IN_ORDER, RECEIVERS, is_for, payload, place};
use crate::kills::publisher::{Said, Way};

/// Shared by all who have something to write down.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
pub(super) struct Books {
    tried: BTreeMap<String, Way>,
    acknowledged: BTreeMap<String, String>,
    taken_back: BTreeSet<String>,
    /// By receiver and event.
    arrivals: BTreeMap<(String, String), Arrival>,
    /// What the receiver that wants order has taken last, by task.
    latest: BTreeMap<String, u32>,
    in_order: u64,
    requests: u64,
    unheard: u64,
    broken: Vec<String>,
}

/// What one receiver got of one event.
#[derive(Debug)]
struct Arrival {
    order: String,
    digest: [u8; 32],
    requests: u32,
    /// How often it did its work: more than once if it was not heard, or nobody was there any more to hear it.
    taken: u32,
}

/// What comes of comparing the books.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Verdict {
    pub(super) acknowledged: usize,
    /// Of those that were acknowledged, what every receiver has taken.
    pub(super) delivered: usize,
    /// Orders that were acknowledged, or that the host has, or that some receiver has, and that not every receiver has.
    pub(super) lost: BTreeSet<String>,
    /// Requests that a receiver took although it had taken the event before.
    pub(super) duplicates: u64,
    /// How often a receiver did its work and cut the connection before its answer: so many duplicates have nothing to do with kills.
    pub(super) unheard: u64,
    /// Orders of which nobody was told how they ended.
    pub(super) in_doubt: usize,
    /// Events that were taken where they have to come in order.
    pub(super) in_order: u64,
    pub(super) in_doubt_delivered: usize,
    pub(super) taken_back: usize,
    pub(super) requests: u64,
    pub(super) ways: BTreeSet<Way>,
    /// Everything else that may never happen.
    pub(super) broken: Vec<String>,
}

impl Ledger {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// What a publisher has said.
    pub(super) fn note(&mut self, said: Said) {
        let again = match said {
            Said::Tries { order, way } => self.tried.insert(order, way).is_some(),
            Said::Acknowledged { order, event } => self.acknowledged.insert(order, event).is_some(),
            Said::TakenBack { order } => !self.taken_back.insert(order),
        };
        if again {
            self.broken.push("a publisher has said a thing twice".to_owned());
        }
    }

    /// A request as it came; answers how many of this event this receiver has had.
    pub(super) fn arrived(&mut self, receiver: &str, event: &str, body: &[u8]) -> u32 {
        self.requests += 1;
        let digest: [u8; 32] = Sha256::digest(body).into();
        let name = (receiver.to_owned(), event.to_owned());
        if let Some(known) = self.arrivals.get_mut(&name) {
            known.requests += 1;
            if known.digest != digest {
                self.broken.push(format!("{event} came to {receiver} with other bytes than before"));
            }
            return known.requests;
        }
        let data = serde_json::from_slice::<Value>(body).ok().and_then(|body| body.get("data").cloned());
        let order = data.as_ref().and_then(|data| data.get("order")?.as_str()).unwrap_or_default().to_owned();
        if data != Some(payload(&order)) {
            self.broken.push(format!("{event} came to {receiver} with bytes that nobody has published"));
        }
        self.arrivals.insert(name, Arrival { order, digest, requests: 1, taken: 0 });
        1
    }

    /// The receiver does with it what it has to.
    pub(super) fn taken(&mut self, receiver: &str, event: &str) {
        let Some(arrival) = self.arrivals.get_mut(&(receiver.to_owned(), event.to_owned())) else { return };
        arrival.taken += 1;
        let (is_first, order) = (arrival.taken == 1, arrival.order.clone());
        if receiver == IN_ORDER && is_first {
            self.in_order += 1;
            let Some((desk, number)) = place(&order) else {
                return self
                    .broken
                    .push(format!("order {order} came to {receiver}, which has not asked for it"));
            };
            match self.latest.insert(desk.to_owned(), number) {
                Some(latest) if latest > number => {
                    self.broken.push(format!("order {order} came to {receiver} after number {latest}"));
                }
                _ => {}
            }
        }
    }

    /// The receiver has done its work, and will not say so.
    pub(super) fn taken_unheard(&mut self, receiver: &str, event: &str) {
        self.unheard += 1;
        self.taken(receiver, event);
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Compares: `orders` is what the host's own table holds.
    pub(super) fn judge(&self, orders: &BTreeSet<String>) -> Verdict {
        let mut verdict = Verdict {
            acknowledged: self.acknowledged.len(),
            taken_back: self.taken_back.len(),
            requests: self.requests,
            unheard: self.unheard,
            in_order: self.in_order,
            broken: self.broken.clone(),
            ..Verdict::default()
        };
        let events = self.events_by_order();
        verdict.broken.extend(self.contradictions(&events, orders));
        verdict.ways = self.acknowledged.keys().filter_map(|order| self.tried.get(order)).copied().collect();
        verdict.duplicates =
            self.arrivals.values().map(|arrival| u64::from(arrival.taken.saturating_sub(1))).sum();

        let owed: BTreeSet<&String> =
            self.acknowledged.keys().chain(orders).chain(events.keys().copied()).collect();
        for order in owed {
            let everywhere = events.get(order).is_some_and(|events| self.is_taken(order, events));
            let known = self.acknowledged.contains_key(order);
            verdict.delivered += usize::from(known && everywhere);
            if !everywhere {
                verdict.lost.insert(order.clone());
            }
        }
        let in_doubt =
            |order: &&String| !self.acknowledged.contains_key(*order) && !self.taken_back.contains(*order);
        verdict.in_doubt = self.tried.keys().filter(in_doubt).count();
        verdict.in_doubt_delivered =
            self.tried.keys().filter(in_doubt).filter(|order| events.contains_key(*order)).count();
        verdict
    }

    fn events_by_order(&self) -> BTreeMap<&String, BTreeSet<&String>> {
        let mut events: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
        for ((_, event), arrival) in &self.arrivals {
            events.entry(&arrival.order).or_default().insert(event);
        }
        events
    }

    /// Whether every receiver that has asked for the order has taken it.
    fn is_taken(&self, order: &str, events: &BTreeSet<&String>) -> bool {
        RECEIVERS.iter().filter(|receiver| is_for(order, receiver)).all(|receiver| {
            events.iter().any(|event| {
                let arrival = self.arrivals.get(&((*receiver).to_owned(), (*event).clone()));
                arrival.is_some_and(|arrival| arrival.taken > 0)
            })
        })
    }

    fn contradictions(
        &self,
        arrived: &BTreeMap<&String, BTreeSet<&String>>,
        orders: &BTreeSet<String>,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        for (order, events) in arrived {
            if events.len() > 1 {
                broken.push(format!("order {order} arrived as {} events", events.len()));
            }
            match self.acknowledged.get(*order) {
                Some(event) if !events.contains(event) => {
                    broken.push(format!("order {order} arrived under another id than the one acknowledged"));
                }
                _ => {}
            }
            match self.tried.get(*order) {
                None => broken.push(format!("order {order} arrived, and nobody has tried to publish it")),
                Some(Way::Transaction) if !orders.contains(*order) => {
                    broken.push(format!("order {order} arrived, and the host does not have it"));
                }
                Some(_) => {}
            }
        }
        for order in &self.taken_back {
            if arrived.contains_key(order) || orders.contains(order) {
                broken.push(format!("order {order} was rolled back, and is there"));
            }
        }
        broken
    }
}
