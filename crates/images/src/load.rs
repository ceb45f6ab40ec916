//! One image from its source to the network's input.
//!
//! Place in the flow: what the run loop calls for each image: read, decode, preprocess. Any failure is a
//! [`SkipReason`], one sentence that fits after the image's path in the skip report.

use crate::decode::{DecodeError, DecodeLimits, DecodedImage, decode};
use crate::preprocess::{PreprocessError, Preprocessing};
use crate::source::{ImageItem, ImageSource, ReadError};

/// What is remembered of an image beside its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedMeta {
    /// Columns of the original, upright, pixels.
    pub width: u32,
    /// Rows of the original, upright, pixels.
    pub height: u32,
}

/// Why an image was left out of a run. Displays as one sentence without the path.
#[derive(Debug, thiserror::Error)]
pub enum SkipReason {
    /// No bytes.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No pixels.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// No input.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
}

/// Reads and decodes one image.
///
/// # Errors
/// See [`SkipReason`].
pub fn load(
    source: &dyn ImageSource,
    item: &ImageItem,
    limits: &DecodeLimits,
) -> Result<DecodedImage, SkipReason> {
    Ok(decode(&source.read(item)?, limits)?)
}

/// Reads, decodes and preprocesses one image into `out`, of
/// [`Preprocessing::output_len`] values; `out` is unspecified after an error.
///
/// # Errors
/// See [`SkipReason`].
pub fn load_and_preprocess(
    source: &dyn ImageSource,
    item: &ImageItem,
    limits: &DecodeLimits,
    preprocessing: &Preprocessing,
    out: &mut [f32],
) -> Result<LoadedMeta, SkipReason> {
    preprocess(&source.read(item)?, limits, preprocessing, out)
}

/// As [`load_and_preprocess`], from bytes that have been read.
///
/// # Errors
/// See [`SkipReason`].
pub fn preprocess(
    bytes: &[u8],
    limits: &DecodeLimits,
    preprocessing: &Preprocessing,
    out: &mut [f32],
) -> Result<LoadedMeta, SkipReason> {
    let image = decode(bytes, limits)?;
    preprocessing.apply(&image, out)?;
    Ok(LoadedMeta {
        width: image.width(),
        height: image.height(),
    })
}
