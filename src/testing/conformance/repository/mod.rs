//! The contract of [`WebhookRepository`](crate::webhooks::repository::WebhookRepository), sentence by sentence.

mod deliveries;
mod erasure;
mod isolation;
mod repair;
mod replays;
mod save;
mod seals;
mod webhooks;

use crate::testing::conformance::{Check, StoreHarness};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    [
        save::checks(),
        webhooks::checks(),
        deliveries::checks(),
        repair::checks(),
        replays::checks(),
        erasure::checks(),
        isolation::checks(),
        seals::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
