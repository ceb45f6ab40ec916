//! Carries out a [`Preprocessing`].
//!
//! Place in the flow: once an image, on the worker's thread. `[height, width, 3]` u8 in,
//! `channels * H * W` f32 out. Time: the filter over the crop, then one table look-up a value;
//! memory: two images of the input's width.

use super::{
    ColorOrder, InputGeometry, Layout, PreprocessError, Preprocessing, ResizeFilter, ValueRange,
};
use crate::decode::DecodedImage;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{Filter, FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

impl Preprocessing {
    /// Writes the input for `image` into `out` (`[channels, H, W]`, or `[H, W, channels]` with
    /// [`Layout::Nhwc`]).
    ///
    /// # Errors
    /// When the description is impossible, the buffer is not of [`Self::output_len`] values, or the
    /// size is wrong and resizing is off.
    pub fn apply(&self, image: &DecodedImage, out: &mut [f32]) -> Result<(), PreprocessError> {
        let expected = self.output_len();
        if out.len() != expected {
            return Err(PreprocessError::BufferLength {
                found: out.len(),
                expected,
            });
        }
        let geometry = self.geometry(image.width(), image.height())?;
        let [height, width] = self.size;
        if is_identity(&geometry, image) {
            self.normalise(image.data(), out);
        } else {
            let resized = resample(image, &geometry, [height, width], self.filter)?;
            self.normalise(resized.data(), out);
        }
        Ok(())
    }

    /// What the network sees of `image`, before colours are normalised: `[H, W, 3]` u8 RGB.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn input_pixels(&self, image: &DecodedImage) -> Result<DecodedImage, PreprocessError> {
        let geometry = self.geometry(image.width(), image.height())?;
        if is_identity(&geometry, image) {
            return Ok(image.clone());
        }
        resample(image, &geometry, self.size, self.filter)
    }

    /// `(range(pixel) - mean) / std`, colours and axes put in order. A pixel has 256 values, so the
    /// arithmetic is done once for each; the operations and their order are torchvision's.
    fn normalise(&self, pixels: &[u8], out: &mut [f32]) {
        let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            let mean = self.mean.get(channel).copied().unwrap_or(0.0);
            let std = self.std.get(channel).copied().unwrap_or(1.0);
            std::array::from_fn(|level| {
                let value = match self.range {
                    ValueRange::Bytes => level as f32,
                    ValueRange::Unit => level as f32 / 255.0,
                };
                (value - mean) / std
            })
        });
        let [first, second, third] = &tables;
        let (rgb, _) = pixels.as_chunks::<3>();
        let ordered = |&[red, green, blue]: &[u8; 3]| match self.color {
            ColorOrder::Rgb | ColorOrder::Grey => [red, green, blue],
            ColorOrder::Bgr => [blue, green, red],
        };
        match (self.color, self.layout) {
            (ColorOrder::Grey, _) => {
                for (value, pixel) in out.iter_mut().zip(rgb) {
                    *value = first[usize::from(luma(*pixel))];
                }
            }
            (_, Layout::Nhwc) => {
                for (values, pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(rgb) {
                    let [a, b, c] = ordered(pixel);
                    *values = [
                        first[usize::from(a)],
                        second[usize::from(b)],
                        third[usize::from(c)],
                    ];
                }
            }
            (_, Layout::Nchw) => {
                let plane = rgb.len();
                for (channel, (values, table)) in
                    out.chunks_exact_mut(plane).zip(&tables).enumerate()
                {
                    let source = match (self.color, channel) {
                        (ColorOrder::Bgr, 0) => 2,
                        (ColorOrder::Bgr, 2) => 0,
                        (_, channel) => channel,
                    };
                    for (value, pixel) in values.iter_mut().zip(rgb) {
                        *value = table[usize::from(pixel[source])];
                    }
                }
            }
        }
    }
}

/// The whole image at its own size.
fn is_identity(geometry: &InputGeometry, image: &DecodedImage) -> bool {
    let whole =
        geometry.height == f64::from(image.height()) && geometry.width == f64::from(image.width());
    whole && geometry.input == [image.height(), image.width()]
}

/// Pillow's `convert("L")`: ITU-R 601 in 16-bit fixed point.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    // At most (255 << 16) + 0x8000, so the shift leaves a byte.
    ((sum + 0x8000) >> 16) as u8
}

/// Catmull-Rom (Pillow's bicubic, a = -0.5), but never exactly 0. The library (6.1) trims weights of 0 at
/// the ends of a row and then takes the first output's range for the leftmost one; with a filter
/// that is 0 in its middle that is wrong, and it reads outside its buffer. The stand-in for 0
/// vanishes when weights are rounded to 16 bits.
fn bicubic(x: f64) -> f64 {
    let x = x.abs();
    let weight = if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    };
    if weight == 0.0 { 1e-30 } else { weight }
}

/// The box of `geometry` at `size` (`[height, width]`). Equal to resizing the whole image and cropping,
/// because the filters read beyond the box.
pub(crate) fn resample(
    image: &DecodedImage,
    geometry: &InputGeometry,
    [height, width]: [u32; 2],
    filter: ResizeFilter,
) -> Result<DecodedImage, PreprocessError> {
    let failed = |error: &dyn std::fmt::Display| PreprocessError::Invalid(error.to_string());
    let source = ImageRef::new(image.width(), image.height(), image.data(), PixelType::U8x3)
        .map_err(|error| failed(&error))?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let algorithm = match filter {
        ResizeFilter::Nearest => ResizeAlg::Nearest,
        ResizeFilter::Box => ResizeAlg::Convolution(FilterType::Box),
        ResizeFilter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        ResizeFilter::Bicubic => ResizeAlg::Convolution(FilterType::Custom(
            Filter::new("bicubic", bicubic, 2.0).map_err(|error| failed(&error))?,
        )),
        ResizeFilter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    // Rounding may push the box over the edge by a unit in the last place.
    let left = geometry.left.max(0.0);
    let top = geometry.top.max(0.0);
    let options = ResizeOptions::new().resize_alg(algorithm).crop(
        left,
        top,
        geometry.width.min(f64::from(image.width()) - left),
        geometry.height.min(f64::from(image.height()) - top),
    );
    Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|error| failed(&error))?;
    DecodedImage::from_rgb(width, height, target.into_vec())
        .ok_or_else(|| failed(&"the resized image is empty"))
}

#[cfg(test)]
mod tests {
    use super::super::geometry::{crop_start, resized_size};
    use super::*;
    use crate::preprocess::{InputShape, Preset, Resize};
    use proptest::prelude::*;

    fn image(width: u32, height: u32, seed: u32) -> DecodedImage {
        let data = (0..width * height * 3)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8)
            .collect();
        DecodedImage::from_rgb(width, height, data).unwrap()
    }

    /// Weights of one output position: `(first input, weights)`, after Pillow's `precompute_coeffs`.
    fn weights(input: usize, output: usize, at: usize, bicubic_filter: bool) -> (usize, Vec<f64>) {
        let scale = input as f64 / output as f64;
        let stretch = scale.max(1.0);
        let support = if bicubic_filter { 2.0 } else { 1.0 } * stretch;
        let center = (at as f64 + 0.5) * scale;
        let first = (center - support).floor().max(0.0) as usize;
        let end = ((center + support).ceil() as usize).min(input);
        let raw: Vec<f64> = (first..end)
            .map(|x| {
                let distance = (x as f64 + 0.5 - center) / stretch;
                if bicubic_filter {
                    bicubic(distance)
                } else {
                    (1.0 - distance.abs()).max(0.0)
                }
            })
            .collect();
        let sum: f64 = raw.iter().sum();
        (first, raw.iter().map(|weight| weight / sum).collect())
    }

    /// Resizes the whole image in f64 (columns first, limited to 0-255 between the passes as 8-bit
    /// resizers do), then cuts. Returns the values and the largest sum of |weight| of a row.
    fn naive_input_pixels(preprocessing: &Preprocessing, image: &DecodedImage) -> (Vec<f64>, f64) {
        let Resize::ShortSideCrop { short, .. } = preprocessing.resize else {
            panic!("short side only")
        };
        let [rows, columns] = [image.height() as usize, image.width() as usize];
        let resized = resized_size(image.height(), image.width(), short);
        let [height, width] = preprocessing.size.map(|extent| extent as usize);
        let top = crop_start(resized[0], preprocessing.size[0]) as usize;
        let left = crop_start(resized[1], preprocessing.size[1]) as usize;
        let is_bicubic = preprocessing.filter == ResizeFilter::Bicubic;
        let (mut values, mut largest_sum) = (Vec::new(), 0.0f64);
        for y in top..top + height {
            let (first_row, row_weights) = weights(rows, resized[0] as usize, y, is_bicubic);
            for x in left..left + width {
                let (first_column, column_weights) =
                    weights(columns, resized[1] as usize, x, is_bicubic);
                largest_sum = largest_sum.max(column_weights.iter().map(|w| w.abs()).sum());
                for channel in 0..3 {
                    let mut value = 0.0;
                    for (j, column_weight) in column_weights.iter().enumerate() {
                        let column: f64 = row_weights
                            .iter()
                            .enumerate()
                            .map(|(i, row_weight)| {
                                let at = (first_row + i) * columns + first_column + j;
                                row_weight * f64::from(image.data()[at * 3 + channel])
                            })
                            .sum();
                        value += column_weight * column.clamp(0.0, 255.0);
                    }
                    values.push(value.clamp(0.0, 255.0));
                }
            }
        }
        (values, largest_sum)
    }

    proptest! {
        #[test]
        fn crop_while_resizing_equals_resize_then_crop(
            width in 1u32..90,
            height in 1u32..90,
            extent in 1u32..24,
            margin in 0u32..9,
            seed in any::<u32>(),
            bicubic in any::<bool>(),
        ) {
            let shape = InputShape { channels: 3, height: extent, width: extent };
            let mut preprocessing = Preset::Caffe.preprocessing(shape);
            preprocessing.resize = Resize::ShortSideCrop { short: extent + margin, keep_exact: false };
            if bicubic {
                preprocessing.filter = ResizeFilter::Bicubic;
            }
            let image = image(width, height, seed);
            let fast = preprocessing.input_pixels(&image).unwrap();
            let (naive, largest_sum) = naive_input_pixels(&preprocessing, &image);
            prop_assert_eq!(fast.data().len(), naive.len());
            // Half a level is lost by rounding the columns, passed on by the weights of the rows,
            // and half a level by rounding the result; 0.1 is for weights of 16 bits.
            let bound = 0.5 * largest_sum + 0.5 + 0.1;
            for (a, b) in fast.data().iter().zip(&naive) {
                prop_assert!((f64::from(*a) - b).abs() <= bound, "{a} {b}, bound {bound}");
            }
        }

        #[test]
        fn normalising_equals_the_formula(
            seed in any::<u32>(),
            color in prop_oneof![Just(ColorOrder::Rgb), Just(ColorOrder::Bgr), Just(ColorOrder::Grey)],
            range in prop_oneof![Just(ValueRange::Bytes), Just(ValueRange::Unit)],
            layout in prop_oneof![Just(Layout::Nchw), Just(Layout::Nhwc)],
        ) {
            let [height, width] = [3usize, 5];
            let preprocessing = Preprocessing {
                resize: Resize::None,
                size: [height as u32, width as u32],
                filter: ResizeFilter::Bilinear,
                color, range, layout,
                mean: [0.5, 10.0, 7.25],
                std: [0.3, 2.0, 58.395],
            };
            let image = image(width as u32, height as u32, seed);
            let mut out = vec![f32::NAN; preprocessing.output_len()];
            preprocessing.apply(&image, &mut out).unwrap();
            let channels = preprocessing.channels();
            for y in 0..height {
                for x in 0..width {
                    let pixel = &image.data()[(y * width + x) * 3..][..3];
                    for channel in 0..channels {
                        let level = match color {
                            ColorOrder::Rgb => f32::from(pixel[channel]),
                            ColorOrder::Bgr => f32::from(pixel[2 - channel]),
                            ColorOrder::Grey => (0.299 * f64::from(pixel[0])
                                + 0.587 * f64::from(pixel[1])
                                + 0.114 * f64::from(pixel[2])).round() as f32,
                        };
                        let scaled = if range == ValueRange::Unit { level / 255.0 } else { level };
                        let expected = (scaled - preprocessing.mean[channel]) / preprocessing.std[channel];
                        let index = match layout {
                            Layout::Nchw => (channel * height + y) * width + x,
                            Layout::Nhwc => (y * width + x) * channels + channel,
                        };
                        // Luma in fixed point may round the other way at a half.
                        let slack = if color == ColorOrder::Grey {
                            1.001 / preprocessing.std[0]
                        } else {
                            0.0
                        };
                        prop_assert!((out[index] - expected).abs() <= slack);
                    }
                }
            }
        }
    }

    #[test]
    fn luma_of_grey_is_itself_and_matches_pillow() {
        for level in 0..=255u8 {
            assert_eq!(luma([level; 3]), level);
        }
        // Pillow 13: Image.new("RGB", (1, 1), colour).convert("L").
        struct Case {
            color: [u8; 3],
            luma: u8,
        }
        for case in [
            Case {
                color: [255, 0, 0],
                luma: 76,
            },
            Case {
                color: [0, 255, 0],
                luma: 150,
            },
            Case {
                color: [0, 0, 255],
                luma: 29,
            },
            Case {
                color: [12, 200, 77],
                luma: 130,
            },
        ] {
            assert_eq!(luma(case.color), case.luma, "{:?}", case.color);
        }
    }

    #[test]
    fn sizes_are_checked() {
        let shape = InputShape {
            channels: 3,
            height: 4,
            width: 4,
        };
        let mut preprocessing = Preset::Caffe.preprocessing(shape);
        let mut short_buffer = [0.0; 47];
        assert!(matches!(
            preprocessing.apply(&image(4, 4, 0), &mut short_buffer),
            Err(PreprocessError::BufferLength {
                found: 47,
                expected: 48
            })
        ));
        preprocessing.resize = Resize::None;
        let mut buffer = [0.0; 48];
        let error = preprocessing
            .apply(&image(5, 4, 0), &mut buffer)
            .unwrap_err();
        assert!(error.to_string().contains("5x4"), "{error}");
        preprocessing.apply(&image(4, 4, 0), &mut buffer).unwrap();
    }

    #[test]
    fn one_pixel_and_one_very_long_row_become_inputs() {
        let shape = InputShape {
            channels: 3,
            height: 224,
            width: 224,
        };
        let preprocessing = Preset::ImagenetTorch.preprocessing(shape);
        let mut out = vec![f32::NAN; preprocessing.output_len()];
        for (width, height) in [(1, 1), (60_000, 1), (1, 60_000)] {
            preprocessing
                .apply(&image(width, height, 7), &mut out)
                .unwrap();
            assert!(
                out.iter().all(|value| value.is_finite()),
                "{width}x{height}"
            );
        }
    }
}
