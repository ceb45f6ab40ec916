//! Reductions over sorted axes.

use super::index::{for_each_index, offset, strides};
use crate::graph::Tensor;
use crate::graph::ir::Reduce;

/// Reduces `axes`; data in the order of the remaining ones (kept as 1 or not, it is the same).
pub(super) fn reduce(kind: Reduce, input: &Tensor, axes: &[usize]) -> Vec<f32> {
    let kept: Vec<usize> = (0..input.shape.len())
        .map(|axis| {
            if axes.contains(&axis) {
                1
            } else {
                input.shape[axis]
            }
        })
        .collect();
    let mut target_strides = strides(&kept);
    for &axis in axes {
        target_strides[axis] = 0;
    }
    let start = if kind == Reduce::Max {
        f64::NEG_INFINITY
    } else {
        0.0
    };
    let mut results = vec![start; kept.iter().product()];
    let mut values = input.data.iter();
    for_each_index(&input.shape, |index| {
        let value = values.next().map_or(0.0, |&x| f64::from(x));
        let target = &mut results[offset(index, &target_strides)];
        *target = if kind == Reduce::Max {
            target.max(value)
        } else {
            *target + value
        };
    });
    let count = (input.data.len() / results.len()) as f64;
    let divisor = if kind == Reduce::Mean { count } else { 1.0 };
    results
        .iter()
        .map(|result| (result / divisor) as f32)
        .collect()
}
