//! Things made at their first use.

use crate::SiteError;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Made at its first use, by one thread; the others wait for it.
#[derive(Debug)]
pub(crate) struct Lazy<T> {
    made: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self {
            made: OnceLock::new(),
            making: Mutex::new(()),
        }
    }
}

/// What a cell holds, made where it holds nothing; nothing is kept of a failure.
///
/// # Errors
/// There is no such cell; that of `make`.
pub(crate) fn get_or_make<T>(
    cell: Option<&Lazy<T>>,
    make: impl FnOnce() -> Result<T, SiteError>,
) -> Result<&T, SiteError> {
    let cell = cell.ok_or_else(|| SiteError::Absent {
        what: "such layer".to_owned(),
    })?;
    if let Some(made) = cell.made.get() {
        return Ok(made);
    }
    let _making = cell.making.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = cell.made.get() {
        return Ok(made);
    }
    let made = make()?;
    Ok(cell.made.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn one_thread_makes_what_many_want_and_a_failure_is_tried_again() {
        let cell = Lazy::default();
        let failed = get_or_make(Some(&cell), || Err(SiteError::NoNetwork));
        assert!(failed.is_err());
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let value = get_or_make(Some(&cell), || {
                        std::thread::sleep(Duration::from_millis(50));
                        Ok(made.fetch_add(1, Ordering::SeqCst))
                    });
                    assert_eq!(*value.unwrap(), 0);
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
        assert!(get_or_make(None::<&Lazy<u8>>, || Ok(1)).is_err());
    }
}
