//! What is asked for, as it was typed, and whether it is fit to be stored.

use crate::error::Problem;
use crate::inbound::scheme::Scheme;
use crate::inbound::source::{SourceName, SourceState};
use crate::primitives::secret::Secret;
use crate::primitives::version::Version;

/// A source that somebody wants.
///
/// ```
/// use crossdock::inbound::{NewSource, presets};
///
/// let shop = NewSource::new("shopify", presets::shopify()).title("Our shop").secret("hush");
/// # drop(shop);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a source is made by `SourceAdmin::create`"]
pub struct NewSource {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) scheme: Scheme,
    pub(super) secret: Option<Secret>,
    pub(super) public_url: Option<String>,
    pub(super) reject_status: Option<u16>,
    pub(super) body_cap: Option<usize>,
    pub(super) state: SourceState,
}

/// A change of a source; what is not set stays.
#[derive(Clone, Debug)]
#[must_use = "a change is made by `SourceAdmin::update`"]
pub struct SourceUpdate {
    pub(super) of: Version,
    pub(super) title: Option<String>,
    pub(super) scheme: Option<Scheme>,
    pub(super) public_url: Option<Option<String>>,
    pub(super) reject_status: Option<Option<u16>>,
    pub(super) body_cap: Option<Option<usize>>,
}

impl NewSource {
    /// A source under whose name handlers are registered.
    pub fn new(name: impl Into<String>, scheme: Scheme) -> Self {
        Self {
            name: name.into(),
            title: String::new(),
            scheme,
            secret: None,
            public_url: None,
            reject_status: None,
            body_cap: None,
            state: SourceState::Active,
        }
    }

    /// What people call it.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// What the sender signs with, as the sender shows it.
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// The URL that the sender was told, where it is not the hub's public URL with the id behind it.
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// What a sender is told whose signature is wrong; as the scheme says by default.
    pub fn reject_status(mut self, status: u16) -> Self {
        self.reject_status = Some(status);
        self
    }

    /// How long a body may be, in bytes, up to 10 MiB; as the scheme says by default.
    pub fn body_cap(mut self, bytes: usize) -> Self {
        self.body_cap = Some(bytes);
        self
    }

    /// Whether it takes what is sent; it does, unless told otherwise.
    pub fn state(mut self, state: SourceState) -> Self {
        self.state = state;
        self
    }

    /// The name, or everything that is wrong.
    pub(super) fn check(&self) -> Result<SourceName, Vec<Problem>> {
        let mut problems = self.scheme.problems();
        check_title(&self.title, &mut problems);
        check_numbers(self.reject_status, self.body_cap, &mut problems);
        check_url(self.public_url.as_deref(), &mut problems);
        match self.name.parse() {
            Ok(name) if problems.is_empty() => Ok(name),
            Ok(_) => Err(problems),
            Err(invalid) => {
                let invalid: crate::inbound::source::InvalidSourceName = invalid;
                problems.push(Problem::new("name", invalid.to_string(), "give a name such as `shopify`"));
                Err(problems)
            }
        }
    }
}

impl SourceUpdate {
    /// A change of this version of a source.
    pub fn of(version: Version) -> Self {
        Self { of: version, title: None, scheme: None, public_url: None, reject_status: None, body_cap: None }
    }

    /// Another title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Another scheme.
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = Some(scheme);
        self
    }

    /// Another URL that the sender was told, or the usual one.
    pub fn public_url(mut self, url: Option<String>) -> Self {
        self.public_url = Some(url);
        self
    }

    /// Another status for wrong signatures, or the scheme's.
    pub fn reject_status(mut self, status: Option<u16>) -> Self {
        self.reject_status = Some(status);
        self
    }

    /// Another longest body, or the scheme's.
    pub fn body_cap(mut self, bytes: Option<usize>) -> Self {
        self.body_cap = Some(bytes);
        self
    }

    /// Everything that is wrong.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.scheme.as_ref().map(Scheme::problems).unwrap_or_default();
        check_title(self.title.as_deref().unwrap_or_default(), &mut problems);
        check_numbers(self.reject_status.flatten(), self.body_cap.flatten(), &mut problems);
        check_url(self.public_url.as_ref().and_then(Option::as_deref), &mut problems);
        problems
    }
}

fn check_title(title: &str, problems: &mut Vec<Problem>) {
    if title.chars().count() > MAX_TITLE || title.chars().any(char::is_control) {
        let rule = format!("a title has at most {MAX_TITLE} characters, none of them a control character");
        problems.push(Problem::new("title", rule, "shorten it, or leave it empty"));
    }
}

fn check_numbers(reject_status: Option<u16>, body_cap: Option<usize>, problems: &mut Vec<Problem>) {
    if reject_status.is_some_and(|status| !(400..500).contains(&status)) {
        let rule = "a refusal is a status from 400 to 499";
        problems.push(Problem::new("reject_status", rule, "choose 401 or 400"));
    }
    if body_cap.is_some_and(|cap| cap == 0 || cap > MAX_BODY) {
        problems.push(Problem::new(
            "body_cap",
            "a body may have 1 byte to 10 MiB",
            "choose a number in between",
        ));
    }
}

fn check_url(url: Option<&str>, problems: &mut Vec<Problem>) {
    let is_plain =
        |url: &str| url.len() <= MAX_URL && url.contains("://") && !url.chars().any(char::is_control);
    if url.is_some_and(|url| !is_plain(url)) {
        let rule = format!("a URL has a scheme and at most {MAX_URL} bytes");
        problems.push(Problem::new("public_url", rule, "give it as the sender was told"));
    }
}

const MAX_TITLE: usize = 200;
const MAX_BODY: usize = 10 << 20;
const MAX_URL: usize = 2_048;
