//! The work of a run: the network over the images of some shards, with progress, stopped by Ctrl-C at a
//! shard's end. One way for `summit run`, which does all shards, and `summit shard`, which does one.

use crate::interrupt::Interrupt;
use crate::{message, progress};
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use summit_images::{DecodeLimits, ImageItem, ImageSource, Preprocessing};
use summit_store::{ImageRange, StoreError};
use summit_summarize::{Inputs, Pass, Progress, run_shards};
use summit_tables::{ClassId, ShardTables};

/// What shards are done with.
pub struct Work<'a> {
    pub pass: &'a Arc<Pass>,
    pub source: &'a dyn ImageSource,
    /// Images with consecutive ids.
    pub items: &'a [ImageItem],
    /// One per item.
    pub labels: &'a [Option<ClassId>],
    pub preprocessing: &'a Preprocessing,
    pub threads: usize,
    /// Images done before, and all there are: what progress is counted by.
    pub before: u32,
    pub listed: u32,
    /// Of the images looked at; zeros to begin with.
    pub progress: &'a Progress,
    /// Stops it at a shard's end.
    pub interrupt: &'a Interrupt,
}

impl Work<'_> {
    /// Does shards and hands each to `commit` as it finishes. Fewer come when the user stops it.
    pub fn shards(
        &self,
        ranges: &[ImageRange],
        mut commit: impl FnMut(ImageRange, &ShardTables) -> Result<(), StoreError>,
    ) -> Result<()> {
        self.interrupt.listen()?;
        let limits = DecodeLimits::default();
        let inputs = Inputs {
            source: self.source,
            items: self.items,
            labels: self.labels,
            preprocessing: self.preprocessing,
            limits: &limits,
        };
        let ranges = ranges.iter().map(|range| range.ids()).collect();
        let progress = self.progress;
        let finished = AtomicBool::new(false);
        let start = std::time::Instant::now();
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| progress::show(progress, self.before, self.listed, &finished));
            let outcome = run_shards(
                self.pass,
                inputs,
                ranges,
                self.threads,
                progress,
                self.interrupt.came(),
                |range, tables| commit(ImageRange::new(range.start, range.end), &tables),
            );
            finished.store(true, Ordering::Relaxed);
            outcome
        });
        outcome.map_err(|error| match error {
            summit_summarize::RunError::Shard(error) => anyhow::Error::from(error),
            other => anyhow::Error::msg(other.to_string()),
        })?;
        say_speed(progress, start.elapsed().as_secs_f64());
        Ok(())
    }
}

fn say_speed(progress: &Progress, seconds: f64) {
    let seen = progress::seen(progress);
    let network = progress.network_ns.load(Ordering::Relaxed) as f64;
    let decode = progress.decode_ns.load(Ordering::Relaxed) as f64;
    message::note(&format!(
        "{seen} images in {seconds:.1} s: {:.1} images/s, {:.0} % of the work in the network and its summaries",
        f64::from(seen) / seconds.max(1e-9),
        100.0 * network / (network + decode).max(1.0)
    ));
}
