//! The store keeps every contract: on the server itself, with and without transactions around single statements, and through a
//! transaction-mode pooler.

use crossdock::testing::conformance::{
    Check, InboundStoreHarness, KeyStoreHarness, StoreHarness, inbound_store_suite, key_store_suite,
    store_suite,
};
use libtest_mimic::Trial;

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
