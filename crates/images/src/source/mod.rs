//! Where images come from: the sorted list of a run's images, and their bytes.
//!
//! Place in the flow: first. [`ImageSource`] is what the rest of the program sees; [`ImageFolder`]
//! is the source on disk (`class/.../image`, as torchvision's ImageFolder reads it). A list is sorted
//! by path bytewise, and an [`ImageId`] is a position in it, so the same folder gives the same ids
//! on every machine.
//!
//! This module holds what every source shares; `folder` is the source on disk.
//! Memory: one [`ImageItem`] an image. Time: one `stat` an image; reading is bounded by
//! [`ScanOptions::max_file_bytes`]. Symbolic links are followed; one that leads back to a folder it
//! lies in is skipped.

mod folder;

pub use folder::{IMAGE_EXTENSIONS, ImageFolder};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::PathBuf;
use summit_tables::ImageId;

/// One image of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageItem {
    /// Position in the list.
    pub image: ImageId,
    /// Path relative to the root, `/` separated.
    pub path: String,
    /// First component of the path: the class folder; `None` for unlabelled images.
    pub folder: Option<String>,
}

/// Something below the root that was passed over, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedPath {
    /// Path relative to the root, `/` separated; characters that are not Unicode replaced.
    pub path: String,
    /// One sentence without the path.
    pub reason: String,
}

/// SHA-256 over the relative paths and file sizes of a list: tells whether a list is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ListHash(pub [u8; 32]);

impl fmt::Display for ListHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ListHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ListHash({self})")
    }
}

impl From<ListHash> for String {
    fn from(hash: ListHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ListHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let problem = || format!("`{}` is not a SHA-256 in hexadecimal", text.escape_debug());
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(problem());
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .ok_or_else(problem)?;
        }
        Ok(Self(hash))
    }
}

/// The images of a source, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageList {
    /// Where the paths start.
    pub root: PathBuf,
    /// `[n_images]`, sorted by path bytewise; `items[i].image == ImageId(i)`.
    pub items: Vec<ImageItem>,
    /// Class folders, sorted, also those without an image; empty for unlabelled images.
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
    /// The system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Over [`ScanOptions::max_file_bytes`].
    #[error("the file is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A device, pipe or folder under an image's name.
    #[error("it is not a regular file")]
    NotAFile,
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
    /// 256 MB a file, 50 million entries.
    fn default() -> Self {
        Self {
            max_file_bytes: 256_000_000,
            max_entries: 50_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_hash_survives_json() {
        let hash = ListHash(std::array::from_fn(|i| i as u8 * 7));
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<ListHash>(&text).unwrap(), hash);
        for bad in ["\"\"", "\"zz\"", &format!("\"{}\"", "é".repeat(32))] {
            assert!(serde_json::from_str::<ListHash>(bad).is_err());
        }
    }
}
