//! What has changed since the gate last asked, and whether what it knows is new enough.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::api_keys::cache::{Entry, Ticket};
use crate::api_keys::gate::handle::{Gate, Inner};
use crate::api_keys::line::Limits;
use crate::api_keys::model::ApiKey;
use crate::api_keys::token::PublicId;
use crate::error::{Error, ErrorKind, Result};

impl Inner {
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().timestamp_micros()
    }

    /// How old word of changes is, in microseconds.
    #[inline]
    pub(super) fn age(&self, now: i64) -> i64 {
        now.saturating_sub(self.confirmed_at.load(Ordering::Acquire))
    }

    /// Hears what has changed; from then on, what is known here is as new as the moment at which this began.
    pub(crate) async fn confirm(&self) -> Result<()> {
        let began = self.now();
        let since = *self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.store.changed_since(since, MOST_CHANGES).await?;
        match &changed.keys {
            Some(keys) => keys.iter().for_each(|key| self.cache.distrust(*key)),
            None => self.cache.distrust_all(),
        }
        // Several may hear at once; each has heard everything since what all of them had.
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        *epoch = (*epoch).max(Some(changed.epoch));
        self.confirmed_at.fetch_max(began, Ordering::Release);
        Ok(())
    }

    /// Reads a key, and keeps it.
    pub(super) async fn fetch(&self, id: PublicId, ticket: Ticket) -> Result<Option<Arc<Entry>>> {
        let began = self.now();
        let found = self.store.find(id).await?;
        let now = self.now();
        if now.saturating_sub(began) > STALE_MICROS {
            // What was read then may be wrong by now.
            return Err(Error::new(ErrorKind::Unavailable, "find a key in time"));
        }
        Ok(match found {
            Some(key) => Some(self.keep(ticket, key, now)),
            None => {
                self.cache.keep_nobody(ticket, id, now);
                None
            }
        })
    }

    fn keep(&self, ticket: Ticket, key: Arc<ApiKey>, now: i64) -> Arc<Entry> {
        let limits = Limits {
            rate: key.rate.or(self.settings.rate),
            by_address: key.address_rate.or(self.settings.address_rate),
            max_uses: key.max_uses,
        };
        let pepper = self.peppers.slot(key.mac.pepper());
        self.cache.keep(ticket, key, pepper, limits, now)
    }
}

/// More changes than this are heard as "any key".
const MOST_CHANGES: usize = 1_000;
pub(super) const STALE_MICROS: i64 = Gate::STALE.as_micros() as i64;
