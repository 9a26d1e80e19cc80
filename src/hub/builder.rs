//! From a host's choices to a hub, or everything that is wrong with them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use http::HeaderValue;
use serde::de::DeserializeOwned;

use crate::activity::store::ActivityStore;
// Two adapters are defaults: a hub without a store of the host's own keeps everything in memory, sealed by a key that
// lives in the same memory.
use crate::adapters::memory::MemoryStore;
use crate::adapters::vault::EphemeralVault;
use crate::api_keys::gate::Gate;
use crate::api_keys::pepper::Peppers;
use crate::api_keys::settings::ApiKeySettings;
use crate::api_keys::store::KeyStore;
use crate::api_keys::unconfigured::NoKeyStore;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::catalog::EventCatalog;
use crate::events::envelope::CustomFormat;
use crate::events::envelope::named::NamedFormats;
use crate::events::schema::SchemaEngine;
use crate::hub::defaults::{Absent, Defaults};
use crate::hub::handle::Hub;
use crate::hub::inbound::InboundChoices;
use crate::hub::keys::Keys;
use crate::hub::system::{LocalWake, SystemClock, SystemEntropy};
use crate::inbound::handlers::{Incoming, IntoHandled, Route};
use crate::inbound::service::platform::PlatformSource;
use crate::inbound::settings::InboundSettings;
use crate::inbound::store::{InboundStore, KindPattern};
use crate::inbound::verifier::Verifier;
use crate::mapping::HostData;
use crate::ports::{Clock, Entropy, Exchange, Vault, Wake};
use crate::primitives::durability::Durability;
use crate::primitives::egress::EgressPolicy;
use crate::primitives::secret::Secret;
use crate::tenancy::policy::AccessPolicy;
use crate::webhooks::context::Context;
use crate::webhooks::dispatch::Dispatcher;
use crate::webhooks::mapped::Mappings;
use crate::webhooks::notice::Notices;
use crate::webhooks::notice_events::{NoticeEvents, notice_types};
use crate::webhooks::queue::DeliveryQueue;
use crate::webhooks::repository::WebhookRepository;
use crate::webhooks::settings::Settings;

/// Collects a host's choices; what is not chosen has a default.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::webhooks::Settings;
///
/// let mut settings = Settings::default();
/// settings.max_in_flight = 0;
///
/// let error = Hub::builder().settings(settings).user_agent("a\nb").build().unwrap_err();
///
/// let fields: Vec<_> = error.problems().iter().map(|problem| &*problem.field).collect();
/// assert_eq!(fields, ["user_agent", "settings.max_in_flight"]);
/// ```
#[derive(Default)]
#[must_use = "a hub begins with `build`"]
pub struct HubBuilder {
    store: Option<Store>,
    events: EventCatalog,
    access: AccessPolicy,
    egress: EgressPolicy,
    transport: Option<Arc<dyn Exchange>>,
    schema_engine: Option<Arc<dyn SchemaEngine>>,
    formats: Vec<(String, Arc<dyn CustomFormat>)>,
    mapping_data: HostData,
    built_ins: BuiltIns,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
    wake: Option<Arc<dyn Wake>>,
    vault: Option<Arc<dyn Vault>>,
    settings: Settings,
    user_agent: Option<String>,
    notice_events: NoticeEvents,
    key_store: Option<StoreOfKeys>,
    peppers: Option<Peppers>,
    api_keys: ApiKeySettings,
    inbound: InboundChoices,
}

/// Where keys are kept, and the log of what happens to them.
struct StoreOfKeys {
    keys: Arc<dyn KeyStore>,
    activity: Arc<dyn ActivityStore>,
}

/// One store under its three names.
struct Store {
    repository: Arc<dyn WebhookRepository>,
    queue: Arc<dyn DeliveryQueue>,
    activity: Arc<dyn ActivityStore>,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum BuiltIns {
    #[default]
    Wanted,
    Unwanted,
}

impl HubBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Where everything is kept; in memory by default.
    pub fn store<S: WebhookRepository + DeliveryQueue + ActivityStore>(mut self, store: S) -> Self {
        self.store = Some(Store::of(store));
        self
    }

    /// A store whose ports are separate values, such as one that wraps another's queue.
    pub fn store_parts(
        mut self,
        repository: Arc<dyn WebhookRepository>,
        queue: Arc<dyn DeliveryQueue>,
        activity: Arc<dyn ActivityStore>,
    ) -> Self {
        self.store = Some(Store { repository, queue, activity });
        self
    }

    /// What can happen; nothing by default.
    pub fn events(mut self, events: EventCatalog) -> Self {
        self.events = events;
        self
    }

    /// Who may look, and who may change.
    pub fn access(mut self, access: AccessPolicy) -> Self {
        self.access = access;
        self
    }

    /// Which URLs and addresses may be called.
    pub fn egress(mut self, egress: EgressPolicy) -> Self {
        self.egress = egress;
        self
    }

    /// How requests are sent; with the feature `http-client` there is a default that obeys the egress policy.
    pub fn transport(mut self, transport: impl Exchange) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// How payloads are checked against schemas; with the feature `schemas` there is a default.
    pub fn schema_engine(mut self, engine: impl SchemaEngine) -> Self {
        self.schema_engine = Some(Arc::new(engine));
        self
    }

    /// A payload format of the host's own, which webhooks ask for by this name. Every process that sends is given the same
    /// ones: what a process does not know is tried again later.
    pub fn payload_format(mut self, name: impl Into<String>, format: impl CustomFormat) -> Self {
        self.formats.push((name.into(), Arc::new(format)));
        self
    }

    /// What mappings of webhooks may take from the host besides the event: values, tables, identities, keys. Every tenant's
    /// mappings may take all of it, so nothing that concerns one tenant belongs here. Every process that sends is given the same:
    /// what a process does not know is tried again later.
    pub fn mapping_data(mut self, data: HostData) -> Self {
        self.mapping_data = data;
        self
    }

    /// Takes neither the built-in transport nor the built-in schema engine: only what the host gives. A process that only
    /// publishes needs no transport.
    pub fn without_built_ins(mut self) -> Self {
        self.built_ins = BuiltIns::Unwanted;
        self
    }

    /// What time it is; the machine's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Where ids, secrets and jitter come from; the operating system by default.
    pub fn entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Some(Arc::new(entropy));
        self
    }

    /// How workers hear of new work at once; within this process by default.
    pub fn wake(mut self, wake: impl Wake) -> Self {
        self.wake = Some(Arc::new(wake));
        self
    }

    /// How secrets are kept; by default with a key that ends with the process. A store that lasts needs one whose key lasts too:
    /// [`EnvelopeVault`](crate::adapters::EnvelopeVault).
    pub fn vault(mut self, vault: impl Vault) -> Self {
        self.vault = Some(Arc::new(vault));
        self
    }

    /// The numbers that hold for the hub.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What requests call themselves, such as the product's name; it wins over [`Settings::user_agent`].
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        self.user_agent = Some(user_agent.to_owned());
        self
    }

    /// Where API keys are kept: the same store as everything else, if it can keep them, so that there is one activity log. Without a
    /// store of the host's own they are kept in memory; with one, API keys cannot be used until this is given.
    pub fn key_store<S: KeyStore + ActivityStore>(mut self, store: S) -> Self {
        let store = Arc::new(store);
        self.key_store = Some(StoreOfKeys { keys: store.clone(), activity: store });
        self
    }

    /// Under which peppers the secrets of API keys are kept; by default one that ends with the process. A key store that lasts needs
    /// some that last too.
    pub fn peppers(mut self, peppers: Peppers) -> Self {
        self.peppers = Some(peppers);
        self
    }

    /// How the keys of the host's API look, and what holds for them.
    pub fn api_keys(mut self, settings: ApiKeySettings) -> Self {
        self.api_keys = settings;
        self
    }

    /// Where inbound webhooks are kept: the same store as everything else, if it can keep them. Without a store of the host's own they are
    /// kept in memory; with one, nothing can be received until this is given.
    pub fn inbound_store(mut self, store: impl InboundStore) -> Self {
        self.inbound.store = Some(Arc::new(store));
        self
    }

    /// One of the platform's own sources of inbound webhooks, such as its billing account.
    pub fn source(mut self, source: PlatformSource) -> Self {
        self.inbound.sources.push(source);
        self
    }

    /// Hands what sources of this name send, and what is of these kinds, to this function, its JSON read as `T`: [`Route::new`].
    ///
    /// ```
    /// use crossdock::Hub;
    /// use crossdock::inbound::Incoming;
    /// use serde_json::Value;
    ///
    /// # fn main() -> crossdock::Result<()> {
    /// let hub = Hub::builder()
    ///     .on("stripe", "customer.subscription.*", |changed: Incoming<Value>| async move {
    ///         let plan = changed.payload.pointer("/data/object/plan/id").ok_or("a subscription has a plan")?;
    ///         println!("{}: {plan}", changed.kind());
    ///         Ok::<(), &str>(())
    ///     })
    ///     .build()?;
    /// # drop(hub);
    /// # Ok(()) }
    /// ```
    pub fn on<T, F, Fut, R>(
        self,
        source: impl Into<String>,
        kinds: impl Into<KindPattern>,
        handler: F,
    ) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(Incoming<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoHandled,
    {
        self.route(Route::new(source, kinds, handler))
    }

    /// A handler with more to say about it, such as an order. Of several that want an item, the one that was given first gets it.
    pub fn route(mut self, route: Route) -> Self {
        self.inbound.routes.push(route);
        self
    }

    /// A check in code, for schemes that name it.
    pub fn verifier(mut self, name: impl Into<String>, verifier: impl Verifier) -> Self {
        self.inbound.verifiers.insert(name.into(), Arc::new(verifier));
        self
    }

    /// The numbers that hold for inbound webhooks.
    pub fn inbound(mut self, settings: InboundSettings) -> Self {
        self.inbound.settings = settings;
        self
    }

    /// Publishes notices as events of their own (`webhook.disabled`, `webhook.failing`, …), so that tenants can subscribe them.
    pub fn publish_notices(mut self) -> Self {
        self.notice_events = NoticeEvents::on();
        self
    }

    /// The hub.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong, at once: event types and schemas, names of formats, numbers, the user agent, a store that
    /// lasts with a vault or with peppers that do not.
    pub fn build(mut self) -> Result<Hub> {
        let mut problems = Vec::new();
        self.take_user_agent(&mut problems);
        problems.extend(self.settings.problems());
        let mut formats = NamedFormats::default();
        for (name, format) in self.formats {
            problems.extend(formats.add(&name, format).err());
        }

        let events = match self.notice_events.is_on() {
            true => self.events.with_all(notice_types()),
            false => self.events,
        };
        let built_in = match self.built_ins {
            BuiltIns::Wanted => Defaults.schema_engine(),
            BuiltIns::Unwanted => Absent::schema_engine(&Defaults),
        };
        let engine = self.schema_engine.or(built_in);
        let catalog =
            events.compile(engine.as_deref()).map_err(|error| problems.extend_from_slice(error.problems()));

        let entropy = self.entropy.unwrap_or_else(|| Arc::new(SystemEntropy));
        let (store, key_store, memory) = Store::and_keys(self.store, self.key_store);
        let fallback = memory.map(|memory| Arc::new(memory) as Arc<dyn InboundStore>);
        let inbound = self.inbound.check(fallback, &mut problems);
        let form = self.api_keys.check().map_err(|wrong| problems.extend(wrong));
        if self.peppers.is_none() && key_store.keys.durability() == Durability::Lasting {
            problems.push(no_lasting_pepper());
        }
        let is_lasting = store.repository.durability() == Durability::Lasting || inbound.is_lasting();
        if self.vault.is_none() && is_lasting {
            problems.push(no_lasting_key());
        }
        let (Ok(catalog), Ok(form)) = (catalog, form) else { return Err(Error::invalid(STEP, problems)) };
        if !problems.is_empty() {
            return Err(Error::invalid(STEP, problems));
        }

        let vault = self.vault.unwrap_or_else(|| Arc::new(EphemeralVault::new(Arc::clone(&entropy))));
        let exchange = match (self.transport, self.built_ins) {
            (Some(transport), _) => Some(transport),
            (None, BuiltIns::Wanted) => Defaults.exchange(&self.egress)?,
            (None, BuiltIns::Unwanted) => Absent::exchange(&Defaults, &self.egress)?,
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let peppers = match self.peppers {
            Some(peppers) => peppers,
            None => passing_pepper(&*entropy)?,
        };
        let gate = Gate::new(
            key_store.keys,
            Arc::clone(&key_store.activity),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            form,
            peppers,
            self.api_keys,
        );
        let keys = Keys { gate, activity: key_store.activity };
        let inbound = inbound.into_context(
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Arc::clone(&vault),
            self.access.clone(),
        );
        let mappings = Mappings::new(self.settings.mapping_limits, self.mapping_data);
        let dispatcher = Dispatcher::new(Arc::clone(&vault), exchange, formats, mappings, &self.settings);
        let context = Context {
            repository: store.repository,
            queue: store.queue,
            activity: store.activity,
            clock,
            entropy,
            wake: self.wake.unwrap_or_else(|| Arc::new(LocalWake::default())),
            due: Arc::new(LocalWake::default()),
            vault,
            dispatcher,
            catalog,
            egress: self.egress,
            access: self.access,
            notices: Notices::default(),
            notice_events: self.notice_events,
            settings: self.settings,
        };
        Ok(Hub { context: Arc::new(context), keys, inbound: Arc::new(inbound) })
    }

    fn take_user_agent(&mut self, problems: &mut Vec<Problem>) {
        let Some(text) = self.user_agent.take() else { return };
        let printable = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        match HeaderValue::from_str(&text) {
            Ok(value) if printable && text.len() <= MAX_USER_AGENT && text.trim() == text => {
                self.settings.user_agent = value;
            }
            _ => problems.push(Problem::new(
                "user_agent",
                format!("a user agent is 1 to {MAX_USER_AGENT} printable ASCII characters"),
                "give the product's name and version, such as `acme-hooks/2.1`",
            )),
        }
    }
}

fn no_lasting_key() -> Problem {
    Problem::new(
        "vault",
        "a store that lasts needs a vault whose key lasts as well: without it, no secret opens after a restart",
        "make a key once with `openssl rand -base64 32`, keep it where the store is not, such as in an environment variable, and \
         give it with `.vault(EnvelopeVault::new(StaticKeys::new(\"2026-01\", &key)?))`; both types are in `crossdock::adapters`",
    )
}

fn no_lasting_pepper() -> Problem {
    Problem::new(
        "peppers",
        "a key store that lasts needs peppers that last as well: without them, no API key is known after a restart",
        "make one with `openssl rand -base64 32`, keep it where the store is not, and give it with \
         `.peppers(Peppers::new(\"2026-01\", &*pepper)?)`; the type is in `crossdock::api_keys`",
    )
}

/// A pepper that ends with the process, as the keys do that are kept under it.
fn passing_pepper(entropy: &dyn Entropy) -> Result<Peppers> {
    let mut bytes = vec![0; 32];
    entropy.fill(&mut bytes);
    Peppers::new("passing", Secret::new(bytes))
        .map_err(|invalid| Error::new(ErrorKind::Internal, STEP).with_source(invalid))
}

impl Store {
    /// Where everything is kept, the keys, and the memory that all of it is kept in if the host has given no store.
    fn and_keys(store: Option<Self>, keys: Option<StoreOfKeys>) -> (Self, StoreOfKeys, Option<MemoryStore>) {
        match (store, keys) {
            (Some(store), Some(keys)) => (store, keys, None),
            (Some(store), None) => {
                let keys = StoreOfKeys { keys: Arc::new(NoKeyStore), activity: Arc::clone(&store.activity) };
                (store, keys, None)
            }
            (None, keys) => {
                let memory = MemoryStore::new();
                let own =
                    || StoreOfKeys { keys: Arc::new(memory.clone()), activity: Arc::new(memory.clone()) };
                let keys = keys.unwrap_or_else(own);
                (Self::of(memory.clone()), keys, Some(memory))
            }
        }
    }

    fn of<S: WebhookRepository + DeliveryQueue + ActivityStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { repository: store.clone(), queue: store.clone(), activity: store }
    }
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("access", &self.access)
            .field("egress", &self.egress)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

const STEP: &str = "build the hub";
const MAX_USER_AGENT: usize = 256;
