//! Stores with one known defect each, which the enumeration must find.

use std::future::Future;
use std::sync::Arc;

use crossdock::Result;
use crossdock::webhooks::DeliveryQueue;

use crate::relay::relay;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flaw {
    None,
    /// It takes every result, whoever holds the lease by now.
    NoFencing,
    /// It says that it has published, although nothing answered.
    Swallows,
    /// It takes events off the outbox before it makes their deliveries, and is cut off in between when it fails.
    Halves,
}

impl Flaw {
    /// One process's way to the store, with what is wrong: `way` may fail, `store` does not.
    pub(super) fn bend(
        self,
        way: Arc<dyn DeliveryQueue>,
        store: &Arc<dyn DeliveryQueue>,
    ) -> Arc<dyn DeliveryQueue> {
        match self {
            Self::Swallows | Self::Halves => {
                Arc::new(Bad { inner: way, store: Arc::clone(store), flaw: self })
            }
            Self::None | Self::NoFencing => way,
        }
    }
}

#[derive(Debug)]
struct Bad {
    inner: Arc<dyn DeliveryQueue>,
    store: Arc<dyn DeliveryQueue>,
    flaw: Flaw,
}

impl Bad {
    async fn around<T>(
        &self,
        _step: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        call.await
    }
}

relay! { DeliveryQueue for Bad: outbox claim settle expire advance_replays tidy examine;
    async fn publish(
        &self,
        publications: Vec<Publication>,
        keys: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Published>> {
        let ids: Vec<_> = publications.iter().map(|one| one.event.head.id).collect();
        match self.inner.publish(publications, keys, now).await {
            Err(_) if self.flaw == Flaw::Swallows => {
                Ok(ids.into_iter().map(|event| Published::new(event, true)).collect())
            }
            answer => answer,
        }
    }

    async fn fan_out(&self, mut entries: Vec<(Sequence, FanOut)>, now: DateTime<Utc>) -> Result<usize> {
        let answer = self.inner.fan_out(entries.clone(), now).await;
        if answer.is_err() && self.flaw == Flaw::Halves {
            entries.iter_mut().for_each(|(_, wanted)| wanted.deliveries.truncate(2));
            self.store.fan_out(entries, now).await?;
        }
        answer
    }
}
