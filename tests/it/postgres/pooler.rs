//! A transaction-mode pooler in front of a server: each transaction may run on another connection.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use url::Url;

use crate::postgres::cluster::{path, search_path, socket_url};
use crate::postgres::keeper::Keeper;

/// A running pooler; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Pooler {
    url: String,
    _keeper: Keeper,
}

impl Pooler {
    /// A pooler that answers, in front of this server.
    pub(crate) fn start(server: &str) -> Result<Self, String> {
        let program = find()?;
        let mut keeper = Keeper::hire()?;
        let folder = keeper.folder().to_owned();
        let settings = folder.join("pgbouncer.ini");
        std::fs::write(&settings, configuration(server, &folder)?).map_err(|error| error.to_string())?;
        keeper.start(NAME, &program, &[path(&settings)?])?;
        until_it_listens(&folder, &mut keeper)?;
        Ok(Self { url: socket_url(&folder, PORT, "pooled", ""), _keeper: keeper })
    }

    /// Where it is found.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

fn configuration(server: &str, folder: &Path) -> Result<String, String> {
    let url = Url::parse(server).map_err(|error| format!("the server's URL: {error}"))?;
    let named =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let host =
        named("host").or_else(|| url.host_str().map(str::to_owned)).unwrap_or_else(|| "localhost".into());
    let port = url.port().unwrap_or(5432);
    let user = match url.username() {
        "" => "postgres",
        user => user,
    };
    let password = match url.password() {
        Some(password) => format!(" password='{password}'"),
        None => String::new(),
    };
    let database = match url.path().trim_start_matches('/') {
        "" => user,
        database => database,
    };
    // More clients than connections, and few of these, so that transactions do change connections. They do not grow old: each trial has a
    // schema of its own, and a connection that has planned statements in hundreds of them is told of every change in any of them.
    Ok(format!(
        "[databases]\n\
         postgres = host={host} port={port} dbname={database} user={user}{password}\n\
         [pgbouncer]\n\
         listen_addr =\n\
         listen_port = {PORT}\n\
         unix_socket_dir = {folder}\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 8\n\
         max_client_conn = 500\n\
         server_reset_query =\n\
         server_lifetime = 5\n\
         ignore_startup_parameters = extra_float_digits\n",
        folder = path(folder)?,
    ))
}

fn until_it_listens(folder: &Path, keeper: &mut Keeper) -> Result<(), String> {
    let patience = Instant::now() + Duration::from_secs(20);
    let socket = folder.join(format!(".s.PGSQL.{PORT}"));
    while Instant::now() < patience && keeper.runs(NAME)? {
        #[cfg(unix)]
        if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("no pooler at {}; it said:\n{}", socket.display(), keeper.log_of(NAME)))
}

fn find() -> Result<PathBuf, String> {
    let mut places = search_path();
    places.push("/usr/sbin".into());
    let found = places.iter().map(|place| place.join("pgbouncer")).find(|program| program.is_file());
    found.ok_or_else(|| "no `pgbouncer` on PATH or in /usr/sbin; install it".to_owned())
}

const NAME: &str = "pgbouncer";
const PORT: u16 = 6432;
