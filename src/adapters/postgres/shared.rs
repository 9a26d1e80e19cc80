//! What many publish at once shares a statement, and so a commit: one by one, publishing took five times as much of the server.
//!
//! Only events without an idempotency key share: whoever publishes with one may have to wait for another transaction that has
//! the same, and nobody else is to wait with them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::publish::{At, STEP};
use crate::error::{Error, ErrorKind, Result};
use crate::webhooks::model::{Publication, Published};

/// Calls that wait for their turn.
#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    calls: Vec<Call>,
    /// How many statements are under way.
    under_way: usize,
}

struct Call {
    publications: Vec<Publication>,
    at: At,
    answer: oneshot::Sender<Result<Vec<Published>>>,
}

impl PostgresStore {
    /// Publishes together with whoever else publishes now; each call stands or falls alone. A call whose future is dropped is
    /// published all the same.
    pub(super) async fn publish_shared(
        &self,
        publications: Vec<Publication>,
        at: At,
    ) -> Result<Vec<Published>> {
        let (answer, answered) = oneshot::channel();
        if self.inner.publishing.join(Call { publications, at, answer }) {
            let store = self.clone();
            tokio::spawn(async move { store.publish_what_waits().await });
        }
        answered.await.unwrap_or_else(|gone| Err(Error::new(ErrorKind::Unavailable, STEP).with_source(gone)))
    }

    async fn publish_what_waits(&self) {
        let mut turn = Turn { queue: &self.inner.publishing, is_over: false };
        while let Some(calls) = self.inner.publishing.next() {
            self.publish_together(calls).await;
        }
        turn.is_over = true;
    }

    async fn publish_together(&self, calls: Vec<Call>) {
        match self.publish_now(calls.iter().flat_map(Call::each).collect()).await {
            Ok(published) => {
                let mut published = published.into_iter();
                for call in calls {
                    let own = published.by_ref().take(call.publications.len()).collect();
                    call.answer(Ok(own));
                }
            }
            // Nobody knows whether it was written, so it must not be tried again.
            Err(error) if error.is_transient() => {
                let cause = Arc::new(error);
                for call in calls {
                    let cause = SharedCause(Arc::clone(&cause));
                    call.answer(Err(Error::new(cause.0.kind(), STEP).with_source(cause)));
                }
            }
            Err(error) => match <[Call; 1]>::try_from(calls) {
                Ok([call]) => call.answer(Err(error)),
                // One of them was refused, and nothing was written: each is judged alone.
                Err(calls) => {
                    for call in calls {
                        let outcome = self.publish_now(call.each().collect()).await;
                        call.answer(outcome);
                    }
                }
            },
        }
    }
}

impl Queue {
    /// Lines up; says whether the caller has to begin a statement.
    fn join(&self, call: Call) -> bool {
        let mut waiting = self.lock();
        waiting.calls.push(call);
        let begins = waiting.under_way < MOST_UNDER_WAY;
        waiting.under_way += usize::from(begins);
        begins
    }

    /// What goes into the next statement; none if nobody waits.
    fn next(&self) -> Option<Vec<Call>> {
        let mut waiting = self.lock();
        let (mut events, mut bytes) = (0, 0);
        let fits = |call: &&Call| {
            events += call.publications.len();
            bytes += call.each().map(|(publication, _)| publication.event.payload.len()).sum::<usize>();
            events <= MOST_EVENTS && bytes <= MOST_BYTES
        };
        // However large the first one is, it goes.
        let count = waiting.calls.iter().take_while(fits).count().max(1).min(waiting.calls.len());
        let calls: Vec<_> = waiting.calls.drain(..count).collect();
        if calls.is_empty() {
            waiting.under_way -= 1;
            return None;
        }
        Some(calls)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the turn back if its task ends before its time; whoever waits then hears that nobody will come.
struct Turn<'a> {
    queue: &'a Queue,
    is_over: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut waiting = self.queue.lock();
        waiting.under_way -= 1;
        if waiting.under_way == 0 {
            waiting.calls.clear();
        }
    }
}

impl Call {
    fn each(&self) -> impl Iterator<Item = (&Publication, At)> {
        self.publications.iter().map(|publication| (publication, self.at))
    }

    fn answer(self, outcome: Result<Vec<Published>>) {
        // Whoever has stopped waiting does not want to know.
        drop(self.answer.send(outcome));
    }
}

/// What several callers are told.
#[derive(Debug)]
struct SharedCause(Arc<Error>);

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for SharedCause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// One is written while another is made durable.
const MOST_UNDER_WAY: usize = 2;
const MOST_EVENTS: usize = 500;
const MOST_BYTES: usize = 4 << 20;
