//! Bytes of an image file to RGB pixels.
//!
//! Place in the flow: after [`crate::source`], before [`mod@crate::preprocess`]. The format is told
//! from the content, never from the file's name. `[bytes]` in, [`DecodedImage`]
//! `[height, width, 3]` u8 out, turned upright as its EXIF orientation says.
//!
//! Rules: the size in the header is checked against [`DecodeLimits`] before pixels are allocated; a
//! truncated or damaged file is an error, not a half-grey picture; alpha is dropped without
//! blending and 16-bit samples keep their high byte (what Pillow's `convert("RGB")` does, except
//! for 16-bit greyscale, which Pillow clips to white and which is scaled here).
//!
//! Memory: at most [`DecodeLimits::max_memory_bytes`] by estimate. Time: linear in file size and pixels
//! (times the number of scans, at most 100, of a progressive JPEG).

mod jpeg;
mod orientation;
mod raster;

use serde::{Deserialize, Serialize};
use std::fmt;
use summit_tables::caught;

/// An upright RGB image.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodedImage {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

impl fmt::Debug for DecodedImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DecodedImage({}x{})", self.width, self.height)
    }
}

impl DecodedImage {
    /// From pixels `[height, width, 3]` (row-major RGB, u8). `None` where an extent is 0 or the
    /// number of bytes is not `width * height * 3`.
    #[must_use]
    pub fn from_rgb(width: u32, height: u32, data: Vec<u8>) -> Option<Self> {
        let expected = (width as usize)
            .checked_mul(height as usize)?
            .checked_mul(3)?;
        (expected > 0 && data.len() == expected).then_some(Self {
            width,
            height,
            data,
        })
    }

    /// Columns, pixels, at least 1.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows, pixels, at least 1.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixels `[height, width, 3]`, u8 RGB, row-major.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// What a single image may cost. Checked against its header, before decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeLimits {
    /// Largest `width * height`, pixels.
    pub max_pixels: u64,
    /// Largest estimate of the memory one decoding needs, bytes.
    pub max_memory_bytes: u64,
}

impl Default for DecodeLimits {
    /// 100 megapixels, 1 GiB.
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_memory_bytes: 1 << 30,
        }
    }
}

impl DecodeLimits {
    /// Refuses an image by its header.
    fn check(&self, width: u32, height: u32, bytes_per_pixel: u64) -> Result<(), DecodeError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(DecodeError::NoPixels);
        }
        if pixels > self.max_pixels {
            return Err(DecodeError::TooManyPixels {
                width,
                height,
                limit_megapixels: self.max_pixels as f64 / 1e6,
            });
        }
        let needed = pixels.saturating_mul(bytes_per_pixel);
        if needed > self.max_memory_bytes {
            return Err(DecodeError::TooMuchMemory {
                width,
                height,
                needed_mebibytes: needed >> 20,
                limit_mebibytes: self.max_memory_bytes >> 20,
            });
        }
        Ok(())
    }
}

/// File formats told apart by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// JPEG / JFIF, baseline or progressive.
    Jpeg,
    /// Portable Network Graphics.
    Png,
    /// WebP, lossy or lossless; of an animation the first frame.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// GIF, first frame.
    Gif,
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
        })
    }
}

impl ImageFormat {
    /// The format whose signature the bytes begin with.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::WebP)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else if bytes.starts_with(b"BM") {
            Some(Self::Bmp)
        } else {
            None
        }
    }
}

/// Why bytes did not become pixels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Zero bytes.
    #[error("the file is empty")]
    Empty,
    /// No known signature; the field says what it looks like.
    #[error("the file is not a JPEG, PNG, WebP, BMP or GIF image ({looks_like})")]
    NotAnImage {
        /// A guess for the reader of the message.
        looks_like: &'static str,
    },
    /// Width or height is 0.
    #[error("the image has no pixels: its header says width or height 0")]
    NoPixels,
    /// Over [`DecodeLimits::max_pixels`].
    #[error(
        "the image is too large: {width}x{height} pixels, over the limit of {limit_megapixels} megapixels"
    )]
    TooManyPixels {
        /// Columns in the header.
        width: u32,
        /// Rows in the header.
        height: u32,
        /// The limit, millions of pixels.
        limit_megapixels: f64,
    },
    /// Over [`DecodeLimits::max_memory_bytes`].
    #[error(
        "decoding the {width}x{height} image needs about {needed_mebibytes} MiB, over the limit of {limit_mebibytes} MiB"
    )]
    TooMuchMemory {
        /// Columns in the header.
        width: u32,
        /// Rows in the header.
        height: u32,
        /// The estimate.
        needed_mebibytes: u64,
        /// The limit.
        limit_mebibytes: u64,
    },
    /// The file ends too early.
    #[error("the {format} file is truncated: it ends before its image data does")]
    Truncated {
        /// Its format.
        format: ImageFormat,
    },
    /// The decoder refused it.
    #[error("the {format} file is damaged or of an unsupported kind: {reason}")]
    Broken {
        /// Its format.
        format: ImageFormat,
        /// The decoder's words.
        reason: String,
    },
    /// The decoder panicked, a defect of the decoder that hostile bytes can reach.
    #[error("the {format} decoder failed on the file: {reason}")]
    DecoderPanicked {
        /// Its format.
        format: ImageFormat,
        /// The panic's message.
        reason: String,
    },
}

/// Decodes an image file held in memory.
///
/// # Errors
/// See [`DecodeError`]; every one of them is a reason to skip the image.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<DecodedImage, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let Some(format) = ImageFormat::sniff(bytes) else {
        return Err(DecodeError::NotAnImage {
            looks_like: describe_foreign(bytes),
        });
    };
    // The last resort: the decoders are fuzzed by their authors and not known to panic, but one
    // image must not end a run of a million.
    let outcome = caught(|| match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, limits),
        _ => raster::decode(bytes, format, limits),
    });
    let (image, orientation) =
        outcome.map_err(|reason| DecodeError::DecoderPanicked { format, reason })??;
    Ok(orientation.apply(image))
}

/// A guess at what a file without a known signature is.
fn describe_foreign(bytes: &[u8]) -> &'static str {
    let head = bytes.get(..bytes.len().min(512)).unwrap_or_default();
    if head.starts_with(b"II*\0") || head.starts_with(b"MM\0*") {
        "it looks like TIFF"
    } else if head.get(4..8) == Some(b"ftyp") {
        "it looks like HEIC, AVIF or video"
    } else if head.starts_with(b"%PDF") {
        "it looks like PDF"
    } else if head.starts_with(b"version https://git-lfs") {
        "it is a Git LFS pointer: fetch the real file first"
    } else if head
        .trim_ascii_start()
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"<html") || start == b"<!DOC")
    {
        "it looks like a web page"
    } else if head.iter().all(|&byte| byte == 0) {
        "it begins with zeros only"
    } else if std::str::from_utf8(head).is_ok() {
        "it looks like text"
    } else {
        "its signature is unknown"
    }
}
