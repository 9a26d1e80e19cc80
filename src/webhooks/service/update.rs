//! A webhook as it is to be.

use crate::activity::model::ActivityKind;
use crate::error::{Problem, Result};
use crate::ports::EntropyExt;
use crate::primitives::id::WebhookId;
use crate::webhooks::model::{StoredSecret, Version, Webhook};
use crate::webhooks::repository::Release;
use crate::webhooks::sealing::{AUTH, SECRET, webhook_place};
use crate::webhooks::service::checks::{Checked, check};
use crate::webhooks::service::create::clashes;
use crate::webhooks::service::credentials::{CheckedAuth, Edit, keeps_credential, stored_header_names};
use crate::webhooks::service::plan::Plan;
use crate::webhooks::service::secrets::{check_fit, choose};
use crate::webhooks::service::webhook_update::WebhookUpdate;
use crate::webhooks::sign::SigningSecret;

impl Plan<'_> {
    /// Plans a whole new state of a webhook; `None` if something is wrong with it.
    pub(crate) async fn update(&mut self, update: WebhookUpdate) -> Result<Option<WebhookId>> {
        let Some(found) = self.find(update.id).await? else { return Ok(None) };
        let stored = self.stored_version(found.id);
        if update.version != stored {
            self.conflict(outdated(update.version, stored));
            return Ok(None);
        }

        let mut problems = Vec::new();
        let checked = check(update.wanted, self.rules(&found.events), &mut problems);
        let auth = match update.auth {
            Edit::Keep => Edit::Keep,
            Edit::Clear => Edit::Clear,
            Edit::Set(auth) => auth.check(&mut problems).map_or(Edit::Keep, Edit::Set),
        };
        let written_by_auth = match (&auth, &found.auth) {
            (Edit::Set(auth), _) => auth.header_names(),
            (Edit::Keep, Some(auth)) => stored_header_names(Some(auth)),
            (Edit::Keep, None) | (Edit::Clear, _) => self.headers_of_default_login(&checked).await?,
        };
        problems.extend(clashes(&checked, &written_by_auth));
        problems.extend(moves_credential(&found, &checked, &auth));
        let new_secrets = match update.secret {
            Edit::Set(secret) => {
                let random = self.context.entropy.bytes();
                choose(vec![secret], checked.schemes(), random, &mut problems)
            }
            Edit::Clear if !checked.schemes().is_empty() => {
                let fix = "make it unsigned, or keep the secret";
                problems.push(Problem::new("secret", "a signed webhook has a secret", fix));
                Vec::new()
            }
            Edit::Keep if problems.is_empty() && *checked.schemes() != found.schemes => {
                problems.extend(self.check_kept(&found, &checked).await?);
                Vec::new()
            }
            Edit::Keep | Edit::Clear => Vec::new(),
        };
        if !problems.is_empty() {
            self.refuse(problems);
            return Ok(None);
        }

        let text = found.id.to_string();
        let tenant = self.tenant().as_str();
        let mut webhook = found.clone();
        checked.write(&mut webhook);
        webhook.entitlements = self.entitlements(&webhook.events);
        if webhook.schemes.is_empty() {
            webhook.secrets.clear();
        } else if !new_secrets.is_empty() {
            webhook.secrets.clear();
            for secret in &new_secrets {
                let place = webhook_place(tenant, &text, SECRET);
                let sealed = self.context.vault.seal(place, &secret.to_bytes()).await?;
                webhook.secrets.push(StoredSecret::new(sealed, self.now));
            }
        }
        match auth {
            Edit::Keep => {}
            Edit::Clear => webhook.auth = None,
            Edit::Set(auth) => {
                let place = webhook_place(tenant, &text, AUTH);
                webhook.auth = Some(self.seal_auth(place, auth, found.auth.as_ref()).await?);
            }
        }
        self.log_update(&found, &webhook);
        let release = if concerns_receiver(&found, &webhook) { Release::Release } else { Release::Keep };
        self.replace(webhook, release);
        Ok(Some(found.id))
    }

    fn log_update(&mut self, found: &Webhook, webhook: &Webhook) {
        let changed = changed_fields(found, webhook);
        if changed.is_empty() {
            return;
        }
        let activity = self
            .activity(ActivityKind::WebhookUpdated, webhook.id)
            .with_detail("changed", changed.join(", "));
        self.log(activity);
    }

    /// What is wrong with the stored secrets for schemes that they were not chosen for.
    async fn check_kept(&self, found: &Webhook, checked: &Checked) -> Result<Option<Problem>> {
        if checked.schemes().is_empty() {
            return Ok(None);
        }
        let newest = |secret: &&StoredSecret| secret.expires_at.is_none();
        let text = found.id.to_string();
        let mut secrets = Vec::new();
        for secret in found.secrets.iter().filter(newest) {
            let place = webhook_place(self.tenant().as_str(), &text, SECRET);
            let opened = self.context.vault.open(place, &secret.sealed).await?;
            // One that cannot be read fits nothing: a new one has to be given.
            secrets.extend(SigningSecret::from_bytes(opened.expose()).ok());
        }
        Ok(check_fit(&secrets, checked.schemes()).map(|problem| {
            Problem::new("secret", problem.rule, "give a secret that the schemes can sign with")
        }))
    }
}

/// Somebody was faster.
pub(crate) fn outdated(seen: Version, stored: Version) -> Problem {
    Problem::new(
        "version",
        format!("version {} is stored, and this was made from {}", stored.number(), seen.number()),
        "look at it again and repeat the change",
    )
}

/// A stored login would go to a host that it was not given for: whoever can change a URL could read it that way.
fn moves_credential(found: &Webhook, checked: &Checked, auth: &Edit<CheckedAuth>) -> Option<Problem> {
    let moved = checked.url().is_some_and(|url| url.origin() != found.url.origin());
    (moved && keeps_credential(found.auth.as_ref(), auth)).then(|| {
        Problem::new(
            "auth",
            "a stored login is not sent to another host than the one it was given for",
            "give the login again, or clear it",
        )
    })
}

/// The receiver is another one now, or may have been mended: what held it back ends.
fn concerns_receiver(before: &Webhook, after: &Webhook) -> bool {
    let silent = ["name", "owner", "events", "channels", "metadata", "ordering", "entitlements"];
    changed_fields(before, after).iter().any(|field| !silent.contains(field))
}

/// The names of the fields that differ; never their values.
pub(crate) fn changed_fields(before: &Webhook, after: &Webhook) -> Vec<&'static str> {
    let fields = [
        ("name", before.name != after.name),
        ("url", before.url != after.url),
        ("owner", before.owner != after.owner),
        ("events", before.events != after.events),
        ("channels", before.channels != after.channels),
        ("format", before.format != after.format),
        ("mapping", before.mapping != after.mapping),
        ("schemes", before.schemes != after.schemes),
        ("secret", before.secrets != after.secrets),
        ("auth", before.auth != after.auth),
        ("headers", before.headers != after.headers),
        ("retry", before.retry != after.retry),
        ("timeout", before.timeout != after.timeout),
        ("rate_limit", before.rate_limit != after.rate_limit),
        ("max_in_flight", before.max_in_flight != after.max_in_flight),
        ("ordering", before.ordering != after.ordering),
        ("destinations", before.destinations != after.destinations),
        ("metadata", before.metadata != after.metadata),
        ("entitlements", before.entitlements != after.entitlements),
    ];
    fields.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::primitives::egress::EgressPolicy;
    use crate::webhooks::model::StoredAuth;

    fn webhook() -> Webhook {
        let now = DateTime::UNIX_EPOCH;
        let url = EgressPolicy::default().parse("https://erp.example.com/").expect("a URL");
        Webhook::new(WebhookId::mint(now, [1; 10]), "t".parse().expect("a tenant"), url, Vec::new(), now)
    }

    #[test]
    fn what_changed_is_told_by_name() {
        let mut after = webhook();
        after.name = "ERP".into();
        after.auth = Some(StoredAuth::None);

        assert_eq!(changed_fields(&webhook(), &after), ["name", "auth"]);
        assert_eq!(changed_fields(&webhook(), &webhook()), [""; 0]);
    }

    #[test]
    fn a_new_name_does_not_end_the_waiting_but_a_new_url_does() {
        let mut renamed = webhook();
        renamed.name = "ERP".into();
        let mut moved = webhook();
        moved.url = EgressPolicy::default().parse("https://erp.example.com/v2").expect("a URL");

        assert!(!concerns_receiver(&webhook(), &renamed));
        assert!(concerns_receiver(&webhook(), &moved));
    }
}
