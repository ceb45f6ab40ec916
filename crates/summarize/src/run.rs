//! Drives the workers over shards of images.

use crate::accumulate::Accumulator;
use crate::ahead::{Ahead, End};
use crate::pass::Pass;
use crate::worker::Worker;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use summit_images::{
    DecodeLimits, ImageItem, ImageSource, Preprocessing, ReadError, SkipReason, decode, thumbnail,
};
use summit_tables::{ClassId, ImageRecord, ShardTables, SkippedImage};

/// The images of a run.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Where bytes come from.
    pub source: &'a dyn ImageSource,
    /// Images with consecutive ids, which hold every range.
    pub items: &'a [ImageItem],
    /// One per item.
    pub labels: &'a [Option<ClassId>],
    /// How pixels become the network's input.
    pub preprocessing: &'a Preprocessing,
    /// Bounds of decoding.
    pub limits: &'a DecodeLimits,
}

impl<'a> Inputs<'a> {
    /// An image by id, and its label.
    fn find(&self, image: u32) -> Option<(&'a ImageItem, Option<ClassId>)> {
        let first = self.items.first()?.image.0;
        let index = image.checked_sub(first)? as usize;
        let label = self.labels.get(index).copied().flatten();
        Some((self.items.get(index)?, label))
    }
}

/// How far a run is; read while it goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Images summarised.
    pub done: AtomicU32,
    /// Images skipped.
    pub skipped: AtomicU32,
    /// Labelled images whose first class was the label.
    pub top1: AtomicU32,
    /// Labelled images with the label among the first five.
    pub top5: AtomicU32,
    /// Labelled images.
    pub labelled: AtomicU32,
    /// Nanoseconds spent in reading, decoding and preprocessing.
    pub decode_ns: AtomicU64,
    /// Nanoseconds all workers spent in the network and its summaries.
    pub network_ns: AtomicU64,
}

/// Why the loop ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E> {
    /// The receiver of shards failed.
    #[error(transparent)]
    Shard(E),
    /// The backend cannot run the network.
    #[error(transparent)]
    Backend(#[from] summit_nn::exec::RunError),
    /// A worker thread died: a defect of the program.
    #[error("a worker stopped unexpectedly; the shards committed so far are safe")]
    Worker,
}

/// One shard being filled.
struct Shard {
    range: Range<u32>,
    left: u32,
    sums: Option<Accumulator>,
}

/// The next image to take, and the shards under way.
struct Queue {
    ranges: std::vec::IntoIter<Range<u32>>,
    current: Option<(Arc<Mutex<Shard>>, Range<u32>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Summarises the images of every range with `threads` workers and hands each finished shard to
/// `commit`, on the calling thread, in the order they finish. Once `stop` is set no new shard is
/// begun. Shards are handed over one at a time, so at most `threads + 2` are in memory. Where the source
/// is far away, further threads read ahead of the workers (`ahead`), a bounded number of images.
///
/// # Errors
/// The first error of `commit`, after which workers stop at once; or that of the backend.
pub fn run_shards<E>(
    pass: &Arc<Pass>,
    inputs: Inputs<'_>,
    ranges: Vec<Range<u32>>,
    threads: usize,
    progress: &Progress,
    stop: &AtomicBool,
    mut commit: impl FnMut(Range<u32>, ShardTables) -> Result<(), E>,
) -> Result<(), RunError<E>> {
    let runners: Vec<Worker> = (0..threads.max(1))
        .map(|_| Worker::new(pass))
        .collect::<Result<_, _>>()?;
    let queue = Mutex::new(Queue {
        ranges: ranges.into_iter(),
        current: None,
    });
    let abort = AtomicBool::new(false);
    let (sender, receiver) = mpsc::sync_channel::<(Range<u32>, ShardTables)>(1);
    let readers = inputs.source.read_ahead();
    let ahead = Ahead::new(readers, runners.len());
    let fetch = || fetch(inputs, take(&queue, pass, stop, &abort)?);
    std::thread::scope(|scope| {
        let (ahead, fetch) = (&ahead, &fetch);
        for _ in 0..readers {
            scope.spawn(move || {
                let _here = ahead.present(End::Reader);
                while let Some(fetched) = fetch() {
                    let bytes = fetched.bytes.as_ref().map_or(0, Vec::len);
                    if !ahead.put(fetched, bytes) {
                        break;
                    }
                }
            });
        }
        let mut workers = Vec::new();
        for worker in runners {
            let sender = sender.clone();
            workers.push(scope.spawn(move || {
                let _here = ahead.present(End::Taker);
                let mut job = Job {
                    worker,
                    inputs,
                    pixels: vec![0.0; inputs.preprocessing.output_len()],
                    progress,
                };
                let next = || if readers > 0 { ahead.take() } else { fetch() };
                while let Some(fetched) = next() {
                    let shard = Arc::clone(&fetched.shard);
                    job.image(fetched);
                    if let Some(done) = finish_if_last(&shard)
                        && sender.send(done).is_err()
                    {
                        break;
                    }
                }
            }));
        }
        drop(sender);
        let mut result = Ok(());
        for (range, tables) in receiver {
            if result.is_ok() {
                result = commit(range, tables).map_err(RunError::Shard);
                abort.store(result.is_err(), Ordering::Relaxed);
            }
        }
        let died = workers
            .into_iter()
            .filter_map(|worker| worker.join().err())
            .count();
        if died > 0 {
            result.and(Err(RunError::Worker))
        } else {
            result
        }
    })
}

/// The next image and its shard.
fn take(
    queue: &Mutex<Queue>,
    pass: &Pass,
    stop: &AtomicBool,
    abort: &AtomicBool,
) -> Option<(Arc<Mutex<Shard>>, u32)> {
    if abort.load(Ordering::Relaxed) {
        return None;
    }
    let mut queue = lock(queue);
    loop {
        if let Some((shard, images)) = &mut queue.current
            && let Some(image) = images.next()
        {
            return Some((Arc::clone(shard), image));
        }
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let range = queue.ranges.next()?;
        let shard = Shard {
            range: range.clone(),
            left: range.end.saturating_sub(range.start),
            sums: Some(Accumulator::new(pass.info())),
        };
        queue.current = Some((Arc::new(Mutex::new(shard)), range));
    }
}

fn finish_if_last(shard: &Mutex<Shard>) -> Option<(Range<u32>, ShardTables)> {
    let mut shard = lock(shard);
    shard.left -= 1;
    if shard.left > 0 {
        return None;
    }
    let sums = shard.sums.take()?;
    Some((shard.range.clone(), sums.finish()))
}

/// An image with its bytes.
struct Fetched<'a> {
    shard: Arc<Mutex<Shard>>,
    item: &'a ImageItem,
    label: Option<ClassId>,
    bytes: Result<Vec<u8>, ReadError>,
    /// What reading them took.
    time: Duration,
}

/// Reads an image that was taken.
fn fetch<'a>(inputs: Inputs<'a>, (shard, image): (Arc<Mutex<Shard>>, u32)) -> Option<Fetched<'a>> {
    let start = Instant::now();
    let (item, label) = inputs.find(image)?;
    let bytes = inputs.source.read(item);
    Some(Fetched {
        shard,
        item,
        label,
        bytes,
        time: start.elapsed(),
    })
}

/// What one worker thread holds.
struct Job<'a> {
    worker: Worker,
    inputs: Inputs<'a>,
    pixels: Vec<f32>,
    progress: &'a Progress,
}

impl Job<'_> {
    fn image(&mut self, fetched: Fetched<'_>) {
        let Fetched {
            shard,
            item,
            label,
            bytes,
            time,
        } = fetched;
        let outcome = bytes
            .map_err(|reason| reason.to_string())
            .and_then(|bytes| self.summarize(item, label, &bytes, time));
        let mut shard = lock(&shard);
        let Some(sums) = &mut shard.sums else { return };
        match outcome {
            Ok((record, summary, thumbnail)) => sums.add(record, &summary, thumbnail),
            Err(reason) => {
                self.progress.skipped.fetch_add(1, Ordering::Relaxed);
                sums.skip(SkippedImage {
                    image: item.image,
                    path: item.path.clone(),
                    reason,
                });
            }
        }
    }

    fn summarize(
        &mut self,
        item: &ImageItem,
        label: Option<ClassId>,
        bytes: &[u8],
        reading: Duration,
    ) -> Result<(ImageRecord, crate::ImageSummary, Vec<u8>), String> {
        let start = Instant::now();
        let Inputs {
            preprocessing,
            limits,
            ..
        } = self.inputs;
        let mut read = || -> Result<_, SkipReason> {
            let image = decode(bytes, limits)?;
            preprocessing.apply(&image, &mut self.pixels)?;
            Ok(image)
        };
        let image = read().map_err(|reason| reason.to_string())?;
        let thumbnail = thumbnail(&image, preprocessing).map_err(|reason| reason.to_string())?;
        let decoded = start.elapsed();
        let summary = self
            .worker
            .summarize(&self.pixels, label)
            .map_err(|reason| reason.to_string())?;
        let progress = self.progress;
        let nanoseconds = |time: Duration| time.as_nanos() as u64;
        progress
            .decode_ns
            .fetch_add(nanoseconds(reading + decoded), Ordering::Relaxed);
        progress
            .network_ns
            .fetch_add(nanoseconds(start.elapsed() - decoded), Ordering::Relaxed);
        progress.done.fetch_add(1, Ordering::Relaxed);
        let prediction = summary.prediction.clone();
        if let Some(label) = label {
            progress.labelled.fetch_add(1, Ordering::Relaxed);
            let rank = prediction
                .top_classes
                .iter()
                .position(|&class| class == label);
            progress
                .top1
                .fetch_add(u32::from(rank == Some(0)), Ordering::Relaxed);
            progress
                .top5
                .fetch_add(u32::from(rank.is_some()), Ordering::Relaxed);
        }
        let record = ImageRecord {
            image: item.image,
            path: item.path.clone(),
            label,
            top_classes: prediction.top_classes,
            top_probabilities: prediction.top_probabilities,
            label_probability: prediction.label_probability,
            margin: prediction.margin,
            runner_up: prediction.runner_up,
            width: image.width(),
            height: image.height(),
        };
        Ok((record, summary, thumbnail))
    }
}
