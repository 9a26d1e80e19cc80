//! Much at once is done in parts, and one tenant's much holds back nobody else.

use std::error::Error;

use crossdock::webhooks::{
    Change, DeliveryQueue, DisableReason, Release, SkipReason, WebhookRepository, WebhookState,
};
use crossdock::webhooks::{DeliveryStatus, Version};
use libtest_mimic::Trial;

use super::run;
use super::shop::{Shop, at};
use crate::rule;

type Story = Result<(), Box<dyn Error>>;

pub(super) fn trials() -> Vec<Trial> {
    vec![rule("sqlite::a_great_backlog_is_skipped_in_parts", || run(backlog()))]
}

async fn backlog() -> Story {
    let shop = Shop::new(8).await?;
    shop.send(5_000, at(0)).await?;
    let page = crossdock::primitives::PageRequest::first(1);
    let mut webhook = (*shop.store.webhooks(&shop.tenant, page).await?.items[0]).clone();
    let expected = std::mem::replace(&mut webhook.version, Version::new(2));
    webhook.state = WebhookState::Disabled { reason: DisableReason::ByPerson, at: at(1) };
    let change = Change::Replace { webhook, expected, release: Release::Keep };

    shop.store.save(&shop.tenant, vec![change], Vec::new(), at(1)).await?;

    let left = shop.store.backlog(&shop.tenant, None, at(1)).await?.undelivered;
    assert!(0 < left && left < 5_000, "{left}");
    assert!(shop.claim(10, at(1)).await?.is_empty(), "nothing of the rest is given");
    let mut skipped = Vec::new();
    while skipped.last() != Some(&0) {
        let expired = shop.store.expire(at(-1), at(2), 1_000).await?;
        assert!(expired.deliveries.is_empty());
        skipped.push(expired.skipped);
    }
    assert_eq!(skipped.iter().sum::<u64>(), left);
    assert!(skipped.iter().all(|&part| part <= 1_000));
    let status = DeliveryStatus::Skipped(SkipReason::WebhookDisabled);
    assert!(shop.statuses().await?.iter().all(|found| *found == status));
    Ok(())
}
