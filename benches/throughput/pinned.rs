//! What becomes of the engine while somebody holds a snapshot of the whole server: nothing that it deletes can be cleaned up then.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::time::Instant;

use crate::engine::{Engine, Failure};
use crate::ground::{Ground, Site};
use crate::latency::Latencies;
use crate::options::Options;
use crate::report::{Report, millis, whole};
use crate::speed;

/// What was seen at the end of a span of time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    arrived: u64,
    waiting: u64,
    dead_rows: u64,
    latency: (Duration, Duration),
    claim: Duration,
}

pub(crate) async fn measure(options: &Options, ground: &Ground) -> Result<Report, Failure> {
    let claims = Arc::new(Latencies::new());
    let site = ground.site().await?.timed(&claims);
    let Site::Postgres { url, schema, .. } = site.clone() else {
        return Err("a pinned snapshot is measured with --store postgres".into());
    };
    let engine = Engine::start_on(site, options, speed::sources(options).await?).await?;
    engine.flow(options.pace, Duration::from_secs(2)).await?;
    engine.forget_latencies();

    let mut holder = PgConnection::connect(&url).await?;
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1").await?;
    let mut looker = PgConnection::connect(&url).await?;
    let started = Instant::now();
    let mut flow = Box::pin(engine.flow(options.pace, options.pinned));
    let mut samples = Vec::new();
    let all = engine.sources.len();
    let mut before = engine.arrived(all);
    let every = (options.pinned / SAMPLES).max(Duration::from_secs(1));
    loop {
        let next = started + every * u32::try_from(samples.len() + 1)?;
        let is_over = tokio::select! {
            ended = &mut flow => { ended?; true }
            () = tokio::time::sleep_until(next) => false,
        };
        let arrived = engine.arrived(all);
        let (waiting, dead_rows) = look(&mut looker, &schema).await?;
        samples.push(Sample {
            at: started.elapsed(),
            arrived: arrived - before,
            waiting,
            dead_rows,
            latency: (engine.percentile(all, 500), engine.percentile(all, 990)),
            claim: Latencies::percentile([&*claims].into_iter(), 990),
        });
        before = arrived;
        engine.forget_latencies();
        claims.clear();
        if is_over {
            break;
        }
    }
    drop(flow);
    holder.close().await?;
    engine.stop().await?;

    let title =
        format!("A snapshot pinned for {:.0} s, at {} events/s", options.pinned.as_secs_f64(), options.pace);
    let mut report = Report::new("pinned", title, options);
    report.header(["after s", "arrived", "waiting", "dead rows", "p50 ms", "p99 ms", "claim p99 ms"]);
    for sample in &samples {
        report.row([
            format!("{:.0}", sample.at.as_secs_f64()),
            whole(sample.arrived as f64),
            whole(sample.waiting as f64),
            whole(sample.dead_rows as f64),
            format!("{:.2}", millis(sample.latency.0)),
            format!("{:.2}", millis(sample.latency.1)),
            format!("{:.2}", millis(sample.claim)),
        ]);
    }
    report.note(
        "waiting: rows in the outbox and in the queue at that moment; latencies are of the span before",
    );
    report.field("most_waiting", samples.iter().map(|sample| sample.waiting).max());
    report.field("arrived", samples.iter().map(|sample| sample.arrived).sum::<u64>());
    report.field("last_p99_ms", samples.last().map(|sample| millis(sample.latency.1)));
    Ok(report)
}

async fn look(looker: &mut PgConnection, schema: &str) -> Result<(u64, u64), Failure> {
    let question = format!(
        "SELECT (SELECT count(*) FROM \"{schema}\".outbox) + (SELECT count(*) FROM \"{schema}\".queue), \
         (SELECT COALESCE(sum(s.n_dead_tup), 0)::bigint FROM pg_stat_all_tables s WHERE s.schemaname = '{schema}')"
    );
    let row = looker.fetch_one(AssertSqlSafe(question)).await?;
    Ok((row.try_get::<i64, _>(0)?.unsigned_abs(), row.try_get::<i64, _>(1)?.unsigned_abs()))
}

const SAMPLES: u32 = 20;
