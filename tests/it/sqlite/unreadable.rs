//! One record that cannot be read back holds back nothing but itself, and is not lost.

use std::error::Error;

use crossdock::ports::EntropyExt;
use crossdock::primitives::{EgressPolicy, WebhookId};
use crossdock::tenancy::TenantId;
use crossdock::webhooks::{Change, DeliveryQueue, Webhook, WebhookRepository};
use libtest_mimic::Trial;

use super::run;
use super::shop::{Shop, at};
use crate::rule;

type Story = Result<(), Box<dyn Error>>;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("sqlite::an_event_that_cannot_be_read_waits_in_the_outbox_alone", || run(event())),
        rule("sqlite::a_webhook_that_cannot_be_read_holds_back_its_tenant_alone", || run(webhook())),
        rule("sqlite::a_webhook_that_cannot_be_read_is_looked_at_again", || run(lane())),
        rule("sqlite::an_attempt_that_cannot_be_read_goes_with_the_payload", || run(attempt())),
    ]
}

async fn event() -> Story {
    let shop = Shop::new(8).await?;
    let events = shop.publish(3, at(0)).await?;
    let broken = events[0].as_uuid().into_bytes();
    let host = shop.host();
    let before: String =
        host.query_row("SELECT head FROM crossdock_event WHERE id = ?1", [broken], |row| row.get(0))?;
    host.execute("UPDATE crossdock_event SET head = 'nonsense' WHERE id = ?1", [broken])?;

    let listed = shop.store.outbox(2, at(0)).await?;
    assert_eq!(listed.entries.iter().map(|(_, head)| head.id).collect::<Vec<_>>(), events[1..]);
    assert_eq!(shop.distribute(at(0)).await?, 2);
    assert_eq!(shop.store.examine(at(0)).await?.outbox, 1, "an operator sees it");

    host.execute("UPDATE crossdock_event SET head = ?2 WHERE id = ?1", rusqlite::params![broken, before])?;
    assert_eq!(shop.distribute(at(1)).await?, 1, "mended, it goes on");
    Ok(())
}

async fn neighbour(shop: &Shop) -> Result<TenantId, Box<dyn Error>> {
    let beta: TenantId = "beta".parse()?;
    let url = EgressPolicy::default().parse("https://erp.example.com/")?;
    let id = WebhookId::mint(at(0), shop.dice.bytes());
    let webhook = Webhook::new(id, beta.clone(), url, vec!["*".parse()?], at(0));
    shop.store.save(&beta, vec![Change::Insert(webhook)], Vec::new(), at(0)).await?;
    Ok(beta)
}

const BREAK: &str = "UPDATE crossdock_webhook SET body = 'nonsense' \
    WHERE lane IN (SELECT n FROM crossdock_lane WHERE tenant = 'acme')";
/// The store keeps parsed records as long as their revision is the same.
const REVISE: &str = "UPDATE crossdock_lane SET revision = revision + 1 WHERE tenant = 'acme'";

async fn webhook() -> Story {
    let mut shop = Shop::new(8).await?;
    let beta = neighbour(&shop).await?;
    shop.publish(1, at(0)).await?;
    shop.host().execute_batch(&format!("{BREAK}; {REVISE}"))?;
    let acme = std::mem::replace(&mut shop.tenant, beta.clone());
    let events = shop.publish(1, at(0)).await?;

    let listed = shop.store.outbox(10, at(0)).await?;

    assert_eq!(listed.entries.iter().map(|(_, head)| head.id).collect::<Vec<_>>(), events);
    assert!(!listed.webhooks.contains_key(&acme));
    assert_eq!(shop.distribute(at(0)).await?, 1);
    assert_eq!(shop.claim(10, at(0)).await?.len(), 1);
    assert_eq!(shop.store.examine(at(0)).await?.outbox, 1);
    Ok(())
}

async fn lane() -> Story {
    let mut shop = Shop::new(8).await?;
    shop.send(1, at(0)).await?;
    let acme = shop.tenant.clone();
    shop.tenant = neighbour(&shop).await?;
    shop.send(2, at(0)).await?;
    let host = shop.host();
    let body: String = host.query_row(
        "SELECT body FROM crossdock_webhook JOIN crossdock_lane ON n = lane WHERE tenant = 'acme'",
        [],
        |row| row.get(0),
    )?;
    host.execute_batch(&format!("{BREAK}; {REVISE}"))?;

    let claims = shop.claim(1, at(0)).await?;
    assert_eq!(claims[0].webhook.tenant, shop.tenant, "the neighbour gets what is its");
    shop.store.expire(at(-1), at(0), 10).await?;
    assert_eq!(shop.claim(10, at(30)).await?.len(), 1, "as often as it wants");

    host.execute(
        "UPDATE crossdock_webhook SET body = ?1 WHERE lane IN (SELECT n FROM crossdock_lane WHERE tenant = 'acme')",
        [body],
    )?;
    let mended = shop.claim(10, at(60)).await?;
    assert!(mended.iter().any(|claim| claim.webhook.tenant == acme && claim.attempt == 1), "none was lost");
    Ok(())
}

async fn attempt() -> Story {
    let shop = Shop::new(8).await?;
    shop.send(2, at(0)).await?;
    let claims = shop.claim(2, at(0)).await?;
    shop.deliver(&claims, at(0)).await?;
    let broken = claims[0].delivery.as_uuid().into_bytes();
    shop.host().execute(
        "UPDATE crossdock_attempt SET body = 'nonsense' \
        WHERE delivery = (SELECT n FROM crossdock_delivery WHERE id = ?1)",
        [broken],
    )?;
    let mut retention = crossdock::webhooks::Retention::default();
    retention.payloads = std::time::Duration::ZERO;

    assert_eq!(shop.store.tidy(retention, at(1)).await?, 2);
    Ok(())
}
