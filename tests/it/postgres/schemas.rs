//! Stores in schemas of their own, which are dropped when the story is over, however it ended.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crossdock::adapters::PostgresStore;
use crossdock::testing::conformance::{
    InboundStoreHarness, InboundStores, KeyStoreHarness, KeyStores, StoreHarness, Stores,
};
use crossdock::{Error, ErrorKind, Result};
use futures_util::FutureExt;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::postgres::play::Outcome;
use crate::postgres::server::fresh_name;
use crate::postgres::world::as_tenant_role;

/// What a store is told about its connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Direct,
    Pooled,
    /// As a role that policies hold for: a superuser's see everything.
    WithPolicies,
    /// As if old versions of lanes had piled up behind a snapshot that somebody holds.
    Crowded,
}

/// Makes stores on one server.
#[derive(Debug)]
pub(crate) struct Schemas {
    url: String,
    way: Way,
    made: Mutex<Vec<Place>>,
}

/// A store, and what it stands on.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) store: PostgresStore,
    pub(crate) pool: PgPool,
    pub(crate) schema: String,
}

impl Schemas {
    /// Plays a story with stores of its own.
    pub(crate) async fn lend<S: Future<Output = Outcome>>(
        url: String,
        way: Way,
        story: impl FnOnce(Arc<Self>) -> S,
    ) -> Outcome {
        let schemas = Arc::new(Self { url, way, made: Mutex::default() });
        let told = AssertUnwindSafe(story(Arc::clone(&schemas))).catch_unwind().await;
        let dropped = schemas.drop_all().await;
        match told {
            Ok(outcome) => outcome.and(dropped),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// A store with nothing in it.
    pub(crate) async fn place(&self) -> Result<Place> {
        let schema = fresh_name();
        let pool = self.pool().await?;
        let place = Place { store: self.open(&pool, &schema)?, pool, schema };
        // Before anything is made, so that half of it is dropped as well.
        self.made().push(place.clone());
        place.store.migrate().await?;
        if self.way == Way::Crowded {
            let crowd = format!(
                "CREATE OR REPLACE FUNCTION \"{}\".is_crowded() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true'",
                place.schema
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(crowd)).execute(&place.pool).await.map_err(refused)?;
        }
        Ok(place)
    }

    /// Where the server is found.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn open(&self, pool: &PgPool, schema: &str) -> Result<PostgresStore> {
        let builder = PostgresStore::builder(pool.clone()).schema(schema);
        match self.way {
            Way::Direct | Way::Crowded => builder.direct().build(),
            Way::Pooled => builder.build(),
            Way::WithPolicies => builder.row_level_security().build(),
        }
    }

    async fn pool(&self) -> Result<PgPool> {
        let mut pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(60));
        if self.way == Way::WithPolicies {
            pool = as_tenant_role(&self.url, pool).await.map_err(refused)?;
        }
        pool.connect(&self.url).await.map_err(refused)
    }

    async fn drop_all(&self) -> Outcome {
        let made = std::mem::take(&mut *self.made());
        for place in made {
            // In a text of its own: nothing is prepared.
            let drop = format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", place.schema);
            sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&place.pool).await?;
            place.pool.close().await;
        }
        Ok(())
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Vec<Place>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StoreHarness for Schemas {
    async fn fresh(&self) -> Result<Stores> {
        Ok(Stores::of(self.place().await?.store))
    }
}

#[async_trait]
impl KeyStoreHarness for Schemas {
    async fn fresh(&self) -> Result<KeyStores> {
        Ok(KeyStores::of(self.place().await?.store))
    }
}

#[async_trait]
impl InboundStoreHarness for Schemas {
    async fn fresh(&self) -> Result<InboundStores> {
        Ok(InboundStores::of(self.place().await?.store))
    }
}

fn refused(cause: sqlx::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "connect to the server of the trials").with_source(cause)
}
