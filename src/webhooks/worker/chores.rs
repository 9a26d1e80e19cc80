//! What must be done now and then: replays, expiry, retention.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::activity::model::ActivityKind;
use crate::error::Result;
use crate::ports::EntropyExt;
use crate::primitives::id::DeliveryId;
use crate::webhooks::context::Context;
use crate::webhooks::model::DeadReason;
use crate::webhooks::notice::{Notice, NoticeKind};
use crate::webhooks::notice_events::publish_notices;
use crate::webhooks::queue::Expired;
use crate::webhooks::worker::status::StatusBoard;
use crate::webhooks::worker::store_clock::StoreClock;

/// Does the chores. Any number of processes may do them at once.
#[derive(Debug)]
pub(super) struct Chores<'a> {
    context: &'a Context,
    board: &'a StatusBoard,
    time: &'a StoreClock,
}

const EVERY: Duration = Duration::from_secs(1);
/// Expiry and retention are measured in days: once a minute is early enough.
const ROUNDS_BETWEEN_CLEANING: u32 = 60;
/// The most deliveries that replays make in one round, over all of them.
const REPLAYED_AT_ONCE: u64 = 1_000;
const ENDED_AT_ONCE: usize = 1_000;

impl<'a> Chores<'a> {
    pub(super) fn new(context: &'a Context, board: &'a StatusBoard, time: &'a StoreClock) -> Self {
        Self { context, board, time }
    }

    pub(super) async fn for_ever(&self) {
        let clock = &*self.context.clock;
        for round in (0..ROUNDS_BETWEEN_CLEANING).cycle() {
            if let Err(error) = self.replays().await {
                self.board.store_failed(&error, clock.now());
            }
            self.notices().await;
            if round == 0
                && let Err(error) = self.cleaning().await
            {
                self.board.store_failed(&error, clock.now());
            }
            clock.sleep_until(clock.now() + EVERY).await;
        }
    }

    /// Every chore once; says when a replay goes on, if one does.
    pub(super) async fn all(&self) -> Option<DateTime<Utc>> {
        let now = self.context.clock.now();
        let result = async {
            let advanced = self.replays().await?;
            self.cleaning().await?;
            Ok(advanced)
        };
        match result.await {
            Ok(made) => (made > 0).then(|| now + EVERY),
            Err(error) => {
                self.board.store_failed(&error, now);
                Some(now + EVERY)
            }
        }
    }

    /// Publishes the notices that are events as well; says how many there were.
    pub(super) async fn notices(&self) -> usize {
        publish_notices(self.context).await.unwrap_or_else(|error| {
            // They are kept for the next time.
            self.board.store_failed(&error, self.context.clock.now());
            0
        })
    }

    async fn replays(&self) -> Result<u64> {
        // Most of the time no replay runs: ids are minted when they are wanted.
        let wanted = self.advance(0).await?;
        if wanted == 0 { Ok(0) } else { self.advance(wanted.min(REPLAYED_AT_ONCE)).await.map(|_| wanted) }
    }

    /// Makes at most so many deliveries of replays; answers how many more are due.
    async fn advance(&self, count: u64) -> Result<u64> {
        let now = self.time.compared().await?;
        let ids = (0..count).map(|_| DeliveryId::mint(now, self.context.entropy.bytes())).collect();
        let advanced = self.context.queue.advance_replays(ids, now).await?;
        if advanced.made > 0 {
            self.context.wake.wake();
        }
        let mut entries = Vec::new();
        for (tenant, webhook, replay) in advanced.completed {
            let kind = ActivityKind::ReplayCompleted;
            let entry = self.context.activity_by_engine(&tenant, kind, replay, now);
            entries.push(entry.with_detail("webhook", webhook.to_string()));
            self.context.tell(Notice::new(now, tenant, webhook, NoticeKind::ReplayCompleted(replay)));
        }
        self.context.log(entries).await?;
        Ok(advanced.wanted)
    }

    async fn cleaning(&self) -> Result<()> {
        let now = self.time.compared().await?;
        let settings = &self.context.settings;
        loop {
            let before = now - settings.max_age;
            let Expired { deliveries, skipped } =
                self.context.queue.expire(before, now, ENDED_AT_ONCE).await?;
            let ended = deliveries.len() as u64 + skipped;
            let mut entries = Vec::new();
            for (tenant, webhook, delivery) in deliveries {
                let kind = ActivityKind::DeadLettered;
                let entry = self.context.activity_by_engine(&tenant, kind, delivery, now);
                let entry = entry.with_detail("webhook", webhook.to_string());
                entries.push(entry.with_detail("reason", DeadReason::Expired.as_str()));
                let kind = NoticeKind::DeadLetter(delivery, DeadReason::Expired);
                self.context.tell(Notice::new(now, tenant, webhook, kind));
            }
            self.context.log(entries).await?;
            // Less than was asked for: nothing is left.
            if ended < ENDED_AT_ONCE as u64 {
                break;
            }
        }
        self.context.queue.tidy(settings.retention, now).await?;
        Ok(())
    }
}
