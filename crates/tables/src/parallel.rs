//! Work shared out among the processors.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// [`in_parallel_on`] as many threads as there are processors.
///
/// # Errors
/// That of `work`.
pub fn in_parallel<T: Sync, R: Send, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    in_parallel_on(processors(), items, work)
}

/// Processors of this machine.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What `work` makes of every item, in the order of the items; the first error in their order, after
/// which no further item is begun.
///
/// # Errors
/// That of `work`.
pub fn in_parallel_on<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, R>> = Mutex::default();
    let failed: Mutex<BTreeMap<usize, E>> = Mutex::default();
    let worker = || {
        while lock(&failed).is_empty() {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(position) else {
                break;
            };
            match work(item) {
                Ok(result) => drop(lock(&done).insert(position, result)),
                Err(error) => drop(lock(&failed).insert(position, error)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    let first = lock(&failed).pop_first();
    match first {
        Some((_, error)) => Err(error),
        None => Ok(std::mem::take(&mut *lock(&done)).into_values().collect()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_the_first_error_counts() {
        let items: Vec<u32> = (0..1000).collect();
        let doubled: Result<Vec<u32>, ()> = in_parallel(&items, |item| Ok(item * 2));
        assert!(
            doubled
                .unwrap()
                .into_iter()
                .eq((0..1000).map(|item| item * 2))
        );
        let failing = |item: &u32| if *item < 3 { Ok(()) } else { Err(*item) };
        assert_eq!(in_parallel(&items, failing), Err(3));
        assert_eq!(in_parallel(&[], failing), Ok(Vec::new()));
    }
}
