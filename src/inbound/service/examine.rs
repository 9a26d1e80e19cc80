//! How sources and what was received stand, for an operator.

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::inbound::context::InboundContext;
use crate::inbound::scheme::model::Check;
use crate::inbound::scheme::reception::Handshake;
use crate::inbound::source::{Owner, Source, SourceState};
use crate::inbound::store::InboundExamination;

/// What was found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct InboundState {
    pub(crate) received: InboundExamination,
    /// How many sources take what no route handles.
    pub(crate) unhandled: u64,
    /// How many sources have no secret that is valid.
    pub(crate) without_secret: u64,
}

pub(crate) async fn examine(context: &InboundContext, now: DateTime<Utc>) -> Result<InboundState> {
    let received = context.store.examine_received(now).await?;
    let mut state = InboundState { received, ..InboundState::default() };
    for (name, declared) in &context.platform {
        let stored = context.store.platform_source(name).await?;
        let is_active = stored.map_or(declared.state, |stored| stored.state) == SourceState::Active;
        state.unhandled += u64::from(is_active && !context.router.handles(name));
    }
    let mut after = None;
    for _ in 0..MOST_STEPS {
        let sources = context.store.all_sources(after, STEP).await?;
        let active =
            |source: &&Source| source.state == SourceState::Active && source.owner != Owner::Platform;
        for source in sources.iter().map(|source| &**source).filter(active) {
            state.unhandled += u64::from(!context.router.handles(&source.name));
            state.without_secret += u64::from(needs_secret(source) && !has_secret(source, now));
        }
        after = sources.last().filter(|_| sources.len() == STEP).map(|source| source.id);
        if after.is_none() {
            break;
        }
    }
    Ok(state)
}

fn has_secret(source: &Source, now: DateTime<Utc>) -> bool {
    source.secrets.iter().any(|secret| secret.is_live(now))
}

/// Where a sender brings the secret, there is none before; and what is code may need none.
fn needs_secret(source: &Source) -> bool {
    let brings = |handshake: &Handshake| matches!(handshake, Handshake::HeaderEcho { .. });
    matches!(source.scheme.check, Check::Signature(_))
        && !source.scheme.reception.handshakes.iter().any(brings)
}

/// So many sources are looked at together, and so many times: a doctor is asked every few seconds.
const STEP: usize = 100;
const MOST_STEPS: usize = 5;
