//! On, off, and waiting.

use chrono::{DateTime, Utc};

use crate::activity::model::ActivityKind;
use crate::error::{Problem, Result};
use crate::primitives::id::WebhookId;
use crate::webhooks::model::{DisableReason, WebhookState};
use crate::webhooks::repository::Release;
use crate::webhooks::service::plan::Plan;
use crate::webhooks::service::steps::Switch;

impl Plan<'_> {
    /// Plans another state, and says which one it was; one that a webhook has already is fine and changes nothing.
    pub(crate) async fn switch(&mut self, id: WebhookId, switch: Switch) -> Result<Option<WebhookState>> {
        let Some(mut webhook) = self.find(id).await? else { return Ok(None) };
        match switched(webhook.state, switch, self.now) {
            Err(problem) => {
                self.conflict(problem);
                Ok(None)
            }
            Ok(state) if state == webhook.state => Ok(Some(state)),
            Ok(state) => {
                let before = webhook.state;
                let activity = self.activity(kind(switch), id).with_detail("from", word(before));
                self.log(activity);
                webhook.state = state;
                // Whoever enables a webhook says that its receiver was mended.
                let release = if switch == Switch::Enable { Release::Release } else { Release::Keep };
                self.replace(webhook, release);
                Ok(Some(before))
            }
        }
    }

    /// Plans the end of a webhook.
    pub(crate) async fn delete(&mut self, id: WebhookId) -> Result<()> {
        let Some(webhook) = self.find(id).await? else { return Ok(()) };
        let activity = self
            .activity(ActivityKind::WebhookDeleted, id)
            .with_detail("name", webhook.name)
            .with_detail("host", webhook.url.host());
        self.log(activity);
        self.remove(id);
        Ok(())
    }
}

fn switched(state: WebhookState, switch: Switch, now: DateTime<Utc>) -> Result<WebhookState, Problem> {
    let disabled = |what: &str| {
        Problem::new("state", format!("a disabled webhook cannot be {what}"), "enable it instead")
    };
    match (state, switch) {
        (WebhookState::Active | WebhookState::Paused, Switch::Pause) => Ok(WebhookState::Paused),
        (WebhookState::Active | WebhookState::Paused, Switch::Resume) => Ok(WebhookState::Active),
        (WebhookState::Disabled { .. }, Switch::Pause) => Err(disabled("paused")),
        (WebhookState::Disabled { .. }, Switch::Resume) => Err(disabled("resumed")),
        (WebhookState::Active | WebhookState::Paused, Switch::Disable) => {
            Ok(WebhookState::Disabled { reason: DisableReason::ByPerson, at: now })
        }
        (WebhookState::Disabled { .. }, Switch::Disable) => Ok(state),
        (WebhookState::Disabled { .. }, Switch::Enable) => Ok(WebhookState::Active),
        (WebhookState::Active | WebhookState::Paused, Switch::Enable) => Ok(state),
    }
}

fn kind(switch: Switch) -> ActivityKind {
    match switch {
        Switch::Pause => ActivityKind::WebhookPaused,
        Switch::Resume | Switch::Enable => ActivityKind::WebhookResumed,
        Switch::Disable => ActivityKind::WebhookDisabled,
    }
}

fn word(state: WebhookState) -> &'static str {
    match state {
        WebhookState::Active => "active",
        WebhookState::Paused => "paused",
        WebhookState::Disabled { .. } => "disabled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_has_its_effect_in_each_state() {
        let now = DateTime::UNIX_EPOCH;
        let off = |reason| WebhookState::Disabled { reason, at: now };
        let (gone, by_person) = (off(DisableReason::Gone), off(DisableReason::ByPerson));

        for (state, switch, result) in [
            (WebhookState::Active, Switch::Pause, Some(WebhookState::Paused)),
            (WebhookState::Paused, Switch::Pause, Some(WebhookState::Paused)),
            (gone, Switch::Pause, None),
            (WebhookState::Active, Switch::Resume, Some(WebhookState::Active)),
            (WebhookState::Paused, Switch::Resume, Some(WebhookState::Active)),
            (gone, Switch::Resume, None),
            (WebhookState::Active, Switch::Disable, Some(by_person)),
            (WebhookState::Paused, Switch::Disable, Some(by_person)),
            (gone, Switch::Disable, Some(gone)),
            (WebhookState::Active, Switch::Enable, Some(WebhookState::Active)),
            (WebhookState::Paused, Switch::Enable, Some(WebhookState::Paused)),
            (gone, Switch::Enable, Some(WebhookState::Active)),
        ] {
            assert_eq!(switched(state, switch, now).ok(), result, "{state:?} {switch:?}");
        }
    }
}
