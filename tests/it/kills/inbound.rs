//! What was received, under kills: each event that a sender was told 200 for has exactly one effect.
//!
//! Two processes receive and handle; they are killed with `kill -9`, half the time while a handler has written its effect and not ended
//! its transaction, and PostgreSQL with all its processes as well. Whatever was acknowledged is written down outside of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossdock::Hub;
use crossdock::inbound::{ReceivedFilter, ReceivedStatus};
use crossdock::primitives::PageRequest;
use libtest_mimic::Trial;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::inbound::standing;
use crate::kills::clerk::{ClerkBrief, Heard, Manner, open};
use crate::kills::ground::Ground;
use crate::kills::host::Failure;
use crate::kills::plan::{BETWEEN_KILLS_MS, Plan, SEED};
use crate::kills::process::{Process, until_there_are};
use crate::postgres::rule_with;
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("kills::inbound::sqlite::what_was_acknowledged_has_one_effect", || {
            let plan = Plan { server_kills: 0, ..plan()? };
            one_effect_each(&plan, &Ground::sqlite()?)
        }),
        rule_with(
            "kills::inbound::postgres::what_was_acknowledged_has_one_effect",
            Ground::postgres,
            |ground| one_effect_each(&plan()?, &ground),
        ),
        rule("kills::inbound::sqlite::a_host_that_acknowledges_before_it_keeps_is_found", || {
            something_is_lost(&Ground::sqlite()?)
        }),
        rule("kills::inbound::sqlite::a_handler_that_completes_after_its_effect_is_found", || {
            something_is_doubled(&Ground::sqlite()?)
        }),
        rule_with(
            "kills::inbound::postgres::a_handler_that_completes_after_its_effect_is_found",
            Ground::postgres,
            |ground| something_is_doubled(&ground),
        ),
    ]
}

/// As long as the environment says; each event costs more than one that is sent, so there are half as many.
fn plan() -> Result<Plan, Failure> {
    let plan = Plan::from_environment()?;
    Ok(Plan { events: plan.events / 2, ..plan })
}

fn check() -> Result<Plan, Failure> {
    Ok(Plan { worker_kills: 6, events: 100, ..Plan::self_check()? })
}

fn one_effect_each(plan: &Plan, ground: &Ground) -> Result<(), Failure> {
    let summary = play(plan, ground, Manner::Careful)?;
    eprintln!("{summary}");
    if !summary.lost.is_empty() || !summary.doubled.is_empty() {
        let some = |all: &BTreeSet<String>| all.iter().take(10).cloned().collect::<Vec<_>>();
        let (lost, doubled) = (some(&summary.lost), some(&summary.doubled));
        return Err(format!("{summary}\nlost: {lost:?}\ndoubled: {doubled:?}").into());
    }
    if summary.statuses != HashMap::from([(ReceivedStatus::Done, summary.effects)]) {
        return Err(
            format!("not everything that was kept was handled: {:?}, {summary}", summary.statuses).into()
        );
    }
    let is_as_planned = (summary.kills, summary.server_kills) == (plan.worker_kills, plan.server_kills);
    if !is_as_planned || summary.acknowledged < plan.events || summary.copies == 0 || summary.again == 0 {
        return Err(format!("this run shows nothing: {summary}").into());
    }
    Ok(())
}

/// The books would be worth nothing if they always balanced.
fn something_is_lost(ground: &Ground) -> Result<(), Failure> {
    let summary = play(&check()?, ground, Manner::Hasty)?;
    eprintln!("self-check, a host that acknowledges before it keeps: {summary}");
    match summary.lost.len() {
        0 => Err(format!("nothing was lost, or it was not noticed: {summary}").into()),
        _ => Ok(()),
    }
}

fn something_is_doubled(ground: &Ground) -> Result<(), Failure> {
    let summary = play(&check()?, ground, Manner::Apart)?;
    eprintln!("self-check, a handler that completes after its effect: {summary}");
    match summary.doubled.len() {
        0 => Err(format!("nothing had two effects, or it was not noticed: {summary}").into()),
        _ => Ok(()),
    }
}

/// What a run has shown.
#[derive(Debug)]
struct Summary {
    ground: &'static str,
    seed: u64,
    kills: usize,
    server_kills: usize,
    /// Of these, while a handler was between its effect and its end.
    in_the_middle: usize,
    acknowledged: usize,
    /// Events that have had an effect.
    effects: usize,
    lost: BTreeSet<String>,
    doubled: BTreeSet<String>,
    copies: usize,
    /// Items that were handed to a handler more than once.
    again: usize,
    statuses: HashMap<ReceivedStatus, usize>,
    length: Duration,
}

/// What the processes have said, written down outside of all that is killed.
#[derive(Clone, Debug, Default)]
struct Ledger(Arc<(Mutex<BTreeSet<String>>, Notify)>);

impl Ledger {
    fn acknowledged(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next_handling(&self) {
        self.0.1.notified().await;
    }

    /// What a process says, until it says nothing more.
    fn write_down(&self, voice: ChildStdout) -> Result<(), String> {
        let mut voice = BufReader::new(voice);
        let mut line = String::new();
        loop {
            line.clear();
            voice.read_line(&mut line).map_err(|error| error.to_string())?;
            // A line without its end was not said.
            if !line.ends_with('\n') {
                return Ok(());
            }
            match serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))? {
                Heard::Acknowledged(event) => {
                    self.acknowledged().insert(event);
                }
                Heard::Handling(_) => self.0.1.notify_waiters(),
            }
        }
    }
}

/// A process, and who writes down what it says.
struct Clerk {
    process: Process,
    scribe: JoinHandle<Result<(), String>>,
}

impl Clerk {
    fn note_the_rest(self) -> Result<(), Failure> {
        Ok(self.scribe.join().map_err(|_| "a scribe panicked")??)
    }
}

/// Plays a run to its end; what goes wrong names the seed.
fn play(plan: &Plan, ground: &Ground, manner: Manner) -> Result<Summary, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(plan, ground, manner)).map_err(|error| {
        format!("{}, seed {seed} (repeat it with {SEED}={seed}): {error}", ground.name, seed = plan.seed)
            .into()
    })
}

async fn run(plan: &Plan, ground: &Ground, manner: Manner) -> Result<Summary, Failure> {
    let begun = Instant::now();
    let (till, hub) = open(&ground.database, manner, |_| {})?;
    till.set_up().await?;
    let dice = StdRng::seed_from_u64(plan.seed);
    let (ledger, clerks) = (Ledger::default(), Vec::new());
    let mut scene = Scene { plan, ground, manner, ledger, clerks, dice, lives: 0, in_the_middle: 0 };
    scene.hire()?;
    let (kills, server_kills) = scene.kill_as_planned().await?;
    scene.until_acknowledged(plan.events).await?;
    let (ledger, in_the_middle) = (scene.ledger.clone(), scene.in_the_middle);
    block_in_place(|| scene.close())?;

    // What killed processes held is due again when their leases have ended.
    hub.inbound_worker().run_until(until_nothing_waits(&hub)).await;
    let effects = till.effects().await?;
    let (statuses, copies) = standing(&hub).await?;
    let acknowledged = ledger.acknowledged().clone();
    Ok(Summary {
        ground: ground.name,
        seed: plan.seed,
        kills,
        server_kills,
        in_the_middle,
        acknowledged: acknowledged.len(),
        effects: effects.len(),
        lost: acknowledged.into_iter().filter(|event| !effects.contains_key(event)).collect(),
        doubled: with_several(&effects),
        copies,
        again: handed_out_again(&hub).await?,
        statuses,
        length: begun.elapsed(),
    })
}

fn with_several(effects: &BTreeMap<String, i64>) -> BTreeSet<String> {
    effects.iter().filter(|(_, count)| **count > 1).map(|(event, _)| event.clone()).collect()
}

/// All that can be killed.
struct Scene<'a> {
    plan: &'a Plan,
    ground: &'a Ground,
    manner: Manner,
    ledger: Ledger,
    clerks: Vec<Clerk>,
    dice: StdRng,
    lives: usize,
    in_the_middle: usize,
}

impl Scene<'_> {
    fn hire(&mut self) -> Result<(), Failure> {
        while self.clerks.len() < CLERKS {
            let (database, life) = (self.ground.database.clone(), self.lives);
            let brief = ClerkBrief { database, life, seed: self.plan.seed, manner: self.manner };
            let mut process = Process::start("receive_until_killed", &brief)?;
            let (voice, ledger) = (process.voice()?, self.ledger.clone());
            let scribe = std::thread::spawn(move || ledger.write_down(voice));
            self.clerks.push(Clerk { process, scribe });
            self.lives += 1;
        }
        Ok(())
    }

    /// In an order, and at moments, that the dice choose; answers how many processes and servers were killed.
    async fn kill_as_planned(&mut self) -> Result<(usize, usize), Failure> {
        let mut are_servers = vec![false; self.plan.worker_kills];
        are_servers.extend(vec![true; self.plan.server_kills]);
        are_servers.shuffle(&mut self.dice);
        let (mut kills, mut server_kills) = (0, 0);
        for is_server in are_servers {
            let (shortest, longest) = BETWEEN_KILLS_MS;
            let before = self.ledger.acknowledged().len();
            sleep(Duration::from_millis(self.dice.random_range(shortest..longest))).await;
            // There is something to lose each time.
            self.until_acknowledged(before + self.plan.at_stake).await?;
            if is_server {
                let server = self.ground.server.as_ref().ok_or("there is no server to kill")?;
                block_in_place(|| server.kill())?;
                server_kills += 1;
                sleep(Duration::from_millis(self.dice.random_range(0..300))).await;
                block_in_place(|| server.start_again())?;
            } else {
                self.kill_a_clerk().await?;
                kills += 1;
            }
        }
        Ok((kills, server_kills))
    }

    /// At any time, or while a handler has written its effect and is not at its end.
    async fn kill_a_clerk(&mut self) -> Result<(), Failure> {
        if self.dice.random_bool(0.5) {
            let heard = timeout(Duration::from_millis(500), self.ledger.next_handling()).await;
            self.in_the_middle += usize::from(heard.is_ok());
        }
        let victim = self.dice.random_range(0..self.clerks.len());
        let mut clerk = self.clerks.remove(victim);
        clerk.process.kill()?;
        clerk.note_the_rest()?;
        self.hire()
    }

    async fn until_acknowledged(&mut self, events: usize) -> Result<(), Failure> {
        until_there_are(events, "acknowledged", || {
            self.clerks.iter_mut().try_for_each(|clerk| clerk.process.check())?;
            Ok(self.ledger.acknowledged().len())
        })
        .await
    }

    fn close(self) -> Result<(), Failure> {
        for mut clerk in self.clerks {
            clerk.process.stop()?;
            clerk.note_the_rest()?;
        }
        Ok(())
    }
}

/// It is not asked whether everything is there.
async fn until_nothing_waits(hub: &Hub) {
    let begun = Instant::now();
    let pending = ReceivedFilter::new().status(ReceivedStatus::Pending);
    while begun.elapsed() < PATIENCE {
        let page = hub.platform_received().list(&pending, PageRequest::first(1)).await;
        if page.is_ok_and(|page| page.items.is_empty()) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn handed_out_again(hub: &Hub) -> Result<usize, Failure> {
    let (mut count, mut page) = (0, PageRequest::first(PageRequest::MAX));
    loop {
        let part = hub.platform_received().list(&ReceivedFilter::new(), page).await?;
        count += part.items.iter().filter(|record| record.attempts > 1).count();
        let Some(next) = part.next else { return Ok(count) };
        page = PageRequest::first(PageRequest::MAX).after(next);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "inbound kills, {}: {} events acknowledged, {} have an effect, {} lost, {} with more than one effect; {} copies counted, {} \
             handed out more than once; {} process kills ({} amid a handler), {} server kills; seed {}; {:.0} s",
            self.ground,
            self.acknowledged,
            self.effects,
            self.lost.len(),
            self.doubled.len(),
            self.copies,
            self.again,
            self.kills,
            self.in_the_middle,
            self.server_kills,
            self.seed,
            self.length.as_secs_f64(),
        )
    }
}

const CLERKS: usize = 2;
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);
