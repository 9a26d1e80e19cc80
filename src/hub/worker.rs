//! From a hub to its worker.

use std::sync::Arc;

use crate::hub::handle::Hub;
use crate::webhooks::worker::Worker;

impl Hub {
    /// A worker on this hub's store; it does nothing until it runs. Any number of them may run, in any number of processes.
    pub fn worker(&self) -> Worker {
        Worker::new(Arc::clone(&self.context))
    }
}
