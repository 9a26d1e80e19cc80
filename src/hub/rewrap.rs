//! Seals all secrets of all parts anew under the present key: webhooks and defaults first, then sources.

use crate::error::Result;
use crate::hub::handle::Hub;
use crate::inbound::service::rewrap::{self as sources, SourcesResealed};
use crate::primitives::id::SourceId;
use crate::webhooks::service::rewrap::{self as webhooks, RewrapCursor, RewrapFailure, Rewrapped};

impl Hub {
    /// Seals all secrets of all tenants anew that are not sealed under the present key, so that an old key can be dropped: those of
    /// webhooks, of defaults and of sources.
    ///
    /// It may run twice at once and beside everything else: whoever changes a secret meanwhile wins. An update that was read
    /// before and is saved after can bring an old seal back; so an old key is dropped when a pass, begun some seconds after the
    /// first one has ended, [finds nothing to do](Rewrapped::is_settled). How a key changes stands in
    /// [`adapters::vault`](crate::adapters::vault).
    ///
    /// Dropping the future leaves each secret sealed under the old or the new key; another call does the rest.
    ///
    /// # Errors
    /// The store's; the vault's if it cannot seal. Secrets that do not open are told in the answer instead.
    pub async fn rewrap(&self) -> Result<Rewrapped> {
        let mut all = self.rewrap_step(None).await?;
        while let Some(next) = all.next.take() {
            all = all.and_then(self.rewrap_step(Some(next)).await?);
        }
        Ok(all)
    }

    /// One step of [`Hub::rewrap`], over about 100 records, from the beginning or from where a step before has ended.
    ///
    /// Dropping the future leaves each secret sealed under the old or the new key; the same step does the rest.
    ///
    /// # Errors
    /// As [`Hub::rewrap`]; what was done until then is done, and the same step can be made again.
    pub async fn rewrap_step(&self, from: Option<RewrapCursor>) -> Result<Rewrapped> {
        if let Some(after) = from.as_ref().and_then(RewrapCursor::among_sources) {
            return self.rewrap_sources(after).await;
        }
        let mut step = webhooks::rewrap_step(&self.context, from).await?;
        step.next.get_or_insert_with(|| RewrapCursor::of_sources(None));
        Ok(step)
    }

    async fn rewrap_sources(&self, after: Option<SourceId>) -> Result<Rewrapped> {
        Ok(in_common_words(sources::rewrap_step(&self.inbound, after).await?))
    }
}

fn in_common_words(step: SourcesResealed) -> Rewrapped {
    let mut done = Rewrapped::default();
    (done.looked_at, done.current) = (step.looked_at, step.current);
    (done.resealed, done.overtaken) = (step.resealed, step.overtaken);
    done.failed = step.failures.len() as u64;
    let failures = step.failures.into_iter().take(Rewrapped::MAX_FAILURES);
    done.failures = failures
        .map(|failure| RewrapFailure {
            tenant: failure.tenant,
            webhook: None,
            source: Some(failure.source),
            kind: failure.error.kind(),
            why: failure.error.in_words(),
        })
        .collect();
    done.next = step.next.map(|source| RewrapCursor::of_sources(Some(source)));
    done
}
