//! Vector-Jacobian products in the plainest loops, accumulated in `f64`.
//!
//! `g` is the gradient with respect to an operator's output, `[M, ...]`; forward values are
//! `[N, ...]` with `N == M` or `N == 1` (one image, `M` gradients). The result has the shape of the
//! operand it is the gradient of, with `M` images.

use super::elementwise::{derivative, partial};
use super::index::{broadcast_strides, for_each_index, offset, strides};
use super::resize::{linear_sources, nearest_source};
use crate::graph::ir::{Adjoint, PadMode, Pool, ResizeMode, Sign};
use crate::graph::{Conv, Tensor};

/// Applies one adjoint; operands as the variants of [`Adjoint`] list them.
pub(super) fn evaluate(op: &Adjoint, operands: &[&Tensor], shape: &[usize]) -> Vec<f32> {
    let g = operands[0];
    let x = operands.get(1).copied().unwrap_or(g);
    match op {
        Adjoint::Unary(function) => {
            let values = g.data.iter().enumerate();
            let of = |(k, &g): (usize, &f32)| {
                (f64::from(g) * derivative(*function, f64::from(x.data[k % x.data.len()]))) as f32
            };
            values.map(of).collect()
        }
        Adjoint::Binary { function, second } => {
            let b = operands.get(2).copied().unwrap_or(x);
            let of = [x, b].map(|tensor| broadcast_strides(&tensor.shape, shape));
            let mut values = g.data.iter();
            let mut out = Vec::with_capacity(g.data.len());
            for_each_index(shape, |index| {
                let [a, b] = [(x, &of[0]), (b, &of[1])]
                    .map(|(tensor, strides)| f64::from(tensor.data[offset(index, strides)]));
                let g = values.next().map_or(0.0, |&g| f64::from(g));
                out.push((g * partial(*function, *second, a, b)) as f32);
            });
            out
        }
        Adjoint::MaxPool(pool) => pooled(pool, g, Some(x), shape),
        Adjoint::AveragePool(pool) => pooled(pool, g, None, shape),
        Adjoint::ReduceMax { axes } => reduce_max(axes, g, x, shape),
        Adjoint::Lrn {
            size,
            alpha,
            beta,
            bias,
        } => local_response(g, x, *size, [*alpha, *beta, *bias]),
        Adjoint::LayerNormalization { axis, epsilon } => {
            let block = shape[*axis..].iter().product();
            let scale = &operands[2].data;
            standardized(g, x, block, *epsilon, |_, k| f64::from(scale[k]))
        }
        Adjoint::InstanceNormalization { epsilon } => {
            let block: usize = shape[2..].iter().product();
            let scale = &operands[2].data;
            standardized(g, x, block, *epsilon, |number, _| {
                f64::from(scale[number % shape[1]])
            })
        }
        Adjoint::Softmax { first, end, log } => softmax(g, x, *first..*end, *log),
        Adjoint::Slice { starts, steps } => scatter(g, shape, |index, source| {
            for (axis, &k) in index.iter().enumerate() {
                source[axis] = starts[axis].wrapping_add_signed(steps[axis] * k as isize);
            }
        }),
        Adjoint::Gather { axis, indices } => {
            // Flattening the indices' axes into one keeps the order of the data.
            let mut flat: Vec<usize> = shape.to_vec();
            flat[*axis] = indices.len();
            let flat = Tensor {
                shape: flat,
                data: g.data.clone(),
            };
            scatter(&flat, shape, |index, source| {
                source.copy_from_slice(index);
                source[*axis] = indices[index[*axis]];
            })
        }
        Adjoint::Pad { before, mode } => scatter(g, shape, |index, source| {
            for (axis, &k) in index.iter().enumerate() {
                let last = shape[axis] as isize - 1;
                let at = k as isize - before[axis];
                let inside = match mode {
                    PadMode::Reflect if at < 0 => -at,
                    PadMode::Reflect if at > last => 2 * last - at,
                    _ => at,
                };
                source[axis] = inside.clamp(0, last) as usize;
            }
        }),
        Adjoint::Resize {
            scales,
            mode,
            coordinates,
        } => {
            let sources = |axis: usize, position: usize| -> Vec<(usize, f64)> {
                let extents = [shape[axis], g.shape[axis]];
                match mode {
                    ResizeMode::Nearest(rounding) => vec![(
                        nearest_source(position, scales[axis], extents, *coordinates, *rounding),
                        1.0,
                    )],
                    ResizeMode::Linear => {
                        let (low, high, fraction) =
                            linear_sources(position, scales[axis], extents, *coordinates);
                        let fraction = f64::from(fraction);
                        vec![(low, 1.0 - fraction), (high, fraction)]
                    }
                }
            };
            resize(g, shape, sources)
        }
        Adjoint::ConvWeight(conv) => conv_weight(conv, g, x, shape),
        Adjoint::Relevance { epsilon, side } => {
            let d = operands.get(2).copied().unwrap_or(x);
            let quotient = |(k, &g): (usize, &f32)| {
                let z = f64::from(x.data[k % x.data.len()]);
                let d = f64::from(d.data[k % d.data.len()]);
                let concerned = match side {
                    Sign::Any => true,
                    Sign::Positive => z > 0.0,
                    Sign::Negative => z < 0.0,
                };
                let stabilised = d + f64::from(*epsilon) * if d < 0.0 { -1.0 } else { 1.0 };
                if concerned && stabilised != 0.0 {
                    (f64::from(g) * z / stabilised) as f32
                } else {
                    0.0
                }
            };
            g.data.iter().enumerate().map(quotient).collect()
        }
        Adjoint::Score => {
            let plane: usize = g.shape[2..].iter().product();
            let channels = g.data.chunks(plane).enumerate();
            let sums = channels.map(|(number, g)| {
                let x = &x.data[number * plane % x.data.len()..][..plane];
                let products = g.iter().zip(x).map(|(&g, &x)| f64::from(g) * f64::from(x));
                products.sum::<f64>() as f32
            });
            sums.collect()
        }
    }
}

fn rounded(sums: Vec<f64>) -> Vec<f32> {
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// Adds every element of `g` to the place `find` writes into its second argument.
fn scatter(g: &Tensor, shape: &[usize], find: impl Fn(&[usize], &mut [usize])) -> Vec<f32> {
    let own = strides(shape);
    let mut out = vec![0.0f64; shape.iter().product()];
    let mut source = vec![0; shape.len()];
    let mut values = g.data.iter();
    for_each_index(&g.shape, |index| {
        find(index, &mut source);
        out[offset(&source, &own)] += values.next().map_or(0.0, |&g| f64::from(g));
    });
    rounded(out)
}

/// Positions inside the image that an output position's window covers, and the window's divisor.
fn window(pool: &Pool, extents: [usize; 2], position: [usize; 2]) -> (Vec<[usize; 2]>, usize) {
    let mut inside = Vec::new();
    for ky in 0..pool.kernel[0] {
        for kx in 0..pool.kernel[1] {
            let at = [
                position[0] * pool.strides[0] + ky * pool.dilations[0],
                position[1] * pool.strides[1] + kx * pool.dilations[1],
            ];
            if at[0] >= pool.pads[0]
                && at[1] >= pool.pads[1]
                && at[0] - pool.pads[0] < extents[0]
                && at[1] - pool.pads[1] < extents[1]
            {
                inside.push([at[0] - pool.pads[0], at[1] - pool.pads[1]]);
            }
        }
    }
    let counted = |axis: usize| {
        let padded = extents[axis] + pool.pads[axis] + pool.pads[axis + 2];
        let start = position[axis] * pool.strides[axis];
        (start + pool.kernel[axis])
            .min(padded)
            .saturating_sub(start)
    };
    let divisor = if pool.count_include_pad {
        counted(0) * counted(1)
    } else {
        inside.len()
    };
    (inside, divisor)
}

/// To the first maximum of `x` in every window, or spread evenly where there is no `x`.
fn pooled(pool: &Pool, g: &Tensor, x: Option<&Tensor>, shape: &[usize]) -> Vec<f32> {
    let (&[_, _, height, width], &[_, _, rows, columns]) = (shape, g.shape.as_slice()) else {
        return Vec::new();
    };
    let mut out = vec![0.0f64; shape.iter().product()];
    for (plane, gradients) in g.data.chunks(rows * columns).enumerate() {
        let target = &mut out[plane * height * width..][..height * width];
        for row in 0..rows {
            for column in 0..columns {
                let gradient = f64::from(gradients[row * columns + column]);
                let (inside, divisor) = window(pool, [height, width], [row, column]);
                match x {
                    None => {
                        for [y, x] in inside {
                            target[y * width + x] += gradient / divisor as f64;
                        }
                    }
                    Some(x) => {
                        let values = &x.data[plane * height * width % x.data.len()..];
                        let mut best: Option<usize> = None;
                        for [y, x] in inside {
                            let at = y * width + x;
                            if best.is_none_or(|best| values[at] > values[best]) {
                                best = Some(at);
                            }
                        }
                        if let Some(best) = best {
                            target[best] += gradient;
                        }
                    }
                }
            }
        }
    }
    rounded(out)
}

fn reduce_max(axes: &[usize], g: &Tensor, x: &Tensor, shape: &[usize]) -> Vec<f32> {
    let mut reduced = strides(&g.shape);
    for &axis in axes {
        reduced[axis] = 0;
    }
    let own = strides(&x.shape);
    let mut first: Vec<Option<(f32, usize)>> = vec![None; g.data.len()];
    let mut position = 0;
    for_each_index(shape, |index| {
        let mut at = index.to_vec();
        if x.shape[0] == 1 {
            at[0] = 0;
        }
        let value = x.data[offset(&at, &own)];
        let slot = &mut first[offset(index, &reduced)];
        if slot.is_none_or(|(best, _)| value > best) {
            *slot = Some((value, position));
        }
        position += 1;
    });
    let mut out = vec![0.0; shape.iter().product()];
    for (slot, &gradient) in first.iter().zip(&*g.data) {
        if let Some((_, position)) = slot {
            out[*position] = gradient;
        }
    }
    out
}

/// With `s_c = bias + alpha / size * sum of squares around c`:
/// `dx_c = g_c s_c^-beta - 2 alpha beta / size * x_c * sum over d with c around d of
/// g_d x_d s_d^(-beta - 1)`.
fn local_response(g: &Tensor, x: &Tensor, size: usize, [alpha, beta, bias]: [f32; 3]) -> Vec<f32> {
    let channels = g.shape[1];
    let plane: usize = g.shape[2..].iter().product();
    let (before, after) = ((size - 1) / 2, size / 2);
    let [alpha, beta, bias] = [alpha, beta, bias].map(f64::from);
    let around = |c: usize, before: usize, after: usize| {
        c.saturating_sub(before)..=c.saturating_add(after).min(channels - 1)
    };
    let mut out = vec![0.0f32; g.data.len()];
    for image in 0..g.shape[0] {
        for position in 0..plane {
            let at = |c: usize| (image * channels + c) * plane + position;
            let value = |c: usize| f64::from(x.data[at(c) % x.data.len()]);
            let scale: Vec<f64> = (0..channels)
                .map(|c| {
                    let squares: f64 = around(c, before, after).map(|d| value(d).powi(2)).sum();
                    bias + alpha / size as f64 * squares
                })
                .collect();
            for c in 0..channels {
                // d sees c when c lies at most `after` above or `before` below d.
                let seen: f64 = around(c, after, before)
                    .map(|d| f64::from(g.data[at(d)]) * value(d) * scale[d].powf(-beta - 1.0))
                    .sum();
                let own = f64::from(g.data[at(c)]) * scale[c].powf(-beta);
                out[at(c)] = (own - 2.0 * alpha * beta / size as f64 * value(c) * seen) as f32;
            }
        }
    }
    out
}

/// Of `scale * (x - mean) / deviation` over blocks: with `h = g * scale` and the standardised `u`,
/// `dx = (h - mean(h) - u * mean(h * u)) / deviation`. `scale(block, position in it)`.
fn standardized(
    g: &Tensor,
    x: &Tensor,
    block: usize,
    epsilon: f32,
    scale: impl Fn(usize, usize) -> f64,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(g.data.len());
    for (number, gradients) in g.data.chunks(block).enumerate() {
        let values = &x.data[number * block % x.data.len()..][..block];
        let count = block as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = values
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / count;
        let deviation = (variance + f64::from(epsilon)).sqrt();
        let unit = |k: usize| (f64::from(values[k]) - mean) / deviation;
        let scaled = |k: usize| f64::from(gradients[k]) * scale(number, k);
        let mean_scaled = (0..block).map(scaled).sum::<f64>() / count;
        let mean_product = (0..block).map(|k| scaled(k) * unit(k)).sum::<f64>() / count;
        out.extend(
            (0..block)
                .map(|k| ((scaled(k) - mean_scaled - unit(k) * mean_product) / deviation) as f32),
        );
    }
    out
}

/// From the output `y`: `y * (g - sum g y)`; of the logarithm `g - exp(y) * sum g`.
fn softmax(g: &Tensor, y: &Tensor, range: std::ops::Range<usize>, log: bool) -> Vec<f32> {
    let inner: usize = g.shape[range.end..].iter().product();
    let outer: usize = g.shape[..range.start].iter().product();
    let length: usize = g.shape[range].iter().product();
    let mut out = vec![0.0; g.data.len()];
    for block in 0..outer {
        for column in 0..inner {
            let at = |k: usize| (block * length + k) * inner + column;
            let gradient = |k: usize| f64::from(g.data[at(k)]);
            let value = |k: usize| f64::from(y.data[at(k) % y.data.len()]);
            let sum: f64 = (0..length)
                .map(|k| gradient(k) * if log { 1.0 } else { value(k) })
                .sum();
            for k in 0..length {
                out[at(k)] = if log {
                    gradient(k) - value(k).exp() * sum
                } else {
                    value(k) * (gradient(k) - sum)
                } as f32;
            }
        }
    }
    out
}

/// Adds every element to the pixels it was mixed from, with their weights.
fn resize(
    g: &Tensor,
    shape: &[usize],
    sources: impl Fn(usize, usize) -> Vec<(usize, f64)>,
) -> Vec<f32> {
    let own = strides(shape);
    let mut out = vec![0.0f64; shape.iter().product()];
    let mut values = g.data.iter();
    for_each_index(&g.shape, |index| {
        let gradient = values.next().map_or(0.0, |&g| f64::from(g));
        let mut corners = vec![(0usize, gradient)];
        for (axis, &position) in index.iter().enumerate() {
            let along = sources(axis, position);
            corners = corners
                .into_iter()
                .flat_map(|(at, value)| {
                    let along = &along;
                    let own = &own;
                    along
                        .iter()
                        .map(move |&(source, weight)| (at + source * own[axis], value * weight))
                })
                .collect();
        }
        for (at, value) in corners {
            out[at] += value;
        }
    });
    rounded(out)
}

/// `dK[j, i, ky, kx] = sum over images and positions of g[j, p] x[i, p * stride + k - pad]`.
fn conv_weight(conv: &Conv, g: &Tensor, x: &Tensor, shape: &[usize]) -> Vec<f32> {
    let (&[batch, outputs, rows, columns], &[_, inputs, height, width]) =
        (g.shape.as_slice(), x.shape.as_slice())
    else {
        return Vec::new();
    };
    let &[_, per_group, kernel_y, kernel_x] = shape else {
        return Vec::new();
    };
    let group_outputs = outputs / conv.groups;
    let source = |axis: usize, position: usize, tap: usize, extent: usize| {
        (position * conv.strides[axis] + tap * conv.dilations[axis])
            .checked_sub(conv.pads[axis])
            .filter(|&at| at < extent)
    };
    let mut out = Vec::with_capacity(shape.iter().product());
    for j in 0..outputs {
        for i in 0..per_group {
            let channel = j / group_outputs * per_group + i;
            for ky in 0..kernel_y {
                for kx in 0..kernel_x {
                    let mut sum = 0.0f64;
                    for n in 0..batch {
                        let gradient = &g.data[(n * outputs + j) * rows * columns..];
                        let plane = (n * inputs + channel) * height * width % x.data.len();
                        for row in 0..rows {
                            let Some(y) = source(0, row, ky, height) else {
                                continue;
                            };
                            for column in 0..columns {
                                if let Some(at) = source(1, column, kx, width) {
                                    sum += f64::from(gradient[row * columns + column])
                                        * f64::from(x.data[plane + y * width + at]);
                                }
                            }
                        }
                    }
                    out.push(sum as f32);
                }
            }
        }
    }
    out
}
