//! Who waits for which lookup: names that nobody answers for must not take the lookups of all others with them.
//!
//! A lookup cannot be ended from outside: the system's call blocks its thread for as long as the name servers keep it waiting.
//! So each one runs in a task of its own, at most once per name, and at most [`PER_PARTY`] for one party.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::resolve::Resolve;

/// Looks names up on behalf of parties.
#[derive(Clone)]
pub(super) struct Lookups {
    resolver: Arc<dyn Resolve>,
    running: Arc<Mutex<Running>>,
}

/// `None` if there was no answer.
type Answer = Option<Arc<[IpAddr]>>;
type Flight = Shared<BoxFuture<'static, Answer>>;

#[derive(Default)]
struct Running {
    flights: HashMap<Arc<str>, Flight>,
    parties: HashMap<Arc<str>, Arc<Semaphore>>,
}

/// A lookup that runs. However it ends, its name can be looked up again then, and its seat is free.
struct Place {
    running: Arc<Mutex<Running>>,
    name: Arc<str>,
    _seat: Option<Seat>,
}

/// One of a party's lookups.
struct Seat {
    running: Arc<Mutex<Running>>,
    party: Arc<str>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lookups {
    pub(super) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, running: Arc::default() }
    }

    /// The addresses of a name. Dropping the future leaves the lookup running, for whoever asks next.
    pub(super) async fn addresses(&self, party: Option<&Arc<str>>, name: &str) -> Answer {
        let running = lock(&self.running).flights.get(name).cloned();
        let flight = match running {
            Some(flight) => flight,
            None => {
                // Nobody may join before the lookup runs: else they would wait for a seat of another party's.
                let seat = match party {
                    Some(party) => Some(self.seat(party).await?),
                    None => None,
                };
                self.join_or_start(name, seat)
            }
        };
        flight.await
    }

    async fn seat(&self, party: &Arc<str>) -> Option<Seat> {
        let seats = {
            let mut running = lock(&self.running);
            let seats = running.parties.entry(Arc::clone(party));
            Arc::clone(seats.or_insert_with(|| Arc::new(Semaphore::new(PER_PARTY))))
        };
        let permit = seats.acquire_owned().await.ok()?;
        Some(Seat { running: Arc::clone(&self.running), party: Arc::clone(party), permit: Some(permit) })
    }

    fn join_or_start(&self, name: &str, seat: Option<Seat>) -> Flight {
        let mut running = lock(&self.running);
        if let Some(flight) = running.flights.get(name).cloned() {
            // A seat that is given back takes the lock.
            drop(running);
            drop(seat);
            return flight;
        }
        let name: Arc<str> = name.into();
        let place = Place { running: Arc::clone(&self.running), name: Arc::clone(&name), _seat: seat };
        let resolver = Arc::clone(&self.resolver);
        let lookup = tokio::spawn(async move {
            let answer = resolver.resolve(&place.name).await;
            drop(place);
            answer.ok().map(Arc::from)
        });
        let flight = lookup.map(|answer| answer.ok().flatten()).boxed().shared();
        running.flights.insert(name, flight.clone());
        flight
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.running).flights.remove(&self.name);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        self.permit = None;
        // Whoever waits for a seat, or has one, holds on to the seats.
        if running.parties.get(&self.party).is_some_and(|seats| Arc::strong_count(seats) == 1) {
            running.parties.remove(&self.party);
        }
    }
}

impl Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lookups").field(&self.resolver).finish()
    }
}

/// Nothing under the lock can panic and leave something half done.
fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lookups of one party at once: an eighth of what the system's resolver runs at once.
const PER_PARTY: usize = 16;
