//! The allocator of whatever is measured over HTTP, the limits beside it included.
//!
//! It is mimalloc, as in many servers: glibc's takes a lock when one thread gives back what another one had, and a delivery
//! passes through several threads. `RUSTFLAGS="--cfg system_allocator" cargo bench …` measures with the system's own.

#[cfg(not(system_allocator))]
pub(crate) use mimalloc::MiMalloc as Chosen;
#[cfg(system_allocator)]
pub(crate) use std::alloc::System as Chosen;

/// What it is called in what is printed.
pub(crate) const NAME: &str = if cfg!(system_allocator) { "system" } else { "mimalloc" };
