//! The net under decoders of outside bytes: their panic is an error and nothing else.
//!
//! Place in the flow: around the image decoders of `images` and the Parquet decoder of `store`, which
//! bytes from outside reach. A caught panic still passes the process's panic hook, which by default prints
//! a report in the middle of a run's progress. The hook set here passes every report on but those of
//! threads that are inside [`caught`]; what they would say is returned instead.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls `decode`; its panic becomes an error, and nothing is printed. What the closure changes outside
/// itself may be half-changed after an error and must be thrown away.
///
/// # Errors
/// The panic's message, on one line and at most 200 characters. A binary built with
/// `panic = "abort"` ends instead.
pub fn caught<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |report| {
            if !IS_INSIDE.get() {
                usual(report);
            }
        }));
    });
    let was_inside = IS_INSIDE.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    IS_INSIDE.set(was_inside);
    outcome.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let fixed = payload.downcast_ref::<&str>().copied();
    let text = fixed.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    one_line(text.unwrap_or("without a message"))
}

/// What a foreign decoder says, made fit for a report: it quotes bytes of the file in places.
#[must_use]
pub fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn only_caught_panics_are_silent() {
        static PRINTED: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let usual = take_hook();
        set_hook(Box::new(move |report| {
            let text = message(report.payload());
            if text.starts_with("test: ") {
                PRINTED.lock().unwrap().push(text);
            } else {
                usual(report);
            }
        }));
        let index = std::hint::black_box(3);
        assert_eq!(caught(|| index + 1), Ok(4));
        let formatted = caught(|| -> u8 { panic!("test: inside {index}") });
        assert_eq!(formatted, Err("test: inside 3".to_owned()));
        assert_eq!(
            caught(|| -> u8 { panic!("test: fixed") }),
            Err("test: fixed".to_owned())
        );
        let outside = std::thread::spawn(|| panic!("test: outside")).join();
        assert!(outside.is_err());
        assert_eq!(*PRINTED.lock().unwrap(), ["test: outside"]);
    }
}
