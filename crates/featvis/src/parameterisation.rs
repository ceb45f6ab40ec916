//! What is optimised in place of pixels: the spectrum of a picture in decorrelated colours, or its phases.
//!
//! ```text
//! parameters ──▶ spectrum [3, W/2+1, H] ──▶ inverse FFT ──▶ colours correlated ──▶ sigmoid ──▶ picture
//! ```
//!
//! All frequencies then grow at the rate natural images have (1/f), and a step changes colours as they
//! vary in photographs. Constants are lucid's. With [`Magnitudes`] only the phases are free (Fel et al.,
//! *Unlocking feature visualization for deeper networks with magnitude constrained optimization*, NeurIPS
//! 2023): a picture cannot put its energy where photographs have none. Everything has its adjoint beside it.
//! Cost: two FFTs a step.

use crate::random::Random;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::TAU;
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

/// Levels of photographs are kept this far from black and white, whose logit is infinite.
const MARGIN: f32 = 0.01;

/// How strong every frequency of a picture is: the mean over photographs, of their decorrelated logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Magnitudes {
    extents: [usize; 2],
    /// `[3, W / 2 + 1, H]`, orthonormal.
    values: Vec<f32>,
}

impl Magnitudes {
    /// * `pictures`: each `[3, H, W]`, 0 to 1, of `extents`.
    ///
    /// `None` without pictures, or where one has other extents.
    #[must_use]
    pub fn of(pictures: &[Vec<f32>], extents: [usize; 2]) -> Option<Self> {
        let [height, width] = extents;
        let half = (width / 2 + 1) * height;
        let plane_len = height * width;
        let mut transform = PlaneTransform::new(extents);
        let mut sums = vec![0.0_f64; 3 * half];
        for picture in pictures {
            if picture.len() != 3 * plane_len {
                return None;
            }
            let planes = decorrelated(picture);
            for (plane, sums) in planes
                .chunks_exact(plane_len)
                .zip(sums.chunks_exact_mut(half))
            {
                for (sum, value) in sums.iter_mut().zip(transform.forward(plane)) {
                    *sum += f64::from(value.norm());
                }
            }
        }
        let count = pictures.len() as f64;
        (count > 0.0).then(|| Self {
            extents,
            values: sums.iter().map(|sum| (sum / count) as f32).collect(),
        })
    }
}

/// What the sigmoid of the correlated colours of gives `picture`, `[3, H, W]`.
fn decorrelated(picture: &[f32]) -> Vec<f32> {
    let plane_len = picture.len() / 3;
    let inverse = inverse(COLOURS);
    let logit = |level: f32| {
        let level = level.clamp(MARGIN, 1.0 - MARGIN);
        (level / (1.0 - level)).ln()
    };
    let mut planes = vec![0.0; picture.len()];
    for position in 0..plane_len {
        let colours: [f32; 3] = std::array::from_fn(|k| logit(picture[k * plane_len + position]));
        for (k, mix) in inverse.iter().enumerate() {
            planes[k * plane_len + position] = mix.iter().zip(colours).map(|(a, b)| a * b).sum();
        }
    }
    planes
}

/// By cofactors.
fn inverse(m: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let minor = |row: usize, column: usize| {
        let [a, b] = [(row + 1) % 3, (row + 2) % 3];
        let [c, d] = [(column + 1) % 3, (column + 2) % 3];
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let determinant: f32 = (0..3).map(|column| m[0][column] * minor(0, column)).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| minor(column, row) / determinant))
}

/// What the parameters are.
enum Form {
    /// Real and imaginary parts, `[3, W / 2 + 1, H, 2]`; `[W / 2 + 1, H]`: the amplitude a parameter of 1
    /// stands for, 1 / f.
    Spectrum(Vec<f32>),
    /// Phases, `[3, W / 2 + 1, H]`, radians; the magnitudes, in the same order.
    Phases(Vec<f32>),
}

/// A picture as the parameters of its spectrum.
pub(crate) struct Fourier {
    plane: PlaneTransform,
    form: Form,
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
        let noise = (0..count).map(|_| (START * random.normal()) as f32);
        Self::of(extents, Form::Spectrum(scale), noise.collect())
    }

    /// Phases to start from, any as likely as any other.
    pub(crate) fn with_magnitudes(magnitudes: &Magnitudes, random: &mut Random) -> Self {
        let values = magnitudes.values.clone();
        let phases = values.iter().map(|_| (TAU * random.uniform()) as f32);
        let phases = phases.collect();
        Self::of(magnitudes.extents, Form::Phases(values), phases)
    }

    fn of(extents: [usize; 2], form: Form, parameters: Vec<f32>) -> Self {
        Self {
            plane: PlaneTransform::new(extents),
            form,
            parameters,
            planes: vec![0.0; 3 * extents[0] * extents[1]],
        }
    }

    /// What is optimised.
    pub(crate) fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    /// The picture, `[3, H, W]`, 0 to 1.
    pub(crate) fn picture(&mut self, picture: &mut [f32]) {
        let plane_len = picture.len() / 3;
        let per_plane = self.parameters.len() / 3;
        let mut planes = std::mem::take(&mut self.planes);
        for (colour, (plane, parameters)) in planes
            .chunks_exact_mut(plane_len)
            .zip(self.parameters.chunks_exact(per_plane))
            .enumerate()
        {
            match &self.form {
                Form::Spectrum(scale) => {
                    let pairs = parameters.as_chunks::<2>().0.iter().zip(scale);
                    let spectrum =
                        pairs.map(|([re, im], scale)| Complex::new(*re, *im) * *scale / CALM);
                    self.plane.inverse(spectrum, plane);
                }
                Form::Phases(magnitudes) => {
                    let own = &magnitudes[colour * per_plane..];
                    let spectrum = parameters.iter().zip(own);
                    let spectrum = spectrum.map(|(phase, size)| Complex::from_polar(*size, *phase));
                    self.plane.inverse(spectrum, plane);
                }
            }
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
        let per_plane = self.parameters.len() / 3;
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
        for (colour, (plane, gradient)) in planes
            .chunks_exact(plane_len)
            .zip(gradient.chunks_exact_mut(per_plane))
            .enumerate()
        {
            let spectrum = self.plane.adjoint(plane);
            match &self.form {
                Form::Spectrum(scale) => {
                    let pairs = gradient.as_chunks_mut::<2>().0.iter_mut();
                    for ((pair, value), &scale) in pairs.zip(spectrum).zip(scale) {
                        *pair = [value.re * scale / CALM, value.im * scale / CALM];
                    }
                }
                Form::Phases(magnitudes) => {
                    let phases = self.parameters[colour * per_plane..].iter();
                    let own = phases.zip(&magnitudes[colour * per_plane..]);
                    for ((slot, value), (phase, size)) in gradient.iter_mut().zip(spectrum).zip(own)
                    {
                        let (sine, cosine) = phase.sin_cos();
                        *slot = size * (value.im * cosine - value.re * sine);
                    }
                }
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

    /// Columns of the whole spectrum a column of the half one stands for.
    fn copies(&self, column: usize) -> f32 {
        let mirrored = column > 0 && 2 * column != self.extents[1];
        if mirrored { 2.0 } else { 1.0 }
    }

    /// Weight of a column of the half spectrum, orthonormal.
    fn weight(&self, column: usize) -> f32 {
        let [height, width] = self.extents;
        self.copies(column) / ((height * width) as f32).sqrt()
    }

    /// The half spectrum whose inverse is `plane`.
    fn forward(&mut self, plane: &[f32]) -> &[Complex<f32>] {
        let height = self.extents[0];
        self.adjoint(plane);
        for column in 0..=self.extents[1] / 2 {
            let copies = self.copies(column);
            for value in self.spectrum.iter_mut().skip(column * height).take(height) {
                *value /= copies;
            }
        }
        &self.spectrum
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
                    let angle = TAU * turns;
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

    fn photographs(extents: [usize; 2], random: &mut Random) -> Vec<Vec<f32>> {
        let count = 3 * extents[0] * extents[1];
        let mut photograph = || (0..count).map(|_| random.uniform() as f32).collect();
        vec![photograph(), photograph()]
    }

    #[test]
    fn forward_and_inverse_undo_each_other() {
        for extents in [[6, 8], [5, 7], [8, 5], [1, 4]] {
            let mut random = Random::new(&[2]);
            let picture = &photographs(extents, &mut random)[0];
            let plane = &picture[..extents[0] * extents[1]];
            let mut transform = PlaneTransform::new(extents);
            let spectrum = transform.forward(plane).to_vec();
            let mut back = vec![0.0; plane.len()];
            transform.inverse(spectrum.into_iter(), &mut back);
            for (found, wanted) in back.iter().zip(plane) {
                assert!((found - wanted).abs() < 1e-5, "{extents:?}");
            }
        }
    }

    #[test]
    fn magnitudes_are_kept_whatever_the_phases() {
        let extents = [6, 8];
        let mut random = Random::new(&[7]);
        let wanted = Magnitudes::of(&photographs(extents, &mut random), extents).unwrap();
        let mut image = Fourier::with_magnitudes(&wanted, &mut random);
        let mut picture = vec![0.0; 3 * 6 * 8];
        image.picture(&mut picture);
        // Before the clamp of `decorrelated` the round trip is exact; columns that are their own mirror
        // image have a real part only, whatever their phase.
        let planes = decorrelated(&picture);
        let mut transform = PlaneTransform::new(extents);
        for (colour, plane) in planes.chunks_exact(48).enumerate() {
            let found = transform.forward(plane);
            for column in 1..4 {
                for row in 0..6 {
                    let at = column * 6 + row;
                    let (found, wanted) = (found[at].norm(), wanted.values[colour * 30 + at]);
                    assert!(
                        (found - wanted).abs() < 1e-2 * wanted,
                        "{found} for {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn without_photographs_there_are_no_magnitudes() {
        assert_eq!(Magnitudes::of(&[], [4, 4]), None);
        assert_eq!(Magnitudes::of(&[vec![0.5; 47]], [4, 4]), None);
        assert!(Magnitudes::of(&[vec![0.5; 48]], [4, 4]).is_some());
    }

    #[test]
    fn gradients_are_finite_differences() {
        for (extents, phases) in [
            ([6, 8], false),
            ([5, 7], false),
            ([6, 8], true),
            ([5, 7], true),
        ] {
            let [height, width] = extents;
            let count = 3 * height * width;
            let mut random = Random::new(&[4]);
            let mut image = if phases {
                let magnitudes =
                    Magnitudes::of(&photographs(extents, &mut random), extents).unwrap();
                Fourier::with_magnitudes(&magnitudes, &mut random)
            } else {
                Fourier::new(extents, &mut random)
            };
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
