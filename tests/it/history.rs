//! Random histories: the store in memory must do exactly what the shortest correct store does, step by step.
//!
//! The reference is `tests/hosts/custom_store`: maps, and a scan for every question. Rules that both might break alike are checked
//! on their own: at most one live lease per delivery, limits, order, nothing lost, an honest `next_due`.

#[expect(unreachable_pub, reason = "there it is a crate, here a module")]
#[path = "../hosts/custom_store/src/lib.rs"]
mod reference;

mod steps;
mod world;

use libtest_mimic::Trial;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use self::steps::history;
use self::world::World;
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![rule("history::the_store_in_memory_does_what_the_shortest_store_does", random_histories)]
}

fn random_histories() -> Result<(), String> {
    // `PROPTEST_CASES` asks for more.
    let defaults = Config::default();
    let cases = defaults.cases.max(300);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..defaults };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&history(), |(settings, steps)| {
        let mut world = World::new(&settings);
        for (index, step) in steps.iter().enumerate() {
            world.take(step);
            world
                .check()
                .map_err(|broken| TestCaseError::fail(format!("step {index}, {step:?}: {broken}")))?;
        }
        world.finish().map_err(TestCaseError::fail)
    });
    outcome.map_err(|error| error.to_string())
}
