//! What is fresh, and what a copy of something that came before.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::adapters::memory::inbound::{Inbound, Row};
use crate::inbound::received::{Received, ReceivedRecord, ReceivedStatus};
use crate::inbound::store::Accepted;
use crate::primitives::id::ReceivedId;

impl Inbound {
    pub(in crate::adapters::memory) fn accept(
        &mut self,
        all: Vec<Received>,
        now: DateTime<Utc>,
    ) -> Vec<Accepted> {
        all.into_iter().map(|received| self.accept_one(received, now)).collect()
    }

    fn accept_one(&mut self, received: Received, now: DateTime<Utc>) -> Accepted {
        let (source, id) = (received.source, received.id);
        if let Some(guard) = &received.guard {
            let by_guard = || self.by_guard.find(source, guard);
            if let Some(known) = self.by_key.find(source, &received.dedupe_key).or_else(by_guard) {
                return self.copy_came(known, received, now);
            }
            self.by_guard.note(source, guard, id);
        }
        if let Some(known) = self.by_key.note(source, &received.dedupe_key, id) {
            return self.copy_came(known, received, now);
        }
        let fresh = ReceivedRecord::new(received);
        let row = Row {
            party: fresh.received.party(),
            received: Arc::new(fresh.received),
            has_body: true,
            status: fresh.status,
            attempts: 0,
            duplicates: 0,
            due: now,
            ended_at: None,
            token: None,
            is_leased: false,
            note: None,
        };
        self.rows.insert(id, row);
        match fresh.status {
            ReceivedStatus::Pending => self.enter(id, now),
            ended => self.end(id, ended, now),
        }
        Accepted::Fresh
    }

    fn copy_came(&mut self, id: ReceivedId, copy: Received, now: DateTime<Utc>) -> Accepted {
        let Some(row) = self.rows.get_mut(&id) else { return Accepted::Duplicate(id) };
        row.duplicates = row.duplicates.saturating_add(1);
        if row.status != ReceivedStatus::Dead {
            return Accepted::Duplicate(id);
        }
        if !row.has_body {
            Arc::make_mut(&mut row.received).body = copy.body;
            row.has_body = true;
        }
        self.begin_anew(id, now);
        Accepted::Rearmed(id)
    }
}
