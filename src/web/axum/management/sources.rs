//! `/sources`: who may notify the tenant, how they sign, and with which secrets.

use std::time::Duration;

use axum::response::IntoResponse;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Problem;
use crate::inbound::{self, Algorithm, Check, Scheme, SourceSecretView, SourceUpdate, SourceView, presets};
use crate::primitives::{Secret, SourceId};
use crate::web::axum::management::body::{Json, MaybeJson};
use crate::web::axum::management::desk::{Desk, Manager};
use crate::web::axum::management::etag::{IfMatch, with_etag};
use crate::web::axum::management::input;
use crate::web::axum::management::paging::{Listing, PageQuery, page};
use crate::web::axum::management::query::Query;
use crate::web::axum::management::shapes::{
    Answer, Named, SecretText, Time, given, json, mirror, nullable, refuse, seconds,
};

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, change, delete))
        .routes(routes!(switch))
        .routes(routes!(rotate))
}

mirror!(
    /// Whether a source takes what is sent to it.
    SourceState of inbound::SourceState {
        /// It does.
        Active,
        /// It is switched off: senders are told 501.
        Off,
        /// It is known, but nobody handles what it sends yet: senders are told 501.
        NotImplemented,
    }
);

/// Who notifies the tenant.
#[derive(Debug, Serialize, ToSchema)]
struct Source {
    /// The last part of the path that the sender is told.
    id: String,
    /// Counts changes; the `etag` says the same.
    version: u64,
    /// Which handlers hear of it.
    name: String,
    title: String,
    /// The URL to tell the sender, if it is known here.
    url: Option<String>,
    state: SourceState,
    /// How requests are signed and read.
    #[schema(value_type = Object)]
    scheme: Scheme,
    /// The lives of its secrets, newest first.
    secrets: Vec<SourceSecretLife>,
    /// The status for wrong signatures, if not the scheme's.
    reject_status: Option<u16>,
    /// How many bytes a body may have, if not as many as the scheme says.
    body_cap: Option<u64>,
    created_at: Time,
    updated_at: Time,
}

/// The life of one secret of a sender.
#[derive(Debug, Serialize, ToSchema)]
struct SourceSecretLife {
    created_at: Time,
    /// From then on it verifies nothing; `null` for the present one.
    expires_at: Option<Time>,
}

/// A source with a new secret, which is shown this once.
#[derive(Serialize, ToSchema)]
struct SourceWithSecret {
    source: Source,
    /// What the sender is to sign with, if it was made here; `null` if it was given.
    secret: Option<String>,
}

/// A source that is to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSource {
    /// Which handlers hear of it, such as `shopify`.
    name: String,
    /// A known provider's way of signing, such as `shopify`; either this or `scheme`.
    #[serde(default)]
    preset: Option<String>,
    /// Any other way of signing.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    scheme: Option<Value>,
    #[serde(default)]
    title: Option<String>,
    /// What the sender signs with, as the sender shows it; one is made unless it is given.
    #[serde(default)]
    secret: Option<SecretText>,
    /// The URL that the sender was told, if not the usual one.
    #[serde(default)]
    public_url: Option<String>,
    /// The status for wrong signatures; as the scheme says unless it is given.
    #[serde(default)]
    reject_status: Option<u16>,
    /// How many bytes a body may have; as the scheme says unless it is given.
    #[serde(default)]
    body_cap: Option<u32>,
    /// It begins active unless it is said.
    #[serde(default)]
    state: Option<SourceState>,
}

/// What is to be changed of a source: what is left out stays, `null` clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SourceChanges {
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    title: Option<String>,
    /// A known provider's way of signing; either this or `scheme`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    preset: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Object)]
    scheme: Option<Value>,
    /// `null`: the usual one.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    public_url: Option<Option<String>>,
    /// `null`: the scheme's.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u16>)]
    reject_status: Option<Option<u16>>,
    /// `null`: the scheme's.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>)]
    body_cap: Option<Option<u32>>,
}

/// Whether it takes what is sent from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchSource {
    state: SourceState,
}

/// How a sender's secret is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateSource {
    /// The new secret, as the sender shows it; one is made unless it is given.
    #[serde(default)]
    secret: Option<SecretText>,
    /// How many seconds the old ones count along; a day unless it is said.
    #[serde(default)]
    overlap: Option<f64>,
}

/// Lists sources
///
/// Newest first.
#[utoipa::path(get, path = "/sources", operation_id = "list_sources", tag = "sources", params(PageQuery),
    responses((status = 200, body = Listing<Source>)))]
async fn list(Manager(admin): Manager, Query(query): Query<PageQuery>) -> Answer {
    let page = page("sources", query.limit, query.after.as_deref())?;
    json(StatusCode::OK, &Listing::of("sources", admin.sources().list(page).await?, Source::of))
}

/// Creates a source
///
/// The answer holds its secret if it was made here, this once.
#[utoipa::path(post, path = "/sources", operation_id = "create_source", tag = "sources",
    request_body = NewSource,
    responses((status = 201, body = SourceWithSecret, headers(("etag" = String, description = "The version")))))]
async fn create(Manager(admin): Manager, Json(new): Json<NewSource>) -> Answer {
    let mut problems = Vec::new();
    let scheme = chosen(new.preset, new.scheme, &mut problems);
    if scheme.is_none() && problems.is_empty() {
        problems.push(Problem::new(
            "preset",
            "a source has a way of signing",
            "give a `preset` or a `scheme`",
        ));
    }
    check_made(new.secret.as_ref(), scheme.as_ref(), &mut problems);
    refuse("create source", problems)?;
    let sources = admin.sources();
    let (secret, made) = secret(new.secret, || sources.make_secret());
    let mut wanted =
        inbound::NewSource::new(new.name, scheme.unwrap_or_else(presets::generic)).secret(secret);
    wanted = wanted.title(new.title.unwrap_or_default());
    if let Some(url) = new.public_url {
        wanted = wanted.public_url(url);
    }
    if let Some(status) = new.reject_status {
        wanted = wanted.reject_status(status);
    }
    if let Some(bytes) = new.body_cap {
        wanted = wanted.body_cap(size(bytes));
    }
    if let Some(state) = new.state {
        wanted = wanted.state(state.into());
    }
    let source = sources.create(wanted).await?;
    with_secret(StatusCode::CREATED, source, made)
}

/// Reads a source
///
/// Without its secrets.
#[utoipa::path(get, path = "/sources/{id}", operation_id = "read_source", tag = "sources",
    params(("id" = String, Path, description = "The source, such as `src_…`")),
    responses((status = 200, body = Source, headers(("etag" = String, description = "The version")))))]
async fn read(Manager(admin): Manager, Named(id): Named<SourceId>) -> Answer {
    shown(admin.sources().find(id).await?)
}

/// Changes a source
///
/// What is left out stays as it is; `null` clears. Its name and its secrets stay.
#[utoipa::path(patch, path = "/sources/{id}", operation_id = "change_source", tag = "sources",
    params(
        ("id" = String, Path, description = "The source, such as `src_…`"),
        ("if-match" = String, Header, description = "The `etag` that the change was made from"),
    ),
    request_body = SourceChanges,
    responses((status = 200, body = Source, headers(("etag" = String, description = "The version")))))]
async fn change(
    Manager(admin): Manager,
    Named(id): Named<SourceId>,
    if_match: IfMatch,
    Json(changes): Json<SourceChanges>,
) -> Answer {
    let sources = admin.sources();
    let seen = sources.find(id).await?;
    if_match.check(seen.version)?;
    let mut problems = Vec::new();
    let mut update = SourceUpdate::of(seen.version);
    if let Some(scheme) = chosen(changes.preset, changes.scheme, &mut problems) {
        update = update.scheme(scheme);
    }
    refuse("update source", problems)?;
    if let Some(title) = changes.title {
        update = update.title(title);
    }
    if let Some(url) = changes.public_url {
        update = update.public_url(url);
    }
    if let Some(status) = changes.reject_status {
        update = update.reject_status(status);
    }
    if let Some(bytes) = changes.body_cap {
        update = update.body_cap(bytes.map(size));
    }
    shown(sources.update(id, update).await.map_err(IfMatch::failure)?)
}

/// Deletes a source
///
/// Senders are told 404. What was received from it stays.
#[utoipa::path(delete, path = "/sources/{id}", operation_id = "delete_source", tag = "sources",
    params(("id" = String, Path, description = "The source, such as `src_…`")),
    responses((status = 204)))]
async fn delete(Manager(admin): Manager, Named(id): Named<SourceId>) -> Answer {
    admin.sources().delete(id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Switches a source
///
/// On, off, or not implemented: senders are told 501 then, and try again.
#[utoipa::path(post, path = "/sources/{id}/switch", operation_id = "switch_source", tag = "sources",
    params(("id" = String, Path, description = "The source, such as `src_…`")),
    request_body = SwitchSource,
    responses((status = 200, body = Source, headers(("etag" = String, description = "The version")))))]
async fn switch(
    Manager(admin): Manager,
    Named(id): Named<SourceId>,
    Json(wanted): Json<SwitchSource>,
) -> Answer {
    shown(admin.sources().switch(id, wanted.state.into()).await?)
}

/// Replaces a source's secret
///
/// The old ones count along for a while. The answer holds the new one if it was made here, this once.
#[utoipa::path(post, path = "/sources/{id}/rotate", operation_id = "rotate_source", tag = "sources",
    params(("id" = String, Path, description = "The source, such as `src_…`")),
    request_body(content = Option<RotateSource>),
    responses((status = 201, body = SourceWithSecret, headers(("etag" = String, description = "The version")))))]
async fn rotate(
    Manager(admin): Manager,
    Named(id): Named<SourceId>,
    MaybeJson(wanted): MaybeJson<RotateSource>,
) -> Answer {
    let mut problems = Vec::new();
    let overlap = wanted.overlap.map_or(DAY, |overlap| seconds("overlap", overlap, &mut problems));
    let sources = admin.sources();
    check_made(wanted.secret.as_ref(), Some(&sources.find(id).await?.scheme), &mut problems);
    refuse("rotate a source's secret", problems)?;
    let (secret, made) = secret(wanted.secret, || sources.make_secret());
    with_secret(StatusCode::CREATED, sources.rotate(id, secret, overlap).await?, made)
}

/// The secret that was given, or one that is made; and what to show of it.
fn secret(given: Option<SecretText>, make: impl FnOnce() -> Secret) -> (Secret, Option<String>) {
    match given {
        Some(SecretText(secret)) => (secret, None),
        None => {
            let made = make();
            let shown = made.expose_text().map(str::to_owned);
            (made, shown)
        }
    }
}

/// A secret can be made for whoever shares it; a public key cannot.
fn check_made(given: Option<&SecretText>, scheme: Option<&Scheme>, problems: &mut Vec<Problem>) {
    let is_public = |scheme: &Scheme| match &scheme.check {
        Check::Signature(rule) => rule.algorithm == Algorithm::Ed25519,
        _ => false,
    };
    if given.is_none() && scheme.is_some_and(is_public) {
        problems.push(Problem::new("secret", "a public key is not made here", "copy it from the sender"));
    }
}

/// The way of signing that is asked for, if one is.
fn chosen(preset: Option<String>, scheme: Option<Value>, problems: &mut Vec<Problem>) -> Option<Scheme> {
    match (preset, scheme) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            problems.push(Problem::new("scheme", "a source signs in one way", "give `preset` or `scheme`"));
            None
        }
        (Some(name), None) => {
            let scheme = presets::by_name(&name);
            if scheme.is_none() {
                let known: Vec<_> = presets::all().into_iter().map(|(name, _)| name).collect();
                let fix = format!("choose one of {}", known.join(", "));
                problems.push(Problem::new("preset", "there is no such preset", fix));
            }
            scheme
        }
        (None, Some(text)) => match input::read::<_, Scheme>(text) {
            Ok(scheme) => Some(scheme),
            Err(Problem { field, rule, fix, .. }) => {
                let field = if field.is_empty() { "scheme".to_owned() } else { format!("scheme.{field}") };
                problems.push(Problem::new(field, rule, fix));
                None
            }
        },
    }
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn shown(view: SourceView) -> Answer {
    let version = view.version;
    json(StatusCode::OK, &Source::of(view)).map(|answer| with_etag(answer, version))
}

fn with_secret(status: StatusCode, view: SourceView, secret: Option<String>) -> Answer {
    let version = view.version;
    let shape = SourceWithSecret { source: Source::of(view), secret };
    json(status, &shape).map(|answer| with_etag(answer, version))
}

impl Source {
    fn of(view: SourceView) -> Self {
        let life = |secret: SourceSecretView| SourceSecretLife {
            created_at: secret.created_at.into(),
            expires_at: secret.expires_at.map(Into::into),
        };
        Self {
            id: view.id.to_string(),
            version: view.version.number(),
            name: view.name.to_string(),
            title: view.title,
            url: view.url,
            state: view.state.into(),
            scheme: view.scheme,
            secrets: view.secrets.into_iter().map(life).collect(),
            reject_status: view.reject_status,
            body_cap: view.body_cap.map(|bytes| bytes as u64),
            created_at: view.created_at.into(),
            updated_at: view.updated_at.into(),
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);
