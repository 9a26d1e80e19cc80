//! The shortest store that keeps crossdock's contracts: maps behind one lock, and a scan for every question.
//!
//! It is written against the public API alone, and is meant to be read: whoever writes a store for a database of their own finds
//! here what each step must do, without what makes it fast.

mod data;
mod queue;
mod repository;

use std::sync::{Mutex, MutexGuard, PoisonError};

use data::Data;

/// Keeps everything in maps.
#[derive(Debug, Default)]
pub struct SimpleStore(Mutex<Data>);

impl SimpleStore {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
