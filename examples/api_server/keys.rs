//! Keys of every kind.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use crossdock::Hub;
use crossdock::api_keys::{ApiKeyAdmin, CallRate, NewApiKey, Permission};
use crossdock::hub::SystemClock;
use crossdock::ports::Clock;
use crossdock::primitives::ApiKeyId;
use crossdock::tenancy::Actor;

/// Keys, each good for something else.
pub(crate) struct Keys {
    pub(crate) reader: Key,
    pub(crate) writer: Key,
    pub(crate) deleter: Key,
    /// May administer, and read.
    pub(crate) operator: Key,
    /// May administer, and nothing else.
    pub(crate) narrow: Key,
    /// May read a single order.
    pub(crate) one_order: Key,
    /// Of another company.
    pub(crate) neighbour: Key,
    pub(crate) expired: Key,
    pub(crate) early: Key,
    pub(crate) revoked: Key,
    pub(crate) disabled: Key,
    /// Only from a network that nobody here is in.
    pub(crate) office: Key,
    /// Three calls a minute.
    pub(crate) limited: Key,
    /// Two calls in all.
    pub(crate) twice: Key,
    /// Well-formed, and of a key that does not exist here.
    pub(crate) unknown: String,
}

/// What somebody notes when a key is shown.
pub(crate) struct Key {
    pub(crate) id: ApiKeyId,
    pub(crate) token: String,
    ends_at: Option<DateTime<Utc>>,
}

impl Keys {
    pub(crate) async fn make(admin: &ApiKeyAdmin, other: &ApiKeyAdmin) -> Result<Self, Box<dyn Error>> {
        use Permission::{Admin, Delete, Read, Write};
        let now = SystemClock::new().now();
        let reader = || NewApiKey::new("Reader").allow([Read]);
        let keys = Self {
            reader: Key::make(admin, reader()).await?,
            writer: Key::make(admin, NewApiKey::new("Writer").allow([Write])).await?,
            deleter: Key::make(admin, NewApiKey::new("Deleter").allow([Delete])).await?,
            operator: Key::make(admin, NewApiKey::new("Operator").allow([Admin, Read])).await?,
            narrow: Key::make(admin, NewApiKey::new("Narrow admin").allow([Admin])).await?,
            one_order: Key::make(admin, NewApiKey::new("One order").scopes(["orders/ord_1:read"])).await?,
            neighbour: Key::make(other, reader()).await?,
            expired: Key::make(admin, reader().expires_at(now + Duration::from_millis(500))).await?,
            early: Key::make(admin, reader().not_before(now + Duration::from_secs(86_400))).await?,
            revoked: Key::make(admin, reader()).await?,
            disabled: Key::make(admin, reader()).await?,
            office: Key::make(admin, reader().networks(["198.51.100.0/24"])).await?,
            limited: Key::make(admin, reader().rate(CallRate::per_minute(3)?)).await?,
            twice: Key::make(admin, reader().max_uses(2)).await?,
            unknown: of_another_shop().await?,
        };
        admin.revoke(keys.revoked.id, "its owner has left").await?;
        admin.disable(keys.disabled.id).await?;
        Ok(keys)
    }
}

impl Key {
    async fn make(admin: &ApiKeyAdmin, key: NewApiKey) -> Result<Self, Box<dyn Error>> {
        let created = admin.create(key).await?;
        Ok(Self {
            id: created.key.id,
            token: created.token.reveal().to_owned(),
            ends_at: created.key.expires_at,
        })
    }

    /// One character is another one.
    pub(crate) fn mistyped(&self) -> String {
        let (last, rest) =
            self.token.split_at_checked(self.token.len() - 1).map_or(("", ""), |(a, b)| (b, a));
        format!("{rest}{}", if last == "A" { "B" } else { "A" })
    }

    /// Nobody can make a key that has ended, so one waits.
    pub(crate) async fn until_it_has_ended(&self) {
        if let Some(end) = self.ends_at {
            SystemClock::new().sleep_until(end).await;
        }
    }
}

/// A token of the same form, made by a hub that shares nothing with this one.
async fn of_another_shop() -> Result<String, Box<dyn Error>> {
    let settings = crossdock::api_keys::ApiKeySettings::new().prefix("shop");
    let hub = Hub::builder().api_keys(settings).build()?;
    let admin = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).api_keys();
    let created = admin.create(NewApiKey::new("Elsewhere").allow([Permission::Read])).await?;
    Ok(created.token.reveal().to_owned())
}
