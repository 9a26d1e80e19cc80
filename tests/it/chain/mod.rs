//! The chain of administrative entries, where somebody can write in the store: on every store, each way of tampering is named.

mod grounds;
mod tampering;
mod upgrade;

use std::error::Error;
use std::future::Future;

use libtest_mimic::Trial;

use crate::chain::grounds::{Frozen, InPostgres, InSqlite};
use crate::postgres::{Schemas, Way, play, rule_with, server};
use crate::rule;

pub(crate) type Told = Result<(), Box<dyn Error>>;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("chain::memory::each_way_of_tampering_is_named", || run(tampering::all(&Frozen))),
        rule("chain::sqlite::each_way_of_tampering_is_named", || run(tampering::all(&InSqlite))),
        rule_with("chain::postgres::each_way_of_tampering_is_named", server, |url| {
            play(Schemas::lend(url, Way::Direct, async |schemas| tampering::all(&InPostgres(schemas)).await))
        }),
        rule("chain::sqlite::stores_that_share_a_file_make_one_chain", || run(grounds::two_in_a_file())),
        rule_with("chain::postgres::stores_that_share_a_schema_make_one_chain", server, |url| {
            play(grounds::two_in_a_schema(url))
        }),
        rule("chain::sqlite::what_is_older_than_the_chain_stands_before_it", || run(upgrade::in_sqlite())),
        rule_with("chain::postgres::what_is_older_than_the_chain_stands_before_it", server, |url| {
            play(upgrade::in_postgres(url))
        }),
        rule_with("chain::postgres::what_settles_holds_no_chain", server, |url| {
            play(grounds::settling_waits_for_no_chain(url))
        }),
    ]
}

fn run(story: impl Future<Output = Told>) -> Told {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(story)
}
