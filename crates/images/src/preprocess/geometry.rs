//! Which part of an image the input shows.
//!
//! Place in the flow: computed from an image's size and a [`Preprocessing`]; used to resize, and to
//! lead input coordinates (a receptive field) back to pixels of the original. Constant cost.

use super::{PreprocessError, Preprocessing, Resize};

/// The box of the original, in pixels with fractions, that the input shows. Input coordinate
/// `(y, x)` in `[0, H] x [0, W]` lies at `(top + y * height / H, left + x * width / W)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputGeometry {
    /// Upper edge, pixels of the original.
    pub top: f64,
    /// Left edge, pixels of the original.
    pub left: f64,
    /// Extent, pixels of the original.
    pub height: f64,
    /// Extent, pixels of the original.
    pub width: f64,
    /// `[height, width]` of the input, pixels.
    pub input: [u32; 2],
}

impl InputGeometry {
    /// Input coordinates `[y, x]` (pixel edges, not centres) to those of the original.
    #[must_use]
    pub fn to_original(&self, [y, x]: [f64; 2]) -> [f64; 2] {
        let [rows, columns] = self.input.map(f64::from);
        [
            self.top + y * self.height / rows,
            self.left + x * self.width / columns,
        ]
    }

    /// Coordinates `[y, x]` of the original to those of the input; outside the input where the crop
    /// left them out.
    #[must_use]
    pub fn to_input(&self, [y, x]: [f64; 2]) -> [f64; 2] {
        let [rows, columns] = self.input.map(f64::from);
        [
            (y - self.top) * rows / self.height,
            (x - self.left) * columns / self.width,
        ]
    }
}

impl Preprocessing {
    /// Which part of an image of `width` x `height` pixels the input shows.
    ///
    /// # Errors
    /// When the description is impossible, or the size wrong and resizing off.
    pub fn geometry(&self, width: u32, height: u32) -> Result<InputGeometry, PreprocessError> {
        self.validate()?;
        let [input_height, input_width] = self.size;
        if width == 0 || height == 0 {
            return Err(PreprocessError::Invalid(
                "the image has no pixels".to_owned(),
            ));
        }
        let exact = [height, width] == self.size;
        let whole = InputGeometry {
            top: 0.0,
            left: 0.0,
            height: f64::from(height),
            width: f64::from(width),
            input: self.size,
        };
        match self.resize {
            Resize::None if !exact => Err(PreprocessError::WrongSize {
                width,
                height,
                input_width,
                input_height,
            }),
            Resize::ShortSideCrop { keep_exact, .. } if exact && keep_exact => Ok(whole),
            Resize::None | Resize::Squash => Ok(whole),
            Resize::ShortSideCrop { short, .. } => {
                let [resized_height, resized_width] = resized_size(height, width, short);
                let scale_y = f64::from(height) / resized_height as f64;
                let scale_x = f64::from(width) / resized_width as f64;
                Ok(InputGeometry {
                    top: crop_start(resized_height, input_height) * scale_y,
                    left: crop_start(resized_width, input_width) * scale_x,
                    height: f64::from(input_height) * scale_y,
                    width: f64::from(input_width) * scale_x,
                    input: self.size,
                })
            }
        }
    }
}

/// `[height, width]` after torchvision's `Resize(short)`: the long side is
/// `int(short * long / short side)`. u64, since a 1-pixel-wide image of full height overflows u32.
pub(super) fn resized_size(height: u32, width: u32, short: u32) -> [u64; 2] {
    let (short_side, long_side) = (height.min(width), height.max(width));
    let long = u64::from(short) * u64::from(long_side) / u64::from(short_side.max(1));
    if height <= width {
        [u64::from(short), long]
    } else {
        [long, u64::from(short)]
    }
}

/// torchvision's `CenterCrop`: `int(round((extent - crop) / 2.0))`, halves to even.
pub(super) fn crop_start(extent: u64, crop: u32) -> f64 {
    let spare = extent.saturating_sub(u64::from(crop));
    (spare as f64 / 2.0).round_ties_even()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::{InputShape, Preset};
    use proptest::prelude::*;

    #[test]
    fn rounds_like_torchvision() {
        struct Case {
            size: [u32; 2],
            short: u32,
            resized: [u64; 2],
            crop: u32,
            start: [f64; 2],
        }
        let cases = [
            Case {
                size: [375, 500],
                short: 256,
                resized: [256, 341],
                crop: 224,
                start: [16.0, 58.0],
            },
            Case {
                size: [500, 375],
                short: 256,
                resized: [341, 256],
                crop: 224,
                start: [58.0, 16.0],
            },
            Case {
                size: [300, 301],
                short: 257,
                resized: [257, 257],
                crop: 224,
                start: [16.0, 16.0],
            },
            Case {
                size: [100, 101],
                short: 226,
                resized: [226, 228],
                crop: 223,
                start: [2.0, 2.0],
            },
            Case {
                size: [1, 60000],
                short: 8,
                resized: [8, 480_000],
                crop: 8,
                start: [0.0, 239_996.0],
            },
        ];
        for case in cases {
            let [height, width] = case.size;
            let resized = resized_size(height, width, case.short);
            assert_eq!(resized, case.resized, "{height}x{width}");
            assert_eq!(
                resized.map(|e| crop_start(e, case.crop)),
                case.start,
                "{height}x{width}"
            );
        }
    }

    proptest! {
        #[test]
        fn input_box_lies_inside_and_maps_back(
            width in 1u32..5000,
            height in 1u32..5000,
            input_width in 1u32..300,
            input_height in 1u32..300,
            squash in any::<bool>(),
            y in 0.0f64..1.0,
            x in 0.0f64..1.0,
        ) {
            let shape = InputShape { channels: 3, height: input_height, width: input_width };
            let mut preprocessing = Preset::Caffe.preprocessing(shape);
            if squash {
                preprocessing.resize = Resize::Squash;
            }
            let geometry = preprocessing.geometry(width, height).unwrap();
            prop_assert!(geometry.top >= 0.0 && geometry.left >= 0.0);
            prop_assert!(geometry.top + geometry.height <= f64::from(height) + 1e-6);
            prop_assert!(geometry.left + geometry.width <= f64::from(width) + 1e-6);
            let point = [y * f64::from(input_height), x * f64::from(input_width)];
            let back = geometry.to_input(geometry.to_original(point));
            prop_assert!((back[0] - point[0]).abs() < 1e-6 && (back[1] - point[1]).abs() < 1e-6);
        }
    }
}
