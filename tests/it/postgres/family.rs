//! A process and those that it has started, killed together: what a server's machine does to it when the memory is full.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Whether children can be found here; the reason if not.
pub(crate) fn can_be_found() -> Result<(), String> {
    match Path::new("/proc/self/stat").is_file() {
        true => Ok(()),
        false => Err("a server and its processes can be killed only where there is /proc".to_owned()),
    }
}

/// `kill -9` for the process and its children. It is halted first, so that it neither starts others nor notices their death.
pub(super) fn kill(parent: u32) -> Result<(), String> {
    send(&[parent], "STOP")?;
    let mut family = vec![parent];
    family.extend(children(parent)?);
    let killed = send(&family, "KILL");

    let patience = Instant::now() + Duration::from_secs(20);
    while let Some(alive) = family.iter().find(|pid| is_alive(**pid)) {
        if Instant::now() > patience {
            return Err(format!("process {alive} is still there: {killed:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// The shell's own `kill` is everywhere; the program of that name is not.
pub(crate) fn send(pids: &[u32], signal: &str) -> Result<(), String> {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let order = format!("kill -s {signal} {}", pids.join(" "));
    let mut shell = Command::new("sh");
    shell.args(["-c", &order]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match shell.status().map_err(|error| error.to_string())? {
        status if status.success() => Ok(()),
        status => Err(format!("`{order}`: {status}")),
    }
}

fn children(parent: u32) -> Result<Vec<u32>, String> {
    let processes = std::fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent)).collect())
}

/// A process that has ended and that nobody has asked about yet holds nothing any more.
fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// The state of a process, and whose child it is.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, parentheses too.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
