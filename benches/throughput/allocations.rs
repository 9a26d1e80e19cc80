//! Counts allocations, but only while somebody wants to know.
//!
//! Counters are shared by all threads, and every allocation writes to them: left on, they would slow down whoever
//! allocates more, and falsify the ratio that is to be measured.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::allocator::Chosen;

/// The benchmark's allocator, with counters that can be switched on.
pub(crate) struct Counted;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allocations {
    /// How often, with each time that something grew.
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

static COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// What was allocated while this ran, in the whole process.
pub(crate) async fn counted<T>(work: impl Future<Output = T>) -> (T, Allocations) {
    COUNT.store(0, Ordering::Relaxed);
    BYTES.store(0, Ordering::Relaxed);
    COUNTING.store(true, Ordering::Relaxed);
    let result = work.await;
    COUNTING.store(false, Ordering::Relaxed);
    (result, Allocations { count: COUNT.load(Ordering::Relaxed), bytes: BYTES.load(Ordering::Relaxed) })
}

fn note(bytes: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        COUNT.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on as it is, to one allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as for the caller.
        unsafe { Chosen.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for the caller. What goes back is not counted.
        unsafe { Chosen.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as for the caller.
        unsafe { Chosen.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size.saturating_sub(layout.size()));
        // SAFETY: as for the caller.
        unsafe { Chosen.realloc(memory, layout, size) }
    }
}
