//! The platform's own sources, as the host declares them.

use std::fmt;

use crate::inbound::request::SourceSecret;
use crate::inbound::scheme::Scheme;
use crate::inbound::source::SourceState;
use crate::primitives::secret::Secret;

/// One of the platform's own sources: its name is its path, and its secrets come from the host's configuration.
///
/// ```
/// use crossdock::inbound::{PlatformSource, SourceState, presets};
///
/// let stripe = PlatformSource::new("stripe", presets::stripe()).secret("whsec_…");
/// let square = PlatformSource::new("square", presets::square()).state(SourceState::NotImplemented);
/// # drop((stripe, square));
/// ```
#[derive(Clone)]
#[must_use = "a source does nothing until a hub has it"]
pub struct PlatformSource {
    pub(crate) name: String,
    pub(crate) scheme: Scheme,
    pub(crate) secrets: Vec<SourceSecret>,
    pub(crate) state: SourceState,
    pub(crate) public_url: Option<String>,
}

impl PlatformSource {
    /// A source of this name and scheme, without a secret yet.
    pub fn new(name: impl Into<String>, scheme: Scheme) -> Self {
        Self { name: name.into(), scheme, secrets: Vec::new(), state: SourceState::Active, public_url: None }
    }

    /// Adds a secret as the sender shows it; of several, any may have signed.
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        let name = format!("{}", self.secrets.len() + 1);
        self.secrets.push(SourceSecret::new(name, secret.into()));
        self
    }

    /// Adds a secret with a name and an end of its own, such as a handshake's token.
    pub fn named_secret(mut self, secret: SourceSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Whether it takes what is sent; it does, unless told otherwise.
    pub fn state(mut self, state: SourceState) -> Self {
        self.state = state;
        self
    }

    /// The URL that the sender was told, where it is not the hub's public URL with the name behind it.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }
}

impl fmt::Debug for PlatformSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformSource")
            .field("name", &self.name)
            .field("secrets", &self.secrets)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
