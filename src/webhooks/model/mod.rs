//! The values of the slice: webhooks, deliveries, attempts, settlements, replays.

mod attempt;
mod delivery;
mod replay;
mod settlement;
mod webhook;

pub use attempt::{Attempt, AttemptError, AttemptHeaders};
pub use delivery::{
    DeadReason, Delivery, DeliveryFilter, DeliveryRecord, DeliveryStatus, Include, NewDelivery, Origin, Skip,
    SkipReason, StatusKind,
};
pub use replay::{Replay, ReplayFilter, ReplayState};
pub use settlement::{BrakeChange, Claim, Fate, HealthChange, Publication, Published, Settlement};
pub use webhook::{
    DisableReason, LaneStop, OrderKey, Ordered, Ordering, StoredAuth, StoredSecret, TenantDefaults, Version,
    Webhook, WebhookState,
};
