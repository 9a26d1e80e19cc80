//! What a run has to show: each check is printed, and one that fails makes the example fail.

use std::process::ExitCode;

#[derive(Default)]
pub(crate) struct Checks {
    held: usize,
    failed: usize,
}

impl Checks {
    pub(crate) fn that(&mut self, rule: &str, holds: bool) {
        self.count(holds);
        println!("  {}: {rule}", if holds { "ok" } else { "FAILED" });
    }

    /// As [`Checks::that`], for whoever prints it in another way.
    pub(crate) fn count(&mut self, holds: bool) {
        if holds {
            self.held += 1;
        } else {
            self.failed += 1;
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
