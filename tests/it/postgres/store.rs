//! The store keeps every contract: on the server itself, with and without transactions around single statements, and through a
//! transaction-mode pooler.

use std::sync::Arc;

use crossdock::testing::conformance::{
    Check, InboundStoreHarness, KeyStoreHarness, StoreHarness, inbound_store_suite, key_store_suite,
    store_suite,
};
use libtest_mimic::Trial;

use crate::postgres::at_once::AtOnce;
use crate::postgres::play::play;
use crate::postgres::schemas::{Schemas, Way};
use crate::postgres::server::{pooler, rule_with, server};

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite("postgres", server, Way::Direct),
        suite("postgres_in_transactions", server, Way::Pooled),
        suite("postgres_pooled", pooler, Way::Pooled),
        suite("postgres_with_row_level_security", server, Way::WithPolicies),
        suite("postgres_behind_a_snapshot", server, Way::Crowded),
        suite_at_once(),
        key_suite("postgres", server, Way::Direct),
        key_suite("postgres_pooled", pooler, Way::Pooled),
        key_suite("postgres_with_row_level_security", server, Way::WithPolicies),
        inbound_suite("postgres", server, Way::Direct),
        inbound_suite("postgres_pooled", pooler, Way::Pooled),
        inbound_suite("postgres_with_row_level_security", server, Way::WithPolicies),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn suite(name: &str, need: fn() -> Result<String, String>, way: Way) -> Vec<Trial> {
    let trial = |check: Check<dyn StoreHarness>| {
        rule_with(&format!("conformance::{name}::{}", check.name()), need, move |url| {
            play(Schemas::lend(url, way, async move |schemas| Ok(check.run(schemas).await?)))
        })
    };
    let parts: &[&str] = match way {
        Way::WithPolicies => &MANAGEMENT,
        Way::Crowded => &CLAIMING,
        Way::Direct | Way::Pooled => &[""],
    };
    let is_wanted = |name: &str| parts.iter().any(|part| name.starts_with(part));
    store_suite().into_iter().filter(|check| is_wanted(check.name())).map(trial).collect()
}

fn suite_at_once() -> Vec<Trial> {
    let trial = |check: Check<dyn StoreHarness>| {
        rule_with(&format!("conformance::postgres_at_once::{}", check.name()), server, move |url| {
            play(Schemas::lend(url, Way::Direct, async move |schemas| {
                let harness = Arc::new(AtOnce::new(schemas));
                check.run(Arc::clone(&harness) as Arc<dyn StoreHarness>).await?;
                // Else all of this would only be the suite once more.
                let leases = AT_ONCE_FOR_SURE.contains(&check.name());
                assert!(!leases || harness.leased() > 0, "nothing was leased at once");
                Ok(())
            }))
        })
    };
    let is_wanted = |name: &str| !AT_ONCE_BY_NATURE.contains(&name);
    store_suite().into_iter().filter(|check| is_wanted(check.name())).map(trial).collect()
}

fn key_suite(name: &str, need: fn() -> Result<String, String>, way: Way) -> Vec<Trial> {
    let trial = |check: Check<dyn KeyStoreHarness>| {
        rule_with(&format!("conformance::{name}::{}", check.name()), need, move |url| {
            play(Schemas::lend(url, way, async move |schemas| Ok(check.run(schemas).await?)))
        })
    };
    key_store_suite().into_iter().map(trial).collect()
}

fn inbound_suite(name: &str, need: fn() -> Result<String, String>, way: Way) -> Vec<Trial> {
    let trial = |check: Check<dyn InboundStoreHarness>| {
        rule_with(&format!("conformance::{name}::{}", check.name()), need, move |url| {
            play(Schemas::lend(url, way, async move |schemas| Ok(check.run(schemas).await?)))
        })
    };
    inbound_store_suite().into_iter().map(trial).collect()
}

/// What fan-out that waits for a claim cannot keep: it does not say how much was still there, makes deliveries when they are claimed,
/// and gives them in the order of the outbox.
const AT_ONCE_BY_NATURE: [&str; 5] = [
    "fan_out::each_entry_is_taken_off_the_outbox_once",
    "fan_out::fan_outs_that_race_make_each_delivery_once",
    "fan_out::an_id_names_one_delivery",
    "claim::what_is_due_first_goes_first",
    "fairness::each_tenant_gets_its_share_before_any_gets_a_second_one",
];
/// Where a claim asks for as much as there is, right behind its fan-out.
const AT_ONCE_FOR_SURE: [&str; 2] = [
    "fencing::results_that_race_are_applied_once",
    "fencing::a_late_result_counts_as_long_as_nobody_else_has_claimed",
];
/// What is claimed in another way then.
const CLAIMING: [&str; 2] = ["claim::", "fairness::"];
/// What policies could break: whatever says whose rows it wants, and the engine beside it.
const MANAGEMENT: [&str; 8] = [
    "isolation::",
    "save::",
    "deliveries::",
    "erase_subject::",
    "repair::",
    "settle::",
    "activity::",
    "chain::",
];
