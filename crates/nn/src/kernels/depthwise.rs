//! Depthwise convolution: every channel with its own small kernel, vectorised over channels.

use super::buffer::Buffer;
use super::dispatch;
use super::simd::{Isa, Simd};
use crate::exec::layout::Map;

/// Output pixels computed side by side; their sums stay in registers.
const STRIP: usize = 6;

/// Weights `[tap][channel]` and geometry.
#[derive(Debug)]
pub(crate) struct DepthwiseWeights {
    isa: Isa,
    taps: Buffer,
    bias: Buffer,
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
}

impl DepthwiseWeights {
    /// From `weight(channel, ky, kx)`; `bias` has one value per channel.
    pub(crate) fn new(
        isa: Isa,
        bias: &[f32],
        kernel: [usize; 2],
        strides: [usize; 2],
        dilations: [usize; 2],
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let channels = bias.len();
        let mut taps = Buffer::zeros(kernel[0] * kernel[1] * channels);
        for ky in 0..kernel[0] {
            for kx in 0..kernel[1] {
                for channel in 0..channels {
                    taps[(ky * kernel[1] + kx) * channels + channel] = weight(channel, ky, kx);
                }
            }
        }
        Self {
            isa,
            taps,
            bias: Buffer::from(bias),
            kernel,
            strides,
            dilations,
        }
    }
}

/// Convolves; position (0, 0) of `source` is what the first tap of output (0, 0) reads.
pub(crate) fn convolve(
    weights: &DepthwiseWeights,
    source: (&[f32], Map),
    target: (&mut [f32], Map),
    [low, high]: [f32; 2],
) {
    let (input, from) = source;
    let (out, to) = target;
    assert_eq!(from.channels, weights.bias.len(), "input channels");
    assert_eq!(to.channels, weights.bias.len(), "output channels");
    assert!(to.end() <= out.len(), "output out of range");
    if to.batch * to.height * to.width * to.channels == 0 {
        return;
    }
    let [reach_y, reach_x] = [0, 1].map(|axis| {
        let extent = [to.height, to.width][axis];
        let taps = weights.kernel[axis].saturating_sub(1);
        (extent - 1) * weights.strides[axis] + taps * weights.dilations[axis]
    });
    let last = from.offset
        + (from.batch - 1) * from.image
        + reach_y * from.row
        + reach_x * from.pixel
        + from.channels;
    assert!(last <= input.len(), "input out of range");
    let job = Job {
        weights,
        from,
        to,
        low,
        high,
    };
    dispatch!(
        weights.isa,
        convolve_with(job: &Job<'_>, input: &[f32], out: &mut [f32]) of (&job, input, out)
    );
}

struct Job<'a> {
    weights: &'a DepthwiseWeights,
    from: Map,
    to: Map,
    low: f32,
    high: f32,
}

/// # Safety
/// Extents as checked by [`convolve`]; instructions as [`Simd`] demands.
#[inline(always)]
unsafe fn convolve_with<S: Simd>(job: &Job<'_>, input: &[f32], out: &mut [f32]) {
    let Job {
        weights, from, to, ..
    } = *job;
    let [stride_y, stride_x] = weights.strides;
    let strips = to.width.div_ceil(STRIP);
    let (columns, longer) = (to.width / strips, to.width % strips);
    for n in 0..to.batch {
        for y in 0..to.height {
            let mut x = 0;
            for strip in 0..strips {
                let count = columns + usize::from(strip < longer);
                let source = from.at(n, y * stride_y, x * stride_x);
                let target = to.at(n, y, x);
                // SAFETY: passed on.
                unsafe {
                    match count {
                        1 => strip_of::<S, 1>(job, input, source, out, target),
                        2 => strip_of::<S, 2>(job, input, source, out, target),
                        3 => strip_of::<S, 3>(job, input, source, out, target),
                        4 => strip_of::<S, 4>(job, input, source, out, target),
                        5 => strip_of::<S, 5>(job, input, source, out, target),
                        _ => strip_of::<S, 6>(job, input, source, out, target),
                    }
                }
                x += count;
            }
        }
    }
}

/// `COUNT` neighbouring output pixels, all channels.
///
/// # Safety
/// As [`convolve_with`]: `source` and `target` are checked pixels.
#[inline(always)]
unsafe fn strip_of<S: Simd, const COUNT: usize>(
    job: &Job<'_>,
    input: &[f32],
    source: usize,
    out: &mut [f32],
    target: usize,
) {
    let Job {
        weights,
        from,
        to,
        low,
        high,
        ..
    } = *job;
    let channels = to.channels;
    let [kernel_y, kernel_x] = weights.kernel;
    let [dilation_y, dilation_x] = weights.dilations;
    let step = weights.strides[1] * from.pixel;
    if channels < S::LANES {
        for pixel in 0..COUNT {
            for c in 0..channels {
                let mut sum = weights.bias[c];
                for ky in 0..kernel_y {
                    for kx in 0..kernel_x {
                        let at = source
                            + pixel * step
                            + ky * dilation_y * from.row
                            + kx * dilation_x * from.pixel;
                        sum += input[at + c] * weights.taps[(ky * kernel_x + kx) * channels + c];
                    }
                }
                out[target + pixel * to.pixel + c] = sum.max(low).min(high);
            }
        }
        return;
    }
    // SAFETY: the caller's; the last vector overlaps its neighbour so that it ends at `channels`.
    unsafe {
        for block in 0..channels.div_ceil(S::LANES) {
            let c = (block * S::LANES).min(channels - S::LANES);
            let source = input.as_ptr().add(source + c);
            let mut sums = [S::zero(); COUNT];
            match (kernel_x, dilation_x, weights.strides[1]) {
                (3, 1, 1) => taps_of::<S, COUNT, 3>(job, source, c, 0, &mut sums),
                (5, 1, 1) => taps_of::<S, COUNT, 5>(job, source, c, 0, &mut sums),
                (3, 1, 2) => {
                    taps_of::<S, COUNT, 2>(job, source, c, 0, &mut sums);
                    taps_of::<S, COUNT, 1>(job, source, c, 1, &mut sums);
                }
                (5, 1, 2) => {
                    taps_of::<S, COUNT, 3>(job, source, c, 0, &mut sums);
                    taps_of::<S, COUNT, 2>(job, source, c, 1, &mut sums);
                }
                _ => any_taps::<S, COUNT>(job, source, c, &mut sums),
            }
            let bias = S::load(weights.bias.as_ptr().add(c));
            let (low, high) = (S::splat(low), S::splat(high));
            for (index, sum) in sums.into_iter().enumerate() {
                // Last: taps added to a large bias would round at its magnitude.
                let value = S::min(S::max(S::add(sum, bias), low), high);
                S::store(out.as_mut_ptr().add(target + index * to.pixel + c), value);
            }
        }
    }
}

/// Adds the taps `first`, `first + stride`, ... to `COUNT` neighbouring output pixels for the vector
/// of channels at `c`: with one input pixel of the same remainder after the other, each is loaded
/// once and serves all outputs it belongs to. (Taps of all remainders in one loop are too many for
/// the compiler to unroll, and then the sums leave the registers.)
///
/// # Safety
/// As [`strip_of`]; `source` is the first pixel's first tap.
#[inline(always)]
unsafe fn taps_of<S: Simd, const COUNT: usize, const TAPS: usize>(
    job: &Job<'_>,
    source: *const f32,
    c: usize,
    first: usize,
    sums: &mut [S::V; COUNT],
) {
    let Job {
        weights, from, to, ..
    } = *job;
    let stride = weights.strides[1];
    // SAFETY: the caller's.
    unsafe {
        for ky in 0..weights.kernel[0] {
            let row = source.add(ky * weights.dilations[0] * from.row + first * from.pixel);
            let taps = (ky * weights.kernel[1] + first) * to.channels + c;
            let taps = weights.taps.as_ptr().add(taps);
            let taps: [S::V; TAPS] =
                std::array::from_fn(|tap| S::load(taps.add(tap * stride * to.channels)));
            for x in 0..COUNT - 1 + TAPS {
                let pixel = S::load(row.add(x * stride * from.pixel));
                for tap in 0..TAPS {
                    if x >= tap && x - tap < COUNT {
                        sums[x - tap] = S::mul_add(pixel, taps[tap], sums[x - tap]);
                    }
                }
            }
        }
    }
}

/// [`taps_of`] for any kernel, stride and dilation.
///
/// # Safety
/// As [`taps_of`].
#[inline(always)]
unsafe fn any_taps<S: Simd, const COUNT: usize>(
    job: &Job<'_>,
    source: *const f32,
    c: usize,
    sums: &mut [S::V; COUNT],
) {
    let Job {
        weights, from, to, ..
    } = *job;
    let [dilation_y, dilation_x] = weights.dilations;
    let step = weights.strides[1] * from.pixel;
    // SAFETY: the caller's.
    unsafe {
        let mut tap = weights.taps.as_ptr().add(c);
        for ky in 0..weights.kernel[0] {
            let mut pixel = source.add(ky * dilation_y * from.row);
            for _ in 0..weights.kernel[1] {
                let weight = S::load(tap);
                for (index, sum) in sums.iter_mut().enumerate() {
                    *sum = S::mul_add(S::load(pixel.add(index * step)), weight, *sum);
                }
                tap = tap.add(to.channels);
                pixel = pixel.add(dilation_x * from.pixel);
            }
        }
    }
}
