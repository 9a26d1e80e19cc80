//! What is lined up to be claimed, and what has left: an order offers its head only.

use chrono::{DateTime, Utc};

use crate::adapters::memory::inbound::{Inbound, Order};
use crate::inbound::received::ReceivedStatus;
use crate::primitives::id::ReceivedId;

impl Inbound {
    /// What has ended is pending again.
    pub(super) fn begin_anew(&mut self, id: ReceivedId, now: DateTime<Utc>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if let Some(at) = row.ended_at.take() {
            self.ended.remove(&(at, id));
        }
        self.dead -= u64::from(row.status == ReceivedStatus::Dead);
        // Whoever held it last must not settle it now.
        (row.status, row.attempts, row.token, row.note) = (ReceivedStatus::Pending, 0, None, None);
        self.enter(id, now);
    }

    /// Lines up what is pending.
    pub(super) fn enter(&mut self, id: ReceivedId, due: DateTime<Utc>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        (row.due, row.is_leased) = (due, false);
        let (order, place, party) = (row.order(), row.place(), row.party.clone());
        match order {
            None => drop(self.due.entry(party).or_default().insert((due, id))),
            Some(order) => {
                self.orders.entry(order.clone()).or_default().pending.insert(place);
                self.offer(&order);
            }
        }
    }

    /// Offers the head of an order, unless somebody works on it.
    fn offer(&mut self, order: &Order) {
        let Some(line) = self.orders.get_mut(order) else { return };
        let head = line.pending.first().map(|(_, _, id)| *id);
        if let Some(offered) = line.offered {
            let is_leased = self.rows.get(&offered).is_some_and(|row| row.is_leased);
            if is_leased || Some(offered) == head {
                return;
            }
            if let (Some(row), Some(due)) = (self.rows.get(&offered), self.due.get_mut(&order.1)) {
                due.remove(&(row.due, offered));
            }
        }
        line.offered = head;
        if let Some(row) = head.and_then(|head| self.rows.get(&head)) {
            self.due.entry(order.1.clone()).or_default().insert((row.due, row.received.id));
        } else if line.latest.is_none() {
            self.orders.remove(order);
        }
    }

    /// Takes something that is pending out of every line.
    pub(super) fn leave(&mut self, id: ReceivedId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        row.is_leased = false;
        if let Some(due) = self.due.get_mut(&row.party) {
            due.remove(&(row.due, id));
            if due.is_empty() {
                self.due.remove(&row.party);
            }
        }
        let Some(order) = row.order() else { return };
        if let Some(line) = self.orders.get_mut(&order) {
            line.pending.remove(&row.place());
            line.offered = line.offered.filter(|offered| *offered != id);
        }
        self.offer(&order);
    }

    pub(super) fn end(&mut self, id: ReceivedId, status: ReceivedStatus, now: DateTime<Utc>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        (row.status, row.ended_at) = (status, Some(now));
        self.dead += u64::from(status == ReceivedStatus::Dead);
        self.ended.insert((now, id));
        self.with_body.push_back(id);
    }
}
