//! Where the files of a bundle come from: what the server asks, and the simplest answer, a folder.
//!
//! Place in the flow: the server knows a [`BundleSource`] alone. A run makes its files on demand
//! ([`crate::Bundle`]), a run that is being made has none yet ([`crate::Live`]), an export has them all.

use crate::file::BundleFile;
use crate::network::Wanted;
use crate::schema::{Annotation, PhotoFile, WhatIfFile, WhatIfQuestion};
use crate::{Live, SiteError};
use std::path::{Path, PathBuf};
use summit_tables::{ChannelId, LayerId};

/// Where the files of a bundle come from.
pub trait BundleSource: Send + Sync {
    /// The bytes of one file.
    ///
    /// # Errors
    /// See [`SiteError`]; [`SiteError::is_absent`] where the bundle has no such file.
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError>;

    /// The run while it is made, where the source can tell.
    fn live(&self) -> Option<&Live> {
        None
    }

    /// Asks for the feature visualisation of a channel, which appears when it is done.
    ///
    /// # Errors
    /// The source draws nothing, or nothing more for now; there is no such channel.
    fn draw(&self, layer: LayerId, channel: ChannelId) -> Result<(), SiteError> {
        let _ = (layer, channel);
        Err(SiteError::DrawsNothing)
    }

    /// Names a channel.
    ///
    /// # Errors
    /// The source takes no names, or not this one.
    fn annotate(&self, annotation: Annotation) -> Result<(), SiteError> {
        let _ = annotation;
        Err(SiteError::ReadOnly)
    }

    /// Runs the network on a photograph, the bytes of a file.
    ///
    /// # Errors
    /// There is no network, or it is no image.
    fn look(&self, photo: &[u8]) -> Result<PhotoFile, SiteError> {
        let _ = photo;
        Err(SiteError::NoNetwork)
    }

    /// Runs the network with a channel changed.
    ///
    /// * `wanted`: asked before every image.
    ///
    /// # Errors
    /// There is no network, what is asked for does not exist, or nobody waits for the answer.
    fn what_if(
        &self,
        question: &WhatIfQuestion,
        wanted: Wanted<'_>,
    ) -> Result<WhatIfFile, SiteError> {
        let _ = (question, wanted);
        Err(SiteError::NoNetwork)
    }
}

/// A bundle exported earlier, read from its folder.
#[derive(Clone, Debug)]
pub struct StaticBundle {
    folder: PathBuf,
}

impl StaticBundle {
    /// `site`: the folder [`crate::export()`] wrote.
    ///
    /// # Errors
    /// It holds no bundle.
    pub fn open(site: &Path) -> Result<Self, SiteError> {
        let folder = site.join("bundle");
        if folder.join(BundleFile::Manifest.to_string()).is_file() {
            Ok(Self { folder })
        } else {
            Err(SiteError::NotASite {
                path: site.to_owned(),
            })
        }
    }
}

impl BundleSource for StaticBundle {
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError> {
        let path = self.folder.join(file.to_string());
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(SiteError::Absent {
                what: file.to_string(),
            }),
            result => result.map_err(SiteError::io("read", &path)),
        }
    }
}
