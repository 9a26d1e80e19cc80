//! A new webhook.

use http::HeaderName;

use crate::activity::model::ActivityKind;
use crate::error::{Problem, Result};
use crate::ports::EntropyExt;
use crate::primitives::id::WebhookId;
use crate::webhooks::model::{DisableReason, StoredSecret, Webhook, WebhookState};
use crate::webhooks::sealing::{AUTH, SECRET, webhook_place};
use crate::webhooks::service::checks::{Checked, check, clash, occupied_by_schemes};
use crate::webhooks::service::credentials::SecretOnce;
use crate::webhooks::service::new_webhook::{Begins, NewWebhook};
use crate::webhooks::service::plan::Plan;
use crate::webhooks::service::secrets::choose;

impl Plan<'_> {
    /// Plans a new webhook; `None` if something is wrong with it.
    pub(crate) async fn create(
        &mut self,
        new: NewWebhook,
    ) -> Result<Option<(WebhookId, Option<SecretOnce>)>> {
        let mut problems = Vec::new();
        let checked = check(new.wanted, self.rules(&[]), &mut problems);
        let auth = new.auth.and_then(|auth| auth.check(&mut problems));
        let random = self.context.entropy.bytes();
        let secrets = choose(new.secrets, checked.schemes(), random, &mut problems);
        let written_by_auth = match &auth {
            Some(auth) => auth.header_names(),
            None => self.headers_of_default_login(&checked).await?,
        };
        problems.extend(clashes(&checked, &written_by_auth));
        let most = self.context.settings.max_webhooks;
        if self.count().await? >= most {
            let rule = format!("an organisation has at most {most} webhooks");
            problems.push(Problem::new("webhooks", rule, "delete one that is no longer needed"));
        }
        let url = checked.url().cloned();
        let (Some(url), true) = (url, problems.is_empty()) else {
            self.refuse(problems);
            return Ok(None);
        };

        let id = WebhookId::mint(self.now, self.context.entropy.bytes());
        let text = id.to_string();
        let tenant = self.tenant();
        let mut webhook = Webhook::new(id, tenant.clone(), url, Vec::new(), self.now);
        checked.write(&mut webhook);
        webhook.entitlements = self.entitlements(&webhook.events);
        if new.begins == Begins::Disabled {
            webhook.state = WebhookState::Disabled { reason: DisableReason::ByPerson, at: self.now };
        }
        for secret in &secrets {
            let place = webhook_place(tenant.as_str(), &text, SECRET);
            let sealed = self.context.vault.seal(place, &secret.to_bytes()).await?;
            webhook.secrets.push(StoredSecret::new(sealed, self.now));
        }
        if let Some(auth) = auth {
            let place = webhook_place(tenant.as_str(), &text, AUTH);
            webhook.auth = Some(self.seal_auth(place, auth, None).await?);
        }
        let activity = self
            .activity(ActivityKind::WebhookCreated, id)
            .with_detail("name", &*webhook.name)
            .with_detail("host", webhook.url.host());
        self.log(activity);
        self.insert(webhook);
        Ok(Some((id, secrets.into_iter().find_map(SecretOnce::of))))
    }
}

/// Headers that a login would write, and a signature or the webhook itself writes already.
pub(crate) fn clashes(checked: &Checked, written_by_auth: &[HeaderName]) -> Vec<Problem> {
    let signatures = occupied_by_schemes(checked.schemes());
    written_by_auth
        .iter()
        .filter_map(|name| {
            if signatures.contains(name) {
                Some(clash("auth", name, "a signature"))
            } else if checked.headers().iter().any(|(written, _)| written == name) {
                Some(clash("headers", name, "the login"))
            } else {
                None
            }
        })
        .collect()
}
