//! What administrators see and change, and what the host publishes.
//!
//! | module | decides |
//! |---|---|
//! | `access` | may they? |
//! | `publish` | an event goes in; who would hear of it |
//! | `wanted`, `new_webhook`, `webhook_update`, `steps` | what is asked for, as it was typed |
//! | `checks`, `credentials`, `secrets` | is it fit to be stored? |
//! | `plan` | changes are planned together and saved together |
//! | `create`, `update`, `switch`, `rotate`, `defaults` | what each change does |
//! | `test_send`, `diagnose`, `findings`, `release` | is it well, and what helps? |
//! | `deliveries`, `replays` | what was sent, and once more |
//! | `view`, `listing` | what reading shows, page by page |
//! | `webhooks` | the calls themselves |

pub(crate) mod access;
mod checks;
mod create;
mod credentials;
mod defaults;
mod deliveries;
mod diagnose;
mod findings;
pub(crate) mod listing;
mod new_webhook;
mod plan;
pub(crate) mod publish;
mod release;
mod replays;
pub(crate) mod rewrap;
mod rotate;
mod secrets;
mod steps;
mod switch;
mod test_send;
mod update;
mod view;
mod wanted;
mod webhook_update;
mod webhooks;

pub use credentials::{Auth, Edit, SecretOnce};
pub use defaults::DefaultsUpdate;
pub use deliveries::{DeliveryAdmin, DeliveryQuery};
pub use diagnose::Diagnosis;
pub use findings::{Cause, Finding};
pub use listing::After;
pub use new_webhook::NewWebhook;
pub use publish::Explained;
pub use replays::{NewReplay, ReplayAdmin, ReplayQuery};
pub use rewrap::{InvalidRewrapCursor, RewrapCursor, RewrapFailure, Rewrapped};
pub use rotate::Rotation;
pub use steps::{StepOutcome, WebhookStep};
pub use test_send::{TestEvent, Tested};
pub use view::{AuthView, Created, DefaultsView, SecretView, WebhookQuery, WebhookView};
pub use webhook_update::WebhookUpdate;
pub use webhooks::WebhookAdmin;
