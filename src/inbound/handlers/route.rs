//! Which handler gets what.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::error::Problem;
use crate::inbound::handlers::handled::{Handled, IntoHandled};
use crate::inbound::handlers::incoming::{Handing, Incoming};
use crate::inbound::read::json;
use crate::inbound::received::InboundJob;
use crate::inbound::scheme::field::Pointer;
use crate::inbound::source::SourceName;
use crate::inbound::store::KindPattern;
use crate::lanes::schedule::Schedule;
use crate::ports::Clock;

type Handling = Pin<Box<dyn Future<Output = Handled> + Send>>;
type Handler = Arc<dyn Fn(Handing) -> Handling + Send + Sync>;

/// One handler, and what it wants: of the sources of one name, items of some kinds.
///
/// ```
/// use crossdock::inbound::{Incoming, Route};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Invoice {
///     id: String,
/// }
///
/// let paid = Route::new("stripe", "invoice.paid", |paid: Incoming<Invoice>| async move {
///     println!("{} was paid", paid.payload.id);
/// });
/// # drop(paid);
/// ```
#[derive(Clone)]
#[must_use = "a route does nothing until a hub has it"]
pub struct Route {
    source: String,
    kinds: KindPattern,
    handler: Handler,
    order: Option<Result<Pointer, String>>,
    about: Option<Result<Pointer, String>>,
    retry: Option<Schedule>,
    timeout: Option<Duration>,
}

/// What came of one run of a handler.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HandlerRun {
    /// What it answered.
    pub handled: Handled,
    /// Whether it has written the completion in a transaction of its own; nobody but the store knows whether that was committed.
    pub has_completed: bool,
}

impl Route {
    /// Hands items to this function, their JSON read as `T`. One that cannot be read so becomes a dead letter, which can be replayed once
    /// the type is mended.
    pub fn new<T, F, Fut, R>(source: impl Into<String>, kinds: impl Into<KindPattern>, handler: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(Incoming<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoHandled,
    {
        let handler = Arc::new(handler);
        Self::of(source.into(), kinds.into(), move |handing| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                match serde_json::from_slice::<T>(&handing.job.received.body) {
                    Ok(payload) => handler(Incoming::new(payload, handing)).await.into_handled(),
                    Err(error) => Handled::Dead(unreadable(&error)),
                }
            })
        })
    }

    /// Hands items to this function as they came.
    pub fn raw<F, Fut, R>(source: impl Into<String>, kinds: impl Into<KindPattern>, handler: F) -> Self
    where
        F: Fn(Incoming<Bytes>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoHandled,
    {
        let handler = Arc::new(handler);
        Self::of(source.into(), kinds.into(), move |handing| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let body = handing.job.received.body.clone();
                handler(Incoming::new(body, handing)).await.into_handled()
            })
        })
    }

    fn of(
        source: String,
        kinds: KindPattern,
        handler: impl Fn(Handing) -> Handling + Send + Sync + 'static,
    ) -> Self {
        Self {
            source,
            kinds,
            handler: Arc::new(handler),
            order: None,
            about: None,
            retry: None,
            timeout: None,
        }
    }

    /// Handles items one at a time and in their order that have the same text at this JSON pointer, such as `/data/object/id`; what is
    /// older than what was handled is dropped, by the sender's sequence number or time.
    pub fn in_order_by(mut self, pointer: &str) -> Self {
        self.order = Some(pointer.parse().map_err(|_| pointer.to_owned()));
        self
    }

    /// Whom or what items are about: the text at this JSON pointer, such as `/data/object/customer`. By it they can be
    /// [erased](crate::hub::Admin::erase_subject).
    pub fn about(mut self, pointer: &str) -> Self {
        self.about = Some(pointer.parse().map_err(|_| pointer.to_owned()));
        self
    }

    /// When it is tried again; by default as the hub's settings say.
    pub fn retry(mut self, schedule: Schedule) -> Self {
        self.retry = Some(schedule);
        self
    }

    /// How long one attempt may take; by default as the hub's settings say.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Runs the handler on one piece of work, as a worker does: for tests of handlers, and for a worker of the host's own. It panics if the
    /// handler does. Dropping the future ends the handler where it stands.
    pub fn run(
        &self,
        job: InboundJob,
        clock: Arc<dyn Clock>,
    ) -> Pin<Box<dyn Future<Output = HandlerRun> + Send>> {
        let is_written = Arc::new(AtomicBool::new(false));
        let handing = Handing { job, clock, is_written: Arc::clone(&is_written) };
        let handler = Arc::clone(&self.handler);
        Box::pin(async move {
            // Called in here, because it may panic before it gives a future.
            let handled = handler(handing).await;
            HandlerRun { handled, has_completed: is_written.load(Ordering::Acquire) }
        })
    }

    /// When it is tried again, if not as the hub's settings say.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.retry.as_ref()
    }

    /// How long one attempt may take, if not as the hub's settings say.
    pub fn limit(&self) -> Option<Duration> {
        self.timeout
    }

    /// What an item must stay in order with.
    pub(crate) fn order_key(&self, body: &[u8]) -> Option<String> {
        text_at(self.order.as_ref()?, body)
    }

    /// Whom or what an item is about.
    pub(crate) fn subject(&self, body: &[u8]) -> Option<String> {
        text_at(self.about.as_ref()?, body)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("source", &self.source)
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}

/// All routes of a hub.
#[derive(Debug, Default)]
pub(crate) struct Router(Vec<Route>);

impl Router {
    /// Adds one; of several that want an item, the one that was added first gets it.
    pub(crate) fn add(&mut self, route: Route) {
        self.0.push(route);
    }

    /// What is wrong with the routes.
    pub(crate) fn problems(&self, lease: Duration) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, route) in self.0.iter().enumerate() {
            if let Err(invalid) = route.source.parse::<SourceName>() {
                let fix = "give the name that the source has";
                problems.push(Problem::new(format!("routes[{index}].source"), invalid.to_string(), fix));
            }
            for (pointer, name, rule) in [
                (&route.order, "in_order_by", "an order is a JSON pointer"),
                (&route.about, "about", "a subject is a JSON pointer"),
            ] {
                if let Some(Err(_)) = pointer {
                    let fix = "give a path such as `/data/object/id`";
                    problems.push(Problem::new(format!("routes[{index}].{name}"), rule, fix));
                }
            }
            if route.timeout.is_some_and(|timeout| timeout.is_zero() || timeout >= lease) {
                let rule = "an attempt takes time, and less than a claim lasts";
                let fix = "choose another time, or let claims last longer";
                problems.push(Problem::new(format!("routes[{index}].timeout"), rule, fix));
            }
        }
        problems
    }

    /// Whether anything of this source is handled.
    pub(crate) fn handles(&self, source: &SourceName) -> bool {
        self.0.iter().any(|route| route.source == source.as_str())
    }

    /// The route that gets items of this kind.
    pub(crate) fn find(&self, source: &SourceName, kind: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.source == source.as_str() && route.kinds.matches(kind))
    }
}

fn text_at(pointer: &Result<Pointer, String>, body: &[u8]) -> Option<String> {
    let pointer = pointer.as_ref().ok()?;
    let found = json::find(std::str::from_utf8(body).ok()?, pointer.tokens()).ok()??;
    json::text(found).map(|text| text.into_owned())
}

/// Says where, and never what stood there.
fn unreadable(error: &serde_json::Error) -> String {
    format!("the payload is not what the handler reads (line {}, column {})", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(source: &str, kinds: &str) -> Route {
        Route::raw(source.to_owned(), kinds.to_owned(), |_: Incoming<Bytes>| async {})
    }

    fn router(routes: impl IntoIterator<Item = Route>) -> Router {
        let mut router = Router::default();
        routes.into_iter().for_each(|route| router.add(route));
        router
    }

    #[test]
    fn the_first_route_that_wants_an_item_gets_it() {
        let router = router([
            route("stripe", "invoice.paid").timeout(Duration::from_secs(1)),
            route("stripe", "invoice.*").timeout(Duration::from_secs(2)),
            route("square", "*").timeout(Duration::from_secs(3)),
        ]);
        let found = |source: &str, kind: &str| {
            let source: SourceName = source.parse().expect("a name");
            router.find(&source, kind).and_then(Route::limit).map(|limit| limit.as_secs())
        };

        assert_eq!(found("stripe", "invoice.paid"), Some(1));
        assert_eq!(found("stripe", "invoice.voided"), Some(2));
        assert_eq!(found("stripe", "customer.created"), None);
        assert_eq!(found("square", ""), Some(3));
        assert_eq!(found("shopify", "invoice.paid"), None);
    }

    #[test]
    fn an_order_is_read_byte_for_byte_however_deep_the_rest_is() {
        let router = router([route("stripe", "a").in_order_by("/data/id"), route("stripe", "*")]);
        let source: SourceName = "stripe".parse().expect("a name");
        let key = |kind: &str, body: &str| router.find(&source, kind)?.order_key(body.as_bytes());

        assert_eq!(key("a", r#"{"data": {"id": "sub_1"}}"#).as_deref(), Some("sub_1"));
        assert_eq!(key("a", r#"{"data": {"id": 9007199254740993}}"#).as_deref(), Some("9007199254740993"));
        assert_eq!(key("a", r#"{"data": {"id": null}}"#), None);
        assert_eq!(key("a", "no json"), None);
        assert_eq!(key("b", r#"{"data": {"id": "sub_1"}}"#), None);
        let deep = format!(r#"{{"x": {}{}, "data": {{"id": 1}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(key("a", &deep).as_deref(), Some("1"));
    }

    #[test]
    fn what_is_wrong_with_a_route_is_told() {
        let router = router([
            route("Stripe", "*").in_order_by("data").about("customer"),
            route("stripe", "*").timeout(Duration::ZERO),
            route("stripe", "*").timeout(Duration::from_secs(60)),
        ]);

        let fields: Vec<_> =
            router.problems(Duration::from_secs(60)).into_iter().map(|problem| problem.field).collect();

        assert_eq!(
            fields,
            [
                "routes[0].source",
                "routes[0].in_order_by",
                "routes[0].about",
                "routes[1].timeout",
                "routes[2].timeout"
            ]
        );
    }
}
