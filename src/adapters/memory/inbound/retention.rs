//! What is erased when somebody asks for it, and what goes by itself, when.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::adapters::memory::inbound::{Inbound, Row};
use crate::inbound::received::ReceivedStatus;
use crate::inbound::source::Owner;
use crate::inbound::store::{InboundErasure, InboundRetention};
use crate::primitives::time::earlier;

impl Inbound {
    pub(in crate::adapters::memory) fn erase(
        &mut self,
        owner: &Owner,
        subject: &str,
        now: DateTime<Utc>,
    ) -> InboundErasure {
        let is_about_it = |row: &Row| {
            row.received.owner == *owner
                && row.received.subject.as_deref() == Some(subject)
                && row.can_be_erased()
        };
        let about: Vec<_> = self.rows.iter().filter(|(_, row)| is_about_it(row)).map(|(id, _)| *id).collect();
        let mut erasure = InboundErasure::new(about.len() as u64, 0);
        for id in about {
            let Some(row) = self.rows.get(&id) else { continue };
            let status = row.status;
            if status == ReceivedStatus::Pending {
                erasure.unhandled += 1;
                self.leave(id);
                self.end(id, ReceivedStatus::Erased, now);
            }
            let Some(row) = self.rows.get_mut(&id) else { continue };
            self.dead -= u64::from(row.status == ReceivedStatus::Dead);
            if row.is_unfinished() {
                row.status = ReceivedStatus::Erased;
            }
            // Whoever works on it must not settle it now.
            (row.token, row.note, row.has_body) = (None, None, false);
            Arc::make_mut(&mut row.received).body = Bytes::new();
        }
        erasure
    }

    /// Beside what is too old, the bodies of what has ended longest ago go when there are more than `history`.
    pub(in crate::adapters::memory) fn tidy(
        &mut self,
        retention: InboundRetention,
        history: usize,
        now: DateTime<Utc>,
    ) -> u64 {
        let mut gone = 0;
        let before = earlier(now, retention.rows());
        let old: Vec<_> = self.ended.iter().take_while(|(at, _)| *at < before).take(STEP).copied().collect();
        for place in old {
            self.ended.remove(&place);
            if let Some(row) = self.rows.remove(&place.1) {
                self.dead -= u64::from(row.status == ReceivedStatus::Dead);
                self.by_key.remove(row.received.source, &row.received.dedupe_key);
                if let Some(guard) = &row.received.guard {
                    self.by_guard.remove(row.received.source, guard);
                }
                gone += 1;
            }
        }
        let before = earlier(now, retention.of_bodies());
        for _ in 0..STEP {
            let Some(id) = self.with_body.front().copied() else { break };
            let has_ended = |row: &&mut Row| row.ended_at.is_some() && row.has_body;
            let row = self.rows.get_mut(&id).filter(has_ended);
            let is_too_much = self.with_body.len() > history;
            if let Some(row) = row {
                if !is_too_much && row.ended_at.is_none_or(|at| at >= before) {
                    break;
                }
                Arc::make_mut(&mut row.received).body = Bytes::new();
                row.has_body = false;
                gone += 1;
            }
            self.with_body.pop_front();
        }
        self.orders
            .retain(|_, line| !line.pending.is_empty() || line.touched_at >= earlier(now, retention.rows()));
        gone
    }
}

const STEP: usize = 1_000;
