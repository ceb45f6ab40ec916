//! Names of the classes, and which folder is which class.
//!
//! Place in the flow: after the image list and the model are known. A label file becomes [`Labels`]
//! (`parse`), folder names become [`ClassId`]s (`matching`), and where the user names no file one is
//! looked for beside the model and the images (`discover`). Everything is linear in the number of classes;
//! label files over 16 MiB are refused.

mod discover;
mod matching;
mod parse;

pub use discover::{LabelDiscovery, RejectedLabels, discover_labels};
pub use matching::{FolderMatch, LabelMatch, MatchRule, match_folders};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use summit_tables::ClassId;

/// Largest label file read, bytes.
const MAX_LABEL_BYTES: u64 = 16 << 20;

/// One class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassLabel {
    /// Stable id outside this program, such as a WordNet id (`n01440764`).
    pub external_id: Option<String>,
    /// Shown to people.
    pub name: String,
    /// Further names.
    pub synonyms: Vec<String>,
}

impl ClassLabel {
    /// From `tench, Tinca tinca`: the first is the name, the others are synonyms.
    fn from_names(external_id: Option<String>, names: &str) -> Self {
        let mut parts = names
            .split(", ")
            .map(|part| part.trim().trim_end_matches(','))
            .filter(|part| !part.is_empty())
            .map(str::to_owned);
        let name = parts
            .next()
            .or_else(|| external_id.clone())
            .unwrap_or_default();
        Self {
            external_id,
            name,
            synonyms: parts.collect(),
        }
    }
}

/// The classes of a network, in the order of its outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// `[n_classes]`; index is the [`ClassId`].
    pub classes: Vec<ClassLabel>,
}

/// Why a label file was not usable.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The system refused.
    #[error("cannot read the label file: {reason}: {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// Over 16 MiB.
    #[error("the label file is larger than 16 MiB: {path}", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// No format fits.
    #[error("the label file is not understood: {reason}: {path}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where there is one.
        reason: String,
    },
    /// Another network's labels.
    #[error("the label file has {found} classes, the network has {expected} outputs: {path}", path = path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// Classes in the file.
        found: usize,
        /// Outputs of the network.
        expected: usize,
    },
}

impl Labels {
    /// Reads a label file of any known format (see [`Labels::parse`]).
    ///
    /// # Errors
    /// See [`LabelError`].
    pub fn read(path: &Path) -> Result<Self, LabelError> {
        let read_error = |reason| LabelError::Read {
            path: path.to_owned(),
            reason,
        };
        let metadata = std::fs::metadata(path).map_err(read_error)?;
        if !metadata.is_file() {
            return Err(read_error(io::Error::other("it is not a regular file")));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .map_err(read_error)?
            .take(MAX_LABEL_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(read_error)?;
        if bytes.len() as u64 > MAX_LABEL_BYTES {
            return Err(LabelError::TooLarge {
                path: path.to_owned(),
            });
        }
        let format_error = |reason| LabelError::Format {
            path: path.to_owned(),
            reason,
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| format_error("it is not UTF-8 text".to_owned()))?;
        Self::parse(&text).map_err(format_error)
    }

    /// As [`Labels::read`], for a network with `n_outputs` outputs.
    ///
    /// # Errors
    /// See [`LabelError`]; [`LabelError::Count`] where the numbers differ.
    pub fn read_for(path: &Path, n_outputs: usize) -> Result<Self, LabelError> {
        let labels = Self::read(path)?;
        if labels.classes.len() == n_outputs {
            return Ok(labels);
        }
        Err(LabelError::Count {
            path: path.to_owned(),
            found: labels.classes.len(),
            expected: n_outputs,
        })
    }

    /// Reads label text. The format is told from the content:
    /// a table with tabs (columns `index`, `wnid`, `name` by header, or by what they look like);
    /// JSON (`{"0": ["n01440764", "tench"]}`, `{"0": "tench"}`, `["tench"]`, `{"tench": 0}`, any of
    /// them under `id2label` or `label2id`); lines `n01440764 tench, Tinca tinca`; plain lines.
    ///
    /// # Errors
    /// One sentence on what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text)
    }

    /// Labels where there is no label file: a class is named after its folder, or `class 7`.
    #[must_use]
    pub fn from_folders(folders: &BTreeMap<String, ClassId>, n_outputs: usize) -> Self {
        let mut classes: Vec<ClassLabel> = (0..n_outputs)
            .map(|index| ClassLabel {
                name: format!("class {index}"),
                ..ClassLabel::default()
            })
            .collect();
        // Backwards, so that of two folders of one class the first names it.
        for (folder, class) in folders.iter().rev() {
            if let Some(label) = classes.get_mut(class.index()) {
                label.external_id = Some(folder.clone());
                label.name = folder.replace('_', " ");
            }
        }
        Self { classes }
    }
}
