//! How a call that was let in was answered, told to the gate by whoever answered it.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::api_keys::call::Authenticated;
use crate::api_keys::calls::{CallPlace, Ended};
use crate::api_keys::gate::Gate;
use crate::api_keys::route::Route;

/// How a call was answered. It borrows everything.
///
/// ```
/// use std::time::Duration;
/// use crossdock::api_keys::Answered;
/// use http::{Method, StatusCode};
///
/// let answered = Answered::new(&Method::GET, "/orders/{id}", StatusCode::OK, Duration::from_millis(3));
///
/// assert!(format!("{answered:?}").contains("/orders/{id}"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    method: &'a Method,
    route: &'a str,
    status: StatusCode,
    latency: Duration,
}

/// A call that was let in, and is being answered; from [`Gate::open`]. It holds no borrow and takes no memory of its own, so that a
/// layer can carry it along.
///
/// Dropping it leaves the call out of the log, as one that nobody has waited for.
#[derive(Clone, Debug)]
pub struct OpenCall {
    gate: Gate,
    caller: Authenticated,
    place: CallPlace,
}

impl<'a> Answered<'a> {
    /// A call with this method of this matched route, such as `/orders/{id}`, was answered with this status after this time.
    pub const fn new(method: &'a Method, route: &'a str, status: StatusCode, latency: Duration) -> Self {
        Self { method, route, status, latency }
    }
}

impl Gate {
    /// Remembers how a call was answered, for the [activity log](crate::activity). It waits for nothing and writes nothing: what is
    /// remembered is written down together with the usage, [every minute](Gate::run_until).
    ///
    /// Errors are told one by one, up to some; what succeeded is counted by key, route, class of status and minute.
    #[inline]
    pub fn record(&self, caller: &Authenticated, answered: &Answered<'_>) {
        let latency = i64::try_from(answered.latency.as_micros()).unwrap_or(i64::MAX);
        let at = caller.at.saturating_add(latency);
        self.end(caller, &CallPlace::new(answered.method, Route::of(answered.route)), answered.status, at);
    }

    /// Begins a call whose answer is not known yet: its time counts from when it was let in.
    #[inline]
    pub fn open(&self, caller: &Authenticated, method: &Method, route: &str) -> OpenCall {
        OpenCall {
            gate: self.clone(),
            caller: caller.clone(),
            place: CallPlace::new(method, Route::of(route)),
        }
    }

    #[inline]
    fn end(&self, caller: &Authenticated, place: &CallPlace, status: StatusCode, at: i64) {
        let latency = at.saturating_sub(caller.at).max(0).cast_unsigned();
        let ended = Ended { at, latency, status, address: caller.address };
        self.0.calls.record(caller.tenant(), caller.key(), place, &ended);
    }
}

impl OpenCall {
    /// Remembers how it was answered, as [`Gate::record`].
    #[inline]
    pub fn answered(self, status: StatusCode) {
        let at = self.gate.0.now();
        self.gate.end(&self.caller, &self.place, status, at);
    }
}
