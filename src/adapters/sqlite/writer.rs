//! The one thread that writes: what queues up while a transaction runs shares the next one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use futures_channel::oneshot;
use rusqlite::Connection;

use crate::adapters::sqlite::connection::Place;
use crate::adapters::sqlite::fault::{Done, Fault, Shared};
use crate::adapters::sqlite::session::Session;
use crate::error::{Error, ErrorKind, Result};

/// A step that somebody waits for.
pub(super) trait Work: Send {
    /// Whether somebody still waits: what nobody has begun and nobody waits for is not done.
    fn is_wanted(&self) -> bool;

    /// Takes the step; may be called again after what it has done was undone.
    fn run(&mut self, session: &Session<'_>) -> Done<()>;

    /// Remembers that the step failed.
    fn fail(&mut self, fault: Fault);

    /// Answers with what `run` or `fail` has left.
    fn answer(self: Box<Self>);

    /// Answers that what it had to share with others has failed.
    fn answer_failed(self: Box<Self>, cause: &Shared);
}

pub(super) struct Task<T, F> {
    step: &'static str,
    act: F,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: Fn(&Session<'_>) -> Done<T> + Send> Task<T, F> {
    pub(super) const fn new(step: &'static str, act: F, answer: oneshot::Sender<Result<T>>) -> Self {
        Self { step, act, outcome: None, answer }
    }

    fn send(self, answer: Result<T>) {
        // Whoever has stopped waiting does not want to know.
        drop(self.answer.send(answer));
    }
}

impl<T: Send, F: Fn(&Session<'_>) -> Done<T> + Send> Work for Task<T, F> {
    fn is_wanted(&self) -> bool {
        !self.answer.is_canceled()
    }

    fn run(&mut self, session: &Session<'_>) -> Done<()> {
        let done = catch_unwind(AssertUnwindSafe(|| (self.act)(session)));
        let done = done.unwrap_or_else(|_panic| Err(Fault::new(ErrorKind::Internal, self.step)))?;
        self.outcome = Some(Ok(done));
        Ok(())
    }

    fn fail(&mut self, fault: Fault) {
        self.outcome = Some(Err(fault.during(self.step)));
    }

    fn answer(mut self: Box<Self>) {
        let unanswered = || Err(Error::new(ErrorKind::Internal, self.step));
        let outcome = self.outcome.take().unwrap_or_else(unanswered);
        self.send(outcome);
    }

    fn answer_failed(self: Box<Self>, cause: &Shared) {
        let failure = cause.during(self.step);
        self.send(Err(failure));
    }
}

/// The thread's work: ends when nobody can ask for anything any more, and everything that was asked for is done.
pub(super) fn write(
    place: &Place,
    connection: Connection,
    requests: &Receiver<Box<dyn Work>>,
    commits: &Arc<AtomicU64>,
) {
    let mut connection = Some(connection);
    while let Ok(first) = requests.recv() {
        let opened = match connection.take() {
            Some(connection) => Ok(connection),
            None => place.open_for_writing(),
        };
        match opened {
            Ok(opened) => {
                let session = Session::new(&opened);
                let writer = Writer { session: &session, commits };
                if writer.serve(first, requests) == Connected::Well {
                    return;
                }
            }
            Err(fault) => {
                let cause = Shared::from(fault.during("open the SQLite store"));
                first.answer_failed(&cause);
                requests.try_iter().for_each(|waiting| waiting.answer_failed(&cause));
            }
        }
    }
}

/// No more steps than this share a transaction: those who wait for it would wait for too long.
const MOST_TOGETHER: usize = 512;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Connected {
    Well,
    /// The connection is to be opened anew.
    Badly,
}

struct Writer<'a, 'c> {
    session: &'a Session<'c>,
    commits: &'a AtomicU64,
}

impl Writer<'_, '_> {
    fn serve(&self, first: Box<dyn Work>, requests: &Receiver<Box<dyn Work>>) -> Connected {
        let mut first = Some(first);
        loop {
            let Some(next) = first.take().or_else(|| requests.recv().ok()) else { return Connected::Well };
            let mut group = vec![next];
            group.extend(requests.try_iter().take(MOST_TOGETHER - 1));
            group.retain(|work| work.is_wanted());
            if !group.is_empty() && self.commit(group) == Connected::Badly {
                return Connected::Badly;
            }
        }
    }

    fn commit(&self, mut group: Vec<Box<dyn Work>>) -> Connected {
        match self.try_commit(&mut group) {
            Ok(connected) => {
                group.into_iter().for_each(|work| work.answer());
                connected
            }
            // One of them has undone it all, or all of them together were too much: each for itself.
            Err(Undone::Together(_)) if group.len() > 1 && self.session.connection().is_autocommit() => {
                let mut connected = Connected::Well;
                for work in group {
                    if self.commit(vec![work]) == Connected::Badly {
                        connected = Connected::Badly;
                    }
                }
                connected
            }
            Err(Undone::Together(fault) | Undone::NotBegun(fault)) => {
                let is_well = !fault.spoils_connection() && self.session.connection().is_autocommit();
                let connected = if is_well { Connected::Well } else { Connected::Badly };
                let cause = Shared::from(fault.during("write to the SQLite store"));
                group.into_iter().for_each(|work| work.answer_failed(&cause));
                connected
            }
        }
    }

    fn try_commit(&self, group: &mut [Box<dyn Work>]) -> Result<Connected, Undone> {
        let connection = self.session.connection();
        self.session.run("BEGIN IMMEDIATE", []).map_err(Undone::NotBegun)?;
        let mut connected = Connected::Well;
        for work in group {
            let done = self.run_alone(work.as_mut()).map_err(|fault| self.undo(fault))?;
            if let Err(fault) = done {
                if fault.spoils_connection() {
                    connected = Connected::Badly;
                }
                // Some failures, such as a full disk, undo the whole transaction by themselves.
                if connection.is_autocommit() {
                    self.session.forget();
                    return Err(Undone::Together(fault));
                }
                work.fail(fault);
            }
        }
        self.session.run("COMMIT", []).map_err(|fault| self.undo(fault))?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(connected)
    }

    /// Undoes the whole transaction.
    fn undo(&self, fault: Fault) -> Undone {
        self.session.forget();
        if !self.session.connection().is_autocommit()
            && let Err(worse) = self.session.run("ROLLBACK", [])
        {
            return Undone::Together(worse);
        }
        Undone::Together(fault)
    }

    /// All of a step, or nothing of it.
    ///
    /// # Errors
    /// Nobody knows what is left of the step: its transaction must not be kept.
    fn run_alone(&self, work: &mut dyn Work) -> Result<Done<()>, Fault> {
        self.session.run("SAVEPOINT crossdock_step", [])?;
        let done = work.run(self.session);
        if done.is_err() {
            self.session.forget();
            if self.session.connection().is_autocommit() {
                return Ok(done);
            }
            self.session.run("ROLLBACK TO crossdock_step", [])?;
        }
        self.session.run("RELEASE crossdock_step", [])?;
        Ok(done)
    }
}

/// Why nothing of a group was written.
enum Undone {
    /// Somebody else has the lock, or the file cannot be written.
    NotBegun(Fault),
    /// What was begun is undone.
    Together(Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(act: impl Fn(&Session<'_>) -> Done<()> + Send + 'static) -> (Box<dyn Work>, Answer) {
        let (answer, answered) = oneshot::channel();
        (Box::new(Task::new("take a step", act, answer)), answered)
    }

    type Answer = oneshot::Receiver<Result<()>>;

    #[test]
    fn half_of_a_step_is_never_committed() -> Done<()> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch("CREATE TABLE shop (n INTEGER PRIMARY KEY) STRICT")?;
        let (whole, mut told_whole) = step(|session| {
            session.run("INSERT INTO shop (n) VALUES (1)", [])?;
            Ok(())
        });
        let (half, mut told_half) = step(|session| {
            session.run("INSERT INTO shop (n) VALUES (2)", [])?;
            // From here on, nobody can undo this step alone.
            session.run("RELEASE crossdock_step", [])?;
            Err(Fault::new(ErrorKind::Conflict, "take half a step"))
        });

        let session = Session::new(&connection);
        let connected = Writer { session: &session, commits: &Arc::default() }.commit(vec![whole, half]);

        assert_eq!(connected, Connected::Well);
        assert!(matches!(told_whole.try_recv(), Ok(Some(Ok(())))));
        assert!(matches!(told_half.try_recv(), Ok(Some(Err(_)))));
        let kept = session.all("SELECT n FROM shop", [], |row| Ok(row.get::<_, i64>(0)?))?;
        assert_eq!(kept, [1]);
        Ok(())
    }
}
