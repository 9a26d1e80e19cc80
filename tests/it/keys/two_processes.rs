//! A key is revoked here and refused there: how long calls are still let in by other processes, on a real clock.
//!
//! Three processes know every key before the first one is revoked, at moments of their own:
//!
//! | process | does |
//! |---|---|
//! | kept | runs [`Gate::run_until`] beside its calls, as a server does, and calls all the time |
//! | bare | calls all the time, and nothing runs beside it |
//! | idle | calls once with each key, and does nothing then, for longer and shorter than it may believe what it knows |
//!
//! What is measured is how long after the revocation was asked for the last call ended that was let in. Only the product's promise is
//! asserted: 5 s. `CROSSDOCK_REVOCATIONS` says how many keys are revoked, 200 at a time; as many by default.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use crossdock::Hub;
use crossdock::adapters::{PostgresStore, SqliteStore};
use crossdock::api_keys::{ApiCall, Gate, Peppers, Refusal};
use crossdock::primitives::ApiKeyId;
use crossdock::tenancy::Actor;
use http::{HeaderMap, Method};
use libtest_mimic::Trial;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;

use super::{ADDRESS, PEPPER, bearer, reader};
use crate::kills::process::{Process, brief, told_to_end};
use crate::postgres::{Schemas, Way, play, rule_with, server};
use crate::rule;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        rule("keys::sqlite::a_revocation_acts_within_five_seconds_in_every_other_process", || {
            let folder = tempfile::tempdir()?;
            play(revoke(Database::Sqlite(folder.path().join("keys.db"))))
        }),
        rule_with(
            "keys::postgres::a_revocation_acts_within_five_seconds_in_every_other_process",
            server,
            |url| {
                play(Schemas::lend(url, Way::Direct, async |schemas| {
                    let schema = schemas.place().await?.schema;
                    revoke(Database::Postgres { url: schemas.url().to_owned(), schema }).await
                }))
            },
        ),
    ]
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Where every process finds the keys.
#[derive(Clone, Debug, Deserialize, Serialize)]
enum Database {
    Sqlite(PathBuf),
    Postgres { url: String, schema: String },
}

/// What a process does while keys are revoked elsewhere.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Habit {
    Kept,
    Bare,
    Idle,
}

/// What a process has to know.
#[derive(Deserialize, Serialize)]
struct Brief {
    database: Database,
    habit: Habit,
    tokens: Vec<String>,
}

/// What a process has seen of one key.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Seen {
    /// When the last call ended that was let in, in nanoseconds of the machine's clock.
    let_in: u64,
    /// How many calls were let in.
    calls: u64,
    /// Whether the last one was refused because the key is revoked.
    refused: bool,
}

async fn revoke(database: Database) -> Outcome {
    let wanted: usize = match std::env::var("CROSSDOCK_REVOCATIONS") {
        Ok(number) => number.parse()?,
        Err(_) => AT_A_TIME,
    };
    let hub = database.hub().await?;
    let mut delays = [(Habit::Kept, Vec::new()), (Habit::Bare, Vec::new()), (Habit::Idle, Vec::new())];
    for round in 0..wanted.div_ceil(AT_A_TIME) {
        let keys = (wanted - round * AT_A_TIME).min(AT_A_TIME);
        one_round(&hub, &database, &format!("org_{round}"), keys, &mut delays).await?;
    }
    for (habit, delays) in &mut delays {
        delays.sort_unstable();
        let at = |share: usize| {
            delays.get((delays.len() * share).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
        };
        eprintln!(
            "{}, {habit:?}: {} revocations; the last call was let in so long after them: p50 {} ms, p99 {} ms, at most {} ms",
            database.name(),
            delays.len(),
            at(50).as_millis(),
            at(99).as_millis(),
            at(100).as_millis(),
        );
        if at(100) > PROMISED {
            return Err(format!("{habit:?}: a revoked key was let in for {:?}", at(100)).into());
        }
    }
    Ok(())
}

async fn one_round(
    hub: &Hub,
    database: &Database,
    tenant: &str,
    keys: usize,
    delays: &mut [(Habit, Vec<Duration>); 3],
) -> Outcome {
    let admin = hub.admin(Actor::org_admin(tenant.parse()?, "ada")).api_keys();
    let (mut ids, mut tokens): (Vec<ApiKeyId>, Vec<String>) = (Vec::new(), Vec::new());
    for _ in 0..keys {
        let created = admin.create(reader()).await?;
        ids.push(created.key.id);
        tokens.push(created.token.reveal().to_owned());
    }
    let mut processes = Vec::new();
    for (habit, _) in &*delays {
        let brief = Brief { database: database.clone(), habit: *habit, tokens: tokens.clone() };
        let mut process = Process::start("call_with_keys", &brief).map_err(plain)?;
        let voice = BufReader::new(process.voice().map_err(plain)?);
        processes.push((process, voice));
    }
    for (_, voice) in &mut processes {
        if hear(voice)? != READY {
            return Err("a process does not know the keys".into());
        }
    }
    let mut asked = Vec::with_capacity(keys);
    for (index, id) in ids.iter().enumerate() {
        asked.push(machine_time()?);
        admin.revoke(*id, "").await?;
        // At ever other moments of the other processes' seconds.
        tokio::time::sleep(Duration::from_millis(4 + (index as u64 * 7) % 9)).await;
    }
    for ((process, voice), (habit, delays)) in processes.iter_mut().zip(delays) {
        let seen: Vec<Seen> = serde_json::from_str(&hear(voice)?)?;
        process.stop().map_err(plain)?;
        for (seen, asked) in seen.iter().zip(&asked) {
            if seen.calls == 0 || !seen.refused {
                return Err(format!("{habit:?}: {seen:?}").into());
            }
            delays.push(Duration::from_nanos(seen.let_in.saturating_sub(*asked)));
        }
        if seen.len() != asked.len() {
            return Err(format!("{habit:?}: {} of {} keys were seen", seen.len(), asked.len()).into());
        }
    }
    Ok(())
}

/// The part of another process: it calls with keys that it knows, until all of them are refused.
pub(crate) fn call_with_keys() -> Outcome {
    play(async {
        let Brief { database, habit, tokens } = brief().map_err(plain)?;
        let hub = database.hub().await?;
        let headers: Vec<_> = tokens.iter().map(|token| bearer(token)).collect();
        let mut seen = vec![Seen::default(); tokens.len()];
        call_once(&hub, &headers, &mut seen).await?;
        say(READY)?;

        let keeping = (habit == Habit::Kept).then(|| {
            let gate = hub.gate().clone();
            tokio::spawn(async move { gate.run_until(std::future::pending()).await })
        });
        let begun = Instant::now();
        for turn in 0.. {
            tokio::time::sleep(match habit {
                Habit::Kept | Habit::Bare => Duration::from_millis(2),
                Habit::Idle => NAPS[turn % NAPS.len()],
            })
            .await;
            call_once(&hub, &headers, &mut seen).await?;
            // Somebody who waits for ever finds nothing.
            if seen.iter().all(|seen| seen.refused) || begun.elapsed() > PATIENCE {
                break;
            }
        }
        if let Some(keeping) = keeping {
            keeping.abort();
        }
        say(&serde_json::to_string(&seen)?)?;
        let told = told_to_end();
        while !told.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
}

/// Calls with each key that was not refused yet.
async fn call_once(hub: &Hub, headers: &[HeaderMap], seen: &mut [Seen]) -> Outcome {
    for (headers, seen) in headers.iter().zip(seen).filter(|(_, seen)| !seen.refused) {
        let call = ApiCall::new(&Method::GET, headers, ADDRESS).route("/orders");
        match hub.authenticate(&call).await {
            Ok(_) => {
                seen.let_in = machine_time()?;
                seen.calls += 1;
            }
            Err(refused) if refused.reason() == Refusal::Revoked => seen.refused = true,
            Err(refused) => return Err(format!("{refused:?}").into()),
        }
    }
    Ok(())
}

impl Database {
    fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres { .. } => "postgres",
        }
    }

    /// A hub of this process's own.
    async fn hub(&self) -> Result<Hub, Box<dyn std::error::Error>> {
        let hub = Hub::builder().peppers(Peppers::new("2026", PEPPER)?);
        Ok(match self {
            Self::Sqlite(path) => hub.key_store(SqliteStore::open(path)?).build()?,
            Self::Postgres { url, schema } => {
                let pool = PgPoolOptions::new().max_connections(2).connect(url).await?;
                hub.key_store(PostgresStore::builder(pool).schema(schema).direct().build()?).build()?
            }
        })
    }
}

fn say(line: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn hear(voice: &mut impl BufRead) -> Result<String, std::io::Error> {
    let mut line = String::new();
    voice.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// All processes are on one machine, so its clock is one for all.
#[expect(
    clippy::disallowed_methods,
    reason = "processes compare their times, and have no clock of the hub's in common"
)]
fn machine_time() -> Result<u64, Box<dyn std::error::Error>> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_nanos())?)
}

fn plain(failure: Box<dyn std::error::Error + Send + Sync>) -> Box<dyn std::error::Error> {
    failure
}

const AT_A_TIME: usize = 200;
const PROMISED: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
const READY: &str = "ready";
/// Shorter and longer than what a process knows may be old.
const NAPS: [Duration; 4] =
    [Duration::from_millis(1_100), Duration::from_millis(2_400), Duration::from_millis(2_700), Gate::STALE];
