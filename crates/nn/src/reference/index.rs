//! Walking over the positions of a tensor in row-major order.

/// Elements between neighbours along each axis of a row-major tensor.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Strides with which a tensor of `shape` is read under NumPy broadcasting to `output`: 0 along
/// the axes that are repeated.
pub(super) fn broadcast_strides(shape: &[usize], output: &[usize]) -> Vec<usize> {
    let missing = output.len() - shape.len();
    let own = strides(shape);
    (0..output.len())
        .map(|axis| match axis.checked_sub(missing) {
            Some(own_axis) if shape[own_axis] != 1 => own[own_axis],
            _ => 0,
        })
        .collect()
}

/// Calls `visit` with every index of `shape`, last axis fastest; once with `[]` for a scalar.
pub(super) fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        visit(&index);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// Position of `index` in a tensor with these strides.
pub(super) fn offset(index: &[usize], strides: &[usize]) -> usize {
    index
        .iter()
        .zip(strides)
        .map(|(position, stride)| position * stride)
        .sum()
}
