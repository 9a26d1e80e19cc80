//! Keeps servers for as long as their owner lives, and no longer.
//!
//! A keeper is this binary once more, in a process group of its own, with a pipe to its owner. Whatever happens to the owner, an
//! end, a panic or `kill -9`, the pipe closes; then the keeper stops its servers, removes their folder, and ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::child;
use crate::postgres::account::Account;
use crate::postgres::family;

/// A keeper as its owner sees it; dropping it ends everything that it keeps.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Child,
    /// `None` once it has been told to end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

/// What an owner asks for, one line each.
#[derive(Debug, Deserialize, Serialize)]
enum Order {
    /// Runs a program to its end.
    Run { program: PathBuf, arguments: Vec<String> },
    /// Starts a server; its output goes to `<name>.log` in the folder.
    Start { name: String, program: PathBuf, arguments: Vec<String> },
    /// Sends a signal to a server.
    Signal { name: String, signal: String },
    /// Kills a server and the processes that it has started, all at once.
    Kill { name: String },
    /// Says whether a server is still there.
    Look { name: String },
    /// Waits until a server has ended.
    Await { name: String },
}

/// An order that asks nothing is answered with `Runs::Yes`.
type Answer = Result<Runs, String>;

type Outcome = Result<(), String>;

#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Runs {
    Yes,
    No,
}

impl Keeper {
    /// A keeper with an empty folder, which belongs to the account that its servers run as.
    pub(crate) fn hire() -> Result<Self, String> {
        let said = |error: io::Error| format!("no keeper of servers: {error}");
        let mut command = child::command("keep_servers").map_err(said)?;
        // What ends a whole group, such as Ctrl-C or a time limit, must not end the keeper before it has cleaned up.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(said)?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take().map(BufReader::new));
        let mut answers = answers.ok_or("a keeper without a voice")?;
        let folder: Result<PathBuf, String> = read_line(&mut answers)?;
        Ok(Self { process, orders, answers, folder: folder? })
    }

    /// Where the servers have their files; it ends with the keeper.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a program to its end.
    pub(crate) fn run(&mut self, program: &Path, arguments: &[&str]) -> Outcome {
        self.order(&Order::Run { program: program.to_owned(), arguments: owned(arguments) })
    }

    /// Starts a server under this name.
    pub(crate) fn start(&mut self, name: &str, program: &Path, arguments: &[&str]) -> Outcome {
        let arguments = owned(arguments);
        self.order(&Order::Start { name: name.to_owned(), program: program.to_owned(), arguments })
    }

    /// Whether the server is still there.
    pub(crate) fn runs(&mut self, name: &str) -> Result<bool, String> {
        self.ask(&Order::Look { name: name.to_owned() }).map(|answer| answer == Runs::Yes)
    }

    /// Sends a signal, such as `INT`.
    pub(crate) fn signal(&mut self, name: &str, signal: &str) -> Outcome {
        self.order(&Order::Signal { name: name.to_owned(), signal: signal.to_owned() })
    }

    /// `kill -9` for the server and the processes that it has started.
    pub(crate) fn kill(&mut self, name: &str) -> Outcome {
        self.order(&Order::Kill { name: name.to_owned() })?;
        self.wait_for(name)
    }

    /// Waits until the server has ended.
    pub(crate) fn wait_for(&mut self, name: &str) -> Outcome {
        self.order(&Order::Await { name: name.to_owned() })
    }

    /// What the server has said last.
    pub(crate) fn log_of(&self, name: &str) -> String {
        let log = std::fs::read(log_file(&self.folder, name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn order(&mut self, order: &Order) -> Outcome {
        self.ask(order).map(|_| ())
    }

    fn ask(&mut self, order: &Order) -> Answer {
        let orders = self.orders.as_mut().ok_or("the keeper has gone home")?;
        write_line(orders, order)?;
        read_line::<Answer>(&mut self.answers)?
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.orders = None;
        if let Err(error) = self.process.wait() {
            eprintln!("the keeper of servers cannot be waited for: {error}");
        }
    }
}

/// The keeper's own side: the part that this binary plays when it is started as `keep_servers`.
pub(crate) fn keep() -> Result<(), Box<dyn std::error::Error>> {
    let mut stdout = io::stdout();
    let mut household = match Household::found() {
        Ok(household) => household,
        Err(reason) => return Ok(write_line(&mut stdout, &Err::<PathBuf, _>(reason))?),
    };
    write_line(&mut stdout, &Ok::<_, String>(household.folder.path()))?;
    for line in io::stdin().lines() {
        let outcome = household.obey(serde_json::from_str(&line?)?);
        write_line(&mut stdout, &outcome)?;
    }
    Ok(())
}

#[derive(Debug)]
struct Household {
    account: Account,
    folder: TempDir,
    servers: Vec<(String, Child)>,
}

impl Household {
    fn found() -> Result<Self, String> {
        let folder = folder().map_err(|error| format!("no folder for servers: {error}"))?;
        let account = Account::for_servers(folder.path())?;
        Ok(Self { account, folder, servers: Vec::new() })
    }

    fn obey(&mut self, order: Order) -> Answer {
        match order {
            Order::Run { program, arguments } => self.run(&program, &arguments)?,
            Order::Start { name, program, arguments } => self.start(name, &program, &arguments)?,
            Order::Signal { name, signal } => family::send(&[self.server(&name)?.id()], &signal)?,
            Order::Kill { name } => family::kill(self.server(&name)?.id())?,
            Order::Look { name } => {
                if self.server(&name)?.try_wait().map_err(|error| error.to_string())?.is_some() {
                    return Ok(Runs::No);
                }
            }
            Order::Await { name } => {
                self.server(&name)?.wait().map_err(|error| error.to_string())?;
                self.servers.retain(|(known, _)| *known != name);
            }
        }
        Ok(Runs::Yes)
    }

    fn run(&self, program: &Path, arguments: &[String]) -> Outcome {
        let output = self.command(program, arguments).output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim()))
    }

    fn start(&mut self, name: String, program: &Path, arguments: &[String]) -> Outcome {
        let said = |error: io::Error| format!("{}: {error}", program.display());
        let log = File::options().create(true).append(true).open(log_file(self.folder.path(), &name));
        let log = log.map_err(said)?;
        let mut command = self.command(program, arguments);
        command.stdout(log.try_clone().map_err(said)?).stderr(log);
        let server = command.spawn().map_err(said)?;
        self.servers.push((name, server));
        Ok(())
    }

    fn command(&self, program: &Path, arguments: &[String]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        self.account.put_on(&mut command);
        command
    }

    fn server(&mut self, name: &str) -> Result<&mut Child, String> {
        let server = self.servers.iter_mut().find(|(known, _)| known == name);
        server.map(|(_, server)| server).ok_or_else(|| format!("{name} does not run"))
    }
}

impl Drop for Household {
    fn drop(&mut self) {
        for (name, mut server) in self.servers.drain(..).rev() {
            // What is thrown away needs no orderly end.
            if let Err(error) = family::send(&[server.id()], "QUIT").and_then(|()| wait_or_kill(&mut server))
            {
                eprintln!("{name} cannot be stopped: {error}");
            }
        }
    }
}

fn wait_or_kill(server: &mut Child) -> Outcome {
    let patience = Instant::now() + Duration::from_secs(10);
    while server.try_wait().map_err(|error| error.to_string())?.is_none() {
        if Instant::now() > patience {
            server.kill().map_err(|error| error.to_string())?;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Somewhere short: the path of a socket has at most about a hundred bytes.
fn folder() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("crossdock-");
    let usual = std::env::temp_dir();
    if usual.as_os_str().len() > 60 {
        let words =
            format!("{} is too long for a socket's path: set TMPDIR to a shorter one", usual.display());
        return Err(io::Error::other(words));
    }
    builder.tempdir_in(usual)
}

fn log_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

fn write_line<T: Serialize>(to: &mut impl Write, value: &T) -> Result<(), String> {
    let mut line = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    line.push(b'\n');
    to.write_all(&line).and_then(|()| to.flush()).map_err(|error| error.to_string())
}

fn read_line<T: for<'a> Deserialize<'a>>(from: &mut impl BufRead) -> Result<T, String> {
    let mut line = String::new();
    match from.read_line(&mut line).map_err(|error| error.to_string())? {
        0 => Err("the keeper of servers has ended".to_owned()),
        _ => serde_json::from_str(&line).map_err(|error| error.to_string()),
    }
}
