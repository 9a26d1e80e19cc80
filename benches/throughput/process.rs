//! More processes that deliver: this binary, started again.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::engine::{Failure, hub};
use crate::ground::Site;

/// A process that delivers; it ends with this one, because its standard input does.
#[derive(Debug)]
pub(crate) struct Process(Child);

const SITE: &str = "CROSSDOCK_BENCH_SITE";
const TYPES: &str = "CROSSDOCK_BENCH_TYPES";

impl Process {
    /// Starts one, and waits until it works.
    pub(crate) async fn start(site: &Site, types: BTreeSet<String>) -> Result<Self, Failure> {
        let types: Vec<_> = types.into_iter().collect();
        let mut child = Command::new(std::env::current_exe()?)
            .env(SITE, site.name())
            .env(TYPES, types.join(","))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().ok_or("a process without a voice")?;
        let line = tokio::task::spawn_blocking(move || BufReader::new(said).lines().next()).await?;
        if line.transpose()?.as_deref() != Some(READY) {
            return Err("a process that should deliver has ended".into());
        }
        Ok(Self(child))
    }

    /// Ends it at once.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        self.0.kill()?;
        tokio::task::spawn_blocking(move || self.0.wait()).await??;
        Ok(())
    }

    /// Asks it to end; it finishes what it is sending.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        drop(self.0.stdin.take());
        let status = tokio::task::spawn_blocking(move || self.0.wait()).await??;
        if status.success() { Ok(()) } else { Err(format!("a process has ended: {status}").into()) }
    }
}

/// What this process was started for, if it is one of those.
pub(crate) fn site_of_this_process() -> Option<String> {
    std::env::var(SITE).ok()
}

/// Delivers until nobody is there any more.
#[expect(clippy::print_stdout, reason = "the other process waits for it")]
pub(crate) async fn deliver(site: &str) -> Result<ExitCode, Failure> {
    let types = std::env::var(TYPES)?.split(',').map(str::to_owned).collect();
    let hub = hub(&Site::named(site)?, types).await?;
    println!("{READY}");
    let told = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let told = async {
        // However it ends: nobody is there any more.
        let _ = told.await;
    };
    hub.worker().run_until(told).await;
    Ok(ExitCode::SUCCESS)
}

const READY: &str = "ready";
