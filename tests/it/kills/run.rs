//! One run: processes are started, killed and started again; then everything comes to rest, and the books are compared.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::kills::ground::Ground;
use crate::kills::host::{Engine, Failure, Host, LEASE};
use crate::kills::ledger::{Ledger, Verdict};
use crate::kills::orders::RECEIVERS;
use crate::kills::plan::{BETWEEN_KILLS_MS, Plan, SEED, Workers};
use crate::kills::process::{Process, until_there_are};
use crate::kills::publisher::PublisherBrief;
use crate::kills::receiver::Receiver;
use crate::kills::worker::WorkerBrief;

/// What a run has shown.
#[derive(Debug)]
pub(super) struct Summary {
    ground: &'static str,
    seed: u64,
    kills: Kills,
    pub(super) verdict: Verdict,
    length: Duration,
}

/// Who was killed how often.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Kills {
    pub(super) workers: usize,
    pub(super) servers: usize,
    pub(super) publishers: usize,
    /// Of workers, which were not killed for that.
    pub(super) stalls: usize,
}

/// Plays a run to its end; what goes wrong names the seed.
pub(super) fn play(plan: &Plan, ground: &Ground) -> Result<Summary, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(run(plan, ground));
    // Receivers that hang would be waited for.
    runtime.shutdown_background();
    outcome.map_err(|error| {
        format!("{}, seed {seed} (repeat it with {SEED}={seed}): {error}", ground.name, seed = plan.seed)
            .into()
    })
}

async fn run(plan: &Plan, ground: &Ground) -> Result<Summary, Failure> {
    let begun = Instant::now();
    let ledger = Ledger::default();
    let receiver = Receiver::listen(plan.seed, ledger.clone()).await?;
    let host = Host::open(&ground.database, Engine::Honest)?;
    host.set_up().await?;
    for path in RECEIVERS {
        host.subscribe(path, &receiver.url(path)).await?;
    }
    host.make_lasting().await?;

    let mut scene = Scene::open(plan, ground, receiver, ledger.clone())?;
    scene.kill_as_planned().await?;
    scene.until_published(plan.events).await?;
    let kills = scene.kills;
    let workers = scene.close()?;
    until_idle(&host, &ledger).await?;
    for mut worker in workers {
        block_in_place(|| worker.stop())?;
    }

    let orders = host.orders().await?;
    let mut verdict = ledger.books().judge(&orders);
    let given_up = host.given_up().await?;
    verdict.broken.extend(given_up.into_iter().map(|delivery| format!("given up: {delivery}")));
    Ok(Summary { ground: ground.name, seed: plan.seed, kills, verdict, length: begun.elapsed() })
}

/// All that can be killed.
struct Scene<'a> {
    plan: &'a Plan,
    ground: &'a Ground,
    dice: StdRng,
    receiver: Receiver,
    ledger: Ledger,
    workers: Vec<Process>,
    publisher: Publisher,
    kills: Kills,
}

/// A publishing process, and who writes down what it says.
struct Publisher {
    process: Process,
    scribe: JoinHandle<Result<(), String>>,
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Worker,
    Server,
    Publisher,
    /// A worker that is halted, and goes on.
    Sleeper,
}

impl<'a> Scene<'a> {
    fn open(plan: &'a Plan, ground: &'a Ground, receiver: Receiver, ledger: Ledger) -> Result<Self, Failure> {
        let publisher = Publisher::start(plan, ground, 0, &ledger)?;
        let dice = StdRng::seed_from_u64(plan.seed);
        let kills = Kills::default();
        let mut scene = Self { plan, ground, dice, receiver, ledger, workers: Vec::new(), publisher, kills };
        if plan.workers == Workers::Throughout {
            scene.hire()?;
        }
        Ok(scene)
    }

    fn hire(&mut self) -> Result<(), Failure> {
        while self.awake().len() < WORKERS {
            self.workers.push(worker(self.ground)?);
        }
        Ok(())
    }

    /// Which workers can be killed: one that is halted is to go on first.
    fn awake(&self) -> Vec<usize> {
        (0..self.workers.len()).filter(|index| self.workers[*index].is_awake()).collect()
    }

    fn choose_a_worker(&mut self) -> usize {
        let awake = self.awake();
        awake[self.dice.random_range(0..awake.len())]
    }

    /// In an order, and at moments, that the dice choose.
    async fn kill_as_planned(&mut self) -> Result<(), Failure> {
        let mut victims = vec![Victim::Worker; self.plan.worker_kills];
        victims.extend(vec![Victim::Server; self.plan.server_kills]);
        victims.extend(vec![Victim::Publisher; self.plan.publisher_kills]);
        victims.extend(vec![Victim::Sleeper; self.plan.stalls]);
        victims.shuffle(&mut self.dice);
        while let Some(victim) = victims.pop() {
            let (shortest, longest) = BETWEEN_KILLS_MS;
            let before = self.acknowledged();
            sleep(Duration::from_millis(self.dice.random_range(shortest..longest))).await;
            // There is something to lose each time.
            self.until_published(before + self.plan.at_stake).await?;
            match victim {
                Victim::Server => {
                    let server = self.ground.server.as_ref().ok_or("there is no server to kill")?;
                    block_in_place(|| server.kill())?;
                    self.kills.servers += 1;
                    sleep(Duration::from_millis(self.dice.random_range(0..300))).await;
                    // Some die, and their successors begin, while there is no server.
                    if self.dice.random_bool(0.5)
                        && let Some(victim) = victims.pop_if(|next| !matches!(next, Victim::Server))
                    {
                        self.kill_a_process(victim).await?;
                    }
                    block_in_place(|| server.start_again())?;
                }
                process => self.kill_a_process(process).await?,
            }
        }
        Ok(())
    }

    async fn kill_a_process(&mut self, victim: Victim) -> Result<(), Failure> {
        match victim {
            Victim::Worker => self.kill_a_worker().await,
            Victim::Sleeper => self.halt_a_worker(),
            _ => self.kill_the_publisher(),
        }
    }

    /// At any time, or while a receiver has a request that it has not answered.
    async fn kill_a_worker(&mut self) -> Result<(), Failure> {
        if self.dice.random_bool(0.5) {
            // Where nothing comes in this time, any time will do.
            let _ = timeout(Duration::from_millis(500), self.receiver.next_arrival()).await;
        }
        let victim = self.choose_a_worker();
        self.workers.remove(victim).kill()?;
        self.kills.workers += 1;
        self.hire()
    }

    /// Nothing that it has claimed is its own any more when it goes on.
    fn halt_a_worker(&mut self) -> Result<(), Failure> {
        let sleeper = self.choose_a_worker();
        self.workers[sleeper].halt(LEASE + Duration::from_secs(1))?;
        self.kills.stalls += 1;
        self.hire()
    }

    fn kill_the_publisher(&mut self) -> Result<(), Failure> {
        self.kills.publishers += 1;
        let next = Publisher::start(self.plan, self.ground, self.kills.publishers, &self.ledger)?;
        let mut last = std::mem::replace(&mut self.publisher, next);
        last.process.kill()?;
        last.note_the_rest()
    }

    /// Waits until so many are acknowledged.
    async fn until_published(&mut self, events: usize) -> Result<(), Failure> {
        until_there_are(events, "published", || {
            self.publisher.process.check()?;
            self.workers.iter_mut().try_for_each(Process::check)?;
            Ok(self.ledger.books().acknowledged())
        })
        .await
    }

    /// Nothing more is published; the workers go on.
    fn close(mut self) -> Result<Vec<Process>, Failure> {
        self.hire()?;
        block_in_place(|| self.publisher.process.stop())?;
        self.publisher.note_the_rest()?;
        Ok(self.workers)
    }

    fn acknowledged(&self) -> usize {
        self.ledger.books().acknowledged()
    }
}

impl Publisher {
    fn start(plan: &Plan, ground: &Ground, life: usize, ledger: &Ledger) -> Result<Self, Failure> {
        let brief = PublisherBrief {
            database: ground.database.clone(),
            engine: plan.engine,
            life: life as u64,
            seed: plan.seed,
            pause: plan.pause(),
        };
        let mut process = Process::start("publish_until_killed", &brief)?;
        let (voice, ledger) = (process.voice()?, ledger.clone());
        Ok(Self { process, scribe: std::thread::spawn(move || write_down(voice, &ledger)) })
    }

    fn note_the_rest(self) -> Result<(), Failure> {
        Ok(self.scribe.join().map_err(|_| "a scribe panicked")??)
    }
}

/// What a publisher says, until it says nothing more.
fn write_down(voice: ChildStdout, ledger: &Ledger) -> Result<(), String> {
    let mut voice = BufReader::new(voice);
    let mut line = String::new();
    loop {
        line.clear();
        voice.read_line(&mut line).map_err(|error| error.to_string())?;
        // A line without its end was not said.
        if !line.ends_with('\n') {
            return Ok(());
        }
        let said = serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
        ledger.books().note(said);
    }
}

fn worker(ground: &Ground) -> Result<Process, Failure> {
    Process::start("deliver_until_killed", &WorkerBrief { database: ground.database.clone() })
}

/// Waits until the store holds nothing that is still to be delivered. It is not asked whether all has arrived.
async fn until_idle(host: &Host, ledger: &Ledger) -> Result<(), Failure> {
    let (mut begun, mut before) = (Instant::now(), 0);
    loop {
        let idle = host.is_idle().await;
        if matches!(idle, Ok(true)) {
            return Ok(());
        }
        let now = ledger.books().requests();
        if now > before {
            (begun, before) = (Instant::now(), now);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("deliveries are stuck: {:?} {:?}", idle, host.given_up().await).into());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kills, verdict) = (&self.kills, &self.verdict);
        write!(
            f,
            "kills, {}: {} events acknowledged, {} delivered, {} lost, {} contradictions; {} duplicates under the same id with the \
             same bytes ({} times a receiver cut the connection after its work); {} worker kills, {} server kills, {} publisher \
             kills, {} stalls; {} rolled back; {} in doubt, {} of them delivered; {} in order; {} requests to {} receivers; seed {}; {:.0} s",
            self.ground,
            verdict.acknowledged,
            verdict.delivered,
            verdict.lost.len(),
            verdict.broken.len(),
            verdict.duplicates,
            verdict.unheard,
            kills.workers,
            kills.servers,
            kills.publishers,
            kills.stalls,
            verdict.taken_back,
            verdict.in_doubt,
            verdict.in_doubt_delivered,
            verdict.in_order,
            verdict.requests,
            RECEIVERS.len(),
            self.seed,
            self.length.as_secs_f64(),
        )
    }
}

impl Summary {
    pub(super) fn kills(&self) -> Kills {
        self.kills
    }
}

const WORKERS: usize = 2;
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);
