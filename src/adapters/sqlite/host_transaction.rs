//! Publishing, and completing what was received, inside a `rusqlite` transaction of the host's own.

use rusqlite::{Connection, Savepoint, Transaction};

use crate::adapters::sqlite::fault::Done;
use crate::adapters::sqlite::publish::{PublicationRow, STEP, publish};
use crate::adapters::sqlite::received::complete;
use crate::adapters::sqlite::session::Session;
use crate::error::Result;
use crate::inbound::host_transaction::{COMPLETE, CompletingTransaction, held};
use crate::inbound::received::Completion;
use crate::webhooks::host_transaction::{HostTransaction, Pick};
use crate::webhooks::model::{Publication, Published};

/// Writes in the transaction: `publication.write_in(&transaction)?`. The store must have been opened on the same file.
impl HostTransaction for &Transaction<'_> {
    type Written<R: Send + 'static> = Result<R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Result<R> {
        write(self, &publications, pick)
    }
}

/// Writes in the savepoint: `publication.write_in(&savepoint)?`.
impl HostTransaction for &Savepoint<'_> {
    type Written<R: Send + 'static> = Result<R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Result<R> {
        write(self, &publications, pick)
    }
}

/// Writes in the transaction that the connection is in; without one, in a transaction of its own.
impl HostTransaction for &Connection {
    type Written<R: Send + 'static> = Result<R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Result<R> {
        write(self, &publications, pick)
    }
}

fn write<R>(connection: &Connection, publications: &[Publication], pick: Pick<R>) -> Result<R> {
    let rows: Vec<_> = publications.iter().map(PublicationRow::of).collect::<Result<_>>()?;
    let session = Session::new(connection);
    let answers = all_or_none(&session, &rows).map_err(|fault| fault.during(STEP))?;
    pick(answers)
}

fn all_or_none(session: &Session<'_>, rows: &[PublicationRow]) -> Done<Vec<Published>> {
    session.run("SAVEPOINT crossdock_publish", [])?;
    let done = publish(session, rows, None);
    // A failure may have undone the host's whole transaction already.
    if done.is_err() && !session.connection().is_autocommit() {
        session.run("ROLLBACK TO crossdock_publish", [])?;
    }
    if done.is_ok() || !session.connection().is_autocommit() {
        session.run("RELEASE crossdock_publish", [])?;
    }
    done
}

/// Completes in the transaction: `incoming.complete_in(&transaction)?`.
impl CompletingTransaction for &Transaction<'_> {
    type Completed = Result<()>;

    fn complete(self, completion: Completion) -> Result<()> {
        end_item(self, &completion)
    }
}

/// Completes in the savepoint: `incoming.complete_in(&savepoint)?`.
impl CompletingTransaction for &Savepoint<'_> {
    type Completed = Result<()>;

    fn complete(self, completion: Completion) -> Result<()> {
        end_item(self, &completion)
    }
}

/// Completes in the transaction that the connection is in.
impl CompletingTransaction for &Connection {
    type Completed = Result<()>;

    fn complete(self, completion: Completion) -> Result<()> {
        end_item(self, &completion)
    }
}

fn end_item(connection: &Connection, completion: &Completion) -> Result<()> {
    let session = Session::new(connection);
    held(complete(&session, completion).map_err(|fault| fault.during(COMPLETE))?)
}
