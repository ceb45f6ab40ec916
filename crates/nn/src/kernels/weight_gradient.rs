//! Gradient of a convolution's weights on channels-last maps: for every tap the outer products of the
//! output's gradient and what the tap read, summed over pixels. The naive twin is in
//! [`reference`](crate::reference).

use super::adjoint::clear;
use super::dispatch;
use super::simd::{Isa, Simd};
use crate::exec::layout::Map;
use crate::graph::ir::Conv;

/// Pixels summed in registers: few enough that their channels stay in the second-level cache while all
/// tiles pass over them, and that a sum rounds little.
const BLOCK: usize = 64;

/// Output channels of a register tile, and vectors of input channels.
const ROWS: usize = 6;
const VECTORS: usize = 2;

/// A map and the buffer it lies in.
type View<'a> = (&'a [f32], Map);

/// Where a gradient and what it is multiplied with begin: first channels of two pixels.
type Pair = [usize; 2];

/// `out[j, i, ky, kx] = sum over pixels of g[j] x[i at the tap]`; a target's images are the output
/// channels, its pixels the taps, its channels the input channels of one group.
pub(crate) fn weight_gradient(
    isa: Isa,
    conv: &Conv,
    g: View<'_>,
    x: View<'_>,
    target: (&mut [f32], Map),
) {
    let (out, to) = target;
    for (data, map) in [g, x] {
        assert!(map.end() <= data.len(), "map out of range");
    }
    assert!(to.end() <= out.len(), "map out of range");
    assert_eq!(g.1.batch, x.1.batch, "one gradient per image");
    assert_eq!(to.batch, g.1.channels, "one row per output channel");
    assert_eq!(to.channels * conv.groups, x.1.channels, "inputs of a group");
    assert_eq!(to.batch % conv.groups, 0, "outputs of a group");
    clear(out, to);
    let depthwise = to.channels == 1 && to.batch == conv.groups;
    for ky in 0..to.height {
        for kx in 0..to.width {
            let mut pairs: Vec<Pair> = Vec::with_capacity(BLOCK);
            let mut flush = |pairs: &mut Vec<Pair>| {
                let job = Job {
                    conv,
                    pairs,
                    g: g.0,
                    x: x.0,
                    to,
                    tap: [ky, kx],
                };
                if depthwise {
                    dispatch!(isa, depthwise_with(job: &Job<'_>, out: &mut [f32]) of (&job, out));
                } else {
                    dispatch!(isa, dense_with(job: &Job<'_>, out: &mut [f32]) of (&job, out));
                }
                pairs.clear();
            };
            for pair in inside(conv, [ky, kx], g.1, x.1) {
                pairs.push(pair);
                if pairs.len() == BLOCK {
                    flush(&mut pairs);
                }
            }
            flush(&mut pairs);
        }
    }
}

/// The pixels whose tap lies inside the image.
fn inside(conv: &Conv, tap: [usize; 2], g: Map, x: Map) -> impl Iterator<Item = Pair> {
    let source = move |axis: usize, position: usize, extent: usize| {
        (position * conv.strides[axis] + tap[axis] * conv.dilations[axis])
            .checked_sub(conv.pads[axis])
            .filter(|&at| at < extent)
    };
    let rows = (0..g.batch).flat_map(move |n| (0..g.height).map(move |row| (n, row)));
    let rows = rows.filter_map(move |(n, row)| Some((n, row, source(0, row, x.height)?)));
    rows.flat_map(move |(n, row, y)| {
        (0..g.width).filter_map(move |column| {
            let at = source(1, column, x.width)?;
            Some([g.at(n, row, column), x.at(n, y, at)])
        })
    })
}

/// One block of pixels of one tap.
struct Job<'a> {
    conv: &'a Conv,
    pairs: &'a [Pair],
    g: &'a [f32],
    x: &'a [f32],
    to: Map,
    tap: [usize; 2],
}

impl Job<'_> {
    /// Where the weights of an output channel lie.
    fn row(&self, output: usize) -> usize {
        self.to.at(output, self.tap[0], self.tap[1])
    }
}

/// # Safety
/// Instructions as [`Simd`] demands; the body is safe code the compiler vectorises with them.
#[inline(always)]
unsafe fn depthwise_with<S: Simd>(job: &Job<'_>, out: &mut [f32]) {
    let channels = job.to.batch;
    let mut sums = vec![0.0f32; channels];
    for &[g, x] in job.pairs {
        let (g, x) = (&job.g[g..][..channels], &job.x[x..][..channels]);
        for ((sum, &g), &x) in sums.iter_mut().zip(g).zip(x) {
            *sum += g * x;
        }
    }
    for (channel, sum) in sums.into_iter().enumerate() {
        out[job.row(channel)] += sum;
    }
}

/// # Safety
/// Instructions as [`Simd`] demands; extents as checked by [`weight_gradient`].
#[inline(always)]
unsafe fn dense_with<S: Simd>(job: &Job<'_>, out: &mut [f32]) {
    let (inputs, outputs) = (job.to.channels, job.to.batch / job.conv.groups);
    for group in 0..job.conv.groups {
        let mut j = 0;
        while j < outputs {
            let rows = (outputs - j).min(ROWS);
            let mut i = 0;
            while i < inputs {
                let left = inputs - i;
                let at = [group * outputs + j, group * inputs, i];
                // SAFETY: `rows` output channels from `at[0]` and `left` input channels from `at[2]`
                // exist; instructions are the caller's promise.
                unsafe {
                    if left > S::LANES {
                        tiles::<S, VECTORS>(job, out, at, rows, left.min(VECTORS * S::LANES));
                    } else {
                        tiles::<S, 1>(job, out, at, rows, left);
                    }
                }
                i += VECTORS * S::LANES;
            }
            j += rows;
        }
    }
}

/// # Safety
/// As [`tile`], with `rows` of 1 to [`ROWS`].
#[inline(always)]
unsafe fn tiles<S: Simd, const V: usize>(
    job: &Job<'_>,
    out: &mut [f32],
    at: [usize; 3],
    rows: usize,
    count: usize,
) {
    // SAFETY: the caller's promise, with the rows as a constant.
    unsafe {
        match rows {
            1 => tile::<S, 1, V>(job, out, at, count),
            2 => tile::<S, 2, V>(job, out, at, count),
            3 => tile::<S, 3, V>(job, out, at, count),
            4 => tile::<S, 4, V>(job, out, at, count),
            5 => tile::<S, 5, V>(job, out, at, count),
            _ => tile::<S, ROWS, V>(job, out, at, count),
        }
    }
}

/// `R` output channels from `j` times `count` input channels from `i` of the group that begins at
/// `first`.
///
/// # Safety
/// Pairs are pixels of the two maps (checked by [`weight_gradient`]), the channels exist, and
/// `(V - 1) * LANES < count <= V * LANES`. Instructions as [`Simd`] demands.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(
    job: &Job<'_>,
    out: &mut [f32],
    [j, first, i]: [usize; 3],
    count: usize,
) {
    let last = count - (V - 1) * S::LANES;
    // SAFETY: a pair's channels lie inside its map, whose end was checked against the buffer; `j + R`
    // and `first + i + count` are at most the maps' channels, so every element touched is inside.
    unsafe {
        let mut sums = [[S::zero(); V]; R];
        for &[g, x] in job.pairs {
            let x = job.x.as_ptr().add(x + first + i);
            let g = job.g.as_ptr().add(g + j);
            let mut values = [S::zero(); V];
            for v in 0..V - 1 {
                values[v] = S::load(x.add(v * S::LANES));
            }
            let end = x.add((V - 1) * S::LANES);
            values[V - 1] = if last == S::LANES {
                S::load(end)
            } else {
                S::load_first(end, last)
            };
            for r in 0..R {
                let g = S::splat(*g.add(r));
                for v in 0..V {
                    sums[r][v] = S::mul_add(g, values[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            let row = out.as_mut_ptr().add(job.row(j + r) + i);
            for v in 0..V {
                let target = row.add(v * S::LANES);
                let lanes = if v + 1 == V { last } else { S::LANES };
                let before = S::load_first(target, lanes);
                S::store_first(target, S::add(before, sums[r][v]), lanes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|k| ((k * 7919 + seed * 104_729) % 201) as f32 / 100.0 - 1.0)
            .collect()
    }

    proptest! {
        #[test]
        fn equals_the_sum_written_down(
            (group_inputs, group_outputs, groups) in prop_oneof![
                (1usize..40, 1usize..15, 1usize..3),
                (Just(1usize), Just(1usize), 1usize..40),
            ],
            batch in 1usize..3,
            (height, width) in (1usize..9, 1usize..13),
            kernel in (1usize..4, 1usize..4),
            stride in (1usize..3, 1usize..3),
            dilation in 1usize..3,
            pad in 0usize..3,
            halo in 0usize..2,
        ) {
            let conv = Conv {
                strides: [stride.0, stride.1],
                pads: [pad, pad, pad, pad],
                dilations: [dilation, dilation],
                groups,
            };
            let extent = |input: usize, kernel: usize, stride: usize| {
                (input + 2 * pad).checked_sub((kernel - 1) * dilation + 1).map(|left| left / stride + 1)
            };
            let rows = extent(height, kernel.0, stride.0);
            let columns = extent(width, kernel.1, stride.1);
            prop_assume!(rows.is_some() && columns.is_some());
            let (rows, columns) = (rows.unwrap_or(0), columns.unwrap_or(0));
            let (inputs, outputs) = (group_inputs * groups, group_outputs * groups);
            let x_map = Map::with_halo([batch, inputs, height, width], [halo; 4]);
            let g_map = Map::contiguous([batch, outputs, rows, columns]);
            let to = Map::contiguous([outputs, group_inputs, kernel.0, kernel.1]);
            let x = numbers(x_map.image * batch, 1);
            let g = numbers(g_map.image * batch, 2);
            for isa in Isa::available() {
                let mut out = vec![9.0; to.image * outputs];
                weight_gradient(isa, &conv, (&g, g_map), (&x, x_map), (&mut out, to));
                for j in 0..outputs {
                    for i in 0..group_inputs {
                        for ky in 0..kernel.0 {
                            for kx in 0..kernel.1 {
                                let channel = j / group_outputs * group_inputs + i;
                                let products = inside(&conv, [ky, kx], g_map, x_map)
                                    .map(|[at, from]| f64::from(g[at + j]) * f64::from(x[from + channel]));
                                let sum: f64 = products.sum();
                                let found = f64::from(out[to.at(j, ky, kx) + i]);
                                prop_assert!((found - sum).abs() <= 1e-4 * (1.0 + sum.abs()), "{found} {sum}");
                            }
                        }
                    }
                }
            }
        }
    }
}
