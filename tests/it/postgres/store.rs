//! The store keeps every contract: on the server itself, with and without transactions around single statements, and through a
//! transaction-mode pooler.

use crossdock::testing::conformance::{Check, StoreHarness, store_suite};
use libtest_mimic::Trial;

use crate::postgres::play::play;
use crate::postgres::schemas::{Schemas, Way};
use crate::postgres::server::{pooler, rule_with, server};

pub(crate) fn trials() -> Vec<Trial> {
    [
        suite("postgres", server, Way::Direct),
        suite("postgres_in_transactions", server, Way::Pooled),
        suite("postgres_pooled", pooler, Way::Pooled),
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
    store_suite().into_iter().map(trial).collect()
}
