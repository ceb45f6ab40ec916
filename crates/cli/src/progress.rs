//! Progress of a pass on standard error: a bar on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use summit_summarize::Progress;

/// Seconds between lines where there is no terminal.
const LINE_SECONDS: u64 = 30;

/// Shows `progress` until `finished` is set. Runs on its own thread.
pub fn show(progress: &Progress, before: u32, total: u32, finished: &AtomicBool) {
    let terminal = std::io::stderr().is_terminal();
    let bar = bar("summarising", "images");
    bar.set_length(u64::from(total));
    bar.set_position(u64::from(before));
    bar.reset_eta();
    let start = Instant::now();
    let mut last_line = start;
    while !finished.load(Ordering::Relaxed) {
        let seen = seen(progress);
        let rate = f64::from(seen) / start.elapsed().as_secs_f64().max(1e-9);
        let skipped = progress.skipped.load(Ordering::Relaxed);
        let text = format!("{rate:.1} images/s, {skipped} skipped");
        bar.set_position(u64::from(before + seen));
        bar.set_message(format!("{text}, "));
        if !terminal && last_line.elapsed() >= Duration::from_secs(LINE_SECONDS) {
            last_line = Instant::now();
            crate::message::note(&format!("{} of {total} images, {text}", before + seen));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bar.finish_and_clear();
}

/// A bar of things done, where there is a terminal.
pub fn bar(what: &'static str, things: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    let template = format!("{{prefix}} {{bar:30}} {{pos}}/{{len}} {things}, {{msg}}{{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.set_prefix(what);
    bar
}

/// Images looked at so far.
pub fn seen(progress: &Progress) -> u32 {
    progress.done.load(Ordering::Relaxed) + progress.skipped.load(Ordering::Relaxed)
}
