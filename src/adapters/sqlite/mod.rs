//! The durable store of one machine: every storage port in one SQLite file (feature `sqlite`).
//!
//! | file | decides |
//! |---|---|
//! | `builder`, `connection` | how the file is opened |
//! | `schema.sql`, `migrations` | the tables, version by version |
//! | `writer` | one thread writes: what queues up while a transaction runs shares the next one |
//! | `readers` | a few threads read |
//! | `session`, `columns`, `fault` | statements, columns, errors |
//! | `publish`, `host_transaction` | events are written, also in a transaction of the host's own |
//! | `outbox`, `claim`, `settle` | the engine's other steps |
//! | `lane`, `order` | what holds a webhook's deliveries back, and which of an order goes next |
//! | `webhooks`, `deliveries`, `repair`, `replays`, `activity` | what an administrator sees and changes |
//! | `retention` | what goes, and when |
//! | `examine` | how the queue stands |
//! | `keys.sql`, `keys` | API keys and their use |
//! | `inbound.sql`, `sources`, `received`, `received_list` | sources, and what was received from them |
//! | `queue_port`, `repository_port`, `keys_port`, `inbound_port` | the ports, each method one step of the writer or of a reader |
//!
//! # The file
//! All tables begin with `crossdock_`, so that they can be, and for publishing inside the host's transaction must be, in the
//! host's own database file. The file is in WAL mode. Several processes may have it open: transactions that write take the lock
//! at once and wait for each other, and nothing that is kept in memory is trusted without a look at its revision.
//!
//! # Publishing inside a transaction of the host's own
//! What [`Hub::prepare`](crate::Hub::prepare) gives is written with the host's change, and goes with it if that is rolled back.
//! Begin such a transaction with `TransactionBehavior::Immediate` and give the connection a busy timeout: whoever reads first and
//! wants to write then may find that somebody else has written meanwhile. Workers find the event within a second after the commit.
//!
//! ```
//! use std::sync::Arc;
//!
//! use chrono::DateTime;
//! use crossdock::adapters::sqlite::SqliteStore;
//! use crossdock::events::{Event, EventHead};
//! use crossdock::primitives::EventId;
//! use crossdock::webhooks::{DeliveryQueue, Publication};
//! use rusqlite::{Connection, TransactionBehavior};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("shop.db");
//! # let now = DateTime::UNIX_EPOCH;
//! let store = SqliteStore::open(&path)?;
//! let mut shop = Connection::open(&path)?;
//! shop.execute_batch("CREATE TABLE orders (name TEXT)")?;
//!
//! let transaction = shop.transaction_with_behavior(TransactionBehavior::Immediate)?;
//! transaction.execute("INSERT INTO orders (name) VALUES ('A-7')", [])?;
//! # let head = EventHead::new(EventId::mint(now, [7; 10]), "org_42".parse()?, "order.made".parse()?, now);
//! # let prepared = Publication::new(Arc::new(Event::new(head, "{}")), [0; 32]);
//! prepared.write_in(&transaction)?;
//! transaction.commit()?;
//!
//! assert_eq!(store.outbox(10, now).await?.entries.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Linking SQLite
//! This crate does not choose how SQLite is linked. Say it in the host's own dependency: `rusqlite` with its feature `bundled`, or
//! without it where the system's library is wanted, 3.37 or newer.
//!
//! # What a commit costs
//! With `synchronous=FULL`, the default, each transaction waits for the disk; an acknowledged event survives a power cut. The more
//! callers wait at once, the more of them share one transaction.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use futures_channel::oneshot;
use rusqlite::Connection;

mod activity;
mod builder;
mod claim;
mod columns;
mod connection;
mod deliveries;
mod examine;
mod fault;
mod host_transaction;
mod inbound_port;
mod keys;
mod keys_port;
mod lane;
mod migrations;
mod order;
mod outbox;
mod publish;
mod queue_port;
mod readers;
mod received;
mod received_list;
mod repair;
mod replays;
mod repository_port;
mod retention;
mod session;
mod settle;
mod sources;
mod webhooks;
mod writer;

pub use builder::SqliteStoreBuilder;
pub use migrations::{Migration, migrations};
pub use publish::{PublicationRow, PublishStatements, publish_statements};

use crate::adapters::sqlite::builder::OPEN;
use crate::adapters::sqlite::connection::Place;
use crate::adapters::sqlite::fault::Done;
use crate::adapters::sqlite::readers::{Asked, Question, read};
use crate::adapters::sqlite::session::Session;
use crate::adapters::sqlite::writer::{Task, Work, write};
use crate::error::{Error, ErrorKind, Result};

/// Keeps everything in one SQLite file: the durable store of one machine.
///
/// A clone is the same store. It needs no async runtime: one thread of its own writes, a few read. When the last clone is dropped,
/// the step that runs is ended, the threads end, and the file is closed; the drop waits for that.
///
/// Dropping the future of a step leaves the step done or not done, whole: what nobody has begun and nobody waits for is not done.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::adapters::sqlite::SqliteStore;
/// use crossdock::webhooks::DeliveryQueue;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("hub.db");
/// let store = SqliteStore::open(path)?;
///
/// let outbox = store.outbox(10, DateTime::UNIX_EPOCH).await?;
///
/// assert!(outbox.entries.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// `None` only while the store is being dropped.
    writer: Option<Sender<Box<dyn Work>>>,
    readers: Option<Sender<Box<dyn Question>>>,
    /// The engine's own: whatever people list, events are fanned out.
    engine_reader: Option<Sender<Box<dyn Question>>>,
    writing: Option<JoinHandle<()>>,
    reading: Vec<JoinHandle<()>>,
    /// How many transactions were committed.
    commits: Arc<AtomicU64>,
}

impl SqliteStore {
    /// Opens the file, or makes it, and brings its tables to the present version, on the caller's thread.
    ///
    /// # Errors
    /// As [`SqliteStoreBuilder::open`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// A store in this file that is opened in another way than usual.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteStoreBuilder {
        SqliteStoreBuilder::new(path.into())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn start(place: Place, connection: Connection, readers: usize) -> Result<Self> {
        let (writer, requests) = channel();
        let (reader, questions) = channel();
        let commits = Arc::new(AtomicU64::new(0));
        let path = place.path.clone();
        let (for_writer, counter) = (place.clone(), Arc::clone(&commits));
        let writing = spawn("crossdock-sqlite-writer", move || {
            write(&for_writer, connection, &requests, &counter);
        })?;
        let (engine_reader, engine_questions) = channel();
        let mut reading = readers_of(&place, questions, readers)?;
        reading.extend(readers_of(&place, engine_questions, 1)?);
        let (writer, readers, writing) = (Some(writer), Some(reader), Some(writing));
        let engine_reader = Some(engine_reader);
        Ok(Self(Arc::new(Inner { path, writer, readers, engine_reader, writing, reading, commits })))
    }

    /// Takes a step on the writer's thread; it may be taken again after it was undone.
    async fn write<T: Send + 'static>(
        &self,
        step: &'static str,
        act: impl Fn(&Session<'_>) -> Done<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let ended = || Error::new(ErrorKind::Internal, step).with_source("the thread that writes has ended");
        let writer = self.0.writer.as_ref().ok_or_else(ended)?;
        writer.send(Box::new(Task::new(step, act, answer))).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Asks one of the readers.
    async fn read<T: Send + 'static>(
        &self,
        step: &'static str,
        act: impl FnOnce(&Session<'_>) -> Done<T> + Send + 'static,
    ) -> Result<T> {
        ask(self.0.readers.as_ref(), step, act).await
    }

    /// Asks the engine's own reader.
    async fn read_for_engine<T: Send + 'static>(
        &self,
        step: &'static str,
        act: impl FnOnce(&Session<'_>) -> Done<T> + Send + 'static,
    ) -> Result<T> {
        ask(self.0.engine_reader.as_ref(), step, act).await
    }

    fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::Relaxed)
    }
}

/// Threads that answer these questions.
fn readers_of(
    place: &Place,
    questions: Receiver<Box<dyn Question>>,
    count: usize,
) -> Result<Vec<JoinHandle<()>>> {
    let questions: Arc<Mutex<Receiver<Box<dyn Question>>>> = Arc::new(Mutex::new(questions));
    let start = |_| {
        let (place, questions) = (place.clone(), Arc::clone(&questions));
        spawn("crossdock-sqlite-reader", move || read(&place, &questions))
    };
    (0..count).map(start).collect()
}

async fn ask<T: Send + 'static>(
    readers: Option<&Sender<Box<dyn Question>>>,
    step: &'static str,
    act: impl FnOnce(&Session<'_>) -> Done<T> + Send + 'static,
) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    let ended = || Error::new(ErrorKind::Internal, step).with_source("the threads that read have ended");
    let readers = readers.ok_or_else(ended)?;
    readers.send(Box::new(Asked::new(step, act, answer))).map_err(|_| ended())?;
    answered.await.map_err(|_| ended())?
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let spawned: io::Result<_> = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|error| Error::new(ErrorKind::Unavailable, OPEN).with_source(error))
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer is the last to close the file: whoever is takes the log with it, and two at once would both leave it.
        drop((self.readers.take(), self.engine_reader.take()));
        // A thread that has panicked has nobody left to tell.
        self.reading.drain(..).for_each(|thread| drop(thread.join()));
        drop(self.writer.take());
        drop(self.writing.take().map(JoinHandle::join));
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.0.path).finish_non_exhaustive()
    }
}
