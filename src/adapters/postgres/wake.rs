//! Wake-ups across processes, by NOTIFY and LISTEN.
//!
//! NOTIFY takes a lock that all notifying transactions of the database wait for at their commit, and holds up whatever else the
//! transaction does. So it is never sent in a transaction of the host's, but on a connection of its own, one at a time.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event_listener::Event;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::ports::{Wake, Wakened};
use crate::primitives::backoff::{Backoff, Jitter};

/// Wakes whoever listens on this channel of the database, in this process and in others.
///
/// It saves the second that a worker in another process otherwise sleeps; without it, and while it does not work, everything is
/// delivered all the same. In this process a wake is heard at once, whatever the database does.
///
/// It holds two connections of its own, and makes them again when they are lost. They must lead to the server itself: a
/// transaction-mode pooler forgets who listens.
///
/// Cloning shares it; dropping the last clone ends it.
///
/// ```no_run
/// use crossdock::Hub;
/// use crossdock::adapters::postgres::PostgresWake;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let direct = "postgres://app@db.internal/app".parse()?;
/// let wake = PostgresWake::start(direct, "crossdock")?;
///
/// let hub = Hub::builder().wake(wake.clone()).build()?;
///
/// if let Some(error) = wake.trouble() {
///     eprintln!("other processes are not woken at once: {error}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PostgresWake {
    line: Arc<Line>,
    _tasks: Arc<Tasks>,
}

/// What the tasks and all clones share.
struct Line {
    channel: String,
    /// What this process signs its notifications with, so that it does not wake itself twice.
    name: String,
    /// Rings in this process.
    bell: Event,
    /// Whether others are to be told. Any number of wakes while one is on its way is one.
    to_tell: AtomicBool,
    asked: Event,
    trouble: Mutex<Trouble>,
}

#[derive(Default)]
struct Trouble {
    telling: Option<Arc<Error>>,
    hearing: Option<Arc<Error>>,
}

struct Tasks([JoinHandle<()>; 2]);

impl PostgresWake {
    /// Begins to listen and to tell; processes that share a channel wake one another. The server need not be there yet.
    ///
    /// # Errors
    /// `Invalid` when the channel is not 1 to 63 bytes without a NUL; `Unconfigured` outside of a tokio runtime.
    pub fn start(server: PgConnectOptions, channel: &str) -> Result<Self> {
        if !(1..=LONGEST_CHANNEL).contains(&channel.len()) || channel.contains('\0') {
            return Err(Error::invalid(
                "start wake-ups across processes",
                [Problem::new(
                    "channel",
                    format!("a channel is 1 to {LONGEST_CHANNEL} bytes without a NUL"),
                    "name it after the store's schema",
                )],
            ));
        }
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Unconfigured, "start wake-ups across processes").with_source(error)
        })?;
        let server = server.application_name(APPLICATION);
        let line = Arc::new(Line {
            channel: channel.to_owned(),
            name: format!("{:032x}", rand::random::<u128>()),
            bell: Event::new(),
            to_tell: AtomicBool::new(false),
            asked: Event::new(),
            trouble: Mutex::default(),
        });
        let telling = runtime.spawn(Arc::clone(&line).tell(server.clone()));
        let hearing = runtime.spawn(Arc::clone(&line).hear(server));
        Ok(Self { line, _tasks: Arc::new(Tasks([telling, hearing])) })
    }

    /// What keeps other processes from being woken at once, or this one by others, if anything does at present.
    pub fn trouble(&self) -> Option<Arc<Error>> {
        let trouble = self.line.trouble();
        trouble.hearing.clone().or_else(|| trouble.telling.clone())
    }
}

impl Wake for PostgresWake {
    fn wake(&self) {
        self.line.bell.notify(usize::MAX);
        // Who finds it set already knows that the task will look once more.
        if !self.line.to_tell.swap(true, Ordering::AcqRel) {
            self.line.asked.notify(1);
        }
    }

    fn listen(&self) -> Wakened {
        Box::pin(self.line.bell.listen())
    }
}

impl Line {
    /// Tells the others, one notification at a time, for as long as the task lives.
    async fn tell(self: Arc<Self>, server: PgConnectOptions) {
        let mut connection = None;
        let mut failures = 0;
        loop {
            self.until_asked().await;
            match within(PATIENCE, self.notify(&mut connection, &server)).await {
                Ok(()) => {
                    failures = 0;
                    self.trouble().telling = None;
                    sleep(SPACING).await;
                }
                Err(error) => {
                    connection = None;
                    failures += 1;
                    self.trouble().telling = Some(unavailable("wake other processes", error));
                    sleep(backoff(failures)).await;
                    // Who waited for this one still does.
                    self.to_tell.store(true, Ordering::Release);
                }
            }
        }
    }

    async fn until_asked(&self) {
        loop {
            let asked = self.asked.listen();
            if self.to_tell.swap(false, Ordering::AcqRel) {
                return;
            }
            asked.await;
        }
    }

    async fn notify(
        &self,
        connection: &mut Option<PgConnection>,
        server: &PgConnectOptions,
    ) -> Result<(), sqlx::Error> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(PgConnection::connect_with(server).await?),
        };
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(&self.channel).bind(&self.name);
        notify.persistent(false).execute(connection).await.map(|_| ())
    }

    /// Rings the bell when others tell of something, for as long as the task lives.
    async fn hear(self: Arc<Self>, server: PgConnectOptions) {
        let mut failures = 0;
        let mut before = Heard::Never;
        loop {
            let error = match self.hear_until_lost(&server, &mut before, &mut failures).await {
                Ok(lost) => sqlx::Error::Io(lost),
                Err(error) => error,
            };
            failures += 1;
            self.trouble().hearing = Some(unavailable("hear of other processes' work", error));
            sleep(backoff(failures)).await;
        }
    }

    async fn hear_until_lost(
        &self,
        server: &PgConnectOptions,
        before: &mut Heard,
        failures: &mut u32,
    ) -> Result<std::io::Error, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(server.clone())
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        within(PATIENCE, listener.listen(&self.channel)).await?;

        *failures = 0;
        self.trouble().hearing = None;
        if *before == Heard::Once {
            // Something may have been told while nobody heard it.
            self.bell.notify(usize::MAX);
        }
        *before = Heard::Once;
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(notification) => match notification? {
                    Some(notification) if notification.payload() == self.name => {}
                    Some(_) => {
                        self.bell.notify(usize::MAX);
                    }
                    None => return Ok(std::io::ErrorKind::ConnectionReset.into()),
                },
                // A connection that a firewall has forgotten is as silent as one on which nothing happens.
                Err(_) => {
                    within(PATIENCE, listener.execute("SELECT 1")).await?;
                }
            }
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        // Nothing can panic while it is held.
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there was a connection on which others could be heard.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Heard {
    Never,
    Once,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl fmt::Debug for PostgresWake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresWake")
            .field("channel", &self.line.channel)
            .field("trouble", &self.trouble())
            .finish()
    }
}

async fn within<T>(
    patience: Duration,
    step: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    timeout(patience, step).await.unwrap_or_else(late)
}

fn unavailable(step: &'static str, cause: sqlx::Error) -> Arc<Error> {
    Arc::new(Error::new(ErrorKind::Unavailable, step).with_source(cause))
}

fn backoff(failures: u32) -> Duration {
    let waits = Backoff::doubling(Duration::from_millis(200), Duration::from_secs(30));
    // Many processes lose the same server at once; they must not all come back at once.
    waits.after_with_full_jitter(failures, Jitter::from_bits(rand::random())).max(SPACING)
}

/// What operators see in `pg_stat_activity`.
const APPLICATION: &str = "crossdock wake";
const LONGEST_CHANNEL: usize = 63;
/// For one step of the database.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long without a word, the connection is tried.
const SILENCE: Duration = Duration::from_secs(60);
/// The least time between two notifications: who publishes in a stream tells of it 200 times a second.
const SPACING: Duration = Duration::from_millis(5);
