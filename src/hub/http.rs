//! The built-in transport.

use std::sync::Arc;

use crate::adapters::http_client::HttpTransport;
use crate::error::Result;
use crate::hub::defaults::Defaults;
use crate::ports::Exchange;
use crate::primitives::egress::EgressPolicy;

impl Defaults {
    /// Wins over [`Absent::exchange`](super::defaults::Absent::exchange).
    pub(super) fn exchange(&self, egress: &EgressPolicy) -> Result<Option<Arc<dyn Exchange>>> {
        Ok(Some(Arc::new(HttpTransport::new(egress.clone())?)))
    }
}
