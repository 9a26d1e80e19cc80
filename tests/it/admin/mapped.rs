//! Webhooks whose bodies a mapping writes.

use std::sync::Arc;
use std::time::Duration;

use crossdock::activity::ActivityFilter;
use crossdock::adapters::memory::MemoryStore;
use crossdock::adapters::{EnvelopeVault, StaticKeys};
use crossdock::events::{FlatFormat, NewEvent};
use crossdock::mapping::{HostData, LetterCase, LookupTable};
use crossdock::ports::TransportErrorKind;
use crossdock::primitives::PageRequest;
use crossdock::testing::SeededEntropy;
use crossdock::webhooks::{
    AttemptError, Cause, DeadReason, DeliveryStatus, NewWebhook, SignatureScheme, TestEvent, Verdict,
    Verifier, WebhookUpdate,
};
use crossdock::{ErrorKind, HubBuilder};
use libtest_mimic::Trial;
use serde_json::json;

use super::{House, Told, assert_refused, fields, house, house_with, refused, story, tenant_id};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_mapping_writes_the_body_that_is_signed", writes_the_signed_body),
        story("everything_that_is_wrong_with_a_mapping_is_said_at_once", broken_documents),
        story("no_format_stands_beside_a_mapping", no_format_beside),
        story("what_a_mapping_refuses_is_a_dead_letter_until_it_is_mended", refused_and_mended),
        story("a_test_shows_what_the_mapping_makes", tested),
        story("a_mapping_is_changed_like_everything_else", changed),
        story("a_process_without_the_table_leaves_the_delivery_to_others", another_process),
    ]
}

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn document(fields: &str) -> String {
    format!(
        r#"{{"format":"mapping/1","id":"orders","version":3,
            "context":{{"event.type":{{"type":"string"}},"event.tenant":{{}},"event.id":{{}}}},
            "fields":[{fields}]}}"#
    )
}

fn erp(document: impl Into<String>) -> NewWebhook {
    NewWebhook::to("https://erp.example.com/").events(["*"]).mapping(document)
}

fn paid(json: &str) -> NewEvent {
    NewEvent::from_json(tenant_id("t"), "order.paid", json.to_owned())
}

/// Totals have to be whole.
const WHOLE: &str = r#"{"to":"sum","from":"total","steps":[{"op":"int"}],"required":true}"#;

async fn writes_the_signed_body() -> Told {
    let house = house()?;
    let mapping = document(
        r#"{"to":"kind","ctx":"event.type"},{"to":"for","ctx":"event.tenant"},{"to":"message","ctx":"event.id"},
           {"to":"order.number","from":"id"},{"to":"order.amount","from":"total"}"#,
    );
    house.admin("t").webhooks().create(erp(mapping).secret(KEY)).await?;

    let event =
        house.hub.publish(paid(r#"{"id":900719925474099312,"total":1234567890.123456789012,"x":1}"#)).await?;
    house.work().await;

    let requests = house.transport.requests();
    assert_eq!(requests.len(), 1);
    let expected = format!(
        r#"{{"kind":"order.paid","for":"t","message":"{}","order":{{"number":900719925474099312,"amount":1234567890.123456789012}}}}"#,
        event.event,
    );
    assert_eq!(requests[0].body, expected);
    assert_eq!(requests[0].headers["content-type"], "application/json");
    let verifier = Verifier::new(&SignatureScheme::Standard, &[KEY.parse()?])?;
    let verified = verifier.verify(&requests[0].headers, &requests[0].body, requests[0].at);
    assert!(verified.is_ok(), "{verified:?}");
    Ok(())
}

async fn broken_documents() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let broken = r#"{"format":"mapping/1","id":"orders","version":1,
        "context":{"event.typ":{}},
        "tables":{"c":{"ref":"host:countries","columns":["iso2","iso3"]}},
        "fields":[{"to":"a","from":"b[","steps":[]},{"to":"c","from":"d","steps":[{"op":"table","name":"no","key":"a","value":"b"}]},
                  {"to":"e","from":"f","steps":[{"op":"table","name":"c","key":"iso2","value":"iso3"}]}]}"#;

    let error = refused(webhooks.create(erp(broken).name("\u{7}")).await);

    let fields = fields(&error);
    for expected in [
        "name",
        "mapping/fields/0/from",
        "mapping/fields/1/steps/0/name",
        "mapping/context/event.typ",
        "mapping/tables/c/ref",
    ] {
        assert!(fields.contains(&expected), "{expected}: {error}");
    }
    assert!(error.problems().iter().all(|problem| !problem.fix.is_empty()));

    let long = document(&format!(r#"{{"to":"a","const":"{}"}}"#, "x".repeat(70_000)));
    assert_eq!(refused(webhooks.create(erp(long)).await).kind(), ErrorKind::Invalid);
    assert_refused(webhooks.create(erp("{")).await, ErrorKind::Invalid, &["mapping"]);
    Ok(())
}

async fn no_format_beside() -> Told {
    let webhooks = house()?.admin("t").webhooks();

    let flat = erp(document(WHOLE)).format(FlatFormat::new());

    assert_refused(webhooks.create(flat).await, ErrorKind::Invalid, &["format"]);
    Ok(())
}

async fn refused_and_mended() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let seen = webhooks.create(erp(document(WHOLE))).await?.webhook;
    house.hub.publish(paid(r#"{"total":"17.25"}"#)).await?;

    house.work().await;
    house.clock.advance(Duration::from_secs(24 * 60 * 60));
    house.work().await;

    let record = house.deliveries("t").await?.remove(0);
    assert_eq!(record.delivery.status, DeliveryStatus::DeadLetter(DeadReason::Unmapped));
    assert_eq!(record.attempts.len(), 1, "it would be refused every time");
    assert_eq!(record.attempts[0].error, Some(AttemptError::Unmapped));
    assert_eq!(
        record.attempts[0].refusal.as_deref(),
        Some("orders@3: `sum` from `total`, step 1 (int): E-NUMBER: the number is not whole"),
    );
    assert_eq!(house.transport.requests().len(), 0);
    let diagnosis = webhooks.diagnose(seen.id).await?;
    assert!(diagnosis.findings.iter().any(|finding| finding.cause == Cause::Unmapped), "{diagnosis:?}");

    let mended = document(r#"{"to":"sum","from":"total","steps":[{"op":"decimal"}],"required":true}"#);
    webhooks.update(WebhookUpdate::of(&seen).mapping(mended)).await?;
    house.admin("t").deliveries().resend(record.delivery.id).await?;
    house.work().await;

    let requests = house.transport.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, r#"{"sum":17.25}"#);
    Ok(())
}

async fn tested() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let two = format!(
        r#"{WHOLE},{{"to":"units","from":"units","steps":[{{"op":"int"}}]}},{{"to":"no","from":"id"}}"#
    );
    let id = webhooks.create(erp(document(&two))).await?.webhook.id;

    let failed = r#"{"total":"a lot","units":"some","id":7}"#;
    let failed = webhooks.test(id, TestEvent::of("order.paid").payload(failed)).await?;
    let good = r#"{"total":"5","units":"3","id":900719925474099312}"#;
    let good = webhooks.test(id, TestEvent::of("order.paid").payload(good)).await?;

    assert_eq!((failed.verdict, failed.attempt.error), (Verdict::Unmapped, Some(AttemptError::Unmapped)));
    let preview = failed.mapped.ok_or("a preview")?;
    let places: Vec<_> = preview.errors.iter().map(|error| (error.code, &*error.target)).collect();
    assert_eq!(places, [("E-NUMBER", "sum"), ("E-NUMBER", "units")]);
    assert_eq!(preview.output.as_deref(), Some(r#"{"no":7}"#));

    assert_eq!(good.verdict, Verdict::Delivered);
    let preview = good.mapped.ok_or("a preview")?;
    assert!(preview.errors.is_empty(), "{:?}", preview.errors);
    let requests = house.transport.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(preview.output.as_deref().map(str::as_bytes), Some(&*requests[0].body));
    assert_eq!(requests[0].body, r#"{"sum":5,"units":3,"no":900719925474099312}"#);
    Ok(())
}

async fn changed() -> Told {
    let house = house()?;
    let webhooks = house.admin("t").webhooks();
    let seen = webhooks.create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?.webhook;
    assert_eq!(seen.mapping, None);

    let text = document(WHOLE);
    let with = webhooks.update(WebhookUpdate::of(&seen).mapping(&*text)).await?;
    assert_eq!(with.mapping.as_deref(), Some(&*text));
    let late = webhooks.update(WebhookUpdate::of(&seen).mapping(document(""))).await;
    assert_eq!(refused(late).kind(), ErrorKind::Conflict);
    let renamed = webhooks.update(WebhookUpdate::of(&with).name("ERP")).await?;
    assert_eq!(renamed.mapping, with.mapping);
    let without = webhooks.update(WebhookUpdate::of(&renamed).without_mapping()).await?;
    assert_eq!(without.mapping, None);

    let page = PageRequest::first(100);
    let log = house.admin("t").activity().list(&ActivityFilter::default(), page).await?.items;
    let told =
        log.iter().filter(|entry| entry.details.get("changed").is_some_and(|changed| changed == "mapping"));
    assert_eq!(told.count(), 2, "{log:?}");
    Ok(())
}

async fn another_process() -> Told {
    let store = MemoryStore::new();
    let rows = [json!("DE"), json!("DEU")].to_vec();
    let table = LookupTable::new(["iso2", "iso3"].map(str::to_owned), vec![rows], LetterCase::Sensitive)?;
    let data = HostData::new().with_table("countries", Arc::new(table));
    let knowing = process(&store, |builder| builder.mapping_data(data))?;
    let ignorant = process(&store, |builder| builder.entropy(SeededEntropy::new(8)))?;
    let mapping = r#"{"format":"mapping/1","id":"m","version":1,
        "tables":{"c":{"ref":"host:countries","columns":["iso2","iso3"]}},
        "fields":[{"to":"to","from":"country","steps":[{"op":"table","name":"c","key":"iso2","value":"iso3"}]}]}"#;
    knowing.admin("t").webhooks().create(erp(mapping)).await?;
    knowing.hub.publish(paid(r#"{"country":"DE"}"#)).await?;

    ignorant.work().await;

    let record = knowing.deliveries("t").await?.remove(0);
    assert_eq!(record.delivery.status, DeliveryStatus::Pending);
    assert_eq!(record.delivery.last_error, Some(AttemptError::Transport(TransportErrorKind::Unconfigured)));
    knowing.clock.advance(Duration::from_secs(60));
    knowing.work().await;
    assert_eq!(knowing.transport.requests()[0].body, r#"{"to":"DEU"}"#);
    Ok(())
}

fn process(store: &MemoryStore, choices: impl FnOnce(HubBuilder) -> HubBuilder) -> crossdock::Result<House> {
    // Both open what either has sealed.
    let keys = StaticKeys::new("k", "c21535abe856c048aa398a5b566a7257f91b3740059eb8613697148a55703075")?;
    let vault = EnvelopeVault::new(keys);
    house_with(|receivers| receivers, |builder| choices(builder.store(store.clone()).vault(vault)))
}
