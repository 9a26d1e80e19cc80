//! Credentials on their way in, and the one time on their way out.

use std::fmt;

use http::{HeaderName, HeaderValue};

use crate::error::Problem;
use crate::ports::Sealed;
use crate::primitives::header::TenantHeader;
use crate::primitives::secret::Secret;
use crate::webhooks::model::StoredAuth;
use crate::webhooks::service::secrets::{Kind, kind};
use crate::webhooks::sign::SigningSecret;

/// What happens to something that is stored and cannot be read back.
///
/// ```
/// use crossdock::webhooks::Edit;
///
/// assert_eq!(Edit::<u8>::default(), Edit::Keep);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Edit<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// This takes its place.
    Set(T),
    /// It is forgotten.
    Clear,
}

/// How requests log in at the receiver.
///
/// ```
/// use crossdock::webhooks::Auth;
///
/// let auth = Auth::basic("crossdock").with_password("correct horse");
///
/// assert_eq!(format!("{auth:?}"), "Auth(basic)");
/// ```
#[derive(Clone)]
pub struct Auth(Login);

#[derive(Clone)]
enum Login {
    None,
    Basic { username: String, password: Edit<Secret> },
    Bearer(Secret),
    Headers(Vec<(String, Secret)>),
}

/// Shown once: the text that the receiver needs to check signatures. Nobody can read it again.
///
/// ```
/// use crossdock::Hub;
/// use crossdock::events::{EventCatalog, EventTypeSpec};
/// use crossdock::tenancy::Actor;
/// use crossdock::webhooks::NewWebhook;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::builder().events(EventCatalog::new().with(EventTypeSpec::new("order.placed"))).build()?;
/// let webhooks = hub.admin(Actor::org_admin("org_42".parse()?, "ada")).webhooks();
///
/// let created = webhooks.create(NewWebhook::to("https://erp.example.com/").events(["*"])).await?;
///
/// let secret = created.secret.ok_or("signed webhooks have a secret")?;
/// assert!(secret.reveal().starts_with("whsec_"));
/// assert_eq!(format!("{secret:?}"), "SecretOnce(redacted)");
/// # Ok(()) }
/// ```
pub struct SecretOnce(SigningSecret);

/// A login that has passed every check, not yet sealed.
pub(crate) enum CheckedAuth {
    None,
    Basic { username: String, password: Edit<Secret> },
    Bearer(Secret),
    Headers(Vec<(HeaderName, Secret)>),
}

impl Auth {
    /// Not at all, even if the tenant has a default.
    pub fn none() -> Self {
        Self(Login::None)
    }

    /// HTTP basic authentication (RFC 7617). Without a password: the one that is stored, if there is one.
    pub fn basic(username: impl Into<String>) -> Self {
        Self(Login::Basic { username: username.into(), password: Edit::Keep })
    }

    /// `authorization: Bearer …` (RFC 6750).
    pub fn bearer(token: impl Into<Secret>) -> Self {
        Self(Login::Bearer(token.into()))
    }

    /// Headers of the receiver's own, such as an API key.
    pub fn headers<N: Into<String>, V: Into<Secret>>(headers: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(Login::Headers(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }

    /// The password of a basic login; nothing else has one.
    #[must_use]
    pub fn with_password(self, password: impl Into<Secret>) -> Self {
        self.password(Edit::Set(password.into()))
    }

    /// A basic login with an empty password, also if one was stored.
    #[must_use]
    pub fn without_password(self) -> Self {
        self.password(Edit::Clear)
    }

    fn password(self, password: Edit<Secret>) -> Self {
        match self.0 {
            Login::Basic { username, .. } => Self(Login::Basic { username, password }),
            other => Self(other),
        }
    }

    const fn kind(&self) -> &'static str {
        match self.0 {
            Login::None => "none",
            Login::Basic { .. } => "basic",
            Login::Bearer(_) => "bearer",
            Login::Headers(_) => "headers",
        }
    }

    /// The login if nothing is wrong with it; else what is wrong is appended.
    pub(crate) fn check(self, problems: &mut Vec<Problem>) -> Option<CheckedAuth> {
        let before = problems.len();
        let checked = match self.0 {
            Login::None => CheckedAuth::None,
            Login::Basic { username, password } => {
                problems.extend(check_basic(&username, &password));
                CheckedAuth::Basic { username, password }
            }
            Login::Bearer(token) => {
                if !is_bearer_token(&token) {
                    problems.push(Problem::new(
                        "auth.token",
                        format!("a token is 1 to {MAX_CREDENTIAL} visible ASCII characters"),
                        "copy the token alone, without `Bearer` and without spaces",
                    ));
                }
                CheckedAuth::Bearer(token)
            }
            Login::Headers(headers) => CheckedAuth::Headers(check_headers(headers, problems)),
        };
        (problems.len() == before).then_some(checked)
    }
}

impl CheckedAuth {
    /// The headers that it will write.
    pub(crate) fn header_names(&self) -> Vec<HeaderName> {
        match self {
            Self::None => Vec::new(),
            Self::Basic { .. } | Self::Bearer(_) => vec![http::header::AUTHORIZATION],
            Self::Headers(headers) => headers.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// The headers that a stored login writes.
pub(crate) fn stored_header_names(auth: Option<&StoredAuth>) -> Vec<HeaderName> {
    match auth {
        None | Some(StoredAuth::None) => Vec::new(),
        Some(StoredAuth::Basic { .. } | StoredAuth::Bearer { .. }) => vec![http::header::AUTHORIZATION],
        Some(StoredAuth::Headers(headers)) => headers.iter().map(|(name, _)| name.clone()).collect(),
    }
}

/// Whether something stays stored after an edit that another host must not be given.
pub(crate) fn keeps_credential(stored: Option<&StoredAuth>, edit: &Edit<CheckedAuth>) -> bool {
    match edit {
        Edit::Keep => holds_credential(stored),
        Edit::Set(CheckedAuth::Basic { password: Edit::Keep, .. }) => stored_password(stored).is_some(),
        Edit::Set(_) | Edit::Clear => false,
    }
}

fn holds_credential(auth: Option<&StoredAuth>) -> bool {
    match auth {
        None | Some(StoredAuth::None) => false,
        Some(StoredAuth::Basic { password, .. }) => password.is_some(),
        Some(StoredAuth::Bearer { .. } | StoredAuth::Headers(_)) => true,
    }
}

/// The password that a stored login keeps, if it is a basic one.
pub(crate) fn stored_password(auth: Option<&StoredAuth>) -> Option<&Sealed> {
    match auth {
        Some(StoredAuth::Basic { password, .. }) => password.as_ref(),
        _ => None,
    }
}

impl SecretOnce {
    /// What the receiver must be told; of a private key, nothing: it needs the public one.
    pub(crate) fn of(secret: SigningSecret) -> Option<Self> {
        (kind(&secret) == Kind::Shared).then_some(Self(secret))
    }

    /// The text to show, such as `whsec_…`. Every call of this is a place to look at.
    pub fn reveal(&self) -> String {
        self.0.reveal()
    }

    /// The same as Standard Webhooks libraries want it, `whsec_<base64>`, also where a plain text was given.
    pub fn reveal_for_libraries(&self) -> String {
        self.0.reveal_for_libraries()
    }

    /// The secret itself, for a [`Verifier`](crate::webhooks::Verifier).
    pub fn signing_secret(&self) -> &SigningSecret {
        &self.0
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth({})", self.kind())
    }
}

impl fmt::Debug for SecretOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretOnce(redacted)")
    }
}

fn check_basic(username: &str, password: &Edit<Secret>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if username.is_empty()
        || username.len() > MAX_USERNAME
        || username.contains(':')
        || username.chars().any(char::is_control)
    {
        problems.push(Problem::new(
            "auth.username",
            format!("a user name is 1 to {MAX_USERNAME} bytes without `:` and control characters"),
            "give the name alone; the password has a field of its own",
        ));
    }
    if let Edit::Set(password) = password
        && !password.expose_text().is_some_and(|text| {
            !text.is_empty() && text.len() <= MAX_CREDENTIAL && !text.chars().any(char::is_control)
        })
    {
        problems.push(Problem::new(
            "auth.password",
            format!("a password is 1 to {MAX_CREDENTIAL} bytes without control characters"),
            "check what was copied, or clear the password",
        ));
    }
    problems
}

fn is_bearer_token(token: &Secret) -> bool {
    let token = token.expose();
    !token.is_empty() && token.len() <= MAX_CREDENTIAL && token.iter().all(u8::is_ascii_graphic)
}

fn check_headers(headers: Vec<(String, Secret)>, problems: &mut Vec<Problem>) -> Vec<(HeaderName, Secret)> {
    if headers.is_empty() || headers.len() > MAX_HEADERS {
        problems.push(Problem::new(
            "auth.headers",
            format!("a login by headers has 1 to {MAX_HEADERS} of them"),
            "name the header that holds the API key, or use no login",
        ));
        return Vec::new();
    }
    let mut checked: Vec<(HeaderName, Secret)> = Vec::with_capacity(headers.len());
    for (index, (name, value)) in headers.into_iter().enumerate() {
        let field = format!("auth.headers[{index}]");
        match TenantHeader::parse(&name, value.expose()) {
            Ok(header) if checked.iter().any(|(earlier, _)| earlier == header.name()) => {
                problems.push(Problem::new(field, "a login names each header once", "remove the second one"));
            }
            Ok(header) if value.expose().is_empty() => {
                let rule = format!("the header `{}` of a login has a value", header.name());
                problems.push(Problem::new(field, rule, "give the API key, or remove the header"));
            }
            Ok(header) => checked.push((header.name().clone(), value)),
            Err(refusal) => problems.push(refusal.problem(field)),
        }
    }
    checked
}

/// A header's value as everybody may see it.
pub(crate) fn in_plain_sight(value: &HeaderValue) -> HeaderValue {
    let mut value = value.clone();
    value.set_sensitive(false);
    value
}

const MAX_USERNAME: usize = 256;
const MAX_CREDENTIAL: usize = 4_000;
const MAX_HEADERS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(auth: Auth) -> Vec<String> {
        let mut problems = Vec::new();
        let checked = auth.check(&mut problems);
        assert_eq!(checked.is_some(), problems.is_empty());
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_login_is_refused_by_field() {
        let too_long = "x".repeat(MAX_CREDENTIAL + 1);
        for (auth, refused) in [
            (Auth::none(), vec![]),
            (Auth::basic("ada"), vec![]),
            (Auth::basic("ada").with_password("pässword"), vec![]),
            (Auth::basic("ada").without_password(), vec![]),
            (Auth::basic(""), vec!["auth.username"]),
            (Auth::basic("a:b").with_password(""), vec!["auth.username", "auth.password"]),
            (Auth::basic("a\r\nx: 1"), vec!["auth.username"]),
            (Auth::basic("ada").with_password("a\nb"), vec!["auth.password"]),
            (Auth::basic("ada").with_password(&*too_long), vec!["auth.password"]),
            (Auth::bearer("abc"), vec![]),
            (Auth::bearer(""), vec!["auth.token"]),
            (Auth::bearer("Bearer abc"), vec!["auth.token"]),
            (Auth::bearer("a\nb"), vec!["auth.token"]),
            (Auth::headers([("x-api-key", "abc")]), vec![]),
            (Auth::headers::<&str, &str>([]), vec!["auth.headers"]),
            (Auth::headers([("host", "abc")]), vec!["auth.headers[0]"]),
            (Auth::headers([("x-a", "1"), ("X-A", "2")]), vec!["auth.headers[1]"]),
            (Auth::headers([("x-a", "1\r\n2")]), vec!["auth.headers[0]"]),
            (Auth::headers([("x-a", "")]), vec!["auth.headers[0]"]),
        ] {
            let name = format!("{auth:?}");
            assert_eq!(fields(auth), refused, "{name}");
        }
    }

    #[test]
    fn no_refusal_repeats_a_credential() {
        let mut problems = Vec::new();
        for auth in [
            Auth::basic("ada").with_password("canary\n"),
            Auth::bearer("canary canary"),
            Auth::headers([("x-a", "canary\n")]),
        ] {
            assert!(auth.check(&mut problems).is_none());
        }

        assert!(!format!("{problems:?}").contains("canary"));
    }
}
