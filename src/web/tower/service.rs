//! Whether a request goes on. One of a key that is known here is judged without waiting, and its future is no box.

use std::fmt;
use std::future::Future;
use std::mem;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::api_keys::{ApiCall, Authenticated, OpenCall, RateStanding, Refused};
use crate::web::tower::answer::{misconfigured, refusal, tell_standing};
use crate::web::tower::demand::Segments;
use crate::web::tower::head::Head;
use crate::web::tower::layer::Plan;

/// A service behind API keys; from [`Authentication`](crate::web::Authentication).
#[derive(Clone)]
pub struct AuthenticationService<S> {
    inner: S,
    plan: Arc<Plan>,
}

pin_project! {
    /// What comes of a request: a refusal, or the inner service's answer with what is left of the key's rate.
    ///
    /// Dropping it leaves the call counted or not.
    #[must_use = "futures do nothing unless polled"]
    pub struct Authenticating<F, B, E> {
        #[pin]
        state: State<F, B, E>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, B, E> {
        LetIn {
            #[pin]
            answer: F,
            call: Option<OpenCall>,
            rate: Option<RateStanding>,
        },
        Refused {
            answer: Option<Response<B>>,
        },
        /// What is known here was not enough, so the gate is asked.
        Asking {
            answer: Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>>,
        },
    }
}

/// What was decided without waiting.
enum Decision<B> {
    LetIn(Authenticated, OpenCall),
    Refused(Response<B>),
    Ask,
}

impl<S> AuthenticationService<S> {
    pub(super) fn new(inner: S, plan: Arc<Plan>) -> Self {
        Self { inner, plan }
    }
}

impl<S, B, C> Service<Request<B>> for AuthenticationService<S>
where
    S: Service<Request<B>, Response = Response<C>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: Send + 'static,
    C: From<Bytes> + 'static,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = Authenticating<S::Future, C, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let plan = &*self.plan;
        // A header that holds a secret says so, whoever prints it from here on.
        if let Some(token) = request.headers_mut().get_mut(plan.gate.token_header().name()) {
            token.set_sensitive(true);
        }
        let state = match plan.decide(&Head::of(&request)) {
            Decision::LetIn(caller, call) => {
                let rate = caller.rate();
                request.extensions_mut().insert(caller);
                State::LetIn { answer: self.inner.call(request), call: Some(call), rate }
            }
            Decision::Refused(answer) => State::Refused { answer: Some(answer) },
            Decision::Ask => {
                // The one that is ready is the one that was polled.
                let waiting = self.inner.clone();
                let ready = mem::replace(&mut self.inner, waiting);
                State::Asking { answer: Box::pin(ask(Arc::clone(&self.plan), ready, request)) }
            }
        };
        Authenticating { state }
    }
}

/// Asks the gate, and then the service.
async fn ask<S, B, C>(plan: Arc<Plan>, mut service: S, request: Request<B>) -> Result<Response<C>, S::Error>
where
    S: Service<Request<B>, Response = Response<C>>,
    C: From<Bytes>,
{
    let (mut parts, body) = request.into_parts();
    let (caller, call) = match plan.ask(&Head::of_parts(&parts)).await {
        Ok(let_in) => let_in,
        Err(answer) => return Ok(answer),
    };
    let rate = caller.rate();
    parts.extensions.insert(caller);
    let mut answer = service.call(Request::from_parts(parts, body)).await?;
    call.answered(answer.status());
    if let Some(rate) = rate {
        tell_standing(answer.headers_mut(), &rate);
    }
    Ok(answer)
}

/// What of a request the gate is asked about, besides its head.
struct Facts<'a> {
    peer: IpAddr,
    route: &'a str,
    resource: Segments<'a>,
}

impl Plan {
    #[inline]
    fn decide<C: From<Bytes>>(&self, head: &Head<'_>) -> Decision<C> {
        let facts = match self.facts(head) {
            Ok(facts) => facts,
            Err(what) => return Decision::Refused(misconfigured(what)),
        };
        let (texts, count) = facts.resource.texts();
        match self.gate.check(&self.call(head, &facts, &texts[..count])) {
            Some(Ok(caller)) => {
                let call = self.gate.open(&caller, head.method(), facts.route);
                Decision::LetIn(caller, call)
            }
            Some(Err(refused)) => Decision::Refused(self.refuse(head, &refused)),
            None => Decision::Ask,
        }
    }

    /// The caller, and the call that begins; or the answer.
    async fn ask<C: From<Bytes>>(&self, head: &Head<'_>) -> Result<(Authenticated, OpenCall), Response<C>> {
        let facts = self.facts(head).map_err(|what| misconfigured(what))?;
        let (texts, count) = facts.resource.texts();
        match self.gate.authenticate(&self.call(head, &facts, &texts[..count])).await {
            Ok(caller) => {
                let call = self.gate.open(&caller, head.method(), facts.route);
                Ok((caller, call))
            }
            Err(refused) => Err(self.refuse(head, &refused)),
        }
    }

    fn refuse<C: From<Bytes>>(&self, head: &Head<'_>, refused: &Refused) -> Response<C> {
        (self.on_refused)(head, refused);
        refusal(refused, &self.challenge)
    }

    #[inline]
    fn facts<'a>(&'a self, head: &Head<'a>) -> Result<Facts<'a>, &'static str> {
        let peer = (self.peer)(head).ok_or("the server does not say from which address a request comes")?;
        let route = (self.route)(head).unwrap_or_default();
        let resource = match &self.demand.resource {
            everything if everything.is_everything() => Segments::default(),
            resource => {
                let path = (self.path)(head).unwrap_or_default();
                let segments = resource.segments(route, path);
                segments.map_err(|_| "the route has not the parameters that its demand names")?
            }
        };
        Ok(Facts { peer, route, resource })
    }

    #[inline]
    fn call<'a>(&self, head: &Head<'a>, facts: &Facts<'a>, resource: &'a [&'a str]) -> ApiCall<'a> {
        let call = ApiCall::new(head.method(), head.headers(), facts.peer).route(facts.route).on(resource);
        self.demand.class.map_or(call, |class| call.needs(class))
    }
}

impl<F, C, E> Future for Authenticating<F, C, E>
where
    F: Future<Output = Result<Response<C>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::LetIn { answer, call, rate } => {
                let mut answered = ready!(answer.poll(cx));
                // A service that fails has answered nothing.
                if let Ok(answer) = &mut answered {
                    if let Some(call) = call.take() {
                        call.answered(answer.status());
                    }
                    if let Some(rate) = rate {
                        tell_standing(answer.headers_mut(), rate);
                    }
                }
                Poll::Ready(answered)
            }
            Projected::Refused { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                // It has been given: a future is not polled after its end, and nothing is left to say.
                None => Poll::Pending,
            },
            Projected::Asking { answer } => answer.as_mut().poll(cx),
        }
    }
}

impl<S> fmt::Debug for AuthenticationService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationService").field("demand", &self.plan.demand).finish_non_exhaustive()
    }
}

impl<F, C, E> fmt::Debug for Authenticating<F, C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticating").finish_non_exhaustive()
    }
}
