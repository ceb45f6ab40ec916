//! JPEG: a structural check of our own, then the zune-jpeg decoder in strict mode.
//!
//! Place in the flow: called by [`super::decode()`]. The check walks the markers once (linear in the
//! file, no allocation): it finds the end-of-image marker, so that a file cut short is refused as
//! Pillow refuses it; it drops what follows that marker (second pictures of MPO files, junk) and the
//! stray bytes between header segments that libjpeg tolerates and strict mode does not; it
//! picks up the EXIF block and the figures for the memory estimate.
//!
//! Strict mode matters: outside it the decoder returns what it could decode and fills the rest with grey.
//! Known limit: a scan that was cut short and then closed with an end-of-image marker decodes without any
//! sign of damage (the missing rows are flat), as it does in libjpeg and Pillow; telling it apart would need a
//! second entropy decoder.

use super::orientation::Orientation;
use super::{DecodeError, DecodeLimits, DecodedImage, ImageFormat};
use std::borrow::Cow;
use std::ops::Range;
use summit_tables::one_line;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;
const APPLICATION_1: u8 = 0xE1;

/// What the walk over the markers found.
#[derive(Debug, Default)]
struct Structure {
    /// Parts of the file to keep, in order; one part for a clean file.
    kept: Vec<Range<usize>>,
    /// EXIF block.
    exif: Option<Range<usize>>,
    /// Width and height of the frame header.
    size: Option<(u16, u16)>,
    /// Colour components of the frame header.
    components: u8,
    /// Progressive frame.
    progressive: bool,
    /// Scans.
    scans: usize,
}

/// Decodes a JPEG file; the picture is not yet turned upright.
pub(super) fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<(DecodedImage, Orientation), DecodeError> {
    let structure = walk(bytes)?;
    let Some((width, height)) = structure.size else {
        return Err(broken("there is no frame header"));
    };
    limits.check(
        u32::from(width),
        u32::from(height),
        structure.bytes_per_pixel(),
    )?;
    let clean = structure.clean(bytes);
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(clean.as_ref()), options);
    let data = decoder
        .decode()
        .map_err(|error| broken(&error.to_string()))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| broken("no size"))?;
    let image = u32::try_from(width)
        .ok()
        .zip(u32::try_from(height).ok())
        .and_then(|(width, height)| DecodedImage::from_rgb(width, height, data))
        .ok_or_else(|| broken("the decoder returned a picture of another size"))?;
    let orientation = structure
        .exif
        .and_then(|range| bytes.get(range))
        .map_or(Orientation::UPRIGHT, Orientation::from_exif);
    Ok((image, orientation))
}

fn broken(reason: &str) -> DecodeError {
    DecodeError::Broken {
        format: ImageFormat::Jpeg,
        reason: one_line(reason),
    }
}

impl Structure {
    /// Estimate: the picture, twice where it is turned, and all coefficients (i16) where scans must
    /// be collected before a row can be finished.
    fn bytes_per_pixel(&self) -> u64 {
        let coefficients = if self.progressive || self.scans > 1 {
            2 * u64::from(self.components)
        } else {
            0
        };
        3 + 3 * u64::from(self.exif.is_some()) + coefficients
    }

    /// The file without stray bytes.
    fn clean<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self.kept.as_slice() {
            [one] => Cow::Borrowed(bytes.get(one.clone()).unwrap_or_default()),
            parts => Cow::Owned(
                parts
                    .iter()
                    .filter_map(|part| bytes.get(part.clone()))
                    .flatten()
                    .copied()
                    .collect(),
            ),
        }
    }

    /// Adds a part; parts that touch become one.
    fn keep(&mut self, part: Range<usize>) {
        match self.kept.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => self.kept.push(part),
        }
    }

    /// Notes what matters of a header segment's payload at `range`.
    fn read_segment(&mut self, marker: u8, payload: &[u8], range: Range<usize>) {
        let is_frame = (0xC0..=0xCF).contains(&marker) && ![0xC4, 0xC8, 0xCC].contains(&marker);
        if is_frame && self.size.is_none() {
            if let &[_, h1, h0, w1, w0, components, ..] = payload {
                self.size = Some((u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])));
                self.components = components;
                self.progressive = marker == 0xC2;
            }
        } else if marker == APPLICATION_1 && payload.starts_with(b"Exif\0\0") {
            self.exif.get_or_insert(range);
        }
    }
}

/// Walks all markers up to the end-of-image marker.
fn walk(bytes: &[u8]) -> Result<Structure, DecodeError> {
    let truncated = || DecodeError::Truncated {
        format: ImageFormat::Jpeg,
    };
    let mut structure = Structure::default();
    structure.keep(0..2);
    let mut at = 2;
    loop {
        let (marker_start, marker, after) = next_marker(bytes, at).ok_or_else(truncated)?;
        match marker {
            END_OF_IMAGE => {
                structure.keep(marker_start..after);
                return Ok(structure);
            }
            // Markers without a payload; a second start-of-image or a restart marker out of place
            // is stray.
            0x01 | 0xD0..=0xD8 => at = after,
            _ => {
                let length_bytes = bytes.get(after..after + 2).ok_or_else(truncated)?;
                let length = match length_bytes {
                    &[high, low] => usize::from(u16::from_be_bytes([high, low])),
                    _ => 0,
                };
                if length < 2 {
                    return Err(broken("a header segment has an impossible length"));
                }
                let range = after + 2..after + length;
                let payload = bytes.get(range.clone()).ok_or_else(truncated)?;
                structure.read_segment(marker, payload, range.clone());
                let mut end = range.end;
                if marker == START_OF_SCAN {
                    structure.scans += 1;
                    end = end_of_entropy_data(bytes, end).ok_or_else(truncated)?;
                }
                structure.keep(marker_start..end);
                at = end;
            }
        }
    }
}

/// The next marker at or after `at`: where its 0xFF is, its code, and the position after it. Fill
/// bytes (0xFF repeated) and stray bytes are passed over.
fn next_marker(bytes: &[u8], at: usize) -> Option<(usize, u8, usize)> {
    let mut position = at;
    loop {
        position += bytes.get(position..)?.iter().position(|&b| b == 0xFF)?;
        let code_at = position + 1 + bytes.get(position + 1..)?.iter().position(|&b| b != 0xFF)?;
        match *bytes.get(code_at)? {
            0x00 => position = code_at,
            code => return Some((code_at - 1, code, code_at + 1)),
        }
    }
}

/// The position of the first marker that is not part of entropy-coded data.
fn end_of_entropy_data(bytes: &[u8], start: usize) -> Option<usize> {
    let mut position = start;
    loop {
        position += bytes.get(position..)?.iter().position(|&b| b == 0xFF)?;
        match *bytes.get(position + 1)? {
            // A stuffed 0xFF, a restart marker.
            0x00 | 0xD0..=0xD7 => position += 2,
            // A fill byte.
            0xFF => position += 1,
            _ => return Some(position),
        }
    }
}
