//! A process that is there to be killed: this binary once more, which ends when its owner does.

use std::io::Read;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::child;
use crate::kills::host::Failure;
use crate::postgres::family;

/// A process under its owner's eyes; dropping it kills it.
pub(crate) struct Process {
    part: &'static str,
    child: Child,
    /// It does nothing until then.
    halted_until: Option<Instant>,
}

impl Process {
    /// Starts a part with what it has to know.
    pub(crate) fn start(part: &'static str, brief: &impl Serialize) -> Result<Self, Failure> {
        let mut command = child::command(part)?;
        command.env(BRIEF, serde_json::to_string(brief)?).stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self { part, child: command.spawn()?, halted_until: None })
    }

    /// What it says, line by line; once.
    pub(crate) fn voice(&mut self) -> Result<ChildStdout, Failure> {
        Ok(self.child.stdout.take().ok_or("a process without a voice")?)
    }

    /// Stops the process where it is, as a machine does that is moved or has no memory left; it goes on after this time.
    pub(super) fn halt(&mut self, length: Duration) -> Result<(), Failure> {
        family::send(&[self.child.id()], "STOP")?;
        self.halted_until = Some(Instant::now() + length);
        Ok(())
    }

    pub(super) fn is_awake(&self) -> bool {
        self.halted_until.is_none()
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        self.halted_until = None;
        Ok(family::send(&[self.child.id()], "CONT")?)
    }

    /// Nobody but its owner ends it. What was halted goes on when it is time; whoever has processes calls this often.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        if self.halted_until.is_some_and(|until| until <= Instant::now()) {
            self.go_on()?;
        }
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} has ended by itself: {status}", self.part).into()),
        }
    }

    /// This is `kill -9`.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        self.check()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
        self.check()?;
        drop(self.child.stdin.take());
        if self.halted_until.is_some() {
            self.go_on()?;
        }
        let begun = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("{} has ended with {status}", self.part).into()),
                None if begun.elapsed() > PATIENCE => {
                    return Err(format!("{} does not end", self.part).into());
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After `kill` and `stop` there is nobody any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this process has to know, as its owner has said it.
pub(crate) fn brief<T: DeserializeOwned>() -> Result<T, Failure> {
    Ok(serde_json::from_str(&std::env::var(BRIEF)?)?)
}

/// Becomes true when the owner asks this process to end, or has ended itself.
pub(crate) fn told_to_end() -> Arc<AtomicBool> {
    let told = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&told);
    std::thread::spawn(move || {
        // However it ends: nobody is there any more.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::SeqCst);
    });
    told
}

/// Waits until this counts so many, as long as it counts more and more.
pub(super) async fn until_there_are(
    wanted: usize,
    of_what: &str,
    mut count: impl FnMut() -> Result<usize, Failure>,
) -> Result<(), Failure> {
    let (mut begun, mut before) = (Instant::now(), 0);
    loop {
        let now = count()?;
        if now >= wanted {
            return Ok(());
        }
        if now > before {
            (begun, before) = (Instant::now(), now);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("nothing was {of_what} any more after {now} events").into());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

const BRIEF: &str = "CROSSDOCK_IT_BRIEF";
const PATIENCE: Duration = Duration::from_secs(60);
