//! Whether history makes a database slower: the same load on an empty place and on one with millions of deliveries, in turn.

use std::sync::Arc;
use std::time::Duration;

use crossdock::webhooks::{DeliveryQuery, StatusKind};
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tokio::time::Instant;

use crate::engine::{Engine, Failure};
use crate::ground::{Ground, Site};
use crate::latency::Latencies;
use crate::options::Options;
use crate::report::{Report, millis, percent, rounded, whole};
use crate::speed;

/// One place, and how long what is asked of it takes.
#[derive(Debug)]
struct Place {
    engine: Engine,
    claims: Arc<Latencies>,
    listings: Vec<(&'static str, Latencies)>,
}

pub(crate) async fn measure(options: &Options, ground: &Ground) -> Result<Report, Failure> {
    let empty = Place::start(options, ground).await?;
    let aged = Place::start(options, ground).await?;
    for place in [&empty, &aged] {
        // A few of its own, from which the others are copied; and caches are warm.
        place.flow(options.pace, Duration::from_secs(2)).await?;
    }
    let Site::Postgres { url, schema, .. } = &aged.engine.site else {
        return Err("history is measured with --store postgres".into());
    };
    let filled = fill(url, schema, options.rows).await?;
    for place in [&empty, &aged] {
        place.flow(options.pace, Duration::from_secs(2)).await?;
        place.forget();
    }
    for _ in 0..options.rounds {
        for place in [&empty, &aged] {
            place.flow(options.pace, ROUND).await?;
            place.list().await?;
        }
    }

    let title = format!(
        "History: {} deliveries of history (written in {:.0} s) beside none, at {} events/s, {} rounds of {:.0} s",
        whole(options.rows as f64),
        filled.as_secs_f64(),
        options.pace,
        options.rounds,
        ROUND.as_secs_f64(),
    );
    let mut report = Report::new("history", title, options);
    report.header(["", "empty p50 ms", "p99 ms", "full p50 ms", "p99 ms", "p99, full / empty"]);
    report.field("rows", options.rows);
    let rows = [("claim", &*empty.claims, &*aged.claims)];
    let listings = empty.listings.iter().zip(&aged.listings);
    let rows = rows.into_iter().chain(listings.map(|((name, empty), (_, aged))| (*name, empty, aged)));
    for (name, empty, aged) in rows {
        let of = |all: &Latencies, per_thousand| Latencies::percentile([all].into_iter(), per_thousand);
        let [empty_p50, empty_p99] = [500, 990].map(|rank| of(empty, rank));
        let [aged_p50, aged_p99] = [500, 990].map(|rank| of(aged, rank));
        let ratio = aged_p99.as_secs_f64() / empty_p99.as_secs_f64();
        report.row([
            name.to_owned(),
            format!("{:.2}", millis(empty_p50)),
            format!("{:.2}", millis(empty_p99)),
            format!("{:.2}", millis(aged_p50)),
            format!("{:.2}", millis(aged_p99)),
            percent(ratio),
        ]);
        report.field(&format!("{} p99 ratio", name), rounded(ratio));
    }
    empty.engine.stop().await?;
    aged.engine.stop().await?;
    Ok(report)
}

impl Place {
    async fn start(options: &Options, ground: &Ground) -> Result<Self, Failure> {
        let claims = Arc::new(Latencies::new());
        let site = ground.site().await?.timed(&claims);
        let engine = Engine::start_on(site, options, speed::sources(options).await?).await?;
        let listings = LISTINGS.map(|name| (name, Latencies::new())).into();
        Ok(Self { engine, claims, listings })
    }

    async fn flow(&self, pace: u32, time: Duration) -> Result<(), Failure> {
        self.engine.flow(pace, time).await
    }

    fn forget(&self) {
        self.claims.clear();
        for (_, latencies) in &self.listings {
            latencies.clear();
        }
    }

    /// What an administrator's page asks for.
    async fn list(&self) -> Result<(), Failure> {
        for _ in 0..LISTED {
            for source in self.engine.sources.iter().take(4) {
                let admin = self.engine.admin(source);
                let newest = admin.deliveries().list(DeliveryQuery::new()).await?;
                let webhook = newest.items.first().ok_or("nothing is listed")?.delivery.webhook;
                let queries = [
                    DeliveryQuery::new(),
                    DeliveryQuery::new().webhook(webhook),
                    DeliveryQuery::new().webhook(webhook).statuses([StatusKind::DeadLetter]),
                ];
                for ((_, latencies), query) in self.listings.iter().zip(queries) {
                    let started = Instant::now();
                    admin.deliveries().list(query).await?;
                    latencies.record(u64::try_from(started.elapsed().as_nanos())?);
                }
            }
        }
        Ok(())
    }
}

/// Copies what has been delivered, under ids of the hour before.
async fn fill(url: &str, schema: &str, rows: u64) -> Result<Duration, Failure> {
    let pool = PgPool::connect(url).await?;
    let mut connection = pool.acquire().await?;
    let started = Instant::now();
    connection.execute(AssertSqlSafe(format!("SET search_path = \"{schema}\""))).await?;
    connection
        .execute(
            "CREATE TEMP TABLE sample AS SELECT row_number() OVER () AS n, d.id AS delivery, d.event_id AS event,
               (SELECT a.id FROM attempt a WHERE a.delivery_id = d.id LIMIT 1) AS attempt
             FROM delivery d WHERE d.kind = 1 AND EXISTS (SELECT 1 FROM attempt a WHERE a.delivery_id = d.id) LIMIT 1000;
             CREATE FUNCTION pg_temp.id(kind text, n bigint, at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
               SELECT (left(first_id(at)::text, 14) || '7' || substr(h, 1, 3) || '-8' || substr(h, 4, 3) || '-' || substr(h, 7, 12))::uuid
               FROM md5(kind || n) h $$;",
        )
        .await?;
    let mut made = 0;
    while made < rows {
        let last = rows.min(made + BATCH);
        let numbers = format!(
            "DROP TABLE IF EXISTS batch;
             CREATE TEMP TABLE batch AS SELECT pg_temp.id('event', g, at) AS event, pg_temp.id('delivery', g, at) AS delivery,
               pg_temp.id('attempt', g, at) AS attempt, s.event AS old_event, s.delivery AS old_delivery, s.attempt AS old_attempt
             FROM (SELECT g, now() - interval '1 hour' * ({rows} - g) / {rows} - interval '1 minute' AS at
               FROM generate_series({first}, {last}) g) g
             JOIN sample s ON s.n = 1 + g % (SELECT count(*) FROM sample);
             ANALYZE batch;",
            first = made + 1,
        );
        connection.execute(AssertSqlSafe(numbers)).await?;
        connection.execute(COPIES).await?;
        made = last;
    }
    // As the server itself does after so many new rows.
    connection.execute("VACUUM ANALYZE event, payload, delivery, attempt").await?;
    connection.execute("CHECKPOINT").await?;
    Ok(started.elapsed())
}

const COPIES: &str = "
    INSERT INTO event (id, tenant_id, event_type, published_at, subject, head)
      SELECT x.event, e.tenant_id, e.event_type, e.published_at, e.subject, e.head FROM batch x JOIN event e ON e.id = x.old_event;
    INSERT INTO payload (event_id, tenant_id, body)
      SELECT x.event, p.tenant_id, p.body FROM batch x JOIN payload p ON p.event_id = x.old_event;
    INSERT INTO delivery (id, tenant_id, webhook_id, event_id, event_type, kind, status, origin, attempts, created_at, updated_at,
        next_attempt_at, last_status, last_error)
      SELECT x.delivery, d.tenant_id, d.webhook_id, x.event, d.event_type, d.kind, d.status, d.origin, d.attempts, d.created_at,
        d.updated_at, d.next_attempt_at, d.last_status, d.last_error FROM batch x JOIN delivery d ON d.id = x.old_delivery;
    INSERT INTO attempt (id, tenant_id, delivery_id, started_at, fenced, is_last, record, contents)
      SELECT x.attempt, a.tenant_id, x.delivery, a.started_at, a.fenced, a.is_last, a.record, a.contents
      FROM batch x JOIN attempt a ON a.id = x.old_attempt;";
const LISTINGS: [&str; 3] =
    ["list the newest 50", "list the newest 50 of a webhook", "list the dead letters of a webhook"];
const ROUND: Duration = Duration::from_secs(10);
/// So often each listing is asked for in a round, for each of four tenants.
const LISTED: usize = 100;
const BATCH: u64 = 50_000;
