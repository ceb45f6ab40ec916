//! Shape rules: from an operator and the shapes it reads to the shapes it writes.
//!
//! Place in the flow: the ONNX reader infers every shape with [`infer`] while it builds a graph;
//! [`verify`](super::verify) applies the same rules to a finished graph, and the reference executor
//! to every call, so that no executor has to check an extent again.
//!
//! Some operators leave their output's extents open ([`Op::Reshape`], [`Op::Slice`], pooling with
//! `ceil_mode`, ...): the caller passes the wanted shapes and `infer` checks that the operator can
//! produce them. All arithmetic is checked: extents come from files nobody vouches for.

use super::ir::{Conv, Op, PadMode, Pool};

/// Largest number of elements of one tensor.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// Largest rank of a tensor.
pub const MAX_RANK: usize = 8;

/// Why an operator cannot be applied to operands of these shapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Too few or too many operands.
    #[error("expected {expected} operands, found {found}")]
    OperandCount {
        /// How many there should be.
        expected: &'static str,
        /// How many there are.
        found: usize,
    },
    /// An operand has the wrong number of axes.
    #[error("{operand} must have rank {expected}, found shape {shape:?}")]
    Rank {
        /// Its role.
        operand: &'static str,
        /// Ranks allowed.
        expected: &'static str,
        /// What was found.
        shape: Vec<usize>,
    },
    /// Extents, axes or attributes that do not fit together.
    #[error("{0}")]
    Mismatch(String),
    /// A tensor larger than [`MAX_ELEMENTS`] or [`MAX_RANK`], or with an extent of 0.
    #[error("a tensor of shape {0:?} is empty or too large")]
    Extent(Vec<usize>),
}

/// `Err(Mismatch)` with a formatted message.
macro_rules! mismatch {
    ($($part:tt)*) => { Err(ShapeError::Mismatch(format!($($part)*))) };
}

/// Number of elements of `shape`; an error above [`MAX_ELEMENTS`], [`MAX_RANK`] axes, or for an
/// extent of 0.
pub fn element_count(shape: &[usize]) -> Result<usize, ShapeError> {
    shape
        .iter()
        .try_fold(1usize, |count, &extent| count.checked_mul(extent))
        .filter(|&count| count > 0 && count <= MAX_ELEMENTS && shape.len() <= MAX_RANK)
        .ok_or_else(|| ShapeError::Extent(shape.to_vec()))
}

/// NumPy broadcasting of two shapes.
pub fn broadcast(left: &[usize], right: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let rank = left.len().max(right.len());
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |own| shape[own])
    };
    (0..rank)
        .map(|axis| match (extent(left, axis), extent(right, axis)) {
            (a, b) if a == b => Ok(a),
            (1, b) => Ok(b),
            (a, 1) => Ok(a),
            _ => mismatch!("shapes {left:?} and {right:?} cannot be broadcast together"),
        })
        .collect()
}

/// Number of windows along one axis.
///
/// `before` and `after` are zeros added at both ends. With `ceil_mode` a last, partial window
/// counts if it starts inside the input or the padding before it (ONNX MaxPool-22).
pub fn window_count(
    extent: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    [before, after]: [usize; 2],
    ceil_mode: bool,
) -> Result<usize, ShapeError> {
    let spread = kernel
        .checked_sub(1)
        .and_then(|gaps| gaps.checked_mul(dilation))
        .and_then(|span| span.checked_add(1));
    let padded = extent
        .checked_add(before)
        .and_then(|sum| sum.checked_add(after));
    let room = match (spread, padded) {
        (Some(spread), Some(padded)) if stride > 0 && dilation > 0 => padded.checked_sub(spread),
        _ => None,
    };
    let Some(room) = room else {
        return mismatch!(
            "a window of {kernel} (stride {stride}, dilation {dilation}) does not fit into {extent} \
             with padding {before} and {after}"
        );
    };
    let whole = room / stride + 1;
    if ceil_mode && room % stride != 0 && whole * stride < extent + before {
        return Ok(whole + 1);
    }
    Ok(whole)
}

/// Shapes an operator writes, given those it reads and (where the operator leaves them open) those
/// wanted. With `wanted` empty the operator must determine its output itself; otherwise the result
/// equals `wanted` or is an error.
pub fn infer(
    op: &Op,
    inputs: &[&[usize]],
    wanted: &[Vec<usize>],
) -> Result<Vec<Vec<usize>>, ShapeError> {
    check_operand_count(op, inputs.len())?;
    for shape in inputs
        .iter()
        .copied()
        .chain(wanted.iter().map(Vec::as_slice))
    {
        element_count(shape)?;
    }
    if let Op::Split { axis } = op {
        check_split(inputs[0], *axis, wanted)?;
        return Ok(wanted.to_vec());
    }
    let want = wanted.first().map(Vec::as_slice);
    let output = infer_one(op, inputs, want)?;
    element_count(&output)?;
    if wanted.len() > 1 || want.is_some_and(|want| want != output) {
        return mismatch!("the output has shape {output:?}, not {wanted:?}");
    }
    Ok(vec![output])
}

fn check_operand_count(op: &Op, found: usize) -> Result<(), ShapeError> {
    let (range, expected) = match op {
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm { .. } | Op::LayerNormalization { .. } => {
            (2..=3, "2 or 3")
        }
        Op::MatMul | Op::Binary(_) | Op::Where { .. } => (2..=2, "2"),
        Op::InstanceNormalization { .. } => (3..=3, "3"),
        Op::BatchNormalization { .. } => (5..=5, "5"),
        Op::Concat { .. } => (1..=usize::MAX, "at least 1"),
        Op::Adjoint(_) => (1..=3, "1 to 3"),
        _ => (1..=1, "1"),
    };
    if range.contains(&found) {
        Ok(())
    } else {
        Err(ShapeError::OperandCount { expected, found })
    }
}

fn infer_one(
    op: &Op,
    inputs: &[&[usize]],
    want: Option<&[usize]>,
) -> Result<Vec<usize>, ShapeError> {
    let first = inputs[0];
    match op {
        Op::Adjoint(_) => match want {
            Some(want) => Ok(want.to_vec()),
            None => mismatch!("the shape of a gradient must be given"),
        },
        Op::Conv(conv) => infer_conv(conv, inputs),
        Op::ConvTranspose(conv) => infer_conv_transpose(conv, inputs, want),
        Op::Gemm {
            trans_a, trans_b, ..
        } => infer_gemm(inputs, *trans_a, *trans_b),
        Op::MatMul => infer_matmul(first, inputs[1]),
        Op::BatchNormalization { .. } => infer_per_channel(inputs, 2),
        Op::InstanceNormalization { .. } => infer_per_channel(inputs, 3),
        Op::Lrn { size, .. } => infer_lrn(first, *size),
        Op::LayerNormalization { axis, .. } => infer_layer_normalization(inputs, *axis),
        Op::Unary(_) => Ok(first.to_vec()),
        Op::Binary(super::ir::Binary::PRelu) => {
            if broadcast(first, inputs[1])? != first {
                return mismatch!("a slope of shape {:?} does not fit {first:?}", inputs[1]);
            }
            Ok(first.to_vec())
        }
        Op::Binary(_) => broadcast(first, inputs[1]),
        Op::Softmax {
            first: from, end, ..
        } => {
            if from >= end || *end > first.len() {
                return mismatch!("axes {from}..{end} do not exist in shape {first:?}");
            }
            Ok(first.to_vec())
        }
        Op::MaxPool(pool) | Op::AveragePool(pool) => {
            infer_pool(pool, matches!(op, Op::MaxPool(_)), first, want)
        }
        Op::GlobalAveragePool | Op::GlobalMaxPool => {
            let [batch, channels, _, _] = image_axes(first, "the input")?;
            Ok(vec![batch, channels, 1, 1])
        }
        Op::Reduce {
            axes, keep_dims, ..
        } => infer_reduce(first, axes, *keep_dims),
        Op::Concat { axis } => infer_concat(inputs, *axis),
        Op::Slice { starts, steps } => infer_slice(first, starts, steps, required(want)?),
        Op::Gather {
            axis,
            indices,
            indices_shape,
        } => infer_gather(first, *axis, indices, indices_shape),
        Op::Reshape => {
            let want = required(want)?;
            if element_count(first)? != element_count(want)? {
                return mismatch!("shape {first:?} cannot be read as {want:?}");
            }
            Ok(want.to_vec())
        }
        Op::Transpose { perm } => infer_transpose(first, perm),
        Op::Pad {
            before,
            after,
            mode,
        } => infer_pad(first, before, after, *mode),
        Op::Resize { scales, .. } => infer_resize(first, scales, required(want)?),
        Op::Expand => {
            let want = required(want)?;
            if broadcast(first, want)? != want {
                return mismatch!("shape {first:?} cannot be expanded to {want:?}");
            }
            Ok(want.to_vec())
        }
        Op::Where { mask } => {
            if element_count(&mask.shape)? != mask.data.len() {
                return mismatch!("the mask's data do not fit its shape {:?}", mask.shape);
            }
            broadcast(&broadcast(&mask.shape, first)?, inputs[1])
        }
        Op::Split { .. } => mismatch!("a split has several outputs"),
    }
}

fn required(want: Option<&[usize]>) -> Result<&[usize], ShapeError> {
    want.ok_or_else(|| ShapeError::Mismatch("the output's shape is not given".to_owned()))
}

fn image_axes(shape: &[usize], operand: &'static str) -> Result<[usize; 4], ShapeError> {
    <[usize; 4]>::try_from(shape).map_err(|_| ShapeError::Rank {
        operand,
        expected: "4",
        shape: shape.to_vec(),
    })
}

fn matrix_axes(shape: &[usize], operand: &'static str) -> Result<[usize; 2], ShapeError> {
    <[usize; 2]>::try_from(shape).map_err(|_| ShapeError::Rank {
        operand,
        expected: "2",
        shape: shape.to_vec(),
    })
}

fn check_bias(bias: Option<&&[usize]>, channels: usize) -> Result<(), ShapeError> {
    match bias {
        Some(shape) if **shape != [channels] => {
            mismatch!("a bias of shape {shape:?} does not fit {channels} channels")
        }
        _ => Ok(()),
    }
}

fn infer_conv(conv: &Conv, inputs: &[&[usize]]) -> Result<Vec<usize>, ShapeError> {
    let [batch, in_channels, height, width] = image_axes(inputs[0], "the input")?;
    let [out_channels, group_inputs, kernel_y, kernel_x] = image_axes(inputs[1], "the kernel")?;
    let Conv {
        strides,
        pads,
        dilations,
        groups,
    } = conv;
    if *groups == 0
        || group_inputs.checked_mul(*groups) != Some(in_channels)
        || out_channels % groups != 0
    {
        return mismatch!(
            "a kernel of shape {:?} in {groups} groups does not fit {in_channels} channels",
            inputs[1]
        );
    }
    check_bias(inputs.get(2), out_channels)?;
    let [top, left, bottom, right] = *pads;
    let rows = window_count(
        height,
        kernel_y,
        strides[0],
        dilations[0],
        [top, bottom],
        false,
    )?;
    let columns = window_count(
        width,
        kernel_x,
        strides[1],
        dilations[1],
        [left, right],
        false,
    )?;
    Ok(vec![batch, out_channels, rows, columns])
}

fn infer_conv_transpose(
    conv: &Conv,
    inputs: &[&[usize]],
    want: Option<&[usize]>,
) -> Result<Vec<usize>, ShapeError> {
    let [batch, in_channels, height, width] = image_axes(inputs[0], "the input")?;
    let [kernel_inputs, group_outputs, kernel_y, kernel_x] = image_axes(inputs[1], "the kernel")?;
    let Conv {
        strides,
        pads,
        dilations,
        groups,
    } = conv;
    if *groups == 0 || kernel_inputs != in_channels || in_channels % groups != 0 {
        return mismatch!(
            "a kernel of shape {:?} in {groups} groups does not fit {in_channels} channels",
            inputs[1]
        );
    }
    let out_channels = group_outputs.saturating_mul(*groups);
    check_bias(inputs.get(2), out_channels)?;
    let [top, left, bottom, right] = *pads;
    if let Some(want) = want
        && let Ok([_, _, want_rows, want_columns]) = image_axes(want, "the output")
    {
        // The gradient of a convolution has the extents the convolution read, whatever its padding.
        let read = |want, kernel, axis: usize, pads| {
            window_count(want, kernel, strides[axis], dilations[axis], pads, false)
        };
        if read(want_rows, kernel_y, 0, [top, bottom]) == Ok(height)
            && read(want_columns, kernel_x, 1, [left, right]) == Ok(width)
        {
            return Ok(vec![batch, out_channels, want_rows, want_columns]);
        }
    }
    let rows = transposed_extent(height, kernel_y, strides[0], dilations[0], [top, bottom])?;
    let columns = transposed_extent(width, kernel_x, strides[1], dilations[1], [left, right])?;
    let plain = vec![batch, out_channels, rows, columns];
    let Some(want) = want else { return Ok(plain) };
    let [_, _, want_rows, want_columns] = image_axes(want, "the output")?;
    // Output padding: fewer extra rows than a stride or a dilation, else the kernel never
    // reaches them and the file means something else.
    let fits = |want: usize, plain: usize, axis: usize| {
        want >= plain && want - plain < strides[axis].max(dilations[axis])
    };
    if !fits(want_rows, rows, 0) || !fits(want_columns, columns, 1) {
        return mismatch!("output {want:?} does not follow from {plain:?} by output padding");
    }
    Ok(vec![batch, out_channels, want_rows, want_columns])
}

/// Extent of a transposed convolution without output padding.
pub fn transposed_extent(
    extent: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    [before, after]: [usize; 2],
) -> Result<usize, ShapeError> {
    let full = extent
        .checked_sub(1)
        .and_then(|steps| steps.checked_mul(stride))
        .zip(
            kernel
                .checked_sub(1)
                .and_then(|gaps| gaps.checked_mul(dilation)),
        )
        .and_then(|(shift, spread)| shift.checked_add(spread)?.checked_add(1));
    let cropped = full.and_then(|full| full.checked_sub(before)?.checked_sub(after));
    match cropped {
        Some(count) if count > 0 && stride > 0 && dilation > 0 => Ok(count),
        _ => mismatch!(
            "a transposed kernel of {kernel} (stride {stride}, dilation {dilation}) on {extent} \
             leaves nothing after cropping {before} and {after}"
        ),
    }
}

fn infer_gemm(inputs: &[&[usize]], trans_a: bool, trans_b: bool) -> Result<Vec<usize>, ShapeError> {
    let [mut rows, mut inner] = matrix_axes(inputs[0], "the left factor")?;
    let [mut inner_b, mut columns] = matrix_axes(inputs[1], "the right factor")?;
    if trans_a {
        std::mem::swap(&mut rows, &mut inner);
    }
    if trans_b {
        std::mem::swap(&mut inner_b, &mut columns);
    }
    if inner != inner_b {
        return mismatch!("factors {:?} and {:?} do not fit", inputs[0], inputs[1]);
    }
    let output = vec![rows, columns];
    if let Some(offset) = inputs.get(2)
        && broadcast(offset, &output)? != output
    {
        return mismatch!("an offset of shape {offset:?} does not fit {output:?}");
    }
    Ok(output)
}

fn infer_matmul(left: &[usize], right: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let promoted_left = if left.len() == 1 {
        [&[1], left].concat()
    } else {
        left.to_vec()
    };
    let promoted_right = if right.len() == 1 {
        [right, &[1]].concat()
    } else {
        right.to_vec()
    };
    let ([left_batch @ .., rows, inner], [right_batch @ .., inner_b, columns]) =
        (promoted_left.as_slice(), promoted_right.as_slice())
    else {
        return mismatch!("scalars {left:?} and {right:?} have no matrix product");
    };
    if inner != inner_b {
        return mismatch!("factors {left:?} and {right:?} do not fit");
    }
    let mut output = broadcast(left_batch, right_batch)?;
    if left.len() > 1 {
        output.push(*rows);
    }
    if right.len() > 1 {
        output.push(*columns);
    }
    Ok(output)
}

fn infer_per_channel(inputs: &[&[usize]], min_rank: usize) -> Result<Vec<usize>, ShapeError> {
    let input = inputs[0];
    if input.len() < min_rank {
        return mismatch!("the input must have at least {min_rank} axes, found {input:?}");
    }
    let channels = input[1];
    match inputs[1..].iter().find(|shape| **shape != [channels]) {
        Some(shape) => mismatch!("a parameter of shape {shape:?} does not fit {channels} channels"),
        None => Ok(input.to_vec()),
    }
}

fn infer_lrn(input: &[usize], size: usize) -> Result<Vec<usize>, ShapeError> {
    if input.len() < 2 || size == 0 {
        return mismatch!("a window of {size} channels does not fit shape {input:?}");
    }
    Ok(input.to_vec())
}

fn infer_layer_normalization(inputs: &[&[usize]], axis: usize) -> Result<Vec<usize>, ShapeError> {
    let input = inputs[0];
    let Some(normalized) = input.get(axis..).filter(|axes| !axes.is_empty()) else {
        return mismatch!("axis {axis} does not exist in shape {input:?}");
    };
    match inputs[1..].iter().find(|shape| **shape != normalized) {
        Some(shape) => mismatch!("a parameter of shape {shape:?} does not fit {normalized:?}"),
        None => Ok(input.to_vec()),
    }
}

fn infer_pool(
    pool: &Pool,
    is_max: bool,
    input: &[usize],
    want: Option<&[usize]>,
) -> Result<Vec<usize>, ShapeError> {
    let [batch, channels, height, width] = image_axes(input, "the input")?;
    let Pool {
        kernel,
        strides,
        pads,
        dilations,
        count_include_pad: _,
    } = pool;
    let [top, left, bottom, right] = *pads;
    // A window that lies in the padding alone would have no maximum and no average.
    if top >= kernel[0].saturating_mul(dilations[0])
        || left >= kernel[1].saturating_mul(dilations[1])
        || bottom >= kernel[0].saturating_mul(dilations[0])
        || right >= kernel[1].saturating_mul(dilations[1])
        || (!is_max && *dilations != [1, 1])
    {
        return mismatch!("pads {pads:?} or dilations {dilations:?} do not fit kernel {kernel:?}");
    }
    let count = |extent: usize, axis: usize, ends: [usize; 2], ceil_mode: bool| {
        window_count(
            extent,
            kernel[axis],
            strides[axis],
            dilations[axis],
            ends,
            ceil_mode,
        )
    };
    let rows = count(height, 0, [top, bottom], false)?;
    let columns = count(width, 1, [left, right], false)?;
    let plain = vec![batch, channels, rows, columns];
    let Some(want) = want else { return Ok(plain) };
    let ceiled = vec![
        batch,
        channels,
        count(height, 0, [top, bottom], true)?,
        count(width, 1, [left, right], true)?,
    ];
    Ok(if want == ceiled { ceiled } else { plain })
}

fn infer_reduce(
    input: &[usize],
    axes: &[usize],
    keep_dims: bool,
) -> Result<Vec<usize>, ShapeError> {
    if !axes.is_sorted_by(|a, b| a < b) || axes.last().is_some_and(|&axis| axis >= input.len()) {
        return mismatch!("axes {axes:?} do not fit shape {input:?}");
    }
    let kept = |(axis, &extent): (usize, &usize)| match (axes.contains(&axis), keep_dims) {
        (false, _) => Some(extent),
        (true, true) => Some(1),
        (true, false) => None,
    };
    Ok(input.iter().enumerate().filter_map(kept).collect())
}

fn infer_concat(inputs: &[&[usize]], axis: usize) -> Result<Vec<usize>, ShapeError> {
    let mut output = inputs[0].to_vec();
    let Some(_) = output.get(axis) else {
        return mismatch!("axis {axis} does not exist in shape {output:?}");
    };
    for part in &inputs[1..] {
        let agrees = part.len() == output.len()
            && (0..output.len()).all(|other| other == axis || part[other] == output[other]);
        let sum = part
            .get(axis)
            .and_then(|extent| output[axis].checked_add(*extent));
        match sum {
            Some(sum) if agrees => output[axis] = sum,
            _ => return mismatch!("shapes {inputs:?} cannot be joined along axis {axis}"),
        }
    }
    Ok(output)
}

fn check_split(input: &[usize], axis: usize, wanted: &[Vec<usize>]) -> Result<(), ShapeError> {
    let parts: Vec<&[usize]> = wanted.iter().map(Vec::as_slice).collect();
    if parts.is_empty() || infer_concat(&parts, axis)? != input {
        return mismatch!("shape {input:?} cannot be split along axis {axis} into {wanted:?}");
    }
    Ok(())
}

fn infer_slice(
    input: &[usize],
    starts: &[usize],
    steps: &[isize],
    want: &[usize],
) -> Result<Vec<usize>, ShapeError> {
    let rank = input.len();
    if starts.len() != rank || steps.len() != rank || want.len() != rank {
        return mismatch!("starts {starts:?} and steps {steps:?} do not fit shape {input:?}");
    }
    for axis in 0..rank {
        let last = isize::try_from(want[axis] - 1)
            .ok()
            .and_then(|moves| moves.checked_mul(steps[axis]))
            .and_then(|shift| starts[axis].checked_add_signed(shift));
        let inside = |index: usize| index < input[axis];
        if steps[axis] == 0 || !inside(starts[axis]) || !last.is_some_and(inside) {
            return mismatch!("a slice of {want:?} leaves shape {input:?} in axis {axis}");
        }
    }
    Ok(want.to_vec())
}

fn infer_gather(
    input: &[usize],
    axis: usize,
    indices: &[usize],
    indices_shape: &[usize],
) -> Result<Vec<usize>, ShapeError> {
    let Some(&extent) = input.get(axis) else {
        return mismatch!("axis {axis} does not exist in shape {input:?}");
    };
    if element_count(indices_shape)? != indices.len() || indices.iter().any(|&i| i >= extent) {
        return mismatch!("the indices leave axis {axis} of shape {input:?}");
    }
    Ok([&input[..axis], indices_shape, &input[axis + 1..]].concat())
}

fn infer_transpose(input: &[usize], perm: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if sorted != (0..input.len()).collect::<Vec<_>>() {
        return mismatch!("{perm:?} is no permutation of the axes of {input:?}");
    }
    Ok(perm.iter().map(|&axis| input[axis]).collect())
}

fn infer_pad(
    input: &[usize],
    before: &[isize],
    after: &[isize],
    mode: PadMode,
) -> Result<Vec<usize>, ShapeError> {
    if before.len() != input.len() || after.len() != input.len() {
        return mismatch!("pads {before:?} and {after:?} do not fit shape {input:?}");
    }
    let mut output = Vec::with_capacity(input.len());
    for (axis, &extent) in input.iter().enumerate() {
        let (low, high) = (before[axis], after[axis]);
        let padded = extent
            .checked_add_signed(low)
            .and_then(|sum| sum.checked_add_signed(high));
        let mirror_fits = |pad: isize| pad <= 0 || pad.unsigned_abs() < extent;
        match padded {
            Some(padded)
                if padded > 0
                    && (mode != PadMode::Reflect || (mirror_fits(low) && mirror_fits(high))) =>
            {
                output.push(padded);
            }
            _ => return mismatch!("pads {low} and {high} do not fit axis {axis} of {input:?}"),
        }
    }
    Ok(output)
}

fn infer_resize(input: &[usize], scales: &[f32], want: &[usize]) -> Result<Vec<usize>, ShapeError> {
    let fits = scales.len() == input.len()
        && want.len() == input.len()
        && scales.iter().all(|scale| scale.is_finite() && *scale > 0.0)
        && (0..input.len()).all(|axis| scales[axis] != 1.0 || want[axis] == input[axis]);
    if fits {
        Ok(want.to_vec())
    } else {
        mismatch!("scales {scales:?} do not fit {input:?}")
    }
}
