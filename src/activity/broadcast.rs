//! What happens, told to whoever listens in this process.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_channel::mpsc;
use futures_util::Stream;

/// Tells everybody who has subscribed.
#[derive(Debug)]
pub(crate) struct Broadcast<T>(Mutex<Vec<Listener<T>>>);

#[derive(Debug)]
struct Listener<T> {
    sender: mpsc::Sender<T>,
    missed: Arc<AtomicU64>,
}

/// What happens in this process from the time of subscribing on.
///
/// A reader that falls more than [`CAPACITY`](Self::CAPACITY) behind misses what comes; [`missed`](Self::missed) says how much.
#[derive(Debug)]
pub struct Heard<T> {
    receiver: mpsc::Receiver<T>,
    missed: Arc<AtomicU64>,
}

impl<T> Default for Broadcast<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Broadcast<T> {
    pub(crate) fn subscribe(&self) -> Heard<T> {
        let (sender, receiver) = mpsc::channel(Heard::<T>::CAPACITY);
        let missed = Arc::new(AtomicU64::new(0));
        self.listeners().push(Listener { sender, missed: Arc::clone(&missed) });
        Heard { receiver, missed }
    }

    pub(crate) fn tell(&self, what: &T) {
        self.listeners().retain_mut(|listener| match listener.sender.try_send(what.clone()) {
            Ok(()) => true,
            Err(error) if error.is_full() => {
                listener.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(_gone) => false,
        });
    }

    fn listeners(&self) -> std::sync::MutexGuard<'_, Vec<Listener<T>>> {
        // A panic while telling leaves a list that is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Heard<T> {
    /// How much waits for a slow reader.
    pub const CAPACITY: usize = 256;

    /// How much came while the reader was too far behind.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// What has come since the last look, without waiting.
    pub fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.receiver.try_recv().ok()).collect()
    }
}

impl<T> Stream for Heard<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_hears_what_comes_after_they_listen() {
        let broadcast = Broadcast::default();
        broadcast.tell(&0);
        let mut early = broadcast.subscribe();
        broadcast.tell(&1);
        let mut late = broadcast.subscribe();

        broadcast.tell(&2);

        assert_eq!((early.drain(), late.drain()), (vec![1, 2], vec![2]));
    }

    #[test]
    fn a_slow_reader_knows_what_it_has_missed() {
        let broadcast = Broadcast::default();
        let mut slow = broadcast.subscribe();

        (0..2 * Heard::<usize>::CAPACITY).for_each(|number| broadcast.tell(&number));

        let heard = slow.drain().len();
        assert_eq!(heard as u64 + slow.missed(), 2 * Heard::<usize>::CAPACITY as u64);
        assert!(heard >= Heard::<usize>::CAPACITY);
    }
}
