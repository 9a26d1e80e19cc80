//! Counts allocations, but only while somebody wants to know.
//!
//! The counters of `stats_alloc` are shared by all threads, and every allocation writes to them: left on, they would
//! slow down whoever allocates more, and falsify the ratio that is to be measured.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats};

/// The system's allocator, with counters that can be switched on.
pub(crate) struct Counted;

static COUNTING: AtomicBool = AtomicBool::new(false);

/// What was allocated while this ran, in the whole process.
pub(crate) async fn counted<T>(work: impl Future<Output = T>) -> (T, Stats) {
    COUNTING.store(true, Ordering::Relaxed);
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    let result = work.await;
    let stats = region.change();
    COUNTING.store(false, Ordering::Relaxed);
    (result, stats)
}

// SAFETY: every call is handed on as it is, to one of two faces of the same allocator: memory that one of them gave may
// go back through the other.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the caller.
        unsafe {
            if COUNTING.load(Ordering::Relaxed) {
                INSTRUMENTED_SYSTEM.alloc(layout)
            } else {
                System.alloc(layout)
            }
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for the caller. What goes back is not counted.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for the caller.
        unsafe {
            if COUNTING.load(Ordering::Relaxed) {
                INSTRUMENTED_SYSTEM.alloc_zeroed(layout)
            } else {
                System.alloc_zeroed(layout)
            }
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for the caller.
        unsafe {
            if COUNTING.load(Ordering::Relaxed) {
                INSTRUMENTED_SYSTEM.realloc(memory, layout, size)
            } else {
                System.realloc(memory, layout, size)
            }
        }
    }
}
