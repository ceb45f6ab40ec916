//! Everything that can go wrong with a run on disk, one sentence each, the subject last.

use crate::ImageRange;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Errors of this crate. No variant means that committed data was lost.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused an operation.
    #[error("could not {action} ({source}): {}", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No space left (or quota reached).
    #[error(
        "the disk is full: could not {action}; finished shards are safe, free some space and start \
         again to continue: {}",
        path.display()
    )]
    DiskFull {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// Another process holds the run's lock.
    #[error("another process is writing this run; wait for it or stop it: {}", path.display())]
    Locked {
        /// The run folder.
        path: PathBuf,
    },
    /// A run is to be begun in a folder that holds something else.
    #[error(
        "a run needs an empty or new folder, and this one holds something else: {}",
        path.display()
    )]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A run is to be begun where a file is.
    #[error("a run needs a folder, and this is a file: {}", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// A run is to be opened where there is none.
    #[error("there is no run here (no manifest.json): {}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A run is to be continued with other inputs than it was begun with.
    #[error(
        "the run was begun with other settings ({field} is {found} there and {wanted} now); give \
         another folder, or the same settings to continue: {}",
        path.display()
    )]
    SpecDiffers {
        /// Dotted path of the first field that differs.
        field: String,
        /// Its value in the run, shortened.
        found: String,
        /// Its value asked for, shortened.
        wanted: String,
        /// The run folder.
        path: PathBuf,
    },
    /// Pictures are to be added to others made with other settings.
    #[error(
        "the pictures of this layer were made with other settings ({field} is {found} there and \
         {wanted} now); take the same settings, or remove the folder to make all anew: {}",
        path.display()
    )]
    FeaturesDiffer {
        /// Dotted path of the first field that differs.
        field: String,
        /// Its value there, shortened.
        found: String,
        /// Its value asked for, shortened.
        wanted: String,
        /// The layer's folder.
        path: PathBuf,
    },
    /// A picture is not what was committed.
    #[error("the picture is damaged ({reason}): {}", path.display())]
    Picture {
        /// One sentence.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// The description of a run contradicts itself.
    #[error("the run cannot be described: {reason}")]
    SpecInvalid {
        /// One sentence.
        reason: String,
    },
    /// Written by a newer version of the program.
    #[error(
        "the run has schema version {found}, this program reads up to {known}; update the program: \
         {}",
        path.display()
    )]
    NewerSchema {
        /// Version in the file.
        found: u64,
        /// Newest version this program reads.
        known: u32,
        /// The manifest.
        path: PathBuf,
    },
    /// The manifest (or a shard's) cannot be understood.
    #[error("the manifest is damaged ({reason}): {}", path.display())]
    ManifestDamaged {
        /// One sentence.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A table cannot be read, or holds values no run can hold.
    #[error("the table is damaged ({reason}): {}", path.display())]
    TableDamaged {
        /// One sentence.
        reason: String,
        /// The Parquet file.
        path: PathBuf,
    },
    /// A finished shard is not what was committed.
    #[error(
        "the shard is damaged ({reason}); delete the folder to have these images done again: {}",
        path.display()
    )]
    ShardDamaged {
        /// One sentence.
        reason: String,
        /// The shard folder.
        path: PathBuf,
    },
    /// Data handed in breaks the rules of its table; nothing was written.
    #[error("the results of images {range} cannot be stored: {reason}")]
    ShardInvalid {
        /// One sentence.
        reason: String,
        /// The images.
        range: ImageRange,
    },
    /// A row handed in breaks the rules of its table.
    #[error("a row cannot be written ({reason}): {}", path.display())]
    RowInvalid {
        /// One sentence.
        reason: String,
        /// The Parquet file.
        path: PathBuf,
    },
    /// The run is not finished.
    #[error(
        "the run is not finished, {done} of {listed} images are done; continue it first: {}",
        path.display()
    )]
    Unfinished {
        /// Images done or skipped.
        done: u32,
        /// Images listed.
        listed: u32,
        /// The run folder.
        path: PathBuf,
    },
    /// The run has nothing of that name or number.
    #[error("the run has no {what}: {}", path.display())]
    NoSuchTable {
        /// For example `layer 12`.
        what: String,
        /// The run folder.
        path: PathBuf,
    },
    /// Runs that do not belong together.
    #[error(
        "runs with different {field} cannot be combined: {} and {}",
        first.display(),
        path.display()
    )]
    RunsDiffer {
        /// Dotted path of the first field that differs.
        field: String,
        /// A run.
        first: PathBuf,
        /// The run that differs from it.
        path: PathBuf,
    },
    /// The same image is in two runs to be combined.
    #[error("the image {image:?} is in both runs: {} and {}", first.display(), path.display())]
    ImageTwice {
        /// Its path.
        image: String,
        /// One run.
        first: PathBuf,
        /// The other.
        path: PathBuf,
    },
    /// Images that cannot be taken out of a run so that it is what it would be without them.
    #[error("they cannot be removed exactly: {reason}: {}", path.display())]
    Inexact {
        /// One sentence.
        reason: String,
        /// The run.
        path: PathBuf,
    },
    /// Nothing to combine.
    #[error("no run was given to be combined into {}", path.display())]
    NothingToCombine {
        /// The output folder.
        path: PathBuf,
    },
}

impl StoreError {
    /// Wraps an I/O error; a full disk becomes its own variant.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { action, path }
            }
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    /// A damaged table.
    pub(crate) fn table(path: &Path, reason: impl Into<String>) -> Self {
        Self::TableDamaged {
            reason: reason.into(),
            path: path.to_path_buf(),
        }
    }

    /// A damaged manifest.
    pub(crate) fn manifest(path: &Path, reason: impl Into<String>) -> Self {
        Self::ManifestDamaged {
            reason: reason.into(),
            path: path.to_path_buf(),
        }
    }

    /// A damaged shard.
    pub(crate) fn shard(path: &Path, reason: impl Into<String>) -> Self {
        Self::ShardDamaged {
            reason: reason.into(),
            path: path.to_path_buf(),
        }
    }
}

/// Adds the action and the path to an I/O result.
pub(crate) trait IoContext<T> {
    /// See [`StoreError::io`].
    fn context(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for Result<T, io::Error> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::io(action, path, source))
    }
}
