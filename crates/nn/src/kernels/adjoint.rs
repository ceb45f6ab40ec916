//! Gradients of element-wise functions, pooling and local response normalisation on channels-last
//! maps. The naive twins are in [`reference`](crate::reference).

use super::dispatch;
use super::elementwise::Lrn;
use super::simd::{Isa, Simd};
use crate::exec::layout::Map;
use crate::graph::ir::{Pool, Unary};
use crate::reference::derivative;

/// `gradient[k] *= function'(x[k])`; of a Relu the output serves as `x`.
pub(crate) fn unary(isa: Isa, function: Unary, x: &[f32], gradient: &mut [f32]) {
    assert_eq!(x.len(), gradient.len(), "one value per gradient");
    dispatch!(
        isa,
        unary_with(function: Unary, x: &[f32], gradient: &mut [f32]) of (function, x, gradient)
    );
}

/// # Safety
/// Instructions as [`Simd`] demands; the body is safe code the compiler vectorises with them.
#[inline(always)]
unsafe fn unary_with<S: Simd>(function: Unary, x: &[f32], gradient: &mut [f32]) {
    #[inline(always)]
    fn each(x: &[f32], gradient: &mut [f32], factor: impl Fn(f32) -> f32) {
        for (g, &x) in gradient.iter_mut().zip(x) {
            *g *= factor(x);
        }
    }
    #[inline(always)]
    fn keep(x: &[f32], gradient: &mut [f32], open: impl Fn(f32) -> bool) {
        for (g, &x) in gradient.iter_mut().zip(x) {
            *g = if open(x) { *g } else { 0.0 };
        }
    }
    match function {
        Unary::Relu => keep(x, gradient, |x| x > 0.0),
        Unary::Clip(low, high) => keep(x, gradient, |x| low <= x && x <= high),
        Unary::LeakyRelu(alpha) => each(x, gradient, |x| if x < 0.0 { alpha } else { 1.0 }),
        Unary::Neg => each(x, gradient, |_| -1.0),
        _ => each(x, gradient, |x| derivative(function, f64::from(x)) as f32),
    }
}

/// Positions inside the image that a window covers along one axis.
#[inline(always)]
fn covered(
    window: &Pool,
    axis: usize,
    output: usize,
    extent: usize,
) -> impl Iterator<Item = usize> + Clone {
    let (pad, dilation) = (window.pads[axis], window.dilations[axis]);
    let first = output * window.strides[axis];
    (0..window.kernel[axis])
        .map(move |tap| first + tap * dilation)
        .filter(move |&at| at >= pad && at - pad < extent)
        .map(move |at| at - pad)
}

/// Zeroes a map.
pub(super) fn clear(out: &mut [f32], to: Map) {
    for n in 0..to.batch {
        for y in 0..to.height {
            for x in 0..to.width {
                let at = to.at(n, y, x);
                out[at..at + to.channels].fill(0.0);
            }
        }
    }
}

/// A map and the buffer it lies in.
type View<'a> = (&'a [f32], Map);

/// Sends `g` to the first element of every window of `x` that equals the window's maximum `y`.
pub(crate) fn max_pool(
    isa: Isa,
    window: &Pool,
    g: View<'_>,
    x: View<'_>,
    y: View<'_>,
    target: (&mut [f32], Map),
    scratch: &mut Vec<f32>,
) {
    let (out, to) = target;
    for (data, map) in [g, x, y] {
        assert!(map.end() <= data.len(), "map out of range");
        assert_eq!(map.channels, to.channels, "pooling keeps channels");
    }
    assert!(to.end() <= out.len(), "map out of range");
    clear(out, to);
    scratch.resize(to.channels, 0.0);
    let job = MaxPool {
        window,
        g,
        x,
        y,
        to,
    };
    dispatch!(
        isa,
        max_pool_with(job: &MaxPool<'_>, out: &mut [f32], left: &mut [f32])
            of (&job, out, scratch.as_mut_slice())
    );
}

struct MaxPool<'a> {
    window: &'a Pool,
    g: View<'a>,
    x: View<'a>,
    y: View<'a>,
    to: Map,
}

/// # Safety
/// As [`unary_with`].
#[inline(always)]
unsafe fn max_pool_with<S: Simd>(job: &MaxPool<'_>, out: &mut [f32], left: &mut [f32]) {
    let MaxPool {
        window,
        g,
        x,
        y,
        to,
    } = job;
    let channels = to.channels;
    let at = |view: &View<'_>, n: usize, row: usize, column: usize| {
        let at = view.1.at(n, row, column);
        at..at + channels
    };
    for n in 0..g.1.batch {
        for row in 0..g.1.height {
            for column in 0..g.1.width {
                // What has not found its maximum yet.
                left.copy_from_slice(&g.0[at(g, n, row, column)]);
                let largest = &y.0[at(y, n, row, column)];
                for source_row in covered(window, 0, row, to.height) {
                    for source_column in covered(window, 1, column, to.width) {
                        let values = &x.0[at(x, n, source_row, source_column)];
                        let start = to.at(n, source_row, source_column);
                        let target = &mut out[start..start + channels];
                        let lanes = target.iter_mut().zip(left.iter_mut());
                        for (((target, left), &value), &largest) in lanes.zip(values).zip(largest) {
                            let found = value == largest;
                            *target += if found { *left } else { 0.0 };
                            *left = if found { 0.0 } else { *left };
                        }
                    }
                }
            }
        }
    }
}

/// Spreads `g` over its windows, divided as the forward average was.
pub(crate) fn average_pool(isa: Isa, window: &Pool, g: View<'_>, target: (&mut [f32], Map)) {
    let (out, to) = target;
    assert!(
        g.1.end() <= g.0.len() && to.end() <= out.len(),
        "map out of range"
    );
    assert_eq!(g.1.channels, to.channels, "pooling keeps channels");
    clear(out, to);
    dispatch!(
        isa,
        average_pool_with(window: &Pool, g: &View<'_>, to: Map, out: &mut [f32])
            of (window, &g, to, out)
    );
}

/// # Safety
/// As [`unary_with`].
#[inline(always)]
unsafe fn average_pool_with<S: Simd>(window: &Pool, g: &View<'_>, to: Map, out: &mut [f32]) {
    let counted = |axis: usize, position: usize, extent: usize| {
        let padded = extent + window.pads[axis] + window.pads[axis + 2];
        let start = position * window.strides[axis];
        (start + window.kernel[axis])
            .min(padded)
            .saturating_sub(start)
    };
    for n in 0..g.1.batch {
        for row in 0..g.1.height {
            for column in 0..g.1.width {
                let rows = covered(window, 0, row, to.height);
                let columns = covered(window, 1, column, to.width);
                let count = if window.count_include_pad {
                    counted(0, row, to.height) * counted(1, column, to.width)
                } else {
                    rows.clone().count() * columns.clone().count()
                };
                let factor = 1.0 / count.max(1) as f32;
                let at = g.1.at(n, row, column);
                let gradient = &g.0[at..at + to.channels];
                for source_row in rows {
                    for source_column in columns.clone() {
                        let at = to.at(n, source_row, source_column);
                        let target = &mut out[at..at + to.channels];
                        for (target, &g) in target.iter_mut().zip(gradient) {
                            *target += factor * g;
                        }
                    }
                }
            }
        }
    }
}

/// Gradient of local response normalisation: with `s_c` the base of the power at channel c,
/// `dx_c = g_c s_c^-beta - 2 alpha beta / size * x_c * sum over d that see c of
/// g_d x_d s_d^(-beta - 1)`. `scratch` is grown as needed.
pub(crate) fn lrn(
    isa: Isa,
    lrn: Lrn,
    g: View<'_>,
    x: View<'_>,
    target: (&mut [f32], Map),
    scratch: &mut Vec<f32>,
) {
    let (out, to) = target;
    for (data, map) in [g, x] {
        assert!(map.end() <= data.len(), "map out of range");
        assert_eq!(map.channels, to.channels, "normalisation keeps channels");
    }
    assert!(to.end() <= out.len(), "map out of range");
    scratch.clear();
    scratch.resize(3 * (to.channels + lrn.size), 0.0);
    let job = LrnJob { lrn, g, x, to };
    dispatch!(
        isa,
        lrn_with(job: &LrnJob<'_>, out: &mut [f32], scratch: &mut [f32])
            of (&job, out, scratch.as_mut_slice())
    );
}

struct LrnJob<'a> {
    lrn: Lrn,
    g: View<'a>,
    x: View<'a>,
    to: Map,
}

/// # Safety
/// As [`unary_with`].
#[inline(always)]
unsafe fn lrn_with<S: Simd>(job: &LrnJob<'_>, out: &mut [f32], scratch: &mut [f32]) {
    let LrnJob { lrn, g, x, to } = job;
    let channels = to.channels;
    let width = channels + lrn.size;
    let (before, after) = ((lrn.size - 1) / 2, lrn.size / 2);
    let factor = lrn.alpha / lrn.size as f32;
    let outer = 2.0 * factor * lrn.beta;
    // Borders of zeros around the channels of one pixel.
    let (squares, rest) = scratch.split_at_mut(width);
    let (passed, sums) = rest.split_at_mut(width);
    for n in 0..to.batch {
        for row in 0..to.height {
            for column in 0..to.width {
                let at = x.1.at(n, row, column);
                let values = &x.0[at..at + channels];
                let at = g.1.at(n, row, column);
                let gradients = &g.0[at..at + channels];
                let at = to.at(n, row, column);
                let target = &mut out[at..at + channels];
                for (square, &value) in squares[before..].iter_mut().zip(values) {
                    *square = value * value;
                }
                let sums = &mut sums[..channels];
                sums.fill(0.0);
                for tap in 0..lrn.size {
                    for (sum, &square) in sums.iter_mut().zip(&squares[tap..]) {
                        *sum += square;
                    }
                }
                // g s^-beta into the target, g x s^(-beta - 1) into `passed`.
                let lanes = target.iter_mut().zip(passed[after..].iter_mut());
                let lanes = lanes.zip(sums.iter()).zip(values).zip(gradients);
                if lrn.beta == 0.75 {
                    for ((((target, passed), &sum), &value), &gradient) in lanes {
                        let base = lrn.bias + factor * sum;
                        let root = base.sqrt();
                        let own = gradient / (root * root.sqrt());
                        *target = own;
                        *passed = own * value / base;
                    }
                } else {
                    for ((((target, passed), &sum), &value), &gradient) in lanes {
                        let base = lrn.bias + factor * sum;
                        let power = f64::from(base).powf(-f64::from(lrn.beta));
                        let own = (f64::from(gradient) * power) as f32;
                        *target = own;
                        *passed = own * value / base;
                    }
                }
                // d sees c when c lies at most `after` above or `before` below d.
                sums.fill(0.0);
                for tap in 0..lrn.size {
                    for (sum, &passed) in sums.iter_mut().zip(&passed[tap..]) {
                        *sum += passed;
                    }
                }
                for ((target, &sum), &value) in target.iter_mut().zip(sums.iter()).zip(values) {
                    *target -= outer * value * sum;
                }
            }
        }
    }
}

/// `out[n, c] = sum over positions of g x`, `[N, C]` row-major.
pub(crate) fn score(isa: Isa, g: View<'_>, x: View<'_>, out: &mut [f32]) {
    for (data, map) in [g, x] {
        assert!(map.end() <= data.len(), "map out of range");
        assert_eq!(map.channels, g.1.channels, "one gradient per value");
    }
    assert!(out.len() >= g.1.batch * g.1.channels, "output out of range");
    dispatch!(
        isa,
        score_with(g: &View<'_>, x: &View<'_>, out: &mut [f32]) of (&g, &x, out)
    );
}

/// # Safety
/// As [`unary_with`].
#[inline(always)]
unsafe fn score_with<S: Simd>(g: &View<'_>, x: &View<'_>, out: &mut [f32]) {
    let channels = g.1.channels;
    // Row by row: a long sum rounds less in parts.
    let mut line = vec![0.0f32; channels];
    for n in 0..g.1.batch {
        let sums = &mut out[n * channels..(n + 1) * channels];
        sums.fill(0.0);
        for row in 0..g.1.height {
            line.fill(0.0);
            for column in 0..g.1.width {
                let gradient = &g.0[g.1.at(n, row, column)..][..channels];
                let values = &x.0[x.1.at(n, row, column)..][..channels];
                for ((sum, &g), &x) in line.iter_mut().zip(gradient).zip(values) {
                    *sum += g * x;
                }
            }
            for (sum, &part) in sums.iter_mut().zip(&line) {
                *sum += part;
            }
        }
    }
}
