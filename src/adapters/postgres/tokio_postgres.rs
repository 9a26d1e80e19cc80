//! Publishing in a transaction of the host's own, with `tokio-postgres`.

use std::error::Error as _;

use tokio_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};

use crate::adapters::postgres::failure::server_says;
use crate::adapters::postgres::host_transaction::{COMPLETE_ITEM, InSchema, Writing, completing};
use crate::adapters::postgres::publish::{PublishStatement, STEP, taken};
use crate::adapters::postgres::schema::Schema;
use crate::error::{Error, ErrorKind};
use crate::inbound::host_transaction::{COMPLETE, CompletingTransaction, held};
use crate::inbound::received::Completion;
use crate::webhooks::host_transaction::{HostTransaction, Pick};
use crate::webhooks::model::Publication;

impl<'t> HostTransaction for &'t Transaction<'_> {
    type Written<R: Send + 'static> = Writing<'t, R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Self::Written<R> {
        write(Schema::usual(), self, publications, pick)
    }
}

impl<'t> HostTransaction for InSchema<&'t Transaction<'_>> {
    type Written<R: Send + 'static> = Writing<'t, R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Self::Written<R> {
        write(self.schema, self.transaction, publications, pick)
    }
}

fn write<'t, R: Send + 'static>(
    schema: Schema,
    transaction: &'t Transaction<'_>,
    publications: Vec<Publication>,
    pick: Pick<R>,
) -> Writing<'t, R> {
    Box::pin(async move {
        let statement = PublishStatement::in_schema(schema, &publications)?;
        let all = statement.parameters();
        let text = Type::TEXT_ARRAY;
        let bytes = Type::BYTEA_ARRAY;
        let parameters: [(&(dyn ToSql + Sync), Type); 11] = [
            (&all.ids, text.clone()),
            (&all.tenants, text.clone()),
            (&all.types, text.clone()),
            (&all.heads, text.clone()),
            (&all.subjects, text.clone()),
            (&all.published, text.clone()),
            (&all.payloads, bytes.clone()),
            (&all.keys, text.clone()),
            (&all.digests, bytes),
            (&all.forgotten, text.clone()),
            (&all.used, text),
        ];
        // In one message, without a named statement.
        let rows = transaction.query_typed(statement.sql(), &parameters).await;
        let rows = rows.map_err(|cause| refused(&statement, cause))?;
        let read = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let rows: std::result::Result<Vec<_>, tokio_postgres::Error> = rows.iter().map(read).collect();
        pick(statement.answers(rows.map_err(|cause| refused(&statement, cause))?)?)
    })
}

fn refused(statement: &PublishStatement, cause: tokio_postgres::Error) -> Error {
    match cause.as_db_error() {
        Some(error) => {
            let index = error.detail().and_then(|detail| statement.named_in(detail));
            taken(server_says(STEP, error.code().code(), error.message()), index)
        }
        None => {
            let kind = if is_cut(&cause) { ErrorKind::Unavailable } else { ErrorKind::Internal };
            Error::new(kind, STEP).with_source(cause)
        }
    }
}

/// The connection is gone; everything else that has not come from the server is about a value, and will be so again.
fn is_cut(cause: &tokio_postgres::Error) -> bool {
    let io = cause.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    // The driver speaks of a value that does not fit into a message as an I/O error, too.
    cause.is_closed() || io.is_some_and(|error| error.kind() != std::io::ErrorKind::InvalidInput)
}

impl<'t> CompletingTransaction for &'t Transaction<'_> {
    type Completed = Writing<'t, ()>;

    fn complete(self, completion: Completion) -> Self::Completed {
        end_item(Schema::usual(), self, completion)
    }
}

impl<'t> CompletingTransaction for InSchema<&'t Transaction<'_>> {
    type Completed = Writing<'t, ()>;

    fn complete(self, completion: Completion) -> Self::Completed {
        end_item(self.schema, self.transaction, completion)
    }
}

fn end_item<'t>(schema: Schema, transaction: &'t Transaction<'_>, completion: Completion) -> Writing<'t, ()> {
    Box::pin(async move {
        let [id, token, at] = completing(&completion);
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&id, Type::TEXT), (&token, Type::TEXT), (&at, Type::TEXT)];
        let rows = transaction.query_typed(schema.sql(COMPLETE_ITEM), &parameters).await;
        let rows = rows.map_err(|cause| said(&cause).unwrap_or_else(|| lost(COMPLETE, cause)))?;
        let was_held = rows.first().map(|row| row.try_get::<_, bool>(0)).transpose();
        held(was_held.map_err(|cause| lost(COMPLETE, cause))?.unwrap_or(false))
    })
}

fn said(cause: &tokio_postgres::Error) -> Option<Error> {
    cause.as_db_error().map(|error| server_says(COMPLETE, error.code().code(), error.message()))
}

fn lost(step: &'static str, cause: tokio_postgres::Error) -> Error {
    let kind = if is_cut(&cause) { ErrorKind::Unavailable } else { ErrorKind::Internal };
    Error::new(kind, step).with_source(cause)
}
