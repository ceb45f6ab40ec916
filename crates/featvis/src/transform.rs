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
