//! Sources with their secrets opened: opening takes longer than verifying, so they are kept for a few seconds.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderName;

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inbound::context::InboundContext;
use crate::inbound::prepared::PreparedScheme;
use crate::inbound::request::SourceSecret;
use crate::inbound::scheme::Scheme;
use crate::inbound::service::keep::kept_headers;
use crate::inbound::service::platform::PlatformSource;
use crate::inbound::source::{Owner, Source, SourceName, SourceState};
use crate::ports::SealPlace;
use crate::primitives::id::SourceId;
use crate::primitives::version::Version;

/// What a source is, ready to receive.
pub(crate) struct ReadySource {
    pub(crate) id: SourceId,
    pub(crate) owner: Owner,
    pub(crate) name: SourceName,
    pub(crate) state: SourceState,
    pub(crate) public_url: Option<String>,
    pub(crate) scheme: Scheme,
    /// What is wrong with it, if it cannot verify.
    pub(crate) prepared: Result<PreparedScheme, Vec<Problem>>,
    /// Which headers are kept with what it sends.
    pub(super) keeps: Vec<(HeaderName, Arc<str>)>,
    version: Version,
}

/// Sources that were asked for lately.
#[derive(Default)]
pub(crate) struct KnownSources(Mutex<ByPlace>);

/// Each with the time at which it was looked at last. By the text that requests have: what is known already is not parsed again.
type ByPlace = HashMap<Box<str>, (DateTime<Utc>, Arc<ReadySource>)>;

/// Another process's change is seen within this time.
const FRESH_FOR: TimeDelta = TimeDelta::seconds(5);
/// No more than this are kept; beyond that, all are forgotten.
const MOST: usize = 10_000;

impl KnownSources {
    /// Forgets one that was changed here.
    pub(crate) fn forget(&self, id: SourceId) {
        self.lock().retain(|_, (_, source)| source.id != id);
    }

    fn find(&self, place: &str) -> Option<(DateTime<Utc>, Arc<ReadySource>)> {
        self.lock().get(place).cloned()
    }

    fn keep(&self, place: &str, now: DateTime<Utc>, source: &Arc<ReadySource>) {
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(place.into(), (now, Arc::clone(source)));
    }

    fn lock(&self) -> MutexGuard<'_, ByPlace> {
        // A panic leaves a map that is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InboundContext {
    /// The source that this last part of a path names: a tenant's by its id, the platform's by its name.
    pub(crate) async fn ready(&self, place: &str, now: DateTime<Utc>) -> Result<Option<Arc<ReadySource>>> {
        let kept = match self.known.find(place) {
            Some((at, source)) if (now - at).abs() < FRESH_FOR => return Ok(Some(source)),
            kept => kept,
        };
        let (stored, name) = if let Ok(id) = place.parse::<SourceId>() {
            (self.store.source(id).await?.filter(|source| source.owner != Owner::Platform), None)
        } else if let Ok(name) = place.parse::<SourceName>() {
            (self.stored_platform(&name).await?, Some(name))
        } else {
            return Ok(None);
        };
        let declared = name.as_ref().and_then(|name| self.platform.get_key_value(name));
        let mut source = match (stored, declared) {
            (None, None) => return Ok(None),
            (stored, Some((name, declared))) => ReadySource::of_declared(name, declared, stored.as_deref()),
            (Some(stored), None) => {
                // Opened secrets are kept as long as the source has not changed.
                if let Some((_, known)) = kept.filter(|(_, known)| known.version == stored.version) {
                    self.known.keep(place, now, &known);
                    return Ok(Some(known));
                }
                let secrets = self.open(&stored).await?;
                ReadySource::of_stored(&stored, &secrets)
            }
        };
        source.keeps = kept_headers(&source.scheme, &self.settings);
        let source = Arc::new(source);
        self.known.keep(place, now, &source);
        Ok(Some(source))
    }

    /// What was stored about one of the platform's sources. A hub that keeps nothing of its own still has those that it declares.
    async fn stored_platform(&self, name: &SourceName) -> Result<Option<Arc<Source>>> {
        self.store.platform_source(name).await
    }

    async fn open(&self, source: &Source) -> Result<Vec<SourceSecret>> {
        let mut opened = Vec::with_capacity(source.secrets.len());
        let id = source.id.to_string();
        for (index, sealed) in source.secrets.iter().enumerate() {
            let secret = self.vault.open(secret_place(&source.owner, &id), &sealed.sealed).await?;
            let secret = SourceSecret::new(format!("{}", index + 1), secret);
            opened.push(match sealed.expires_at {
                Some(end) => secret.with_not_after(end),
                None => secret,
            });
        }
        Ok(opened)
    }
}

impl ReadySource {
    fn of_stored(source: &Source, secrets: &[SourceSecret]) -> Self {
        let mut scheme = source.scheme.clone();
        scheme.reception.reject = source.reject_status.unwrap_or(scheme.reception.reject);
        scheme.reception.body_cap = source.body_cap.unwrap_or(scheme.reception.body_cap);
        Self {
            id: source.id,
            owner: source.owner.clone(),
            name: source.name.clone(),
            state: source.state,
            public_url: source.public_url.clone(),
            prepared: PreparedScheme::new(&scheme, secrets),
            keeps: Vec::new(),
            scheme,
            version: source.version,
        }
    }

    /// The state that somebody has switched it to wins over the declared one.
    fn of_declared(name: &SourceName, declared: &PlatformSource, stored: Option<&Source>) -> Self {
        Self {
            id: name.platform_id(),
            owner: Owner::Platform,
            name: name.clone(),
            state: stored.map_or(declared.state, |stored| stored.state),
            public_url: declared.public_url.clone(),
            prepared: PreparedScheme::new(&declared.scheme, &declared.secrets),
            keeps: Vec::new(),
            scheme: declared.scheme.clone(),
            version: stored.map_or(Version::NONE, |stored| stored.version),
        }
    }
}

/// Where a source's secrets live: part of their seal.
pub(super) fn secret_place<'a>(owner: &'a Owner, source: &'a str) -> SealPlace<'a> {
    SealPlace::new(owner.as_str(), "source", source, "secret")
}

/// The error about a source that is not there, or is somebody else's.
pub(super) fn missing(what: &'static str) -> Error {
    Error::new(ErrorKind::NotFound, what)
}

impl fmt::Debug for KnownSources {
    /// What is ready holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownSources").finish_non_exhaustive()
    }
}
