//! Transformation robustness: the network sees the picture shifted, scaled and turned a little, anew
//! in every step, so that only what survives this is drawn.
//!
//! Lucid pads, jitters, scales, rotates and jitters again, each an interpolation of its own. All of
//! these are maps of the plane and so is their composition: one bilinear sampling of the picture,
//! grey around it. Its adjoint spreads gradients with the same four weights. Cost: 24 multiplications a
//! pixel.

use crate::random::Random;

/// Brightness around the picture.
const BORDER: f32 = 0.5;

/// How far a picture may be moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Robustness {
    /// Shift before the other changes, pixels either way.
    pub jitter: u32,
    /// Steps of 0.02 by which the scale may leave 1, either way.
    pub scale_steps: u32,
    /// Degrees by which it may be turned, either way.
    pub degrees: u32,
    /// Shift after the other changes, pixels either way.
    pub last_jitter: u32,
}

impl Robustness {
    /// Lucid's: windows of 8 and 4 pixels, scales 0.9 to 1.1, 10 degrees.
    pub const STANDARD: Self = Self {
        jitter: 4,
        scale_steps: 5,
        degrees: 10,
        last_jitter: 2,
    };

    /// For a picture of `side` pixels: shifts in proportion to 128.
    #[must_use]
    pub fn for_side(side: usize) -> Self {
        let shift = |pixels: u32| (pixels * side.min(128) as u32).div_ceil(128);
        Self {
            jitter: shift(Self::STANDARD.jitter),
            last_jitter: shift(Self::STANDARD.last_jitter),
            ..Self::STANDARD
        }
    }

    /// One change at random.
    pub(crate) fn draw(&self, random: &mut Random, extents: [usize; 2]) -> Affine {
        let first = [random.within(self.jitter), random.within(self.jitter)];
        let scale = 1.0 + 0.02 * random.within(self.scale_steps);
        // As in lucid, no turn is more likely than any.
        let unturned = random.uniform() < 5.0 / 26.0;
        let degrees = random.within(self.degrees);
        let angle = if unturned { 0.0 } else { degrees.to_radians() };
        let last = [
            random.within(self.last_jitter),
            random.within(self.last_jitter),
        ];
        Affine::new(extents, first, scale, angle, last)
    }
}

/// Where each pixel comes from: `source = matrix * target + offset`, both `(row, column)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    matrix: [[f32; 2]; 2],
    offset: [f32; 2],
}

impl Affine {
    /// Turned by `angle` and enlarged by `scale` about the centre, shifted before and after.
    fn new(extents: [usize; 2], before: [f64; 2], scale: f64, angle: f64, after: [f64; 2]) -> Self {
        let (sin, cos) = angle.sin_cos();
        let matrix = [[cos / scale, -sin / scale], [sin / scale, cos / scale]];
        let centre = extents.map(|extent| (extent as f64 - 1.0) / 2.0);
        let offset: [f64; 2] = std::array::from_fn(|axis| {
            let turned: f64 = (0..2)
                .map(|k| matrix[axis][k] * (after[k] - centre[k]))
                .sum();
            centre[axis] + before[axis] + turned
        });
        Self {
            matrix: matrix.map(|row| row.map(|x| x as f32)),
            offset: offset.map(|x| x as f32),
        }
    }

    /// Calls `tap(target, source, weight)` for every source pixel that counts, and `border(target,
    /// weight)` with what falls outside the picture.
    fn taps(
        &self,
        [height, width]: [usize; 2],
        mut tap: impl FnMut(usize, usize, f32),
        mut border: impl FnMut(usize, f32),
    ) {
        for row in 0..height {
            for column in 0..width {
                let target = row * width + column;
                let place = |axis: usize| {
                    self.offset[axis]
                        + self.matrix[axis][0] * row as f32
                        + self.matrix[axis][1] * column as f32
                };
                let (y, x) = (place(0), place(1));
                let (top, left) = (y.floor(), x.floor());
                let (dy, dx) = (y - top, x - left);
                let (top, left) = (top as isize, left as isize);
                let mut outside = 0.0;
                for (r, wy) in [(top, 1.0 - dy), (top + 1, dy)] {
                    for (c, wx) in [(left, 1.0 - dx), (left + 1, dx)] {
                        if r < 0 || c < 0 || r >= height as isize || c >= width as isize {
                            outside += wy * wx;
                        } else {
                            tap(target, r as usize * width + c as usize, wy * wx);
                        }
                    }
                }
                if outside > 0.0 {
                    border(target, outside);
                }
            }
        }
    }

    /// The changed picture, `[3, H, W]`.
    pub(crate) fn apply(&self, extents: [usize; 2], picture: &[f32], changed: &mut [f32]) {
        changed.fill(0.0);
        let plane = extents[0] * extents[1];
        let cell = std::cell::RefCell::new(changed);
        self.taps(
            extents,
            |target, source, weight| {
                let mut changed = cell.borrow_mut();
                for colour in 0..3 {
                    changed[colour * plane + target] += weight * picture[colour * plane + source];
                }
            },
            |target, weight| {
                let mut changed = cell.borrow_mut();
                for colour in 0..3 {
                    changed[colour * plane + target] += weight * BORDER;
                }
            },
        );
    }

    /// The gradient with respect to the picture, from that with respect to the changed one.
    pub(crate) fn adjoint(&self, extents: [usize; 2], changed: &[f32], picture: &mut [f32]) {
        picture.fill(0.0);
        let plane = extents[0] * extents[1];
        self.taps(
            extents,
            |target, source, weight| {
                for colour in 0..3 {
                    picture[colour * plane + source] += weight * changed[colour * plane + target];
                }
            },
            |_, _| {},
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::new(&[seed]);
        (0..count).map(|_| random.uniform() as f32).collect()
    }

    /// The value of one colour plane between its pixels, straight from the definition.
    fn naive(plane: &[f32], [height, width]: [usize; 2], y: f64, x: f64) -> f64 {
        let mut sum = 0.0;
        for row in -60..height as i64 + 60 {
            for column in -60..width as i64 + 60 {
                let weight = |at: i64, place: f64| (1.0 - (place - at as f64).abs()).max(0.0);
                let inside =
                    row >= 0 && column >= 0 && row < height as i64 && column < width as i64;
                let value = match inside {
                    true => f64::from(plane[row as usize * width + column as usize]),
                    false => f64::from(BORDER),
                };
                sum += weight(row, y) * weight(column, x) * value;
            }
        }
        sum
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The composed map is jitter, scale, turn and jitter one after the other.
        #[test]
        fn agrees_with_one_change_after_the_other(
            height in 3usize..12,
            width in 3usize..12,
            before in prop::array::uniform2(-4i32..5),
            after in prop::array::uniform2(-2i32..3),
            scale in 0.8f64..1.25,
            degrees in -30f64..30.0,
        ) {
            let extents = [height, width];
            let (before, after) = (before.map(f64::from), after.map(f64::from));
            let angle = degrees.to_radians();
            let change = Affine::new(extents, before, scale, angle, after);
            let picture = noise(3 * height * width, 7);
            let mut found = vec![0.0; picture.len()];
            change.apply(extents, &picture, &mut found);
            let centre = extents.map(|extent| (extent as f64 - 1.0) / 2.0);
            for row in 0..height {
                for column in 0..width {
                    // Backwards: the last shift, about the centre the turn and the scale, the first shift.
                    let (y, x) = (row as f64 + after[0] - centre[0], column as f64 + after[1] - centre[1]);
                    let turned = [y * angle.cos() - x * angle.sin(), y * angle.sin() + x * angle.cos()];
                    let source = [
                        turned[0] / scale + centre[0] + before[0],
                        turned[1] / scale + centre[1] + before[1],
                    ];
                    for colour in 0..3 {
                        let plane = &picture[colour * height * width..(colour + 1) * height * width];
                        let expected = naive(plane, extents, source[0], source[1]);
                        let found = f64::from(found[colour * height * width + row * width + column]);
                        prop_assert!((found - expected).abs() < 1e-4, "{found} {expected}");
                    }
                }
            }
        }

        /// `<A x, y> = <x, A' y>`, the border's share aside.
        #[test]
        fn the_adjoint_is_one(height in 2usize..14, width in 2usize..14, seed in 0u64..1000) {
            let extents = [height, width];
            let robustness = Robustness::STANDARD;
            let change = robustness.draw(&mut Random::new(&[seed]), extents);
            let count = 3 * height * width;
            let (x, y) = (noise(count, seed + 1), noise(count, seed + 2));
            let run = |picture: &[f32]| {
                let mut changed = vec![0.0; count];
                change.apply(extents, picture, &mut changed);
                changed
            };
            let mut back = vec![0.0; count];
            change.adjoint(extents, &y, &mut back);
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let forward = dot(&run(&x), &y) - dot(&run(&vec![0.0; count]), &y);
            let backward = dot(&x, &back);
            prop_assert!((forward - backward).abs() < 1e-4 * count as f64, "{forward} {backward}");
        }
    }

    #[test]
    fn no_change_changes_nothing_and_draws_stay_within_bounds() {
        let picture = noise(3 * 5 * 6, 3);
        let mut same = vec![0.0; picture.len()];
        Affine::new([5, 6], [0.0; 2], 1.0, 0.0, [0.0; 2]).apply([5, 6], &picture, &mut same);
        for (a, b) in picture.iter().zip(&same) {
            assert!((a - b).abs() < 1e-6);
        }
        let mut random = Random::new(&[1]);
        let mut turned = 0;
        for _ in 0..500 {
            let change = Robustness::for_side(128).draw(&mut random, [128, 128]);
            let [[cos, _], [sin, _]] = change.matrix;
            let (scale, angle) = (1.0 / cos.hypot(sin), sin.atan2(cos).to_degrees());
            assert!((0.899..1.101).contains(&scale), "{scale}");
            assert!(angle.abs() < 10.001, "{angle}");
            turned += u32::from(angle.abs() > 0.5);
        }
        assert!((350..470).contains(&turned), "{turned}");
        assert_eq!(Robustness::for_side(64).jitter, 2);
    }
}
