//! What the database's errors mean.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind, Problem};

/// What went wrong inside a step, before it is said which step it was.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database's.
    Database(rusqlite::Error),
    /// A refusal, or a record that cannot be read back.
    Ours(Error),
}

pub(super) type Done<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Fault {
    pub(super) fn new(kind: ErrorKind, step: &'static str) -> Self {
        Self::Ours(Error::new(kind, step))
    }

    /// What the caller of the step is told.
    pub(super) fn during(self, step: &'static str) -> Error {
        match self {
            Self::Ours(error) if error.step() == STORED => {
                Error::new(error.kind(), step).with_source(Shared::from(error))
            }
            Self::Ours(error) => error,
            Self::Database(error) => of_database(error, step),
        }
    }

    /// Whether the connection is not to be trusted any more: it is opened anew, and then the cause may have gone away.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::SystemIoFailure
                        | ErrorCode::DatabaseCorrupt
                        | ErrorCode::NotADatabase
                        | ErrorCode::CannotOpen
                        | ErrorCode::ReadOnly
                        | ErrorCode::SchemaChanged
                        | ErrorCode::OutOfMemory
                        | ErrorCode::FileLockingProtocolFailed
                )
            ),
            Self::Ours(_) => false,
        }
    }

    /// Whether a primary key, or another unique one, is there already.
    pub(super) fn is_duplicate(&self) -> bool {
        const DUPLICATES: [i32; 2] =
            [rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY, rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE];
        matches!(self, Self::Database(error)
            if error.sqlite_error().is_some_and(|cause| DUPLICATES.contains(&cause.extended_code)))
    }

    /// Whether one record cannot be read back, while the file is well: others can.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Ours(error) if error.kind() == ErrorKind::Corrupt)
    }
}

/// `None` if that one record cannot be read back.
pub(super) fn readable<T>(found: Done<T>) -> Done<Option<T>> {
    match found {
        Err(fault) if fault.is_unreadable() => Ok(None),
        found => found.map(Some),
    }
}

/// A record that was kept, but not by us.
pub(super) fn corrupt(what: &'static str) -> Fault {
    Fault::Ours(Error::new(ErrorKind::Corrupt, STORED).with_source(what))
}

fn of_database(error: rusqlite::Error, step: &'static str) -> Error {
    let kind = kind_of(&error);
    let step = match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly) => format!("{step} in a database that is read-only").into(),
        Some(ErrorCode::DiskFull) => format!("{step} in a database that is full").into(),
        Some(ErrorCode::NotADatabase) => format!("{step} in a file that is no database").into(),
        _ => std::borrow::Cow::Borrowed(step),
    };
    let told = Error::new(kind, step);
    let told = match kind {
        ErrorKind::Unconfigured => told.with_problem(Problem::new(
            "database",
            "the tables of crossdock are in the same database file",
            "open a SqliteStore on this file first",
        )),
        _ => told,
    };
    told.with_source(error)
}

fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    if matches!(
        error,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    ) {
        return ErrorKind::Corrupt;
    }
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::PermissionDenied
            | ErrorCode::SchemaChanged,
        ) => ErrorKind::Unavailable,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::ConstraintViolation) => ErrorKind::Conflict,
        Some(ErrorCode::TooBig) => ErrorKind::Invalid,
        _ if error.to_string().contains("no such table: crossdock_") => ErrorKind::Unconfigured,
        _ => ErrorKind::Internal,
    }
}

/// One cause of many failures: a transaction that several callers shared.
#[derive(Clone)]
pub(super) struct Shared(Arc<Error>);

impl From<Error> for Shared {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl Shared {
    /// The same failure, for one of the callers.
    pub(super) fn during(&self, step: &'static str) -> Error {
        Error::new(self.0.kind(), step).with_source(self.clone())
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for Shared {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

const STORED: &str = "read back a stored record";
