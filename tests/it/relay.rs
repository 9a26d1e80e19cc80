//! Stores that stand before other stores: what every such store would have to write out is here once.

/// Makes a type a store by handing steps on to its field `inner`, each through its method
/// `async fn around(&self, step: &'static str, call: impl Future) -> Result<T>`.
///
/// `relay! { DeliveryQueue for Mine }` hands every step on; `relay! { DeliveryQueue for Mine: publish outbox; async fn … }` those
/// that it names, and takes the others as they are written behind them. What a port has a default for (`outbox_half`, `distribute`) is
/// only handed on by name.
macro_rules! relay {
    (DeliveryQueue for $store:ty) => {
        relay! { DeliveryQueue for $store:
            publish outbox fan_out claim settle expire advance_replays tidy examine; }
    };
    (WebhookRepository for $store:ty) => {
        relay! { WebhookRepository for $store:
            durability save webhook webhooks defaults health backlog event deliveries delivery record_test resend
            preview_replay start_replay replay replays cancel_replay release_stopped erase_subject tenants reseal; }
    };
    (ActivityStore for $store:ty) => {
        relay! { ActivityStore for $store: activity append chain chain_ends; }
    };
    ($port:ident for $store:ty: $($step:ident)*; $($own:tt)*) => {
        relay! { @next $port, $store, [$($own)*], $($step)* }
    };

    (@next $port:ident, $store:ty, [$($made:tt)*],) => {
        const _: () = {
            use $crate::relay::words::*;

            #[async_trait::async_trait]
            impl $port for $store {
                $($made)*
            }
        };
    };
    (@next $port:ident, $store:ty, [$($made:tt)*], durability $($rest:ident)*) => {
        relay! { @next $port, $store, [
            $($made)*
            fn durability(&self) -> Durability {
                self.inner.durability()
            }
        ], $($rest)* }
    };
    (@make $port:ident, $store:ty, [$($made:tt)*], $rest:tt,
        $step:ident($($argument:ident: $type:ty),*) -> $answer:ty) => {
        relay! { @rest $port, $store, [
            $($made)*
            async fn $step(&self, $($argument: $type),*) -> crossdock::Result<$answer> {
                self.around(stringify!($step), self.inner.$step($($argument),*)).await
            }
        ], $rest }
    };
    (@rest $port:ident, $store:ty, $made:tt, [$($rest:ident)*]) => {
        relay! { @next $port, $store, $made, $($rest)* }
    };

    (@next $port:ident, $store:ty, $made:tt, publish $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            publish(publications: Vec<Publication>, keys: Duration, now: DateTime<Utc>) -> Vec<Published> }
    };
    (@next $port:ident, $store:ty, $made:tt, outbox $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], outbox(limit: usize, now: DateTime<Utc>) -> Outbox }
    };
    (@next $port:ident, $store:ty, $made:tt, outbox_half $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            outbox_half(half: Half, limit: usize, now: DateTime<Utc>) -> Option<Outbox> }
    };
    (@next $port:ident, $store:ty, $made:tt, distribute $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            distribute(entries: Vec<Distribution>, request: ClaimRequest) -> Distributed }
    };
    (@next $port:ident, $store:ty, $made:tt, fan_out $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            fan_out(entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> usize }
    };
    (@next $port:ident, $store:ty, $made:tt, claim $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], claim(request: ClaimRequest) -> Claimed }
    };
    (@next $port:ident, $store:ty, $made:tt, settle $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            settle(batch: SettleBatch<'_>, now: DateTime<Utc>) -> Settled }
    };
    (@next $port:ident, $store:ty, $made:tt, expire $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            expire(before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Expired }
    };
    (@next $port:ident, $store:ty, $made:tt, advance_replays $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            advance_replays(ids: Vec<DeliveryId>, now: DateTime<Utc>) -> Advanced }
    };
    (@next $port:ident, $store:ty, $made:tt, tidy $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], tidy(retention: Retention, now: DateTime<Utc>) -> u64 }
    };
    (@next $port:ident, $store:ty, $made:tt, examine $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], examine(now: DateTime<Utc>) -> Examination }
    };

    (@next $port:ident, $store:ty, $made:tt, save $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            save(tenant: &TenantId, changes: Vec<Change>, activity: Vec<Activity>, now: DateTime<Utc>) -> () }
    };
    (@next $port:ident, $store:ty, $made:tt, webhook $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            webhook(tenant: &TenantId, id: WebhookId) -> Option<Arc<Webhook>> }
    };
    (@next $port:ident, $store:ty, $made:tt, webhooks $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            webhooks(tenant: &TenantId, page: PageRequest) -> Page<Arc<Webhook>> }
    };
    (@next $port:ident, $store:ty, $made:tt, defaults $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], defaults(tenant: &TenantId) -> Arc<TenantDefaults> }
    };
    (@next $port:ident, $store:ty, $made:tt, health $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            health(tenant: &TenantId, webhook: WebhookId) -> Option<WebhookHealth> }
    };
    (@next $port:ident, $store:ty, $made:tt, backlog $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            backlog(tenant: &TenantId, webhook: Option<WebhookId>, now: DateTime<Utc>) -> Backlog }
    };
    (@next $port:ident, $store:ty, $made:tt, event $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], event(tenant: &TenantId, id: EventId) -> Option<Arc<Event>> }
    };
    (@next $port:ident, $store:ty, $made:tt, deliveries $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            deliveries(tenant: &TenantId, filter: &DeliveryFilter, include: Include, page: PageRequest)
                -> Page<DeliveryRecord> }
    };
    (@next $port:ident, $store:ty, $made:tt, delivery $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            delivery(tenant: &TenantId, id: DeliveryId, include: Include) -> Option<DeliveryRecord> }
    };
    (@next $port:ident, $store:ty, $made:tt, record_test $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            record_test(event: Arc<Event>, delivery: Delivery, attempt: Attempt, activity: Vec<Activity>) -> () }
    };
    (@next $port:ident, $store:ty, $made:tt, resend $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            resend(tenant: &TenantId, past: DeliveryId, id: DeliveryId, activity: Vec<Activity>, now: DateTime<Utc>)
                -> Delivery }
    };
    (@next $port:ident, $store:ty, $made:tt, preview_replay $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            preview_replay(tenant: &TenantId, webhook: WebhookId, filter: &ReplayFilter) -> u64 }
    };
    (@next $port:ident, $store:ty, $made:tt, start_replay $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            start_replay(replay: Replay, activity: Vec<Activity>) -> Replay }
    };
    (@next $port:ident, $store:ty, $made:tt, replay $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], replay(tenant: &TenantId, id: ReplayId) -> Option<Replay> }
    };
    (@next $port:ident, $store:ty, $made:tt, replays $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            replays(tenant: &TenantId, page: PageRequest) -> Page<Replay> }
    };
    (@next $port:ident, $store:ty, $made:tt, cancel_replay $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            cancel_replay(tenant: &TenantId, id: ReplayId, activity: Vec<Activity>, now: DateTime<Utc>) -> Replay }
    };
    (@next $port:ident, $store:ty, $made:tt, release_stopped $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            release_stopped(
                tenant: &TenantId, webhook: WebhookId, head: StoppedHead, activity: Vec<Activity>, now: DateTime<Utc>
            ) -> u64 }
    };
    (@next $port:ident, $store:ty, $made:tt, erase_subject $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            erase_subject(tenant: &TenantId, subject: &str, activity: Vec<Activity>, now: DateTime<Utc>) -> Erasure }
    };
    (@next $port:ident, $store:ty, $made:tt, tenants $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            tenants(after: Option<&TenantId>, limit: usize) -> Vec<TenantId> }
    };
    (@next $port:ident, $store:ty, $made:tt, reseal $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], reseal(tenant: &TenantId, seals: Vec<Resealed>) -> u64 }
    };

    (@next $port:ident, $store:ty, $made:tt, activity $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            activity(tenant: &TenantId, filter: &ActivityFilter, page: PageRequest) -> Page<Activity> }
    };
    (@next $port:ident, $store:ty, $made:tt, append $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], append(entries: Vec<Activity>) -> () }
    };
    (@next $port:ident, $store:ty, $made:tt, chain $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*],
            chain(tenant: &TenantId, behind: Option<ChainPlace>, limit: usize) -> Vec<ChainEntry> }
    };
    (@next $port:ident, $store:ty, $made:tt, chain_ends $($rest:ident)*) => {
        relay! { @make $port, $store, $made, [$($rest)*], chain_ends(tenant: &TenantId) -> ChainEnds }
    };
}

pub(crate) use relay;

/// Every word that the steps of the ports are written in.
pub(crate) mod words {
    pub(crate) use std::sync::Arc;
    pub(crate) use std::time::Duration;

    pub(crate) use chrono::{DateTime, Utc};
    pub(crate) use crossdock::activity::{
        Activity, ActivityFilter, ActivityStore, ChainEnds, ChainEntry, ChainPlace,
    };
    pub(crate) use crossdock::events::Event;
    pub(crate) use crossdock::primitives::{DeliveryId, EventId, Page, PageRequest, ReplayId, WebhookId};
    pub(crate) use crossdock::tenancy::TenantId;
    pub(crate) use crossdock::webhooks::{
        Advanced, Attempt, Backlog, Change, ClaimRequest, Claimed, Delivery, DeliveryFilter, DeliveryQueue,
        DeliveryRecord, Distributed, Distribution, Durability, Erasure, Examination, Expired, FanOut, Half,
        Include, Outbox, Publication, Published, Replay, ReplayFilter, Resealed, Retention, Sequence,
        SettleBatch, Settled, StoppedHead, TenantDefaults, Webhook, WebhookHealth, WebhookRepository,
    };
}
