//! What the database alone does, and how near publishing comes to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::engine::{Engine, Failure};
use crate::ground::Ground;
use crate::options::Options;
use crate::report::{Report, percent, rounded, whole};
use crate::speed;

/// Rows of one statement.
const BATCH: usize = 100;

pub(crate) async fn measure(options: &Options, ground: &Ground) -> Result<Report, Failure> {
    let engine = Engine::idle(ground, speed::sources(options).await?).await?;
    let publishers = options.publishers.unwrap_or(1);
    // Long enough that what is written has to reach the disk meanwhile, and is not only taken over by the system.
    let (few, many) = (options.events, options.events * 10);
    engine.pile_up(few, 1, publishers).await?;
    let singly = few as f64 / engine.pile_up(few, 1, publishers).await?.as_secs_f64();
    let alone = (few / 8) as f64 / engine.pile_up(few / 8, 1, 1).await?.as_secs_f64();
    let together = many as f64 / engine.pile_up(many, BATCH, 4).await?.as_secs_f64();

    let bare = match ground.pool().await? {
        Some(pool) => in_postgres(&pool, options, few, many).await?,
        None => in_sqlite(ground, options, few, many)?,
    };
    let title = format!("Limits of the store {}: {}", options.store, ground.settings().await?);
    let mut report = Report::new("limits", title, options);
    report.header(["", "bare rows/s", "engine events/s", "ratio"]);
    let row = |name: String, bare: f64, ours: f64| [name, whole(bare), whole(ours), percent(ours / bare)];
    report.row(row("one row per commit, one connection".to_owned(), bare.alone, alone));
    report.row(row(format!("one per call, {publishers} tasks"), bare.singly, singly));
    report.row(row(format!("{BATCH} per statement, 4 connections"), bare.together, together));
    if let Some(claims) = bare.claims {
        report.row([
            format!("claim {} rows, skip locked", 10 * BATCH),
            whole(claims),
            "-".to_owned(),
            "-".to_owned(),
        ]);
        report.field("bare_claim_rows_per_s", claims.round());
    }
    report.field("bare_single_commits_per_s", bare.alone.round());
    report.field("bare_single_rows_per_s", bare.singly.round());
    report.field("bare_batched_rows_per_s", bare.together.round());
    report.field("publish_alone_per_s", alone.round());
    report.field("publish_singly_per_s", singly.round());
    report.field("publish_singly_times_single_commits", rounded(singly / bare.alone));
    report.field("publish_batched_per_s", together.round());
    report.field("publish_batched_ratio", rounded(together / bare.together));
    Ok(report)
}

/// Rows a second without anything of ours.
struct Bare {
    alone: f64,
    singly: f64,
    together: f64,
    claims: Option<f64>,
}

const ROW: &str = "INSERT INTO bare_row (id, body) VALUES (gen_random_uuid(), $1)";
const ROWS: &str =
    "INSERT INTO bare_row (id, body) SELECT gen_random_uuid(), body FROM unnest($1::bytea[]) AS u(body)";
const CLAIM: &str = "UPDATE bare_row SET leased = true WHERE id IN \
    (SELECT id FROM bare_row WHERE NOT leased LIMIT $1 FOR UPDATE SKIP LOCKED)";

async fn in_postgres(pool: &PgPool, options: &Options, few: u64, many: u64) -> Result<Bare, Failure> {
    sqlx::query("DROP TABLE IF EXISTS bare_row").execute(pool).await?;
    sqlx::query("CREATE TABLE bare_row (id uuid PRIMARY KEY, leased boolean NOT NULL DEFAULT false, body bytea NOT NULL)")
        .execute(pool)
        .await?;
    let body = vec![b'x'; options.payload];
    let insert = |rows: u64, per_statement: usize, connections: usize| {
        let (pool, body) = (pool.clone(), body.clone());
        async move {
            let begun = Arc::new(AtomicU64::new(0));
            let started = Instant::now();
            let mut tasks = JoinSet::new();
            for _ in 0..connections {
                let (pool, body, begun) = (pool.clone(), body.clone(), Arc::clone(&begun));
                tasks.spawn(async move {
                    let mut connection = pool.acquire().await?;
                    while begun.fetch_add(per_statement as u64, Ordering::Relaxed) < rows {
                        let statement = match per_statement {
                            1 => sqlx::query(ROW).bind(body.clone()),
                            _ => sqlx::query(ROWS).bind(vec![body.clone(); per_statement]),
                        };
                        statement.execute(&mut *connection).await?;
                    }
                    Ok::<_, sqlx::Error>(())
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok::<_, Failure>(rows as f64 / started.elapsed().as_secs_f64())
        }
    };
    insert(few, BATCH, 4).await?;
    let alone = insert(few / 8, 1, 1).await?;
    let singly = insert(few, 1, 16).await?;
    let together = insert(many, BATCH, 4).await?;
    let started = Instant::now();
    let mut claimed = 0;
    while claimed < many {
        let most = i64::try_from(10 * BATCH)?;
        claimed += sqlx::query(CLAIM).bind(most).execute(pool).await?.rows_affected();
    }
    let claims = Some(claimed as f64 / started.elapsed().as_secs_f64());
    sqlx::query("DROP TABLE bare_row").execute(pool).await?;
    Ok(Bare { alone, singly, together, claims })
}

fn in_sqlite(ground: &Ground, options: &Options, few: u64, many: u64) -> Result<Bare, Failure> {
    let connection = rusqlite::Connection::open(ground.folder().join("bare.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE bare_row (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")?;
    let body = vec![b'x'; options.payload];
    let insert = |rows: u64, per_commit: u64| -> Result<f64, Failure> {
        let mut statement = connection.prepare("INSERT INTO bare_row (body) VALUES (?1)")?;
        let started = Instant::now();
        for _ in 0..rows / per_commit {
            let transaction = connection.unchecked_transaction()?;
            for _ in 0..per_commit {
                statement.execute([&body])?;
            }
            transaction.commit()?;
        }
        Ok(rows as f64 / started.elapsed().max(Duration::from_nanos(1)).as_secs_f64())
    };
    let alone = insert(few / 8, 1)?;
    // There is one writer: more of them would only wait for one another.
    Ok(Bare { alone, singly: alone, together: insert(many, BATCH as u64)?, claims: None })
}
