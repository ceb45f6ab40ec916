//! Element-wise functions of one and two operands, and the choice by a mask.

use super::index::{broadcast_strides, for_each_index, offset};
use crate::graph::Tensor;
use crate::graph::ir::{Binary, Unary};

/// Applies `function` to every element.
pub(super) fn unary(function: Unary, input: &Tensor) -> Vec<f32> {
    input
        .data
        .iter()
        .map(|&x| apply_unary(function, f64::from(x)) as f32)
        .collect()
}

/// Applies `function` to every pair of elements under NumPy broadcasting.
pub(super) fn binary(
    function: Binary,
    left: &Tensor,
    right: &Tensor,
    output_shape: &[usize],
) -> Vec<f32> {
    let left_strides = broadcast_strides(&left.shape, output_shape);
    let right_strides = broadcast_strides(&right.shape, output_shape);
    let mut output = Vec::with_capacity(output_shape.iter().product());
    for_each_index(output_shape, |index| {
        let a = f64::from(left.data[offset(index, &left_strides)]);
        let b = f64::from(right.data[offset(index, &right_strides)]);
        output.push(apply_binary(function, a, b) as f32);
    });
    output
}

/// Takes `left` where the mask is not 0, else `right`.
pub(super) fn choose(
    mask: &Tensor,
    left: &Tensor,
    right: &Tensor,
    output_shape: &[usize],
) -> Vec<f32> {
    let mask_strides = broadcast_strides(&mask.shape, output_shape);
    let left_strides = broadcast_strides(&left.shape, output_shape);
    let right_strides = broadcast_strides(&right.shape, output_shape);
    let mut output = Vec::with_capacity(output_shape.iter().product());
    for_each_index(output_shape, |index| {
        output.push(if mask.data[offset(index, &mask_strides)] != 0.0 {
            left.data[offset(index, &left_strides)]
        } else {
            right.data[offset(index, &right_strides)]
        });
    });
    output
}

fn apply_unary(function: Unary, x: f64) -> f64 {
    let hard_sigmoid = |alpha: f64, beta: f64| (alpha * x + beta).clamp(0.0, 1.0);
    match function {
        Unary::Relu => x.max(0.0),
        Unary::LeakyRelu(alpha) => {
            if x < 0.0 {
                f64::from(alpha) * x
            } else {
                x
            }
        }
        Unary::Clip(low, high) => x.max(f64::from(low)).min(f64::from(high)),
        Unary::Sigmoid => sigmoid(x),
        Unary::HardSigmoid(alpha, beta) => hard_sigmoid(f64::from(alpha), f64::from(beta)),
        Unary::HardSwish => x * hard_sigmoid(1.0 / 6.0, 0.5),
        Unary::Erf => erf(x),
        Unary::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Unary::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Unary::Tanh => x.tanh(),
        Unary::Sqrt => x.sqrt(),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Elu(alpha) => {
            if x < 0.0 {
                f64::from(alpha) * x.exp_m1()
            } else {
                x
            }
        }
        // ln(1 + e^x) without overflow.
        Unary::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Unary::Swish => x * sigmoid(x),
    }
}

fn apply_binary(function: Binary, a: f64, b: f64) -> f64 {
    match function {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => a.powf(b),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::PRelu => {
            if a < 0.0 {
                b * a
            } else {
                a
            }
        }
    }
}

/// Derivative of a unary function. At kinks: ReLU' (0) = 0, Clip' (bound) = 1 (method.md section
/// 3.2), |x|' (0) = 0, and the right-hand slope elsewhere.
pub(crate) fn derivative(function: Unary, x: f64) -> f64 {
    let step = |inside: bool| f64::from(u8::from(inside));
    let hard_sigmoid = |alpha: f64, beta: f64| {
        let value = alpha * x + beta;
        alpha * step((0.0..=1.0).contains(&value))
    };
    let density = |x: f64| (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt();
    match function {
        Unary::Relu => step(x > 0.0),
        Unary::LeakyRelu(alpha) => {
            if x < 0.0 {
                f64::from(alpha)
            } else {
                1.0
            }
        }
        Unary::Clip(low, high) => step(f64::from(low) <= x && x <= f64::from(high)),
        Unary::Sigmoid => sigmoid(x) * (1.0 - sigmoid(x)),
        Unary::HardSigmoid(alpha, beta) => hard_sigmoid(f64::from(alpha), f64::from(beta)),
        Unary::HardSwish => {
            let gate = (x / 6.0 + 0.5).clamp(0.0, 1.0);
            gate + x * hard_sigmoid(1.0 / 6.0, 0.5)
        }
        Unary::Erf => density(x),
        Unary::Gelu => {
            let root = std::f64::consts::FRAC_1_SQRT_2;
            0.5 * (1.0 + erf(x * root)) + 0.5 * x * root * density(x * root)
        }
        Unary::GeluTanh => {
            let factor = (2.0 / std::f64::consts::PI).sqrt();
            let tanh = (factor * (x + 0.044_715 * x.powi(3))).tanh();
            let inner = factor * (1.0 + 3.0 * 0.044_715 * x * x);
            0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * inner
        }
        Unary::Tanh => 1.0 - x.tanh().powi(2),
        Unary::Sqrt => 0.5 / x.sqrt(),
        Unary::Exp => x.exp(),
        Unary::Log => 1.0 / x,
        Unary::Neg => -1.0,
        Unary::Abs => step(x > 0.0) - step(x < 0.0),
        Unary::Reciprocal => -1.0 / (x * x),
        Unary::Elu(alpha) => {
            if x < 0.0 {
                f64::from(alpha) * x.exp()
            } else {
                1.0
            }
        }
        Unary::Softplus => sigmoid(x),
        Unary::Swish => sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
    }
}

/// Partial derivative with respect to the first or the second operand; ties of Max and Min count
/// for the first, PRelu' (0) is 1.
pub(crate) fn partial(function: Binary, second: bool, a: f64, b: f64) -> f64 {
    let step = |inside: bool| f64::from(u8::from(inside));
    match (function, second) {
        (Binary::Add, _) | (Binary::Sub, false) => 1.0,
        (Binary::Sub, true) => -1.0,
        (Binary::Mul, false) => b,
        (Binary::Mul, true) => a,
        (Binary::Div, false) => 1.0 / b,
        (Binary::Div, true) => -a / (b * b),
        (Binary::Pow, false) => b * a.powf(b - 1.0),
        (Binary::Pow, true) => a.powf(b) * a.ln(),
        (Binary::Max, false) => step(a >= b),
        (Binary::Max, true) => step(a < b),
        (Binary::Min, false) => step(a <= b),
        (Binary::Min, true) => step(a > b),
        (Binary::PRelu, false) => {
            if a < 0.0 {
                b
            } else {
                1.0
            }
        }
        (Binary::PRelu, true) => {
            if a < 0.0 {
                a
            } else {
                0.0
            }
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Error function, to about 1e-15: the series
/// `2 / sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n+1) / (1 * 3 * ... * (2n+1))`, all of one sign.
pub(crate) fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    // 1 - erf(6) is 2e-17, below half a unit in the last place of 1.
    if x.abs() >= 6.0 {
        return x.signum();
    }
    let mut term = x;
    let mut sum = x;
    let mut odd = 1.0;
    while term.abs() > 1e-18 * sum.abs() {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from tables of the error function (Abramowitz and Stegun, table 7.1).
    #[test]
    fn erf_matches_tables() {
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_916_018_285),
            (0.5, 0.520_499_877_813_047),
            (1.0, 0.842_700_792_949_715),
            (2.0, 0.995_322_265_018_953),
            (-1.5, -0.966_105_146_475_311),
            (7.0, 1.0),
        ];
        for (x, expected) in table {
            assert!((erf(x) - expected).abs() < 1e-14, "erf({x}) = {}", erf(x));
        }
        assert!(erf(f64::NAN).is_nan());
    }

    #[test]
    fn softplus_neither_overflows_nor_loses_small_values() {
        assert_eq!(apply_unary(Unary::Softplus, 1000.0), 1000.0);
        assert!((apply_unary(Unary::Softplus, -50.0) - (-50.0f64).exp()).abs() < 1e-30);
    }
}
