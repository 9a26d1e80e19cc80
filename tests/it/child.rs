//! Starting this binary again for what a process can only do once: reading its environment, choosing its defaults.

use std::io;
use std::process::{Command, ExitCode};

use crate::{egress, fuzzed, http_client, inbound, keys, kills, postgres, sqlite};

/// Says which part.
pub(crate) const PART: &str = "CROSSDOCK_IT_PART";

/// This binary again, to play one part and end.
pub(crate) fn command(part: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(PART, part);
    Ok(command)
}

/// The exit code of the part this process was started for, if it was.
pub(crate) fn play_part() -> Option<ExitCode> {
    let outcome = match std::env::var(PART).ok()?.as_str() {
        "send_once" => egress::send_once(),
        "second_provider" => http_client::send_beside_another_provider(),
        "keep_servers" => postgres::keep(),
        "hold_a_server" => postgres::hold_a_server(),
        "with_server" => postgres::with_server(),
        "open_sqlite" => sqlite::open_beside_others(),
        "publish_in_sqlite" => sqlite::publish_until_killed(),
        "deliver_until_killed" => kills::deliver_until_killed(),
        "receive_until_killed" => kills::receive_until_killed(),
        "publish_until_killed" => kills::publish_until_killed(),
        "call_with_keys" => keys::call_with_keys(),
        "serve_management" => fuzzed::serve_management(),
        "receive_and_handle" => inbound::receive_and_handle(),
        "claim_in_sqlite" => sqlite::claim_beside_others(),
        unknown => Err(format!("there is no part {unknown}").into()),
    };
    match outcome {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{error}");
            Some(ExitCode::FAILURE)
        }
    }
}
