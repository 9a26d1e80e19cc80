//! Seals the secrets of all sources anew under the present key: in steps, so that it can stop and go on anywhere.

use crate::error::{Error, Result};
use crate::inbound::context::InboundContext;
use crate::inbound::service::known::secret_place;
use crate::inbound::source::Source;
use crate::inbound::store::ResealedSecret;
use crate::ports::{Resealing, reseal};
use crate::primitives::id::SourceId;
use crate::tenancy::model::TenantId;

/// What one step has found and done.
#[derive(Debug, Default)]
pub(crate) struct SourcesResealed {
    pub(crate) looked_at: u64,
    pub(crate) current: u64,
    pub(crate) resealed: u64,
    pub(crate) overtaken: u64,
    pub(crate) failures: Vec<ResealFailure>,
    /// Behind which source the next step goes on; `None` when every source was looked at.
    pub(crate) next: Option<SourceId>,
}

/// A secret that is as it was.
#[derive(Debug)]
pub(crate) struct ResealFailure {
    pub(crate) tenant: TenantId,
    pub(crate) source: SourceId,
    pub(crate) error: Error,
}

/// One step: as many sources as one page holds.
pub(crate) async fn rewrap_step(
    context: &InboundContext,
    after: Option<SourceId>,
) -> Result<SourcesResealed> {
    let sources = context.store.all_sources(after, RECORDS).await?;
    let mut step = Step { context, done: SourcesResealed::default() };
    for source in &sources {
        // Secrets of the platform's own sources are in the host's configuration, and sealed nowhere.
        if let Some(tenant) = source.owner.tenant() {
            step.source(tenant, source).await?;
        }
    }
    step.done.next = sources.last().filter(|_| sources.len() >= RECORDS).map(|source| source.id);
    Ok(step.done)
}

struct Step<'a> {
    context: &'a InboundContext,
    done: SourcesResealed,
}

impl Step<'_> {
    /// Seals one source's secrets anew, those that need it; also those that have ended, which somebody may still look at.
    async fn source(&mut self, tenant: &TenantId, source: &Source) -> Result<()> {
        let id = source.id.to_string();
        let place = secret_place(&source.owner, &id);
        let mut anew = Vec::new();
        for secret in &source.secrets {
            self.done.looked_at += 1;
            match reseal(&*self.context.vault, place, &secret.sealed).await? {
                Resealing::Current => self.done.current += 1,
                Resealing::Anew(after) => anew.push(ResealedSecret::new(secret.sealed.clone(), after)),
                Resealing::Failed(error) => {
                    let (tenant, source) = (tenant.clone(), source.id);
                    self.done.failures.push(ResealFailure { tenant, source, error });
                }
            }
        }
        if anew.is_empty() {
            return Ok(());
        }
        let wanted = anew.len() as u64;
        let resealed = self.context.store.reseal_source(source.id, anew).await?;
        self.done.resealed += resealed;
        self.done.overtaken += wanted.saturating_sub(resealed);
        Ok(())
    }
}

/// So many sources are looked at in one step.
const RECORDS: usize = 100;
