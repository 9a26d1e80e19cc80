//! A PostgreSQL server that keeps its word: fsync on, as a host would run it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::account::Account;
use crate::engine::Failure;

/// A server of this run's own, in a temporary folder; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    folder: TempDir,
}

/// Names a server that is there already.
pub(crate) const NAMED: &str = "CROSSDOCK_BENCH_POSTGRES_URL";

/// What differs from the defaults of PostgreSQL. Nothing here makes a commit less safe.
const SETTINGS: [&str; 8] = [
    "listen_addresses=",
    "max_connections=100",
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "min_wal_size=1GB",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
];

/// So many files of the log are there to be used again: as many as `min_wal_size` keeps.
const LOG_FILES: usize = 64;

impl Server {
    /// One that has run for a while.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let server = Self::begin()?;
        server.run_in().await?;
        Ok(server)
    }

    fn begin() -> Result<Self, Failure> {
        let programs = programs()?;
        let folder = tempfile::tempdir()?;
        let account = Account::for_servers(folder.path())?;
        let data = folder.path().join("data");
        let mut init = Command::new(programs.join("initdb"));
        init.arg("-D").arg(&data).args(["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"]);
        account.put_on(&mut init);
        let made = init.current_dir(folder.path()).output()?;
        if !made.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut server = Command::new(programs.join("postgres"));
        server.arg("-D").arg(&data).current_dir(folder.path());
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        server.args(["-c", "shared_preload_libraries=pg_stat_statements"]);
        server.arg("-c").arg(format!("unix_socket_directories={}", folder.path().display()));
        account.put_on(&mut server);
        let process = server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut server = Self { process, folder };
        server.until_ready(&data.join("postmaster.pid"))?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@localhost/postgres?host={folder}")
    }

    /// A server uses the files of its log again, but a new one has none: it would make one for every 16 MiB, and for these 30 ms and
    /// more nobody commits.
    async fn run_in(&self) -> Result<(), Failure> {
        let mut connection = PgConnection::connect(&self.url()).await?;
        connection.execute("CREATE TABLE run_in (file int)").await?;
        for _ in 0..LOG_FILES {
            connection.execute("INSERT INTO run_in VALUES (1)").await?;
            connection.execute("SELECT pg_switch_wal()").await?;
        }
        connection.execute("DROP TABLE run_in").await?;
        connection.execute("CHECKPOINT").await?;
        Ok(connection.close().await?)
    }

    fn until_ready(&mut self, status: &Path) -> Result<(), Failure> {
        let patience = Instant::now() + Duration::from_secs(60);
        while Instant::now() < patience && self.process.try_wait()?.is_none() {
            // As `pg_ctl` finds out: the eighth line of this file.
            let text = std::fs::read_to_string(status).unwrap_or_default();
            if text.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        Err(format!("the server does not start; it said:\n{log}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // In order, so that nothing of it is left in shared memory; it is the same by hand.
        let asked = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            // It may have ended by itself.
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// The newest of Debian's versions, or what `PATH` has.
fn programs() -> Result<PathBuf, Failure> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<_> = versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((path.file_name()?.to_str()?.parse::<u32>().ok()?, path)))
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = versions.into_iter().rev().map(|(_, path)| path.join("bin"));
    debian
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .ok_or_else(|| {
            format!("no initdb and postgres: install PostgreSQL, or name a server with {NAMED}").into()
        })
}
