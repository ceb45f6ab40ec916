//! Preprocessing of pictures that were never bytes, and its adjoint: what feature visualisation
//! optimises.
//!
//! A picture is `[3, height, width]`, f32, red, green, blue, 0 to 1, row-major, already of the wanted
//! extents (which need not be those of [`Preprocessing::size`]). Linear per pixel.

use super::{ColorOrder, Layout, Preprocessing, ValueRange};

/// ITU-R 601, as for bytes.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// One channel of the input: `weights . rgb + offset`.
struct Channel {
    weights: [f32; 3],
    offset: f32,
}

impl Preprocessing {
    fn unit_channels(&self) -> Vec<Channel> {
        let scale = match self.range {
            ValueRange::Bytes => 255.0,
            ValueRange::Unit => 1.0,
        };
        let only = |colour: usize| std::array::from_fn(|k| f32::from(u8::from(k == colour)));
        let colours: Vec<[f32; 3]> = match self.color {
            ColorOrder::Rgb => (0..3).map(only).collect(),
            ColorOrder::Bgr => (0..3).rev().map(only).collect(),
            ColorOrder::Grey => vec![LUMA],
        };
        let settings = self.mean.iter().zip(&self.std);
        colours
            .into_iter()
            .zip(settings)
            .map(|(weights, (mean, std))| Channel {
                weights: weights.map(|weight| weight * scale / std),
                offset: -mean / std,
            })
            .collect()
    }

    /// Index of (channel, position) in the input.
    fn unit_index(&self, channels: usize, plane: usize) -> impl Fn(usize, usize) -> usize {
        let planar = self.layout == Layout::Nchw;
        move |channel, position| match planar {
            true => channel * plane + position,
            false => position * channels + channel,
        }
    }

    /// The network's input for `picture`.
    pub fn apply_unit(&self, picture: &[f32], input: &mut Vec<f32>) {
        let plane = picture.len() / 3;
        let channels = self.unit_channels();
        let index = self.unit_index(channels.len(), plane);
        input.clear();
        input.resize(channels.len() * plane, 0.0);
        for (channel, Channel { weights, offset }) in channels.iter().enumerate() {
            for position in 0..plane {
                let mixed = (0..3).map(|k| weights[k] * picture[k * plane + position]);
                input[index(channel, position)] = mixed.sum::<f32>() + offset;
            }
        }
    }

    /// The gradient with respect to the picture, from that with respect to the input.
    pub fn apply_unit_adjoint(&self, input: &[f32], picture: &mut [f32]) {
        let plane = picture.len() / 3;
        let channels = self.unit_channels();
        let index = self.unit_index(channels.len(), plane);
        picture.fill(0.0);
        for (channel, Channel { weights, .. }) in channels.iter().enumerate() {
            for position in 0..plane {
                let upstream = input[index(channel, position)];
                for k in 0..3 {
                    picture[k * plane + position] += weights[k] * upstream;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::DecodedImage;
    use crate::preprocess::{InputShape, Preset};

    /// All presets, colour orders and layouts.
    fn cases() -> Vec<Preprocessing> {
        let mut cases = Vec::new();
        for preset in Preset::ALL {
            for channels in [1, 3] {
                let (height, width) = (5, 7);
                let shape = InputShape {
                    channels,
                    height,
                    width,
                };
                for layout in [Layout::Nchw, Layout::Nhwc] {
                    let mut preprocessing = preset.preprocessing(shape);
                    preprocessing.layout = layout;
                    cases.push(preprocessing);
                }
            }
        }
        cases
    }

    #[test]
    fn agrees_with_the_way_of_bytes() {
        let bytes: Vec<u8> = (0..5 * 7 * 3).map(|k| (k * 37 % 256) as u8).collect();
        let picture: Vec<f32> = (0..3)
            .flat_map(|k| bytes.iter().skip(k).step_by(3))
            .map(|&byte| f32::from(byte) / 255.0)
            .collect();
        for preprocessing in cases() {
            let image = DecodedImage::from_rgb(7, 5, bytes.clone()).unwrap();
            let mut expected = vec![0.0; preprocessing.output_len()];
            preprocessing.apply(&image, &mut expected).unwrap();
            let mut found = Vec::new();
            preprocessing.apply_unit(&picture, &mut found);
            assert_eq!(found.len(), expected.len());
            // Luma of bytes is rounded to a byte.
            let grey = preprocessing.color == ColorOrder::Grey;
            let level = match preprocessing.range {
                ValueRange::Bytes => 1.0,
                ValueRange::Unit => 1.0 / 255.0,
            } / preprocessing.std[0];
            let tolerance = if grey {
                0.51 * level
            } else {
                1e-3 * level.max(1e-3)
            };
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() <= tolerance, "{a} {b}: {preprocessing}");
            }
        }
    }

    #[test]
    fn the_adjoint_is_one() {
        let picture: Vec<f32> = (0..105).map(|k| (k as f32 * 0.77).sin()).collect();
        for preprocessing in cases() {
            let (mut input, mut zero) = (Vec::new(), Vec::new());
            preprocessing.apply_unit(&picture, &mut input);
            preprocessing.apply_unit(&[0.0; 105], &mut zero);
            let upstream: Vec<f32> = (0..input.len()).map(|k| (k as f32).cos()).collect();
            let mut back = vec![0.0; 105];
            preprocessing.apply_unit_adjoint(&upstream, &mut back);
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter()
                    .zip(b)
                    .map(|(x, y)| f64::from(*x) * f64::from(*y))
                    .sum()
            };
            let forward = dot(&input, &upstream) - dot(&zero, &upstream);
            let backward = dot(&picture, &back);
            let scale = forward.abs().max(1.0);
            assert!((forward - backward).abs() / scale < 1e-4, "{preprocessing}");
        }
    }
}
