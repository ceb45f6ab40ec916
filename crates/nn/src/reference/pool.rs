//! Pooling over `[N, C, H, W]`. Windows reach into the padding (ignored) and, with `ceil_mode`,
//! beyond it.

use crate::graph::{Pool, Tensor};

/// Input positions `(row, column)` inside the image under output `(row, column)`, row-major.
fn window(
    pool: &Pool,
    [height, width]: [usize; 2],
    [row, column]: [usize; 2],
) -> impl Iterator<Item = (usize, usize)> {
    let [top, left, _, _] = pool.pads;
    let axis = |axis: usize, extent: usize, position: usize, before: usize| {
        let (kernel, dilation) = (pool.kernel[axis], pool.dilations[axis]);
        let start = position * pool.strides[axis];
        (0..kernel)
            .filter_map(move |k| (start + k * dilation).checked_sub(before))
            .filter(move |&source| source < extent)
    };
    let columns: Vec<usize> = axis(1, width, column, left).collect();
    axis(0, height, row, top).flat_map(move |y| columns.clone().into_iter().map(move |x| (y, x)))
}

/// Calls `visit` with every output's plane of the input and position.
fn for_each_output(
    input: &Tensor,
    output_shape: &[usize],
    mut visit: impl FnMut(&[f32], [usize; 2], [usize; 2]) -> f64,
) -> Vec<f32> {
    let &[_, _, height, width] = input.shape.as_slice() else {
        return Vec::new();
    };
    let &[_, _, rows, columns] = output_shape else {
        return Vec::new();
    };
    let mut output = Vec::with_capacity(output_shape.iter().product());
    for plane in input.data.chunks(height * width) {
        for row in 0..rows {
            for column in 0..columns {
                output.push(visit(plane, [height, width], [row, column]) as f32);
            }
        }
    }
    output
}

/// Maximum of every window.
pub(super) fn maximum(pool: &Pool, input: &Tensor, output_shape: &[usize]) -> Vec<f32> {
    for_each_output(input, output_shape, |plane, extents, position| {
        window(pool, extents, position)
            .map(|(y, x)| f64::from(plane[y * extents[1] + x]))
            .fold(f64::NEG_INFINITY, f64::max)
    })
}

/// Average of every window; the divisor counts the padding as written if asked.
pub(super) fn average(pool: &Pool, input: &Tensor, output_shape: &[usize]) -> Vec<f32> {
    let [top, left, bottom, right] = pool.pads;
    for_each_output(input, output_shape, |plane, extents, position| {
        let values =
            || window(pool, extents, position).map(|(y, x)| f64::from(plane[y * extents[1] + x]));
        let [height, width] = extents;
        let count = if pool.count_include_pad {
            let along = |axis: usize, padded: usize| {
                let start = position[axis] * pool.strides[axis];
                (start + pool.kernel[axis])
                    .min(padded)
                    .saturating_sub(start)
            };
            along(0, height + top + bottom) * along(1, width + left + right)
        } else {
            values().count()
        };
        values().sum::<f64>() / count as f64
    })
}
