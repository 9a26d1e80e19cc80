//! A seeded world in virtual time: several workers, crashes at any step, receivers that hang, flap and go away.
//!
//! `CROSSDOCK_SIM_SEEDS` says how many worlds are played (2,000 by default), `CROSSDOCK_SIM_SEED` plays one.

mod dice;
pub(crate) mod executor;
mod faults;
pub(crate) mod ledger;
mod receivers;
pub(crate) mod rules;
pub(crate) mod settings;
mod store;
pub(crate) mod watched;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use libtest_mimic::Trial;

use crate::rule;
use crate::simulation::faults::Faults;
use crate::simulation::watched::Defect;
use crate::simulation::world::{Seen, play};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("simulation::no_rule_breaks_in_any_world", no_rule_breaks),
        rule("simulation::the_same_seed_gives_the_same_world", same_seed_same_world),
        rule("simulation::a_store_without_fencing_is_found", || is_found(Defect::NoFencing)),
        rule("simulation::a_store_that_counts_instead_of_looking_is_found", || is_found(Defect::Counters)),
    ]
}

const SEEDS: u64 = 2_000;
/// From so many worlds on, every kind of fault must have happened a thousand times.
const MANY: u64 = 100_000;
const WITHIN: u64 = 1_000;

fn no_rule_breaks() -> Result<(), String> {
    if let Some(seed) = number("CROSSDOCK_SIM_SEED") {
        return play(seed, Defect::None).map(drop).map_err(|rule| broken(seed, &rule));
    }
    let seeds = number("CROSSDOCK_SIM_SEEDS").unwrap_or(SEEDS);
    let total = Mutex::new((Faults::default(), 0, 0));
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || -> Result<(), String> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return Ok(());
            }
            let Seen { faults, events, duplicates } = play(seed, Defect::None).map_err(|rule| {
                next.store(seeds, Ordering::Relaxed);
                broken(seed, &rule)
            })?;
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.0.add(&faults);
            total.1 += events;
            total.2 += duplicates;
        }
    };
    // Each world lives on one thread; different worlds share the cores.
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| "a world panicked; its seed is in the output above".to_owned())?
        })
    })?;
    let (faults, events, duplicates) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!("simulation: {seeds} worlds, {events} events, 0 lost, {duplicates} duplicates\n{faults}");
    let rare = if seeds >= MANY { faults.rarer_than(1_000) } else { faults.rarer_than(1) };
    if rare.is_empty() { Ok(()) } else { Err(format!("kinds of fault that were hardly hit: {rare:?}")) }
}

fn same_seed_same_world() -> Result<(), String> {
    for seed in 0..20 {
        let first = play(seed, Defect::None).map_err(|rule| broken(seed, &rule))?;
        let second = play(seed, Defect::None).map_err(|rule| broken(seed, &rule))?;
        let same = (first.events, first.duplicates) == (second.events, second.duplicates)
            && first.faults.to_string() == second.faults.to_string();
        if !same {
            return Err(format!("seed {seed} gave two different worlds"));
        }
    }
    Ok(())
}

/// The rules would be worth nothing if they found nothing: a known defect must be found within a thousand seeds.
fn is_found(defect: Defect) -> Result<(), String> {
    for seed in 0..WITHIN {
        if let Err(rule) = play(seed, defect) {
            eprintln!(
                "simulation: {defect:?} found at seed {seed}: {}",
                rule.chars().take(160).collect::<String>()
            );
            return Ok(());
        }
    }
    Err(format!("{defect:?} was not found within {WITHIN} seeds"))
}

fn broken(seed: u64, rule: &str) -> String {
    format!("seed {seed} breaks a rule (play it alone with CROSSDOCK_SIM_SEED={seed}): {rule}")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
