//! Waiting for what will come, however slow the machine is.

use std::time::{Duration, Instant};

/// Looks again and again until it holds.
pub(crate) async fn soon(
    what: &str,
    mut holds: impl AsyncFnMut() -> Result<bool, Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let begun = Instant::now();
    while !holds().await? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("waited in vain: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
