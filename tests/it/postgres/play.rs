//! How a story is played: on a runtime of its own, waiting for what will come.

use std::time::{Duration, Instant};

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Plays a story to its end.
pub(crate) fn play(story: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(story)
}

/// Looks again and again until it holds.
pub(crate) async fn soon(
    what: &str,
    mut holds: impl AsyncFnMut() -> Result<bool, Box<dyn std::error::Error>>,
) -> Outcome {
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
