//! Every operation of every storage port fails once: a scenario is played again and again, and each time the next operation is
//! the one that fails, until it is played to its end without reaching that one.
//!
//! Where that takes long, some operations stand for all: `CROSSDOCK_FAULT_STEP=1` lets all of them fail. `CROSSDOCK_FAULT_SITE` plays
//! the world in which this operation fails, and `CROSSDOCK_FAULT_AGAIN` says which of the second faults it has.

mod defects;
mod grounds;
mod plan;
mod receivers;
mod records;
mod rules;
mod scenario;
mod world;

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use libtest_mimic::Trial;

use crate::enumeration::defects::Flaw;
use crate::enumeration::grounds::{Kind, with_ground};
use crate::enumeration::plan::{Fault, Mode, Plan, When};
use crate::enumeration::scenario::Scenario;
use crate::enumeration::world::World;
use crate::postgres::{rule_with, server};
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (index, (name, campaign)) in campaigns().into_iter().enumerate() {
        let every = move |kind, step| Series { kind, name, campaign, index, step };
        // A second fault multiplies the worlds.
        let fewer = campaign.again.len().max(1);
        trials.push(rule(&format!("enumeration::memory::{name}"), move || {
            every(Kind::Memory, step(campaign.step)).play_all()
        }));
        trials.push(rule(&format!("enumeration::sqlite::{name}"), move || {
            every(Kind::Sqlite, step(SQLITE_STEP * fewer)).play_all()
        }));
        if ON_POSTGRES.contains(&name) || number("CROSSDOCK_FAULT_STEP").is_some() {
            trials.push(rule_with(&format!("enumeration::postgres::{name}"), server, move |url| {
                every(Kind::Postgres(url), step(POSTGRES_STEP)).play_all()
            }));
        }
    }
    for (flaw, by) in [
        (Flaw::NoFencing, "one_kind_is_away"),
        (Flaw::Swallows, "once_before_the_effect"),
        (Flaw::Halves, "once_before_the_effect"),
    ] {
        trials.push(rule(
            &format!("enumeration::a_store_that_is_{flaw:?}_is_found").to_lowercase(),
            move || is_found(flaw, by),
        ));
    }
    trials
}

/// On the stores that last, every so-manieth operation fails, beginning with another one in each campaign.
const SQLITE_STEP: usize = 97;
const POSTGRES_STEP: usize = 199;
/// What is hardest on a store, and on those who use it.
const ON_POSTGRES: [&str; 3] =
    ["once_after_the_effect", "one_kind_loses_its_answers", "death_after_the_effect"];

fn step(default: usize) -> usize {
    number("CROSSDOCK_FAULT_STEP").unwrap_or(default)
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

#[derive(Clone, Copy, Debug)]
struct Campaign {
    mode: Mode,
    when: When,
    /// A second fault comes so many operations after the first one, if any.
    again: &'static [(usize, When)],
    /// In memory, every so-manieth operation fails.
    step: usize,
}

/// How far behind the first fault the second one comes: the operations of a recovery, and some of what follows it.
const LATER: &[(usize, When)] = &[
    (1, When::Before),
    (1, When::After),
    (2, When::After),
    (3, When::Before),
    (4, When::After),
    (6, When::Before),
    (9, When::After),
    (14, When::Before),
];

fn campaigns() -> Vec<(&'static str, Campaign)> {
    let of = |mode, when| Campaign { mode, when, again: &[], step: 3 };
    vec![
        ("once_before_the_effect", Campaign { step: 1, ..of(Mode::Once, When::Before) }),
        ("once_after_the_effect", Campaign { step: 1, ..of(Mode::Once, When::After) }),
        ("refused_for_good", of(Mode::Refused, When::Before)),
        ("one_kind_is_away", of(Mode::Kind, When::Before)),
        ("one_kind_loses_its_answers", of(Mode::Kind, When::After)),
        ("everything_is_away", of(Mode::Everything, When::Before)),
        ("death_before_the_effect", of(Mode::Death, When::Before)),
        ("death_after_the_effect", of(Mode::Death, When::After)),
        ("again_while_recovering", Campaign { again: LATER, step: 13, ..of(Mode::Once, When::After) }),
        ("again_after_a_death", Campaign { again: LATER, step: 13, ..of(Mode::Death, When::After) }),
    ]
}

/// One campaign on one store.
#[derive(Debug)]
struct Series {
    kind: Kind,
    name: &'static str,
    campaign: Campaign,
    /// Which campaign this is.
    index: usize,
    step: usize,
}

impl Series {
    /// Plays until no operation is left that could fail.
    fn play_all(&self) -> Result<(), String> {
        let Self { kind, name, campaign, index, step } = self;
        if let Some(site) = number("CROSSDOCK_FAULT_SITE") {
            let again = number("CROSSDOCK_FAULT_AGAIN").and_then(|index| campaign.again.get(index)).copied();
            let fault = Fault { site, mode: campaign.mode, when: campaign.when, again };
            return play(kind, Some(fault), Flaw::None)
                .map(drop)
                .map_err(|rule| format!("{fault:?}: {rule}"));
        }
        let base = play(kind, None, Flaw::None).map_err(|rule| format!("without any fault: {rule}"))?;
        let first = 1 + index * 7 % step;
        let next = AtomicUsize::new(0);
        let has_ended = AtomicBool::new(false);
        let (worlds, broken) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            while !has_ended.load(Ordering::Relaxed) {
                let site = first + next.fetch_add(1, Ordering::Relaxed) * step;
                let once = [None];
                let later: Vec<_> = campaign.again.iter().copied().map(Some).collect();
                for &again in if later.is_empty() { &once[..] } else { &later[..] } {
                    let fault = Fault { site, mode: campaign.mode, when: campaign.when, again };
                    worlds.fetch_add(1, Ordering::Relaxed);
                    match play(kind, Some(fault), Flaw::None) {
                        Ok(plan) if plan.hit().is_none() => has_ended.store(true, Ordering::Relaxed),
                        Ok(_) => {}
                        Err(rule) => {
                            has_ended.store(true, Ordering::Relaxed);
                            broken.lock().expect("no panic while noting").push(format!("{fault:?}: {rule}"));
                        }
                    }
                }
            }
        };
        // Each world lives on one thread; different worlds share the cores.
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().map_err(|_| "a world panicked".to_owned()))
        })?;
        let broken = broken.into_inner().expect("no panic while noting");
        if let Some(first) = broken.into_iter().min() {
            return Err(first);
        }
        eprintln!(
            "enumeration: {} {name}: {} operations, one in {step} of them failed, {} worlds, 0 rules broken{}",
            kind.name(),
            base.operations(),
            worlds.into_inner(),
            if *name == "once_before_the_effect" { sites(&base) } else { String::new() }
        );
        Ok(())
    }
}

fn sites(plan: &Plan) -> String {
    let mut text = String::new();
    for ((port, step), count) in plan.sites() {
        write!(text, "\n  {count:>5}  {port}::{step}").expect("a text takes everything");
    }
    text
}

/// The rules would be worth nothing if they found nothing: a known defect is found, and only by a fault.
fn is_found(flaw: Flaw, by: &str) -> Result<(), String> {
    play(&Kind::Memory, None, flaw).map_err(|rule| format!("{flaw:?} is found without any fault: {rule}"))?;
    for (name, Campaign { mode, when, .. }) in campaigns().into_iter().filter(|(name, _)| *name == by) {
        for site in 1.. {
            let fault = Fault { site, mode, when, again: None };
            match play(&Kind::Memory, Some(fault), flaw) {
                Ok(plan) if plan.hit().is_none() => break,
                Ok(_) => {}
                Err(rule) => {
                    eprintln!(
                        "enumeration: {flaw:?} found by {name} at operation {site}: {}",
                        shortened(&rule)
                    );
                    return Ok(());
                }
            }
        }
    }
    Err(format!("{flaw:?} was not found"))
}

fn shortened(text: &str) -> String {
    text.chars().take(160).collect()
}

/// Plays one world to its end.
fn play(kind: &Kind, fault: Option<Fault>, flaw: Flaw) -> Result<Plan, String> {
    with_ground(kind, async |ground| {
        let world = World::new(ground, fault, flaw);
        let mut scenario = Scenario::new(&world);
        let played = scenario.play().await.map_err(|error| error.to_string());
        let at = world.plan.hit().map(|hit| format!(" (the fault was in {}::{})", hit.port, hit.step));
        // A rule that broke on the way says more than what came of it.
        rules::holds(&world)
            .map_err(|error| error.to_string())
            .and(played)
            .map_err(|rule| format!("{rule}{}", at.unwrap_or_default()))?;
        Ok(world.plan.clone())
    })
}
