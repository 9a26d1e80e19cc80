//! What a run takes place on: a file, or a server of its own.

use tempfile::TempDir;

use crate::kills::host::Database;
use crate::postgres::{Cluster, Durability, family};

pub(crate) struct Ground {
    pub(crate) name: &'static str,
    pub(crate) database: Database,
    /// What can be killed besides the host's own processes.
    pub(super) server: Option<Cluster>,
    _folder: Option<TempDir>,
}

impl Ground {
    /// A file, committed to with `synchronous=FULL`.
    pub(crate) fn sqlite() -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = Database::Sqlite(folder.path().join("host.db"));
        Ok(Self { name: "sqlite", database, server: None, _folder: Some(folder) })
    }

    /// A server that acknowledges a commit when the disk has it.
    pub(crate) fn postgres() -> Result<Self, String> {
        Self::server("postgres", Durability::Power)
    }

    /// A server with `synchronous_commit=off`.
    pub(super) fn careless_postgres() -> Result<Self, String> {
        Self::server("postgres with synchronous_commit=off", Durability::Asynchronous)
    }

    fn server(name: &'static str, durability: Durability) -> Result<Self, String> {
        family::can_be_found()?;
        let cluster = Cluster::start(durability)?;
        Ok(Self { name, database: Database::Postgres(cluster.url()), server: Some(cluster), _folder: None })
    }
}
