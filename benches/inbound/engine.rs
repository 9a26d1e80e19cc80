//! What can go wrong in a measurement.

/// Whatever it is, it is told and ends the run.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
