//! A run on disk: Parquet tables, manifest, shards, commit, merge, resume.
//!
//! Place in the flow: `summarize` hands over the results of consecutive images ([`summit_tables::ShardTables`]),
//! [`RunWriter`] commits each durably and makes the final tables, [`Run`] streams them to `query`
//! and `site`. [`merge_runs`] joins runs over different images, [`Removal`] takes some out. Formats: docs/formats.md.
//!
//! * Immutable parts, one small manifest replaced atomically: a run killed at any moment continues.
//! * The final bytes depend on the rows alone, not on shards, order, restarts or threads.
//! * Memory stays bounded by one shard while writing and by one batch per open file while merging,
//!   whatever the number of images.
//! * What is read is not trusted: sizes before decoding, values before they are handed out.

mod assemble;
mod cells;
mod combine;
mod durable;
mod error;
mod features;
mod flow;
mod inventory;
mod manifest;
mod merge;
mod names;
mod pages;
mod plan;
mod reader;
mod remove;
mod rows;
mod shard;
mod source;
mod spec;
mod table_reader;
mod table_writer;
mod tables;
mod writer;

pub use cells::CellCounts;
pub use combine::merge_runs;
pub use durable::FileEntry;
pub use error::StoreError;
pub use features::{FeaturePicture, FeatureRecord, FeatureWriter, Features};
pub use flow::FlowStore;
pub use inventory::{read_inventory, write_inventory};
pub use manifest::{Counts, MANIFEST_NAME, Manifest, RunState, SCHEMA_VERSION};
pub use names::{decode_name, encode_name};
pub use plan::{PLAN_FILES, Plan, write_plan};
pub use reader::Run;
pub use remove::Removal;
pub use rows::{LONGEST_PATH_BYTES, LONGEST_REASON_BYTES, NO_LABEL};
pub use shard::{DONE_NAME, shard_folder};
pub use source::Source;
pub use spec::{ImageList, ModelEntry, PassedOver, RunSpec};
pub use table_reader::{CellFilter, Rows};
pub use tables::ImageRange;
pub use writer::RunWriter;
