//! The hub's calls about inbound webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Problem, Result};
use crate::hub::admin::Admin;
use crate::hub::handle::Hub;
use crate::hub::system::LocalWake;
use crate::inbound::context::InboundContext;
use crate::inbound::handlers::{Route, Router};
use crate::inbound::prepared::PreparedScheme;
use crate::inbound::scheme::model::Check;
use crate::inbound::service::known::KnownSources;
use crate::inbound::service::platform::PlatformSource;
use crate::inbound::service::receive::{self, InboundAnswer, InboundRequest};
use crate::inbound::service::{ReceivedAdmin, SourceAdmin};
use crate::inbound::settings::InboundSettings;
use crate::inbound::source::{InvalidSourceName, Owner, SourceName, SourceState};
use crate::inbound::store::{InboundErasure, InboundStore};
use crate::inbound::unconfigured::NoInboundStore;
use crate::inbound::verifier::Verifier;
use crate::ports::{Clock, Entropy, Vault};
use crate::primitives::durability::Durability;
use crate::tenancy::policy::AccessPolicy;

/// A host's choices about inbound webhooks.
#[derive(Default)]
pub(super) struct InboundChoices {
    pub(super) store: Option<Arc<dyn InboundStore>>,
    pub(super) sources: Vec<PlatformSource>,
    pub(super) routes: Vec<Route>,
    pub(super) verifiers: BTreeMap<String, Arc<dyn Verifier>>,
    pub(super) settings: InboundSettings,
}

/// The choices, checked.
pub(super) struct CheckedInbound {
    store: Arc<dyn InboundStore>,
    platform: BTreeMap<SourceName, PlatformSource>,
    router: Router,
    verifiers: BTreeMap<String, Arc<dyn Verifier>>,
    settings: InboundSettings,
}

impl InboundChoices {
    /// Checks everything at once. `fallback` is where a hub without any store of the host's own keeps everything.
    pub(super) fn check(
        self,
        fallback: Option<Arc<dyn InboundStore>>,
        problems: &mut Vec<Problem>,
    ) -> CheckedInbound {
        problems.extend(self.settings.problems());
        let mut router = Router::default();
        self.routes.into_iter().for_each(|route| router.add(route));
        problems.extend(router.problems(self.settings.lease));
        let mut platform = BTreeMap::new();
        for (index, source) in self.sources.into_iter().enumerate() {
            let field = |name: &str| format!("sources[{index}].{name}");
            let is_active = source.state == SourceState::Active;
            match PreparedScheme::new(&source.scheme, &source.secrets) {
                // What takes nothing needs no secret yet.
                Err(found) if is_active => {
                    problems.extend(
                        found.into_iter().map(|problem| Problem { field: field(&problem.field), ..problem }),
                    );
                }
                _ => {}
            }
            if let Check::Code(name) = &source.scheme.check
                && is_active
                && !self.verifiers.contains_key(name)
            {
                let fix = format!("give it with `.verifier(\"{name}\", …)`");
                problems.push(Problem::new(
                    field("scheme"),
                    "its check is code that this hub does not have",
                    fix,
                ));
            }
            match source.name.parse::<SourceName>() {
                Ok(name) if !platform.contains_key(&name) => drop(platform.insert(name, source)),
                Ok(_) => problems.push(Problem::new(
                    field("name"),
                    "the platform has one source of a name",
                    "choose another name",
                )),
                Err(invalid) => problems.push(unnamed(field("name"), &invalid)),
            }
        }
        let store = self.store.or(fallback).unwrap_or_else(|| Arc::new(NoInboundStore));
        CheckedInbound { store, platform, router, verifiers: self.verifiers, settings: self.settings }
    }
}

impl CheckedInbound {
    /// Whether what it keeps outlives the process.
    pub(super) fn is_lasting(&self) -> bool {
        self.store.durability() == Durability::Lasting
    }

    pub(super) fn into_context(
        self,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        vault: Arc<dyn Vault>,
        access: AccessPolicy,
    ) -> InboundContext {
        InboundContext {
            store: self.store,
            clock,
            entropy,
            vault,
            due: Arc::new(LocalWake::default()),
            access,
            router: self.router,
            platform: self.platform,
            verifiers: self.verifiers,
            known: KnownSources::default(),
            settings: self.settings,
        }
    }
}

fn unnamed(field: String, invalid: &InvalidSourceName) -> Problem {
    Problem::new(field, invalid.to_string(), "give a name such as `stripe`")
}

impl Hub {
    /// Receives a request for the source that the last part of its path names: a tenant's by its id, one of the platform's own by its name.
    ///
    /// The order is: source, unsigned handshakes, verification, signed handshakes, items, store; only then the answer. The host sends the
    /// answer as it is.
    ///
    /// Dropping the future leaves the request kept or not; the sender, who has no answer, tries again, and that is a copy then.
    ///
    /// ```
    /// use crossdock::Hub;
    /// use crossdock::inbound::{InboundRequest, PlatformSource, SourceSecret, TestSigner, presets};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let stripe = PlatformSource::new("stripe", presets::stripe()).secret("whsec_test");
    /// let hub = Hub::builder().source(stripe).build()?;
    ///
    /// # let words = |problems: Vec<crossdock::Problem>| problems[0].to_string();
    /// # let signer = TestSigner::new(&presets::stripe(), &SourceSecret::new("1", "whsec_test".into())).map_err(words)?;
    /// # let (url, body) = ("https://app.example.com/webhooks/stripe", br#"{"id":"evt_1","type":"invoice.paid"}"#);
    /// let signed = signer.sign(url, body, chrono::Utc::now()).map_err(|problem| problem.to_string())?;
    /// let request = InboundRequest::new(signed.method, signed.url, signed.headers, signed.body);
    ///
    /// let answer = hub.receive("stripe", request).await;
    ///
    /// assert_eq!(answer.status, 200);
    /// # Ok(()) }
    /// ```
    pub async fn receive(&self, place: &str, request: InboundRequest) -> InboundAnswer {
        receive::receive(&self.inbound, place, request).await
    }

    /// The most bytes of a body that this source takes: no more need be read. `None` if there is no such source.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// The store's; the vault's.
    pub async fn body_cap(&self, place: &str) -> Result<Option<usize>> {
        receive::body_cap(&self.inbound, place).await
    }

    /// Waits for as long as a body may take to arrive ([`InboundSettings::read_within`]): for web servers, which then answer 408.
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn body_is_overdue(&self) {
        receive::too_slow(&self.inbound).await;
    }

    /// Lets one of the platform's own sources take what is sent, or not, in every process within 5 s.
    ///
    /// Dropping the future leaves it switched or not.
    ///
    /// # Errors
    /// `NotFound` for a source that this hub does not declare; the store's.
    pub async fn switch_source(&self, name: &str, state: SourceState) -> Result<()> {
        self.inbound.switch_platform(name, state).await
    }

    /// Erases what the platform's own sources have received about a subject, as far as its [route](Route::about) says what that is: rows
    /// stay, and what still waited is not handled any more. What a tenant's sources have received is erased by
    /// [`Admin::erase_subject`].
    ///
    /// Dropping the future leaves everything erased, or nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn erase_platform_subject(&self, subject: &str) -> Result<InboundErasure> {
        self.inbound.erase_subject(&Owner::Platform, subject, self.inbound.clock.now()).await
    }

    /// What the platform's own sources have received: for the host's own code, which nobody checks.
    pub fn platform_received(&self) -> ReceivedAdmin {
        ReceivedAdmin::of_platform(Arc::clone(&self.inbound))
    }
}

impl Admin {
    /// The tenant's sources of inbound webhooks.
    pub fn sources(&self) -> SourceAdmin {
        SourceAdmin::new(Arc::clone(&self.inbound), self.actor().clone())
    }

    /// What the tenant's sources have received.
    pub fn received(&self) -> ReceivedAdmin {
        ReceivedAdmin::of_tenant(Arc::clone(&self.inbound), self.actor().clone())
    }
}
