//! How the file is opened, for writing and for reading.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::adapters::sqlite::fault::{Done, Fault};
use crate::adapters::sqlite::migrations::{migrate, migrations};
use crate::error::{Error, ErrorKind};

/// Where the file is, and how it is opened.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) busy_timeout: Duration,
    pub(super) synchronous: Synchronous,
    pub(super) max_pages: Option<u32>,
}

/// What survives a power cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Synchronous {
    /// Everything that was acknowledged.
    Full,
    /// The file; the last transactions may be lost.
    Normal,
}

impl Place {
    /// A connection that writes, to a file that is made if there is none.
    pub(super) fn make_for_writing(&self) -> Done<Connection> {
        self.prepare(self.open(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?)
    }

    /// A connection that writes, to the file that was there before: one that has vanished is not to be replaced by an empty one.
    pub(super) fn open_for_writing(&self) -> Done<Connection> {
        self.prepare(self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?)
    }

    fn prepare(&self, connection: Connection) -> Done<Connection> {
        self.set_wal(&connection)?;
        connection.execute_batch(match self.synchronous {
            Synchronous::Full => "PRAGMA synchronous = FULL",
            Synchronous::Normal => "PRAGMA synchronous = NORMAL",
        })?;
        // Fewer and longer copies from the log into the file: each of them waits for the disk twice.
        connection.execute_batch(
            "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16000",
        )?;
        if let Some(most) = self.max_pages {
            connection.execute_batch(&format!("PRAGMA max_page_count = {most}"))?;
        }
        migrate(&connection, migrations())?;
        Ok(connection)
    }

    /// A connection that only reads.
    pub(super) fn open_for_reading(&self) -> Done<Connection> {
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute_batch("PRAGMA query_only = ON")?;
        Ok(connection)
    }

    fn open(&self, how: OpenFlags) -> Done<Connection> {
        // Each connection stays on one thread; the name of the file is a name, and no URI.
        let connection = Connection::open_with_flags(&self.path, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(self.busy_timeout)?;
        Ok(connection)
    }

    fn set_wal(&self, connection: &Connection) -> Done<()> {
        let pause = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        loop {
            let mode: rusqlite::Result<String> =
                connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
            match mode {
                Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
                Ok(_) => {
                    return Err(Fault::Ours(
                        Error::new(ErrorKind::Unconfigured, "open the SQLite store")
                            .with_source("this file cannot be in WAL mode"),
                    ));
                }
                // The switch itself does not wait for others who have the file open, such as one who switches as well.
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && waited < self.busy_timeout =>
                {
                    std::thread::sleep(pause);
                    waited += pause;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_vanished_is_not_replaced_by_an_empty_one() {
        let path = std::env::temp_dir().join("crossdock-no-such-folder").join("hub.db");
        let place = Place {
            path: path.clone(),
            busy_timeout: Duration::ZERO,
            synchronous: Synchronous::Full,
            max_pages: None,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let vanished = Place { path: folder.path().join("hub.db"), ..place.clone() };

        for opened in [vanished.open_for_writing(), vanished.open_for_reading(), place.make_for_writing()] {
            let refused = opened.map(drop).expect_err("no file").during("open the SQLite store");
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
        }

        assert!(!vanished.path.exists() && !path.exists());
        assert!(vanished.make_for_writing().is_ok());
        assert!(vanished.open_for_writing().is_ok() && vanished.open_for_reading().is_ok());
    }
}
