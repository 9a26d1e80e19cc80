//! The second table: what becomes of nine webhooks when the tenth hangs.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::{Engine, Failure, Source, Until, places};
use crate::ground::Ground;
use crate::options::Options;
use crate::receiver::{HANGS_FOR, Manner, Receiver};
use crate::report::{Report, median, millis, percent, rounded, whole};
use crate::speed::Limit;

const WEBHOOKS: usize = 10;
const HEALTHY: usize = WEBHOOKS - 1;
const MAX_IN_FLIGHT: u32 = 8;
const TENTHS: [Tenth; 3] = [Tenth::Answers, Tenth::IsSilent, Tenth::Hangs];

/// What the tenth webhook does.
#[derive(Clone, Copy, Debug)]
enum Tenth {
    Answers,
    /// It has no events at all, and so leaves its share to the others.
    IsSilent,
    Hangs,
}

/// Every measurement has an engine and a place of its own, and no two engines exist at once: what they share, such as SQLite's
/// memory for pages, would make the one slower whose turn it is after the other's.
pub(crate) async fn measure(options: &Options, ground: &Ground, limit: Limit) -> Result<Report, Failure> {
    let mut seen = Vec::new();
    for round in 0..options.hanging.1 {
        let mut of_round = [Health::default(); TENTHS.len()];
        for turn in 0..TENTHS.len() {
            // Nobody is always the first.
            let index = (round + turn) % TENTHS.len();
            of_round[index] = beside(TENTHS[index], options, ground).await?;
        }
        seen.push(of_round);
    }
    Ok(report(options, limit, &seen))
}

/// How the healthy nine do.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

async fn beside(tenth: Tenth, options: &Options, ground: &Ground) -> Result<Health, Failure> {
    let (manner, sources) = match tenth {
        Tenth::Answers => (Manner::Answers, WEBHOOKS),
        Tenth::IsSilent => (Manner::Answers, HEALTHY),
        Tenth::Hangs => (Manner::Hangs, WEBHOOKS),
    };
    let time = options.hanging.0;
    let engine = start(options, ground, manner).await?;
    watch(&engine, sources, time / 2).await?;
    let health = watch(&engine, sources, time).await?;
    // What hangs is not asked to end what it has begun.
    engine.abandon().await?;
    Ok(health)
}

async fn start(options: &Options, ground: &Ground, tenth: Manner) -> Result<Engine, Failure> {
    let mut sources = Vec::new();
    for index in 0..WEBHOOKS {
        let manner = if index < HEALTHY { Manner::Answers } else { tenth };
        sources.push(Source {
            tenant: "org_0".parse()?,
            event_type: format!("order.placed_{index}"),
            receiver: Receiver::start(manner, places(1, MAX_IN_FLIGHT)).await?,
            webhooks: 1,
            max_in_flight: MAX_IN_FLIGHT,
            publishers: 1,
            payload: options.payload,
        });
    }
    Engine::start(options, ground, sources).await
}

/// Publishes for so many of the webhooks and looks at the first nine.
async fn watch(engine: &Engine, sources: usize, time: Duration) -> Result<Health, Failure> {
    engine.forget_latencies();
    let before = engine.arrived(HEALTHY);
    let took = engine.saturate(sources, Until::Time(Instant::now() + time)).await?;
    let rate = (engine.arrived(HEALTHY) - before) as f64 / took.as_secs_f64();
    Ok(Health { rate, p50: engine.percentile(HEALTHY, 500), p99: engine.percentile(HEALTHY, 990) })
}

fn report(options: &Options, limit: Limit, rounds: &[[Health; TENTHS.len()]]) -> Report {
    let title = format!(
        "A hanging receiver: 10 webhooks in a closed loop, one of them answers after {} s; {} rounds of {:.1} s",
        HANGS_FOR.as_secs(),
        rounds.len(),
        options.hanging.0.as_secs_f64(),
    );
    let mut report = Report::new("hanging", title, options);
    report.header(["of the healthy nine", "deliveries/s", "p50 ms", "p99 ms", "rate", "p99"]);
    let middle = |of: &dyn Fn(&[Health; TENTHS.len()]) -> f64| {
        median(&rounds.iter().map(of).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    for (index, name) in ["all ten answer", "the tenth is silent", "the tenth hangs"].into_iter().enumerate()
    {
        let kept = middle(&|round| round[index].rate / round[0].rate);
        let longer = middle(&|round| round[index].p99.as_secs_f64() / round[0].p99.as_secs_f64());
        report.row([
            name.to_owned(),
            whole(middle(&|round| round[index].rate)),
            format!("{:.2}", middle(&|round| millis(round[index].p50))),
            format!("{:.2}", middle(&|round| millis(round[index].p99))),
            percent(kept),
            format!("x {longer:.2}"),
        ]);
    }
    let kept = middle(&|round| round[2].rate / round[0].rate);
    let longer = middle(&|round| round[2].p99.as_secs_f64() / round[0].p99.as_secs_f64());
    let strict = middle(&|round| round[2].rate / round[1].rate);
    let strictly_longer = middle(&|round| round[2].p99.as_secs_f64() / round[1].p99.as_secs_f64());
    report.note(format!(
        "with the tenth hanging the others keep {} of their rate at {longer:.2} times their p99",
        percent(kept),
    ));
    report.note(format!(
        "against a tenth that has no events at all, and so leaves its share to the others: {} at {strictly_longer:.2} times",
        percent(strict),
    ));
    let rate = middle(&|round| round[2].rate);
    report.field("deliveries_per_s", rate.round());
    report.field("bare_loop_per_s", limit.bare_loop_per_s.round());
    report.field("ratio", rounded(rate / limit.bare_loop_per_s));
    report.field("p50_ms", middle(&|round| millis(round[2].p50)));
    report.field("p99_ms", middle(&|round| millis(round[2].p99)));
    report.field("rate_kept", rounded(kept));
    report.field("p99_times", rounded(longer));
    report.field("rate_kept_of_nine_alone", rounded(strict));
    report.field("p99_times_of_nine_alone", rounded(strictly_longer));
    report
}
