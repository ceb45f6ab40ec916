//! Convolution and transposed convolution by direct sums.
//!
//! Shapes: input `[N, Cin, H, W]`, kernel `[Cout, Cin / groups, Kh, Kw]` (transposed:
//! `[Cin, Cout / groups, Kh, Kw]`), output `[N, Cout, Ho, Wo]`. One output plane is summed at a
//! time, kernel element by kernel element.

use crate::graph::{Conv, Tensor};

/// The part of an axis where a kernel element meets the input: outputs `first..end`.
///
/// Output `o` reads input `o * stride + shift - before`, where `shift` is the kernel element's
/// (dilated) position.
fn overlap(
    inputs: usize,
    outputs: usize,
    stride: usize,
    shift: usize,
    before: usize,
) -> std::ops::Range<usize> {
    let first = before.saturating_sub(shift).div_ceil(stride);
    let end = (inputs + before)
        .saturating_sub(shift)
        .div_ceil(stride)
        .min(outputs);
    first.min(end)..end
}

/// Forward convolution; data of the output.
pub(super) fn forward(
    conv: &Conv,
    input: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    output_shape: &[usize],
) -> Vec<f32> {
    let &[_, in_channels, height, width] = input.shape.as_slice() else {
        return Vec::new();
    };
    let &[_, group_inputs, kernel_y, kernel_x] = kernel.shape.as_slice() else {
        return Vec::new();
    };
    let &[batch, out_channels, rows, columns] = output_shape else {
        return Vec::new();
    };
    let [top, left, _, _] = conv.pads;
    let group_outputs = out_channels / conv.groups;
    let mut output = Vec::with_capacity(batch * out_channels * rows * columns);
    let mut sums = vec![0.0f64; rows * columns];
    for image in 0..batch {
        for out_channel in 0..out_channels {
            sums.fill(bias.map_or(0.0, |bias| f64::from(bias.data[out_channel])));
            let group = out_channel / group_outputs;
            for group_input in 0..group_inputs {
                let in_channel = group * group_inputs + group_input;
                let plane_start = (image * in_channels + in_channel) * height * width;
                let plane = &input.data[plane_start..plane_start + height * width];
                for ky in 0..kernel_y {
                    for kx in 0..kernel_x {
                        let element = ((out_channel * group_inputs + group_input) * kernel_y + ky)
                            * kernel_x
                            + kx;
                        let weight = f64::from(kernel.data[element]);
                        let (shift_y, shift_x) = (ky * conv.dilations[0], kx * conv.dilations[1]);
                        let [stride_y, stride_x] = conv.strides;
                        for row in overlap(height, rows, stride_y, shift_y, top) {
                            let y = row * stride_y + shift_y - top;
                            for column in overlap(width, columns, stride_x, shift_x, left) {
                                let x = column * stride_x + shift_x - left;
                                sums[row * columns + column] +=
                                    weight * f64::from(plane[y * width + x]);
                            }
                        }
                    }
                }
            }
            output.extend(sums.iter().map(|&sum| sum as f32));
        }
    }
    output
}

/// Transposed convolution; data of the output.
pub(super) fn transposed(
    conv: &Conv,
    input: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    output_shape: &[usize],
) -> Vec<f32> {
    let &[_, in_channels, height, width] = input.shape.as_slice() else {
        return Vec::new();
    };
    let &[_, group_outputs, kernel_y, kernel_x] = kernel.shape.as_slice() else {
        return Vec::new();
    };
    let &[batch, out_channels, rows, columns] = output_shape else {
        return Vec::new();
    };
    let [top, left, _, _] = conv.pads;
    let group_inputs = in_channels / conv.groups;
    let mut output = Vec::with_capacity(batch * out_channels * rows * columns);
    let mut sums = vec![0.0f64; rows * columns];
    for image in 0..batch {
        for out_channel in 0..out_channels {
            sums.fill(bias.map_or(0.0, |bias| f64::from(bias.data[out_channel])));
            let group = out_channel / group_outputs;
            let group_output = out_channel % group_outputs;
            for in_channel in group * group_inputs..(group + 1) * group_inputs {
                for y in 0..height {
                    for x in 0..width {
                        let position =
                            ((image * in_channels + in_channel) * height + y) * width + x;
                        let value = f64::from(input.data[position]);
                        for ky in 0..kernel_y {
                            let shifted = y * conv.strides[0] + ky * conv.dilations[0];
                            let Some(row) = shifted.checked_sub(top).filter(|&row| row < rows)
                            else {
                                continue;
                            };
                            for kx in 0..kernel_x {
                                let shifted = x * conv.strides[1] + kx * conv.dilations[1];
                                let Some(column) =
                                    shifted.checked_sub(left).filter(|&column| column < columns)
                                else {
                                    continue;
                                };
                                let element =
                                    ((in_channel * group_outputs + group_output) * kernel_y + ky)
                                        * kernel_x
                                        + kx;
                                sums[row * columns + column] +=
                                    value * f64::from(kernel.data[element]);
                            }
                        }
                    }
                }
            }
            output.extend(sums.iter().map(|&sum| sum as f32));
        }
    }
    output
}
