//! The webhook settings of a trading platform, after its documented form, on crossdock:
//!
//! ```text
//! $ cargo run --example document_webhooks
//! ```
//!
//! 1. A company has one form (`form.rs`): a login for all its receivers, and for each type of document (`catalog.rs`) an https URL
//!    and a switch. Everybody may look; administrators of the company may change it, if their contract has one of three modules.
//! 2. It is saved as a whole, or not at all. The password is never shown; an empty field keeps it.
//! 3. A button sends a dummy.
//! 4. Documents arrive at the platform, and the company's receiver (`receiver.rs`) is told of those that it wants: flat JSON,
//!    with times that name no zone.
//!
//! The page is an ordinary axum router (`api.rs`). Every exchange is real HTTP on loopback, and is printed; what goes to the receiver
//! goes over TLS.
#![expect(clippy::print_stdout, reason = "a tutorial talks to people")]

mod api;
mod catalog;
#[path = "../loopback/checks.rs"]
mod checks;
#[path = "../loopback/client.rs"]
mod client;
mod form;
mod receiver;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use crossdock::Hub;
use crossdock::adapters::http_client::HttpTransport;
use crossdock::events::NewEvent;
use crossdock::primitives::EgressPolicy;
use crossdock::tenancy::{AccessPolicy, Actor, TenantId};
use crossdock::webhooks::{DeliveryQuery, Origin};
use http::Method;
use serde_json::{Value, json};

use crate::api::Page;
use crate::catalog::{DOCUMENT_TYPES, Document, FIELDS};
use crate::checks::Checks;
use crate::client::{Answer, Client};
use crate::receiver::{Message, Receiver};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let receiver = Receiver::listen().await?;
    // https only, as ever; the operator permits loopback, and trusts the receiver's authority.
    let egress = EgressPolicy::default().allow_networks(["127.0.0.0/8".parse()?]);
    let transport = HttpTransport::builder().policy(egress.clone()).with_roots([&receiver.root]).build()?;
    let access = AccessPolicy::default().manage_requires_any(["EDI", "SHOP", "ENTERPRISE"]);
    let hub = Hub::builder()
        .events(catalog::documents())
        .access(access.clone())
        .egress(egress)
        .transport(transport)
        .build()?;
    let working = tokio::spawn({
        let worker = hub.worker();
        // It ends with the process.
        async move { worker.run_until(std::future::pending()).await }
    });
    let company: TenantId = "company_1".parse()?;
    let page = Page { hub: hub.clone(), access, sessions: Arc::new(sessions(&company)?) };
    let address = api::serve(page).await?;
    println!("the settings page listens on http://{address}");
    let people = People {
        ada: Client::new(address, Some("session-of-ada")),
        grace: Client::new(address, Some("session-of-grace")),
        linus: Client::new(address, Some("session-of-linus")),
        root: Client::new(address, Some("session-of-root")),
    };

    let mut checks = Checks::default();
    who_may(&people, &mut checks).await?;
    as_a_whole(&people, &receiver, &mut checks).await?;
    the_password(&people, &receiver, &mut checks).await?;
    let told = documents(&hub, &company, &people, &receiver, &mut checks).await?;
    working.abort();

    println!(
        "\ndocument_webhooks: {} documents, {told} messages; {}",
        2 * DOCUMENT_TYPES.len(),
        checks.told()
    );
    Ok(checks.exit_code())
}

/// Who has logged in.
struct People {
    /// Administers a company with the module `EDI`.
    ada: Client,
    /// Belongs to the same company.
    grace: Client,
    /// Administers a company with none of the modules.
    linus: Client,
    /// Administers the platform.
    root: Client,
}

fn sessions(company: &TenantId) -> Result<BTreeMap<&'static str, Actor>, Box<dyn Error>> {
    Ok(BTreeMap::from([
        ("session-of-ada", Actor::org_admin(company.clone(), "ada").with_entitlement("EDI")),
        ("session-of-grace", Actor::member(company.clone(), "grace").with_entitlement("EDI")),
        ("session-of-linus", Actor::org_admin("company_2".parse()?, "linus").with_entitlement("ARCHIVE")),
        ("session-of-root", Actor::super_admin(company.clone(), "root")),
    ]))
}

const PATH: &str = "/settings/webhooks";
const PASSWORD: &str = "correct horse battery staple";

/// Fills in the form that this person sees, with these changes.
async fn fill_in(person: &Client, changes: Value) -> Result<Answer, Box<dyn Error>> {
    let shown = person.exchange(Method::GET, PATH, None).await?.body;
    let mut filled = json!({
        "seen": shown["seen"],
        "username": shown["username"],
        "password": "",
        "documents": shown["documents"],
    });
    for (field, value) in changes.as_object().into_iter().flatten() {
        match (field.as_str(), value.as_object()) {
            ("documents", Some(documents)) => {
                for (kind, receiver) in documents {
                    filled["documents"][kind] = receiver.clone();
                }
            }
            _ => filled[field] = value.clone(),
        }
    }
    person.send(Method::PUT, PATH, Some(&filled)).await
}

async fn who_may(people: &People, checks: &mut Checks) -> Result<(), Box<dyn Error>> {
    let empty = people.grace.get(PATH).await?;
    checks.that("a member may look", empty.status == 200 && empty.body["mayChange"] == false);
    let empty = empty.body["documents"].as_object().ok_or("documents")?.len();
    checks.that("the form has four types of documents", empty == DOCUMENT_TYPES.len());
    checks.that("and not change", fill_in(&people.grace, json!({})).await?.status == 403);

    let unpaid = people.linus.get(PATH).await?;
    checks.that(
        "without a module an administrator may look",
        unpaid.status == 200 && unpaid.body["mayChange"] == false,
    );
    checks.that("and not change either", fill_in(&people.linus, json!({})).await?.status == 403);
    checks.that("nobody above the companies may even look", people.root.get(PATH).await?.status == 403);

    let ada = people.ada.get(PATH).await?;
    checks.that("with a module an administrator may change", ada.body["mayChange"] == true);
    Ok(())
}

async fn as_a_whole(people: &People, receiver: &Receiver, checks: &mut Checks) -> Result<(), Box<dyn Error>> {
    let saved = fill_in(
        &people.ada,
        json!({"username": "platform", "password": PASSWORD, "documents": {
            "ORDER": {"url": receiver.url("/orders"), "active": true},
            "DELIVERY": {"url": receiver.url("/deliveries"), "active": true},
            "INVOICE": {"url": receiver.url("/invoices"), "active": false},
        }}),
    )
    .await?;
    checks.that("a form is saved", saved.status == 200 && saved.body["documents"]["ORDER"]["active"] == true);
    let seen = people.grace.get(PATH).await?;
    checks.that("everybody sees it", seen.body["documents"] == saved.body["documents"]);

    // One field is good, one is not: neither is saved.
    let plain = fill_in(
        &people.ada,
        json!({"username": "other", "documents": {
            "ORDER": {"url": receiver.url("/elsewhere"), "active": false},
            "ORDERRESPONSE": {"url": "http://127.0.0.1:9999/plain", "active": true},
        }}),
    )
    .await?;
    let field = &plain.body["errors"][0]["field"];
    checks.that(
        "a URL without TLS is refused by field",
        plain.status == 400 && field == "documents.ORDERRESPONSE.url",
    );
    let bare =
        fill_in(&people.ada, json!({"documents": {"ORDERRESPONSE": {"url": "", "active": true}}})).await?;
    checks.that("a switch without a URL as well", bare.status == 400);
    let after = people.ada.exchange(Method::GET, PATH, None).await?;
    checks.that("then nothing of the form is saved", after.body["seen"] == saved.body["seen"]);
    checks.that(
        "not even what was good",
        after.body["documents"] == saved.body["documents"] && after.body["username"] == "platform",
    );

    let stale = fill_in(&people.ada, json!({"seen": "0"})).await?;
    checks.that("nobody overwrites what they have not seen", stale.status == 409);
    Ok(())
}

async fn the_password(
    people: &People,
    receiver: &Receiver,
    checks: &mut Checks,
) -> Result<(), Box<dyn Error>> {
    let shown = people.ada.get(PATH).await?;
    checks.that("a stored password is indicated", shown.body["hasPassword"] == true);
    checks.that("and never shown", !shown.body.to_string().contains(PASSWORD));

    let renamed = fill_in(&people.ada, json!({"username": "platform_2"})).await?;
    checks.that("another user name is saved without the password", renamed.status == 200);
    let button = format!("{PATH}/test");
    for (kind, path) in [("ORDER", "/orders"), ("INVOICE", "/invoices")] {
        let tested = people.ada.send(Method::POST, &button, Some(&json!({"document": kind}))).await?;
        let arrived = receiver.messages().pop().ok_or("no dummy has arrived")?;
        checks.that("the button sends a dummy", tested.body["success"] == true && arrived.path == path);
        checks
            .that("with the password that was kept", arrived.login == Some(format!("platform_2:{PASSWORD}")));
        let body: Value = serde_json::from_slice(&arrived.body)?;
        checks.that("and it says so", body["transactionStatus"] == "TEST" && body["eventType"] == kind);
    }
    let pressed = people.grace.send(Method::POST, &button, Some(&json!({"document": "ORDER"}))).await?;
    checks.that("a member may not press it", pressed.status == 403);
    let nowhere = people.ada.send(Method::POST, &button, Some(&json!({"document": "ORDERRESPONSE"}))).await?;
    checks.that("without a URL there is nothing to test", nowhere.status == 400);
    Ok(())
}

/// Documents arrive, twice one of each type; answers with how many messages the company has got of them.
async fn documents(
    hub: &Hub,
    company: &TenantId,
    people: &People,
    receiver: &Receiver,
    checks: &mut Checks,
) -> Result<usize, Box<dyn Error>> {
    let before = receiver.messages().len();
    arrive(hub, company, 1).await?;
    until_settled(hub, company, 3).await?;
    let first = receiver.messages().split_off(before);
    checks.that(
        "what has a URL and is switched on is sent, and nothing else",
        paths(&first) == ["/deliveries", "/orders"],
    );
    let login = format!("platform_2:{PASSWORD}");
    checks
        .that("with the company's login", first.iter().all(|message| message.login.as_ref() == Some(&login)));
    for message in &first {
        println!("  {} {}", message.path, String::from_utf8_lossy(&message.body));
        checks.that("its fields are on one level, in this order", names(&message.body) == FIELDS);
        let body: Value = serde_json::from_slice(&message.body)?;
        let time = body["timestamp"].as_str().unwrap_or_default();
        checks.that("its time names no zone", time.parse::<NaiveDateTime>().is_ok());
    }

    // The invoices are switched on, deliveries go nowhere any more, and the login is gone.
    let changes = json!({"username": "", "documents": {
        "INVOICE": {"url": receiver.url("/invoices"), "active": true},
        "DELIVERY": {"url": "", "active": false},
    }});
    let saved = fill_in(&people.ada, changes).await?;
    checks.that(
        "an empty user name takes the login away",
        saved.status == 200 && saved.body["hasPassword"] == false,
    );
    let before = receiver.messages().len();
    arrive(hub, company, 2).await?;
    until_settled(hub, company, 5).await?;
    let second = receiver.messages().split_off(before);
    checks.that("the form holds from now on", paths(&second) == ["/invoices", "/orders"]);
    checks.that("and nobody logs in", second.iter().all(|message| message.login.is_none()));
    Ok(first.len() + second.len())
}

async fn arrive(hub: &Hub, company: &TenantId, number: u32) -> Result<(), Box<dyn Error>> {
    println!();
    for kind in DOCUMENT_TYPES {
        let document = Document::numbered(kind, number, "NEW");
        hub.publish(NewEvent::new(company.clone(), kind, &document)?).await?;
        println!("* {kind} {}", document.document_id);
    }
    Ok(())
}

/// Waits until so many deliveries, made or skipped, have come of the documents.
async fn until_settled(hub: &Hub, company: &TenantId, wanted: usize) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let log = hub.admin(Actor::system(company.clone(), "example")).deliveries();
    loop {
        let deliveries = log.list(DeliveryQuery::new()).await?.items;
        let live = deliveries.iter().filter(|record| record.delivery.origin == Origin::Live);
        if live.filter(|record| record.delivery.status.is_final()).count() >= wanted {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(20) {
            return Err("the messages do not arrive".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn paths(messages: &[Message]) -> Vec<&str> {
    let mut paths: Vec<_> = messages.iter().map(|message| message.path.as_str()).collect();
    paths.sort_unstable();
    paths
}

/// The names of an object's members, in the order in which they stand; none of these values holds a comma.
fn names(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let members = text.trim_matches(['{', '}']).split(',');
    members.filter_map(|member| Some(member.split_once(':')?.0.trim_matches('"').to_owned())).collect()
}
