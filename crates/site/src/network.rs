//! Questions that need the run's network: photographs dropped into the browser, channels changed.
//!
//! Place in the flow: the server hands over what was sent, whoever can run the network ([`Network`])
//! answers with a [`PhotoFile`] or a [`WhatIfFile`]. Nothing is kept.

use crate::schema::{PhotoFile, WhatIfFile, WhatIfQuestion};
use std::fmt::Debug;

/// Longest photograph taken, bytes.
pub(crate) const LONGEST_PHOTO_BYTES: usize = 32 << 20;

/// Longest [`WhatIfQuestion`] taken, bytes.
pub(crate) const LONGEST_QUESTION_BYTES: usize = 1 << 10;

/// Whether anybody still waits for an answer.
pub type Wanted<'a> = &'a (dyn Fn() -> bool + Sync);

/// Runs the network of the run.
pub trait Network: Debug + Send + Sync {
    /// What the network says of one photograph.
    ///
    /// * `photo`: the bytes of a file, from outside.
    ///
    /// # Errors
    /// One sentence: it is no image, or the network is gone.
    fn look(&self, photo: &[u8]) -> Result<PhotoFile, String>;

    /// What a changed channel does to a class and to the others (method.md section 3.3).
    ///
    /// * `question`: from outside.
    /// * `wanted`: asked before every image.
    ///
    /// # Errors
    /// One sentence: there is no such class or channel, the network or the images are gone, or nobody waits for
    /// the answer.
    fn what_if(&self, question: &WhatIfQuestion, wanted: Wanted<'_>) -> Result<WhatIfFile, String>;
}
