//! How requests log in. What they log in with goes in and never comes out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::web::axum::management::shapes::{SecretText, nullable};
use crate::webhooks::{Auth, AuthView};

/// How requests are to log in.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::axum::management) struct Login {
    kind: LoginKind,
    /// With `basic`.
    #[serde(default)]
    username: Option<String>,
    /// With `basic`: left out, the stored one is kept; `null` is none.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Option<SecretText>>,
    /// With `bearer`: the token alone.
    #[serde(default)]
    token: Option<SecretText>,
    /// With `headers`.
    #[serde(default)]
    headers: Option<Vec<SecretHeader>>,
}

/// By which means.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LoginKind {
    /// Not at all, even if the tenant has a default.
    None,
    /// HTTP basic authentication.
    Basic,
    /// `authorization: Bearer …`.
    Bearer,
    /// Headers of the receiver's own.
    Headers,
}

/// A header whose value nobody may see.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretHeader {
    name: String,
    value: SecretText,
}

/// How requests log in, without what they log in with.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::axum::management) struct LoginView {
    kind: LoginKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_password: Option<bool>,
    /// The names of the headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<String>>,
}

impl Login {
    /// What is meant, or what is wrong with it.
    pub(in crate::web::axum::management) fn wanted(self, problems: &mut Vec<Problem>) -> Option<Auth> {
        let before = problems.len();
        for (field, is_there, belongs_to) in [
            ("username", self.username.is_some(), LoginKind::Basic),
            ("password", self.password.is_some(), LoginKind::Basic),
            ("token", self.token.is_some(), LoginKind::Bearer),
            ("headers", self.headers.is_some(), LoginKind::Headers),
        ] {
            let field = format!("auth.{field}");
            match (is_there, belongs_to == self.kind) {
                (true, false) => {
                    let rule = format!("it belongs to the kind `{}`", belongs_to.as_str());
                    problems.push(Problem::new(field, rule, "leave it out, or choose that kind"));
                }
                (false, true) if field != "auth.password" => {
                    let rule = format!("a login of the kind `{}` has it", belongs_to.as_str());
                    problems.push(Problem::new(field, rule, "give it"));
                }
                _ => {}
            }
        }
        if problems.len() > before {
            return None;
        }
        Some(match self.kind {
            LoginKind::None => Auth::none(),
            LoginKind::Basic => {
                let login = Auth::basic(self.username.unwrap_or_default());
                match self.password {
                    None => login,
                    Some(None) => login.without_password(),
                    Some(Some(password)) => login.with_password(password.0),
                }
            }
            LoginKind::Bearer => Auth::bearer(self.token?.0),
            LoginKind::Headers => {
                Auth::headers(self.headers?.into_iter().map(|header| (header.name, header.value.0)))
            }
        })
    }
}

impl LoginKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::Headers => "headers",
        }
    }
}

impl LoginView {
    pub(in crate::web::axum::management) fn of(view: AuthView) -> Self {
        let plain = |kind| Self { kind, username: None, has_password: None, headers: None };
        match view {
            AuthView::None => plain(LoginKind::None),
            AuthView::Basic { username, has_password } => {
                Self { username: Some(username), has_password: Some(has_password), ..plain(LoginKind::Basic) }
            }
            AuthView::Bearer => plain(LoginKind::Bearer),
            AuthView::Headers(names) => Self { headers: Some(names), ..plain(LoginKind::Headers) },
        }
    }
}
