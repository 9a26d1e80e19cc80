//! Publishing, and completing what was received, in a transaction of the host's own, with sqlx.

use std::future::Future;
use std::pin::Pin;

use sqlx::{PgConnection, Postgres, Transaction};

use crate::adapters::postgres::PostgresStore;
use crate::adapters::postgres::failure::failure;
use crate::adapters::postgres::publish::PublishStatement;
use crate::adapters::postgres::rows::{Field, stored_time};
use crate::adapters::postgres::schema::Schema;
use crate::error::Result;
use crate::inbound::host_transaction::{COMPLETE, CompletingTransaction, held};
use crate::inbound::received::Completion;
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

impl<'t> CompletingTransaction for &'t mut PgConnection {
    type Completed = Writing<'t, ()>;

    fn complete(self, completion: Completion) -> Self::Completed {
        end_item(Schema::usual(), self, completion)
    }
}

impl<'t> CompletingTransaction for &'t mut Transaction<'_, Postgres> {
    type Completed = Writing<'t, ()>;

    fn complete(self, completion: Completion) -> Self::Completed {
        end_item(Schema::usual(), self, completion)
    }
}

impl<'t> CompletingTransaction for InSchema<&'t mut PgConnection> {
    type Completed = Writing<'t, ()>;

    fn complete(self, completion: Completion) -> Self::Completed {
        end_item(self.schema, self.transaction, completion)
    }
}

impl<'t> CompletingTransaction for InSchema<&'t mut Transaction<'_, Postgres>> {
    type Completed = Writing<'t, ()>;

    fn complete(self, completion: Completion) -> Self::Completed {
        end_item(self.schema, self.transaction, completion)
    }
}

fn end_item(schema: Schema, connection: &mut PgConnection, completion: Completion) -> Writing<'_, ()> {
    Box::pin(async move {
        let [id, token, at] = completing(&completion);
        // Never named, as above.
        let statement =
            sqlx::query(schema.sql(COMPLETE_ITEM)).persistent(false).bind(id).bind(token).bind(at);
        let row = statement.fetch_one(connection).await.map_err(|error| failure(COMPLETE, error))?;
        held(row.field("was_held")?)
    })
}

/// In texts, so that every driver can give them.
pub(super) fn completing(completion: &Completion) -> [String; 3] {
    let id = completion.id.as_uuid().hyphenated().to_string();
    let token = completion.token.number().cast_signed().to_string();
    [id, token, stored_time(completion.at).to_rfc3339()]
}

pub(super) const COMPLETE_ITEM: &str =
    r#"SELECT "crossdock".complete_received($1::text, $2::text, $3::text) AS was_held"#;
