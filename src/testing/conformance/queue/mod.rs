//! The contract of [`DeliveryQueue`](crate::webhooks::queue::DeliveryQueue), sentence by sentence.

mod changed;
mod claim;
mod distribute;
mod examine;
mod fairness;
mod fan_out;
mod fencing;
mod health;
mod limits;
mod order;
mod publish;
mod replays;
mod retention;
mod settle;

use crate::testing::conformance::{Check, StoreHarness};

pub(super) fn checks() -> Vec<Check<dyn StoreHarness>> {
    [
        publish::checks(),
        fan_out::checks(),
        distribute::checks(),
        claim::checks(),
        limits::checks(),
        order::checks(),
        fairness::checks(),
        settle::checks(),
        fencing::checks(),
        health::checks(),
        changed::checks(),
        replays::checks(),
        retention::checks(),
        examine::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
