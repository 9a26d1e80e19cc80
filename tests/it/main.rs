//! The one integration binary. It has its own `main` so that a test can be reported as ignored with a reason at
//! run time, and so that the binary can start itself again as a child process.

mod signature_vectors;
mod signatures;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let lists: Vec<Vec<Trial>> = vec![signature_vectors::trials(), signatures::trials()];
    let trials = lists.into_iter().flatten().collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// One named rule; `story` returns `Err` or panics when the rule does not hold.
fn rule<E: std::fmt::Display>(name: &str, story: impl FnOnce() -> Result<(), E> + Send + 'static) -> Trial {
    Trial::test(name, move || story().map_err(|error| Failed::from(error.to_string())))
}
