//! What a hub takes when the host gives nothing, and the build has something.

use std::sync::Arc;

use crate::error::Result;
use crate::events::schema::SchemaEngine;
use crate::ports::Exchange;
use crate::primitives::egress::EgressPolicy;

/// Asked for the parts that exist only with a feature.
///
/// An inherent method wins over a trait's method of the same name. [`Absent`] answers "there is none" for every part;
/// the module behind a feature (`http`, `schemas`) adds an inherent method to `Defaults`, and from then on the same call
/// reaches that one. So a feature adds a module and changes no line elsewhere, and no `cfg` has to say "without".
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults;

/// The answers of a build without any feature, and of a hub that wants none of the built-in parts.
pub(super) trait Absent {
    fn exchange(&self, _egress: &EgressPolicy) -> Result<Option<Arc<dyn Exchange>>> {
        Ok(None)
    }

    fn schema_engine(&self) -> Option<Arc<dyn SchemaEngine>> {
        None
    }
}

impl Absent for Defaults {}
