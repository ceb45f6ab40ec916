//! Pooling over channels-last maps. Windows are separable: rows first, then columns, so a 3x3
//! window costs four operations a value instead of eight. What lies outside the image is ignored
//! (maximum) or not summed (average).

use super::dispatch;
use super::simd::{Isa, Simd};
use crate::exec::layout::Map;
use crate::graph::ir::Pool;

/// Which pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Largest value.
    Max,
    /// Mean; the divisor counts the padding or not.
    Average,
    /// Sum over all positions ([`global`] only).
    Sum,
}

/// Pools `source` into `target`, whose extents say how many windows there are.
pub(crate) fn pool(
    isa: Isa,
    kind: Kind,
    window: &Pool,
    source: (&[f32], Map),
    target: (&mut [f32], Map),
    scratch: &mut Vec<f32>,
) {
    let (input, from) = source;
    let (out, to) = target;
    assert_eq!(from.channels, to.channels, "pooling keeps channels");
    assert!(
        from.end() <= input.len() && to.end() <= out.len(),
        "map out of range"
    );
    scratch.resize(from.width * from.channels, 0.0);
    let job = Job {
        kind,
        window,
        from,
        to,
    };
    dispatch!(
        isa,
        pool_with(job: &Job<'_>, input: &[f32], out: &mut [f32], line: &mut [f32])
            of (&job, input, out, scratch.as_mut_slice())
    );
}

struct Job<'a> {
    kind: Kind,
    window: &'a Pool,
    from: Map,
    to: Map,
}

/// Indices of the input a window covers: `start..end` in steps of the dilation, and how many
/// positions count in the divisor.
#[inline(always)]
fn covered(
    window: &Pool,
    axis: usize,
    output: usize,
    extent: usize,
) -> (impl Iterator<Item = usize> + Clone, usize) {
    let (pad, pad_after) = (window.pads[axis], window.pads[axis + 2]);
    let dilation = window.dilations[axis];
    let first = output * window.strides[axis];
    let count = (0..window.kernel[axis])
        .filter(|tap| first + tap * dilation < extent + pad + pad_after)
        .count();
    let inside = (0..window.kernel[axis])
        .map(move |tap| first + tap * dilation)
        .filter(move |&at| at >= pad && at < extent + pad)
        .map(move |at| at - pad);
    (inside, count)
}

#[inline(always)]
fn max_into(sums: &mut [f32], values: &[f32]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum = if value > *sum { value } else { *sum };
    }
}

#[inline(always)]
fn add_into(sums: &mut [f32], values: &[f32]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// # Safety
/// Instructions as [`Simd`] demands; the body is safe code the compiler vectorises with them.
#[inline(always)]
unsafe fn pool_with<S: Simd>(job: &Job<'_>, input: &[f32], out: &mut [f32], line: &mut [f32]) {
    let Job {
        kind,
        window,
        from,
        to,
    } = *job;
    let channels = from.channels;
    for n in 0..to.batch {
        for y in 0..to.height {
            let (rows, rows_counted) = covered(window, 0, y, from.height);
            let inside_rows = rows.clone().count();
            for (index, row) in rows.enumerate() {
                for (x, pixel) in line.chunks_exact_mut(channels).enumerate() {
                    let at = from.at(n, row, x);
                    let values = &input[at..at + channels];
                    match kind {
                        _ if index == 0 => pixel.copy_from_slice(values),
                        Kind::Max => max_into(pixel, values),
                        Kind::Average | Kind::Sum => add_into(pixel, values),
                    }
                }
            }
            for x in 0..to.width {
                let (columns, columns_counted) = covered(window, 1, x, from.width);
                let inside_columns = columns.clone().count();
                let at = to.at(n, y, x);
                let target = &mut out[at..at + channels];
                if inside_rows * inside_columns == 0 {
                    target.fill(0.0);
                    continue;
                }
                for (index, column) in columns.enumerate() {
                    let values = &line[column * channels..(column + 1) * channels];
                    match kind {
                        _ if index == 0 => target.copy_from_slice(values),
                        Kind::Max => max_into(target, values),
                        Kind::Average | Kind::Sum => add_into(target, values),
                    }
                }
                if kind == Kind::Average {
                    let count = if window.count_include_pad {
                        rows_counted * columns_counted
                    } else {
                        inside_rows * inside_columns
                    };
                    let factor = 1.0 / count as f32;
                    for value in target {
                        *value *= factor;
                    }
                }
            }
        }
    }
}

/// Mean, sum or maximum over all positions: `[N, C, H, W]` to one pixel per image.
pub(crate) fn global(isa: Isa, kind: Kind, source: (&[f32], Map), target: (&mut [f32], Map)) {
    let (input, from) = source;
    let (out, to) = target;
    assert_eq!(from.channels, to.channels, "pooling keeps channels");
    assert!(
        from.end() <= input.len() && to.end() <= out.len(),
        "map out of range"
    );
    let window = Pool {
        kernel: [from.height, from.width],
        strides: [1, 1],
        pads: [0; 4],
        dilations: [1, 1],
        count_include_pad: false,
    };
    let job = Job {
        kind,
        window: &window,
        from,
        to,
    };
    dispatch!(
        isa,
        global_with(job: &Job<'_>, input: &[f32], out: &mut [f32]) of (&job, input, out)
    );
}

/// # Safety
/// As [`pool_with`].
#[inline(always)]
unsafe fn global_with<S: Simd>(job: &Job<'_>, input: &[f32], out: &mut [f32]) {
    let Job { kind, from, to, .. } = *job;
    let channels = from.channels;
    let factor = 1.0 / (from.height * from.width).max(1) as f32;
    // Row by row: a long sum rounds less in parts.
    let mut line = vec![0.0f32; channels];
    for n in 0..to.batch {
        let at = to.at(n, 0, 0);
        let target = &mut out[at..at + channels];
        for y in 0..from.height {
            for x in 0..from.width {
                let at = from.at(n, y, x);
                let values = &input[at..at + channels];
                match kind {
                    _ if x == 0 => line.copy_from_slice(values),
                    Kind::Max => max_into(&mut line, values),
                    Kind::Average | Kind::Sum => add_into(&mut line, values),
                }
            }
            match kind {
                _ if y == 0 => target.copy_from_slice(&line),
                Kind::Max => max_into(target, &line),
                Kind::Average | Kind::Sum => add_into(target, &line),
            }
        }
        if kind == Kind::Average {
            for value in target {
                *value *= factor;
            }
        }
    }
}
