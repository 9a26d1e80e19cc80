//! What the manifest promises: the oldest Rust, the core without a runtime, licences that a product can ship.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule(
            "manifest::rust_version_is_the_highest_that_the_default_dependencies_ask_for",
            rust_version_is_exact,
        ),
        rule("manifest::without_features_no_runtime_is_in_the_tree", the_core_is_pure),
        rule("manifest::every_dependency_has_a_licence_that_a_product_can_ship", licences_are_permissive),
        rule("manifest::an_expression_of_licences_is_read_as_spdx_writes_it", expressions_are_read),
    ]
}

/// One licence of each alternative must be of these.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    // Mozilla's list of certificate authorities, which is data.
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// None of these may be in the tree of a build without features; `.ci/run` reads the names from here.
const RUNTIMES: &[&str] = &[
    "async-std",
    "hyper",
    "hyper-util",
    "jsonschema",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "smol",
    "sqlx",
    "tokio",
    "tokio-postgres",
    "tokio-rustls",
];

/// A package as `name version`.
type Package = String;

fn rust_version_is_exact() -> Result<(), String> {
    let metadata = metadata()?;
    let declared = packages(&metadata, "rust_version");
    let own = declared.get(&own_name()).and_then(|text| version(text)).ok_or("no rust-version of our own")?;

    let in_the_tree = tree(&["-e", "normal"])?;
    let highest = in_the_tree
        .iter()
        .filter(|package| **package != own_name())
        .filter_map(|package| Some((version(declared.get(package)?)?, package)))
        .max()
        .ok_or("no dependency declares a rust-version")?;

    if own == highest.0 { Ok(()) } else { Err(format!("declared: {own:?}; needed: {highest:?}")) }
}

fn the_core_is_pure() -> Result<(), String> {
    let core = tree(&["-e", "normal", "--no-default-features"])?;
    let found: Vec<_> = core.iter().filter(|package| is_runtime(package)).collect();
    // The check would be worth nothing if it did not see the default features' dependencies.
    let with_features = tree(&["-e", "normal"])?.iter().filter(|package| is_runtime(package)).count();

    match (found.as_slice(), with_features) {
        ([], 6..) => Ok(()),
        ([], seen) => Err(format!("only {seen} of the runtimes are seen in the default tree")),
        (found, _) => Err(format!("in the tree of the core: {found:?}")),
    }
}

fn is_runtime(package: &str) -> bool {
    package.split(' ').next().is_some_and(|name| RUNTIMES.contains(&name))
}

fn licences_are_permissive() -> Result<(), String> {
    let licences = packages(&metadata()?, "license");
    let shipped = tree(&["-e", "normal,build", "--all-features"])?;
    let refused: Vec<_> = shipped
        .iter()
        .filter_map(|package| {
            let licence = licences.get(package).map_or("none is declared", String::as_str);
            (!is_permitted(licence)).then(|| format!("{package}: {licence}"))
        })
        .collect();

    assert!(shipped.len() > 50, "only {} packages seen", shipped.len());
    if refused.is_empty() { Ok(()) } else { Err(refused.join("\n")) }
}

fn expressions_are_read() -> Result<(), String> {
    for (expression, permitted) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND OpenSSL", false),
        ("Apache-2.0 AND ISC", true),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true),
        ("none is declared", false),
    ] {
        if is_permitted(expression) != permitted {
            return Err(format!(
                "{expression} should be {}",
                if permitted { "permitted" } else { "refused" }
            ));
        }
    }
    Ok(())
}

/// `AND` between groups, `OR` within them, as every expression in the tree is written; `/` is an old `OR`.
fn is_permitted(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    expression.split(" AND ").all(|group| {
        let group = group.trim().trim_start_matches('(').trim_end_matches(')');
        group.split(" OR ").any(|licence| LICENCES.contains(&licence.trim()))
    })
}

fn own_name() -> Package {
    concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// What `cargo tree` shows: unlike `cargo metadata`, it leaves out what only dev-dependencies switch on.
fn tree(arguments: &[&str]) -> Result<BTreeSet<Package>, String> {
    let text = cargo(&[&["tree", "--locked", "--prefix", "none", "--format", "{p}"], arguments].concat())?;
    let packages = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
    });
    Ok(packages.collect())
}

fn metadata() -> Result<Value, String> {
    let host = cargo(&["-vV"])?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("cargo names no host")?;
    // The packages of other platforms need not be on this machine.
    let text = cargo(&[
        "metadata",
        "--locked",
        "--all-features",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ])?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn packages(metadata: &Value, field: &str) -> BTreeMap<Package, String> {
    let listed = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    listed
        .iter()
        .filter_map(|package| {
            let name = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
            Some((name, package[field].as_str()?.to_owned()))
        })
        .collect()
}

/// `1.89` is `1.89.0`.
fn version(text: &str) -> Option<Vec<u32>> {
    let mut numbers: Vec<u32> = text.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    numbers.resize(3, 0);
    Some(numbers)
}

fn cargo(arguments: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}
