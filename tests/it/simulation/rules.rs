//! Rules that hold when a world has come to rest, whoever shook it.

use crossdock::Result;
use crossdock::primitives::{EventId, PageRequest, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{Delivery, DeliveryFilter, DeliveryStatus, Include, Origin, WebhookRepository};

use super::ledger::Ledger;

/// Every delivery of the tenant that passes the filter.
pub(crate) async fn deliveries(
    records: &dyn WebhookRepository,
    tenant: &TenantId,
    filter: &DeliveryFilter,
) -> Result<Vec<Delivery>> {
    let mut all = Vec::new();
    let mut page = PageRequest::first(PageRequest::MAX);
    loop {
        let found = records.deliveries(tenant, filter, Include::default(), page).await?;
        all.extend(found.items.into_iter().map(|record| record.delivery));
        match found.next {
            Some(next) => page = PageRequest::first(PageRequest::MAX).after(next),
            None => return Ok(all),
        }
    }
}

/// What the event has become for the webhook, resends and replays apart.
pub(crate) async fn live_deliveries(
    records: &dyn WebhookRepository,
    tenant: &TenantId,
    webhook: WebhookId,
    event: EventId,
) -> Result<Vec<Delivery>> {
    let mut filter = DeliveryFilter::default();
    filter.event = Some(event);
    filter.webhook = Some(webhook);
    let mut found = deliveries(records, tenant, &filter).await?;
    found.retain(|delivery| delivery.origin == Origin::Live);
    Ok(found)
}

/// What the log calls delivered, the receiver has taken.
pub(crate) async fn delivered_was_taken(
    records: &dyn WebhookRepository,
    ledger: &Ledger,
    tenant: &TenantId,
) -> Result<(), String> {
    let rows = deliveries(records, tenant, &DeliveryFilter::default()).await;
    for delivery in rows.map_err(|error| error.to_string())? {
        let books = ledger.books();
        let taken = books.answered.get(&(delivery.webhook, delivery.event)).map_or(0, |it| it.taken);
        if delivery.status == DeliveryStatus::Delivered && taken == 0 && delivery.origin != Origin::Test {
            return Err(format!("delivered means taken: {delivery:?}"));
        }
    }
    Ok(())
}
