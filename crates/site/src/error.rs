//! Why a file of the bundle cannot be had.

use std::io;
use std::path::{Path, PathBuf};
use summit_query::QueryError;
use summit_store::StoreError;

/// One sentence each; shown to the user as it is.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The run has no such class, layer or channel, or the class has no images.
    #[error("this run has no {what}")]
    Absent {
        /// What was asked for.
        what: String,
    },
    /// Something in the run's manifest is not understood.
    #[error("the run's {field} is not understood: {}", run.display())]
    Field {
        /// The field.
        field: &'static str,
        /// The run folder.
        run: PathBuf,
    },
    /// The pictures' images are unknown, gone, or unreadable.
    #[error("no picture: {reason}")]
    Picture {
        /// Why.
        reason: String,
    },
    /// The run is still being made.
    #[error("the run is not finished yet")]
    Unfinished,
    /// A name for a channel cannot be read or kept.
    #[error("{reason}")]
    Annotation {
        /// Why.
        reason: String,
    },
    /// An exported site is not written to.
    #[error("names can be given while the run itself is served")]
    ReadOnly,
    /// No network is at hand.
    #[error("the network can be run while the run itself is served on this computer")]
    NoNetwork,
    /// The network cannot be run on what was sent.
    #[error("{reason}")]
    Network {
        /// Why.
        reason: String,
    },
    /// Feature visualisations are drawn for a run whose network is at hand, by this computer alone.
    #[error("feature visualisations are not drawn here")]
    DrawsNothing,
    /// As many feature visualisations wait to be drawn as may.
    #[error("too many feature visualisations wait to be drawn; ask again later")]
    Busy,
    /// The run's tables.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A question about the run.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A folder holds neither a run nor an export.
    #[error("neither a run nor an exported site: {}", path.display())]
    NotASite {
        /// The folder.
        path: PathBuf,
    },
    /// The target of an export is in use.
    #[error("the folder is not empty and holds no earlier export: {}", path.display())]
    TargetInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("could not {action} ({source}): {}", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server's address cannot be used.
    #[error("cannot listen on {address} ({source}); choose another with --port")]
    Listen {
        /// Host and port.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The JSON could not be written.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl SiteError {
    /// For `map_err`: names what was tried and on which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Whether asking again for the same is pointless because there is no such thing.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::Picture { .. })
    }
}
