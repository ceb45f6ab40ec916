//! The list of a run's images: who they are, and where their bytes lie.
//!
//! An image is its *path* (docs/formats.md, Images): the same for the same image whatever holds its
//! bytes, so that ids, order and tables do not depend on it. A [`Place`] says where the bytes are.

use crate::{ClassId, ImageId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What holds the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Files below a folder, on disk or in a bucket.
    #[default]
    Folder,
    /// WebDataset archives: `key.jpg` beside `key.cls` or `key.json`.
    Archives,
    /// Parquet tables with a column of images.
    Tables,
    /// A list of paths or URLs.
    List,
}

/// Where the bytes of an image lie, relative to the source that listed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// A file at the image's own path below the root.
    #[default]
    Own,
    /// A file of its own: a path below the list's folder, or a URL.
    File(String),
    /// `bytes` bytes from `start` of a container, an archive.
    Part {
        /// Index into the source's containers.
        container: u32,
        /// First byte.
        start: u64,
        /// Size.
        bytes: u64,
    },
    /// A row of a container, a table.
    Row {
        /// Index into the source's containers.
        container: u32,
        /// From 0.
        row: u64,
    },
}

/// One image of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageItem {
    /// Position in the list.
    pub image: ImageId,
    /// Who it is: `/` separated, relative.
    pub path: String,
    /// Class, in the source's own word: the first folder of its path, or what a label file beside it
    /// says; `None` for unlabelled images.
    pub folder: Option<String>,
    /// Where its bytes are.
    pub place: Place,
}

/// An image of a planned run: its place, and its class in the network's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedImage {
    /// Position in the list.
    pub image: ImageId,
    /// Who it is.
    pub path: String,
    /// True class; `None` for unlabelled images.
    pub label: Option<ClassId>,
    /// Where its bytes are.
    pub place: Place,
}

/// Tells whether a list is the same: the sum, modulo 2^256, of the SHA-256 of each image's path, class and
/// mark (what its source knows of its content, usually the size). A sum, so that the hash of two lists
/// together follows from theirs.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ListHash(pub [u8; 32]);

impl ListHash {
    /// Adds the hash of an image, or of another list.
    pub fn add(&mut self, other: Self) {
        let mut carry = 0;
        // Big-endian, from the last byte up.
        for (own, other) in self.0.iter_mut().zip(other.0).rev() {
            let sum = u16::from(*own) + u16::from(other) + carry;
            let [high, low] = sum.to_be_bytes();
            *own = low;
            carry = u16::from(high);
        }
    }

    /// Takes away what was added.
    pub fn subtract(&mut self, other: Self) {
        let mut one = [0; 32];
        one[31] = 1;
        self.add(Self(other.0.map(|byte| !byte)));
        self.add(Self(one));
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_that_is_no_hash_is_refused() {
        let hash = ListHash(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(ListHash::try_from(hash.to_string()), Ok(hash));
        for bad in ["", "zz", &"é".repeat(32)] {
            assert!(ListHash::try_from(bad.to_owned()).is_err());
        }
    }

    #[test]
    fn the_sum_carries_and_wraps() {
        let mut sum = ListHash([0xff; 32]);
        let mut one = [0; 32];
        one[31] = 1;
        sum.add(ListHash(one));
        assert_eq!(sum, ListHash::default());
    }

    proptest! {
        #[test]
        fn subtracting_undoes_adding(first in any::<[u8; 32]>(), second in any::<[u8; 32]>()) {
            let mut sum = ListHash(first);
            sum.add(ListHash(second));
            sum.subtract(ListHash(second));
            prop_assert_eq!(sum, ListHash(first));
        }

        #[test]
        fn order_does_not_matter(hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..6)) {
            let sum = |hashes: &mut dyn Iterator<Item = &[u8; 32]>| {
                let mut sum = ListHash::default();
                hashes.for_each(|hash| sum.add(ListHash(*hash)));
                sum
            };
            prop_assert_eq!(sum(&mut hashes.iter()), sum(&mut hashes.iter().rev()));
        }
    }
}
