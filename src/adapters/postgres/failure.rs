//! What a driver's error means.

use std::fmt;

use sqlx::error::DatabaseError;

use crate::error::{Error, ErrorKind, Problem};

/// What the server said. Details are left out, because they quote rows.
#[derive(Debug)]
pub(super) struct ServerError {
    code: String,
    message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for ServerError {}

/// An error of sqlx while this was done.
pub(super) fn failure(step: &'static str, cause: sqlx::Error) -> Error {
    let kind = match cause {
        sqlx::Error::Database(error) => return server_failure(step, &*error),
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        sqlx::Error::Encode(_) => ErrorKind::Invalid,
        sqlx::Error::Configuration(_) => {
            // The text might quote the connection's URL.
            return Error::new(ErrorKind::Unconfigured, step)
                .with_source("the pool's connection options are wrong");
        }
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, step).with_source(cause)
}

fn server_failure(step: &'static str, error: &dyn DatabaseError) -> Error {
    server_says(step, error.code().as_deref().unwrap_or_default(), error.message())
}

/// What a server's SQLSTATE means, whichever driver has heard it.
pub(super) fn server_says(step: &'static str, code: &str, message: &str) -> Error {
    let problem = match code {
        // No such schema, table, function, column.
        "3F000" | "42P01" | "42883" | "42703" => Some(Problem::new(
            "schema",
            "the store's schema is not there, or is older than this version of the crate",
            "run `migrate()` of the store once, or the statements of `migrations()` with a tool of your own",
        )),
        "42501" => Some(Problem::new(
            "role",
            "the connection's role may not do this",
            "grant it the store's schema and everything in it",
        )),
        "26000" | "42P05" => Some(Problem::new(
            "pool",
            "a statement was prepared on another connection: there is a transaction-mode pooler in between",
            "build the store without `direct()`",
        )),
        _ => None,
    };
    let kind = match code {
        _ if problem.is_some() => ErrorKind::Unconfigured,
        "23505" => ErrorKind::Conflict,
        // Text with a NUL, a time or a number that has no such form.
        "22021" | "22P05" | "22008" | "22003" => ErrorKind::Invalid,
        // No such database.
        _ if code.starts_with("3D") => ErrorKind::Unconfigured,
        // Data, rules, syntax, what the server cannot do or is too small for: waiting does not help.
        _ if matches!(code.get(..2), Some("0A" | "22" | "23" | "42" | "54" | "XX" | "P0")) => {
            ErrorKind::Internal
        }
        // Connections, resources, operators, locks, logins, a read-only standby: they pass.
        _ => ErrorKind::Unavailable,
    };
    let cause = ServerError { code: code.to_owned(), message: message.to_owned() };
    let error = Error::new(kind, step).with_source(cause);
    match problem {
        Some(problem) => error.with_problem(problem),
        None => error,
    }
}

/// A row that cannot be read.
pub(super) fn corrupt(step: &'static str, what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, step).with_source(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_retried_and_nothing_else() {
        for code in ["57014", "57P01", "57P03", "28P01", "25006", "40001", "40P01", "53300", "53100", "08006"]
        {
            assert!(server_says("claim deliveries", code, "…").is_transient(), "{code}");
        }
        for (code, kind) in [
            ("42P01", ErrorKind::Unconfigured),
            ("3F000", ErrorKind::Unconfigured),
            ("42501", ErrorKind::Unconfigured),
            ("26000", ErrorKind::Unconfigured),
            ("23505", ErrorKind::Conflict),
            ("22021", ErrorKind::Invalid),
            ("42601", ErrorKind::Internal),
            ("54000", ErrorKind::Internal),
            ("0A000", ErrorKind::Internal),
            ("3D000", ErrorKind::Unconfigured),
        ] {
            assert_eq!(server_says("claim deliveries", code, "…").kind(), kind, "{code}");
        }
    }

    #[test]
    fn a_missing_schema_says_what_to_do() {
        let error = server_says("claim deliveries", "42P01", "relation \"crossdock.lane\" does not exist");

        assert!(error.to_string().contains("run `migrate()`"), "{error}");
    }
}
