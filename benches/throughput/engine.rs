//! What is measured: a hub on a store, with the real transport, from publishing to arrival.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossdock::Hub;
use crossdock::adapters::http_client::HttpTransport;
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::primitives::EgressPolicy;
use crossdock::tenancy::{Actor, TenantId};
use crossdock::webhooks::NewWebhook;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, timeout_at};

use crate::ground::{Ground, Site};
use crate::latency::Latencies;
use crate::options::Options;
use crate::process::Process;
use crate::receiver::{Receiver, stamp};

/// A hub whose worker runs, and where its events come from.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) site: Site,
    hub: Hub,
    pub(crate) sources: Vec<Source>,
    working: Option<Working>,
}

/// What delivers.
#[derive(Debug)]
struct Working {
    stop: oneshot::Sender<()>,
    worker: JoinHandle<()>,
    others: Vec<Process>,
}

/// Events of one type for one tenant, which all go to one receiver.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) tenant: TenantId,
    pub(crate) event_type: String,
    pub(crate) receiver: Arc<Receiver>,
    /// How many webhooks hear of each event.
    pub(crate) webhooks: usize,
    pub(crate) max_in_flight: u32,
    /// How many tasks publish its events.
    pub(crate) publishers: usize,
    /// How many bytes of data each event has.
    pub(crate) payload: usize,
}

/// When publishers stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Events(u64),
    Time(Instant),
}

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

impl Engine {
    pub(crate) async fn start(
        options: &Options,
        ground: &Ground,
        sources: Vec<Source>,
    ) -> Result<Self, Failure> {
        let mut engine = Self::idle(ground, sources).await?;
        engine.work(options).await?;
        Ok(engine)
    }

    /// The same on a place that is there already.
    pub(crate) async fn start_on(
        site: Site,
        options: &Options,
        sources: Vec<Source>,
    ) -> Result<Self, Failure> {
        let mut engine = Self::idle_on(site, sources).await?;
        engine.work(options).await?;
        Ok(engine)
    }

    /// One that does not deliver yet.
    pub(crate) async fn idle(ground: &Ground, sources: Vec<Source>) -> Result<Self, Failure> {
        Self::idle_on(ground.site().await?, sources).await
    }

    async fn idle_on(site: Site, sources: Vec<Source>) -> Result<Self, Failure> {
        let types: BTreeSet<_> = sources.iter().map(|source| source.event_type.clone()).collect();
        let hub = hub(&site, types).await?;
        for source in &sources {
            let admin = hub.admin(Actor::org_admin(source.tenant.clone(), "bench"));
            for index in 0..source.webhooks {
                let url = format!("http://{}/hooks/{index}", source.receiver.address);
                let webhook = NewWebhook::to(url)
                    .events([source.event_type.as_str()])
                    .max_in_flight(source.max_in_flight);
                admin.webhooks().create(webhook).await?;
            }
        }
        Ok(Self { site, hub, sources, working: None })
    }

    /// Begins to deliver.
    pub(crate) async fn work(&mut self, options: &Options) -> Result<(), Failure> {
        let (stop, stopped) = oneshot::channel();
        let mut worker = self.hub.worker();
        if let Some(runners) = options.runners {
            worker = worker.runners(runners);
        }
        let worker = tokio::spawn(async move {
            // Either way it ends: told to, or dropped.
            let stopped = async { stopped.await.unwrap_or(()) };
            worker.run_until(stopped).await;
        });
        let mut others = Vec::new();
        for _ in 1..options.processes {
            let types = self.sources.iter().map(|source| source.event_type.clone()).collect();
            others.push(Process::start(&self.site, types).await?);
        }
        self.working = Some(Working { stop, worker, others });
        Ok(())
    }

    /// Ends delivering; what is under way is finished.
    pub(crate) async fn rest(&mut self) -> Result<(), Failure> {
        let Some(working) = self.working.take() else { return Ok(()) };
        for other in working.others {
            other.stop().await?;
        }
        // A worker that has ended already needs not be told.
        let _ = working.stop.send(());
        Ok(working.worker.await?)
    }

    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.rest().await
    }

    /// Ends at once, whatever is under way.
    pub(crate) async fn abandon(mut self) -> Result<(), Failure> {
        if let Some(working) = self.working.take() {
            working.worker.abort();
            // Whether it was aborted or had ended by itself is all the same.
            let _ = working.worker.await;
            for other in working.others {
                other.kill().await?;
            }
        }
        Ok(())
    }

    /// Publishes so many events, in calls of this size and as many at once as there are tasks; answers how long that took.
    pub(crate) async fn pile_up(
        &self,
        events: u64,
        per_call: usize,
        tasks: usize,
    ) -> Result<Duration, Failure> {
        let begun = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut publishers = JoinSet::new();
        for task in 0..tasks {
            let (hub, begun) = (self.hub.clone(), Arc::clone(&begun));
            // Each task for all of them in turn: however few tasks there are, every webhook has its share of the backlog.
            let mut sources = self.sources.clone().into_iter().cycle().skip(task);
            publishers.spawn(async move {
                while begun.fetch_add(per_call as u64, Ordering::Relaxed) < events {
                    let source = sources.next().ok_or("there is no source")?;
                    if per_call == 1 {
                        hub.publish(source.event()?).await?;
                    } else {
                        let batch = (0..per_call).map(|_| source.event()).collect::<Result<Vec<_>, _>>()?;
                        hub.publish_many(batch).await?;
                    }
                }
                Ok::<_, Failure>(())
            });
        }
        while let Some(ended) = publishers.join_next().await {
            ended??;
        }
        Ok(started.elapsed())
    }

    /// Begins to deliver what has piled up, and waits until so much of it has arrived.
    pub(crate) async fn drain(&mut self, options: &Options, deliveries: u64) -> Result<Duration, Failure> {
        let all = self.sources.len();
        let before = self.arrived(all);
        let arrived: Vec<_> =
            self.sources.iter().map(|source| source.receiver.arrived.load(Ordering::Relaxed)).collect();
        let started = Instant::now();
        self.work(options).await?;
        while self.arrived(all) < before + deliveries {
            if started.elapsed() > PATIENCE {
                return Err(
                    format!("only {} of {deliveries} have arrived", self.arrived(all) - before).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = started.elapsed();
        // Nobody has taken a place for what had piled up.
        for (source, before) in self.sources.iter().zip(arrived) {
            let given = source.receiver.arrived.load(Ordering::Relaxed) - before;
            source.receiver.places.forget_permits(usize::try_from(given)?);
        }
        Ok(took)
    }

    /// Publishes for each of the first sources as fast as its receiver takes what is there (a closed loop), and then
    /// waits until all has arrived. Answers how long that took.
    pub(crate) async fn saturate(&self, sources: usize, until: Until) -> Result<Duration, Failure> {
        let begun = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut publishers = JoinSet::new();
        for source in &self.sources[..sources] {
            for _ in 0..source.publishers {
                publishers.spawn(publish(self.hub.clone(), source.clone(), Arc::clone(&begun), until));
            }
        }
        while let Some(ended) = publishers.join_next().await {
            ended??;
        }
        Ok(started.elapsed())
    }

    /// Publishes one event of each source in turn at this pace.
    pub(crate) async fn trickle(&self, pace: Duration, time: Duration) -> Result<(), Failure> {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let started = Instant::now();
        for source in self.sources.iter().cycle() {
            ticks.tick().await;
            if started.elapsed() >= time {
                break;
            }
            source.receiver.places.acquire_many(u32::try_from(source.webhooks)?).await?.forget();
            self.hub.publish(source.event()?).await?;
        }
        for source in &self.sources {
            source.all_arrived().await?;
        }
        Ok(())
    }

    /// Publishes so many events a second, whatever becomes of them, and waits until all have arrived.
    pub(crate) async fn flow(&self, per_second: u32, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        let tasks = u32::try_from(self.sources.len())?;
        let mut publishers = JoinSet::new();
        for (number, source) in (0..tasks).zip(&self.sources) {
            let (hub, source) = (self.hub.clone(), source.clone());
            publishers.spawn(async move {
                let pace = Duration::from_secs(1) * tasks / per_second;
                let mut ticks = tokio::time::interval_at(Instant::now() + pace * number / tasks, pace);
                let share = u32::try_from(source.webhooks)?;
                let mut published = 0;
                while Instant::now() < end {
                    ticks.tick().await;
                    hub.publish(source.event()?).await?;
                    published += share;
                }
                // Each arrival has given a place; whoever publishes in a closed loop later finds as many as before.
                source.receiver.places.acquire_many(published).await?.forget();
                Ok::<_, Failure>(())
            });
        }
        while let Some(ended) = publishers.join_next().await {
            ended??;
        }
        for source in &self.sources {
            source.all_arrived().await?;
        }
        Ok(())
    }

    pub(crate) fn admin(&self, source: &Source) -> crossdock::hub::Admin {
        self.hub.admin(Actor::org_admin(source.tenant.clone(), "bench"))
    }

    pub(crate) fn arrived(&self, sources: usize) -> u64 {
        let receivers = self.sources[..sources].iter().map(|source| &source.receiver);
        receivers.map(|receiver| receiver.arrived.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn forget_latencies(&self) {
        for source in &self.sources {
            source.receiver.latencies.clear();
        }
    }

    pub(crate) fn percentile(&self, sources: usize, per_thousand: u64) -> Duration {
        let all = self.sources[..sources].iter().map(|source| &source.receiver.latencies);
        Latencies::percentile(all, per_thousand)
    }
}

impl Source {
    fn event(&self) -> Result<NewEvent, Failure> {
        // Once for the process, so that the host's own work is not measured.
        static NOTE: OnceLock<String> = OnceLock::new();
        let note = NOTE.get_or_init(|| "lorem ipsum ".repeat(MOST_NOTE / 12));
        let length = self.payload.saturating_sub(WITHOUT_NOTE).min(note.len());
        let data = Data { published: &stamp(), order: "A-70023", note: &note[..length] };
        Ok(NewEvent::new(self.tenant.clone(), self.event_type.as_str(), &data)?)
    }

    async fn all_arrived(&self) -> Result<(), Failure> {
        let all = u32::try_from(self.places())?;
        drop(self.receiver.places.acquire_many(all).await?);
        Ok(())
    }

    /// How many deliveries may be under way, so that there is always something to claim.
    pub(crate) fn places(&self) -> usize {
        places(self.webhooks, self.max_in_flight)
    }
}

/// A hub on this place that sends to loopback.
pub(crate) async fn hub(site: &Site, types: BTreeSet<String>) -> Result<Hub, Failure> {
    let policy = EgressPolicy::default().dangerous_allow_http().allow_networks(["127.0.0.0/8".parse()?]);
    let transport =
        HttpTransport::builder().policy(policy.clone()).idle_per_origin(IDLE_PER_ORIGIN).build()?;
    let catalog = EventCatalog::new().with_all(types.into_iter().map(EventTypeSpec::new));
    Ok(site.hub().await?.events(catalog).egress(policy).transport(transport).build()?)
}

/// Three times what may be in flight: while one third is sent, one waits, and one is being published.
pub(crate) fn places(webhooks: usize, max_in_flight: u32) -> usize {
    3 * webhooks * max_in_flight as usize
}

async fn publish(hub: Hub, source: Source, begun: Arc<AtomicU64>, until: Until) -> Result<(), Failure> {
    let share = u32::try_from(source.webhooks)?;
    loop {
        let place = source.receiver.places.acquire_many(share);
        let place = match until {
            Until::Events(events) => {
                let place = place.await?;
                if begun.fetch_add(1, Ordering::Relaxed) >= events {
                    drop(place);
                    return source.all_arrived().await;
                }
                place
            }
            Until::Time(end) => match timeout_at(end, place).await {
                Ok(place) if Instant::now() < end => place?,
                // What hangs is not waited for.
                _ => return Ok(()),
            },
        };
        place.forget();
        hub.publish(source.event()?).await?;
    }
}

/// What an event says: when it was published, and as much text as the wanted size asks for.
#[derive(Serialize)]
struct Data<'a> {
    published: &'a str,
    order: &'static str,
    note: &'a str,
}

/// As many as a durable store's webhook has in flight here, so that no connection is opened and closed for a single request.
const IDLE_PER_ORIGIN: usize = 64;
/// Longer than any backlog should take.
const PATIENCE: Duration = Duration::from_secs(600);
/// What the data is long besides its note.
const WITHOUT_NOTE: usize = r#"{"published":"00000000000000000000","order":"A-70023","note":""}"#.len();
/// The catalogue's limit for payloads, 256 KiB.
const MOST_NOTE: usize = 256 * 1024;
