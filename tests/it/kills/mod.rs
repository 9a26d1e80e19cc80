//! Workers, publishers and the server are killed, with ledgers on both sides that are not: what was acknowledged arrives.
//!
//! `kill -9`, at moments that a seed chooses, for processes that publish, processes that deliver over HTTP, and PostgreSQL with all
//! its processes; each is started again. In long runs, some workers stand still until their leases have ended, and go on. Receivers refuse, hang and cut connections from time to time. Everything is real but the
//! network, which is loopback.
//!
//! | variable | says |
//! |---|---|
//! | `CROSSDOCK_KILLS` | how many workers are killed; 10 |
//! | `CROSSDOCK_SERVER_KILLS` | how often PostgreSQL is killed; 3 |
//! | `CROSSDOCK_KILL_EVENTS` | how many events are acknowledged at least; 1,000 |
//! | `CROSSDOCK_KILL_SEED` | the seed; another one each time |
//!
//! | module | holds |
//! |---|---|
//! | `plan` | what a run does |
//! | `run` | the run: who is killed when, and how it ends |
//! | `ground` | the database that it takes place on |
//! | `process` | a process that is there to be killed |
//! | `host`, `publisher`, `worker` | what these processes do |
//! | `orders` | what they publish, and who hears of it |
//! | `receiver` | where it all arrives |
//! | `ledger` | what was said on both sides, and the judgement |
//! | `together` | two processes, and nobody is killed |
//! | `inbound` | what a process has received and handled when it is killed |
//! | `clerk` | what that process does |
//! | `eager` | an engine that acknowledges before it writes, which must be found out |

mod clerk;
mod eager;
mod ground;
mod host;
mod inbound;
mod ledger;
mod orders;
mod plan;
pub(crate) mod process;
mod publisher;
mod receiver;
mod run;
mod together;
mod verdicts;
mod worker;

use libtest_mimic::Trial;

use crate::kills::host::{Engine, Failure};
use crate::kills::plan::{Plan, Workers};
use crate::kills::run::{Kills, play};
use crate::postgres::rule_with;
use crate::rule;

pub(crate) use clerk::receive_until_killed;
pub(crate) use ground::Ground;
pub(crate) use host::Database;
pub(crate) use process::{Process, brief, told_to_end};
pub(crate) use publisher::publish_until_killed;
pub(crate) use worker::deliver_until_killed;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        rule("kills::sqlite::what_was_acknowledged_arrives", || {
            let plan = Plan { server_kills: 0, ..Plan::from_environment()? };
            nothing_is_lost(&plan, &Ground::sqlite()?)
        }),
        rule_with("kills::postgres::what_was_acknowledged_arrives", Ground::postgres, |ground| {
            nothing_is_lost(&Plan::from_environment()?, &ground)
        }),
        rule("kills::sqlite::two_processes_send_nothing_twice_and_keep_one_limit", || {
            together::two_processes(&Ground::sqlite()?)
        }),
        rule_with(
            "kills::postgres::two_processes_send_nothing_twice_and_keep_one_limit",
            Ground::postgres,
            |ground| together::two_processes(&ground),
        ),
        rule("kills::sqlite::an_engine_that_acknowledges_before_it_writes_is_found", || {
            something_is_lost(&eager()?, &Ground::sqlite()?)
        }),
        rule_with(
            "kills::postgres::an_engine_that_acknowledges_before_it_writes_is_found",
            Ground::postgres,
            |ground| something_is_lost(&eager()?, &ground),
        ),
        rule_with(
            "kills::postgres::a_server_that_acknowledges_before_it_writes_is_found",
            Ground::careless_postgres,
            |ground| {
                // Its log is written page by page, so each time only the last few commits are gone, or, rarely, none.
                something_is_lost(&Plan { server_kills: 8, ..Plan::self_check()? }, &ground)
            },
        ),
    ];
    trials.extend(verdicts::trials());
    trials.extend(inbound::trials());
    trials
}

fn nothing_is_lost(plan: &Plan, ground: &Ground) -> Result<(), Failure> {
    let summary = play(plan, ground)?;
    eprintln!("{summary}");

    let verdict = &summary.verdict;
    let planned = Kills {
        workers: plan.worker_kills,
        servers: plan.server_kills,
        publishers: plan.publisher_kills,
        stalls: plan.stalls,
    };
    if !verdict.lost.is_empty() || !verdict.broken.is_empty() {
        let some = |all: Vec<&String>| all.into_iter().take(10).cloned().collect::<Vec<_>>();
        let (lost, broken) = (some(verdict.lost.iter().collect()), some(verdict.broken.iter().collect()));
        return Err(format!("{summary}\nlost: {lost:?}\nbroken: {broken:?}").into());
    }
    if summary.kills() != planned || verdict.acknowledged < plan.events || verdict.ways.len() < 3 {
        return Err(format!("less was done than planned: {summary} {:?}", verdict.ways).into());
    }
    if verdict.delivered != verdict.acknowledged
        || verdict.duplicates == 0
        || verdict.taken_back == 0
        || verdict.in_order == 0
    {
        return Err(format!("this run shows nothing: {summary}").into());
    }
    Ok(())
}

fn eager() -> Result<Plan, Failure> {
    let (engine, workers) = (Engine::Eager, Workers::Throughout);
    Ok(Plan { publisher_kills: 3, engine, workers, ..Plan::self_check()? })
}

/// The books would be worth nothing if they always balanced.
fn something_is_lost(plan: &Plan, ground: &Ground) -> Result<(), Failure> {
    let summary = play(plan, ground)?;
    let engine = match plan.engine {
        Engine::Honest => "",
        Engine::Eager => ", with an engine that acknowledges before it writes",
    };
    eprintln!("self-check{engine}: {summary}");
    match summary.verdict.lost.len() {
        0 => Err(format!("nothing was lost, or it was not noticed: {summary}").into()),
        _ => Ok(()),
    }
}
