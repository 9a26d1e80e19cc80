//! A store that can be taken away and brought back.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossdock::adapters::memory::MemoryStore;
use crossdock::{Error, ErrorKind, Result};

use crate::relay::relay;

/// A clone is the same store.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShakyStore {
    inner: MemoryStore,
    away: Arc<AtomicBool>,
}

impl ShakyStore {
    pub(crate) fn go_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    pub(crate) fn come_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    async fn around<T>(&self, step: &'static str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, step)),
            false => call.await,
        }
    }
}

relay! { WebhookRepository for ShakyStore }
relay! { DeliveryQueue for ShakyStore }
relay! { ActivityStore for ShakyStore }
