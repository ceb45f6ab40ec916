//! Where images come from: the sorted list of a run's images, and their bytes.
//!
//! Place in the flow: first. [`ImageSource`] is what the rest of the program sees: a list, and the bytes of
//! each image of it. [`ImageFolder`] is the source on disk (`class/.../image`, as torchvision's ImageFolder
//! reads it); [`Images`] is every source: folders here or in a bucket, WebDataset archives, Parquet tables
//! of images, lists of paths and URLs.
//!
//! Who an image is does not depend on what holds it: its *path* is its name, below its class where the
//! name has no folder of its own (`collect`). A list is sorted by path bytewise, and an [`ImageId`](summit_tables::ImageId) is a
//! position in it, so the same images give the same ids from every source on every machine.
//!
//! `folder`, `archive`, `table` and `listed` each make a list; `anywhere` tells which is meant, and reads.
//! Memory: one [`ImageItem`] an image. Reading is bounded by [`ScanOptions::max_file_bytes`]. Symbolic links
//! are followed; one that leads back to a folder it lies in is skipped.

mod anywhere;
mod archive;
mod chunks;
mod collect;
mod folder;
mod listed;
mod table;

pub use anywhere::Images;
pub use folder::{IMAGE_EXTENSIONS, ImageFolder};
pub use summit_tables::{ImageItem, ListHash, Place, SourceKind};

use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use summit_objects::ObjectError;

/// Something below the root that was passed over, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedPath {
    /// Path relative to the root, `/` separated; characters that are not Unicode replaced.
    pub path: String,
    /// One sentence without the path.
    pub reason: String,
}

/// The images of a source, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageList {
    /// What holds the images.
    pub kind: SourceKind,
    /// Where the paths start; a URL as it is written, for what is not on disk.
    pub root: PathBuf,
    /// Archives or tables, in the order [`Place`] counts them.
    pub containers: Vec<String>,
    /// `[n_images]`, sorted by path bytewise; `items[i].image == ImageId(i)`.
    pub items: Vec<ImageItem>,
    /// Words for classes, sorted, also those without an image; empty for unlabelled images.
    pub folders: Vec<String>,
    /// What was passed over, sorted by path.
    pub skipped: Vec<SkippedPath>,
    /// Files without an image's extension, and hidden entries.
    pub ignored_files: u64,
    /// Identity of the list.
    pub list_hash: ListHash,
}

/// Images and their bytes, wherever they lie. Reading must be possible from several threads.
pub trait ImageSource: Send + Sync {
    /// The list; never changes during the life of the source.
    fn list(&self) -> &ImageList;

    /// The bytes of one image of the list.
    ///
    /// # Errors
    /// When the image cannot be read or exceeds the source's size limit; a reason to skip it.
    fn read(&self, item: &ImageItem) -> Result<Vec<u8>, ReadError>;

    /// How many images may usefully be read at a time beside those in work: 0 where bytes are at hand.
    fn read_ahead(&self) -> usize {
        0
    }
}

/// Why a source could not be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The root is missing or unreadable.
    #[error("cannot read the image folder: {reason}: {root}", root = root.display())]
    Root {
        /// The folder.
        root: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// The root is a file.
    #[error("the image folder is not a folder: {root}", root = root.display())]
    NotAFolder {
        /// The path.
        root: PathBuf,
    },
    /// Nothing to work on.
    #[error(
        "no images (jpg, png, webp, bmp, gif) below the image folder ({ignored} other files, {skipped} skipped entries): {root}",
        root = root.display()
    )]
    NoImages {
        /// The folder.
        root: PathBuf,
        /// Files of other kinds.
        ignored: u64,
        /// Entries that could not be read.
        skipped: usize,
    },
    /// Something that holds images cannot be read.
    #[error("cannot read the images: {reason}: {location}")]
    Object {
        /// As it may be shown.
        location: String,
        /// Why.
        reason: String,
    },
    /// More entries than [`ScanOptions::max_entries`]: a wrong folder, or links that multiply it.
    #[error("more than {limit} files and folders below the image folder: {root}", root = root.display())]
    TooManyEntries {
        /// The folder.
        root: PathBuf,
        /// The limit.
        limit: u64,
    },
}

/// Why one image's bytes could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No bytes, or too many.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The table that holds the image.
    #[error("the table that holds it cannot be read: {0}")]
    Table(String),
    /// The path of the item leaves the root; lists may come from a file.
    #[error("its path leads outside the image folder")]
    OutsideRoot,
}

/// Bounds of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    /// Largest image file read, bytes.
    pub max_file_bytes: u64,
    /// Most files and folders visited.
    pub max_entries: u64,
}

impl Default for ScanOptions {
    /// 64 MB a file, 50 million entries.
    fn default() -> Self {
        Self {
            max_file_bytes: 64_000_000,
            max_entries: 50_000_000,
        }
    }
}
