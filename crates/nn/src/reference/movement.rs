//! Operators that only move elements: generic over the element type, since the reader also applies
//! them to the integer constants of shape arithmetic.

use super::index::{broadcast_strides, for_each_index, offset, strides};
use crate::graph::ir::PadMode;
use crate::graph::{Op, Tensor};

/// Results of a pure rearrangement of `f32` tensors; `None` for any other operator.
pub(super) fn evaluate(
    op: &Op,
    operands: &[&Tensor],
    output_shapes: &[Vec<usize>],
) -> Option<Vec<Tensor>> {
    let parts: Vec<(&[usize], &[f32])> = operands
        .iter()
        .map(|tensor| (tensor.shape.as_slice(), &*tensor.data))
        .collect();
    let results = rearrange(op, &parts, output_shapes)?;
    let tensors = results.into_iter().zip(output_shapes);
    Some(
        tensors
            .map(|(data, shape)| Tensor {
                shape: shape.clone(),
                data: data.into(),
            })
            .collect(),
    )
}

/// Results of a rearrangement of `(shape, data)` operands; `None` for any other operator. Shapes
/// must have passed [`shape::infer`](crate::graph::shape::infer).
pub(crate) fn rearrange<T: Copy>(
    op: &Op,
    operands: &[(&[usize], &[T])],
    output_shapes: &[Vec<usize>],
) -> Option<Vec<Vec<T>>> {
    let (shape, data) = *operands.first()?;
    let output_shape = output_shapes.first()?.as_slice();
    let result = match op {
        Op::Reshape => data.to_vec(),
        Op::Concat { axis } => concat(operands, *axis, output_shape),
        Op::Split { axis } => return Some(split(shape, data, *axis, output_shapes)),
        Op::Slice { starts, steps } => slice(shape, data, starts, steps, output_shape),
        Op::Gather { axis, indices, .. } => gather(shape, data, *axis, indices),
        Op::Transpose { perm } => {
            let own = strides(shape);
            let moved: Vec<usize> = perm.iter().map(|&axis| own[axis]).collect();
            read(data, &moved, output_shape)
        }
        Op::Expand => read(data, &broadcast_strides(shape, output_shape), output_shape),
        _ => return None,
    };
    Some(vec![result])
}

/// Reads `data` with these strides into the order of `output_shape`.
fn read<T: Copy>(data: &[T], strides: &[usize], output_shape: &[usize]) -> Vec<T> {
    let mut output = Vec::with_capacity(output_shape.iter().product());
    for_each_index(output_shape, |index| {
        output.push(data[offset(index, strides)])
    });
    output
}

fn concat<T: Copy>(operands: &[(&[usize], &[T])], axis: usize, output_shape: &[usize]) -> Vec<T> {
    let outer: usize = output_shape[..axis].iter().product();
    let mut output = Vec::with_capacity(output_shape.iter().product());
    for block in 0..outer {
        for (shape, data) in operands {
            let length: usize = shape[axis..].iter().product();
            output.extend_from_slice(&data[block * length..(block + 1) * length]);
        }
    }
    output
}

fn split<T: Copy>(
    shape: &[usize],
    data: &[T],
    axis: usize,
    output_shapes: &[Vec<usize>],
) -> Vec<Vec<T>> {
    let outer: usize = shape[..axis].iter().product();
    let total: usize = shape[axis..].iter().product();
    let mut start = 0;
    let mut parts = Vec::with_capacity(output_shapes.len());
    for part_shape in output_shapes {
        let length: usize = part_shape[axis..].iter().product();
        let mut part = Vec::with_capacity(outer * length);
        for block in 0..outer {
            part.extend_from_slice(&data[block * total + start..block * total + start + length]);
        }
        parts.push(part);
        start += length;
    }
    parts
}

fn slice<T: Copy>(
    shape: &[usize],
    data: &[T],
    starts: &[usize],
    steps: &[isize],
    output_shape: &[usize],
) -> Vec<T> {
    let own = strides(shape);
    let mut output = Vec::with_capacity(output_shape.iter().product());
    for_each_index(output_shape, |index| {
        let position = (0..index.len()).map(|axis| {
            let moved = index[axis] as isize * steps[axis];
            starts[axis].wrapping_add_signed(moved) * own[axis]
        });
        output.push(data[position.sum::<usize>()]);
    });
    output
}

fn gather<T: Copy>(shape: &[usize], data: &[T], axis: usize, indices: &[usize]) -> Vec<T> {
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let mut output = Vec::with_capacity(outer * indices.len() * inner);
    for block in 0..outer {
        for index in indices {
            let start = (block * shape[axis] + index) * inner;
            output.extend_from_slice(&data[start..start + inner]);
        }
    }
    output
}

/// Pads or crops; data of the output.
pub(super) fn pad(
    input: &Tensor,
    before: &[isize],
    mode: PadMode,
    output_shape: &[usize],
) -> Vec<f32> {
    let own = strides(&input.shape);
    let mut output = Vec::with_capacity(output_shape.iter().product());
    for_each_index(output_shape, |index| {
        let mut position = 0;
        let mut inside = true;
        for axis in 0..index.len() {
            let extent = input.shape[axis] as isize;
            let source = index[axis] as isize - before[axis];
            let source = match mode {
                PadMode::Constant(_) => source,
                PadMode::Edge => source.clamp(0, extent - 1),
                PadMode::Reflect if source < 0 => -source,
                PadMode::Reflect if source >= extent => 2 * (extent - 1) - source,
                PadMode::Reflect => source,
            };
            inside &= (0..extent).contains(&source);
            position += source.max(0) as usize * own[axis];
        }
        output.push(match mode {
            PadMode::Constant(value) if !inside => value,
            _ => input.data[position],
        });
    });
    output
}

/// Shapes of the parts of a split of `shape` along `axis`.
pub(crate) fn split_shapes(shape: &[usize], axis: usize, lengths: &[usize]) -> Vec<Vec<usize>> {
    let part = |&length: &usize| {
        let mut part = shape.to_vec();
        part[axis] = length;
        part
    };
    lengths.iter().map(part).collect()
}
