//! A new signing secret, while the old one still signs along.

use std::time::Duration;

use crate::activity::model::ActivityKind;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::ports::EntropyExt;
use crate::primitives::id::WebhookId;
use crate::primitives::secret::Secret;
use crate::webhooks::model::{StoredSecret, Webhook};
use crate::webhooks::repository::Release;
use crate::webhooks::sealing::{SECRET, webhook_place};
use crate::webhooks::service::access::may_manage;
use crate::webhooks::service::credentials::SecretOnce;
use crate::webhooks::service::plan::Plan;
use crate::webhooks::service::secrets::{
    DEFAULT_OVERLAP, Kind, MAX_OVERLAP, check_fit, kind, needs_shared, read, rotated,
};
use crate::webhooks::service::view::{Created, WebhookView};
use crate::webhooks::service::webhooks::{WebhookAdmin, is_race, lost_race};
use crate::webhooks::sign::SigningSecret;

/// How a secret is rotated.
///
/// ```
/// use std::time::Duration;
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::{NewWebhook, Rotation};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let webhooks = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).webhooks();
/// let id = webhooks.create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?.webhook.id;
///
/// // The receiver has two days to learn the new one: until then requests carry both signatures.
/// let rotated = webhooks.rotate(id, Rotation::new().overlap(Duration::from_secs(2 * 24 * 60 * 60))).await?;
///
/// assert_eq!(rotated.webhook.secrets.len(), 2);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Rotation {
    overlap: Duration,
    secret: Option<Secret>,
}

impl Rotation {
    /// A generated secret, and an overlap of 24 hours.
    pub fn new() -> Self {
        Self { overlap: DEFAULT_OVERLAP, secret: None }
    }

    /// How long the old secret signs along: nothing, when it has leaked, up to 7 days.
    #[must_use]
    pub fn overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// This secret instead of a generated one.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secret = Some(secret.into());
        self
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self::new()
    }
}

impl WebhookAdmin {
    /// Gives a webhook a new secret, shown this once; the old one signs along for the overlap.
    ///
    /// Dropping the future leaves the secret rotated or not; if it is, nobody has seen the new one: rotate again.
    ///
    /// # Errors
    /// `Denied`; `NotFound`; `Invalid` when the webhook is unsigned, the overlap too long, or the given secret unfit; `Conflict` when
    /// five secrets are live already.
    pub async fn rotate(&self, id: WebhookId, rotation: Rotation) -> Result<Created> {
        const WHAT: &str = "rotate secret";
        may_manage(&self.context, &self.actor, WHAT)?;
        let mut race = None;
        for _ in 0..Self::RETRIES {
            let mut plan = Plan::new(&self.context, &self.actor, WHAT);
            let planned = plan.rotate(id, &rotation).await?;
            plan.verdict()?;
            match (plan.save().await, planned) {
                (Err(error), _) if is_race(&error) => race = Some(error),
                (Err(error), _) => return Err(error),
                (Ok(()), planned) => {
                    let saved = plan.saved(id).zip(planned);
                    let (webhook, secret) = saved.ok_or_else(|| Error::new(ErrorKind::Internal, WHAT))?;
                    return Ok(Created {
                        webhook: WebhookView::of(webhook, plan.now),
                        secret: SecretOnce::of(secret),
                    });
                }
            }
        }
        Err(lost_race(WHAT, race))
    }
}

impl Plan<'_> {
    async fn rotate(&mut self, id: WebhookId, rotation: &Rotation) -> Result<Option<SigningSecret>> {
        let Some(mut webhook) = self.find(id).await? else { return Ok(None) };
        let mut problems = Vec::new();
        if rotation.overlap > MAX_OVERLAP {
            let fix = "use 24 hours, or create a second webhook for a longer move";
            problems.push(Problem::new("overlap", "an old secret signs along for at most 7 days", fix));
        }
        let new = match &rotation.secret {
            Some(secret) => read(secret).map_err(|problem| problems.push(problem)).ok(),
            None => Some(SigningSecret::generate(self.context.entropy.bytes())),
        };
        if webhook.schemes.is_empty() {
            let fix = "choose a signature scheme in an update";
            problems.push(Problem::new("schemes", "an unsigned webhook has no secret", fix));
        } else if rotation.secret.is_none() && !needs_shared(&webhook.schemes) {
            let fix = "give the new private key, `whsk_…`";
            problems.push(Problem::new("secret", "an ed25519 key is not generated here", fix));
        }
        let (Some(new), true) = (new, problems.is_empty()) else {
            self.refuse(problems);
            return Ok(None);
        };

        let new_kind = kind(&new);
        let present = self.kinds(&webhook).await?;
        // The new secret and, of the other kind, the present one must serve all schemes.
        let mut fit = vec![new.clone()];
        fit.extend(
            present.iter().find(|(_, kind, _)| *kind != new_kind).map(|(_, _, secret)| secret.clone()),
        );
        if let Some(problem) = check_fit(&fit, &webhook.schemes) {
            self.refuse([problem]);
            return Ok(None);
        }
        let present: Vec<_> = present.into_iter().map(|(stored, kind, _)| (stored, kind)).collect();
        let text = id.to_string();
        let place = webhook_place(self.tenant().as_str(), &text, SECRET);
        let sealed = self.context.vault.seal(place, &new.to_bytes()).await?;
        let stored = StoredSecret::new(sealed, self.now);
        match rotated(stored, new_kind, &present, rotation.overlap, self.now) {
            Err(problem) => {
                self.conflict(problem);
                Ok(None)
            }
            Ok(secrets) => {
                webhook.secrets = secrets;
                let activity = self
                    .activity(ActivityKind::SecretRotated, id)
                    .with_detail("overlap_seconds", rotation.overlap.as_secs().to_string());
                self.log(activity);
                self.replace(webhook, Release::Keep);
                Ok(Some(new))
            }
        }
    }

    /// The live secrets, and what each can do. One that can no longer be read is left out, and so ends at once: rotating is
    /// how it is replaced.
    async fn kinds(&self, webhook: &Webhook) -> Result<Vec<(StoredSecret, Kind, SigningSecret)>> {
        let text = webhook.id.to_string();
        let mut kinds = Vec::with_capacity(webhook.secrets.len());
        for stored in webhook.secrets.iter().filter(|secret| secret.is_live(self.now)) {
            let place = webhook_place(self.tenant().as_str(), &text, SECRET);
            let opened = match self.context.vault.open(place, &stored.sealed).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => continue,
                opened => opened?,
            };
            if let Ok(secret) = SigningSecret::from_bytes(opened.expose()) {
                kinds.push((stored.clone(), kind(&secret), secret));
            }
        }
        Ok(kinds)
    }
}
