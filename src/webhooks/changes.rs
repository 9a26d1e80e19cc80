//! Whether changes that are saved together can be made, one after the other.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::primitives::id::WebhookId;
use crate::tenancy::model::TenantId;
use crate::webhooks::model::Version;
use crate::webhooks::repository::Change;

/// Judges changes by the versions that are there, as [`WebhookRepository::save`](crate::webhooks::WebhookRepository::save)
/// must: `versions` holds those of the tenant's webhooks that the changes name, as far as they exist; if one of the changes is
/// an [`AtMost`](Change::AtMost), those of all its webhooks.
///
/// # Errors
/// `NotFound` for a webhook that does not exist, `Conflict` for one that does or that has another version than the one
/// expected and for one webhook too many, `Invalid` for a record of another tenant; with the field.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use chrono::DateTime;
/// use crossdock::ErrorKind;
/// use crossdock::primitives::WebhookId;
/// use crossdock::tenancy::TenantId;
/// use crossdock::webhooks::{Change, Version, check_changes};
///
/// let tenant: TenantId = "org_42".parse()?;
/// let id = WebhookId::mint(DateTime::UNIX_EPOCH, [7; 10]);
/// let present = BTreeMap::from([(id, Version::new(3))]);
/// let remove = |version| [Change::Remove { id, expected: Version::new(version) }];
///
/// assert!(check_changes(&tenant, &remove(3), present.clone(), Version::NONE).is_ok());
/// let error = check_changes(&tenant, &remove(2), present, Version::NONE).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Conflict);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_changes(
    tenant: &TenantId,
    changes: &[Change],
    mut versions: BTreeMap<WebhookId, Version>,
    mut defaults: Version,
) -> Result<()> {
    for (index, change) in changes.iter().enumerate() {
        match change {
            Change::Defaults { defaults: new, expected } => {
                own(tenant, &new.tenant, index)?;
                if *expected != defaults {
                    return Err(conflict(index, "the defaults were changed since"));
                }
                defaults = new.version;
            }
            Change::Insert(webhook) => {
                if versions.contains_key(&webhook.id) {
                    return Err(conflict(index, "there is a webhook with this id"));
                }
                own(tenant, &webhook.tenant, index)?;
                versions.insert(webhook.id, webhook.version);
            }
            Change::Replace { webhook, expected, .. } => {
                expect(&versions, webhook.id, *expected, index)?;
                own(tenant, &webhook.tenant, index)?;
                versions.insert(webhook.id, webhook.version);
            }
            Change::Remove { id, expected } => {
                expect(&versions, *id, *expected, index)?;
                versions.remove(id);
            }
            Change::AtMost(most) if versions.len() > *most => {
                return Err(conflict(index, "the tenant has as many webhooks as it may have"));
            }
            Change::AtMost(_) => {}
        }
    }
    Ok(())
}

fn expect(
    versions: &BTreeMap<WebhookId, Version>,
    id: WebhookId,
    expected: Version,
    index: usize,
) -> Result<()> {
    match versions.get(&id) {
        None => Err(Error::new(ErrorKind::NotFound, STEP)),
        Some(version) if *version != expected => Err(conflict(index, "the webhook was changed since")),
        Some(_) => Ok(()),
    }
}

fn own(tenant: &TenantId, other: &TenantId, index: usize) -> Result<()> {
    if tenant == other {
        return Ok(());
    }
    Err(Error::invalid(
        STEP,
        [Problem::new(
            format!("changes[{index}].tenant"),
            "a change belongs to the tenant that is saved for",
            "save for one tenant at a time",
        )],
    ))
}

fn conflict(index: usize, rule: &str) -> Error {
    Error::new(ErrorKind::Conflict, STEP).with_problem(Problem::new(
        format!("changes[{index}]"),
        rule,
        "look at the present state and try again",
    ))
}

const STEP: &str = "save webhooks";
