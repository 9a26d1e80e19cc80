//! The stores that the world stands on.

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use crossdock::Result;
use crossdock::SystemClock;
use crossdock::activity::ActivityStore;
use crossdock::adapters::SqliteStore;
use crossdock::adapters::memory::MemoryStore;
use crossdock::ports::Clock;
use crossdock::testing::ManualClock;
use crossdock::webhooks::{DeliveryQueue, WebhookRepository};

use super::world::Ground;
use crate::postgres::{Schemas, Way};
use crate::relay::relay;

/// Which store.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Memory,
    Sqlite,
    /// On the server with this URL.
    Postgres(String),
}

impl Kind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// Plays on a store of its own, which is gone afterwards.
pub(super) fn with_ground<T>(
    kind: &Kind,
    story: impl AsyncFnOnce(Ground) -> Result<T, String>,
) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        match kind {
            Kind::Memory => story(ground(MemoryStore::new(), ManualClock::new().now())).await,
            Kind::Sqlite => {
                let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
                // Power stays on in these worlds, and the disk need not be waited for.
                let store = SqliteStore::builder(folder.path().join("hub.db")).dangerous_skip_sync().open();
                let store = store.map_err(|error| error.to_string())?;
                story(ground(store, ManualClock::new().now())).await
            }
            Kind::Postgres(url) => {
                let mut told = None;
                Schemas::lend(url.clone(), Way::Direct, async |schemas| {
                    let place = schemas.place().await?;
                    // Partitions begin today.
                    let mut ground = ground(place.store, SystemClock::new().now());
                    ground.queue = Arc::new(InTheWorldsTime { inner: ground.queue });
                    told = Some(story(ground).await);
                    Ok(())
                })
                .await
                .map_err(|error| error.to_string())?;
                told.unwrap_or_else(|| Err("the story was not told".to_owned()))
            }
        }
    })
}

fn ground<S>(store: S, begin: DateTime<Utc>) -> Ground
where
    S: DeliveryQueue + WebhookRepository + ActivityStore,
{
    let store = Arc::new(store);
    Ground { queue: store.clone(), records: store.clone(), log: store, begin }
}

/// A server has a clock of its own, by which workers would set theirs.
#[derive(Debug)]
struct InTheWorldsTime {
    inner: Arc<dyn DeliveryQueue>,
}

impl InTheWorldsTime {
    async fn around<T>(
        &self,
        _step: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        call.await
    }
}

relay! { DeliveryQueue for InTheWorldsTime: publish outbox fan_out settle expire advance_replays tidy examine;
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        let now = request.now;
        let mut claimed = self.inner.claim(request).await?;
        claimed.now = now;
        Ok(claimed)
    }
}
