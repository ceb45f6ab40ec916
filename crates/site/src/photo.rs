//! Photographs dropped into the browser: what the run's network says of them.
//!
//! Place in the flow: the server hands over a file's bytes, whoever can run the network ([`Look`])
//! answers with a [`PhotoFile`]. Nothing is kept.

use crate::schema::PhotoFile;
use std::fmt::Debug;

/// Longest photograph taken, bytes.
pub(crate) const LONGEST_PHOTO_BYTES: usize = 32 << 20;

/// Runs the network on one photograph.
pub trait Look: Debug + Send + Sync {
    /// * `photo`: the bytes of a file, from outside.
    ///
    /// # Errors
    /// One sentence: it is no image, or the network is gone.
    fn look(&self, photo: &[u8]) -> Result<PhotoFile, String>;
}
