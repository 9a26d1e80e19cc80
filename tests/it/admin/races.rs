//! Two people at the same moment.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crossdock::adapters::EphemeralVault;
use crossdock::hub::Admin;
use crossdock::ports::{SealPlace, Sealed, Vault};
use crossdock::primitives::{Secret, WebhookId};
use crossdock::testing::SeededEntropy;
use crossdock::webhooks::{Auth, NewWebhook, Rotation, WebhookState, WebhookUpdate};
use crossdock::{ErrorKind, Result};
use libtest_mimic::Trial;

use super::{House, Told, assert_refused, house_with, refused, story};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        story("a_change_without_a_version_is_planned_anew_when_somebody_was_faster", planned_anew),
        story("a_change_with_a_version_is_refused_when_somebody_was_faster", refused_late),
        story("whoever_is_always_faster_is_told_about_in_the_end", endless),
    ]
}

/// Somebody else pauses or resumes a webhook while a secret is being sealed: between looking at the webhook and saving it.
#[derive(Clone, Debug)]
struct Meddling {
    inner: Arc<EphemeralVault>,
    meddler: Arc<Mutex<Option<Meddler>>>,
}

#[derive(Debug)]
struct Meddler {
    admin: Admin,
    webhook: WebhookId,
    times: usize,
}

impl Meddling {
    fn begin(&self, admin: Admin, webhook: WebhookId, times: usize) {
        *self.meddler.lock().expect("no panic under the lock") = Some(Meddler { admin, webhook, times });
    }

    fn next(&self) -> Option<(Admin, WebhookId)> {
        let mut meddler = self.meddler.lock().expect("no panic under the lock");
        let meddler = meddler.as_mut().filter(|meddler| meddler.times > 0)?;
        meddler.times -= 1;
        Some((meddler.admin.clone(), meddler.webhook))
    }
}

#[async_trait]
impl Vault for Meddling {
    async fn seal(&self, place: SealPlace<'_>, secret: &Secret) -> Result<Sealed> {
        if let Some((admin, webhook)) = self.next() {
            let webhooks = admin.webhooks();
            match webhooks.webhook(webhook).await?.state {
                WebhookState::Active => webhooks.pause(webhook).await?,
                _ => webhooks.resume(webhook).await?,
            };
        }
        self.inner.seal(place, secret).await
    }

    async fn open(&self, place: SealPlace<'_>, sealed: &Sealed) -> Result<Secret> {
        self.inner.open(place, sealed).await
    }

    async fn is_current(&self, sealed: &Sealed) -> Result<bool> {
        self.inner.is_current(sealed).await
    }
}

fn meddled() -> Result<(House, Meddling)> {
    let inner = Arc::new(EphemeralVault::new(Arc::new(SeededEntropy::new(9))));
    let vault = Meddling { inner, meddler: Arc::default() };
    let house = house_with(|receivers| receivers, |builder| builder.vault(vault.clone()))?;
    Ok((house, vault))
}

async fn planned_anew() -> Told {
    let (house, vault) = meddled()?;
    let id = house.subscribe("t", "https://a.example.com/").await?;
    vault.begin(house.admin("t"), id, 1);

    let rotated = house.admin("t").webhooks().rotate(id, Rotation::new()).await?;

    // Both changes are there: neither was lost.
    assert_eq!((rotated.webhook.secrets.len(), rotated.webhook.state), (2, WebhookState::Paused));
    assert_eq!(rotated.webhook.version.number(), 3);
    Ok(())
}

async fn refused_late() -> Told {
    let (house, vault) = meddled()?;
    let webhooks = house.admin("t").webhooks();
    let new = NewWebhook::to("https://a.example.com/").events(["*"]);
    let seen = webhooks.create(new).await?.webhook;
    vault.begin(house.admin("t"), seen.id, 1);

    let late = webhooks.update(WebhookUpdate::of(&seen).auth(Auth::bearer("token")).name("late")).await;

    assert_refused(late, ErrorKind::Conflict, &["version"]);
    let view = webhooks.webhook(seen.id).await?;
    assert_eq!((&*view.name, view.auth, view.state), ("a.example.com", None, WebhookState::Paused));
    Ok(())
}

async fn endless() -> Told {
    let (house, vault) = meddled()?;
    let id = house.subscribe("t", "https://a.example.com/").await?;
    vault.begin(house.admin("t"), id, usize::MAX);

    let error = refused(house.admin("t").webhooks().rotate(id, Rotation::new()).await);

    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(std::error::Error::source(&error).is_some(), "the store's own words come along");
    Ok(())
}
