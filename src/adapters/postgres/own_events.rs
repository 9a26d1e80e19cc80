//! Events that this process has published itself, until they are fanned out: what it has need not be read again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::events::model::Event;

/// The newest of them, as far as there is room; others are read as if somebody else had published them.
#[derive(Default)]
pub(super) struct OwnEvents {
    kept: Mutex<Kept>,
    /// Whether most of what was in the outbox of late was our own.
    are_most: AtomicBool,
}

#[derive(Default)]
struct Kept {
    events: HashMap<Uuid, Arc<Event>>,
    /// Also of those that have gone.
    order: VecDeque<Uuid>,
    bytes: usize,
}

impl OwnEvents {
    pub(super) fn remember(&self, events: impl IntoIterator<Item = Arc<Event>>) {
        let mut kept = self.lock();
        for event in events {
            let id = event.head.id.as_uuid();
            kept.bytes += size(&event);
            kept.order.push_back(id);
            if let Some(former) = kept.events.insert(id, event) {
                kept.bytes -= size(&former);
            }
        }
        while kept.order.len() > MOST || kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.order.pop_front() else { break };
            kept.remove(&oldest);
        }
    }

    /// Those of these events that are here.
    pub(super) fn find(&self, ids: &[Uuid]) -> Vec<Option<Arc<Event>>> {
        let kept = self.lock();
        ids.iter().map(|id| kept.events.get(id).map(Arc::clone)).collect()
    }

    /// Those of these events that are here; they are not, after that.
    pub(super) fn take(&self, ids: impl Iterator<Item = Uuid>) -> Vec<Option<Arc<Event>>> {
        let mut kept = self.lock();
        ids.map(|id| kept.remove(&id)).collect()
    }

    pub(super) fn are_most(&self) -> bool {
        self.are_most.load(Ordering::Relaxed)
    }

    /// So many of so many events were our own.
    pub(super) fn were(&self, own: usize, all: usize) {
        if all > 0 {
            self.are_most.store(2 * own > all, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, id: &Uuid) -> Option<Arc<Event>> {
        let event = self.events.remove(id)?;
        self.bytes -= size(&event);
        Some(event)
    }
}

fn size(event: &Event) -> usize {
    event.payload.len() + ABOUT_A_HEAD
}

impl fmt::Debug for OwnEvents {
    /// The events are left out: they are the tenants'.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnEvents").finish_non_exhaustive()
    }
}

const MOST: usize = 4_096;
const MOST_BYTES: usize = 16 * 1024 * 1024;
const ABOUT_A_HEAD: usize = 512;

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::events::model::EventHead;
    use crate::primitives::id::EventId;

    fn event(number: u16, bytes: usize) -> Arc<Event> {
        let mut dice = [0; 10];
        dice[8..].copy_from_slice(&number.to_be_bytes());
        let id = EventId::mint(DateTime::UNIX_EPOCH, dice);
        let tenant = "t".parse().expect("a tenant id");
        let head = EventHead::new(id, tenant, "a".parse().expect("a type"), DateTime::UNIX_EPOCH);
        Arc::new(Event::new(head, vec![b'1'; bytes]))
    }

    fn id(number: u16) -> Uuid {
        event(number, 0).head.id.as_uuid()
    }

    #[test]
    fn an_event_is_taken_once() {
        let own = OwnEvents::default();
        own.remember([event(1, 5), event(2, 5)]);

        assert_eq!(own.find(&[id(1)])[0].as_ref().map(|event| event.payload.len()), Some(5));
        assert_eq!(own.take([id(1), id(3)].into_iter()).iter().flatten().count(), 1);

        assert!(own.find(&[id(1)])[0].is_none());
        assert!(own.find(&[id(2)])[0].is_some());
        assert_eq!(own.lock().bytes, 5 + ABOUT_A_HEAD);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_much() {
        let own = OwnEvents::default();
        own.remember((0..5_000).map(|number| event(number, 1)));
        assert!(own.find(&[id(903)])[0].is_none());
        assert!(own.find(&[id(904)])[0].is_some());
        assert_eq!(own.lock().events.len(), MOST);

        own.remember((5_000..5_020).map(|number| event(number, 1024 * 1024)));

        let kept = own.lock();
        assert!(kept.bytes <= MOST_BYTES, "{}", kept.bytes);
        assert_eq!(kept.events.len(), 15);
        assert!(kept.events.contains_key(&id(5_019)));
    }

    #[test]
    fn what_comes_twice_counts_once() {
        let own = OwnEvents::default();
        own.remember([event(1, 5), event(1, 5)]);

        own.take([id(1)].into_iter());

        assert_eq!(own.lock().bytes, 0);
    }
}
