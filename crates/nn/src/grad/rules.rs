//! One rule per operator: from the gradient with respect to its output to those with respect to
//! its operands.

use super::fold::factors;
use super::tape::{GradError, GradientRule, Tape};
use crate::graph::ir::{
    Adjoint, Binary, Node, NodeId, Op, PadMode, Pool, Reduce, Sign, Unary, ValueId,
};

/// Propagates through one node, if a gradient reached it and an operand wants one.
pub(super) fn back(tape: &mut Tape, id: NodeId) -> Result<(), GradError> {
    let node = tape.graph.nodes[id.index()].clone();
    if !node.inputs.iter().any(|&input| tape.wants(input)) {
        return Ok(());
    }
    if let Op::Split { axis } = node.op {
        return split(tape, &node, axis);
    }
    let Some(g) = node
        .outputs
        .first()
        .and_then(|&output| tape.gradient(output))
    else {
        return Ok(());
    };
    let rule = Rule {
        node: &node,
        id,
        g,
        output: node.outputs[0],
    };
    if tape.rule.epsilon().is_some() && relevance(tape, &rule)? {
        return Ok(());
    }
    match &node.op {
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm { .. } | Op::MatMul => {
            weighted(tape, &rule, node.inputs[1])
        }
        Op::Concat { axis } => concat(tape, &rule, *axis),
        Op::Binary(function) => binary(tape, &rule, *function),
        Op::Where { mask } => {
            for (operand, keeps) in [(0, 1.0f32), (1, 0.0)] {
                let input = node.inputs[operand];
                if tape.wants(input) {
                    let data = mask.data.iter();
                    let data = data.map(|&m| if m == keeps { 1.0 } else { 0.0 }).collect();
                    let factor = tape.literal(mask.shape.clone(), data);
                    let shape = tape.shape(rule.g).to_vec();
                    let part = tape.emit(Op::Binary(Binary::Mul), &[rule.g, factor], shape);
                    let part = reduced_to(tape, &rule, part, input)?;
                    tape.accumulate(input, part);
                }
            }
            Ok(())
        }
        _ => {
            let input = node.inputs[0];
            if let Some(late) = node.inputs.iter().skip(1).position(|&v| tape.wants(v)) {
                return Err(rule.none(late + 1));
            }
            let gradient = of_one_operand(tape, &rule)?;
            tape.accumulate(input, gradient);
            Ok(())
        }
    }
}

/// A node under differentiation.
#[derive(Clone, Copy)]
struct Rule<'a> {
    node: &'a Node,
    id: NodeId,
    /// Gradient with respect to the output.
    g: ValueId,
    output: ValueId,
}

impl Rule<'_> {
    fn none(&self, operand: usize) -> GradError {
        GradError::NoRule {
            node: self.node.name.clone(),
            operand,
        }
    }
}

/// Operators whose first operand alone carries activations.
fn of_one_operand(tape: &mut Tape, rule: &Rule<'_>) -> Result<ValueId, GradError> {
    let Rule {
        node, g, output, ..
    } = *rule;
    let input = node.inputs[0];
    let shape = tape.gradient_shape(input, &node.name)?;
    let scale = node.inputs.get(1).copied();
    let gradient = match &node.op {
        Op::Unary(Unary::Relu) if tape.masked[output.index()] => g,
        Op::Unary(Unary::Relu) => tape.mask(g, output),
        Op::Unary(function) => {
            tape.emit(Op::Adjoint(Adjoint::Unary(*function)), &[g, input], shape)
        }
        Op::BatchNormalization { .. } => {
            let (factors, _) = factors(&tape.graph, rule.id).ok_or_else(|| rule.none(0))?;
            let mut along = vec![1; shape.len()];
            along[1] = factors.len();
            let data = factors.iter().map(|&factor| factor as f32).collect();
            let factor = tape.literal(along, data);
            tape.emit(Op::Binary(Binary::Mul), &[g, factor], shape)
        }
        Op::Lrn {
            size,
            alpha,
            beta,
            bias,
        } => {
            let adjoint = Adjoint::Lrn {
                size: *size,
                alpha: *alpha,
                beta: *beta,
                bias: *bias,
            };
            tape.emit(Op::Adjoint(adjoint), &[g, input], shape)
        }
        Op::LayerNormalization { axis, epsilon } => {
            let adjoint = Adjoint::LayerNormalization {
                axis: *axis,
                epsilon: *epsilon,
            };
            let scale = scale.ok_or_else(|| rule.none(1))?;
            tape.emit(Op::Adjoint(adjoint), &[g, input, scale], shape)
        }
        Op::InstanceNormalization { epsilon } => {
            let adjoint = Adjoint::InstanceNormalization { epsilon: *epsilon };
            let scale = scale.ok_or_else(|| rule.none(1))?;
            tape.emit(Op::Adjoint(adjoint), &[g, input, scale], shape)
        }
        Op::Softmax { first, end, log } => {
            let adjoint = Adjoint::Softmax {
                first: *first,
                end: *end,
                log: *log,
            };
            let mixes_images = tape.is_broadcast() && *first == 0;
            if mixes_images {
                return Err(GradError::MixesImages(node.name.clone()));
            }
            tape.emit(Op::Adjoint(adjoint), &[g, output], shape)
        }
        Op::MaxPool(pool) => {
            let adjoint = Adjoint::MaxPool(pool.clone());
            tape.emit(Op::Adjoint(adjoint), &[g, input, output], shape)
        }
        Op::AveragePool(pool) => {
            tape.emit(Op::Adjoint(Adjoint::AveragePool(pool.clone())), &[g], shape)
        }
        Op::GlobalAveragePool => spread_evenly(tape, g, shape),
        Op::GlobalMaxPool => {
            let adjoint = Adjoint::ReduceMax { axes: vec![2, 3] };
            tape.emit(Op::Adjoint(adjoint), &[g, input], shape)
        }
        Op::Reduce { kind, axes, .. } => reduce(tape, rule, *kind, axes, shape)?,
        _ => rearrangement(tape, rule, shape)?,
    };
    Ok(gradient)
}

/// Operators that move elements.
fn rearrangement(
    tape: &mut Tape,
    rule: &Rule<'_>,
    shape: Vec<usize>,
) -> Result<ValueId, GradError> {
    let Rule { node, g, .. } = *rule;
    let op = match &node.op {
        Op::Reshape => Op::Reshape,
        Op::Transpose { perm } => {
            let mut inverse = vec![0; perm.len()];
            for (axis, &from) in perm.iter().enumerate() {
                inverse[from] = axis;
            }
            if tape.is_broadcast() && perm.first() != Some(&0) {
                return Err(GradError::MixesImages(node.name.clone()));
            }
            Op::Transpose { perm: inverse }
        }
        Op::Slice { starts, steps } => Op::Adjoint(Adjoint::Slice {
            starts: starts.clone(),
            steps: steps.clone(),
        }),
        Op::Gather { axis, indices, .. } => {
            if tape.is_broadcast() && *axis == 0 {
                return Err(GradError::MixesImages(node.name.clone()));
            }
            Op::Adjoint(Adjoint::Gather {
                axis: *axis,
                indices: indices.clone(),
            })
        }
        Op::Pad {
            before,
            after,
            mode: PadMode::Constant(_),
        } => Op::Pad {
            before: before.iter().map(|&count| -count).collect(),
            after: after.iter().map(|&count| -count).collect(),
            mode: PadMode::Constant(0.0),
        },
        Op::Pad { before, mode, .. } => Op::Adjoint(Adjoint::Pad {
            before: before.clone(),
            mode: *mode,
        }),
        Op::Resize {
            scales,
            mode,
            coordinates,
        } => Op::Adjoint(Adjoint::Resize {
            scales: scales.clone(),
            mode: *mode,
            coordinates: *coordinates,
        }),
        Op::Expand => return reduced_to(tape, rule, g, node.inputs[0]),
        _ => return Err(rule.none(0)),
    };
    Ok(tape.emit(op, &[g], shape))
}

/// `g [M, C, 1, 1]` over all positions of `shape`, divided by their number.
fn spread_evenly(tape: &mut Tape, g: ValueId, shape: Vec<usize>) -> ValueId {
    let pool = Pool {
        kernel: [shape[2], shape[3]],
        strides: [1, 1],
        pads: [0; 4],
        dilations: [1, 1],
        count_include_pad: false,
    };
    tape.emit(Op::Adjoint(Adjoint::AveragePool(pool)), &[g], shape)
}

fn reduce(
    tape: &mut Tape,
    rule: &Rule<'_>,
    kind: Reduce,
    axes: &[usize],
    shape: Vec<usize>,
) -> Result<ValueId, GradError> {
    let Rule { node, .. } = *rule;
    if tape.is_broadcast() && axes.contains(&0) {
        return Err(GradError::MixesImages(node.name.clone()));
    }
    let mut kept = shape.clone();
    for &axis in axes {
        kept[axis] = 1;
    }
    let mut g = rule.g;
    if tape.shape(g) != kept {
        g = tape.emit(Op::Reshape, &[g], kept.clone());
    }
    if kind == Reduce::Max {
        let adjoint = Adjoint::ReduceMax {
            axes: axes.to_vec(),
        };
        return Ok(tape.emit(Op::Adjoint(adjoint), &[g, node.inputs[0]], shape));
    }
    if kind == Reduce::Mean && axes == [2, 3] && shape.len() == 4 {
        return Ok(spread_evenly(tape, g, shape));
    }
    if kind == Reduce::Mean {
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        let factor = tape.literal(vec![1], vec![1.0 / count as f32]);
        g = tape.emit(Op::Binary(Binary::Mul), &[g, factor], kept);
    }
    Ok(tape.emit(Op::Expand, &[g], shape))
}

/// Conv, ConvTranspose, Gemm, MatMul: gradients of both operands, and of an offset.
///
/// The input's gradient is computed with `weight`, which is the node's own unless a rule changed it.
fn weighted(tape: &mut Tape, rule: &Rule<'_>, weight: ValueId) -> Result<(), GradError> {
    let Rule { node, g, .. } = *rule;
    let x = node.inputs[0];
    if tape.wants(x) {
        let shape = tape.gradient_shape(x, &node.name)?;
        let gradient = match &node.op {
            Op::Conv(conv) => {
                require_constant(tape, rule, 1)?;
                tape.emit(Op::ConvTranspose(conv.clone()), &[g, weight], shape)
            }
            Op::ConvTranspose(conv) => {
                require_constant(tape, rule, 1)?;
                tape.emit(Op::Conv(conv.clone()), &[g, weight], shape)
            }
            Op::Gemm {
                alpha,
                trans_a,
                trans_b,
                ..
            } => {
                // Transposed: da^T = alpha * g op(b)^T, so da = alpha * op(b) g^T.
                if *trans_a {
                    tape.emit(product(*alpha, *trans_b, true), &[weight, g], shape)
                } else {
                    tape.emit(product(*alpha, false, !trans_b), &[g, weight], shape)
                }
            }
            _ => {
                let [_, right, g] = as_matrices(tape, rule, weight);
                let transposed = swap_last(tape, right);
                let product = matmul(tape, g, transposed);
                sum_to_operand(tape, rule, product, x)?
            }
        };
        tape.accumulate(x, gradient);
    }
    let weight = node.inputs[1];
    if tape.wants(weight) {
        let gradient = weight_gradient(tape, rule)?;
        tape.accumulate(weight, gradient);
    }
    match node.inputs.get(2) {
        Some(&offset) if tape.wants(offset) => {
            let Op::Gemm { beta, .. } = node.op else {
                let shape = tape.shape(offset).to_vec();
                let op = Op::Reduce {
                    kind: Reduce::Sum,
                    axes: vec![0, 2, 3],
                    keep_dims: false,
                };
                let gradient = tape.emit(op, &[g], shape);
                tape.accumulate(offset, gradient);
                return Ok(());
            };
            let shape = tape.shape(g).to_vec();
            let factor = tape.literal(vec![1], vec![beta]);
            let scaled = tape.emit(Op::Binary(Binary::Mul), &[g, factor], shape);
            let gradient = reduced_to(tape, rule, scaled, offset)?;
            tape.accumulate(offset, gradient);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Layer-wise relevance propagation through operators where it differs from the derivative: false
/// for all others.
fn relevance(tape: &mut Tape, rule: &Rule<'_>) -> Result<bool, GradError> {
    let Rule { node, output, .. } = *rule;
    let Some(epsilon) = tape.rule.epsilon() else {
        return Ok(false);
    };
    let quotient = |tape: &mut Tape, z: ValueId, d: ValueId, side: Sign| {
        let shape = tape.shape(rule.g).to_vec();
        let adjoint = Adjoint::Relevance { epsilon, side };
        tape.emit(Op::Adjoint(adjoint), &[rule.g, z, d], shape)
    };
    match &node.op {
        Op::Unary(Unary::Relu) => Ok(false),
        // The relevance of the output is that of the input: G_x = G_y y / x.
        Op::Unary(_) => {
            let g = quotient(tape, output, node.inputs[0], Sign::Any);
            tape.accumulate(node.inputs[0], g);
            Ok(true)
        }
        // A gate decides how much passes; what passes has the relevance.
        Op::Binary(Binary::Mul) => {
            let [a, b] = [node.inputs[0], node.inputs[1]];
            if !(tape.wants(a) && tape.wants(b)) {
                return Ok(false);
            }
            let (signal, gate) = if is_gate(tape, a, b) { (b, a) } else { (a, b) };
            let shape = tape.shape(rule.g).to_vec();
            let g = tape.emit(Op::Binary(Binary::Mul), &[rule.g, gate], shape);
            let g = reduced_to(tape, rule, g, signal)?;
            tape.accumulate(signal, g);
            Ok(true)
        }
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm { .. } | Op::MatMul
            if tape.constant(node.inputs[1]).is_some() =>
        {
            let gamma = match tape.rule {
                GradientRule::LrpGamma { gamma, .. }
                    if tape.non_negative[node.inputs[0].index()] =>
                {
                    gamma
                }
                _ => 0.0,
            };
            if gamma == 0.0 {
                let g = quotient(tape, output, output, Sign::Any);
                let changed = Rule { node, g, ..*rule };
                weighted(tape, &changed, node.inputs[1])?;
                return Ok(true);
            }
            for (side, sign) in [(Sign::Positive, 1.0f32), (Sign::Negative, -1.0)] {
                let favour = |tape: &mut Tape, value: ValueId| -> Option<ValueId> {
                    let tensor = tape.constant(value)?.clone();
                    let data = tensor
                        .data
                        .iter()
                        .map(|&w| w + gamma * sign * (sign * w).max(0.0));
                    Some(tape.literal(tensor.shape, data.collect()))
                };
                let Some(weight) = favour(tape, node.inputs[1]) else {
                    return Err(rule.none(1));
                };
                let mut inputs = vec![node.inputs[0], weight];
                for &offset in node.inputs.get(2..).unwrap_or_default() {
                    inputs.push(favour(tape, offset).ok_or_else(|| rule.none(2))?);
                }
                let shape = tape.shape(output).to_vec();
                let d = tape.emit(node.op.clone(), &inputs, shape);
                let g = quotient(tape, output, d, side);
                let changed = Rule { node, g, ..*rule };
                weighted(tape, &changed, weight)?;
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Of two factors, whether the first is the gate: the one that is repeated over positions, or
/// comes out of a squashing function.
fn is_gate(tape: &Tape, a: ValueId, b: ValueId) -> bool {
    let elements = |value: ValueId| tape.shape(value).iter().product::<usize>();
    let squashed = |value: ValueId| {
        let producer = tape.graph.values[value.index()].producer;
        producer.is_some_and(|producer| {
            matches!(
                tape.graph.nodes[producer.index()].op,
                Op::Unary(Unary::Sigmoid | Unary::HardSigmoid(..)) | Op::Softmax { .. }
            )
        })
    };
    elements(a) < elements(b) || (elements(a) == elements(b) && squashed(a) && !squashed(b))
}

/// `alpha op(a) op(b)`
fn product(alpha: f32, trans_a: bool, trans_b: bool) -> Op {
    Op::Gemm {
        alpha,
        beta: 0.0,
        trans_a,
        trans_b,
    }
}

fn require_constant(tape: &Tape, rule: &Rule<'_>, operand: usize) -> Result<(), GradError> {
    match tape.constant(rule.node.inputs[operand]) {
        Some(_) => Ok(()),
        None => Err(rule.none(0)),
    }
}

/// Gradient with respect to the second operand, summed over images.
fn weight_gradient(tape: &mut Tape, rule: &Rule<'_>) -> Result<ValueId, GradError> {
    let Rule { node, g, .. } = *rule;
    let (x, weight) = (node.inputs[0], node.inputs[1]);
    if tape.is_broadcast() && tape.constant(weight).is_some() {
        return Err(GradError::MixesImages(node.name.clone()));
    }
    let shape = tape.shape(weight).to_vec();
    match &node.op {
        Op::Conv(conv) => Ok(tape.emit(
            Op::Adjoint(Adjoint::ConvWeight(conv.clone())),
            &[g, x],
            shape,
        )),
        // A transposed convolution is the gradient of a convolution with operands exchanged.
        Op::ConvTranspose(conv) => Ok(tape.emit(
            Op::Adjoint(Adjoint::ConvWeight(conv.clone())),
            &[x, g],
            shape,
        )),
        Op::Gemm {
            alpha,
            trans_a,
            trans_b,
            ..
        } => Ok(if *trans_b {
            tape.emit(product(*alpha, true, *trans_a), &[g, x], shape)
        } else {
            tape.emit(product(*alpha, !trans_a, false), &[x, g], shape)
        }),
        _ => {
            let [left, _, g] = as_matrices(tape, rule, weight);
            let transposed = swap_last(tape, left);
            let product = matmul(tape, transposed, g);
            sum_to_operand(tape, rule, product, weight)
        }
    }
}

/// The operands of a MatMul and the gradient of its output with the axes that one-dimensional
/// operands lack.
fn as_matrices(tape: &mut Tape, rule: &Rule<'_>, weight: ValueId) -> [ValueId; 3] {
    let x = rule.node.inputs[0];
    let (x_shape, weight_shape) = (tape.shape(x).to_vec(), tape.shape(weight).to_vec());
    let mut g_shape = tape.shape(rule.g).to_vec();
    let mut result = [x, weight, rule.g];
    if let &[extent] = x_shape.as_slice() {
        result[0] = tape.emit(Op::Reshape, &[x], vec![1, extent]);
        g_shape.insert(
            g_shape
                .len()
                .saturating_sub(usize::from(weight_shape.len() > 1)),
            1,
        );
    }
    if let &[extent] = weight_shape.as_slice() {
        result[1] = tape.emit(Op::Reshape, &[weight], vec![extent, 1]);
        g_shape.push(1);
    }
    if g_shape != tape.shape(rule.g) {
        result[2] = tape.emit(Op::Reshape, &[rule.g], g_shape);
    }
    result
}

/// The gradient of a MatMul's operand: summed over the axes along which it was repeated.
fn sum_to_operand(
    tape: &mut Tape,
    rule: &Rule<'_>,
    product: ValueId,
    operand: ValueId,
) -> Result<ValueId, GradError> {
    let wanted = tape.gradient_shape(operand, &rule.node.name)?;
    let matrix = tape.shape(product).to_vec();
    let same_elements = matrix.iter().product::<usize>() == wanted.iter().product();
    if wanted.len() == 1 && same_elements {
        return Ok(tape.emit(Op::Reshape, &[product], wanted));
    }
    if wanted.len() == 1 {
        // All axes but the operand's own.
        let own = matrix.len()
            - if matrix[matrix.len() - 1] == wanted[0] {
                1
            } else {
                2
            };
        let axes = (0..matrix.len()).filter(|&axis| axis != own).collect();
        let op = Op::Reduce {
            kind: Reduce::Sum,
            axes,
            keep_dims: false,
        };
        return Ok(tape.emit(op, &[product], wanted));
    }
    reduced_to(tape, rule, product, operand)
}

/// A value of rank 2 or more with its last two axes exchanged.
fn swap_last(tape: &mut Tape, value: ValueId) -> ValueId {
    let shape = tape.shape(value).to_vec();
    let rank = shape.len();
    let mut swapped = shape.clone();
    swapped.swap(rank - 2, rank - 1);
    if rank == 2
        && let Some(tensor) = tape.constant(value)
    {
        let (rows, columns) = (shape[0], shape[1]);
        let data = (0..columns).flat_map(|c| (0..rows).map(move |r| (r, c)));
        let data = data.map(|(r, c)| tensor.data[r * columns + c]).collect();
        return tape.literal(swapped, data);
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 2, rank - 1);
    tape.emit(Op::Transpose { perm }, &[value], swapped)
}

/// Product over the last two axes of operands of rank 2 or more.
fn matmul(tape: &mut Tape, a: ValueId, b: ValueId) -> ValueId {
    let (left, right) = (tape.shape(a).to_vec(), tape.shape(b).to_vec());
    let rank = left.len().max(right.len());
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |own| shape[own])
    };
    let mut shape: Vec<usize> = (0..rank - 2)
        .map(|axis| extent(&left, axis).max(extent(&right, axis)))
        .collect();
    shape.extend([left[left.len() - 2], right[right.len() - 1]]);
    tape.emit(Op::MatMul, &[a, b], shape)
}

/// Functions of two operands.
fn binary(tape: &mut Tape, rule: &Rule<'_>, function: Binary) -> Result<(), GradError> {
    let Rule { node, g, .. } = *rule;
    let (a, b) = (node.inputs[0], node.inputs[1]);
    for (operand, input) in [(0, a), (1, b)] {
        if !tape.wants(input) {
            continue;
        }
        let shape = tape.shape(g).to_vec();
        let part = match (function, operand) {
            (Binary::Add, _) | (Binary::Sub, 0) => g,
            (Binary::Sub, _) => tape.emit(Op::Unary(Unary::Neg), &[g], shape),
            (Binary::Mul, 0) => tape.emit(Op::Binary(Binary::Mul), &[g, b], shape),
            (Binary::Mul, _) => tape.emit(Op::Binary(Binary::Mul), &[g, a], shape),
            (Binary::Div, 0) => tape.emit(Op::Binary(Binary::Div), &[g, b], shape),
            _ => {
                let adjoint = Adjoint::Binary {
                    function,
                    second: operand == 1,
                };
                tape.emit(Op::Adjoint(adjoint), &[g, a, b], shape)
            }
        };
        let part = reduced_to(tape, rule, part, input)?;
        tape.accumulate(input, part);
    }
    Ok(())
}

/// Sums a gradient of the broadcast shape over the axes along which `operand` was repeated.
fn reduced_to(
    tape: &mut Tape,
    rule: &Rule<'_>,
    g: ValueId,
    operand: ValueId,
) -> Result<ValueId, GradError> {
    let own = tape.shape(operand).to_vec();
    let wanted = tape.gradient_shape(operand, &rule.node.name)?;
    if tape.shape(g) == wanted {
        return Ok(g);
    }
    let missing = tape.shape(g).len().saturating_sub(own.len());
    if tape.is_broadcast() && missing > 0 {
        return Err(GradError::MixesImages(rule.node.name.clone()));
    }
    let from = tape.shape(g).to_vec();
    let axes: Vec<usize> = (0..from.len())
        .filter(|&axis| axis < missing || (wanted[axis - missing] == 1 && from[axis] != 1))
        .collect();
    let mut kept = from;
    for &axis in &axes {
        kept[axis] = 1;
    }
    let op = Op::Reduce {
        kind: Reduce::Sum,
        axes,
        keep_dims: true,
    };
    let sum = tape.emit(op, &[g], kept.clone());
    if kept == wanted {
        return Ok(sum);
    }
    Ok(tape.emit(Op::Reshape, &[sum], wanted))
}

/// Slices of the gradient. Where every part comes out of a Relu that nobody else reads, the mask is
/// applied once, before cutting.
fn concat(tape: &mut Tape, rule: &Rule<'_>, axis: usize) -> Result<(), GradError> {
    let Rule { node, output, .. } = *rule;
    if tape.is_broadcast() && axis == 0 {
        return Err(GradError::MixesImages(node.name.clone()));
    }
    let all_masked = node.inputs.iter().all(|&part| {
        let producer = tape.graph.values[part.index()].producer;
        let is_relu = producer.is_some_and(|producer| {
            matches!(
                tape.graph.nodes[producer.index()].op,
                Op::Unary(Unary::Relu)
            )
        });
        is_relu && tape.readers[part.index()] == 1 && tape.gradient(part).is_none()
    });
    let mut g = rule.g;
    if all_masked {
        g = tape.mask(g, output);
    }
    let mut start = 0;
    for &part in &node.inputs {
        let extent = tape.shape(part)[axis];
        if tape.wants(part) {
            let shape = tape.gradient_shape(part, &node.name)?;
            let mut starts = vec![0; shape.len()];
            starts[axis] = start;
            let steps = vec![1; shape.len()];
            let slice = tape.emit(Op::Slice { starts, steps }, &[g], shape);
            tape.accumulate(part, slice);
            tape.masked[part.index()] |= all_masked;
        }
        start += extent;
    }
    Ok(())
}

/// Joins the gradients of the parts; parts without one count as zeros.
fn split(tape: &mut Tape, node: &Node, axis: usize) -> Result<(), GradError> {
    if node
        .outputs
        .iter()
        .all(|&part| tape.gradient(part).is_none())
    {
        return Ok(());
    }
    if tape.is_broadcast() && axis == 0 {
        return Err(GradError::MixesImages(node.name.clone()));
    }
    let mut parts = Vec::with_capacity(node.outputs.len());
    for &part in &node.outputs {
        parts.push(match tape.gradient(part) {
            Some(gradient) => gradient,
            None => {
                let shape = tape.gradient_shape(part, &node.name)?;
                let count = shape.iter().product();
                tape.literal(shape, vec![0.0; count])
            }
        });
    }
    let shape = tape.gradient_shape(node.inputs[0], &node.name)?;
    let whole = tape.emit(Op::Concat { axis }, &parts, shape);
    tape.accumulate(node.inputs[0], whole);
    Ok(())
}
