//! A connection for one step.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::adapters::postgres::failure::failure;
use crate::adapters::postgres::{Connections, PostgresStore};
use crate::error::{Error, ErrorKind, Result};
use crate::tenancy::model::TenantId;

/// A statement that is about to be bound and run.
pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// One step's connection. Dropping it undoes what it has not ended with.
pub(super) struct Session {
    connection: Held,
    step: &'static str,
    connections: Connections,
}

enum Held {
    Alone(sqlx::pool::PoolConnection<Postgres>),
    Within(Transaction<'static, Postgres>),
}

impl PostgresStore {
    /// A connection for a step that is one statement. Through a transaction-mode pooler it needs a transaction as well: a driver
    /// prepares a statement in one message and runs it in another, and only a transaction keeps both on one connection. Without it,
    /// other clients' statements were run (seen in the checks through pgbouncer, on a `DROP SCHEMA` of their own).
    pub(super) async fn one_statement(&self, step: &'static str) -> Result<Session> {
        match self.inner.connections {
            Connections::Direct => {
                self.check_once().await?;
                let connection = self.inner.pool.acquire().await.map_err(|error| failure(step, error))?;
                Ok(Session { connection: Held::Alone(connection), step, connections: Connections::Direct })
            }
            Connections::Pooled => self.transaction(step).await,
        }
    }

    /// A connection for a step of several statements.
    pub(super) async fn transaction(&self, step: &'static str) -> Result<Session> {
        self.check_once().await?;
        self.unchecked_transaction(step).await
    }

    /// The same without a look at the schema's version.
    pub(super) async fn unchecked_transaction(&self, step: &'static str) -> Result<Session> {
        // Whatever the host's default is: a statement must see what those have committed for whom the one before it has waited.
        let pool = self.inner.pool.clone();
        // In a task of its own: the driver counts a transaction only once the server has answered, so that a future dropped before
        // that would give the pool a connection inside one. The task waits for the answer, and its result rolls back when dropped.
        let begun =
            tokio::spawn(async move { pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await });
        let begun =
            begun.await.map_err(|error| Error::new(ErrorKind::Unavailable, step).with_source(error))?;
        let connection = Held::Within(begun.map_err(|error| failure(step, error))?);
        Ok(Session { connection, step, connections: self.inner.connections })
    }

    /// A connection for what one tenant's administrator does: with row-level security, other tenants' rows are not there.
    pub(super) async fn for_tenant(&self, step: &'static str, tenant: &TenantId) -> Result<Session> {
        if !self.inner.row_level_security {
            return self.one_statement(step).await;
        }
        self.transaction_for(step, tenant).await
    }

    /// The same for several statements.
    pub(super) async fn transaction_for(&self, step: &'static str, tenant: &TenantId) -> Result<Session> {
        let mut session = self.transaction(step).await?;
        if self.inner.row_level_security {
            let statement = session.statement("SELECT set_config('crossdock.tenant', $1, true)");
            session.run(statement.bind(tenant.as_str().to_owned())).await?;
        }
        Ok(session)
    }

    /// A statement as it reads in this store's schema.
    pub(super) fn sql(&self, usual: &'static str) -> &'static str {
        self.inner.schema.sql(usual)
    }
}

impl Session {
    pub(super) fn statement<'q>(&self, sql: &'static str) -> Statement<'q> {
        sqlx::query(sql).persistent(self.connections == Connections::Direct)
    }

    /// Runs a statement; answers how many rows it has changed.
    pub(super) async fn run(&mut self, statement: Statement<'_>) -> Result<u64> {
        let step = self.step;
        let done = statement.execute(self.connection()).await.map_err(|error| failure(step, error))?;
        Ok(done.rows_affected())
    }

    pub(super) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        let step = self.step;
        statement.fetch_all(self.connection()).await.map_err(|error| failure(step, error))
    }

    pub(super) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<PgRow>> {
        let step = self.step;
        statement.fetch_optional(self.connection()).await.map_err(|error| failure(step, error))
    }

    pub(super) async fn end(self) -> Result<()> {
        match self.connection {
            Held::Alone(_) => Ok(()),
            Held::Within(transaction) => {
                let step = self.step;
                transaction.commit().await.map_err(|error| failure(step, error))
            }
        }
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        match &mut self.connection {
            Held::Alone(connection) => connection,
            Held::Within(transaction) => transaction,
        }
    }
}
