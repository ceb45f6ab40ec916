//! What is optimised in place of pixels: the spectrum of a picture in decorrelated colours.
//!
//! ```text
//! parameters ──▶ spectrum [3, W/2+1, H] ──▶ inverse FFT ──▶ colours correlated ──▶ sigmoid ──▶ picture
//! ```
//!
//! All frequencies then grow at the rate natural images have (1/f), and a step changes colours as they
//! vary in photographs. Constants are lucid's. Everything has its adjoint beside it. Cost: two FFTs a
//! step.

use crate::random::Random;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Square root of the colour correlation of ImageNet (lucid), rows red, green, blue; divided by
/// the length of its longest column.
const COLOURS: [[f32; 3]; 3] = [
    [0.562_829, 0.194_825, 0.043_295],
    [0.584_476, 0.0, -0.108_236],
    [0.584_476, -0.194_825, 0.064_942],
];

/// Deviation of the parameters a picture starts from.
const START: f64 = 0.01;

/// Divides a picture before the sigmoid, which keeps colours from saturating (lucid).
const CALM: f32 = 4.0;

/// A picture as the parameters of its spectrum.
pub(crate) struct Fourier {
    plane: PlaneTransform,
    /// `[W / 2 + 1, H]`: the amplitude a parameter of 1 stands for, 1 / f.
    scale: Vec<f32>,
    /// `[3, W / 2 + 1, H]`, real and imaginary parts.
    parameters: Vec<f32>,
    /// Memory for [`Self::gradient`].
    planes: Vec<f32>,
}

impl Fourier {
    /// Noise to start from, for a picture of `extents`.
    pub(crate) fn new(extents: [usize; 2], random: &mut Random) -> Self {
        let [height, width] = extents;
        let frequency =
            |index: usize, extent: usize| index.min(extent - index) as f32 / extent as f32;
        let lowest = 1.0 / height.max(width) as f32;
        let mut scale = Vec::with_capacity(height * (width / 2 + 1));
        for column in 0..=width / 2 {
            for row in 0..height {
                let f = frequency(column, width).hypot(frequency(row, height));
                scale.push(1.0 / f.max(lowest));
            }
        }
        let count = 3 * scale.len() * 2;
        Self {
            plane: PlaneTransform::new(extents),
            scale,
            parameters: (0..count)
                .map(|_| (START * random.normal()) as f32)
                .collect(),
            planes: vec![0.0; 3 * height * width],
        }
    }

    /// What is optimised.
    pub(crate) fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    /// The picture, `[3, H, W]`, 0 to 1.
    pub(crate) fn picture(&mut self, picture: &mut [f32]) {
        let plane_len = picture.len() / 3;
        let half = self.scale.len();
        let mut planes = std::mem::take(&mut self.planes);
        for (plane, parameters) in planes
            .chunks_exact_mut(plane_len)
            .zip(self.parameters.chunks_exact(2 * half))
        {
            let pairs = parameters.chunks_exact(2).zip(&self.scale);
            let spectrum = pairs
                .map(|(pair, &scale)| Complex::new(pair[0] * scale / CALM, pair[1] * scale / CALM));
            self.plane.inverse(spectrum, plane);
        }
        for position in 0..plane_len {
            for (colour, mix) in COLOURS.iter().enumerate() {
                let value: f32 = (0..3)
                    .map(|k| mix[k] * planes[k * plane_len + position])
                    .sum();
                picture[colour * plane_len + position] = 1.0 / (1.0 + (-value).exp());
            }
        }
        self.planes = planes;
    }

    /// The gradient with respect to the parameters, from that with respect to `picture`, which must
    /// be what [`Self::picture`] gave last.
    pub(crate) fn gradient(&mut self, picture: &[f32], upstream: &[f32], gradient: &mut [f32]) {
        let plane_len = picture.len() / 3;
        let half = self.scale.len();
        let mut planes = std::mem::take(&mut self.planes);
        planes.fill(0.0);
        for position in 0..plane_len {
            for (colour, mix) in COLOURS.iter().enumerate() {
                let at = colour * plane_len + position;
                let slope = upstream[at] * picture[at] * (1.0 - picture[at]);
                for k in 0..3 {
                    planes[k * plane_len + position] += mix[k] * slope;
                }
            }
        }
        for (plane, gradient) in planes
            .chunks_exact(plane_len)
            .zip(gradient.chunks_exact_mut(2 * half))
        {
            let spectrum = self.plane.adjoint(plane);
            for ((pair, value), &scale) in
                gradient.chunks_exact_mut(2).zip(spectrum).zip(&self.scale)
            {
                pair[0] = value.re * scale / CALM;
                pair[1] = value.im * scale / CALM;
            }
        }
        self.planes = planes;
    }
}

/// The inverse FFT of a real plane `[H, W]` from its half spectrum `[W / 2 + 1, H]`, orthonormal.
///
/// A column between 0 and the highest frequency stands for itself and its mirror image, so it counts
/// twice and the real part of an ordinary inverse FFT is the plane. The adjoint follows at once.
struct PlaneTransform {
    extents: [usize; 2],
    columns: [Arc<dyn Fft<f32>>; 2],
    rows: [Arc<dyn Fft<f32>>; 2],
    spectrum: Vec<Complex<f32>>,
    plane: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl PlaneTransform {
    fn new([height, width]: [usize; 2]) -> Self {
        let mut planner = FftPlanner::new();
        let columns = [
            planner.plan_fft_inverse(height),
            planner.plan_fft_forward(height),
        ];
        let rows = [
            planner.plan_fft_inverse(width),
            planner.plan_fft_forward(width),
        ];
        let scratch = columns
            .iter()
            .chain(&rows)
            .map(|fft| fft.get_inplace_scratch_len())
            .max()
            .unwrap_or(0);
        let zero = Complex::new(0.0, 0.0);
        Self {
            extents: [height, width],
            columns,
            rows,
            spectrum: vec![zero; (width / 2 + 1) * height],
            plane: vec![zero; height * width],
            scratch: vec![zero; scratch],
        }
    }

    /// Weight of a column of the half spectrum, orthonormal.
    fn weight(&self, column: usize) -> f32 {
        let [height, width] = self.extents;
        let mirrored = column > 0 && 2 * column != width;
        let copies = if mirrored { 2.0 } else { 1.0 };
        copies / ((height * width) as f32).sqrt()
    }

    fn inverse(&mut self, spectrum: impl Iterator<Item = Complex<f32>>, plane: &mut [f32]) {
        let [height, width] = self.extents;
        for (slot, value) in self.spectrum.iter_mut().zip(spectrum) {
            *slot = value;
        }
        self.columns[0].process_with_scratch(&mut self.spectrum, &mut self.scratch);
        self.plane.fill(Complex::new(0.0, 0.0));
        for column in 0..=width / 2 {
            let weight = self.weight(column);
            for row in 0..height {
                self.plane[row * width + column] = self.spectrum[column * height + row] * weight;
            }
        }
        self.rows[0].process_with_scratch(&mut self.plane, &mut self.scratch);
        for (out, value) in plane.iter_mut().zip(&self.plane) {
            *out = value.re;
        }
    }

    fn adjoint(&mut self, plane: &[f32]) -> &[Complex<f32>] {
        let [height, width] = self.extents;
        for (slot, &value) in self.plane.iter_mut().zip(plane) {
            *slot = Complex::new(value, 0.0);
        }
        self.rows[1].process_with_scratch(&mut self.plane, &mut self.scratch);
        for column in 0..=width / 2 {
            let weight = self.weight(column);
            for row in 0..height {
                self.spectrum[column * height + row] = self.plane[row * width + column] * weight;
            }
        }
        self.columns[1].process_with_scratch(&mut self.spectrum, &mut self.scratch);
        &self.spectrum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The orthonormal inverse real FFT, straight from the definition: every column of the half
    /// spectrum but the first (and the last of an even width) stands for its mirror image as well.
    fn naive(spectrum: &[Complex<f32>], [height, width]: [usize; 2]) -> Vec<f64> {
        let mut plane = vec![0.0; height * width];
        for (place, value) in plane.iter_mut().enumerate() {
            let (y, x) = (place / width, place % width);
            for column in 0..width {
                for row in 0..height {
                    let mirrored = column > width / 2;
                    let (c, r) = match mirrored {
                        true => (width - column, (height - row) % height),
                        false => (column, row),
                    };
                    let half = spectrum[c * height + r];
                    let (re, im) = (f64::from(half.re), f64::from(half.im));
                    let im = if mirrored { -im } else { im };
                    let turns =
                        (row * y) as f64 / height as f64 + (column * x) as f64 / width as f64;
                    let angle = std::f64::consts::TAU * turns;
                    *value += re * angle.cos() - im * angle.sin();
                }
            }
            *value /= ((height * width) as f64).sqrt();
        }
        plane
    }

    #[test]
    fn the_plane_is_the_inverse_transform() {
        for extents in [[6, 8], [5, 7], [8, 5], [1, 4], [7, 6]] {
            let [height, width] = extents;
            let mut random = Random::new(&[9]);
            let mut number = || random.normal() as f32;
            let spectrum: Vec<Complex<f32>> = (0..height * (width / 2 + 1))
                .map(|_| Complex::new(number(), number()))
                .collect();
            let mut plane = vec![0.0; height * width];
            PlaneTransform::new(extents).inverse(spectrum.iter().copied(), &mut plane);
            for (found, expected) in plane.iter().zip(naive(&spectrum, extents)) {
                assert!((f64::from(*found) - expected).abs() < 1e-4, "{extents:?}");
            }
        }
    }

    #[test]
    fn gradients_are_finite_differences() {
        for extents in [[6, 8], [5, 7]] {
            let [height, width] = extents;
            let count = 3 * height * width;
            let mut random = Random::new(&[4]);
            let mut image = Fourier::new(extents, &mut random);
            // Away from grey, where all slopes are alike.
            image
                .parameters_mut()
                .iter_mut()
                .for_each(|x| *x = random.normal() as f32);
            let weights: Vec<f32> = (0..count).map(|_| random.normal() as f32).collect();
            let mut picture = vec![0.0; count];
            let mut value = |image: &mut Fourier| -> f64 {
                image.picture(&mut picture);
                let terms = picture.iter().zip(&weights);
                terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            value(&mut image);
            let mut at = vec![0.0; count];
            image.picture(&mut at);
            let mut gradient = vec![0.0; image.parameters_mut().len()];
            image.gradient(&at, &weights, &mut gradient);
            let scale = gradient.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            let h = 1e-2;
            for index in (0..gradient.len()).step_by(5) {
                let start = image.parameters_mut()[index];
                image.parameters_mut()[index] = start + h;
                let high = value(&mut image);
                image.parameters_mut()[index] = start - h;
                let low = value(&mut image);
                image.parameters_mut()[index] = start;
                let expected = (high - low) / f64::from(2.0 * h);
                let error = (f64::from(gradient[index]) - expected).abs();
                assert!(
                    error < 2e-3 * f64::from(scale),
                    "{index}: {error} of {scale}"
                );
            }
        }
    }

    #[test]
    fn noise_starts_near_grey() {
        let mut image = Fourier::new([32, 32], &mut Random::new(&[0]));
        let mut picture = vec![0.0; 3 * 32 * 32];
        image.picture(&mut picture);
        assert!(picture.iter().all(|value| (0.3..0.7).contains(value)));
        let spread = picture.iter().fold(0.0f32, |a, b| a.max((b - 0.5).abs()));
        assert!(spread > 1e-4);
    }
}
