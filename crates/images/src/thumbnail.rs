//! From input coordinates back to a small picture cut out of the original.
//!
//! Place in the flow: dataset examples are drawn as the part of the image a unit can see
//! (method.md section 6): the receptive field is known in input coordinates, the picture
//! should be as sharp as the original. `[height, width, 3]` u8 in and out, then JPEG bytes.
//! Time: the filter over the region cut out.

use crate::decode::DecodedImage;
use crate::preprocess::resample;
use crate::preprocess::{InputGeometry, PreprocessError, Preprocessing, ResizeFilter};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

/// Longer side of a stored thumbnail, pixels: about 3 KB, and a receptive field of a third of the input is
/// still recognisable in it.
pub const THUMBNAIL_SIDE: u32 = 96;

const THUMBNAIL_QUALITY: u8 = 75;

/// A rectangle in the network's input; may reach beyond it (padding), and is clipped then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputRect {
    /// Upper edge, input pixels.
    pub top: f64,
    /// Left edge, input pixels.
    pub left: f64,
    /// Extent, input pixels.
    pub height: f64,
    /// Extent, input pixels.
    pub width: f64,
}

/// Why there is no thumbnail.
#[derive(Debug, thiserror::Error)]
pub enum ThumbnailError {
    /// The image has no such geometry.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// Nothing of the rectangle lies in the input.
    #[error("the rectangle lies outside the network's input")]
    Outside,
    /// The largest side asked for is 0 or beyond 16384 pixels.
    #[error("a thumbnail of {max_side} pixels is not possible")]
    Size {
        /// Asked for.
        max_side: u32,
    },
    /// The encoder refused.
    #[error("the picture cannot be written as JPEG: {0}")]
    Encode(String),
}

/// Cuts `rect` (clipped to the input) out of the original and scales it so that its longer side is
/// `max_side` pixels; the aspect ratio of the original is kept.
///
/// # Errors
/// See [`ThumbnailError`].
pub fn crop_and_resize(
    image: &DecodedImage,
    preprocessing: &Preprocessing,
    rect: InputRect,
    max_side: u32,
) -> Result<DecodedImage, ThumbnailError> {
    cut(
        image,
        &preprocessing.geometry(image.width(), image.height())?,
        rect,
        max_side,
    )
}

/// The whole input of the network, at most [`THUMBNAIL_SIDE`] pixels a side, as a JPEG: what is left to look
/// at once the image is gone.
///
/// # Errors
/// See [`ThumbnailError`].
pub fn thumbnail(
    image: &DecodedImage,
    preprocessing: &Preprocessing,
) -> Result<Vec<u8>, ThumbnailError> {
    let [height, width] = preprocessing.size.map(f64::from);
    let rect = InputRect {
        top: 0.0,
        left: 0.0,
        height,
        width,
    };
    let small = crop_and_resize(image, preprocessing, rect, THUMBNAIL_SIDE)?;
    encode_jpeg(&small, THUMBNAIL_QUALITY)
}

/// As [`crop_and_resize`], out of the picture [`thumbnail`] made.
///
/// # Errors
/// See [`ThumbnailError`].
pub fn crop_thumbnail(
    thumbnail: &DecodedImage,
    preprocessing: &Preprocessing,
    rect: InputRect,
    max_side: u32,
) -> Result<DecodedImage, ThumbnailError> {
    let geometry = InputGeometry {
        top: 0.0,
        left: 0.0,
        height: f64::from(thumbnail.height()),
        width: f64::from(thumbnail.width()),
        input: preprocessing.size,
    };
    cut(thumbnail, &geometry, rect, max_side)
}

fn cut(
    image: &DecodedImage,
    geometry: &InputGeometry,
    rect: InputRect,
    max_side: u32,
) -> Result<DecodedImage, ThumbnailError> {
    if max_side == 0 || max_side > 16_384 {
        return Err(ThumbnailError::Size { max_side });
    }
    let region = original_region(geometry, rect).ok_or(ThumbnailError::Outside)?;
    let longer = region.height.max(region.width);
    let side = |extent: f64| {
        let pixels = (extent / longer * f64::from(max_side)).round();
        // In 0..=max_side by construction.
        (pixels as u32).max(1)
    };
    let size = [side(region.height), side(region.width)];
    Ok(resample(image, &region, size, ResizeFilter::Bilinear)?)
}

/// The part of the original under `rect` clipped to the input; `None` where nothing is left.
fn original_region(geometry: &InputGeometry, rect: InputRect) -> Option<InputGeometry> {
    let [rows, columns] = geometry.input.map(f64::from);
    let top = rect.top.max(0.0);
    let left = rect.left.max(0.0);
    let bottom = (rect.top + rect.height).min(rows);
    let right = (rect.left + rect.width).min(columns);
    let finite = [rect.top, rect.left, rect.height, rect.width]
        .iter()
        .all(|value| value.is_finite());
    if !finite || bottom <= top || right <= left {
        return None;
    }
    let [original_top, original_left] = geometry.to_original([top, left]);
    let [original_bottom, original_right] = geometry.to_original([bottom, right]);
    Some(InputGeometry {
        top: original_top,
        left: original_left,
        height: original_bottom - original_top,
        width: original_right - original_left,
        input: geometry.input,
    })
}

/// The picture as a baseline JPEG; `quality` 1 to 100.
///
/// # Errors
/// [`ThumbnailError::Encode`] for pictures over 65535 pixels in an extent.
pub fn encode_jpeg(image: &DecodedImage, quality: u8) -> Result<Vec<u8>, ThumbnailError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
        .encode(
            image.data(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| ThumbnailError::Encode(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{DecodeLimits, decode};
    use crate::preprocess::{InputShape, Preset, Resize};

    /// Red tells the column, green the row.
    fn ramp(width: u32, height: u32) -> DecodedImage {
        let data = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 90]))
            .collect();
        DecodedImage::from_rgb(width, height, data).unwrap()
    }

    fn preprocessing() -> Preprocessing {
        let mut preprocessing = Preset::Caffe.preprocessing(InputShape {
            channels: 3,
            height: 50,
            width: 50,
        });
        preprocessing.resize = Resize::ShortSideCrop {
            short: 60,
            keep_exact: true,
        };
        preprocessing
    }

    #[test]
    fn cuts_the_right_place_out_of_the_original() {
        // 240x120 -> 120x60 -> crop of 50 at (5, 35): input (0, 0) is original (10, 70), factor 2.
        let rect = InputRect {
            top: 10.0,
            left: 20.0,
            height: 10.0,
            width: 20.0,
        };
        let cut = crop_and_resize(&ramp(240, 120), &preprocessing(), rect, 40).unwrap();
        assert_eq!((cut.width(), cut.height()), (40, 20));
        // Without scaling the pixels are the original's.
        let first = &cut.data()[..3];
        assert_eq!(first, [110, 30, 90]);
        let last = &cut.data()[cut.data().len() - 3..];
        assert_eq!(last, [149, 49, 90]);
    }

    #[test]
    fn clips_to_the_input_and_refuses_what_is_outside() {
        let image = ramp(240, 120);
        let rect = |top, left, height, width| InputRect {
            top,
            left,
            height,
            width,
        };
        let cut =
            crop_and_resize(&image, &preprocessing(), rect(-20.0, -20.0, 30.0, 40.0), 40).unwrap();
        assert_eq!((cut.width(), cut.height()), (40, 20));
        assert_eq!(cut.data()[..3], [70, 10, 90]);
        for bad in [
            rect(60.0, 0.0, 10.0, 10.0),
            rect(0.0, -30.0, 10.0, 30.0),
            rect(0.0, 0.0, f64::NAN, 10.0),
            rect(0.0, 0.0, -1.0, 10.0),
        ] {
            let result = crop_and_resize(&image, &preprocessing(), bad, 40);
            assert!(matches!(result, Err(ThumbnailError::Outside)), "{bad:?}");
        }
        let all = rect(
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
            f64::INFINITY,
            f64::INFINITY,
        );
        assert!(crop_and_resize(&image, &preprocessing(), all, 40).is_err());
        let tiny = rect(10.0, 10.0, 1e-9, 20.0);
        let cut = crop_and_resize(&image, &preprocessing(), tiny, 40).unwrap();
        assert_eq!((cut.width(), cut.height()), (40, 1));
        assert!(crop_and_resize(&image, &preprocessing(), rect(0.0, 0.0, 9.0, 9.0), 0).is_err());
    }

    #[test]
    fn a_thumbnail_stands_in_for_its_image() {
        let image = ramp(240, 120);
        let preprocessing = preprocessing();
        let small = decode(
            &thumbnail(&image, &preprocessing).unwrap(),
            &DecodeLimits::default(),
        )
        .unwrap();
        assert_eq!((small.width(), small.height()), (96, 96));
        let rect = InputRect {
            top: 10.0,
            left: 20.0,
            height: 10.0,
            width: 20.0,
        };
        let wanted = crop_and_resize(&image, &preprocessing, rect, 40).unwrap();
        let found = crop_thumbnail(&small, &preprocessing, rect, 40).unwrap();
        assert_eq!((found.width(), found.height()), (40, 20));
        let pixels = wanted.data().iter().zip(found.data());
        let worst = pixels.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst.unwrap() <= 12, "{worst:?}");
    }

    #[test]
    fn jpeg_comes_back_nearly_the_same_and_always_the_same() {
        let image = ramp(64, 48);
        let bytes = encode_jpeg(&image, 95).unwrap();
        assert_eq!(bytes, encode_jpeg(&image, 95).unwrap());
        let back = decode(&bytes, &DecodeLimits::default()).unwrap();
        assert_eq!((back.width(), back.height()), (64, 48));
        let worst = image
            .data()
            .iter()
            .zip(back.data())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst.unwrap() <= 12, "{worst:?}");
    }
}
