//! Orders that stand still go on.

use crate::activity::model::ActivityKind;
use crate::error::{Error, ErrorKind, Result};
use crate::primitives::id::WebhookId;
use crate::webhooks::repository::StoppedHead;
use crate::webhooks::service::access::may_manage;
use crate::webhooks::service::webhooks::WebhookAdmin;

impl WebhookAdmin {
    /// Lets a webhook's stopped orders go on, and says how many there were: their heads are tried once more, or skipped.
    ///
    /// Dropping the future leaves them all released, or none.
    ///
    /// # Errors
    /// `Denied`; `NotFound`.
    pub async fn release_stopped(&self, id: WebhookId, head: StoppedHead) -> Result<u64> {
        const WHAT: &str = "release stopped orders";
        may_manage(&self.context, &self.actor, WHAT)?;
        self.stored(id, WHAT).await?;
        let now = self.context.clock.now();
        let word = match head {
            StoppedHead::Retry => "retry",
            StoppedHead::Skip => "skip",
        };
        let activity = self
            .context
            .activity_by(&self.actor, ActivityKind::LaneReleased, id, now)
            .with_detail("head", word);
        let tenant = self.actor.tenant();
        let released = self.context.repository.release_stopped(tenant, id, head, vec![activity], now).await;
        let released = released.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::new(ErrorKind::NotFound, WHAT),
            _ => error,
        })?;
        self.context.something_is_due();
        Ok(released)
    }
}
