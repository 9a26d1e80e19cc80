//! Whether changes of sources can be saved together: the same answer for every store.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inbound::source::{Owner, Source, SourceName};
use crate::inbound::store::SourceChange;
use crate::primitives::id::SourceId;
use crate::primitives::version::Version;

/// What a store knows of a source before the changes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PresentSource {
    /// Whose it is.
    pub owner: Owner,
    /// Its name.
    pub name: SourceName,
    /// Its version.
    pub version: Version,
}

impl PresentSource {
    /// What is known of this source.
    pub fn of(source: &Source) -> Self {
        Self { owner: source.owner.clone(), name: source.name.clone(), version: source.version }
    }

    /// What a store has kept.
    pub const fn new(owner: Owner, name: SourceName, version: Version) -> Self {
        Self { owner, name, version }
    }
}

/// Checks changes in their order against what is there: all of the owner's sources, and whoever's have an id that the changes name.
///
/// # Errors
/// As [`InboundStore::save_sources`](crate::inbound::InboundStore::save_sources).
pub fn check_source_changes(
    owner: &Owner,
    changes: &[SourceChange],
    mut present: BTreeMap<SourceId, PresentSource>,
) -> Result<()> {
    for change in changes {
        match change {
            SourceChange::Insert(source) => {
                own(owner, source)?;
                if present.contains_key(&source.id) {
                    return Err(conflict("id", "an id names one source", "mint another id"));
                }
                let is_named_so =
                    |other: &PresentSource| other.owner == Owner::Platform && other.name == source.name;
                if *owner == Owner::Platform && present.values().any(is_named_so) {
                    return Err(conflict(
                        "name",
                        "the platform has one source of a name",
                        "choose another name",
                    ));
                }
                present.insert(source.id, PresentSource::of(source));
            }
            SourceChange::Replace { source, expected } => {
                own(owner, source)?;
                let there =
                    present.get_mut(&source.id).filter(|there| there.owner == *owner).ok_or_else(missing)?;
                let is_next = there.version == *expected && source.version == expected.next();
                if !is_next || there.name != source.name {
                    let rule = "a change is made from the present version, and keeps the name";
                    return Err(conflict("version", rule, "read the source again, and change that"));
                }
                there.version = source.version;
            }
            SourceChange::Delete(id) => {
                present.get(id).filter(|there| there.owner == *owner).ok_or_else(missing)?;
                present.remove(id);
            }
            SourceChange::AtMost(most) => {
                if present.values().filter(|there| there.owner == *owner).count() > *most {
                    let rule = format!("there are at most {most} sources");
                    return Err(conflict("sources", &rule, "delete one that nobody needs"));
                }
            }
        }
    }
    Ok(())
}

fn own(owner: &Owner, source: &Source) -> Result<()> {
    if source.owner == *owner {
        return Ok(());
    }
    Err(Error::invalid(
        STEP,
        [Problem::new("owner", "everybody saves their own sources", "save it as its owner")],
    ))
}

fn conflict(field: &str, rule: &str, fix: &str) -> Error {
    Error::new(ErrorKind::Conflict, STEP).with_problem(Problem::new(field, rule, fix))
}

fn missing() -> Error {
    Error::new(ErrorKind::NotFound, STEP)
}

const STEP: &str = "save sources";
