//! Asks every part of a hub how it is.

use std::future::Future;
use std::time::Duration;

use futures_util::future::{Either, join3, select};

use crate::error::{Error, ErrorKind, Result};
use crate::hub::checkup::Checkup;
use crate::hub::handle::Hub;
use crate::inbound::service::examine::examine;
use crate::ports::{SealPlace, Vault};
use crate::primitives::secret::Secret;

impl Hub {
    /// How the hub stands, for an operator: what waits and for how long, what store and vault say, what is wrong, what it means,
    /// and what to do. It changes nothing, and is cheap enough for a health check every few seconds.
    ///
    /// It always answers: a part that fails, or says nothing within 10 seconds, is a finding. Dropping the future leaves nothing
    /// behind.
    ///
    /// ```
    /// use crossdock::Hub;
    /// use crossdock::hub::Severity;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), crossdock::Error> {
    /// let hub = Hub::builder().build()?;
    ///
    /// let checkup = hub.doctor().await;
    ///
    /// println!("{checkup}");
    /// assert!(checkup.findings.iter().all(|symptom| symptom.severity() < Severity::Critical));
    /// # Ok(()) }
    /// ```
    pub async fn doctor(&self) -> Checkup {
        let before = self.context.clock.now();
        let queue = self.in_time(async {
            let examined = self.context.queue.examine(before).await;
            // The store read its clock between these two times: half-way is the best guess.
            (examined, before + (self.context.clock.now() - before) / 2)
        });
        let inbound = self.in_time(examine(&self.inbound, before));
        let (queue, vault, inbound) = join3(queue, self.in_time(probe(&*self.context.vault)), inbound).await;
        let checkup = match queue {
            Ok((examined, at)) => Checkup::new(at, examined, vault.flatten()),
            Err(silence) => Checkup::new(before, Err(silence), vault.flatten()),
        };
        checkup.with_inbound(inbound.flatten())
    }

    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T> {
        let end = self.context.clock.sleep_until(self.context.clock.now() + PATIENCE);
        match select(Box::pin(answer), end).await {
            Either::Left((answer, _)) => Ok(answer),
            Either::Right(_) => {
                let words = format!("no answer within {} s", PATIENCE.as_secs());
                Err(Error::new(ErrorKind::Unavailable, "hear from a part of the hub").with_source(words))
            }
        }
    }
}

/// Seals and opens something of no worth.
async fn probe(vault: &dyn Vault) -> Result<()> {
    let (place, probe) = (SealPlace::new("", "doctor", "", "probe"), Secret::from("probe"));
    let sealed = vault.seal(place, &probe).await?;
    if vault.open(place, &sealed).await? != probe {
        let words = "the vault opened something else than it had sealed";
        return Err(Error::new(ErrorKind::Corrupt, "open a sealed secret").with_source(words));
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(10);
