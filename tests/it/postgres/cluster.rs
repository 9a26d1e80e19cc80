//! A throw-away PostgreSQL cluster on a socket in a temporary folder.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::postgres::keeper::Keeper;

/// A running cluster; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Cluster {
    programs: Programs,
    durability: Durability,
    folder: PathBuf,
    keeper: Mutex<Keeper>,
}

/// When a cluster acknowledges a commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// Once the disk has it, as every server does that nobody has told otherwise.
    Power,
    /// Once the operating system has it: it survives a crash of the server. Trials are faster that do not wait for a disk, and the
    /// machine that runs them does not lose its power.
    Crash,
    /// Ten seconds earlier.
    Asynchronous,
}

/// Where the programs are.
#[derive(Clone, Debug)]
struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
}

impl Cluster {
    /// A new cluster that answers.
    pub(crate) fn start(durability: Durability) -> Result<Self, String> {
        let programs = Programs::find()?;
        let mut keeper = Keeper::hire()?;
        let folder = keeper.folder().to_owned();
        init(&mut keeper, &programs, &folder)?;
        let cluster = Self { programs, durability, folder, keeper: Mutex::new(keeper) };
        cluster.start_again()?;
        Ok(cluster)
    }

    /// Whether one could be started; the reason if not.
    pub(crate) fn can_start() -> Result<(), String> {
        Programs::find().map(|_| ())
    }

    /// Where its superuser finds it.
    pub(crate) fn url(&self) -> String {
        self.url_as("postgres", "")
    }

    /// Where this user finds it.
    pub(crate) fn url_as(&self, user: &str, password: &str) -> String {
        socket_url(&self.folder, PORT, user, password)
    }

    /// Starts it on the same data, and waits until it answers.
    pub(crate) fn start_again(&self) -> Result<(), String> {
        let data = path(&self.data())?.to_owned();
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", path(&self.folder)?),
            format!("port={PORT}"),
            "max_connections=200".to_owned(),
            // Dropping a schema with all its partitions locks each of them.
            "max_locks_per_transaction=512".to_owned(),
            "shared_buffers=64MB".to_owned(),
            "timezone=Asia/Kolkata".to_owned(),
        ];
        let acknowledged = match self.durability {
            Durability::Power => &["fsync=on", "synchronous_commit=on"][..],
            Durability::Crash => &["fsync=off", "full_page_writes=off", "synchronous_commit=on"],
            Durability::Asynchronous => {
                &["fsync=off", "full_page_writes=off", "synchronous_commit=off", "wal_writer_delay=10s"]
            }
        };
        settings.extend(acknowledged.iter().map(|setting| (*setting).to_owned()));
        let mut arguments = vec!["-D", &data];
        for setting in &settings {
            arguments.extend(["-c", setting]);
        }

        self.keeper().start(NAME, &self.programs.postgres, &arguments)?;
        self.until_ready()
    }

    /// Ends it in order: connections are cut, nothing is lost.
    pub(crate) fn stop(&self) -> Result<(), String> {
        self.end_with("INT")
    }

    /// Ends it as a power cut would, except that the operating system lives on.
    pub(crate) fn crash(&self) -> Result<(), String> {
        self.end_with("QUIT")
    }

    /// `kill -9` for all its processes at once: none of them can say or write a last word.
    pub(crate) fn kill(&self) -> Result<(), String> {
        self.keeper().kill(NAME)?;
        // It says "ready" until the next start has got that far, and nobody is there any more whom it could name.
        let status = self.status();
        std::fs::remove_file(&status).map_err(|error| format!("{}: {error}", status.display()))
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn end_with(&self, signal: &str) -> Result<(), String> {
        let mut keeper = self.keeper();
        keeper.signal(NAME, signal)?;
        keeper.wait_for(NAME)
    }

    fn until_ready(&self) -> Result<(), String> {
        let patience = Instant::now() + Duration::from_secs(60);
        let status = self.status();
        while Instant::now() < patience && self.keeper().runs(NAME)? {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            if text.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("the cluster does not start; it said:\n{}", self.keeper().log_of(NAME)))
    }

    /// As `pg_ctl` finds out whether it is ready: in the eighth line of this file.
    fn status(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn init(keeper: &mut Keeper, programs: &Programs, folder: &Path) -> Result<(), String> {
    let data = path(&folder.join("data"))?.to_owned();
    let plain = ["-D", &data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"];
    // Text that is compared by the rules of a language, unless a column says otherwise: what forgets to say so is found.
    let with_language =
        [&plain[..], &["--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8"]].concat();
    let without = [&plain[..], &["--no-locale"]].concat();
    keeper.run(&programs.initdb, &with_language).or_else(|_| keeper.run(&programs.initdb, &without))
}

impl Programs {
    fn find() -> Result<Self, String> {
        let mut places = search_path();
        // Debian keeps its versions apart; the newest one is taken.
        let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|folder| Some((folder.file_name()?.to_str()?.parse::<u32>().ok()?, folder)))
            .collect();
        versions.sort();
        places.extend(versions.into_iter().rev().map(|(_, folder)| folder.join("bin")));
        places
            .iter()
            .map(|place| Self { initdb: place.join("initdb"), postgres: place.join("postgres") })
            .find(|programs| programs.initdb.is_file() && programs.postgres.is_file())
            .ok_or_else(|| {
                "no `initdb` and `postgres` on PATH or below /usr/lib/postgresql; install PostgreSQL, or name a server with \
                 CROSSDOCK_TEST_POSTGRES_URL"
                    .to_owned()
            })
    }
}

/// The folders of `PATH`.
pub(crate) fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// A server behind a socket in this folder.
pub(crate) fn socket_url(folder: &Path, port: u16, user: &str, password: &str) -> String {
    let folder = folder.to_string_lossy().replace('/', "%2F");
    let password = if password.is_empty() { String::new() } else { format!(":{password}") };
    format!("postgres://{user}{password}@localhost:{port}/postgres?host={folder}")
}

pub(crate) fn path(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not text", path.display()))
}

const NAME: &str = "postgres";
const PORT: u16 = 5432;
