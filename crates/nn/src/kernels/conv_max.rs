//! The largest value of every input's share of a convolution: `L_ij = max_p (X_i * K_ji)(p)`
//! (method.md section 3.1), and per output j the inputs with the largest `L_ij > 0`.
//!
//! Pair maps are never stored. For 1x1 kernels without padding the channel's extrema give the
//! answer. For k x k kernels an upper bound of `L_ij`, from the channel's extrema and the sums of
//! the positive and of the negative weights, orders the pairs of one output; they are evaluated,
//! best bound first, until the bound falls below the weakest of the k found. A pair's positions are
//! evaluated in tiles, those that see the channel's largest values first; the same bound over what a
//! tile sees skips the tiles that cannot matter. The result is that of evaluating every position of
//! every pair.

use super::dispatch;
use super::extrema::{Channels, extrema};
use super::simd::{Isa, Simd};
use crate::exec::layout::Map;
use std::collections::BinaryHeap;

/// Rows of planes are stretched to a multiple of this, so that whole vectors can be read.
const ROW_UNIT: usize = 16;

/// Geometry and weights of one convolution.
#[derive(Debug)]
pub(crate) struct ConvMaxKernel {
    isa: Isa,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    per_group: usize,
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    dilations: [usize; 2],
    /// `[outputs][per_group][ky * kx]`
    weights: Vec<f32>,
    /// Sum of positive weights, `[outputs][per_group]`.
    positive: Vec<f32>,
    /// Sum of negative weights, `[outputs][per_group]`.
    negative: Vec<f32>,
}

/// Geometry of a convolution, as in [`Conv`](crate::graph::ir::Conv).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) kernel: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) pads: [usize; 4],
    pub(crate) dilations: [usize; 2],
    pub(crate) groups: usize,
}

/// Working memory, reused between calls.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    channels: Channels,
    spread: Spread,
    values: Vec<f32>,
    heap: BinaryHeap<u64>,
}

/// One image's planes, where each tap of the kernel reads relative to an output position, and what
/// the tiles of output positions see.
#[derive(Debug, Default)]
struct Spread {
    planes: Vec<f32>,
    taps: Vec<u32>,
    /// `[channels][tiles]`, descending largest value.
    tiles: Vec<Tile>,
}

/// [`ROWS`] rows by one vector of output positions of one channel.
#[derive(Clone, Copy, Debug)]
struct Tile {
    /// Largest value any tap reads in it.
    max: f32,
    /// Smallest one.
    min: f32,
    /// First output row and column.
    corner: [u16; 2],
}

/// Padded planes of all input channels, columns split by the stride's phase:
/// `planes[channel][phase][row][column / stride]`.
#[derive(Clone, Copy, Debug)]
struct Planes {
    /// Elements from one output row's first position to the next one's.
    step: usize,
    channel: usize,
    out: [usize; 2],
    /// Tiles of output positions.
    tiles: usize,
}

impl ConvMaxKernel {
    /// `weights` is `[outputs, inputs / groups, ky, kx]`, row-major.
    pub(crate) fn new(isa: Isa, inputs: usize, geometry: Geometry, weights: Vec<f32>) -> Self {
        let Geometry {
            kernel,
            strides,
            pads,
            dilations,
            groups,
        } = geometry;
        let per_group = inputs / groups;
        let taps = kernel[0] * kernel[1];
        let outputs = weights.len() / (per_group * taps).max(1);
        let sum = |keep: fn(f32) -> bool| {
            weights
                .chunks_exact(taps.max(1))
                .map(|kernel| {
                    kernel
                        .iter()
                        .filter(|w| keep(**w))
                        .map(|&w| f64::from(w))
                        .sum::<f64>() as f32
                })
                .collect()
        };
        let (positive, negative) = (sum(|w| w > 0.0), sum(|w| w < 0.0));
        Self {
            isa,
            inputs,
            outputs,
            per_group,
            kernel,
            strides,
            pads,
            dilations,
            weights,
            positive,
            negative,
        }
    }

    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.pads == [0; 4]
    }

    fn groups(&self) -> usize {
        self.inputs / self.per_group.max(1)
    }

    /// Calls `emit(output, input)` for the `count` inputs of every output with the largest
    /// `L > 0`, in descending order, ties by the lower input.
    pub(crate) fn top_inputs(
        &self,
        (data, map): (&[f32], Map),
        n: usize,
        count: usize,
        scratch: &mut Scratch,
        emit: &mut dyn FnMut(u32, u32),
    ) {
        assert_eq!(map.channels, self.inputs, "input channels");
        let Scratch {
            channels,
            spread,
            values,
            heap,
        } = scratch;
        if self.is_pointwise() {
            extrema(self.isa, data, map, n, self.strides, channels);
        } else {
            extrema(self.isa, data, map, n, [1, 1], channels);
            if self.pads != [0; 4] {
                channels
                    .max
                    .iter_mut()
                    .for_each(|value| *value = value.max(0.0));
                channels
                    .min
                    .iter_mut()
                    .for_each(|value| *value = value.min(0.0));
            }
        }
        let layout = (!self.is_pointwise()).then(|| self.spread(data, map, n, spread));
        let mut best = Best::new(count);
        values.resize(self.per_group, 0.0);
        let outputs_per_group = self.outputs / self.groups().max(1);
        for j in 0..self.outputs {
            let first = j / outputs_per_group.max(1) * self.per_group;
            let max = &channels.max[first..first + self.per_group];
            let min = &channels.min[first..first + self.per_group];
            let range = j * self.per_group..(j + 1) * self.per_group;
            best.clear();
            match layout {
                None => {
                    let weights = &self.weights[range];
                    dispatch!(
                        self.isa,
                        pointwise(weights: &[f32], max: &[f32], min: &[f32], values: &mut [f32])
                            of (weights, max, min, values.as_mut_slice())
                    );
                    for (i, &value) in values.iter().enumerate() {
                        if value > best.floor {
                            best.insert(value, i as u32);
                        }
                    }
                }
                Some(layout) => {
                    let sums = (&self.positive[range.clone()], &self.negative[range]);
                    let slack = self.slack();
                    dispatch!(
                        self.isa,
                        bounds(
                            sums: (&[f32], &[f32]),
                            max: &[f32],
                            min: &[f32],
                            slack: f32,
                            values: &mut [f32],
                        ) of (sums, max, min, slack, values.as_mut_slice())
                    );
                    self.best_first(j, first, layout, spread, values, heap, &mut best);
                }
            }
            for &(_, i) in &best.entries {
                emit(j as u32, first as u32 + i);
            }
        }
    }

    /// All values `L_ij`, `[outputs, per_group]`, the plain way: every pair is evaluated.
    pub(crate) fn all(&self, (data, map): (&[f32], Map), n: usize) -> Vec<f32> {
        let mut spread = Spread::default();
        let layout = self.spread(data, map, n, &mut spread);
        let outputs_per_group = self.outputs / self.groups().max(1);
        let mut values = Vec::with_capacity(self.outputs * self.per_group);
        for j in 0..self.outputs {
            let first = j / outputs_per_group.max(1) * self.per_group;
            for i in 0..self.per_group {
                values.push(self.evaluate(j, first, i, layout, &spread, f32::NEG_INFINITY));
            }
        }
        values
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one output's search"
    )]
    fn best_first(
        &self,
        j: usize,
        first: usize,
        layout: Planes,
        spread: &Spread,
        bounds: &[f32],
        heap: &mut BinaryHeap<u64>,
        best: &mut Best,
    ) {
        // Positive floats order like their bits; the complement puts lower inputs first.
        let mut keys = std::mem::take(heap).into_vec();
        keys.clear();
        keys.extend(
            bounds
                .iter()
                .enumerate()
                .filter(|(_, bound)| **bound > 0.0)
                .map(|(i, bound)| u64::from(bound.to_bits()) << 32 | u64::from(!(i as u32))),
        );
        *heap = BinaryHeap::from(keys);
        while let Some(key) = heap.pop() {
            let bound = f32::from_bits((key >> 32) as u32);
            if bound < best.floor {
                break;
            }
            let i = !(key as u32);
            let value = self.evaluate(j, first, i as usize, layout, spread, best.floor);
            if value > 0.0 {
                best.insert(value, i);
            }
        }
    }

    /// `L_ij` by direct sums if it is at least `floor`, otherwise the number just below `floor`.
    fn evaluate(
        &self,
        j: usize,
        first: usize,
        i: usize,
        layout: Planes,
        spread: &Spread,
        floor: f32,
    ) -> f32 {
        let taps = self.kernel[0] * self.kernel[1];
        let pair = j * self.per_group + i;
        let channel = first + i;
        let job = Pair {
            layout,
            taps: &spread.taps,
            plane: &spread.planes[channel * layout.channel..],
            tiles: &spread.tiles[channel * layout.tiles..][..layout.tiles],
            weights: &self.weights[pair * taps..][..taps],
            bound: Bound {
                positive: self.positive[pair],
                negative: self.negative[pair],
                slack: self.slack(),
            },
        };
        let mut value = floor.next_down();
        dispatch!(
            self.isa,
            plane_max(job: &Pair<'_>, value: &mut f32) of (&job, &mut value)
        );
        value
    }

    /// Relative rounding error of a bound and of the sum it is compared with.
    fn slack(&self) -> f32 {
        (self.kernel[0] * self.kernel[1] + 2) as f32 * 1.2e-7
    }

    /// Copies image `n` into padded planes.
    fn spread(&self, data: &[f32], map: Map, n: usize, spread: &mut Spread) -> Planes {
        let [top, left, bottom, right] = self.pads;
        let [height, width] = [top + map.height + bottom, left + map.width + right];
        let out = [0, 1].map(|axis| {
            let reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1;
            ([height, width][axis] + self.strides[axis]).saturating_sub(reach) / self.strides[axis]
        });
        let stride = self.strides[1];
        // A vector read at the last column of the last tap stays inside its row.
        let row = (width.div_ceil(stride) + ROW_UNIT).next_multiple_of(ROW_UNIT);
        let phase = height * row;
        let layout = Planes {
            step: self.strides[0] * row,
            channel: stride * phase,
            out,
            tiles: out[0].div_ceil(ROWS) * out[1].div_ceil(self.isa.lanes()),
        };
        let Spread {
            planes,
            taps,
            tiles,
        } = spread;
        taps.clear();
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                let x = kx * self.dilations[1];
                let at = x % stride * phase + ky * self.dilations[0] * row + x / stride;
                taps.push(at as u32);
            }
        }
        planes.clear();
        planes.resize(map.channels * layout.channel + ROW_UNIT, 0.0);
        for y in 0..map.height {
            for x in 0..map.width {
                let column = x + left;
                let at = (column % stride) * phase + (y + top) * row + column / stride;
                let pixel = &data[map.at(n, y, x)..][..map.channels];
                for (c, &value) in pixel.iter().enumerate() {
                    planes[c * layout.channel + at] = value;
                }
            }
        }
        tiles.clear();
        for channel in 0..map.channels {
            let plane = &planes[channel * layout.channel..];
            let begin = tiles.len();
            dispatch!(
                self.isa,
                tile_extrema(layout: Planes, taps: &[u32], plane: &[f32], tiles: &mut Vec<Tile>)
                    of (layout, taps.as_slice(), plane, &mut *tiles)
            );
            tiles[begin..].sort_by(|a, b| b.max.total_cmp(&a.max));
        }
        layout
    }
}

/// The `count` largest values seen, descending, ties by the lower input.
struct Best {
    count: usize,
    entries: Vec<(f32, u32)>,
    /// A value must exceed (or, when inserted out of order, reach) this to enter.
    floor: f32,
}

impl Best {
    fn new(count: usize) -> Self {
        Self {
            count,
            entries: Vec::with_capacity(count + 1),
            floor: 0.0,
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.floor = 0.0;
    }

    fn insert(&mut self, value: f32, input: u32) {
        let position = self
            .entries
            .iter()
            .position(|&(other, i)| value > other || (value == other && input < i))
            .unwrap_or(self.entries.len());
        if position < self.count {
            self.entries.insert(position, (value, input));
            self.entries.truncate(self.count);
        }
        if self.entries.len() == self.count {
            self.floor = self.entries.last().map_or(0.0, |&(value, _)| value);
        }
    }
}

/// `L = max(w * max, w * min)`: the larger end, whatever the weight's sign.
///
/// # Safety
/// Instructions as [`Simd`] demands; the body is safe code the compiler vectorises with them.
#[inline(always)]
unsafe fn pointwise<S: Simd>(weights: &[f32], max: &[f32], min: &[f32], values: &mut [f32]) {
    for (((value, &w), &max), &min) in values.iter_mut().zip(weights).zip(max).zip(min) {
        let (a, b) = (w * max, w * min);
        *value = if a > b { a } else { b };
    }
}

/// An upper bound of a sum of products, from the sums of the positive and of the negative weights
/// and the extrema of what they are multiplied with.
#[derive(Clone, Copy)]
struct Bound {
    positive: f32,
    negative: f32,
    /// Relative widening, for the rounding of the sums it is compared with.
    slack: f32,
}

impl Bound {
    #[inline(always)]
    fn of(self, max: f32, min: f32) -> f32 {
        let Self {
            positive,
            negative,
            slack,
        } = self;
        let largest = if max > -min { max } else { -min };
        positive * max + negative * min + slack * (positive - negative) * largest
    }
}

/// Upper bounds of `L` of all inputs of one output.
///
/// # Safety
/// As [`pointwise`].
#[inline(always)]
unsafe fn bounds<S: Simd>(
    (positive, negative): (&[f32], &[f32]),
    max: &[f32],
    min: &[f32],
    slack: f32,
    values: &mut [f32],
) {
    let sums = positive.iter().zip(negative);
    for (((value, (&positive, &negative)), &max), &min) in
        values.iter_mut().zip(sums).zip(max).zip(min)
    {
        let bound = Bound {
            positive,
            negative,
            slack,
        };
        *value = bound.of(max, min);
    }
}

/// Output rows whose sums are in registers together, sharing each weight.
const ROWS: usize = 4;

/// Rows of a tile, as pointers into a channel's plane; rows that do not exist repeat the last one,
/// which leaves extrema as they are.
///
/// # Safety
/// `plane` has the layout of one channel of [`ConvMaxKernel::spread`].
#[inline(always)]
unsafe fn tile_rows(layout: Planes, plane: &[f32], first: usize) -> [*const f32; ROWS] {
    std::array::from_fn(|row| {
        let row = (first + row).min(layout.out[0] - 1);
        // SAFETY: the caller's; `row` is an output row.
        unsafe { plane.as_ptr().add(row * layout.step) }
    })
}

/// Appends the tiles of one channel.
///
/// # Safety
/// As [`plane_max`].
#[inline(always)]
unsafe fn tile_extrema<S: Simd>(
    layout: Planes,
    taps: &[u32],
    plane: &[f32],
    tiles: &mut Vec<Tile>,
) {
    let [rows, columns] = layout.out;
    // SAFETY: as in `plane_max`. Positions beyond the last column see zeros or real values: the
    // extrema may be wider than those of the tile, never narrower.
    unsafe {
        for first in (0..rows).step_by(ROWS) {
            let starts = tile_rows(layout, plane, first);
            for column in (0..columns).step_by(S::LANES) {
                let mut max = S::splat(f32::NEG_INFINITY);
                let mut min = S::splat(f32::INFINITY);
                for &tap in taps {
                    for start in starts {
                        let value = S::load(start.add(tap as usize + column));
                        max = S::max(max, value);
                        min = S::min(min, value);
                    }
                }
                let mut lanes = [0.0f32; MOST_LANES];
                S::store(lanes.as_mut_ptr(), max);
                let max = lanes[..S::LANES]
                    .iter()
                    .copied()
                    .fold(f32::NEG_INFINITY, f32::max);
                S::store(lanes.as_mut_ptr(), min);
                let min = lanes[..S::LANES]
                    .iter()
                    .copied()
                    .fold(f32::INFINITY, f32::min);
                tiles.push(Tile {
                    max,
                    min,
                    corner: [first as u16, column as u16],
                });
            }
        }
    }
}

/// Lanes of the widest vector.
const MOST_LANES: usize = 16;

/// One pair of channels to evaluate.
struct Pair<'a> {
    layout: Planes,
    taps: &'a [u32],
    plane: &'a [f32],
    tiles: &'a [Tile],
    weights: &'a [f32],
    bound: Bound,
}

/// Raises `value` to the largest sum of products over the output positions.
///
/// # Safety
/// `plane` has the layout of one channel of [`ConvMaxKernel::spread`], followed by at least a row
/// unit of readable elements; `taps` are its offsets, `tiles` its tiles; instructions as [`Simd`]
/// demands.
#[inline(always)]
unsafe fn plane_max<S: Simd>(job: &Pair<'_>, value: &mut f32) {
    let Pair {
        layout,
        taps,
        plane,
        tiles,
        weights,
        bound,
    } = *job;
    // SAFETY: column + LANES <= the row's stretched length, as `spread` lays it out.
    unsafe {
        for tile in tiles {
            if bound.of(tile.max, tile.min) < *value {
                continue;
            }
            let [first, column] = tile.corner.map(usize::from);
            let starts = tile_rows(layout, plane, first);
            let mut sums = [S::zero(); ROWS];
            for (&tap, &weight) in taps.iter().zip(weights) {
                let weight = S::splat(weight);
                let at = tap as usize + column;
                for row in 0..ROWS {
                    sums[row] = S::mul_add(weight, S::load(starts[row].add(at)), sums[row]);
                }
            }
            let largest = S::max(S::max(sums[0], sums[1]), S::max(sums[2], sums[3]));
            let mut lanes = [0.0f32; MOST_LANES];
            S::store(lanes.as_mut_ptr(), largest);
            for &lane in &lanes[..S::LANES.min(layout.out[1] - column)] {
                *value = if lane > *value { lane } else { *value };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(seed: u64, count: usize, sparse: bool) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Few distinct values, so that ties happen.
                let value = ((state >> 40) % 17) as f32 / 8.0 - 1.0;
                if sparse { value.max(0.0) } else { value }
            })
            .collect()
    }

    /// Every pair, every position, in f64.
    fn naive(
        input: &[f32],
        map: Map,
        geometry: Geometry,
        weights: &[f32],
        outputs: usize,
    ) -> Vec<f64> {
        let per_group = map.channels / geometry.groups;
        let [ky_max, kx_max] = geometry.kernel;
        let [top, left, bottom, right] = geometry.pads;
        let mut all = Vec::new();
        for j in 0..outputs {
            for i in 0..per_group {
                let channel = j / (outputs / geometry.groups) * per_group + i;
                let mut best = f64::NEG_INFINITY;
                let reach = |k: usize, axis: usize| (k - 1) * geometry.dilations[axis] + 1;
                let mut y = 0;
                while y + reach(ky_max, 0) <= map.height + top + bottom {
                    let mut x = 0;
                    while x + reach(kx_max, 1) <= map.width + left + right {
                        let mut sum = 0.0;
                        for ky in 0..ky_max {
                            for kx in 0..kx_max {
                                let (py, px) = (
                                    y + ky * geometry.dilations[0],
                                    x + kx * geometry.dilations[1],
                                );
                                if py < top
                                    || px < left
                                    || py - top >= map.height
                                    || px - left >= map.width
                                {
                                    continue;
                                }
                                let pixel = input[map.at(0, py - top, px - left) + channel];
                                let weight =
                                    weights[((j * per_group + i) * ky_max + ky) * kx_max + kx];
                                sum += f64::from(pixel) * f64::from(weight);
                            }
                        }
                        best = best.max(sum);
                        x += geometry.strides[1];
                    }
                    y += geometry.strides[0];
                }
                all.push(best);
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn equals_evaluating_every_pair(
            per_group in 1usize..24, outputs_per_group in 1usize..6, groups in 1usize..3,
            height in 3usize..20, width in 3usize..20, kernel in 1usize..4, stride in 1usize..3,
            pad in 0usize..2, dilation in 1usize..3, sparse: bool, seed in 0u64..1000,
        ) {
            prop_assume!((kernel - 1) * dilation < height.min(width) + 2 * pad);
            let inputs = per_group * groups;
            let outputs = outputs_per_group * groups;
            let map = Map::with_halo([1, inputs, height, width], [1, 0, 0, 2]);
            let input = values(seed, map.image, sparse);
            let geometry = Geometry {
                kernel: [kernel; 2], strides: [stride; 2], pads: [pad; 4], dilations: [dilation; 2], groups,
            };
            let weights = values(seed + 7, outputs * per_group * kernel * kernel, false);
            let expected = naive(&input, map, geometry, &weights, outputs);
            for isa in Isa::available() {
                let conv = ConvMaxKernel::new(isa, inputs, geometry, weights.clone());
                let all = conv.all((&input, map), 0);
                for (a, b) in all.iter().zip(&expected) {
                    prop_assert!((f64::from(*a) - b).abs() < 1e-5, "{} {a} {b}", isa.name());
                }
                let mut found = Vec::new();
                conv.top_inputs((&input, map), 0, 5, &mut Scratch::default(), &mut |j, i| found.push((j, i)));
                let mut wanted = Vec::new();
                for j in 0..outputs {
                    // These weights and pixels are multiples of 1/8: all sums are exact, ties too.
                    let row = &expected[j * per_group..(j + 1) * per_group];
                    let mut order: Vec<usize> = (0..per_group).filter(|&i| row[i] > 0.0).collect();
                    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
                    let first = j / outputs_per_group * per_group;
                    wanted.extend(order.iter().take(5).map(|&i| (j as u32, (first + i) as u32)));
                }
                prop_assert_eq!(&found, &wanted, "{}", isa.name());
            }
        }
    }
}
