//! A token was found in the open: whose is it, and what becomes of it?

use chrono::{DateTime, Utc};

use crate::activity::model::{ActivityKind, ENGINE};
use crate::api_keys::gate::{Gate, Inner};
use crate::api_keys::model::{ApiKey, KeyState};
use crate::api_keys::service::saving::{Saving, entry};
use crate::api_keys::settings::LeakPolicy;
use crate::api_keys::store::KeyChange;
use crate::error::{Error, ErrorKind, Result};
use crate::primitives::id::ApiKeyId;
use crate::tenancy::model::{Actor, TenantId};

/// A key that was found in the open.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyLeaked {
    /// When that was reported.
    pub at: DateTime<Utc>,
    /// Whose key.
    pub tenant: TenantId,
    /// Which key.
    pub key: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// Whether it was revoked, or only marked.
    pub revoked: bool,
}

/// What a report of a leak was about.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::api_keys::{LeakReport, NewApiKey, Permission};
/// use crossdock::tenancy::Actor;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().build()?;
/// let keys = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).api_keys();
/// let token = keys.create(NewApiKey::new("ERP").allow([Permission::Read])).await?.token;
///
/// let report = hub.gate().report_leaked(token.reveal()).await?;
///
/// assert!(matches!(report, LeakReport::Known(leaked) if leaked.revoked && leaked.name == "ERP"));
/// assert_eq!(hub.gate().report_leaked("a text").await?, LeakReport::Unknown);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LeakReport {
    /// The token of this key: it is marked now, or was before.
    Known(KeyLeaked),
    /// No token of this hub, or one with a wrong secret: nobody's key is touched.
    Unknown,
}

impl Gate {
    /// Takes a report that a token was found in the open, such as from a secret scanner. The key is marked and, unless the
    /// [policy](LeakPolicy) says otherwise, revoked; whoever listens to [`leaks`](Gate::leaks) hears of it.
    ///
    /// Only the whole token proves anything: a report with a wrong secret changes nothing.
    ///
    /// Dropping the future leaves the key marked or not.
    ///
    /// # Errors
    /// The store's.
    pub async fn report_leaked(&self, token: &str) -> Result<LeakReport> {
        self.0.report_leaked(token, None).await
    }
}

impl Inner {
    /// By the system if nobody reports it by name; a person only hears of their own tenant's keys.
    pub(crate) async fn report_leaked(&self, text: &str, reporter: Option<&Actor>) -> Result<LeakReport> {
        let Ok(token) = self.form.parse(text.trim().as_bytes()) else { return Ok(LeakReport::Unknown) };
        for _ in 0..Saving::RETRIES {
            let Some(key) = self.store.find(token.id()).await? else { return Ok(LeakReport::Unknown) };
            let slot = self.peppers.slot(key.mac.pepper());
            let is_right = self.peppers.matches(slot, token.secret(), key.mac.code());
            if !is_right || reporter.is_some_and(|reporter| *reporter.tenant() != key.tenant) {
                return Ok(LeakReport::Unknown);
            }
            match self.mark(&key, reporter).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                marked => return marked.map(LeakReport::Known),
            }
        }
        Err(Error::new(ErrorKind::Conflict, STEP))
    }

    async fn mark(&self, key: &ApiKey, reporter: Option<&Actor>) -> Result<KeyLeaked> {
        let now = self.clock.now();
        let is_revoked = matches!(key.state, KeyState::Revoked { .. });
        let revokes = self.settings.on_leak == LeakPolicy::Revoke && !is_revoked;
        let leaked = KeyLeaked {
            at: now,
            tenant: key.tenant.clone(),
            key: key.id,
            name: key.name.clone(),
            revoked: revokes || is_revoked,
        };
        if key.leaked_at.is_some() && !revokes {
            return Ok(leaked);
        }
        let mut marked = key.clone();
        marked.leaked_at = marked.leaked_at.or(Some(now));
        if revokes {
            marked.state = KeyState::Revoked { at: now, reason: "found in the open".to_owned() };
        }
        marked.version = key.version.next();
        marked.updated_at = now;
        let system = Actor::system(key.tenant.clone(), ENGINE);
        let activity = entry(self, reporter.unwrap_or(&system), ActivityKind::KeyLeaked, key.id, now)
            .with_detail("revoked", leaked.revoked.to_string());
        let change = KeyChange::Replace { key: marked, expected: key.version };
        Saving::of(self, &key.tenant).save(vec![change], vec![activity], now).await?;
        self.leaks.tell(&leaked);
        Ok(leaked)
    }
}

const STEP: &str = "mark a leaked key";
