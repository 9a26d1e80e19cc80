//! How a delivery enters and leaves the lanes of its webhook.

use chrono::{DateTime, Utc};

use crate::adapters::memory::group::{DueKey, Group, Turn};
use crate::adapters::memory::slab::Slot;
use crate::adapters::memory::state::{Place, Row, State};
use crate::webhooks::model::{DeliveryStatus, OrderKey, SkipReason};

impl State {
    /// Lets a delivery wait until it is due.
    pub(super) fn enter(&mut self, slot: Slot<Row>, due: DateTime<Utc>) {
        let row = &mut self.rows[slot];
        row.place = Place::Waiting;
        row.due = due;
        row.delivery.next_attempt_at = Some(due);
        let (group, order, sequence) = (row.group, row.order, row.sequence);
        match order {
            None => {
                self.put_in_lane(slot);
            }
            Some(key) => {
                self.groups[group].orders.entry(key).or_default().items.insert((sequence, slot));
                self.offer(group, key);
            }
        }
        self.touch(group);
    }

    /// Takes a delivery out of wherever it is.
    pub(super) fn leave(&mut self, slot: Slot<Row>) {
        let row = &mut self.rows[slot];
        let place = std::mem::replace(&mut row.place, Place::Ended);
        let (group_slot, key, is_replay) = (row.group, row.order, row.is_replay());
        let group = &mut self.groups[group_slot];
        match place {
            Place::Waiting if key.is_none() => self.take_from_lane(slot),
            Place::Waiting => {}
            Place::Leased(until) => {
                group.leases.remove(&(until, slot));
                if is_replay {
                    group.replay_leases.remove(&(until, slot));
                }
            }
            Place::Stopped => {
                group.stopped.remove(&slot);
            }
            Place::Ended => return,
        }
        if let Some(key) = key {
            self.leave_order(slot, key);
        }
        self.touch(group_slot);
    }

    /// Leases a delivery that has just been taken out of its lane.
    pub(super) fn lease(&mut self, slot: Slot<Row>, until: DateTime<Utc>) {
        let row = &mut self.rows[slot];
        row.place = Place::Leased(until);
        let group = &mut self.groups[row.group];
        group.leases.insert((until, slot));
        if row.is_replay() {
            group.replay_leases.insert((until, slot));
        }
        if let Some(order) = row.order.and_then(|key| group.orders.get_mut(&key)) {
            order.offered = None;
            order.leased = Some(slot);
        }
    }

    /// Holds a delivery, and its order, until a person releases it.
    pub(super) fn stop(&mut self, slot: Slot<Row>) {
        self.leave(slot);
        let row = &mut self.rows[slot];
        row.place = Place::Stopped;
        row.delivery.status = DeliveryStatus::Stopped;
        row.delivery.next_attempt_at = None;
        let (group, order, sequence) = (row.group, row.order, row.sequence);
        self.groups[group].stopped.insert(slot);
        if let Some(key) = order {
            self.groups[group].orders.entry(key).or_default().items.insert((sequence, slot));
            self.offer(group, key);
        }
    }

    /// Makes deliveries whose lease has ended due again, in the order in which the leases ended.
    pub(super) fn end_leases(&mut self, group: Slot<Group>, now: DateTime<Utc>) {
        while let Some(&(until, slot)) = self.groups[group].leases.first().filter(|(until, _)| *until <= now)
        {
            self.lapses.push_back(until);
            if self.events[self.rows[slot].event].has_payload {
                self.leave(slot);
                self.enter(slot, until);
            } else {
                self.end(slot, DeliveryStatus::Skipped(SkipReason::Erased), now);
            }
        }
    }

    /// Remembers to think over a group's turn.
    pub(super) fn touch(&mut self, slot: Slot<Group>) {
        let group = &mut self.groups[slot];
        if !group.is_touched {
            group.is_touched = true;
            self.touched.push(slot);
        }
    }

    /// Thinks over the turns of all touched groups.
    pub(super) fn schedule_touched(&mut self, now: DateTime<Utc>) {
        while let Some(slot) = self.touched.pop() {
            self.groups[slot].is_touched = false;
            let turn = match self.groups[slot].next_at(self.caps) {
                None => Turn::Never,
                Some(at) if at <= now => Turn::Now,
                Some(at) => Turn::At(at),
            };
            self.set_turn(slot, turn);
            self.drop_group_if_unused(slot);
        }
    }

    pub(super) fn set_turn(&mut self, slot: Slot<Group>, turn: Turn) {
        let group = &mut self.groups[slot];
        let before = std::mem::replace(&mut group.turn, turn);
        if before == turn {
            return;
        }
        let (tenant_slot, place) = (group.tenant, (group.served, slot));
        let tenant = &mut self.tenants[tenant_slot];
        match before {
            Turn::Never => {}
            Turn::At(at) => {
                self.timers.remove(&(at, slot));
            }
            Turn::Now => {
                tenant.ready.remove(&place);
                if tenant.ready.is_empty() {
                    self.ready.remove(&tenant.id);
                }
            }
        }
        match turn {
            Turn::Never => {}
            Turn::At(at) => {
                self.timers.insert((at, slot));
            }
            Turn::Now => {
                if tenant.ready.is_empty() {
                    self.ready.insert(tenant.id.clone(), tenant_slot);
                }
                tenant.ready.insert(place);
            }
        }
    }

    /// Puts the delivery that may go next into the lane, unless one of its order is out or the head stands still.
    fn offer(&mut self, group_slot: Slot<Group>, key: OrderKey) {
        let group = &mut self.groups[group_slot];
        let Some(order) = group.orders.get_mut(&key) else { return };
        let head = order.items.first().map(|&(_, slot)| slot);
        let wanted = head.filter(|&slot| order.leased.is_none() && self.rows[slot].place == Place::Waiting);
        let before = std::mem::replace(&mut order.offered, wanted);
        if order.items.is_empty() {
            group.orders.remove(&key);
        }
        if before == wanted {
            return;
        }
        if let Some(before) = before {
            self.take_from_lane(before);
        }
        if let Some(wanted) = wanted {
            self.put_in_lane(wanted);
        }
    }

    fn leave_order(&mut self, slot: Slot<Row>, key: OrderKey) {
        let (group_slot, sequence) = (self.rows[slot].group, self.rows[slot].sequence);
        let Some(order) = self.groups[group_slot].orders.get_mut(&key) else { return };
        order.items.remove(&(sequence, slot));
        if order.leased == Some(slot) {
            order.leased = None;
        }
        if order.offered == Some(slot) {
            order.offered = None;
            self.take_from_lane(slot);
        }
        self.offer(group_slot, key);
    }

    fn put_in_lane(&mut self, slot: Slot<Row>) {
        let row = &self.rows[slot];
        lane_of(&mut self.groups[row.group], row).insert(due_key(slot, row));
    }

    fn take_from_lane(&mut self, slot: Slot<Row>) {
        let row = &self.rows[slot];
        lane_of(&mut self.groups[row.group], row).remove(&due_key(slot, row));
    }
}

fn lane_of<'a>(group: &'a mut Group, row: &Row) -> &'a mut std::collections::BTreeSet<DueKey> {
    if row.is_replay() { &mut group.replay } else { &mut group.live }
}

fn due_key(slot: Slot<Row>, row: &Row) -> DueKey {
    (row.due, row.arrival, slot)
}
