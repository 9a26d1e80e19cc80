//! How a store is opened.

use std::path::PathBuf;
use std::time::Duration;

use crate::adapters::sqlite::SqliteStore;
use crate::adapters::sqlite::connection::{Place, Synchronous};
use crate::error::{Error, Problem, Result};

/// Says how a [`SqliteStore`] is opened.
///
/// ```
/// use std::time::Duration;
///
/// use crossdock::adapters::sqlite::SqliteStore;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("hub.db");
/// let store = SqliteStore::builder(path).readers(4).busy_timeout(Duration::from_secs(2)).open()?;
/// # drop(store);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteStoreBuilder {
    place: Place,
    readers: usize,
}

impl SqliteStoreBuilder {
    pub(super) fn new(path: PathBuf) -> Self {
        let place = Place {
            path,
            busy_timeout: Duration::from_secs(5),
            synchronous: Synchronous::Full,
            max_pages: None,
        };
        Self { place, readers: 2 }
    }

    /// So many threads that read; 2 by default, at least 1.
    pub fn readers(mut self, threads: usize) -> Self {
        self.readers = threads.max(1);
        self
    }

    /// How long to wait for another process, or for the host, to end a transaction; 5 seconds by default. After that a step is
    /// `Unavailable`, which the engine retries.
    pub fn busy_timeout(mut self, longest: Duration) -> Self {
        self.place.busy_timeout = longest;
        self
    }

    /// The file never grows beyond so many pages (of 4 KiB, unless the host has made it with others); more is `Unavailable`, as
    /// if the disk were full.
    pub fn max_pages(mut self, most: u32) -> Self {
        self.place.max_pages = Some(most);
        self
    }

    /// Does not wait for the disk at each commit: faster, but the last transactions before a power cut may be lost, although they
    /// were acknowledged. A process that dies loses nothing, and the file stays whole.
    pub fn dangerous_skip_sync(mut self) -> Self {
        self.place.synchronous = Synchronous::Normal;
        self
    }

    /// Opens the file, or makes it, and brings its tables to the present version, on the caller's thread.
    ///
    /// # Errors
    /// `Invalid` if the path is not one of a file; `Unconfigured` if a newer version of this crate has made the tables; `Corrupt`
    /// if the file is no database, or damaged; `Unavailable` if it cannot be opened or is locked for too long.
    pub fn open(self) -> Result<SqliteStore> {
        let path = self.place.path.as_os_str();
        if path.is_empty() || path == ":memory:" {
            return Err(Error::invalid(
                OPEN,
                [Problem::new(
                    "path",
                    "the store has several connections to one file",
                    "name a file, or take a MemoryStore",
                )],
            ));
        }
        let connection = self.place.make_for_writing().map_err(|fault| fault.during(OPEN))?;
        SqliteStore::start(self.place, connection, self.readers)
    }
}

pub(super) const OPEN: &str = "open the SQLite store";
