//! Telling others: webhooks that a host's tenants subscribe, and the engine that delivers them.
//!
//! The modules, in the order in which an event passes through them:
//!
//! | module | does |
//! |---|---|
//! | [`model`] | webhooks, deliveries, attempts, settlements |
//! | [`service`] | publish; what administrators see and change |
//! | [`fan_out`] | which webhooks hear of an event |
//! | [`repository`] | port: what an administrator sees |
//! | [`changes`] | whether changes can be saved together |
//! | [`conflicts`] | what a store says when a key or an id is taken |
//! | [`queue`] | port: publish, fan out, claim, settle |
//! | [`host_transaction`] | publishing inside a transaction of the host's own |
//! | [`sign`] | the signature headers of a request |
//! | [`classify`] | an answer becomes a verdict |
//! | `mapped` | the body that a webhook's mapping writes |
//! | [`retry`] | a verdict becomes what happens next |
//! | [`health`] | when a failing webhook is given up |
//! | [`notice`] | what an operator hears of |
//! | [`settings`] | the numbers that hold for a whole hub |

pub mod changes;
pub mod classify;
pub mod conflicts;
pub(crate) mod context;
pub(crate) mod dispatch;
pub mod fan_out;
pub mod health;
pub mod host_transaction;
pub(crate) mod mapped;
pub mod model;
pub mod notice;
pub(crate) mod notice_events;
pub mod queue;
pub mod repository;
pub mod retry;
pub(crate) mod sealing;
pub mod service;
pub mod settings;
pub mod sign;
mod stored;
#[cfg(feature = "worker")]
pub mod worker;

pub use changes::check_changes;
pub use classify::Verdict;
pub use fan_out::{FanOut, Hearing};
pub use health::{AutoDisable, Judgement, WebhookHealth};
pub use host_transaction::{HostTransaction, Pick, Publications};
pub use model::*;
pub use notice::{Notice, NoticeKind, NoticeStream};
pub use queue::{
    Advanced, ClaimRequest, Claimed, DeliveryQueue, Distributed, Distribution, Examination, Expired, Half,
    HealthMoved, Judged, JudgedStep, Outbox, Retention, Sequence, SettleBatch, Settled,
};
pub use repository::{
    Backlog, Change, Durability, Erasure, Release, Resealed, StoppedHead, WebhookRepository,
};
pub use retry::{Next, RetryPolicy};
pub use service::{
    After, Auth, AuthView, Cause, Created, DefaultsUpdate, DefaultsView, DeliveryAdmin, DeliveryQuery,
    Diagnosis, Edit, Explained, Finding, InvalidRewrapCursor, NewReplay, NewWebhook, ReplayAdmin,
    ReplayQuery, RewrapCursor, RewrapFailure, Rewrapped, Rotation, SecretOnce, SecretView, StepOutcome,
    TestEvent, Tested, WebhookAdmin, WebhookQuery, WebhookStep, WebhookUpdate, WebhookView,
};
pub use settings::Settings;
pub use sign::{HmacScheme, SignatureScheme, Signer, SigningSecret, Verified, Verifier, VerifyError};
#[cfg(feature = "worker")]
pub use worker::{Worker, WorkerStatus};
