//! What a loop does: claim, work, settle.

use std::fmt::Debug;
use std::future::Future;

use chrono::{DateTime, Utc};

use crate::error::{Error, Result};

/// What a lane's work is.
pub trait LaneWork: Debug + Sync {
    /// A claimed piece of work.
    type Item: Send;
    /// What is needed to settle a piece of work that did not come back.
    type Ticket: Send;
    /// What came of a piece of work.
    type Outcome: Send + Sync;
    /// For whom work is done: nobody may fill the loop alone.
    type Party: Clone + Ord + Send;

    /// Leases at most so many due pieces of work, and none of those who are full.
    fn claim(
        &self,
        limit: usize,
        full: Vec<Self::Party>,
    ) -> impl Future<Output = Result<Claims<Self::Item>>> + Send;

    /// What is needed to settle the item if it does not come back.
    fn ticket(&self, item: &Self::Item) -> Self::Ticket;

    /// For whom the piece of work with this ticket is.
    fn party<'t>(&self, ticket: &'t Self::Ticket) -> &'t Self::Party;

    /// Works. Whatever goes wrong is an outcome.
    fn work(&self, item: Self::Item) -> impl Future<Output = Self::Outcome> + Send;

    /// The outcome of work that panicked.
    fn panicked(&self, ticket: Self::Ticket) -> Self::Outcome;

    /// The outcome of work that was cut off by the end of the grace period.
    fn abandoned(&self, ticket: Self::Ticket) -> Self::Outcome;

    /// The outcome of work that was claimed but never begun.
    fn unbegun(&self, item: Self::Item) -> Self::Outcome;

    /// Stores outcomes, all of them or none. Says when something can next be claimed of the lanes that they belong to, if the store
    /// knows.
    fn settle(
        &self,
        outcomes: &[Self::Outcome],
    ) -> impl Future<Output = Result<Option<DateTime<Utc>>>> + Send;

    /// Hears of a store that failed, and of each outcome that it refused for good.
    fn failed(&self, error: &Error);
}

/// What was claimed.
#[derive(Debug)]
pub struct Claims<T> {
    /// The pieces of work.
    pub items: Vec<T>,
    /// When something will be due that is not now.
    pub next_due: Option<DateTime<Utc>>,
}
