//! Which webhooks hear of an event, and why the others do not.

use std::sync::Arc;

use crate::events::model::EventHead;
use crate::primitives::id::DeliveryId;
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
    /// The event's type is open only to tenants with a module that this webhook's tenant did not have.
    NotEntitled,
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
/// heard only by webhooks without channels. A pattern such as `*` opens no gate: the
/// webhook's tenant must have one of the modules that the event's type asks for.
pub fn hearing(event: &EventHead, webhook: &Webhook) -> Hearing {
    if !event.gate.is_empty() && event.gate.is_disjoint(&webhook.entitlements) {
        return Hearing::NotEntitled;
    }
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
            Hearing::NotSubscribed | Hearing::OtherOwner | Hearing::OtherChannel | Hearing::NotEntitled => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;

    use super::*;
    use crate::primitives::egress::EgressPolicy;
    use crate::primitives::id::{EventId, WebhookId};
    use crate::tenancy::model::{Entitlement, TenantId};
    use crate::webhooks::model::{DisableReason, WebhookState};

    fn tenant() -> TenantId {
        "t".parse().expect("a tenant id")
    }

    fn event(name: &str) -> EventHead {
        let id = EventId::mint(DateTime::UNIX_EPOCH, [0; 10]);
        EventHead::new(id, tenant(), name.parse().expect("a type"), DateTime::UNIX_EPOCH)
    }

    fn webhook(pattern: &str) -> Webhook {
        let url = EgressPolicy::default().parse("https://erp.example.com/").expect("a URL");
        let id = WebhookId::mint(DateTime::UNIX_EPOCH, [0; 10]);
        Webhook::new(id, tenant(), url, vec![pattern.parse().expect("a pattern")], DateTime::UNIX_EPOCH)
    }

    #[test]
    fn one_matching_pattern_is_enough() {
        let mut both = webhook("import.*");
        both.events.push("order.paid".parse().expect("a pattern"));

        assert_eq!(hearing(&event("order.paid"), &both), Hearing::Hears);
        assert_eq!(hearing(&event("import.failed"), &both), Hearing::Hears);
        assert_eq!(hearing(&event("order.sent"), &both), Hearing::NotSubscribed);
    }

    #[test]
    fn a_webhook_bound_to_an_owner_hears_only_of_that_owner() {
        let mut bound = webhook("*");
        bound.owner = Some("shop-1".into());

        assert_eq!(hearing(&event("a"), &bound), Hearing::OtherOwner);
        assert_eq!(hearing(&event("a").with_owner("shop-2"), &bound), Hearing::OtherOwner);
        assert_eq!(hearing(&event("a").with_owner("shop-1"), &bound), Hearing::Hears);
        assert_eq!(hearing(&event("a").with_owner("shop-1"), &webhook("*")), Hearing::Hears);
    }

    #[test]
    fn one_shared_channel_is_enough() {
        let mut tuned = webhook("*");
        tuned.channels = vec!["eu".into(), "us".into()];

        assert_eq!(hearing(&event("a"), &tuned), Hearing::OtherChannel);
        assert_eq!(hearing(&event("a").with_channels(["asia"]), &tuned), Hearing::OtherChannel);
        assert_eq!(hearing(&event("a").with_channels(["asia", "eu"]), &tuned), Hearing::Hears);
        assert_eq!(hearing(&event("a").with_channels(["eu"]), &webhook("*")), Hearing::Hears);
    }

    #[test]
    fn a_star_opens_no_gate() {
        let gate = BTreeSet::from([Entitlement::from("edi")]);
        let mut entitled = webhook("*");
        entitled.entitlements = gate.clone();

        assert_eq!(hearing(&event("a").with_gate(gate.clone()), &webhook("*")), Hearing::NotEntitled);
        assert_eq!(hearing(&event("a").with_gate(gate), &entitled), Hearing::Hears);
    }

    #[test]
    fn a_disabled_webhook_is_recorded_as_skipped_and_a_paused_one_waits() {
        let mut disabled = webhook("*");
        disabled.state = WebhookState::Disabled { reason: DisableReason::ByPerson, at: DateTime::UNIX_EPOCH };
        let mut paused = webhook("*");
        paused.state = WebhookState::Paused;
        let deaf = webhook("other");
        let webhooks = [disabled, paused, deaf].map(Arc::new);
        let id = DeliveryId::mint(DateTime::UNIX_EPOCH, [0; 10]);

        let result = fan_out(&event("a"), &webhooks, || id);

        assert_eq!(result.skips, [Skip::new(id, webhooks[0].id, SkipReason::WebhookDisabled)]);
        assert_eq!(result.deliveries, [NewDelivery::new(id, webhooks[1].id, None)]);
    }
}
