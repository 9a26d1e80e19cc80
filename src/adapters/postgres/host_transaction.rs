//! Publishing in a transaction of the host's own, with sqlx.

use std::future::Future;
use std::pin::Pin;

use sqlx::{PgConnection, Postgres, Transaction};

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::publish::PublishStatement;
use crate::adapters::postgres::schema::Schema;
use crate::error::Result;
use crate::webhooks::host_transaction::{HostTransaction, Pick};
use crate::webhooks::model::Publication;

/// What writing gives: await it within the transaction.
pub(super) type Writing<'t, R> = Pin<Box<dyn Future<Output = Result<R>> + Send + 't>>;

/// A transaction of the host's own, with the schema of the store that it writes to; made by [`PostgresStore::within`].
///
/// ```no_run
/// use crossdock::adapters::PostgresStore;
/// use crossdock::webhooks::Publication;
///
/// # async fn f(
/// #     pool: sqlx::PgPool, store: PostgresStore, publication: Publication,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let mut transaction = pool.begin().await?;
/// publication.write_in(store.within(&mut transaction)).await?;
/// transaction.commit().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct InSchema<T> {
    pub(super) schema: Schema,
    pub(super) transaction: T,
}

impl PostgresStore {
    /// The same transaction, for this store: needed if its schema is not `crossdock`.
    pub fn within<T>(&self, transaction: T) -> InSchema<T> {
        InSchema { schema: self.inner.schema, transaction }
    }
}

impl<'t> HostTransaction for &'t mut PgConnection {
    type Written<R: Send + 'static> = Writing<'t, R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Self::Written<R> {
        write(Schema::usual(), self, publications, pick)
    }
}

impl<'t> HostTransaction for &'t mut Transaction<'_, Postgres> {
    type Written<R: Send + 'static> = Writing<'t, R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Self::Written<R> {
        write(Schema::usual(), self, publications, pick)
    }
}

impl<'t> HostTransaction for InSchema<&'t mut PgConnection> {
    type Written<R: Send + 'static> = Writing<'t, R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Self::Written<R> {
        write(self.schema, self.transaction, publications, pick)
    }
}

impl<'t> HostTransaction for InSchema<&'t mut Transaction<'_, Postgres>> {
    type Written<R: Send + 'static> = Writing<'t, R>;

    fn write<R: Send + 'static>(self, publications: Vec<Publication>, pick: Pick<R>) -> Self::Written<R> {
        write(self.schema, self.transaction, publications, pick)
    }
}

fn write<R: Send + 'static>(
    schema: Schema,
    connection: &mut PgConnection,
    publications: Vec<Publication>,
    pick: Pick<R>,
) -> Writing<'_, R> {
    Box::pin(async move {
        let statement = PublishStatement::in_schema(schema, &publications)?;
        // Never named: the host's connection may lead through a pooler, and its own statements are its own affair.
        pick(statement.run(connection, false).await?)
    })
}
