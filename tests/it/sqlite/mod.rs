//! What the store in SQLite promises beyond the ports: transactions of the host's own, several handles on one file, commits that
//! are shared, and faults that pass.

mod bounds;
mod faults;
mod shop;
mod together;
mod transaction;
mod unreadable;

use libtest_mimic::Trial;

pub(crate) use together::{claim_beside_others, open_beside_others, publish_until_killed};

pub(crate) fn trials() -> Vec<Trial> {
    [bounds::trials(), faults::trials(), together::trials(), transaction::trials(), unreadable::trials()]
        .into_iter()
        .flatten()
        .collect()
}

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(story)
}
