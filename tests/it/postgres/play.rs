//! How a story is played: on a runtime of its own.

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Plays a story to its end.
pub(crate) fn play(story: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(story)
}
