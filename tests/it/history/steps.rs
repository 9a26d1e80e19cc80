//! What may happen in a history.

use crossdock::webhooks::{LaneStop, Ordered, Ordering, StoppedHead};
use proptest::collection::vec;
use proptest::prelude::*;

/// What a webhook allows. The world has [`super::world::WEBHOOKS`] of them, two per tenant.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) cap: Option<u32>,
    pub(super) ordering: Ordering,
    /// Requests per 1,000 seconds: such that no token comes at a whole millisecond.
    pub(super) rate: Option<u32>,
}

/// One step; numbers name webhooks, claims and deliveries by their place, round and round.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Publish {
        tenant: usize,
        count: usize,
        key: Option<u8>,
        subject: Option<u8>,
        order: u8,
    },
    FanOut {
        limit: usize,
    },
    /// Fans out and claims all there is: a store may lease some of it in the same breath.
    Distribute {
        limit: usize,
    },
    Claim,
    /// Nothing of this tenant.
    ClaimExcept {
        tenant: usize,
    },
    Settle {
        claim: usize,
        fate: FateKind,
        extras: Extras,
    },
    Pass {
        milliseconds: u32,
    },
    /// Sleeps exactly as long as the store says.
    PassUntilDue,
    Pause {
        webhook: usize,
    },
    Resume {
        webhook: usize,
    },
    Disable {
        webhook: usize,
    },
    Remove {
        webhook: usize,
    },
    Recreate {
        webhook: usize,
    },
    Reorder {
        webhook: usize,
        ordering: Ordering,
    },
    Resend {
        delivery: usize,
    },
    Replay {
        webhook: usize,
        per_second: u32,
    },
    CancelReplay {
        replay: usize,
    },
    AdvanceReplays {
        ids: usize,
    },
    ReleaseStopped {
        webhook: usize,
        head: StoppedHead,
    },
    Erase {
        tenant: usize,
        subject: u8,
    },
    Expire {
        seconds: u32,
    },
    Tidy {
        seconds: u32,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum FateKind {
    Delivered,
    Retry(u32),
    DeadLetter,
    Stop,
    Release(u32),
}

/// What a result brings besides.
#[derive(Clone, Debug)]
pub(super) struct Extras {
    pub(super) pause: Option<u32>,
    pub(super) brake: Option<u32>,
    pub(super) disables: bool,
}

pub(super) fn history() -> impl Strategy<Value = (Vec<Settings>, Vec<Step>)> {
    (vec(settings(), super::world::WEBHOOKS), vec(step(), 1..120))
}

fn settings() -> impl Strategy<Value = Settings> {
    let cap = prop_oneof![3 => Just(None), 2 => (1_u32..4).prop_map(Some)];
    let rate = prop_oneof![4 => Just(None), 1 => Just(Some(777))];
    (cap, ordering(), rate).prop_map(|(cap, ordering, rate)| Settings { cap, ordering, rate })
}

fn ordering() -> impl Strategy<Value = Ordering> {
    let ordered = |by| Ordering::Ordered { by, on_exhausted: LaneStop::Stop };
    prop_oneof![
        3 => Just(Ordering::Unordered),
        1 => Just(ordered(Ordered::All)),
        1 => Just(ordered(Ordered::ByKey)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let webhook = 0..super::world::WEBHOOKS;
    let key = prop_oneof![4 => Just(None), 1 => (0_u8..3).prop_map(Some)];
    let subject = prop_oneof![2 => Just(None), 1 => (0_u8..2).prop_map(Some)];
    let head = prop_oneof![Just(StoppedHead::Retry), Just(StoppedHead::Skip)];
    prop_oneof![
        8 => (0_usize..2, 1_usize..5, key, subject, 0_u8..3).prop_map(
            |(tenant, count, key, subject, order)| Step::Publish { tenant, count, key, subject, order }
        ),
        4 => limit().prop_map(|limit| Step::FanOut { limit }),
        6 => limit().prop_map(|limit| Step::Distribute { limit }),
        10 => Just(Step::Claim),
        3 => (0_usize..2).prop_map(|tenant| Step::ClaimExcept { tenant }),
        16 => (any::<usize>(), fate(), extras())
            .prop_map(|(claim, fate, extras)| Step::Settle { claim, fate, extras }),
        6 => prop_oneof![0_u32..2_000, 0_u32..120_000].prop_map(|milliseconds| Step::Pass { milliseconds }),
        6 => Just(Step::PassUntilDue),
        1 => webhook.clone().prop_map(|webhook| Step::Pause { webhook }),
        3 => webhook.clone().prop_map(|webhook| Step::Resume { webhook }),
        1 => webhook.clone().prop_map(|webhook| Step::Disable { webhook }),
        1 => webhook.clone().prop_map(|webhook| Step::Remove { webhook }),
        2 => webhook.clone().prop_map(|webhook| Step::Recreate { webhook }),
        1 => (webhook.clone(), ordering()).prop_map(|(webhook, ordering)| Step::Reorder { webhook, ordering }),
        2 => any::<usize>().prop_map(|delivery| Step::Resend { delivery }),
        // Such that a second divides into whole microseconds.
        2 => (webhook.clone(), 0_u32..3).prop_map(|(webhook, doublings)| Step::Replay { webhook, per_second: 1 << doublings }),
        1 => any::<usize>().prop_map(|replay| Step::CancelReplay { replay }),
        3 => (0_usize..6).prop_map(|ids| Step::AdvanceReplays { ids }),
        1 => (webhook, head).prop_map(|(webhook, head)| Step::ReleaseStopped { webhook, head }),
        1 => (0_usize..2, 0_u8..2).prop_map(|(tenant, subject)| Step::Erase { tenant, subject }),
        1 => (0_u32..300).prop_map(|seconds| Step::Expire { seconds }),
        1 => (0_u32..300).prop_map(|seconds| Step::Tidy { seconds }),
    ]
}

fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..4, Just(100)]
}

fn fate() -> impl Strategy<Value = FateKind> {
    prop_oneof![
        4 => Just(FateKind::Delivered),
        3 => (0_u32..90_000).prop_map(FateKind::Retry),
        1 => Just(FateKind::DeadLetter),
        1 => Just(FateKind::Stop),
        1 => (0_u32..5_000).prop_map(FateKind::Release),
    ]
}

fn extras() -> impl Strategy<Value = Extras> {
    let rarely = |most| prop_oneof![9 => Just(None), 1 => (0..most).prop_map(Some)];
    (rarely(60_000_u32), rarely(60_000), prop_oneof![30 => Just(false), 1 => Just(true)])
        .prop_map(|(pause, brake, disables)| Extras { pause, brake, disables })
}
