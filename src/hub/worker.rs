//! From a hub to its workers.

use std::sync::Arc;

use crate::hub::handle::Hub;
use crate::inbound::worker::InboundWorker;
use crate::webhooks::worker::Worker;

impl Hub {
    /// A worker on this hub's store; it does nothing until it runs. Any number of them may run, in any number of processes.
    pub fn worker(&self) -> Worker {
        Worker::new(Arc::clone(&self.context))
    }

    /// A worker that hands what was received to this hub's handlers; it does nothing until it runs. Any number of them may run, in any
    /// number of processes.
    pub fn inbound_worker(&self) -> InboundWorker {
        InboundWorker::new(Arc::clone(&self.inbound))
    }
}
