//! May they? Asked before anything else is looked at.

use crate::error::{Error, ErrorKind, Result};
use crate::tenancy::model::Actor;
use crate::webhooks::context::Context;

pub(crate) fn may_read(context: &Context, actor: &Actor, what: &'static str) -> Result<()> {
    context.access.read(actor).map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
}

pub(crate) fn may_manage(context: &Context, actor: &Actor, what: &'static str) -> Result<()> {
    context.access.manage(actor).map_err(|denial| Error::new(ErrorKind::Denied, what).with_source(denial))
}
