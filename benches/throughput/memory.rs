//! The third table: whether memory grows with the number of deliveries.

use std::time::Duration;

use crate::engine::{Engine, Failure, Source, Until, places};
use crate::ground::Ground;
use crate::options::Options;
use crate::receiver::{Manner, Receiver};
use crate::report::{Report, percent, rounded, whole};
use crate::speed::Limit;

const MAX_IN_FLIGHT: u32 = 32;

/// What is known when all deliveries are made; the limit is measured later, in a process whose memory may then grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    kib: [u64; 2],
    rate: f64,
    latency: [f64; 2],
}

pub(crate) async fn measure(options: &Options, ground: &Ground) -> Result<Footprint, Failure> {
    let source = Source {
        tenant: "org_0".parse()?,
        event_type: "order.placed".to_owned(),
        receiver: Receiver::start(Manner::Answers, places(1, MAX_IN_FLIGHT)).await?,
        webhooks: 1,
        max_in_flight: MAX_IN_FLIGHT,
        publishers: 1,
        payload: options.payload,
    };
    let engine = Engine::start(options, ground, vec![source]).await?;
    let (first, last) = options.memory;
    engine.saturate(1, Until::Events(first)).await?;
    let early = resident_kib()?;
    engine.forget_latencies();
    let took: Duration = engine.saturate(1, Until::Events(last - first)).await?;
    let late = resident_kib()?;
    let latency = [500, 990].map(|per_thousand| crate::report::millis(engine.percentile(1, per_thousand)));
    engine.stop().await?;
    Ok(Footprint { kib: [early, late], rate: (last - first) as f64 / took.as_secs_f64(), latency })
}

impl Footprint {
    pub(crate) fn report(&self, options: &Options, limit: Limit) -> Report {
        let (first, last) = options.memory;
        let growth = self.kib[1] as f64 / self.kib[0] as f64 - 1.0;
        let title = format!("Memory: one webhook, history of {} deliveries", whole(options.history as f64));
        let mut report = Report::new("memory", title, options);
        report.header(["after deliveries", "resident MiB", "growth"]);
        let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
        report.row([whole(first as f64), mib(self.kib[0]), String::new()]);
        report.row([whole(last as f64), mib(self.kib[1]), percent(growth)]);
        report.field("deliveries_per_s", self.rate.round());
        report.field("bare_loop_per_s", limit.bare_loop_per_s.round());
        report.field("ratio", rounded(self.rate / limit.bare_loop_per_s));
        report.field("p50_ms", self.latency[0]);
        report.field("p99_ms", self.latency[1]);
        report.field("deliveries", vec![first, last]);
        report.field("resident_kib", self.kib.to_vec());
        report.field("growth", rounded(growth));
        report
    }
}

/// What the kernel says this process holds in memory.
fn resident_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?.parse()?)
}
