//! Rows in reusable slots: an index costs one bounds check, and order never depends on a hash.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// The place of a `T` in its slab.
pub(super) struct Slot<T>(u32, PhantomData<fn() -> T>);

/// Rows whose slots are used again after they are gone.
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, row: T) -> Slot<T> {
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = Some(row);
                index
            }
            None => {
                self.slots.push(Some(row));
                u32::try_from(self.slots.len() - 1).expect("fewer rows than fit into memory")
            }
        };
        Slot(index, PhantomData)
    }

    pub(super) fn remove(&mut self, slot: Slot<T>) -> T {
        self.free.push(slot.0);
        self.slots[slot.0 as usize].take().expect(IN_USE)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot<T>> {
        let used = self.slots.iter().enumerate().filter(|(_, row)| row.is_some());
        // `insert` has checked that every index fits.
        used.map(|(index, _)| Slot(index as u32, PhantomData))
    }
}

impl<T> Index<Slot<T>> for Slab<T> {
    type Output = T;

    fn index(&self, slot: Slot<T>) -> &T {
        self.slots[slot.0 as usize].as_ref().expect(IN_USE)
    }
}

impl<T> IndexMut<Slot<T>> for Slab<T> {
    fn index_mut(&mut self, slot: Slot<T>) -> &mut T {
        self.slots[slot.0 as usize].as_mut().expect(IN_USE)
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

// Derived impls would ask the same of `T`.
impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> PartialEq for Slot<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Slot<T> {}

impl<T> PartialOrd for Slot<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Slot<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

const IN_USE: &str = "a slot is given up only together with everything that points to it";
