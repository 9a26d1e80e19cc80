//! What became of what was claimed.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::adapters::memory::inbound::Inbound;
use crate::inbound::received::{InboundFate, InboundSettlement, ReceivedStatus};
use crate::inbound::store::InboundSettled;

impl Inbound {
    /// Takes results; tells of each whether it was fenced, and whether it held.
    pub(in crate::adapters::memory) fn settle(
        &mut self,
        results: &[InboundSettlement],
        now: DateTime<Utc>,
    ) -> (InboundSettled, Vec<usize>) {
        let (mut settled, mut held) = (InboundSettled::default(), Vec::new());
        for (index, result) in results.iter().enumerate() {
            match self.rows.get(&result.id).filter(|row| row.token == Some(result.token)) {
                None => settled.fenced.push((result.id, result.token)),
                Some(row) if row.status != ReceivedStatus::Pending => {}
                Some(_) => {
                    self.settle_one(result, now);
                    held.push(index);
                }
            }
        }
        (settled, held)
    }

    fn settle_one(&mut self, result: &InboundSettlement, now: DateTime<Utc>) {
        self.leave(result.id);
        let Some(row) = self.rows.get_mut(&result.id) else { return };
        if let Some(note) = &result.note {
            row.note = Some(Arc::clone(note));
        }
        if let InboundFate::Release(_) = result.fate {
            row.attempts = row.attempts.saturating_sub(1);
        }
        match result.fate {
            InboundFate::RetryAt(at) | InboundFate::Release(at) => {
                // Whoever settles twice is fenced the second time.
                row.token = None;
                self.enter(result.id, at);
            }
            ended => {
                let (order, version) = (row.order(), row.received.version);
                self.end(result.id, ended.status(), now);
                if let (InboundFate::Done, Some(order)) = (ended, order) {
                    let line = self.orders.entry(order).or_default();
                    line.touched_at = now;
                    if line.latest.is_none_or(|latest| !version.is_outdated_by(&latest)) {
                        line.latest = Some(version);
                    }
                }
            }
        }
    }
}
