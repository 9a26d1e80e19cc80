//! What is measured: a hub on a store, with the real transport, from publishing to arrival.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossdock::Hub;
use crossdock::adapters::http_client::HttpTransport;
use crossdock::adapters::memory::MemoryStore;
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::primitives::EgressPolicy;
use crossdock::tenancy::{Actor, TenantId};
use crossdock::webhooks::NewWebhook;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, timeout_at};

use crate::latency::Latencies;
use crate::options::{Options, Store};
use crate::receiver::{Receiver, stamp};

/// A hub whose worker runs, and where its events come from.
#[derive(Debug)]
pub(crate) struct Engine {
    hub: Hub,
    pub(crate) sources: Vec<Source>,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<()>,
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
    pub(crate) async fn start(options: &Options, sources: Vec<Source>) -> Result<Self, Failure> {
        let policy = EgressPolicy::default().dangerous_allow_http().allow_networks(["127.0.0.0/8".parse()?]);
        let transport = HttpTransport::new(policy.clone())?;
        let types: BTreeSet<_> = sources.iter().map(|source| source.event_type.as_str()).collect();
        let builder = Hub::builder()
            .events(EventCatalog::new().with_all(types.into_iter().map(EventTypeSpec::new)))
            .egress(policy)
            .transport(transport);
        let hub = match options.store {
            Store::Memory => builder.store(MemoryStore::builder().history(options.history).build()),
        }
        .build()?;
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
        let (stop, stopped) = oneshot::channel();
        let mut worker = hub.worker();
        if let Some(runners) = options.runners {
            worker = worker.runners(runners);
        }
        let worker = tokio::spawn(async move {
            // Either way it ends: told to, or dropped.
            let stopped = async { stopped.await.unwrap_or(()) };
            worker.run_until(stopped).await;
        });
        Ok(Self { hub, sources, stop, worker })
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        // A worker that has ended already needs not be told.
        let _ = self.stop.send(());
        Ok(self.worker.await?)
    }

    /// Publishes for each of the first sources as fast as its receiver takes what is there (a closed loop), and then
    /// waits until all has arrived. Answers how long that took.
    pub(crate) async fn saturate(&self, sources: usize, until: Until) -> Result<Duration, Failure> {
        let begun = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut publishers = JoinSet::new();
        for source in &self.sources[..sources] {
            publishers.spawn(publish(self.hub.clone(), source.clone(), Arc::clone(&begun), until));
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

/// What the data is long besides its note.
const WITHOUT_NOTE: usize = r#"{"published":"00000000000000000000","order":"A-70023","note":""}"#.len();
/// The catalogue's limit for payloads, 256 KiB.
const MOST_NOTE: usize = 256 * 1024;
