//! What a run has to show: each check is printed, and one that fails makes the example fail.

use std::process::ExitCode;

#[derive(Default)]
pub(crate) struct Checks {
    held: usize,
    failed: usize,
}

impl Checks {
    pub(crate) fn that(&mut self, rule: &str, holds: bool) {
        if holds {
            self.held += 1;
            println!("  ok: {rule}");
        } else {
            self.failed += 1;
            println!("  FAILED: {rule}");
        }
    }

    /// For the last line.
    pub(crate) fn told(&self) -> String {
        match self.failed {
            0 => format!("{} checks as expected", self.held),
            failed => format!("{failed} of {} checks FAILED", self.held + failed),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
