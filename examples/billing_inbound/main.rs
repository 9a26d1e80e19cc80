//! A product that other platforms notify: its billing provider, tills, a shop, and a customer's own system.
//!
//! ```text
//! $ cargo run --example billing_inbound
//! ```
//!
//! 1. `POST /webhooks/stripe` is live: five types of events change the billing table (`stripe.rs`), each in one transaction with the
//!    completion of its notification (`books.rs`).
//! 2. Requests that are forged, stale, repeated or late do nothing, and are answered as the provider expects it.
//! 3. `POST /api/webhooks/square` is known but not implemented: 501, until it is switched on. Then it updates the stock (`stock.rs`), as
//!    Shopify does, and a customer's own system, which signs with `x-betterdata-signature` and sends several events at once.
//!
//! Every request is real HTTP on loopback. What had an effect is counted in the database in the end.
#![expect(clippy::print_stdout, reason = "a tutorial talks to people")]

mod books;
#[path = "../loopback/checks.rs"]
mod checks;
mod sender;
mod stock;
mod stripe;

use std::collections::HashSet;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use chrono::{DateTime, TimeDelta, Utc};
use crossdock::Hub;
use crossdock::adapters::sqlite::SqliteStore;
use crossdock::adapters::{EnvelopeVault, StaticKeys};
use crossdock::hub::Admin;
use crossdock::inbound::{
    Batch, InboundSettings, NewSource, PlatformSource, ReceivedAdmin, ReceivedFilter, ReceivedStatus, Scheme,
    SourceState, presets,
};
use crossdock::primitives::PageRequest;
use crossdock::tenancy::Actor;
use crossdock::web::axum::receiver;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::books::Books;
use crate::checks::Checks;
use crate::sender::{PUBLIC, Provider, Way, now};

type Told = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("product.db");
    let store = SqliteStore::open(&path)?;
    let books = Books::open(&path)?;
    let billing = std::env::var("STRIPE_WEBHOOK_SECRET").unwrap_or_else(|_| "whsec_of_this_run".to_owned());
    let hub = product(store, &books, &billing)?;
    let working = tokio::spawn({
        let worker = hub.inbound_worker();
        // It ends with the process.
        async move { worker.run_until(std::future::pending()).await }
    });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().nest("/webhooks", receiver(&hub)).nest("/api/webhooks", receiver(&hub));
    tokio::spawn(async move { axum::serve(listener, app).await });
    println!("the product listens on http://{address}");

    let customer = hub.admin(Actor::org_admin("org_42".parse()?, "ada"));
    let mut run = Run { way: Way::to(address), books, hub, customer, checks: Checks::default() };
    let stripe = Provider::new(&presets::stripe(), &billing, "/webhooks/stripe")?;
    run.subscriptions(&stripe).await?;
    run.nobody_genuine(&stripe).await?;
    run.copies_and_latecomers(&stripe).await?;
    run.square().await?;
    run.shopify().await?;
    run.customers_own_system().await?;
    working.abort();
    run.count()
}

/// The hub, with the platform's own sources; their secrets come from its configuration.
fn product(store: SqliteStore, books: &Books, billing: &str) -> Result<Hub, Box<dyn Error>> {
    let mut settings = InboundSettings::default();
    settings.public_url = Some(format!("{PUBLIC}/webhooks"));
    // A configuration would have this key as well.
    let vault =
        EnvelopeVault::new(StaticKeys::new("2026-01", "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=")?);
    let square = PlatformSource::new("square", presets::square())
        .secret(SQUARE)
        .state(SourceState::NotImplemented)
        .public_url(format!("{PUBLIC}{SQUARE_PATH}"));
    let hub = Hub::builder()
        .store(store.clone())
        .inbound_store(store)
        .vault(vault)
        .inbound(settings)
        .source(PlatformSource::new("stripe", presets::stripe()).secret(billing))
        .source(square)
        .source(PlatformSource::new("shopify", presets::shopify()).secret(SHOPIFY));
    Ok(stock::routes(stripe::routes(hub, books), books).build()?)
}

struct Run {
    way: Way,
    books: Books,
    hub: Hub,
    customer: Admin,
    checks: Checks,
}

impl Run {
    async fn subscriptions(&mut self, stripe: &Provider) -> Told {
        println!("\nthe billing provider's five events");
        let start = now() - TimeDelta::minutes(10);
        for event in [
            subscription("evt_1", "created", "cus_1", "starter", start),
            subscription("evt_2", "updated", "cus_1", "pro", start + TimeDelta::seconds(1)),
            invoice("evt_3", "paid", "in_1", "cus_1"),
            invoice("evt_4", "payment_failed", "in_2", "cus_1"),
        ] {
            self.genuine(stripe, &event, 200).await?;
        }
        self.settled().await?;
        self.finds("the plan's features are there", BILLING, "cus_1 pro orders, stock, forecasts")?;
        self.finds(
            "a payment has its audit entry",
            "SELECT entry FROM audit",
            "cus_1 has paid 4900 for in_1",
        )?;
        let alert = "cus_1 could not pay 4900 for in_2";
        self.finds("the operator knows of the failure", "SELECT about FROM alert", alert)?;

        let deleted = subscription("evt_5", "deleted", "cus_1", "pro", start + TimeDelta::seconds(2));
        self.genuine(stripe, &deleted, 200).await?;
        self.genuine(stripe, &json!({"id": "evt_6", "type": "charge.refunded", "data": {}}), 200).await?;
        self.settled().await?;
        self.finds("features are revoked", BILLING, "cus_1 free nothing beyond the free plan")?;
        let ignored = self.hub.platform_received().list(&with(ReceivedStatus::Ignored), page()).await?;
        self.checks.that("what nobody wants is kept and ignored", ignored.items.len() == 1);
        Ok(())
    }

    async fn nobody_genuine(&mut self, stripe: &Provider) -> Told {
        println!("\nnobody genuine");
        let guess = Provider::new(&presets::stripe(), "whsec_a_guess", "/webhooks/stripe")?;
        let wish = |id: &str| {
            self.way.note_forged(&format!("stripe {id}"));
            subscription(id, "created", "cus_mallory", "pro", now())
        };
        let unsigned = {
            let mut request = stripe.sign(&wish("evt_f1"))?;
            request.headers.clear();
            request
        };
        let guessed = guess.sign(&wish("evt_f2"))?;
        let changed = {
            let mut request = stripe.sign(&invoice("evt_3", "paid", "in_1", "cus_1"))?;
            request.body = wish("evt_f3").to_string().into_bytes();
            request
        };
        let stale = stripe.sign_long_ago(&wish("evt_f4"))?;
        for (what, request) in [
            ("without a signature", unsigned),
            ("signed with a guess", guessed),
            ("another body under a genuine signature", changed),
            ("stale", stale),
        ] {
            let status = self.way.send(what, stripe, &request).await?;
            self.checks.that("it is refused", status == 400);
        }
        self.settled().await?;
        let mallory = self.books.number("SELECT count(*) FROM billing WHERE customer = 'cus_mallory'")?;
        self.checks.that("and nobody has got anything by it", mallory == 0);
        Ok(())
    }

    async fn copies_and_latecomers(&mut self, stripe: &Provider) -> Told {
        println!("\ncopies, and what comes too late");
        let payment = stripe.sign(&invoice("evt_7", "paid", "in_3", "cus_2"))?;
        let statuses = self.way.send_copies(8, stripe, &payment).await?;
        self.checks.that("every copy is acknowledged", statuses == [200; 8]);
        self.settled().await?;
        let status = self.way.send("the same, once it is booked", stripe, &payment).await?;
        self.checks.that("a late copy as well", status == 200);
        self.settled().await?;
        let paid = self.books.number("SELECT count(*) FROM payment WHERE invoice = 'in_3'")?;
        self.checks.that("and one payment is booked", paid == 1);

        let start = now() - TimeDelta::minutes(5);
        for (id, change, plan, at) in [
            ("evt_8", "created", "starter", 0),
            ("evt_10", "deleted", "starter", 20),
            ("evt_9", "updated", "pro", 10),
        ] {
            let event = subscription(id, change, "cus_2", plan, start + TimeDelta::seconds(at));
            self.genuine(stripe, &event, 200).await?;
            self.settled().await?;
        }
        let late = self.hub.platform_received().list(&with(ReceivedStatus::Outdated), page()).await?;
        self.checks.that("what is older than what was handled is dropped", late.items.len() == 1);
        self.finds("and the end is the end", BILLING_2, "cus_2 free nothing beyond the free plan")
    }

    async fn square(&mut self) -> Told {
        println!("\nSquare: known, and not implemented yet");
        let square = Provider::new(&presets::square(), SQUARE, SQUARE_PATH)?;
        let count = json!({
            "merchant_id": "M1", "type": "inventory.count.updated", "event_id": "sq_1", "created_at": "2031-04-05T17:31:00Z",
            "data": {"object": {"inventory_counts": [{"catalog_object_id": "SHIRT-M", "quantity": "53"}]}},
        });
        self.genuine(&square, &count, 501).await?;
        println!("  (it is switched on)");
        self.hub.switch_source("square", SourceState::Active).await?;
        self.genuine(&square, &count, 200).await?;
        self.settled().await?;
        self.finds("the stock is counted", "SELECT item || ' ' || units FROM stock", "SHIRT-M 53")?;
        let catalogue = json!({
            "merchant_id": "M1", "type": "catalog.version.updated", "event_id": "sq_2", "created_at": "2031-04-05T17:32:00Z",
            "data": {"object": {"catalog_version": {"updated_at": "2031-04-05T17:32:00Z"}}},
        });
        self.genuine(&square, &catalogue, 200).await?;
        self.settled().await?;
        let stale = self.books.number("SELECT count(*) FROM stock WHERE is_stale")?;
        self.checks.that("a change of the catalogue is known", stale == 1);

        // Square signs the URL as well: a genuine request for another place is none for this one.
        let elsewhere = Provider::new(&presets::square(), SQUARE, "/webhooks/square")?;
        self.way.note_forged("square sq_3");
        let mut moved = catalogue;
        moved["event_id"] = json!("sq_3");
        let status = self.way.send("signed for another URL", &square, &elsewhere.sign(&moved)?).await?;
        self.checks.that("a request for another URL is refused", status == 401);
        Ok(())
    }

    async fn shopify(&mut self) -> Told {
        println!("\nShopify: products and inventory");
        let shopify = Provider::new(&presets::shopify(), SHOPIFY, "/webhooks/shopify")?;
        for (id, topic, body) in [
            ("sh_1", "products/update", json!({"id": 4711, "title": "Shirt, blue"})),
            ("sh_2", "inventory_levels/update", json!({"inventory_item_id": 4711, "available": 12})),
        ] {
            let mut request = shopify.sign(&body)?;
            for (name, value) in [("x-shopify-event-id", id), ("x-shopify-topic", topic)] {
                request.headers.insert(name, HeaderValue::from_static(value));
            }
            let status = self.way.send(topic, &shopify, &request).await?;
            self.checks.that("it is taken", status == 200);
            // Its id is not signed: whoever has seen the request can send it under another one.
            request.headers.insert("x-shopify-event-id", HeaderValue::from_static("sh_again"));
            let status = self.way.send("the same under another id", &shopify, &request).await?;
            self.checks.that("a copy under another id is a copy", status == 200);
            self.way.note_forged(&format!("shopify sh_again:{topic}"));
        }
        self.settled().await?;
        let item = "SELECT title || ' ' || units FROM stock WHERE item = '4711'";
        self.finds("the shop's product has its title and its level", item, "Shirt, blue 12")
    }

    async fn customers_own_system(&mut self) -> Told {
        println!("\na customer's own system, with a source that its administrator makes");
        let scheme = betterdata()?;
        let new = NewSource::new("betterdata", scheme.clone()).title("Our ERP").secret(BETTERDATA);
        let source = self.customer.sources().create(new).await?;
        let erp = Provider::new(&scheme, BETTERDATA, &format!("/webhooks/{}", source.id))?;
        let moved =
            |id: &str, units: i64| json!({"id": id, "type": "stock.moved", "sku": "SOCKS", "units": units});
        let batch = json!({"events": [moved("b_1", 10), moved("b_2", -3), moved("b_1", 10)]});
        self.genuine(&erp, &batch, 200).await?;
        let overlapping = json!({"events": [moved("b_2", -3), moved("b_3", 1)]});
        self.genuine(&erp, &overlapping, 200).await?;
        let guess = Provider::new(&scheme, "a guess", &format!("/webhooks/{}", source.id))?;
        self.way.note_forged("betterdata b_4");
        let forged = guess.sign(&json!({"events": [moved("b_4", 1_000)]}))?;
        let status = self.way.send("signed with a guess", &erp, &forged).await?;
        self.checks.that("a forged batch is refused", status == 401);
        self.settled().await?;
        let socks = "SELECT units || '' FROM stock WHERE item = 'SOCKS'";
        self.finds("each event of the batches counts once", socks, "8")
    }

    /// Sends what is genuine, and checks how it was answered.
    async fn genuine(&mut self, from: &Provider, body: &Value, expected: u16) -> Told {
        let what = body["type"].as_str().unwrap_or("a batch");
        let status = self.way.send(what, from, &from.sign(body)?).await?;
        self.checks.count(status == expected);
        Ok(())
    }

    fn finds(&mut self, rule: &str, sql: &str, expected: &str) -> Told {
        let found = self.books.text(sql)?;
        self.checks.that(rule, found == expected);
        Ok(())
    }

    /// Waits until nothing is pending any more.
    async fn settled(&self) -> Told {
        for _ in 0..MOST_LOOKS {
            let mut pending = 0;
            for received in [self.hub.platform_received(), self.customer.received()] {
                pending += of(&received, ReceivedStatus::Pending).await?;
            }
            if pending == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("something is pending still".into())
    }

    /// What had an effect, as the database has it.
    fn count(self) -> Result<ExitCode, Box<dyn Error>> {
        let effects = self.books.effects()?;
        let once: HashSet<_> = effects.iter().collect();
        let duplicates = effects.len() - once.len();
        let forged = effects.iter().filter(|effect| self.way.is_forged(effect)).count();
        let mut checks = self.checks;
        checks.count(duplicates == 0 && forged == 0 && once.len() == EFFECTS);
        println!("\n{}", checks.told());
        println!(
            "billing_inbound: {} requests, {} effects, {duplicates} duplicates, {forged} forged",
            self.way.requests(),
            effects.len(),
        );
        Ok(checks.exit_code())
    }
}

/// How a customer's own system signs: the body, in a header of its own; several events at once.
fn betterdata() -> Result<Scheme, Box<dyn Error>> {
    let mut scheme = presets::generic_in(HeaderName::from_static("x-betterdata-signature"));
    scheme.reception.envelope.batch = Some(Batch::of("/events/*".parse()?));
    Ok(scheme)
}

fn subscription(id: &str, change: &str, customer: &str, plan: &str, at: DateTime<Utc>) -> Value {
    let object = json!({"id": format!("sub_{customer}"), "customer": customer, "plan": {"id": plan}});
    json!({
        "id": id, "type": format!("customer.subscription.{change}"), "created": at.timestamp(),
        "data": {"object": object},
    })
}

fn invoice(id: &str, change: &str, invoice: &str, customer: &str) -> Value {
    let object = json!({"id": invoice, "customer": customer, "amount_due": 4900});
    json!({"id": id, "type": format!("invoice.{change}"), "created": now().timestamp(), "data": {"object": object}})
}

async fn of(received: &ReceivedAdmin, status: ReceivedStatus) -> Result<usize, Box<dyn Error>> {
    Ok(received.list(&with(status), page()).await?.items.len())
}

fn with(status: ReceivedStatus) -> ReceivedFilter {
    ReceivedFilter::new().status(status)
}

fn page() -> PageRequest {
    PageRequest::first(100)
}

const SQUARE: &str = "square-signature-key";
const SQUARE_PATH: &str = "/api/webhooks/square";
const SHOPIFY: &str = "shopify-client-secret";
const BETTERDATA: &str = "the-customers-own-secret";
const BILLING: &str =
    "SELECT customer || ' ' || plan || ' ' || features FROM billing WHERE customer = 'cus_1'";
const BILLING_2: &str =
    "SELECT customer || ' ' || plan || ' ' || features FROM billing WHERE customer = 'cus_2'";
/// 5 and 3 of Stripe's, 2 of Square's, 2 of Shopify's, 3 of the customer's own.
const EFFECTS: usize = 15;
const MOST_LOOKS: u32 = 1_500;
