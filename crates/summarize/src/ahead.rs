//! A short queue between those who read images and those who look at them.
//!
//! Place in the flow: where bytes come over a network, waiting for them must not keep a processor idle.
//! The queue is bounded in images and in bytes, and ends when its readers or its takers have gone, however they
//! went. Order does not matter: a shard's sums are the same for any.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes at which readers wait.
const MOST_BYTES: usize = 128 << 20;

/// The queue.
#[derive(Debug)]
pub(crate) struct Ahead<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    most: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(T, usize)>,
    bytes: usize,
    readers: usize,
    takers: usize,
}

/// Which end of the queue somebody stands at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Reader,
    Taker,
}

/// Someone at an end; leaves when dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Presence<'a, T> {
    ahead: &'a Ahead<T>,
    end: End,
}

impl<T> Drop for Presence<'_, T> {
    fn drop(&mut self) {
        let mut state = self.ahead.lock();
        match self.end {
            End::Reader => state.readers -= 1,
            End::Taker => state.takers -= 1,
        }
        self.ahead.changed.notify_all();
    }
}

impl<T> Ahead<T> {
    /// For so many readers and takers, who are taken to be there from now on.
    pub(crate) fn new(readers: usize, takers: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                bytes: 0,
                readers,
                takers,
            }),
            changed: Condvar::new(),
            most: readers,
        }
    }

    /// One of those counted in [`Self::new`].
    pub(crate) fn present(&self, end: End) -> Presence<'_, T> {
        Presence { ahead: self, end }
    }

    /// Appends once there is room; false when nobody is left to take it.
    pub(crate) fn put(&self, item: T, bytes: usize) -> bool {
        let mut state = self.lock();
        while state.takers > 0 && (state.waiting.len() >= self.most || state.bytes >= MOST_BYTES) {
            state = self.wait(state);
        }
        if state.takers == 0 {
            return false;
        }
        state.bytes += bytes;
        state.waiting.push_back((item, bytes));
        self.changed.notify_all();
        true
    }

    /// The next one; none when no reader is left.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some((item, bytes)) = state.waiting.pop_front() {
                state.bytes -= bytes;
                self.changed.notify_all();
                return Some(item);
            }
            if state.readers == 0 {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    #[test]
    fn everything_arrives_once_and_both_ends_end() {
        let ahead = Ahead::new(3, 2);
        let [next, sum] = [AtomicU64::new(0), AtomicU64::new(0)];
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let _here = ahead.present(End::Reader);
                    loop {
                        let item = next.fetch_add(1, Ordering::Relaxed);
                        if item >= 1000 || !ahead.put(item, MOST_BYTES / 2) {
                            break;
                        }
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    let _here = ahead.present(End::Taker);
                    while let Some(item) = ahead.take() {
                        sum.fetch_add(item, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 999 * 1000 / 2);
    }

    #[test]
    fn readers_stop_when_the_takers_are_gone() {
        let ahead = Ahead::new(1, 1);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _here = ahead.present(End::Reader);
                while ahead.put(0, 0) {}
            });
            scope.spawn(|| {
                let _here = ahead.present(End::Taker);
                ahead.take();
            });
        });
    }
}
