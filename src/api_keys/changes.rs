//! Whether changes that are saved together can be made, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use crate::api_keys::model::{ApiKey, KeyState};
use crate::api_keys::store::KeyChange;
use crate::api_keys::token::PublicId;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::primitives::id::ApiKeyId;
use crate::primitives::version::Version;
use crate::tenancy::model::TenantId;

/// What a store knows of a key that changes are judged by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PresentKey {
    /// Its version.
    pub version: Version,
    /// Whether it counts: a revoked one does not.
    pub counts: bool,
}

/// Judges changes as [`KeyStore::save`](crate::api_keys::KeyStore::save) must. `present` holds those of the tenant's keys that the
/// changes name, as far as they exist; if one of the changes is an [`AtMost`](KeyChange::AtMost), all of its keys that count.
/// `taken` holds those ids of new keys, and public ids, that any key has.
///
/// # Errors
/// `NotFound` for a key that does not exist, `Conflict` for one that does, that has another version than the one expected, or a
/// public id that is taken, and for one key too many, `Invalid` for a key of another tenant; with the field.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
/// use crossdock::ErrorKind;
/// use crossdock::api_keys::{KeyChange, check_key_changes};
///
/// let nobody_has_any = check_key_changes(&"org_42".parse()?, &[KeyChange::AtMost(0)], BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
///
/// assert!(nobody_has_any.is_ok());
/// # Ok::<(), crossdock::tenancy::InvalidTenantId>(())
/// ```
pub fn check_key_changes(
    tenant: &TenantId,
    changes: &[KeyChange],
    mut present: BTreeMap<ApiKeyId, PresentKey>,
    mut taken: BTreeSet<PublicId>,
    taken_ids: BTreeSet<ApiKeyId>,
) -> Result<()> {
    for (index, change) in changes.iter().enumerate() {
        match change {
            KeyChange::Insert(key) => {
                own(tenant, key, index)?;
                if present.contains_key(&key.id) || taken_ids.contains(&key.id) {
                    return Err(conflict(index, "there is a key with this id"));
                }
                if !taken.insert(key.public_id) {
                    return Err(conflict(index, "there is a key with this public id"));
                }
                present.insert(key.id, PresentKey::of(key));
            }
            KeyChange::Replace { key, expected } => {
                match present.get(&key.id) {
                    None => return Err(Error::new(ErrorKind::NotFound, STEP)),
                    Some(seen) if seen.version != *expected => {
                        return Err(conflict(index, "the key was changed since"));
                    }
                    Some(_) => {}
                }
                own(tenant, key, index)?;
                present.insert(key.id, PresentKey::of(key));
            }
            KeyChange::AtMost(most) if present.values().filter(|key| key.counts).count() > *most => {
                return Err(conflict(index, "the tenant has as many keys as it may have"));
            }
            KeyChange::AtMost(_) => {}
        }
    }
    Ok(())
}

impl PresentKey {
    /// What changes are judged by.
    pub fn of(key: &ApiKey) -> Self {
        Self { version: key.version, counts: !matches!(key.state, KeyState::Revoked { .. }) }
    }
}

fn own(tenant: &TenantId, key: &ApiKey, index: usize) -> Result<()> {
    if *tenant == key.tenant {
        return Ok(());
    }
    let field = format!("changes[{index}].tenant");
    let rule = "a change belongs to the tenant that is saved for";
    Err(Error::invalid(STEP, [Problem::new(field, rule, "save for one tenant at a time")]))
}

fn conflict(index: usize, rule: &str) -> Error {
    let fix = "look at the present state and try again";
    Error::new(ErrorKind::Conflict, STEP).with_problem(Problem::new(format!("changes[{index}]"), rule, fix))
}

const STEP: &str = "save keys";
