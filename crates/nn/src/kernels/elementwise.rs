//! Element-wise work on channels-last maps and flat slices, and local response normalisation.

use super::dispatch;
use super::simd::{Isa, Simd};
use crate::exec::layout::Map;
use crate::graph::ir::{Binary, Unary};

/// Runs `visit(from, to, len)` for every contiguous run two maps of equal extents share.
pub(crate) fn runs(from: Map, to: Map, mut visit: impl FnMut(usize, usize, usize)) {
    let whole_rows = from.rows_are_contiguous() && to.rows_are_contiguous();
    for n in 0..to.batch {
        for y in 0..to.height {
            if whole_rows {
                visit(from.at(n, y, 0), to.at(n, y, 0), to.width * to.channels);
            } else {
                for x in 0..to.width {
                    visit(from.at(n, y, x), to.at(n, y, x), to.channels);
                }
            }
        }
    }
}

/// Applies a function in place to the elements of a slice.
pub(crate) fn unary(isa: Isa, function: Unary, values: &mut [f32]) {
    dispatch!(
        isa,
        unary_with(function: Unary, values: &mut [f32]) of (function, values)
    );
}

/// # Safety
/// Instructions as [`Simd`] demands; the body is safe code the compiler vectorises with them.
#[inline(always)]
unsafe fn unary_with<S: Simd>(function: Unary, values: &mut [f32]) {
    #[inline(always)]
    fn each(values: &mut [f32], function: impl Fn(f32) -> f32) {
        for value in values {
            *value = function(*value);
        }
    }
    match function {
        Unary::Relu => each(values, |x| if x > 0.0 { x } else { 0.0 }),
        Unary::Clip(low, high) => each(values, |x| x.max(low).min(high)),
        Unary::LeakyRelu(alpha) => each(values, |x| if x < 0.0 { alpha * x } else { x }),
        Unary::HardSigmoid(alpha, beta) => each(values, |x| (alpha * x + beta).clamp(0.0, 1.0)),
        Unary::HardSwish => each(values, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        Unary::Neg => each(values, |x| -x),
        Unary::Abs => each(values, f32::abs),
        Unary::Sqrt => each(values, f32::sqrt),
        Unary::Reciprocal => each(values, |x| 1.0 / x),
        other => each(values, |x| evaluate(other, x)),
    }
}

/// One value, any function. The slow ones go through f64, where their library versions are exact
/// enough to be independent of the platform's float32 ones.
pub(crate) fn evaluate(function: Unary, x: f32) -> f32 {
    let wide = f64::from(x);
    match function {
        Unary::Relu => x.max(0.0),
        Unary::LeakyRelu(alpha) => {
            if x < 0.0 {
                alpha * x
            } else {
                x
            }
        }
        Unary::Clip(low, high) => x.max(low).min(high),
        Unary::Sigmoid => sigmoid(wide) as f32,
        Unary::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
        Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::Erf => crate::reference::erf(wide) as f32,
        Unary::Gelu => {
            (wide / 2.0 * (1.0 + crate::reference::erf(wide / std::f64::consts::SQRT_2))) as f32
        }
        Unary::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044_715 * wide.powi(3));
            (wide / 2.0 * (1.0 + inner.tanh())) as f32
        }
        Unary::Tanh => wide.tanh() as f32,
        Unary::Sqrt => x.sqrt(),
        Unary::Exp => wide.exp() as f32,
        Unary::Log => wide.ln() as f32,
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Elu(alpha) => {
            if x < 0.0 {
                (f64::from(alpha) * wide.exp_m1()) as f32
            } else {
                x
            }
        }
        Unary::Softplus => (wide.max(0.0) + (-wide.abs()).exp().ln_1p()) as f32,
        Unary::Swish => (wide * sigmoid(wide)) as f32,
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `target[k] = function(a[k], b[k])`; an operand of one element is broadcast.
pub(crate) fn binary(isa: Isa, function: Binary, a: &[f32], b: &[f32], target: &mut [f32]) {
    let len = target.len();
    assert!(a.len() == len || a.len() == 1, "first operand's extent");
    assert!(b.len() == len || b.len() == 1, "second operand's extent");
    dispatch!(
        isa,
        binary_with(function: Binary, a: &[f32], b: &[f32], target: &mut [f32])
            of (function, a, b, target)
    );
}

/// # Safety
/// As [`unary_with`].
#[inline(always)]
unsafe fn binary_with<S: Simd>(function: Binary, a: &[f32], b: &[f32], target: &mut [f32]) {
    #[inline(always)]
    fn each(a: &[f32], b: &[f32], target: &mut [f32], function: impl Fn(f32, f32) -> f32) {
        match (a, b) {
            (&[a], &[b]) => target.fill(function(a, b)),
            (&[a], b) => {
                for (target, &b) in target.iter_mut().zip(b) {
                    *target = function(a, b);
                }
            }
            (a, &[b]) => {
                for (target, &a) in target.iter_mut().zip(a) {
                    *target = function(a, b);
                }
            }
            (a, b) => {
                for ((target, &a), &b) in target.iter_mut().zip(a).zip(b) {
                    *target = function(a, b);
                }
            }
        }
    }
    match function {
        Binary::Add => each(a, b, target, |a, b| a + b),
        Binary::Sub => each(a, b, target, |a, b| a - b),
        Binary::Mul => each(a, b, target, |a, b| a * b),
        Binary::Div => each(a, b, target, |a, b| a / b),
        Binary::Max => each(a, b, target, |a, b| if a > b { a } else { b }),
        Binary::Min => each(a, b, target, |a, b| if a < b { a } else { b }),
        Binary::PRelu => each(a, b, target, |a, b| if a < 0.0 { a * b } else { a }),
        Binary::Pow => each(a, b, target, |a, b| f64::from(a).powf(f64::from(b)) as f32),
    }
}

/// `target = values * scale + shift`, all per channel.
pub(crate) fn affine(isa: Isa, values: &[f32], scale: &[f32], shift: &[f32], target: &mut [f32]) {
    let channels = scale.len();
    assert!(
        channels > 0 && shift.len() == channels,
        "one scale and shift per channel"
    );
    assert!(
        values.len() == target.len() && values.len().is_multiple_of(channels),
        "whole pixels"
    );
    dispatch!(
        isa,
        affine_with(values: &[f32], scale: &[f32], shift: &[f32], target: &mut [f32])
            of (values, scale, shift, target)
    );
}

/// # Safety
/// As [`unary_with`].
#[inline(always)]
unsafe fn affine_with<S: Simd>(values: &[f32], scale: &[f32], shift: &[f32], target: &mut [f32]) {
    let channels = scale.len();
    for (pixel, target) in values
        .chunks_exact(channels)
        .zip(target.chunks_exact_mut(channels))
    {
        for (((target, &value), &scale), &shift) in
            target.iter_mut().zip(pixel).zip(scale).zip(shift)
        {
            *target = value * scale + shift;
        }
    }
}

/// Parameters of local response normalisation, as in [`Op::Lrn`](crate::graph::ir::Op::Lrn).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lrn {
    /// Channels summed.
    pub(crate) size: usize,
    /// Factor.
    pub(crate) alpha: f32,
    /// Exponent.
    pub(crate) beta: f32,
    /// Offset.
    pub(crate) bias: f32,
}

/// Normalises every pixel: `x / (bias + alpha / size * sum x^2)^beta`, the sum over `size`
/// neighbouring channels. `scratch` holds the squares of one pixel with a border of zeros.
pub(crate) fn lrn(
    isa: Isa,
    lrn: Lrn,
    source: (&[f32], Map),
    target: (&mut [f32], Map),
    scratch: &mut Vec<f32>,
) {
    let (input, from) = source;
    let (out, to) = target;
    assert!(
        from.end() <= input.len() && to.end() <= out.len(),
        "map out of range"
    );
    assert_eq!(from.channels, to.channels, "normalisation keeps channels");
    scratch.clear();
    scratch.resize(from.channels + lrn.size, 0.0);
    dispatch!(
        isa,
        lrn_with(lrn: Lrn, input: &[f32], maps: [Map; 2], out: &mut [f32], squares: &mut [f32])
            of (lrn, input, [from, to], out, scratch.as_mut_slice())
    );
}

/// # Safety
/// As [`unary_with`].
#[inline(always)]
unsafe fn lrn_with<S: Simd>(
    lrn: Lrn,
    input: &[f32],
    [from, to]: [Map; 2],
    out: &mut [f32],
    squares: &mut [f32],
) {
    let channels = from.channels;
    // ONNX: channels c - floor((size - 1) / 2) ..= c + ceil((size - 1) / 2).
    let before = (lrn.size - 1) / 2;
    let factor = lrn.alpha / lrn.size as f32;
    for n in 0..to.batch {
        for y in 0..to.height {
            for x in 0..to.width {
                let at = from.at(n, y, x);
                let pixel = &input[at..at + channels];
                for (square, &value) in squares[before..].iter_mut().zip(pixel) {
                    *square = value * value;
                }
                let at = to.at(n, y, x);
                let target = &mut out[at..at + channels];
                target.fill(0.0);
                for tap in 0..lrn.size {
                    for (sum, &square) in target.iter_mut().zip(&squares[tap..]) {
                        *sum += square;
                    }
                }
                if lrn.beta == 0.75 {
                    // s^-0.75 = 1 / (sqrt s * sqrt sqrt s)
                    for (sum, &value) in target.iter_mut().zip(pixel) {
                        let root = (lrn.bias + factor * *sum).sqrt();
                        *sum = value / (root * root.sqrt());
                    }
                } else {
                    for (sum, &value) in target.iter_mut().zip(pixel) {
                        let base = f64::from(lrn.bias + factor * *sum);
                        *sum = (f64::from(value) / base.powf(f64::from(lrn.beta))) as f32;
                    }
                }
            }
        }
    }
}
