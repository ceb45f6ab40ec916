//! A planned run, as whoever does one of its shards sees it.
//!
//! Place in the flow: the folder of a plan is a run folder that is begun: manifest, inventory, shards. Any
//! number of processes, on any machine that sees the folder, may have it open here while nobody writes the
//! tables ([`crate::RunWriter`]). What a shard is follows from the plan alone, so a shard done twice is the
//! same bytes, and the second attempt changes nothing.

use crate::durable::{read_text, replace_file};
use crate::error::StoreError;
use crate::inventory::{INVENTORY_NAME, read_inventory};
use crate::manifest::{MANIFEST_NAME, Manifest, RunState};
use crate::shard;
use crate::source::Source;
use crate::spec::RunSpec;
use crate::tables::ImageRange;
use crate::writer::{Hold, lock};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use summit_tables::{PlannedImage, ShardTables};

/// What says how a run is cut; it goes when the run is complete.
pub(crate) const PLAN_NAME: &str = "plan.json";
const LONGEST_BYTES: u64 = 1 << 20;

/// The files of a plan, without its shards; the manifest last, as it says that there is a plan.
pub const PLAN_FILES: [&str; 4] = ["source.json", INVENTORY_NAME, PLAN_NAME, MANIFEST_NAME];

/// The content of `plan.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Cut {
    shard_images: u32,
    shards: u32,
}

/// A plan, open for doing shards.
#[derive(Debug)]
pub struct Plan {
    path: PathBuf,
    manifest: Manifest,
    source: Source,
    shards: Vec<ImageRange>,
    _lock: File,
}

impl Plan {
    /// Opens the folder of a plan.
    ///
    /// # Errors
    /// There is no plan, it is damaged, or its tables are being written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let manifest = Manifest::load(path)?;
        let lock = lock(path, Hold::Shared)?;
        let shards = match manifest.state {
            RunState::Complete => Vec::new(),
            RunState::Partial => planned(path, manifest.counts.listed)?,
        };
        Ok(Self {
            shards,
            source: Source::of(path),
            path: path.to_path_buf(),
            manifest,
            _lock: lock,
        })
    }

    /// What the results are made from.
    #[must_use]
    pub fn spec(&self) -> &RunSpec {
        &self.manifest.spec
    }

    /// Where network and images are.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The tables are there; there is nothing left to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.manifest.state == RunState::Complete
    }

    /// Every shard, in order; none of a complete run.
    #[must_use]
    pub fn shards(&self) -> &[ImageRange] {
        &self.shards
    }

    /// The images of a range.
    ///
    /// # Errors
    /// The inventory is damaged.
    pub fn images(&self, range: ImageRange) -> Result<Vec<PlannedImage>, StoreError> {
        let spec = self.spec();
        read_inventory(&self.path, &spec.model.info, spec.images.listed, range)
    }

    /// Whether a shard is there; its bytes are compared with their hashes.
    ///
    /// # Errors
    /// It is there and damaged.
    pub fn is_done(&self, range: ImageRange) -> Result<bool, StoreError> {
        Ok(self.is_complete() || shard::find(&self.path, self.spec(), range)?.is_some())
    }

    /// Commits the results of a shard, durably. Where another attempt was first, that one stays.
    ///
    /// # Errors
    /// See [`crate::RunWriter::commit_shard`]; or the other attempt has other results.
    pub fn commit(&self, range: ImageRange, data: &ShardTables) -> Result<(), StoreError> {
        shard::write(&self.path, self.spec(), range, data).map(|_| ())
    }
}

/// Says how a run that is begun is cut into shards, for those who do them.
///
/// # Errors
/// The file cannot be written.
pub fn write_plan(run: &Path, listed: u32, shard_images: u32) -> Result<(), StoreError> {
    let shards = shards_of(listed, shard_images).count();
    let cut = Cut {
        shard_images,
        shards: u32::try_from(shards).unwrap_or(u32::MAX),
    };
    let text = serde_json::to_string_pretty(&cut)
        .map_err(|error| StoreError::manifest(&run.join(PLAN_NAME), error.to_string()))?;
    replace_file(run, PLAN_NAME, &text)
}

/// The shards of a run that is begun.
fn planned(run: &Path, listed: u32) -> Result<Vec<ImageRange>, StoreError> {
    let path = run.join(PLAN_NAME);
    let cut: Cut = serde_json::from_str(&read_text(&path, LONGEST_BYTES)?)
        .map_err(|error| StoreError::manifest(&path, error.to_string()))?;
    Ok(shards_of(listed, cut.shard_images).collect())
}

/// `0..listed` in pieces of `images`.
fn shards_of(listed: u32, images: u32) -> impl Iterator<Item = ImageRange> {
    let size = images.max(1);
    (0..listed.div_ceil(size)).map(move |index| {
        let start = index * size;
        ImageRange::new(start, listed.min(start.saturating_add(size)))
    })
}
