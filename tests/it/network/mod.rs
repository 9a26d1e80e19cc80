//! Faults of the network, each met once by the real transport and the real engine; what is logged and what happens next is a table
//! that people can read, in `docs/webhooks.md`.

mod faults;
mod proxy;
mod story;

use libtest_mimic::Trial;

use crate::loopback::play;
use crate::network::faults::Fault;
use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    let told = faults::all().into_iter().map(|fault| {
        let name = fault.name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
        rule(&format!("network::{}", name.to_lowercase()), move || is_told(fault))
    });
    told.chain([rule("network::the_table_holds_every_fault_and_nothing_else", table_is_whole)]).collect()
}

/// The fault does what the table says.
fn is_told(fault: Fault) -> Result<(), String> {
    let name = fault.name;
    let mut line = None;
    play(async {
        line = Some(story::tell(fault).await?);
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    let line = line.ok_or("the story was not told")?;
    match table().iter().find(|row| row.starts_with(&format!("| {name} |"))) {
        Some(row) if **row == line => Ok(()),
        row => Err(format!("{DOCS} says\n{row:?}\nand what happened is\n{line}")),
    }
}

fn table_is_whole() -> Result<(), String> {
    let names: Vec<_> = table().iter().filter_map(|row| row.split(" | ").next()).collect();
    let faults = faults::all();
    let expected: Vec<_> = faults.iter().map(|fault| format!("| {}", fault.name)).collect();
    match names == expected && names.len() >= AT_LEAST {
        true => Ok(()),
        false => Err(format!("{DOCS} names\n{names:#?}\nand not\n{expected:#?}")),
    }
}

/// The rows of the table.
fn table() -> Vec<&'static str> {
    let text = include_str!("../../../docs/webhooks.md");
    let rows = text.split(HEADER).nth(1).unwrap_or_default().lines();
    rows.skip(1).take_while(|line| line.starts_with("| ")).collect()
}

const DOCS: &str = "docs/webhooks.md";
const HEADER: &str = "\n| what happens | the log says | then | requests |\n";
const AT_LEAST: usize = 25;
