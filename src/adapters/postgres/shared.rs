//! What many give at once shares a statement, and so a commit: one by one, publishing took five times as much of the server.
//!
//! Of publications only small calls without an idempotency key share. A large one is worth a statement of its own; and whoever
//! publishes with a key may have to wait for another transaction that has the same, and nobody else is to wait with them. What is
//! received always shares: its transactions are short, and nobody else's.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::publish::{At, STEP};
use crate::error::{Error, ErrorKind, Result};
use crate::webhooks::model::{Publication, Published};

/// What can be given together with what others give.
pub(super) trait Together: Send + Sync + Sized + 'static {
    /// What one of them is answered.
    type Answer: Send + 'static;
    /// What is being done, for errors.
    const STEP: &'static str;

    /// Where it lines up.
    fn queue(store: &PostgresStore) -> &Queue<Self>;

    /// How large it is.
    fn bytes(&self) -> usize;

    /// Writes all of them or none, in one statement; answers in their order.
    fn write<'a>(
        store: &'a PostgresStore,
        all: Vec<&'a Self>,
    ) -> impl Future<Output = Result<Vec<Self::Answer>>> + Send + 'a;
}

/// Calls that wait for their turn.
pub(super) struct Queue<T: Together> {
    waiting: Mutex<Waiting<T>>,
    all_are_back: Notify,
}

struct Waiting<T: Together> {
    calls: Vec<Call<T>>,
    /// How many statements are under way.
    under_way: usize,
    /// So many calls are waited for before the next statement.
    wanted: Option<usize>,
}

struct Call<T: Together> {
    items: Vec<T>,
    answer: oneshot::Sender<Result<Vec<T::Answer>>>,
}

impl Together for (Publication, At) {
    type Answer = Published;
    const STEP: &'static str = STEP;

    fn queue(store: &PostgresStore) -> &Queue<Self> {
        &store.inner.publishing
    }

    fn bytes(&self) -> usize {
        self.0.event.payload.len()
    }

    async fn write<'a>(store: &'a PostgresStore, all: Vec<&'a Self>) -> Result<Vec<Published>> {
        store.publish_now(all.into_iter().map(|(publication, at)| (publication, *at)).collect()).await
    }
}

impl PostgresStore {
    /// Writes together with whoever else writes now; each call stands or falls alone. What a call gives whose future is dropped is
    /// written all the same.
    pub(super) async fn write_together<T: Together>(&self, items: Vec<T>) -> Result<Vec<T::Answer>> {
        let (answer, mut answered) = oneshot::channel();
        let queue = T::queue(self);
        if queue.join(Call { items, answer }) {
            Turn::<T>::begin(self);
        } else if let Ok(answer) = timeout(PATIENCE, &mut answered).await {
            return answer.unwrap_or_else(nobody_came::<T>);
        } else if queue.begins_beside() {
            Turn::<T>::begin(self);
        }
        answered.await.unwrap_or_else(nobody_came::<T>)
    }

    /// Writes what these calls bring, and answers them; says whether all went well.
    async fn write_calls<T: Together>(&self, calls: Vec<Call<T>>) -> bool {
        match T::write(self, calls.iter().flat_map(|call| &call.items).collect()).await {
            Ok(written) => {
                let mut written = written.into_iter();
                for call in calls {
                    let own = written.by_ref().take(call.items.len()).collect();
                    call.answer(Ok(own));
                }
                return true;
            }
            // Nobody knows whether it was written, so it must not be tried again.
            Err(error) if error.is_transient() => {
                let cause = Arc::new(error);
                for call in calls {
                    let cause = SharedCause(Arc::clone(&cause));
                    call.answer(Err(Error::new(cause.0.kind(), T::STEP).with_source(cause)));
                }
            }
            Err(error) => match <[Call<T>; 1]>::try_from(calls) {
                Ok([call]) => call.answer(Err(error)),
                // One of them was refused, and nothing was written: each is judged alone.
                Err(calls) => {
                    for call in calls {
                        let outcome = T::write(self, call.items.iter().collect()).await;
                        call.answer(outcome);
                    }
                }
            },
        }
        false
    }
}

impl<T: Together> Default for Queue<T> {
    fn default() -> Self {
        let waiting = Mutex::new(Waiting { calls: Vec::new(), under_way: 0, wanted: None });
        Self { waiting, all_are_back: Notify::new() }
    }
}

impl<T: Together> Queue<T> {
    /// Lines up; says whether the caller has to begin a statement.
    fn join(&self, call: Call<T>) -> bool {
        let mut waiting = self.lock();
        waiting.calls.push(call);
        if let Some(wanted) = waiting.wanted {
            if waiting.calls.len() >= wanted {
                waiting.wanted = None;
                self.all_are_back.notify_one();
            }
            return false;
        }
        let begins = match waiting.under_way {
            0 => true,
            under_way => under_way < MOST_UNDER_WAY && waiting.calls.len() >= WORTH_ANOTHER,
        };
        waiting.under_way += usize::from(begins);
        begins
    }

    /// Says whether a caller who has waited for long has to begin a statement: the one under way may be stuck.
    fn begins_beside(&self) -> bool {
        let mut waiting = self.lock();
        let begins = !waiting.calls.is_empty() && waiting.under_way < MOST_UNDER_WAY;
        if begins {
            waiting.wanted = None;
        }
        waiting.under_way += usize::from(begins);
        begins
    }

    /// Waits until so many calls are here, but not for long, and only if nobody else does. Whoever waits is not counted as under way:
    /// should this never go on, others do.
    async fn until_back(&self, wanted: usize, patience: Duration) {
        let wanted = wanted.min(WORTH_ANOTHER);
        {
            let mut waiting = self.lock();
            if waiting.wanted.is_some() || waiting.calls.len() >= wanted {
                return;
            }
            waiting.wanted = Some(wanted);
            waiting.under_way -= 1;
        }
        let _counted_again = Back(self);
        // Whoever does not come has something else to do.
        let _ = timeout(patience, self.all_are_back.notified()).await;
    }

    /// What goes into the next statement; none if nobody waits.
    fn next(&self) -> Option<Vec<Call<T>>> {
        let mut waiting = self.lock();
        let (mut items, mut bytes) = (0, 0);
        let fits = |call: &&Call<T>| {
            items += call.items.len();
            bytes += call.items.iter().map(T::bytes).sum::<usize>();
            items <= MOST_ITEMS && bytes <= MOST_BYTES
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

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a statement that has waited for a crowd as under way again.
struct Back<'a, T: Together>(&'a Queue<T>);

impl<T: Together> Drop for Back<'_, T> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.wanted = None;
        waiting.under_way += 1;
    }
}

/// The right to write what waits. If it ends before its time it is given back; whoever waits then hears that nobody will come.
struct Turn<T: Together> {
    store: PostgresStore,
    is_over: bool,
    of: PhantomData<fn() -> T>,
}

impl<T: Together> Turn<T> {
    /// Begins one that has been counted.
    fn begin(store: &PostgresStore) {
        // Made before the task, which may never run.
        let turn = Self { store: store.clone(), is_over: false, of: PhantomData };
        tokio::spawn(turn.write_what_waits());
    }

    async fn write_what_waits(mut self) {
        let queue = T::queue(&self.store);
        while let Some(calls) = queue.next() {
            let (answered, begun) = (calls.len(), Instant::now());
            let went_well = self.store.write_calls(calls).await;
            if went_well && answered >= A_CROWD {
                queue.until_back(answered, (begun.elapsed() / 4).min(LONGEST)).await;
            }
        }
        self.is_over = true;
    }
}

impl<T: Together> Drop for Turn<T> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut waiting = T::queue(&self.store).lock();
        waiting.under_way -= 1;
        if waiting.under_way == 0 && waiting.wanted.is_none() {
            waiting.calls.clear();
        }
    }
}

fn nobody_came<T: Together>(gone: oneshot::Canceled) -> Result<Vec<T::Answer>> {
    Err(Error::new(ErrorKind::Unavailable, T::STEP).with_source(gone))
}

impl<T: Together> Call<T> {
    fn answer(self, outcome: Result<Vec<T::Answer>>) {
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
/// So many calls are worth a statement beside the one under way; fewer cost less in the next one: 64 tasks that published one by one
/// got a tenth more done by it.
const WORTH_ANOTHER: usize = 64;
/// When so many have been answered at once, the next statement waits for them to come back, a quarter of the time that this one took, but
/// not longer than that. Else whoever comes back first goes alone, and every second statement, with a commit of its own, carries next to
/// nothing.
const A_CROWD: usize = 4;
const LONGEST: Duration = Duration::from_millis(10);
/// Whoever has waited for so long does not wait for the one under way any longer.
const PATIENCE: Duration = Duration::from_millis(50);
const MOST_ITEMS: usize = 500;
const MOST_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Nothing that could be written.
    struct Nothing;

    impl Together for Nothing {
        type Answer = ();
        const STEP: &'static str = "test";

        fn queue(_: &PostgresStore) -> &Queue<Self> {
            unreachable!("these trials have no store")
        }

        fn bytes(&self) -> usize {
            0
        }

        async fn write<'a>(_: &'a PostgresStore, _: Vec<&'a Self>) -> Result<Vec<()>> {
            unreachable!("these trials have no store")
        }
    }

    /// Says whether whoever joins has to begin a statement.
    fn join(queue: &Queue<Nothing>) -> bool {
        let (answer, _) = oneshot::channel();
        queue.join(Call { items: vec![Nothing], answer })
    }

    fn run(story: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(story);
    }

    const SHORT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn whoever_waits_for_a_crowd_goes_on_when_all_are_back() {
        run(async {
            let queue = Arc::new(Queue::<Nothing>::default());
            assert!(join(&queue));
            assert!(queue.next().is_some());
            let waiting = tokio::spawn({
                let queue = Arc::clone(&queue);
                async move { queue.until_back(3, LONG).await }
            });
            for _ in 0..3 {
                tokio::task::yield_now().await;
                assert!(!waiting.is_finished());
                assert!(!join(&queue), "they are waited for");
            }

            waiting.await.expect("no panic");
            assert_eq!(queue.next().map(|calls| calls.len()), Some(3));
            assert!(queue.next().is_none());
            assert!(join(&queue), "nothing is under way");
        });
    }

    #[test]
    fn those_who_do_not_come_back_are_not_waited_for() {
        run(async {
            let queue = Queue::<Nothing>::default();
            join(&queue);
            queue.next();
            join(&queue);
            let begun = Instant::now();

            queue.until_back(3, SHORT).await;

            assert!(begun.elapsed() >= SHORT);
            join(&queue);
            queue.until_back(2, LONG).await;
            assert_eq!(queue.next().map(|calls| calls.len()), Some(2), "they are here already");
        });
    }

    #[test]
    fn what_waits_for_a_crowd_and_never_goes_on_stops_nobody() {
        run(async {
            let queue = Queue::<Nothing>::default();
            join(&queue);
            queue.next();
            {
                let mut stuck = std::pin::pin!(queue.until_back(9, LONG));
                assert!(stuck.as_mut().now_or_never().is_none());
                assert!(!join(&queue));

                assert!(queue.begins_beside(), "after a while");
                assert_eq!(queue.next().map(|calls| calls.len()), Some(1));
                assert!(queue.next().is_none());
                assert!(join(&queue), "nobody is waited for any more");
                queue.next();
            }
            // It has ended after all, and is counted.
            assert_eq!(queue.lock().under_way, 2);
        });
    }
}
