//! What a run says of itself: `manifest.json`, the one file that is ever replaced.
//!
//! Shapes: one object, `O(layers + convolutions + classes + shards)` bytes. The manifest decides
//! whether a run is finished: tables count only once it says `complete`.

use crate::durable::{self, FileEntry, sha256_of_text};
use crate::error::StoreError;
use crate::spec::{RunSpec, canonical};
use crate::tables::ImageRange;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// Newest schema version this program reads, and the one it writes.
pub const SCHEMA_VERSION: u32 = 3;

/// Name of the manifest in a run folder.
pub const MANIFEST_NAME: &str = "manifest.json";

/// Largest manifest accepted: a network of 10,000 layers stays far below.
const LARGEST_BYTES: u64 = 256 << 20;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Shards are being written; there are no tables yet.
    Partial,
    /// All tables are in place.
    Complete,
}

/// Numbers of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In the image list.
    pub listed: u32,
    /// Seen by the network.
    pub done: u32,
    /// Unusable.
    pub skipped: u32,
}

/// The content of `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// How far the run has come.
    pub state: RunState,
    /// Images.
    pub counts: Counts,
    /// What the run was begun with.
    #[serde(flatten)]
    pub spec: RunSpec,
    /// Hash over the paths of all listed images in order; empty while partial.
    #[serde(default)]
    pub paths_sha256: String,
    /// Images whose results are committed; adjacent ranges are joined.
    pub committed: Vec<ImageRange>,
    /// Tables, sorted by path; empty while partial.
    #[serde(default)]
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// Reads and validates the manifest of a run folder, finished or not.
    ///
    /// # Errors
    /// No manifest, a newer schema version, malformed JSON, or values that contradict each other.
    pub fn load(run: &Path) -> Result<Self, StoreError> {
        let path = run.join(MANIFEST_NAME);
        let text = durable::read_text(&path, LARGEST_BYTES)?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| StoreError::manifest(&path, error.to_string()))?;
        // The version is read first: a newer manifest may not fit the types at all.
        let version = value.get("schema_version").and_then(Value::as_u64);
        match version {
            None => return Err(StoreError::manifest(&path, "no schema_version")),
            Some(0) => return Err(StoreError::manifest(&path, "schema_version 0")),
            Some(found) if found > u64::from(SCHEMA_VERSION) => {
                return Err(StoreError::NewerSchema {
                    found,
                    known: SCHEMA_VERSION,
                    path,
                });
            }
            Some(_) => {}
        }
        let manifest: Self = serde_json::from_value(value)
            .map_err(|error| StoreError::manifest(&path, error.to_string()))?;
        manifest
            .check()
            .map_err(|reason| StoreError::manifest(&path, reason))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        self.spec.check().map_err(|error| error.to_string())?;
        let Counts {
            listed,
            done,
            skipped,
        } = self.counts;
        if listed != self.spec.images.listed {
            return Err("counts.listed differs from images.listed".to_owned());
        }
        let committed = self.committed.iter().try_fold(0_u32, |end, range| {
            (range.start.0 >= end && range.end > range.start && range.end.0 <= listed)
                .then_some(range.end.0)
        });
        if committed.is_none() {
            return Err("the committed ranges overlap or leave the list".to_owned());
        }
        let sum = u64::from(done) + u64::from(skipped);
        let ranges: u64 = self
            .committed
            .iter()
            .map(|range| u64::from(range.len()))
            .sum();
        if sum != ranges {
            return Err("done and skipped do not add up to the committed images".to_owned());
        }
        if self.state == RunState::Complete && sum != u64::from(listed) {
            return Err("complete, but images are missing".to_owned());
        }
        Ok(())
    }

    /// Replaces the manifest of a run folder atomically and durably.
    pub(crate) fn store(&self, run: &Path) -> Result<(), StoreError> {
        let mut text =
            serde_json::to_string_pretty(self).map_err(|error| StoreError::SpecInvalid {
                reason: error.to_string(),
            })?;
        text.push('\n');
        durable::replace_file(run, MANIFEST_NAME, &text)
    }
}

/// The hash that ties a shard to the run it was made for: schema version, everything in the spec
/// (model, parameters, preprocessing, classes, image list) and the images.
pub(crate) fn made_from(spec: &RunSpec, range: ImageRange) -> Result<String, StoreError> {
    let spec = canonical(spec)?;
    Ok(sha256_of_text(&format!(
        "{SCHEMA_VERSION}\n{range}\n{spec}"
    )))
}

/// Joins adjacent ranges of a sorted list.
pub(crate) fn joined(ranges: impl IntoIterator<Item = ImageRange>) -> Vec<ImageRange> {
    let mut joined: Vec<ImageRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}
