//! Where a run was made. Not part of the results: no table depends on it, and what has moved since is
//! given by hand.

use crate::durable::{read_text, replace_file};
use crate::error::StoreError;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use summit_tables::SourceKind;

/// Name of the file in the run folder.
const SOURCE_NAME: &str = "source.json";

/// Longest file that is read, bytes.
const LONGEST_BYTES: u64 = 256 << 20;

/// What a run remembers of where it was made: for whoever does a shard of it, for pictures, and for running
/// the network again on a few images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// Where the images are: a folder, an archive, a list, a URL.
    pub images: Option<PathBuf>,
    /// What that is.
    pub kind: SourceKind,
    /// Archives or tables, in the order of the inventory.
    pub containers: Vec<String>,
    /// The network.
    pub model: Option<PathBuf>,
    /// Channels, height and width of the input, where they were given.
    pub input_shape: Option<[usize; 3]>,
    /// The output that is explained, where it was given.
    pub output: Option<String>,
}

impl Source {
    /// What the run says; nothing where it says nothing that is understood.
    #[must_use]
    pub fn of(run: &Path) -> Self {
        let text = read_text(&run.join(SOURCE_NAME), LONGEST_BYTES).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes it into a run, without paths that are no Unicode.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn store(&self, run: &Path) -> Result<(), StoreError> {
        // JSON has no other text; such a path is to be given by hand.
        let unicode = |path: &Option<PathBuf>| path.clone().filter(|path| path.to_str().is_some());
        let source = Self {
            images: unicode(&self.images),
            model: unicode(&self.model),
            ..self.clone()
        };
        let text =
            serde_json::to_string_pretty(&source).map_err(|error| StoreError::SpecInvalid {
                reason: error.to_string(),
            })?;
        replace_file(run, SOURCE_NAME, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn not_unicode() -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        std::ffi::OsStr::from_bytes(b"\xff").into()
    }

    #[cfg(not(unix))]
    fn not_unicode() -> PathBuf {
        use std::os::windows::ffi::OsStringExt;
        std::ffi::OsString::from_wide(&[0xd800]).into()
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(Source::of(run.path()), Source::default());
        let source = Source {
            images: Some("images".into()),
            input_shape: Some([3, 224, 224]),
            ..Source::default()
        };
        source.store(run.path()).unwrap();
        assert_eq!(Source::of(run.path()), source);
        let path = run.path().join(SOURCE_NAME);
        std::fs::write(&path, "{\"images\": \"images\", \"later\": 1}").unwrap();
        assert_eq!(Source::of(run.path()).images, source.images);
        let odd = Source {
            model: Some(not_unicode()),
            ..source.clone()
        };
        odd.store(run.path()).unwrap();
        assert_eq!(Source::of(run.path()), source);
        for text in ["", "[]", "{\"images\": 3}", "not JSON"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Source::of(run.path()), Source::default(), "{text}");
        }
    }
}
