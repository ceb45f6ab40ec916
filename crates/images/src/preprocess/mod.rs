//! Pixels to the network's input.
//!
//! Place in the flow: after [`mod@crate::decode`], before the network. [`Preprocessing`] is a plain
//! description (it goes into the run's manifest); `geometry` says which part of an image the input
//! shows, and is the one truth shared by [`Preprocessing::apply`] and the way back in
//! [`mod@crate::thumbnail`]; `metadata` reads a description out of an ONNX file.
//!
//! `[height, width, 3]` u8 in, `[channels, H, W]` or `[H, W, channels]` f32 out. Resizing follows
//! torchvision on Pillow images: `Resize(short)`, `CenterCrop`, both with their rounding, filters
//! widened when shrinking, 8-bit results. Only the crop is ever computed, so a very long image costs
//! no more than a square one.

mod apply;
mod geometry;
mod metadata;
mod unit;

pub(crate) use apply::resample;
pub use geometry::InputGeometry;
pub use metadata::{FoundSetting, MetadataReading, from_metadata};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Largest input extent accepted, pixels.
const MAX_INPUT_EXTENT: u32 = 16_384;

/// Extents of the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputShape {
    /// 1 (grey) or 3.
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// How an image gets to the input's extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum Resize {
    /// The short side to `short` pixels, keeping the aspect ratio, then the centre of the input's
    /// size.
    ShortSideCrop {
        /// Pixels; not less than the input's extents.
        short: u32,
        /// An image that already has the input's size is taken as it is. torchvision would enlarge
        /// and crop it; data sets stored at the input's size are not meant to be.
        keep_exact: bool,
    },
    /// To the input's size, whatever the aspect ratio.
    Squash,
    /// Not at all: every image must have the input's size.
    None,
}

/// Interpolation, as Pillow's filter of that name (antialiased when shrinking).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResizeFilter {
    /// The nearest pixel.
    Nearest,
    /// The mean of the pixels covered.
    Box,
    /// Pillow's and torchvision's default.
    #[default]
    Bilinear,
    /// Catmull-Rom.
    Bicubic,
    /// Lanczos with three lobes.
    Lanczos,
}

/// Order of the input's channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColorOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel of luma (ITU-R 601, Pillow's `convert("L")`), taken after resizing.
    Grey,
}

/// Range of a pixel before the mean is subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueRange {
    /// 0 to 255.
    #[serde(rename = "0-255")]
    Bytes,
    /// 0 to 1.
    #[serde(rename = "0-1")]
    Unit,
}

/// Order of the input's axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Layout {
    /// `[channels, height, width]`.
    #[default]
    Nchw,
    /// `[height, width, channels]`.
    Nhwc,
}

/// How an image becomes the network's input: `(range(pixel) - mean) / std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Extents.
    pub resize: Resize,
    /// `[height, width]` of the input, pixels.
    pub size: [u32; 2],
    /// Interpolation.
    pub filter: ResizeFilter,
    /// Channels.
    pub color: ColorOrder,
    /// Range before the mean.
    pub range: ValueRange,
    /// Mean per input channel, in the order of [`Self::color`]; of grey the first counts.
    pub mean: [f32; 3],
    /// Divisor per input channel, in the order of [`Self::color`]; of grey the first counts.
    pub std: [f32; 3],
    /// Axes.
    pub layout: Layout,
}

/// Why an image did not become an input.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    /// [`Resize::None`] and another size.
    #[error(
        "the image is {width}x{height} pixels, the network takes {input_width}x{input_height} and resizing is off"
    )]
    WrongSize {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Columns of the input.
        input_width: u32,
        /// Rows of the input.
        input_height: u32,
    },
    /// The description contradicts itself.
    #[error("the preprocessing is impossible: {0}")]
    Invalid(String),
    /// The caller's buffer.
    #[error("the input buffer holds {found} values, {expected} are needed")]
    BufferLength {
        /// Values there.
        found: usize,
        /// Values needed.
        expected: usize,
    },
}

impl Preprocessing {
    /// Values of one input: channels x height x width.
    #[must_use]
    pub fn output_len(&self) -> usize {
        let [height, width] = self.size;
        (height as usize)
            .saturating_mul(width as usize)
            .saturating_mul(self.channels())
    }

    /// Channels of the input: 1 or 3.
    #[must_use]
    pub fn channels(&self) -> usize {
        match self.color {
            ColorOrder::Rgb | ColorOrder::Bgr => 3,
            ColorOrder::Grey => 1,
        }
    }

    /// Checks the description once, before the first image.
    ///
    /// # Errors
    /// [`PreprocessError::Invalid`] with the contradiction.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        let invalid = |reason: String| Err(PreprocessError::Invalid(reason));
        let [height, width] = self.size;
        if height == 0 || width == 0 || height > MAX_INPUT_EXTENT || width > MAX_INPUT_EXTENT {
            return invalid(format!(
                "the input of {width}x{height} pixels is outside 1 to {MAX_INPUT_EXTENT}"
            ));
        }
        if let Resize::ShortSideCrop { short, .. } = self.resize
            && (short < height.max(width) || short > MAX_INPUT_EXTENT)
        {
            return invalid(format!(
                "a short side of {short} cannot be cropped to {width}x{height}"
            ));
        }
        let usable = |value: &f32| value.is_finite();
        if !self.mean.iter().all(usable) || !self.std.iter().all(|std| usable(std) && *std != 0.0) {
            return invalid("mean and std must be finite and std not 0".to_owned());
        }
        Ok(())
    }
}

/// Well-known conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// RGB 0-1, mean 0.485 0.456 0.406, std 0.229 0.224 0.225 (torchvision).
    ImagenetTorch,
    /// RGB, `(x - 127.5) / 127.5` (TensorFlow, MobileNet).
    ImagenetTf,
    /// BGR 0-255, mean 104 117 123 (Caffe, original VGG and GoogLeNet).
    Caffe,
}

impl Preset {
    /// All presets, for help texts.
    pub const ALL: [Self; 3] = [Self::ImagenetTorch, Self::ImagenetTf, Self::Caffe];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ImagenetTorch => "imagenet-torch",
            Self::ImagenetTf => "imagenet-tf",
            Self::Caffe => "caffe",
        }
    }

    /// The description for a network's input. A network with one channel gets luma, normalised by the
    /// mean of the preset's channels.
    #[must_use]
    pub fn preprocessing(self, input: InputShape) -> Preprocessing {
        let (color, range, mean, std) = match self {
            Self::ImagenetTorch => (
                ColorOrder::Rgb,
                ValueRange::Unit,
                [0.485, 0.456, 0.406],
                [0.229, 0.224, 0.225],
            ),
            Self::ImagenetTf => (ColorOrder::Rgb, ValueRange::Bytes, [127.5; 3], [127.5; 3]),
            Self::Caffe => (
                ColorOrder::Bgr,
                ValueRange::Bytes,
                [104.0, 117.0, 123.0],
                [1.0; 3],
            ),
        };
        let grey = input.channels == 1;
        let average = |values: [f32; 3]| [values.iter().sum::<f32>() / 3.0; 3];
        Preprocessing {
            resize: default_resize(input.height, input.width),
            size: [input.height, input.width],
            filter: ResizeFilter::default(),
            color: if grey { ColorOrder::Grey } else { color },
            range,
            mean: if grey { average(mean) } else { mean },
            std: if grey { average(std) } else { std },
            layout: Layout::default(),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("`{}` is not one of {names}", text.escape_debug())
            })
    }
}

/// The usual 256 for 224, in proportion for other sizes (299 -> 342).
pub(crate) fn default_resize(height: u32, width: u32) -> Resize {
    let longest = u64::from(height.max(width));
    let short = (longest * 256 + 112) / 224;
    Resize::ShortSideCrop {
        short: u32::try_from(short).unwrap_or(u32::MAX),
        keep_exact: true,
    }
}

impl fmt::Display for Preprocessing {
    /// One line for humans.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.size;
        let filter = match self.filter {
            ResizeFilter::Nearest => "nearest",
            ResizeFilter::Box => "box",
            ResizeFilter::Bilinear => "bilinear",
            ResizeFilter::Bicubic => "bicubic",
            ResizeFilter::Lanczos => "lanczos",
        };
        match self.resize {
            Resize::ShortSideCrop { short, keep_exact } => {
                write!(
                    formatter,
                    "short side to {short} ({filter}), centre {width}x{height}"
                )?;
                if keep_exact {
                    write!(formatter, " (images of that size as they are)")?;
                }
            }
            Resize::Squash => write!(formatter, "squashed to {width}x{height} ({filter})")?,
            Resize::None => write!(formatter, "{width}x{height} without resizing")?,
        }
        let color = match self.color {
            ColorOrder::Rgb => "RGB",
            ColorOrder::Bgr => "BGR",
            ColorOrder::Grey => "grey",
        };
        let range = match self.range {
            ValueRange::Bytes => "0-255",
            ValueRange::Unit => "0-1",
        };
        let layout = match self.layout {
            Layout::Nchw => "NCHW",
            Layout::Nhwc => "NHWC",
        };
        let list = |values: &[f32; 3]| -> String {
            let [first, second, third] = *values;
            if self.channels() == 1 || (first == second && second == third) {
                format!("{first}")
            } else {
                format!("{first} {second} {third}")
            }
        };
        write!(
            formatter,
            "; {color} {range}, mean {}, std {}, {layout}",
            list(&self.mean),
            list(&self.std)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: InputShape = InputShape {
        channels: 3,
        height: 224,
        width: 224,
    };

    #[test]
    fn presets_are_valid_serialisable_and_readable() {
        for preset in Preset::ALL {
            for (channels, extent) in [(3, 224), (1, 28), (3, 299), (3, 32), (3, 1)] {
                let preprocessing = preset.preprocessing(InputShape {
                    channels,
                    height: extent,
                    width: extent,
                });
                preprocessing.validate().unwrap();
                let json = serde_json::to_string(&preprocessing).unwrap();
                assert_eq!(
                    serde_json::from_str::<Preprocessing>(&json).unwrap(),
                    preprocessing
                );
            }
            assert_eq!(preset.name().parse::<Preset>().unwrap(), preset);
        }
        assert!(
            "torch"
                .parse::<Preset>()
                .unwrap_err()
                .contains("imagenet-torch")
        );
        assert_eq!(
            Preset::ImagenetTorch.preprocessing(INPUT).to_string(),
            "short side to 256 (bilinear), centre 224x224 (images of that size as they are); \
             RGB 0-1, mean 0.485 0.456 0.406, std 0.229 0.224 0.225, NCHW"
        );
        assert_eq!(
            default_resize(299, 299),
            Resize::ShortSideCrop {
                short: 342,
                keep_exact: true
            }
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let good = Preset::Caffe.preprocessing(INPUT);
        let short = |short| Resize::ShortSideCrop {
            short,
            keep_exact: false,
        };
        let cases = [
            Preprocessing {
                resize: short(223),
                ..good.clone()
            },
            Preprocessing {
                resize: short(u32::MAX),
                ..good.clone()
            },
            Preprocessing {
                size: [0, 224],
                ..good.clone()
            },
            Preprocessing {
                size: [u32::MAX, 224],
                ..good.clone()
            },
            Preprocessing {
                std: [1.0, 0.0, 1.0],
                ..good.clone()
            },
            Preprocessing {
                mean: [1.0, f32::NAN, 1.0],
                ..good.clone()
            },
        ];
        for case in cases {
            assert!(case.validate().is_err(), "{case}");
        }
    }
}
