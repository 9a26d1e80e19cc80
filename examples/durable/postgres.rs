//! The shop on PostgreSQL: orders and events in one database.

use std::collections::BTreeSet;
use std::error::Error;

use crossdock::adapters::PostgresStore;
use crossdock::tenancy::TenantId;
use crossdock::webhooks::Publication;
use sqlx::PgPool;

use crate::shop::Ending;

pub(crate) struct PostgresShop {
    pool: PgPool,
    tenant: String,
}

impl PostgresShop {
    pub(crate) async fn open(url: &str, tenant: &TenantId) -> Result<Self, Box<dyn Error>> {
        Ok(Self { pool: PgPool::connect(url).await?, tenant: tenant.as_str().to_owned() })
    }

    pub(crate) async fn migrate(&self) -> Result<(), Box<dyn Error>> {
        // Any number of processes may do this at once. A host that has a tool of its own takes the store's `migrations()`.
        self.store().migrate().await?;
        let table = "CREATE TABLE IF NOT EXISTS durable_example_orders \
                     (tenant text, number int, PRIMARY KEY (tenant, number))";
        sqlx::query(table).execute(&self.pool).await?;
        Ok(())
    }

    /// Where crossdock keeps its events: in the same database, in a schema of its own.
    pub(crate) fn store(&self) -> PostgresStore {
        PostgresStore::new(self.pool.clone())
    }

    /// Takes an order and says so, both or neither.
    pub(crate) async fn take(
        &self,
        order: u32,
        event: Publication,
        ending: Ending,
    ) -> Result<(), Box<dyn Error>> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT INTO durable_example_orders (tenant, number) VALUES ($1, $2)")
            .bind(&self.tenant)
            .bind(i32::try_from(order)?)
            .execute(&mut *transaction)
            .await?;

        event.write_in(&mut transaction).await?;

        match ending {
            Ending::Commit => transaction.commit().await?,
            Ending::RollBack => transaction.rollback().await?,
            Ending::Death => std::process::abort(),
        }
        Ok(())
    }

    pub(crate) async fn orders(&self) -> Result<BTreeSet<u32>, Box<dyn Error>> {
        let orders = sqlx::query_scalar("SELECT number FROM durable_example_orders WHERE tenant = $1");
        let numbers: Vec<i32> = orders.bind(&self.tenant).fetch_all(&self.pool).await?;
        Ok(numbers.into_iter().map(i32::unsigned_abs).collect())
    }

    pub(crate) async fn tidy_up(&self) -> Result<(), Box<dyn Error>> {
        let remove = sqlx::query("DELETE FROM durable_example_orders WHERE tenant = $1");
        remove.bind(&self.tenant).execute(&self.pool).await?;
        Ok(())
    }
}
