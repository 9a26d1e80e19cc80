//! Where a webhook's secrets live: part of their seal.

use crate::ports::SealPlace;

/// The column of signing secrets.
pub(crate) const SECRET: &str = "secret";
/// The column of the login at the receiver.
pub(crate) const AUTH: &str = "auth";
/// The table of webhooks; the record is the webhook's id.
pub(crate) const WEBHOOKS: &str = "webhook";
/// The table of tenants' defaults; the record is the tenant's id.
pub(crate) const DEFAULTS: &str = "webhook_defaults";

/// A column of a webhook's record.
pub(crate) fn webhook_place<'a>(tenant: &'a str, webhook: &'a str, column: &'a str) -> SealPlace<'a> {
    SealPlace::new(tenant, WEBHOOKS, webhook, column)
}

/// A column of a tenant's defaults.
pub(crate) fn defaults_place<'a>(tenant: &'a str, column: &'a str) -> SealPlace<'a> {
    SealPlace::new(tenant, DEFAULTS, tenant, column)
}
