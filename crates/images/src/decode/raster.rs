//! PNG, WebP, BMP and GIF through the `image` crate.
//!
//! Place in the flow: called by [`super::decode()`]. Header first: size and sample type are known and
//! checked before the pixel buffer exists. All sample types end as RGB8: alpha dropped, grey
//! repeated, 16-bit samples reduced to their high byte.

use super::orientation::Orientation;
use super::{DecodeError, DecodeLimits, DecodedImage, ImageFormat};
use image::{ColorType, ImageDecoder, ImageError, ImageReader, Limits};
use std::io::Cursor;
use summit_tables::one_line;

/// Decodes one of the formats of this module; the picture is not yet turned upright.
pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    limits: &DecodeLimits,
) -> Result<(DecodedImage, Orientation), DecodeError> {
    let library_format = match format {
        ImageFormat::Png => image::ImageFormat::Png,
        ImageFormat::WebP => image::ImageFormat::WebP,
        ImageFormat::Bmp => image::ImageFormat::Bmp,
        ImageFormat::Gif => image::ImageFormat::Gif,
        ImageFormat::Jpeg => image::ImageFormat::Jpeg,
    };
    let fail = |error: ImageError| explain(format, &error);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), library_format);
    let mut memory = Limits::no_limits();
    memory.max_alloc = Some(limits.max_memory_bytes);
    reader.limits(memory);
    let mut decoder = reader.into_decoder().map_err(fail)?;

    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    // The decoder's buffer, its own copy of a frame, and ours; another where the picture is turned.
    let decoded_bytes_per_pixel = u64::from(color.bytes_per_pixel());
    limits.check(width, height, decoded_bytes_per_pixel + 3)?;
    let orientation = decoder
        .exif_metadata()
        .ok()
        .flatten()
        .map_or(Orientation::UPRIGHT, |block| Orientation::from_exif(&block));

    let total_bytes = usize::try_from(decoder.total_bytes()).map_err(|_| DecodeError::Broken {
        format,
        reason: "its size does not fit into memory".to_owned(),
    })?;
    let mut samples = vec![0; total_bytes];
    decoder.read_image(&mut samples).map_err(fail)?;
    to_rgb(color, samples)
        .and_then(|data| DecodedImage::from_rgb(width, height, data))
        .map(|image| (image, orientation))
        .ok_or_else(|| DecodeError::Broken {
            format,
            reason: format!("samples of type {color:?} are not supported"),
        })
}

/// Samples of any integer type to RGB8.
fn to_rgb(color: ColorType, samples: Vec<u8>) -> Option<Vec<u8>> {
    Some(match color {
        ColorType::Rgb8 => samples,
        ColorType::L8 => samples.iter().flat_map(|&grey| [grey; 3]).collect(),
        ColorType::La8 => pick(&samples, 2, [0, 0, 0]),
        ColorType::Rgba8 => pick(&samples, 4, [0, 1, 2]),
        ColorType::L16 => pick(&samples, 2, [HIGH, HIGH, HIGH]),
        ColorType::La16 => pick(&samples, 4, [HIGH, HIGH, HIGH]),
        ColorType::Rgb16 => pick(&samples, 6, [HIGH, HIGH + 2, HIGH + 4]),
        ColorType::Rgba16 => pick(&samples, 8, [HIGH, HIGH + 2, HIGH + 4]),
        _ => return None,
    })
}

/// Offset of the high byte of a native-endian u16.
const HIGH: usize = if cfg!(target_endian = "little") { 1 } else { 0 };

/// Of every pixel of `stride` bytes, the bytes at `offsets`.
fn pick(samples: &[u8], stride: usize, offsets: [usize; 3]) -> Vec<u8> {
    samples
        .chunks_exact(stride)
        .flat_map(|pixel| offsets.map(|offset| pixel.get(offset).copied().unwrap_or_default()))
        .collect()
}

/// The library's error as ours; an early end of the file gets its own sentence.
fn explain(format: ImageFormat, error: &ImageError) -> DecodeError {
    let text = error.to_string();
    let ended_early = matches!(
        error,
        ImageError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof
    ) || text.to_ascii_lowercase().contains("unexpected end")
        || text.to_ascii_lowercase().contains("unexpected eof");
    if ended_early {
        return DecodeError::Truncated { format };
    }
    DecodeError::Broken {
        format,
        reason: one_line(&text),
    }
}
