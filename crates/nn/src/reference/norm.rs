//! Normalisations and softmax. Parameters are `[C]` vectors or, for the layer normalisation, have
//! the shape of the normalised axes.

use crate::graph::Tensor;
use std::ops::Range;

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` per channel (axis 1); operands
/// `x, scale, bias, mean, variance`.
pub(super) fn batch(operands: &[&Tensor], epsilon: f32) -> Vec<f32> {
    let &[input, scale, bias, mean, variance] = operands else {
        return Vec::new();
    };
    let channels = input.shape[1];
    let plane: usize = input.shape[2..].iter().product();
    let normalize = |(position, &x): (usize, &f32)| {
        let channel = position / plane % channels;
        let of = |tensor: &Tensor| f64::from(tensor.data[channel]);
        let deviation = (of(variance) + f64::from(epsilon)).sqrt();
        ((f64::from(x) - of(mean)) / deviation * of(scale) + of(bias)) as f32
    };
    input.data.iter().enumerate().map(normalize).collect()
}

/// Each (image, channel) plane to mean 0 and variance 1, then scaled; operands `x, scale, bias`.
pub(super) fn instance(operands: &[&Tensor], epsilon: f32) -> Vec<f32> {
    let &[input, scale, bias] = operands else {
        return Vec::new();
    };
    let channels = input.shape[1];
    let plane: usize = input.shape[2..].iter().product();
    let mut output = Vec::with_capacity(input.data.len());
    for (number, values) in input.data.chunks(plane).enumerate() {
        let channel = number % channels;
        let (factor, offset) = (
            f64::from(scale.data[channel]),
            f64::from(bias.data[channel]),
        );
        output.extend(standardized(values, epsilon).map(|x| (x * factor + offset) as f32));
    }
    output
}

/// Each block of the axes `axis..` to mean 0 and variance 1, then scaled; operands
/// `x, scale[, bias]`.
pub(super) fn layer(operands: &[&Tensor], axis: usize, epsilon: f32) -> Vec<f32> {
    let (input, scale, bias) = (operands[0], operands[1], operands.get(2));
    let block: usize = input.shape[axis..].iter().product();
    let mut output = Vec::with_capacity(input.data.len());
    for values in input.data.chunks(block) {
        output.extend(
            standardized(values, epsilon)
                .enumerate()
                .map(|(position, x)| {
                    let offset = bias.map_or(0.0, |bias| f64::from(bias.data[position]));
                    (x * f64::from(scale.data[position]) + offset) as f32
                }),
        );
    }
    output
}

/// Values minus their mean over `sqrt(population variance + epsilon)`.
fn standardized(values: &[f32], epsilon: f32) -> impl Iterator<Item = f64> + '_ {
    let count = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / count;
    let deviation = (variance + f64::from(epsilon)).sqrt();
    values
        .iter()
        .map(move |&x| (f64::from(x) - mean) / deviation)
}

/// `x / (bias + alpha / size * sum of squares over neighbouring channels)^beta`.
pub(super) fn local_response(
    input: &Tensor,
    size: usize,
    [alpha, beta, bias]: [f32; 3],
) -> Vec<f32> {
    let channels = input.shape[1];
    let plane: usize = input.shape[2..].iter().product();
    // ONNX: floor((size - 1) / 2) channels before, ceil((size - 1) / 2) after.
    let (before, after) = ((size - 1) / 2, size / 2);
    let respond = |(position, &x): (usize, &f32)| {
        let channel = position / plane % channels;
        let first = channel.saturating_sub(before);
        let last = channel.saturating_add(after).min(channels - 1);
        let start = position - channel * plane;
        let squares =
            (first..=last).map(|other| f64::from(input.data[start + other * plane]).powi(2));
        let scale = f64::from(bias) + f64::from(alpha) / size as f64 * squares.sum::<f64>();
        (f64::from(x) / scale.powf(f64::from(beta))) as f32
    };
    input.data.iter().enumerate().map(respond).collect()
}

/// Softmax over the axes of `range` taken together, or its logarithm.
pub(super) fn softmax(input: &Tensor, range: Range<usize>, log: bool) -> Vec<f32> {
    let inner: usize = input.shape[range.end..].iter().product();
    let outer: usize = input.shape[..range.start].iter().product();
    let length: usize = input.shape[range].iter().product();
    let mut output = vec![0.0; input.data.len()];
    for block in 0..outer {
        for column in 0..inner {
            let at = |k: usize| (block * length + k) * inner + column;
            let values = || (0..length).map(|k| f64::from(input.data[at(k)]));
            let maximum = values().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = values().map(|x| (x - maximum).exp()).sum();
            for k in 0..length {
                let shifted = f64::from(input.data[at(k)]) - maximum;
                output[at(k)] = if log {
                    shifted - sum.ln()
                } else {
                    shifted.exp() / sum
                } as f32;
            }
        }
    }
    output
}
