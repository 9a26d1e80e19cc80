//! Pages, and the cursors between them. A cursor belongs to one listing: another one's is refused.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::Problem;
use crate::primitives::{Cursor, Page, PageRequest};
use crate::web::axum::answer::Failure;
use crate::web::axum::management::query::{self, bad};

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listing<T> {
    /// What is on this page, newest first.
    items: Vec<T>,
    /// What to send as `after` for the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which page is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PageQuery {
    /// How many at most, 1 to 100; 50 unless it is said.
    #[serde(deserialize_with = "query::text")]
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<u32>,
    /// The `next` of the page before.
    pub(super) after: Option<String>,
}

impl<T> Listing<T> {
    /// The page as clients see it; `name` is the listing's.
    pub(super) fn of<D>(name: &str, page: Page<D>, shape: impl FnMut(D) -> T) -> Self {
        let next = page.next.map(|cursor| format!("{name}_{cursor}"));
        Self { items: page.items.into_iter().map(shape).collect(), next }
    }
}

/// The page that is wanted of the listing of this name.
pub(super) fn page(name: &str, limit: Option<u32>, after: Option<&str>) -> Result<PageRequest, Failure> {
    let limit = limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        let rule = format!("a page has 1 to {MOST} items");
        return Err(bad(&Problem::new("limit", rule, format!("leave it out for {USUAL}"))));
    }
    // At most a hundred.
    let page = PageRequest::first(limit as usize);
    let Some(text) = after else { return Ok(page) };
    let cursor = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('_')?.parse::<Cursor>().ok());
    let cursor = cursor.ok_or_else(|| {
        let rule = "a cursor is the `next` of the page before this one, in the same listing";
        bad(&Problem::new("after", rule, "send it back unchanged, or leave it out for the first page"))
    })?;
    Ok(page.after(cursor))
}

const USUAL: u32 = 50;
const MOST: u32 = 100;
