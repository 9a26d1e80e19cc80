//! The store in PostgreSQL, and the servers that its trials need.

mod account;
mod at_once;
mod chores;
mod cluster;
mod damage;
pub(crate) mod family;
mod faults;
mod host;
mod keeper;
mod plans;
mod play;
mod pooler;
mod races;
mod schema;
mod schemas;
pub(crate) mod server;
mod servers;
mod sharing;
mod store;
mod wake;
pub(crate) mod world;

use libtest_mimic::Trial;

pub(crate) use cluster::{Cluster, Durability};
pub(crate) use keeper::keep;
pub(crate) use play::{Outcome, play};
pub(crate) use schemas::{Place, Schemas, Way};
pub(crate) use server::{end, fresh_name, pooler, rule_with, server};
pub(crate) use servers::{hold_a_server, with_server};

pub(crate) fn trials() -> Vec<Trial> {
    [
        servers::trials(),
        store::trials(),
        races::trials(),
        plans::trials(),
        host::trials(),
        sharing::trials(),
        schema::trials(),
        faults::trials(),
        damage::trials(),
        chores::trials(),
        wake::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
