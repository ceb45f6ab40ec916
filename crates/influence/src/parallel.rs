//! Work on many items by a few threads, with results in the order of the items.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does `work` for every item, one thread per entry of `states`, and returns the results in the
/// order of `items`. After an error no further item is begun.
///
/// # Errors
/// The error of the first item, in their order, that failed.
pub fn in_parallel<T: Sync, S: Send, R: Send, E: Send>(
    items: &[T],
    states: &mut [S],
    work: impl Fn(&mut S, &T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results: Mutex<Vec<(usize, Result<R, E>)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for state in states {
            let (next, failed, results, work) = (&next, &failed, &results, &work);
            scope.spawn(move || {
                while !failed.load(Ordering::Relaxed) {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(position) else {
                        break;
                    };
                    let result = work(state, item);
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((position, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(position, _)| *position);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_the_first_error_wins() {
        let items: Vec<u32> = (0..200).collect();
        for threads in [1, 3] {
            let mut states = vec![0u32; threads];
            let double = in_parallel(&items, &mut states, |count, &item| {
                *count += 1;
                Ok::<_, u32>(item * 2)
            });
            assert_eq!(
                double.unwrap(),
                items.iter().map(|i| i * 2).collect::<Vec<_>>()
            );
            assert_eq!(states.iter().sum::<u32>(), 200);
            let failed = in_parallel(&items, &mut states, |_, &item| match item {
                5.. => Err(item),
                _ => Ok(()),
            });
            assert!(failed.unwrap_err() >= 5);
        }
    }
}
