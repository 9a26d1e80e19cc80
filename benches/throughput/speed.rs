//! The first table: deliveries a second against the bare loop, latencies, allocations.

use std::time::Duration;

use crate::allocations::{Allocations, counted};
use crate::allocator;
use crate::bare::BareLoop;
use crate::cpu;
use crate::engine::{Engine, Failure, Source, Until, places};
use crate::ground::{Counters, Ground};
use crate::options::Options;
use crate::receiver::{Manner, Receiver};
use crate::report::{Report, median, millis, percent, rounded, whole};

/// What the other tables compare themselves with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) bare_loop_per_s: f64,
}

const LOW_LOAD_PER_SECOND: u32 = 50;
const REST: Duration = Duration::from_secs(1);

pub(crate) async fn measure(options: &Options, ground: &Ground) -> Result<(Report, Limit), Failure> {
    let mut engine = start(options, ground).await?;
    let all = engine.sources.len();
    let per_event = options.webhooks as u64;

    engine.saturate(all, Until::Events(options.events / 10)).await?;
    let mut bare = bare_loop(options, &engine).await?;
    bare.run(options.events / 10).await?;

    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let deliveries = options.events * per_event;
        // More requests, because they take less time each: both sides are watched for about as long.
        let requests = if options.is_durable() { 4 * deliveries } else { 2 * deliveries };
        let (limit, bare_cpu) = cpu_of(requests, bare.run(requests)).await?;
        engine.forget_latencies();
        let before = engine.site.counters().await?;
        let (took, cpu) = cpu_of(deliveries, engine.saturate(all, Until::Events(options.events))).await?;
        let rate = deliveries as f64 / took.as_secs_f64();
        let latency = (engine.percentile(all, 500), engine.percentile(all, 990));
        let cost = cost(before, engine.site.counters().await?, deliveries);
        let drained = if options.is_durable() { Some(drained(options, &mut engine).await?) } else { None };
        rounds.push(Round { limit, rate, latency, cpu: (bare_cpu, cpu), cost, drained });
    }

    let requests = options.events * per_event / 10;
    let (run, for_bare) = counted(bare.run(requests)).await;
    run?;
    let (run, for_engine) = counted(engine.saturate(all, Until::Events(options.events / 10))).await;
    run?;
    let each = |made: Allocations| {
        let per = |count: usize| count as f64 / requests as f64;
        (per(made.count), per(made.bytes))
    };

    // What is left to settle of the saturated run is not of this one.
    tokio::time::sleep(REST).await;
    engine.forget_latencies();
    engine.trickle(Duration::from_secs(1) / LOW_LOAD_PER_SECOND, options.low_load).await?;
    let quiet = (engine.percentile(all, 500), engine.percentile(all, 990));
    engine.stop().await?;
    let limits: Vec<_> = rounds.iter().map(|round| round.limit).collect();
    let limit = Limit { bare_loop_per_s: median(&limits).ok_or("there was no round")? };
    Ok((report(options, &rounds, quiet, (each(for_bare), each(for_engine))), limit))
}

/// What the bare loop alone does, for tables that are measured without the first one.
pub(crate) async fn limit(options: &Options, ground: &Ground) -> Result<Limit, Failure> {
    let engine = start(options, ground).await?;
    engine.saturate(engine.sources.len(), Until::Events(options.events / 10)).await?;
    let mut bare = bare_loop(options, &engine).await?;
    bare.run(options.events / 10).await?;
    let bare_loop_per_s = bare.run(options.events).await?;
    engine.stop().await?;
    Ok(Limit { bare_loop_per_s })
}

#[derive(Clone, Copy, Debug)]
struct Round {
    limit: f64,
    rate: f64,
    latency: (Duration, Duration),
    /// Microseconds of processor time for one request and for one delivery.
    cpu: (f64, f64),
    /// Statements and bytes of the log for one delivery.
    cost: Option<(f64, f64)>,
    /// Deliveries a second when nobody publishes, and statements for one of them.
    drained: Option<(f64, Option<(f64, f64)>)>,
}

fn cost(before: Option<Counters>, after: Option<Counters>, deliveries: u64) -> Option<(f64, f64)> {
    let (before, after) = before.zip(after)?;
    let each = |before: u64, after: u64| (after - before) as f64 / deliveries as f64;
    Some((each(before.statements, after.statements), each(before.wal_bytes, after.wal_bytes)))
}

/// How fast a backlog is delivered that nobody adds to.
async fn drained(options: &Options, engine: &mut Engine) -> Result<(f64, Option<(f64, f64)>), Failure> {
    engine.rest().await?;
    engine.pile_up(options.events, 100, 4).await?;
    let deliveries = options.events * options.webhooks as u64;
    let before = engine.site.counters().await?;
    let took = engine.drain(options, deliveries).await?;
    let cost = cost(before, engine.site.counters().await?, deliveries);
    Ok((deliveries as f64 / took.as_secs_f64(), cost))
}

/// What this answers, and how many microseconds of processor time each of so many took in the whole process.
async fn cpu_of<T>(count: u64, work: impl Future<Output = Result<T, Failure>>) -> Result<(T, f64), Failure> {
    let before = cpu::used()?;
    let answer = work.await?;
    Ok((answer, (cpu::used()? - before).as_secs_f64() * 1e6 / count as f64))
}

async fn start(options: &Options, ground: &Ground) -> Result<Engine, Failure> {
    Engine::start(options, ground, sources(options).await?).await
}

pub(crate) async fn sources(options: &Options) -> Result<Vec<Source>, Failure> {
    let max_in_flight = options.max_in_flight();
    let mut sources = Vec::new();
    for tenant in 0..options.tenants {
        let receiver = Receiver::start(Manner::Answers, places(options.webhooks, max_in_flight)).await?;
        sources.push(Source {
            tenant: format!("org_{tenant}").parse()?,
            event_type: "order.placed".to_owned(),
            receiver,
            webhooks: options.webhooks,
            max_in_flight,
            publishers: options.publishers_per_tenant(),
            payload: options.payload,
        });
    }
    Ok(sources)
}

/// A loop that repeats, byte for byte, a request of the engine, to receivers of its own.
async fn bare_loop(options: &Options, engine: &Engine) -> Result<BareLoop, Failure> {
    let request = engine.sources.first().and_then(|source| source.receiver.first());
    let mut receivers = Vec::new();
    for _ in 0..options.tenants {
        receivers.push(Receiver::start(Manner::Answers, 0).await?);
    }
    BareLoop::connect(&receivers, options.connections, request.ok_or("no request has arrived")?.clone()).await
}

/// How many and how many bytes, for each delivery.
type PerDelivery = (f64, f64);

fn report(
    options: &Options,
    rounds: &[Round],
    quiet: (Duration, Duration),
    (for_bare, for_engine): (PerDelivery, PerDelivery),
) -> Report {
    let middle = |of: fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>()).unwrap_or(0.0);
    let (limit, rate) = (middle(|round| round.limit), middle(|round| round.rate));
    let ratio = middle(|round| round.rate / round.limit);
    let busy = (middle(|round| millis(round.latency.0)), middle(|round| millis(round.latency.1)));

    let title = format!(
        "Throughput: store {}, {} bytes of data, {} connections, {} tenants x {} webhooks, {} events x {} rounds, allocator {}",
        options.store,
        options.payload,
        options.connections,
        options.tenants,
        options.webhooks,
        whole(options.events as f64),
        rounds.len(),
        allocator::NAME,
    );
    let mut report = Report::new("throughput", title, options);
    report.field("allocator", allocator::NAME);
    report.header(["", "deliveries/s", "p50 ms", "p99 ms", "cpu us", "allocations", "bytes allocated"]);
    let (dash, figure) = (|| "-".to_owned(), |value: f64| format!("{value:.2}"));
    let cpu = (middle(|round| round.cpu.0), middle(|round| round.cpu.1));
    let [rate_of_bare, allocations, bytes] = [whole(limit), figure(for_bare.0), whole(for_bare.1)];
    report.row(["bare loop".to_owned(), rate_of_bare, dash(), dash(), figure(cpu.0), allocations, bytes]);
    report.row([
        "engine, saturated".to_owned(),
        whole(rate),
        figure(busy.0),
        figure(busy.1),
        figure(cpu.1),
        figure(for_engine.0),
        whole(for_engine.1),
    ]);
    if let Some(rate) = rounds.iter().map(|round| Some(round.drained?.0)).collect::<Option<Vec<_>>>() {
        let (rate, ratio) = (
            median(&rate).unwrap_or(0.0),
            middle(|round| round.drained.map_or(0.0, |drained| drained.0) / round.limit),
        );
        report.row(["engine, a backlog".to_owned(), whole(rate), dash(), dash(), dash(), dash(), dash()]);
        report.note(format!("a backlog that nobody adds to / bare loop: {}", percent(ratio)));
        report.field("drain_per_s", rate.round());
        report.field("drain_ratio", rounded(ratio));
    }
    report.row([
        format!("engine, {LOW_LOAD_PER_SECOND}/s"),
        LOW_LOAD_PER_SECOND.to_string(),
        figure(millis(quiet.0)),
        figure(millis(quiet.1)),
        dash(),
        dash(),
        dash(),
    ]);
    let own = (for_engine.0 - for_bare.0, for_engine.1 - for_bare.1);
    let ratios: Vec<_> = rounds.iter().map(|round| percent(round.rate / round.limit)).collect();
    report.note(format!("engine / bare loop: {} (rounds: {})", percent(ratio), ratios.join(", ")));
    report.note(format!(
        "per delivery the engine itself allocates {:.1} times, {} bytes: its whole process less the bare loop's, \
         which holds the receiver and hyper's client",
        own.0,
        whole(own.1),
    ));
    report.note(format!("processor time, bare loop / engine: {}", percent(cpu.0 / cpu.1)));
    report.note(format!(
        "at most {} requests of a webhook are in flight, so that all together use as many connections as the bare loop",
        options.max_in_flight(),
    ));

    if rounds.iter().all(|round| round.cost.is_some()) {
        let statements = middle(|round| round.cost.map_or(0.0, |cost| cost.0));
        let bytes = middle(|round| round.cost.map_or(0.0, |cost| cost.1));
        let draining = middle(|round| round.drained.and_then(|drained| drained.1).map_or(0.0, |cost| cost.0));
        report.note(format!(
            "per delivery, published one by one: {statements:.3} statements, {} bytes of the write-ahead log; draining: {draining:.3} statements",
            whole(bytes),
        ));
        report.field("statements_per_delivery", rounded(statements));
        report.field("wal_bytes_per_delivery", bytes.round());
        report.field("drain_statements_per_delivery", rounded(draining));
    }
    report.field("processes", options.processes);
    report.field("deliveries_per_s", rate.round());
    report.field("bare_loop_per_s", limit.round());
    report.field("ratio", rounded(ratio));
    report.field("p50_ms", millis(quiet.0));
    report.field("p99_ms", millis(quiet.1));
    report.field("saturated_p50_ms", busy.0);
    report.field("saturated_p99_ms", busy.1);
    report.field("bare_loop_cpu_us", rounded(cpu.0));
    report.field("cpu_us", rounded(cpu.1));
    report.field("allocations_per_delivery", rounded(own.0));
    report.field("bytes_allocated_per_delivery", own.1.round());
    report
}
