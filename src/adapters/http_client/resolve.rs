//! From a name to addresses.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

/// Looks names up.
///
/// # Contract
/// - `name` is absolute: it ends with a dot, unless the operator has listed it as it stands.
/// - The answer holds every address the name has at this moment, in the order in which to try them; a name without
///   addresses gives an empty answer or an error.
/// - Nothing is kept from one call to the next for longer than the records permit.
/// - Every question ends: the transport asks it in a task of its own, which goes on when nobody waits for the answer any more, and
///   asks nothing else about the name until then.
#[async_trait]
pub trait Resolve: Debug + Send + Sync + 'static {
    /// Every address of this name.
    ///
    /// # Errors
    /// The name server did not answer, or says that there is no such name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's own resolver.
///
/// The system's call blocks a thread and cannot be ended from outside, so at most 128 run at once: name servers that
/// never answer cannot take every thread of the runtime. Of these, one [party](crate::ports::ExchangeRequest::party) gets 16,
/// so that a tenant whose name servers never answer does not take them from the others.
///
/// ```no_run
/// use crossdock::adapters::http_client::{Resolve, SystemResolver};
///
/// # async fn resolve() -> std::io::Result<()> {
/// let addresses = SystemResolver::new().resolve("erp.example.com.").await?;
/// # let _ = addresses;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SystemResolver {
    threads: Arc<Semaphore>,
}

impl SystemResolver {
    /// A resolver.
    pub fn new() -> Self {
        Self { threads: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(io::Error::other)?;
        let name = name.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            let addresses = (name.as_str(), 0).to_socket_addrs();
            // The permit goes back when the thread is free, which may be long after the caller has left.
            drop(thread);
            addresses.map(|addresses| addresses.map(|address| address.ip()).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}

const MAX_LOOKUPS: usize = 128;
