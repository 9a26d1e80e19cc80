//! What receiving costs. `cargo bench --bench inbound` prints tables, `-- --quick` the same from fewer slices.
//!
//! The time of a row is the lower decile of many short slices, taken in turns with the row it is compared with: what another
//! process steals from a slice makes it longer, never shorter, and so does not count.
#![expect(clippy::print_stdout, reason = "a benchmark prints its findings")]

mod verification;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 41 } else { 401 };
    verification::measure(rounds)
}
