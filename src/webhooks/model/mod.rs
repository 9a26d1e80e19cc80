//! The values of the slice: webhooks, deliveries, attempts, settlements, replays.

mod attempt;
mod delivery;
mod logged_headers;
mod login_hosts;
mod replay;
mod settlement;
mod webhook;

pub use attempt::{Attempt, AttemptError};
pub use delivery::{
    DeadReason, Delivery, DeliveryFilter, DeliveryRecord, DeliveryStatus, Include, NewDelivery, Origin, Skip,
    SkipReason, StatusKind,
};
pub use logged_headers::LoggedHeaders;
pub use login_hosts::LoginHosts;
pub use replay::{Replay, ReplayFilter, ReplayState};
pub use settlement::{BrakeChange, Claim, Fate, HealthChange, Publication, Published, Settlement};
pub use webhook::{
    DisableReason, LaneStop, OrderKey, Ordered, Ordering, StoredAuth, StoredSecret, TenantDefaults, Webhook,
    WebhookState,
};

pub use crate::primitives::version::Version;
