//! What is measured, and how much of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The command line, with a default for everything.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) store: Store,
    pub(crate) output: Output,
    pub(crate) tables: Vec<TableName>,
    /// Events per round of the first table.
    pub(crate) events: u64,
    pub(crate) rounds: usize,
    pub(crate) tenants: usize,
    /// Webhooks per tenant: each event goes to all of them.
    pub(crate) webhooks: usize,
    /// Size of an event's data, in bytes.
    pub(crate) payload: usize,
    pub(crate) connections: usize,
    /// Requests of one webhook at once; its share of the connections if not given.
    pub(crate) in_flight: Option<u32>,
    /// Tasks that publish, one event per call.
    pub(crate) publishers: Option<usize>,
    /// Processes that deliver, this one among them.
    pub(crate) processes: usize,
    /// Loops of the worker; the worker's own default if not given.
    pub(crate) runners: Option<usize>,
    /// How many deliveries that have ended the store keeps.
    pub(crate) history: usize,
    /// How long 50 events a second are published.
    pub(crate) low_load: Duration,
    /// How long each measurement of the second table takes, and how often it is repeated.
    pub(crate) hanging: (Duration, usize),
    /// After how many deliveries the memory is looked at.
    pub(crate) memory: (u64, u64),
    /// How many deliveries of history the table of that name writes.
    pub(crate) rows: u64,
    /// How many events a second are published beside history, and while a snapshot is pinned.
    pub(crate) pace: u32,
    /// How long a snapshot is pinned.
    pub(crate) pinned: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Store {
    Memory,
    Sqlite,
    Postgres,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Output {
    Tables,
    Json,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TableName {
    Throughput,
    Limits,
    Hanging,
    Memory,
    History,
    Pinned,
}

pub(crate) const USAGE: &str = "\
cargo bench --bench throughput -- [OPTIONS]

  --store NAME          where the engine keeps its work: memory, sqlite or postgres [memory]
                        (a server is started for the run, unless CROSSDOCK_BENCH_POSTGRES_URL names one)
  --processes N         processes that deliver, this one among them; not with memory [1]
  --json                one JSON object per line instead of tables
  --quick               seconds instead of minutes: for a look whether it works, not for figures
  --table NAME          only this table: throughput, limits, hanging, memory, history or pinned; may be repeated
  --events N            events per round [60000; on a database 20000]
  --rounds N            rounds, alternating between bare loop and engine [5]
  --tenants N           tenants, each with its own webhooks and its own receiver [4; on a database 16]
  --webhooks N          webhooks per tenant; each event goes to all of them [1]
  --payload BYTES       size of an event's data [1024]
  --connections N       connections of the bare loop, and requests the engine may have in flight [32]
  --in-flight N         requests of a webhook at once [its share of the connections; on a database 64]
  --publishers N        tasks that publish, one event per call [one per tenant; on a database 64]
  --runners N           loops of the worker [the worker's own default]
  --history N           deliveries that the store keeps after they have ended [10000]
  --memory FIRST,LAST   after how many deliveries memory is compared [100000,1000000]
  --rows N              deliveries of history that the table history writes [5000000]
  --pace N              events a second in the tables history and pinned [500]
  --pinned SECONDS      how long the table pinned holds a snapshot [600]";

impl Default for Options {
    fn default() -> Self {
        Self {
            store: Store::Memory,
            output: Output::Tables,
            tables: vec![TableName::Throughput, TableName::Hanging, TableName::Memory],
            events: 60_000,
            rounds: 5,
            tenants: 4,
            webhooks: 1,
            payload: 1_024,
            connections: 32,
            in_flight: None,
            publishers: None,
            processes: 1,
            runners: None,
            history: 10_000,
            low_load: Duration::from_secs(10),
            hanging: (Duration::from_secs(2), 4),
            memory: (100_000, 1_000_000),
            rows: 5_000_000,
            pace: 500,
            pinned: Duration::from_secs(600),
        }
    }
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut tables = Vec::new();
        let mut arguments = arguments.peekable();
        let all: Vec<String> = arguments.by_ref().collect();
        // First, so that what is said besides it wins.
        let store =
            all.iter().position(|argument| argument == "--store").and_then(|index| all.get(index + 1));
        if store.is_some_and(|store| store != "memory") {
            options.make_durable();
        }
        if all.iter().any(|argument| argument == "--quick") {
            options.make_quick();
        }
        let mut rest = all.into_iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                // cargo says so to every benchmark.
                "--bench" | "--quick" => {}
                "--json" => options.output = Output::Json,
                "--store" => options.store = value()?.parse()?,
                "--table" => tables.push(value()?.parse()?),
                "--events" => options.events = at_least_one(&value()?)?,
                "--rounds" => options.rounds = at_least_one(&value()?)?,
                "--tenants" => options.tenants = at_least_one(&value()?)?,
                "--webhooks" => options.webhooks = at_least_one(&value()?)?,
                "--payload" => options.payload = number(&value()?)?,
                "--connections" => options.connections = at_least_one(&value()?)?,
                "--in-flight" => options.in_flight = Some(at_least_one(&value()?)?),
                "--publishers" => options.publishers = Some(at_least_one(&value()?)?),
                "--processes" => options.processes = at_least_one(&value()?)?,
                "--runners" => options.runners = Some(at_least_one(&value()?)?),
                "--history" => options.history = number(&value()?)?,
                "--rows" => options.rows = at_least_one(&value()?)?,
                "--pace" => options.pace = at_least_one(&value()?)?,
                "--pinned" => options.pinned = Duration::from_secs(at_least_one(&value()?)?),
                "--memory" => options.memory = pair(&value()?)?,
                _ => return Err(format!("unknown option {argument}")),
            }
        }
        if !tables.is_empty() {
            options.tables = tables;
        }
        if options.store == Store::Memory
            && (options.processes > 1 || options.tables.contains(&TableName::Limits))
        {
            return Err(
                "processes share a database, and limits are a database's: name one with --store".to_owned()
            );
        }
        Ok(options)
    }

    /// A step takes a commit there, so more is under way at once.
    fn make_durable(&mut self) {
        self.tables = vec![TableName::Limits, TableName::Throughput, TableName::Hanging];
        self.events = 20_000;
        self.rounds = 3;
        self.tenants = 16;
        self.in_flight = Some(64);
        self.publishers = Some(64);
    }

    fn make_quick(&mut self) {
        self.events /= 6;
        self.rounds = 3;
        self.low_load = Duration::from_secs(2);
        self.hanging = (Duration::from_millis(500), 2);
        self.memory = (20_000, 60_000);
    }

    /// Requests of one webhook at once, so that all webhooks together can use as many connections as the bare loop.
    pub(crate) fn max_in_flight(&self) -> u32 {
        let share = self.connections / (self.tenants * self.webhooks);
        self.in_flight.unwrap_or(u32::try_from(share).unwrap_or(u32::MAX)).max(1)
    }

    /// Whether the engine's work survives.
    pub(crate) fn is_durable(&self) -> bool {
        self.store != Store::Memory
    }

    /// Tasks that publish for one tenant.
    pub(crate) fn publishers_per_tenant(&self) -> usize {
        (self.publishers.unwrap_or(self.tenants) / self.tenants).max(1)
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "memory" => Ok(Self::Memory),
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            _ => Err(format!("unknown store {text}")),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "throughput" => Ok(Self::Throughput),
            "limits" => Ok(Self::Limits),
            "hanging" => Ok(Self::Hanging),
            "memory" => Ok(Self::Memory),
            "history" => Ok(Self::History),
            "pinned" => Ok(Self::Pinned),
            _ => Err(format!("unknown table {text}")),
        }
    }
}

fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text} is not a number that fits here"))
}

fn at_least_one<N: FromStr + PartialEq + Default>(text: &str) -> Result<N, String> {
    number(text).and_then(|value: N| {
        if value == N::default() { Err("at least one is needed".to_owned()) } else { Ok(value) }
    })
}

fn pair(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once(',').ok_or("two numbers with a comma between them are needed")?;
    let (first, last) = (at_least_one(first)?, at_least_one(last)?);
    if first < last { Ok((first, last)) } else { Err("the first number is the smaller one".to_owned()) }
}
