//! The harness itself: what is started is ended, whatever becomes of its owner.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sqlx::{Connection, PgConnection, Row};

use crate::child;
use crate::postgres::cluster::{Cluster, Durability};
use crate::postgres::family;
use crate::postgres::play::{Outcome, play};
use crate::postgres::server::{pooler, rule_with, server};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule_with("postgres::servers::the_shared_server_answers", server, |url| play(it_answers(url))),
        rule_with("postgres::servers::the_pooler_changes_connections_between_transactions", pooler, |url| {
            play(connections_change(url))
        }),
        rule_with("postgres::servers::a_killed_owner_leaves_no_server", Cluster::can_start, |()| {
            killed_owner()
        }),
        rule_with("postgres::servers::what_was_acknowledged_survives_a_crash", careful, |cluster| {
            play(async move {
                assert_eq!(rows_after(&cluster, Cluster::crash).await?, ROWS);
                Ok(())
            })
        }),
        // A crash that never loses anything would show nothing.
        rule_with("postgres::servers::a_crash_loses_what_was_acknowledged_too_early", careless, |cluster| {
            play(async move {
                assert!(rows_after(&cluster, Cluster::crash).await? < ROWS);
                Ok(())
            })
        }),
        rule_with("postgres::servers::what_was_acknowledged_survives_a_kill", killable, |cluster| {
            play(async move {
                assert_eq!(rows_after(&cluster, Cluster::kill).await?, ROWS);
                Ok(())
            })
        }),
    ]
}

async fn it_answers(url: String) -> Outcome {
    let mut connection = PgConnection::connect(&url).await?;

    let row = sqlx::query("SELECT 1 + 1").fetch_one(&mut connection).await?;

    assert_eq!(row.try_get::<i32, _>(0)?, 2);
    Ok(())
}

/// A pooler in another mode would let session state pass.
async fn connections_change(url: String) -> Outcome {
    let mut one = PgConnection::connect(&url).await?;
    let mut two = PgConnection::connect(&url).await?;
    let pid = "SELECT pg_backend_pid()";

    // While one is between transactions, two may have its connection.
    let mut first = one.begin().await?;
    let mine: i32 = sqlx::query(pid).persistent(false).fetch_one(&mut *first).await?.try_get(0)?;
    first.commit().await?;
    let mut second = two.begin().await?;
    let taken: i32 = sqlx::query(pid).persistent(false).fetch_one(&mut *second).await?.try_get(0)?;
    let mut third = one.begin().await?;
    let other: i32 = sqlx::query(pid).persistent(false).fetch_one(&mut *third).await?.try_get(0)?;

    assert_eq!(mine, taken);
    assert_ne!(other, taken);
    Ok(())
}

fn careful() -> Result<Cluster, String> {
    Cluster::start(Durability::Crash)
}

fn killable() -> Result<Cluster, String> {
    family::can_be_found()?;
    Cluster::start(Durability::Power)
}

fn careless() -> Result<Cluster, String> {
    Cluster::start(Durability::Asynchronous)
}

async fn rows_after(
    cluster: &Cluster,
    end: fn(&Cluster) -> Result<(), String>,
) -> Result<i64, Box<dyn std::error::Error>> {
    let mut connection = PgConnection::connect(&cluster.url()).await?;
    sqlx::query("CREATE TABLE acknowledged ()").execute(&mut connection).await?;
    sqlx::query("CHECKPOINT").execute(&mut connection).await?;
    for _ in 0..ROWS {
        sqlx::query("INSERT INTO acknowledged DEFAULT VALUES").execute(&mut connection).await?;
    }

    end(cluster)?;
    cluster.start_again()?;

    let mut connection = PgConnection::connect(&cluster.url()).await?;
    let rows =
        sqlx::query("SELECT count(*) FROM acknowledged").fetch_one(&mut connection).await?.try_get(0)?;
    cluster.stop()?;
    Ok(rows)
}

fn killed_owner() -> Outcome {
    let mut owner = child::command("hold_a_server")?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut folder = String::new();
    BufReader::new(owner.stdout.take().ok_or("no voice")?).read_line(&mut folder)?;
    let folder = Path::new(folder.trim());
    let id = std::fs::read_to_string(folder.join("data/postmaster.pid"))?;
    let server = Path::new("/proc").join(id.lines().next().unwrap_or_default());
    assert!(!folder.as_os_str().is_empty() && folder.exists());

    // This is `kill -9`.
    owner.kill()?;
    owner.wait()?;

    let patience = Instant::now() + Duration::from_secs(20);
    while folder.exists() || server.exists() {
        assert!(Instant::now() < patience, "{} or {} is still there", folder.display(), server.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The part of an owner that is going to be killed.
pub(crate) fn hold_a_server() -> Outcome {
    let cluster = Cluster::start(Durability::Crash)?;
    writeln!(std::io::stdout(), "{}", cluster.folder().display())?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Runs a command while a server is there; `URL` among its arguments becomes the server's.
pub(crate) fn with_server() -> Outcome {
    let cluster = Cluster::start(Durability::Crash)?;
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [program, arguments @ ..] = &arguments[..] else { return Err("give a command".into()) };
    let url = cluster.url();
    let arguments = arguments.iter().map(|argument| if argument == "URL" { &url } else { argument });
    let status = Command::new(program).args(arguments).env_remove(child::PART).status()?;
    if status.success() { Ok(()) } else { Err(format!("{program}: {status}").into()) }
}

const ROWS: i64 = 20;
