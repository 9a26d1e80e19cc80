//! The shop's processes: this binary, started again to play a part.
//!
//! None of this is needed in a host, which has one binary, or several, and something that starts them again.

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use crossdock::tenancy::TenantId;
use tempfile::TempDir;

use crate::shop::{FIRST_ORDER, HALF_WAY, LAST_ORDER, Shop};

/// What a process is there for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// Takes the first half of the orders and delivers meanwhile; is killed while it takes the one half-way.
    DoItAllUntilKilled,
    /// Takes the other half, and delivers what there is.
    DoItAll,
    TakeOrdersUntilKilled,
    TakeOrders,
    Deliver,
}

/// Where the story takes place; every process knows it.
pub(crate) struct Setting {
    pub(crate) database: Database,
    pub(crate) tenant: TenantId,
    /// The keys under which secrets are sealed, as a host has them from its configuration.
    pub(crate) keys: String,
    /// It goes with the process that has made it.
    _folder: Option<TempDir>,
}

/// Where the shop keeps its orders, and crossdock, beside them, what is to be delivered.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

/// A process that was started; it ends with this one, because its standard input does.
pub(crate) struct Process(Child);

impl Part {
    const ALL: [(&str, Self); 5] = [
        ("do_it_all_until_killed", Self::DoItAllUntilKilled),
        ("do_it_all", Self::DoItAll),
        ("take_orders_until_killed", Self::TakeOrdersUntilKilled),
        ("take_orders", Self::TakeOrders),
        ("deliver", Self::Deliver),
    ];

    /// The part that this process was started for, if it was.
    pub(crate) fn of_this_process() -> Result<Option<(Self, Setting)>, Box<dyn Error>> {
        let Ok(name) = std::env::var(PART) else { return Ok(None) };
        let part = Self::ALL.iter().find(|(known, _)| *known == name).ok_or("there is no such part")?.1;
        Ok(Some((part, Setting::from_environment()?)))
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, part)| *part == self).map_or("", |(name, _)| name)
    }

    pub(crate) async fn play(self, setting: &Setting) -> Result<(), Box<dyn Error>> {
        let shop = Shop::open(setting).await?;
        let hub = shop.hub(setting)?;
        let worker = hub.worker();
        let delivers = matches!(self, Self::DoItAllUntilKilled | Self::DoItAll | Self::Deliver);
        let delivering =
            delivers.then(|| tokio::spawn(async move { worker.run_until(told_to_stop()).await }));
        match self {
            Self::DoItAllUntilKilled | Self::TakeOrdersUntilKilled => {
                shop.take_orders(&hub, setting, FIRST_ORDER..=HALF_WAY).await?;
            }
            Self::DoItAll | Self::TakeOrders => {
                shop.take_orders(&hub, setting, HALF_WAY + 1..=LAST_ORDER).await?;
            }
            Self::Deliver => {}
        }
        if let Some(delivering) = delivering {
            delivering.await?;
        }
        Ok(())
    }
}

/// Ends when whoever has started this process closes its input, or has ended.
async fn told_to_stop() {
    let told = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    // However it ends: nobody is there any more.
    let _ = told.await;
}

impl Process {
    pub(crate) fn start(part: Part, setting: &Setting) -> Result<Self, Box<dyn Error>> {
        let database = match &setting.database {
            Database::Sqlite(path) => path.to_str().ok_or("the path is not text")?,
            Database::Postgres(url) => url,
        };
        let process = Command::new(std::env::current_exe()?)
            .env(PART, part.name())
            .env(DATABASE, database)
            .env(TENANT, setting.tenant.as_str())
            .env(KEYS, &setting.keys)
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Self(process))
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> Result<ExitStatus, Box<dyn Error>> {
        // `Child::wait` would close its input.
        let stdin = self.0.stdin.take();
        let status = self.0.wait()?;
        drop(stdin);
        Ok(status)
    }

    pub(crate) fn kill(mut self) -> Result<(), Box<dyn Error>> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Asks it to end; it finishes what it is sending.
    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        drop(self.0.stdin.take());
        match self.0.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("a process of the shop has ended: {status}").into()),
        }
    }
}

impl Setting {
    /// A new story, in the database that the command line names.
    pub(crate) fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (database, folder) = match arguments[..] {
            [] => {
                let folder = tempfile::tempdir()?;
                (Database::Sqlite(folder.path().join("shop.db")), Some(folder))
            }
            ["--postgres", url] => (Database::Postgres(url.to_owned()), None),
            _ => return Err("usage: durable [--postgres URL]".into()),
        };
        // Another tenant and another key each time, because the database may remember the last one.
        let number: u64 = rand::random();
        let key: String = (0..32).map(|_| format!("{:02x}", rand::random::<u8>())).collect();
        let tenant = format!("shop_{number:016x}").parse()?;
        Ok(Self { database, tenant, keys: format!("tutorial:{key}"), _folder: folder })
    }

    fn from_environment() -> Result<Self, Box<dyn Error>> {
        let database = std::env::var(DATABASE)?;
        let database = match database.contains("://") {
            true => Database::Postgres(database),
            false => Database::Sqlite(database.into()),
        };
        let (tenant, keys) = (std::env::var(TENANT)?.parse()?, std::env::var(KEYS)?);
        Ok(Self { database, tenant, keys, _folder: None })
    }

    /// Whether any number of processes may deliver.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.database, Database::Postgres(_))
    }
}

const PART: &str = "DURABLE_PART";
const DATABASE: &str = "DURABLE_DATABASE";
const TENANT: &str = "DURABLE_TENANT";
const KEYS: &str = "DURABLE_KEYS";
