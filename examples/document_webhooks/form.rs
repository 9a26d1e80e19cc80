//! The settings form: what it shows, what is typed into it, and how it is saved.
//!
//! Behind it are four webhooks at most, one for each type of document, and the company's default login. A form is one
//! [`WebhookAdmin::apply`](crossdock::webhooks::WebhookAdmin::apply): all of it is saved, or none.

use std::collections::BTreeMap;

use crossdock::events::{FlatFormat, TimeFormat, Zone};
use crossdock::hub::Admin;
use crossdock::tenancy::AccessPolicy;
use crossdock::webhooks::{
    Attempt, Auth, AuthView, DefaultsUpdate, DefaultsView, NewWebhook, WebhookQuery, WebhookState,
    WebhookStep, WebhookUpdate, WebhookView,
};
use crossdock::{Error, ErrorKind, Problem};
use serde::{Deserialize, Serialize};

use crate::catalog::DOCUMENT_TYPES;

/// The form as everybody in the company sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    /// Goes back with what was typed: so that nobody overwrites what they have not seen.
    pub(crate) seen: String,
    pub(crate) username: String,
    /// That there is a password; never which.
    pub(crate) has_password: bool,
    pub(crate) documents: BTreeMap<&'static str, Receiver>,
    /// Whether this person may change anything; otherwise the fields are grey.
    pub(crate) may_change: bool,
}

/// Where documents of one type go: only if there is a URL, and the switch is on.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receiver {
    #[serde(default)]
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) active: bool,
}

/// The form as somebody has filled it in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filled {
    seen: String,
    /// Empty: no login.
    #[serde(default)]
    username: String,
    /// Empty: the one that is stored stays.
    #[serde(default)]
    password: String,
    #[serde(default)]
    documents: BTreeMap<String, Receiver>,
}

/// What is stored.
struct Stored {
    defaults: DefaultsView,
    webhooks: BTreeMap<&'static str, WebhookView>,
}

/// The form as this person may see it.
pub(crate) async fn show(admin: &Admin, access: &AccessPolicy) -> Result<Shown, Error> {
    let stored = Stored::read(admin).await?;
    let (username, has_password) = match &stored.defaults.auth {
        Some(AuthView::Basic { username, has_password }) => (username.clone(), *has_password),
        _ => (String::new(), false),
    };
    let receiver = |kind: &&'static str| {
        let receiver = stored.webhooks.get(kind).map(|webhook| Receiver {
            url: webhook.url.as_str().to_owned(),
            active: webhook.state == WebhookState::Active,
        });
        (*kind, receiver.unwrap_or_default())
    };
    Ok(Shown {
        seen: stored.seen(),
        username,
        has_password,
        documents: DOCUMENT_TYPES.iter().map(receiver).collect(),
        may_change: access.manage(admin.actor()).is_ok(),
    })
}

/// Saves all of the form, or nothing.
pub(crate) async fn save(admin: &Admin, filled: Filled) -> Result<(), Error> {
    const STEP: &str = "save the settings";
    let stored = Stored::read(admin).await?;
    let problems = filled.problems();
    if !problems.is_empty() {
        return Err(Error::invalid(STEP, problems));
    }
    if filled.seen != stored.seen() {
        let fix = "look at the form again, and fill it in anew";
        let problem = Problem::new("seen", "somebody else has changed the settings meanwhile", fix);
        return Err(Error::new(ErrorKind::Conflict, STEP).with_problem(problem));
    }

    let mut steps = Steps::default();
    steps.add("", WebhookStep::defaults(filled.login(&stored.defaults)));
    for kind in DOCUMENT_TYPES {
        let receiver = filled.documents.get(kind).cloned().unwrap_or_default();
        steps.add_for(kind, &receiver, stored.webhooks.get(kind));
    }
    match admin.webhooks().apply(steps.steps).await {
        Ok(_) => Ok(()),
        Err(error) => Err(in_words_of_the_form(error, &steps.fields)),
    }
}

/// Sends a dummy to where documents of this type go, switched on or not.
pub(crate) async fn test(admin: &Admin, kind: &str) -> Result<Attempt, Error> {
    let stored = Stored::read(admin).await?;
    let problem = || Problem::new("document", "there is no URL for it", "give one, and save the form first");
    let webhook =
        stored.webhooks.get(kind).ok_or_else(|| Error::invalid("test the settings", [problem()]))?;
    Ok(admin.webhooks().test(webhook.id, kind).await?.attempt)
}

impl Stored {
    async fn read(admin: &Admin) -> Result<Self, Error> {
        let defaults = admin.defaults().await?;
        let listed = admin.webhooks().list(WebhookQuery::new().limit(100)).await?.items;
        let mut webhooks = BTreeMap::new();
        for webhook in listed {
            let kind = DOCUMENT_TYPES
                .into_iter()
                .find(|kind| webhook.events.iter().any(|event| event.as_str() == *kind));
            webhooks.extend(kind.map(|kind| (kind, webhook)));
        }
        Ok(Self { defaults, webhooks })
    }

    /// Changes with everything that is stored.
    fn seen(&self) -> String {
        let versions =
            self.webhooks.values().map(|webhook| format!("/{}.{}", webhook.id, webhook.version.number()));
        format!("{}{}", self.defaults.version.number(), versions.collect::<String>())
    }
}

impl Filled {
    /// What the hub does not know of, because it is a rule of this form.
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (kind, receiver) in &self.documents {
            if !DOCUMENT_TYPES.contains(&kind.as_str()) {
                let fix = format!("use one of {}", DOCUMENT_TYPES.join(", "));
                problems.push(Problem::new(format!("documents.{kind}"), "there is no such document", fix));
            }
            if receiver.active && receiver.url.is_empty() {
                let field = format!("documents.{kind}.url");
                problems.push(Problem::new(
                    field,
                    "what is switched on has a URL",
                    "give one, or switch it off",
                ));
            }
        }
        if self.username.is_empty() && !self.password.is_empty() {
            problems.push(Problem::new("username", "a password belongs to a user name", "give both"));
        }
        problems
    }

    /// One login for all of the company's receivers.
    fn login(&self, stored: &DefaultsView) -> DefaultsUpdate {
        let update = DefaultsUpdate::of(stored);
        if self.username.is_empty() {
            return update.clear_auth();
        }
        let login = Auth::basic(&self.username);
        // Without a password in it, the login keeps the one that is stored.
        let login =
            if self.password.is_empty() { login } else { login.with_password(self.password.as_str()) };
        // Nobody but an administrator of the company writes a URL into this form, and it is their login.
        update.auth(login).auth_for_all_hosts()
    }
}

/// Steps, and which part of the form each of them comes from.
#[derive(Default)]
struct Steps {
    steps: Vec<WebhookStep>,
    fields: Vec<String>,
}

impl Steps {
    fn add(&mut self, field: impl Into<String>, step: WebhookStep) {
        self.steps.push(step);
        self.fields.push(field.into());
    }

    fn add_for(&mut self, kind: &str, receiver: &Receiver, stored: Option<&WebhookView>) {
        let field = || format!("documents.{kind}.");
        match stored {
            None if receiver.url.is_empty() => {}
            None => {
                let webhook = NewWebhook::to(&receiver.url).events([kind]).format(flat()).unsigned();
                let webhook = if receiver.active { webhook } else { webhook.inactive() };
                self.add(field(), WebhookStep::create(webhook));
            }
            // What was delivered stays in the log.
            Some(webhook) if receiver.url.is_empty() => self.add(field(), WebhookStep::delete(webhook.id)),
            Some(webhook) => {
                self.add(
                    field(),
                    WebhookStep::update(WebhookUpdate::of(webhook).name("").url(&receiver.url)),
                );
                let switch = match (webhook.state == WebhookState::Active, receiver.active) {
                    (false, true) => WebhookStep::enable(webhook.id),
                    (true, false) => WebhookStep::disable(webhook.id),
                    _ => return,
                };
                self.add(field(), switch);
            }
        }
    }
}

/// Everything on one level, and times without a zone, as this platform's receivers have always had it.
fn flat() -> FlatFormat {
    FlatFormat::new().with_time(TimeFormat::iso(Zone::Unwritten))
}

/// The same error, with the form's names for what is wrong: `steps[2].url` becomes `documents.DELIVERY.url`.
fn in_words_of_the_form(error: Error, fields: &[String]) -> Error {
    let rename = |field: &str| {
        let (index, rest) = field.strip_prefix("steps[")?.split_once("].")?;
        let place = fields.get(index.parse::<usize>().ok()?)?;
        Some(format!("{place}{}", rest.strip_prefix("auth.").unwrap_or(rest)))
    };
    let problems = error.problems().iter().map(|problem| {
        let field = rename(&problem.field).unwrap_or_else(|| problem.field.clone());
        Problem::new(field, &*problem.rule, &*problem.fix)
    });
    problems.fold(Error::new(error.kind(), "save the settings"), Error::with_problem)
}
