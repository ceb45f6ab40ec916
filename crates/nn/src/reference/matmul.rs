//! Matrix products.

use super::index::{broadcast_strides, for_each_index, offset};
use crate::graph::{Tensor, shape};

/// Operands of [`gemm`].
pub(super) struct Factors<'a> {
    /// `[M, K]`, or `[K, M]` stored transposed.
    pub left: &'a Tensor,
    /// `[K, N]`, or `[N, K]` stored transposed.
    pub right: &'a Tensor,
    /// Broadcastable to `[M, N]`.
    pub offset: Option<&'a Tensor>,
}

/// `alpha * op(left) * op(right) + beta * offset`, `[M, N]`.
pub(super) fn gemm(
    [alpha, beta]: [f32; 2],
    [trans_a, trans_b]: [bool; 2],
    factors: &Factors<'_>,
    output_shape: &[usize],
) -> Vec<f32> {
    let Factors {
        left,
        right,
        offset: added,
    } = factors;
    let &[rows, columns] = output_shape else {
        return Vec::new();
    };
    let inner = left.shape[usize::from(!trans_a)];
    let added_strides = added.map(|tensor| broadcast_strides(&tensor.shape, output_shape));
    let mut output = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let mut sum = 0.0f64;
            for k in 0..inner {
                let a = left.data[if trans_a {
                    k * rows + row
                } else {
                    row * inner + k
                }];
                let b = right.data[if trans_b {
                    column * inner + k
                } else {
                    k * columns + column
                }];
                sum += f64::from(a) * f64::from(b);
            }
            let mut result = f64::from(alpha) * sum;
            if let (Some(tensor), Some(strides)) = (added, &added_strides) {
                result += f64::from(beta) * f64::from(tensor.data[offset(&[row, column], strides)]);
            }
            output.push(result as f32);
        }
    }
    output
}

/// NumPy `matmul`: vectors are promoted, leading axes are broadcast.
pub(super) fn matmul(left: &Tensor, right: &Tensor) -> Vec<f32> {
    let left_shape = if left.shape.len() == 1 {
        [&[1], &left.shape[..]].concat()
    } else {
        left.shape.clone()
    };
    let right_shape = if right.shape.len() == 1 {
        [&right.shape[..], &[1]].concat()
    } else {
        right.shape.clone()
    };
    let ([left_batch @ .., rows, inner], [right_batch @ .., _, columns]) =
        (left_shape.as_slice(), right_shape.as_slice())
    else {
        return Vec::new();
    };
    let (rows, inner, columns) = (*rows, *inner, *columns);
    let Ok(batch) = shape::broadcast(left_batch, right_batch) else {
        return Vec::new();
    };
    let left_strides = broadcast_strides(left_batch, &batch);
    let right_strides = broadcast_strides(right_batch, &batch);
    let mut output = Vec::new();
    for_each_index(&batch, |index| {
        let left_start = offset(index, &left_strides) * rows * inner;
        let right_start = offset(index, &right_strides) * inner * columns;
        for row in 0..rows {
            for column in 0..columns {
                let products = (0..inner).map(|k| {
                    f64::from(left.data[left_start + row * inner + k])
                        * f64::from(right.data[right_start + k * columns + column])
                });
                output.push(products.sum::<f64>() as f32);
            }
        }
    });
    output
}
