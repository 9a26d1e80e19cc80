//! Which webhooks hear of an event, and why the others do not.

use std::sync::Arc;

use crate::events::model::EventHead;
use crate::primitives::id::{DeliveryId, WebhookId};
use crate::webhooks::model::{NewDelivery, Skip, SkipReason, Webhook};

/// Whether a webhook hears of an event, and if not, why.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Hearing {
    /// It does.
    Hears,
    /// It would, but it is disabled: the event is recorded as skipped for it.
    Disabled,
    /// None of its patterns matches the event's type.
    NotSubscribed,
    /// It is bound to another owner.
    OtherOwner,
    /// The event carries none of its channels.
    OtherChannel,
}

/// What fan-out makes of one event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct FanOut {
    /// What is to be delivered.
    pub deliveries: Vec<NewDelivery>,
    /// What is recorded as skipped.
    pub skips: Vec<Skip>,
}

/// Whether this webhook hears of this event.
///
/// An event with an owner is heard by webhooks of that owner and by those bound to none; an event without channels is
/// heard only by webhooks without channels.
pub fn hearing(event: &EventHead, webhook: &Webhook) -> Hearing {
    if !webhook.events.iter().any(|pattern| pattern.matches(&event.event_type)) {
        return Hearing::NotSubscribed;
    }
    if webhook.owner.is_some() && webhook.owner != event.owner {
        return Hearing::OtherOwner;
    }
    if !webhook.channels.is_empty()
        && !webhook.channels.iter().any(|channel| event.channels.contains(channel))
    {
        return Hearing::OtherChannel;
    }
    if webhook.is_enabled() { Hearing::Hears } else { Hearing::Disabled }
}

/// Turns one event into deliveries and recorded skips; `mint` names them.
pub fn fan_out(event: &EventHead, webhooks: &[Arc<Webhook>], mut mint: impl FnMut() -> DeliveryId) -> FanOut {
    let mut result = FanOut::default();
    for webhook in webhooks {
        match hearing(event, webhook) {
            Hearing::Hears => {
                let order = webhook.order_key(event.ordering_key.as_deref());
                result.deliveries.push(NewDelivery::new(mint(), webhook.id, order));
            }
            Hearing::Disabled => {
                result.skips.push(Skip::new(mint(), webhook.id, SkipReason::WebhookDisabled));
            }
            Hearing::NotSubscribed | Hearing::OtherOwner | Hearing::OtherChannel => {}
        }
    }
    result
}

/// Says for each webhook whether it would hear of the event.
pub fn explain<'a>(
    event: &EventHead,
    webhooks: impl IntoIterator<Item = &'a Arc<Webhook>>,
) -> Vec<(WebhookId, Hearing)> {
    webhooks.into_iter().map(|webhook| (webhook.id, hearing(event, webhook))).collect()
}
