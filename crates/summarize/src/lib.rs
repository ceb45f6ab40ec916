//! The one pass over the data: activation aggregation, conv-max influence, predictions and dataset
//! examples (method.md sections 2, 3.1 and 6).
//!
//! Place in the flow: images in, [`summit_tables::ShardTables`] out, ready for the store.
//!
//! ```text
//! Pass (what to look at, compiled once)
//!   └─▶ Worker (one per thread: session, scratch) ─▶ ImageSummary (one image)
//!         └─▶ Accumulator (one per shard; sums, so order does not matter) ─▶ ShardTables
//! ```
//!
//! Memory: one session per thread and the accumulators of at most `threads + 2` shards; independent
//! of the number of images. Nothing depends on the number of threads or on the shard split.

mod accumulate;
mod ahead;
mod pass;
mod predict;
mod run;
mod worker;

pub use accumulate::Accumulator;
pub use pass::{Pass, PassError, PassOptions};
pub use predict::Prediction;
pub use run::{Inputs, Progress, RunError, run_shards};
pub use worker::{ImageSummary, LayerSummary, Worker};
