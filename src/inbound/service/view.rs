//! What reading a source shows: never a secret.

use chrono::{DateTime, Utc};

use crate::inbound::scheme::Scheme;
use crate::inbound::source::{Source, SourceName, SourceState};
use crate::primitives::id::SourceId;
use crate::primitives::version::Version;

/// A source as its administrators see it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SourceView {
    /// Names it, and is the last part of its path.
    pub id: SourceId,
    /// Counts its changes; an update names the one that it was made from.
    pub version: Version,
    /// Which handlers hear of it.
    pub name: SourceName,
    /// What people call it.
    pub title: String,
    /// How it signs.
    pub scheme: Scheme,
    /// What is known of its secrets, the newest first.
    pub secrets: Vec<SourceSecretView>,
    /// Whether it takes what is sent.
    pub state: SourceState,
    /// The URL to tell the sender, if the hub knows it.
    pub url: Option<String>,
    /// What a sender is told whose signature is wrong, if not what the scheme says.
    pub reject_status: Option<u16>,
    /// How long a body may be, if not what the scheme says.
    pub body_cap: Option<usize>,
    /// Since when it is there.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// What is known of a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SourceSecretView {
    /// Since when it is valid.
    pub created_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
}

impl SourceView {
    pub(super) fn of(source: &Source, base: Option<&str>) -> Self {
        let usual = || Some(format!("{}/{}", base?.trim_end_matches('/'), source.id));
        let secrets = source
            .secrets
            .iter()
            .map(|secret| SourceSecretView { created_at: secret.created_at, expires_at: secret.expires_at });
        Self {
            id: source.id,
            version: source.version,
            name: source.name.clone(),
            title: source.title.clone(),
            scheme: source.scheme.clone(),
            secrets: secrets.collect(),
            state: source.state,
            url: source.public_url.clone().or_else(usual),
            reject_status: source.reject_status,
            body_cap: source.body_cap,
            created_at: source.created_at,
            updated_at: source.updated_at,
        }
    }
}
