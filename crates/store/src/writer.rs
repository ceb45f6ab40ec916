//! Writes a run, shard by shard, so that it can be killed at any moment and continued.
//!
//! Order of events: the manifest (`partial`) comes first, then shards, each committed by a rename;
//! then the final tables are written aside and put in place, then the manifest says `complete`, and
//! only then are the shards removed. Every step can be repeated.

use crate::assemble::{Assembled, Input, Origin, Workspace, assemble};
use crate::durable;
use crate::error::{IoContext, StoreError};
use crate::manifest::{Counts, MANIFEST_NAME, Manifest, RunState, SCHEMA_VERSION, joined};
use crate::plan::PLAN_NAME;
use crate::shard::{self, SHARDS, Shard};
use crate::spec::RunSpec;
use crate::table_reader::{RowStream, read_table};
use crate::tables::{Bounds, ImageRange, TableId};
use std::fs::{self, File, TryLockError};
use std::iter;
use std::path::{Path, PathBuf};
use summit_tables::{ImageRecord, ShardTables};

/// Name of the lock file. It is empty and stays; the lock is the operating system's.
const LOCK_NAME: &str = "lock";

/// The one writer of a run. Dropping it releases the lock.
#[derive(Debug)]
pub struct RunWriter {
    path: PathBuf,
    spec: RunSpec,
    manifest: Manifest,
    /// Sorted by range.
    shards: Vec<Shard>,
    _lock: File,
}

impl RunWriter {
    /// Begins a run in a new or empty folder, or continues the one that is there: what an
    /// interrupted process left half-done is removed, finished shards are verified (their bytes are
    /// read once) and kept.
    ///
    /// # Errors
    /// Another process writes the run; the folder holds something else; the run was begun with
    /// another spec (the field is named); a shard is damaged; I/O.
    pub fn create_or_resume(path: &Path, spec: RunSpec) -> Result<Self, StoreError> {
        spec.check()?;
        if path.is_file() {
            return Err(StoreError::NotAFolder {
                path: path.to_path_buf(),
            });
        }
        fs::create_dir_all(path).context("create the folder", path)?;
        let begun = path.join(MANIFEST_NAME).exists();
        if !begun {
            check_empty(path)?;
        }
        let lock = lock(path, Hold::Alone)?;
        durable::remove_leftovers(path)?;
        let mut manifest = begin(path, &spec)?;
        let shards_folder = path.join(SHARDS);
        let mut shards = Vec::new();
        if manifest.state == RunState::Complete {
            // The process may have been stopped between the last manifest and the removal.
            remove_scaffold(path)?;
        } else {
            fs::create_dir_all(&shards_folder).context("create the folder", &shards_folder)?;
            durable::remove_leftovers(&shards_folder)?;
            shards = shard::scan(path, &spec)?;
            describe(&mut manifest, &shards);
        }
        Ok(Self {
            path: path.to_path_buf(),
            spec,
            manifest,
            shards,
            _lock: lock,
        })
    }

    /// Continues the run that is there, with what it was begun with.
    ///
    /// # Errors
    /// There is none; see [`Self::create_or_resume`].
    pub fn resume(path: &Path) -> Result<Self, StoreError> {
        let manifest = Manifest::load(path)?;
        Self::create_or_resume(path, manifest.spec)
    }

    /// What the manifest says now.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The run is finished; there is nothing to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.manifest.state == RunState::Complete
    }

    /// Images without results, in pieces of at most `images_per_shard` (at least 1), cut at its
    /// multiples. Any size may follow any other: results do not depend on it.
    #[must_use]
    pub fn missing_shards(&self, images_per_shard: u32) -> Vec<ImageRange> {
        missing(
            &self.manifest.committed,
            self.spec.images.listed,
            images_per_shard,
        )
    }

    /// The images of the shards committed so far, by id; none of a complete run, whose reader has them.
    pub fn images(&self) -> impl Iterator<Item = Result<ImageRecord, StoreError>> + '_ {
        let info = &self.spec.model.info;
        self.shards.iter().flat_map(move |shard| {
            let path = shard.tables(info).remove(&TableId::Images);
            let bounds = Bounds::of(TableId::Images, info, shard.note.images);
            let rows = path.map(|path| read_table(&path, bounds, None));
            let rows: RowStream<ImageRecord> = match rows {
                None => Box::new(iter::empty()),
                Some(Ok(rows)) => rows,
                Some(Err(error)) => Box::new(iter::once(Err(error))),
            };
            rows
        })
    }

    /// Stores the results of a range durably: when this returns, they survive a power failure.
    ///
    /// # Errors
    /// The range is empty, leaves the list or overlaps a committed one; a row is out of bounds, out
    /// of order or not a number; I/O, above all [`StoreError::DiskFull`]. Nothing is stored then, and
    /// the call can be repeated.
    pub fn commit_shard(
        &mut self,
        range: ImageRange,
        data: &ShardTables,
    ) -> Result<(), StoreError> {
        let invalid = |reason: &str| StoreError::ShardInvalid {
            reason: reason.to_owned(),
            range,
        };
        if range.is_empty() || range.end.0 > self.spec.images.listed {
            return Err(invalid("the range is empty or leaves the image list"));
        }
        let taken = &self.manifest.committed;
        if taken
            .iter()
            .any(|other| range.start < other.end && other.start < range.end)
        {
            return Err(invalid("some of them have results already"));
        }
        let shard = shard::write(&self.path, &self.spec, range, data)?;
        let place = self
            .shards
            .partition_point(|other| other.note.images < range);
        self.shards.insert(place, shard);
        describe(&mut self.manifest, &self.shards);
        // The shard counts from here on, even if the manifest cannot be replaced: the next start
        // finds it by its folder.
        self.manifest.store(&self.path)
    }

    /// Makes the final tables from all shards, marks the run complete and removes the shards. Does
    /// nothing in a complete run.
    ///
    /// # Errors
    /// Images are missing; a shard cannot be read; paths are not in ascending order; I/O. The shards
    /// stay, and the call can be repeated.
    pub fn finalize(&mut self) -> Result<&Manifest, StoreError> {
        if self.is_complete() {
            return Ok(&self.manifest);
        }
        let Counts {
            listed,
            done,
            skipped,
        } = self.manifest.counts;
        let done = done.saturating_add(skipped);
        if done != listed {
            return Err(StoreError::Unfinished {
                done,
                listed,
                path: self.path.clone(),
            });
        }
        let info = &self.spec.model.info;
        let inputs: Vec<Input> = self
            .shards
            .iter()
            .map(|shard| Input {
                tables: shard.tables(info),
                range: shard.note.images,
                new_ids: None,
            })
            .collect();
        self.complete_from(&inputs)
    }

    /// [`Self::finalize`] from anything that covers the image list.
    pub(crate) fn complete_from(&mut self, origin: &impl Origin) -> Result<&Manifest, StoreError> {
        let workspace = Workspace::create(&self.path)?;
        let Assembled {
            counts,
            paths_sha256,
            files,
        } = assemble(&self.spec, origin, &workspace)?;
        workspace.publish(&self.path)?;
        drop(workspace);
        let all = ImageRange::new(0, counts.listed);
        let complete = Manifest {
            state: RunState::Complete,
            counts,
            paths_sha256,
            committed: (!all.is_empty()).then_some(all).into_iter().collect(),
            files,
            ..self.manifest.clone()
        };
        complete.store(&self.path)?;
        self.manifest = complete;
        self.shards.clear();
        remove_scaffold(&self.path)?;
        Ok(&self.manifest)
    }
}

/// What only an unfinished run needs.
fn remove_scaffold(path: &Path) -> Result<(), StoreError> {
    durable::remove_if_present(&path.join(PLAN_NAME))?;
    durable::remove_if_present(&path.join(SHARDS))
}

/// A folder that may become a run: nothing in it but a lock and leftovers of a first attempt.
fn check_empty(path: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(path).context("list the folder", path)? {
        let name = entry.context("list the folder", path)?.file_name();
        let name = name.to_string_lossy();
        if name != LOCK_NAME && !name.starts_with(durable::TEMPORARY_PREFIX) {
            return Err(StoreError::NotARun {
                path: path.to_path_buf(),
            });
        }
    }
    Ok(())
}

/// How a run's lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// By the one writer.
    Alone,
    /// By those who do shards.
    Shared,
}

pub(crate) fn lock(path: &Path, hold: Hold) -> Result<File, StoreError> {
    let name = path.join(LOCK_NAME);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&name)
        .context("open", &name)?;
    let outcome = match hold {
        Hold::Alone => file.try_lock(),
        Hold::Shared => file.try_lock_shared(),
    };
    match outcome {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: path.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &name, error)),
    }
}

/// The manifest that is there, if it is this run's, or a new one, stored.
fn begin(path: &Path, spec: &RunSpec) -> Result<Manifest, StoreError> {
    if path.join(MANIFEST_NAME).exists() {
        let found = Manifest::load(path)?;
        if let Some(difference) = found.spec.difference(spec)? {
            return Err(StoreError::SpecDiffers {
                field: difference.field,
                found: difference.left,
                wanted: difference.right,
                path: path.to_path_buf(),
            });
        }
        return Ok(found);
    }
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        state: RunState::Partial,
        counts: Counts {
            listed: spec.images.listed,
            done: 0,
            skipped: 0,
        },
        spec: spec.clone(),
        paths_sha256: String::new(),
        committed: Vec::new(),
        files: Vec::new(),
    };
    manifest.store(path)?;
    Ok(manifest)
}

/// Brings counts and ranges up to date with the shards.
fn describe(manifest: &mut Manifest, shards: &[Shard]) {
    let sum = |get: fn(&Shard) -> u32| shards.iter().map(get).fold(0, u32::saturating_add);
    manifest.counts.done = sum(|shard| shard.note.done);
    manifest.counts.skipped = sum(|shard| shard.note.skipped);
    manifest.committed = joined(shards.iter().map(|shard| shard.note.images));
}

/// What `0..listed` has besides the sorted, disjoint `committed`, cut at multiples of `size`.
fn missing(committed: &[ImageRange], listed: u32, size: u32) -> Vec<ImageRange> {
    let size = size.max(1);
    let mut pieces = Vec::new();
    let mut start = 0;
    for gap_end in committed.iter().map(|range| range.start.0).chain([listed]) {
        while start < gap_end {
            let multiple = (start / size).saturating_add(1).saturating_mul(size);
            let end = multiple.min(gap_end);
            pieces.push(ImageRange::new(start, end));
            start = end;
        }
        let after = committed.iter().find(|range| range.start.0 == gap_end);
        start = after.map_or(start, |range| range.end.0);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn missing_is_the_complement(
            taken in proptest::collection::vec(any::<bool>(), 0..60),
            size in 0_u32..20,
        ) {
            let single = (0_u32..).zip(&taken).filter(|(_, taken)| **taken);
            let committed = joined(single.map(|(id, _)| ImageRange::new(id, id + 1)));
            let pieces = missing(&committed, u32::try_from(taken.len()).unwrap(), size);
            let found: Vec<u32> = pieces.iter().flat_map(|piece| piece.ids()).collect();
            let wanted: Vec<u32> =
                (0..).zip(&taken).filter(|(_, taken)| !**taken).map(|(id, _)| id).collect();
            prop_assert_eq!(found, wanted);
            let fits = |piece: &ImageRange| {
                let size = size.max(1);
                piece.start.0 / size == (piece.end.0 - 1) / size
            };
            prop_assert!(pieces.iter().all(fits));
        }
    }
}
