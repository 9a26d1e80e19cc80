//! Whole hubs on the stores that last: real HTTP on loopback, the host's own transactions, and what happens to servers.

mod faults;
pub(crate) mod ground;
mod publishing;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [publishing::trials(), faults::trials()].into_iter().flatten().collect()
}
