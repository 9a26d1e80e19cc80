//! What administrators see and change, and what the host publishes.
//!
//! | module | decides |
//! |---|---|
//! | `access` | may they? |
//! | `publish` | an event goes in; who would hear of it |
//! | `wanted`, `steps` | what is asked for, as it was typed |
//! | `checks`, `credentials`, `secrets` | is it fit to be stored? |
//! | `plan` | changes are planned together and saved together |
//! | `create`, `update`, `switch`, `defaults` | what each change does |
//! | `view`, `listing` | what reading shows, page by page |
//! | `webhooks` | the calls themselves |

pub(crate) mod access;
mod checks;
mod create;
mod credentials;
mod defaults;
pub(crate) mod listing;
mod plan;
pub(crate) mod publish;
mod secrets;
mod steps;
mod switch;
mod update;
mod view;
mod wanted;
mod webhooks;

pub use credentials::{Auth, Edit, SecretOnce};
pub use defaults::DefaultsUpdate;
pub use listing::After;
pub use publish::Explained;
pub use steps::{StepOutcome, WebhookStep};
pub use view::{AuthView, Created, DefaultsView, SecretView, WebhookQuery, WebhookView};
pub use wanted::{NewWebhook, WebhookUpdate};
pub use webhooks::WebhookAdmin;
