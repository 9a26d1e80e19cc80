//! The threads that read: each has a connection of its own, and each step sees one state of the database.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};

use futures_channel::oneshot;

use crate::adapters::sqlite::connection::Place;
use crate::adapters::sqlite::fault::{Done, Fault, Shared};
use crate::adapters::sqlite::session::Session;
use crate::error::{ErrorKind, Result};

/// A question that somebody waits for the answer of.
pub(super) trait Question: Send {
    /// Answers; says whether the connection can be used again.
    fn ask(self: Box<Self>, session: &Session<'_>) -> Usable;

    /// Answers that the file cannot be opened.
    fn answer_failed(self: Box<Self>, cause: &Shared);
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Usable {
    Yes,
    No,
}

pub(super) struct Asked<T, F> {
    step: &'static str,
    act: F,
    answer: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnOnce(&Session<'_>) -> Done<T> + Send> Asked<T, F> {
    pub(super) const fn new(step: &'static str, act: F, answer: oneshot::Sender<Result<T>>) -> Self {
        Self { step, act, answer }
    }
}

impl<T: Send, F: FnOnce(&Session<'_>) -> Done<T> + Send> Question for Asked<T, F> {
    fn ask(self: Box<Self>, session: &Session<'_>) -> Usable {
        if self.answer.is_canceled() {
            return Usable::Yes;
        }
        let Self { step, act, answer } = *self;
        let found = catch_unwind(AssertUnwindSafe(|| in_one_state(session, act)));
        let found = found.unwrap_or_else(|_panic| Err(Fault::new(ErrorKind::Internal, step)));
        let is_well = found.as_ref().err().is_none_or(|fault| !fault.spoils_connection());
        let usable = if is_well && session.connection().is_autocommit() { Usable::Yes } else { Usable::No };
        // Whoever has stopped waiting does not want to know.
        drop(answer.send(found.map_err(|fault| fault.during(step))));
        usable
    }

    fn answer_failed(self: Box<Self>, cause: &Shared) {
        drop(self.answer.send(Err(cause.during(self.step))));
    }
}

/// Everything that is read belongs together.
fn in_one_state<T>(session: &Session<'_>, act: impl FnOnce(&Session<'_>) -> Done<T>) -> Done<T> {
    session.run("BEGIN", [])?;
    let found = act(session);
    // Some failures end the transaction by themselves.
    if !session.connection().is_autocommit() {
        session.run("COMMIT", [])?;
    }
    found
}

/// The thread's work: ends when nobody can ask for anything any more.
pub(super) fn read(place: &Place, questions: &Mutex<Receiver<Box<dyn Question>>>) {
    while let Some(first) = next(questions) {
        match place.open_for_reading() {
            Ok(connection) => answer_all(&Session::new(&connection), first, questions),
            Err(fault) => first.answer_failed(&Shared::from(fault.during("open the SQLite store"))),
        }
    }
}

/// Answers as long as there are questions and the connection can be used.
fn answer_all(
    session: &Session<'_>,
    first: Box<dyn Question>,
    questions: &Mutex<Receiver<Box<dyn Question>>>,
) {
    let mut question = Some(first);
    while let Some(asked) = question {
        if asked.ask(session) == Usable::No {
            return;
        }
        question = next(questions);
    }
}

/// One thread waits for the next question, the others for their turn to wait.
fn next(questions: &Mutex<Receiver<Box<dyn Question>>>) -> Option<Box<dyn Question>> {
    questions.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
