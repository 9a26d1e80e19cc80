//! The one integration binary. It has its own `main` so that a test can be reported as ignored with a reason at
//! run time, and so that the binary can start itself again as a child process.

mod admin;
mod architecture;
mod bent;
mod canaries;
mod catalog;
mod certificates;
mod chain;
mod child;
mod conformance;
mod doctor;
mod durable;
mod egress;
mod enumeration;
mod fuzzed;
mod history;
mod http_client;
mod http_pool;
mod inbound;
mod keys;
mod kills;
mod lookups;
mod loopback;
mod manifest;
mod mapping_expressions;
mod memory;
mod network;
mod odd_stores;
mod patience;
mod postgres;
mod reception;
mod relay;
mod rewrap;
mod signature_vectors;
mod signatures;
mod simulation;
mod sqlite;
mod ssrf;
mod story;
mod vault;
mod web;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    if let Some(code) = child::play_part() {
        return code;
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    trials.extend(admin::trials());
    trials.extend(architecture::trials());
    trials.extend(catalog::trials());
    trials.extend(chain::trials());
    trials.extend(conformance::trials());
    trials.extend(doctor::trials());
    trials.extend(durable::trials());
    trials.extend(egress::trials());
    trials.extend(enumeration::trials());
    trials.extend(history::trials());
    trials.extend(http_client::trials());
    trials.extend(http_pool::trials());
    trials.extend(inbound::trials());
    trials.extend(keys::trials());
    trials.extend(kills::trials());
    trials.extend(lookups::trials());
    trials.extend(manifest::trials());
    trials.extend(mapping_expressions::trials());
    trials.extend(network::trials());
    trials.extend(odd_stores::trials());
    trials.extend(postgres::trials());
    trials.extend(reception::trials());
    trials.extend(rewrap::trials());
    trials.extend(signature_vectors::trials());
    trials.extend(memory::trials());
    trials.extend(signatures::trials());
    trials.extend(simulation::trials());
    trials.extend(sqlite::trials());
    trials.extend(ssrf::trials());
    trials.extend(story::trials());
    trials.extend(vault::trials());
    trials.extend(web::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    postgres::end();
    conclusion.exit_code()
}

/// One named rule; `story` returns `Err` or panics when the rule does not hold.
fn rule<E: std::fmt::Display>(name: &str, story: impl FnOnce() -> Result<(), E> + Send + 'static) -> Trial {
    Trial::test(name, move || story().map_err(|error| Failed::from(error.to_string())))
}
