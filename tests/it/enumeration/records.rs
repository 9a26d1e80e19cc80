//! The administrator's side of a store, with the ledger beside it.

use std::future::Future;
use std::sync::Arc;

use crossdock::Result;
use crossdock::webhooks::{Change, WebhookRepository, WebhookState};

use crate::relay::relay;
use crate::simulation::ledger::{Hook, Ledger};

/// Stands directly before a store, behind whatever makes it fail.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) inner: Arc<dyn WebhookRepository>,
    pub(super) ledger: Ledger,
    /// What holds where a webhook says nothing: in flight, attempts.
    pub(super) defaults: (u32, u32),
}

impl Records {
    async fn around<T>(
        &self,
        _step: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        call.await
    }

    fn note(
        &self,
        tenant: &crossdock::tenancy::TenantId,
        change: &Change,
        now: chrono::DateTime<chrono::Utc>,
    ) {
        let mut books = self.ledger.books();
        match change {
            Change::Insert(webhook) => {
                let hook = Hook {
                    tenant: tenant.clone(),
                    host: webhook.url.host().to_owned(),
                    cap: webhook.max_in_flight.unwrap_or(self.defaults.0),
                    max_attempts: self.defaults.1,
                    is_anchor: false,
                    ended_at: None,
                    is_deleted: false,
                };
                books.webhooks.insert(webhook.id, hook);
            }
            Change::Replace { webhook, .. } => match webhook.state {
                WebhookState::Disabled { .. } => books.ended(webhook.id, now),
                _ => {
                    if let Some(hook) = books.webhooks.get_mut(&webhook.id) {
                        hook.ended_at = None;
                    }
                }
            },
            Change::Remove { id, .. } => {
                books.ended(*id, now);
                if let Some(hook) = books.webhooks.get_mut(id) {
                    hook.is_deleted = true;
                }
            }
            _ => {}
        }
    }
}

relay! { WebhookRepository for Records:
    durability webhook webhooks defaults health backlog event deliveries delivery record_test resend preview_replay
    start_replay replay replays cancel_replay release_stopped erase_subject tenants reseal;

    async fn save(
        &self,
        tenant: &TenantId,
        changes: Vec<Change>,
        activity: Vec<Activity>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        // What is disabled or removed ends the deliveries whose lease is over by this time.
        self.ledger.books().shown(now);
        self.inner.save(tenant, changes.clone(), activity, now).await?;
        changes.iter().for_each(|change| self.note(tenant, change, now));
        Ok(())
    }
}
