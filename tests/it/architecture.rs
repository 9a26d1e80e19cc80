//! Who may import whom, and a few other rules that only a look at all files can check.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::rule;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        rule("architecture::each_folder_imports_only_what_the_table_allows", imports_follow_the_table),
        rule("architecture::the_table_names_every_folder", table_is_complete),
        rule("architecture::features_are_switched_in_module_lists_only", features_stand_in_lists),
        rule("architecture::adapters_use_public_items_only", adapters_use_public_items),
        rule("architecture::no_file_is_a_mistake", files_are_not_too_long),
        rule("architecture::async_functions_say_what_dropping_them_leaves_behind", dropping_is_explained),
        rule("architecture::the_table_bites", the_table_bites),
    ]
}

/// What each folder (or file directly below `src`) may import, besides itself.
const TABLE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("primitives", &["error"]),
    ("ports", &["error", "primitives"]),
    ("tenancy", &["error", "primitives"]),
    ("events", &["error", "primitives", "tenancy"]),
    ("mapping", &["error", "primitives"]),
    ("activity", &["error", "primitives", "ports", "tenancy"]),
    ("lanes", &["error", "primitives", "ports", "tenancy"]),
    ("webhooks", &["error", "primitives", "ports", "tenancy", "events", "mapping", "activity", "lanes"]),
    ("api_keys", &["error", "primitives", "ports", "tenancy", "events", "activity", "lanes"]),
    ("inbound", &["error", "primitives", "ports", "tenancy", "events", "activity", "lanes"]),
    (
        "adapters",
        &[
            "error",
            "primitives",
            "ports",
            "tenancy",
            "events",
            "mapping",
            "activity",
            "lanes",
            "api_keys",
            "inbound",
            "mapping",
            "webhooks",
        ],
    ),
    (
        "hub",
        &[
            "error",
            "primitives",
            "ports",
            "tenancy",
            "events",
            "mapping",
            "activity",
            "lanes",
            "api_keys",
            "inbound",
            "webhooks",
            "adapters",
        ],
    ),
    (
        "web",
        &[
            "error",
            "primitives",
            "ports",
            "tenancy",
            "events",
            "mapping",
            "activity",
            "lanes",
            "api_keys",
            "inbound",
            "webhooks",
            "hub",
        ],
    ),
    (
        "testing",
        &[
            "error",
            "primitives",
            "ports",
            "tenancy",
            "events",
            "mapping",
            "activity",
            "lanes",
            "api_keys",
            "inbound",
            "webhooks",
            "adapters",
            "hub",
        ],
    ),
];

/// Of the adapters, the hub knows only its defaults, each in the file that wires it.
const HUB_DEFAULTS: &[(&str, &str)] = &[
    ("hub/builder.rs", "memory"),
    ("hub/builder.rs", "vault"),
    ("hub/http.rs", "http_client"),
    ("hub/schemas.rs", "json_schema"),
];

/// Inside the webhook slice, what the values and decisions may not know.
const WEBHOOK_LOGIC: &[&str] = &["service", "worker", "dispatch", "context"];
const WEBHOOK_DECISIONS: &[&str] = &[
    "model",
    "classify",
    "conflicts",
    "fan_out",
    "health",
    "mapped",
    "retry",
    "settings",
    "sign",
    "stored",
    "repository",
    "queue",
    "notice",
];

const FEATURE_LISTS: &[&str] = &[
    "lib.rs",
    "adapters/mod.rs",
    "adapters/postgres/mod.rs",
    "hub/mod.rs",
    "inbound/mod.rs",
    "inbound/check/mod.rs",
    "lanes/mod.rs",
    "webhooks/mod.rs",
    "web/mod.rs",
    "webhooks/sign/mod.rs",
];

/// 400 lines are a full file, 700 a mistake; this many are the limit of what is let in.
const LONGEST: usize = 600;

fn imports_follow_the_table() -> Result<(), String> {
    fail_with(sources().iter().flat_map(|source| broken_imports(&source.path, &source.code)))
}

fn broken_imports(path: &str, code: &str) -> Vec<String> {
    let folder = first_segment(path);
    if folder == "lib" {
        return Vec::new();
    }
    let allowed = TABLE.iter().find(|(name, _)| *name == folder).map_or(&[][..], |(_, allowed)| allowed);
    let mut broken = Vec::new();
    for import in imports(code) {
        let mut segments = import.split("::");
        let target = segments.next().unwrap_or_default();
        let inner = segments.next().unwrap_or_default();
        if target == folder {
            let here = path.split('/').nth(1).unwrap_or_default().trim_end_matches(".rs");
            if folder == "adapters" && inner != here && here != "mod" {
                broken.push(format!("{path}: one adapter imports another, `{import}`"));
            }
            if folder == "webhooks" && WEBHOOK_DECISIONS.contains(&here) && WEBHOOK_LOGIC.contains(&inner) {
                broken.push(format!("{path}: a value or decision imports `{import}`"));
            }
        } else if folder == "hub" && target == "adapters" {
            if !HUB_DEFAULTS.contains(&(path, inner)) {
                broken.push(format!("{path}: the hub imports the adapter `{import}`"));
            }
        } else if !allowed.contains(&target) {
            broken.push(format!("{path}: `{folder}` may not import `{import}`"));
        }
    }
    broken
}

fn table_is_complete() -> Result<(), String> {
    fail_with(sources().iter().filter_map(|source| {
        let folder = first_segment(&source.path);
        let known = folder == "lib" || TABLE.iter().any(|(name, _)| *name == folder);
        (!known).then(|| format!("{}: `{folder}` has no line in the table", source.path))
    }))
}

fn features_stand_in_lists() -> Result<(), String> {
    fail_with(sources().iter().flat_map(|source| {
        let mut broken = Vec::new();
        let lines: Vec<&str> = source.code.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let place = format!("{}:{}", source.path, index + 1);
            if !line.contains("feature = \"") || !line.contains("cfg") {
                continue;
            }
            if line.contains("not(") {
                broken.push(format!("{place}: a feature adds, it never takes away"));
            }
            let next = lines.get(index + 1).copied().unwrap_or_default();
            let on_a_list_line = ["pub mod ", "mod ", "pub(crate) mod ", "pub use ", "pub(super) use "]
                .iter()
                .any(|start| next.starts_with(start));
            if !FEATURE_LISTS.contains(&source.path.as_str()) || !on_a_list_line {
                broken.push(format!("{place}: `cfg(feature)` stands on the lines of module lists only"));
            }
        }
        broken
    }))
}

fn adapters_use_public_items() -> Result<(), String> {
    let private = ["webhooks::context", "webhooks::dispatch", "webhooks::sealing", "webhooks::service::"];
    fail_with(sources().iter().filter(|source| source.path.starts_with("adapters/")).flat_map(|source| {
        imports(&source.code)
            .into_iter()
            .filter(|import| private.iter().any(|name| import.starts_with(name)))
            .map(|import| format!("{}: `{import}` is not public", source.path))
            .collect::<Vec<_>>()
    }))
}

fn files_are_not_too_long() -> Result<(), String> {
    let sources = sources();
    let too_long = sources.iter().filter(|source| source.lines > LONGEST);
    fail_with(too_long.map(|source| format!("{}: {} lines", source.path, source.lines)))
}

/// Ports say it in their contracts: each step is made or not.
fn dropping_is_explained() -> Result<(), String> {
    fail_with(sources().iter().flat_map(|source| silent_about_dropping(&source.path, &source.text)))
}

fn silent_about_dropping(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let is_silent = |&(index, _): &(usize, &&str)| {
        let above = lines[..index].iter().rev();
        let docs: Vec<_> =
            above.take_while(|line| line.starts_with("///") || line.starts_with("#[")).collect();
        !docs.iter().any(|line| line.contains("ropping"))
    };
    let public = lines.iter().enumerate().filter(|(_, line)| line.starts_with("pub async fn "));
    public.filter(is_silent).map(|(index, line)| format!("{path}:{}: {line}", index + 1)).collect()
}

/// The checks above would be worth nothing if they found nothing anywhere.
fn the_table_bites() -> Result<(), String> {
    for (path, code) in [
        ("events/model.rs", "use crate::webhooks::model::Webhook;"),
        ("adapters/memory/state.rs", "use crate::adapters::http_client::HttpTransport;"),
        ("adapters/memory/state.rs", "fn f() { crate::hub::Hub::builder(); }"),
        ("webhooks/retry.rs", "use crate::webhooks::worker::Worker;"),
        ("hub/mod.rs", "use crate::adapters::memory::MemoryStore;"),
        ("web/tower/layer.rs", "use crate::adapters::memory::MemoryStore;"),
        ("primitives/id.rs", "use crate::{\n    error::Error,\n    ports::Clock,\n};"),
    ] {
        if broken_imports(path, code).is_empty() {
            return Err(format!("not found: {path}: {code}"));
        }
    }
    if silent_about_dropping("hub/mod.rs", "/// Reads.\n#[must_use]\npub async fn read() {}").is_empty() {
        return Err("an async function that says nothing about dropping is not found".to_owned());
    }
    Ok(())
}

struct Source {
    path: String,
    text: String,
    /// Without comments and without the tests at the end.
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 20, "no sources found below {}", root.display());
    files
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(&file).expect("a source file is text");
            let path =
                file.strip_prefix(&root).expect("a file below src").to_string_lossy().replace('\\', "/");
            Source { path, code: code_of(&text), lines: text.lines().count(), text }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    // Lines keep their numbers.
    text.lines()
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every path that begins at the crate's root, without `crate::`; groups are taken apart.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let end = group.find("};").unwrap_or(group.len());
                found.extend(group[..end].split(',').map(|part| path_at(part.trim())));
            }
            None => found.push(path_at(rest)),
        }
    }
    found.retain(|path| !path.is_empty());
    found
}

fn path_at(text: &str) -> String {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    text[..end].to_owned()
}

fn first_segment(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn fail_with(broken: impl IntoIterator<Item = String>) -> Result<(), String> {
    let broken: Vec<String> = broken.into_iter().collect();
    if broken.is_empty() { Ok(()) } else { Err(format!("\n{}", broken.join("\n"))) }
}
