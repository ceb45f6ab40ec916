//! What each operator does to channels: the layout of its results, and which operands reach them
//! channel by channel. Used by `trace` alone; one function per family of operators.

use super::layout::{Layout, Pairs, Role, product};
use super::trace::{Relation, Site, compose, contracted_channels};
use crate::graph::ir::Op;

/// What one node does: a layout per output, and steps `(operand, output, relation)`.
#[derive(Default)]
pub(super) struct Effect {
    pub(super) layouts: Vec<Option<Layout>>,
    pub(super) steps: Vec<(usize, usize, Relation)>,
}

impl Effect {
    /// One output, every listed operand linked channel by channel.
    fn same(layout: Layout, operands: &[usize]) -> Self {
        let steps = if layout.has_channels() {
            operands.iter().map(|&k| (k, 0, Relation::Same)).collect()
        } else {
            Vec::new()
        };
        Self {
            layouts: vec![Some(layout)],
            steps,
        }
    }

    /// One output and one operand with renumbered channels.
    fn renumbered(layout: Layout, pairs: Pairs) -> Self {
        Self {
            layouts: vec![Some(layout)],
            steps: vec![(0, 0, Relation::Pairs(pairs))],
        }
    }

    /// One output whose channels have nothing to do with the operands'.
    fn lost(layout: Option<Layout>) -> Self {
        Self {
            layouts: vec![layout],
            steps: Vec::new(),
        }
    }
}

/// The effect of one node, by operator.
pub(super) fn effect(site: &Site<'_>) -> Effect {
    let first = site.layout(0);
    match &site.node.op {
        Op::Conv(_) | Op::ConvTranspose(_) => convolution(site),
        Op::Gemm { trans_a, .. } => product_with_weight(site, usize::from(!trans_a), 1),
        Op::MatMul => matmul(site),
        Op::Unary(_)
        | Op::BatchNormalization { .. }
        | Op::Lrn { .. }
        | Op::LayerNormalization { .. }
        | Op::InstanceNormalization { .. }
        | Op::Softmax { .. } => first.map_or_else(
            || Effect::lost(None),
            |layout| Effect::same(layout.clone(), &[0]),
        ),
        Op::MaxPool(_)
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::GlobalMaxPool
        | Op::Resize { .. } => extents_changed(site),
        Op::Reduce {
            axes, keep_dims, ..
        } => reduce(site, axes, *keep_dims),
        Op::Binary(_) | Op::Where { .. } => broadcast(site),
        Op::Expand => broadcast(site),
        Op::Concat { axis } => concat(site, *axis),
        Op::Split { axis } => split(site, *axis),
        Op::Slice { starts, steps } => slice(site, starts, steps),
        Op::Gather {
            axis,
            indices,
            indices_shape,
        } => gather(site, *axis, indices, indices_shape.len()),
        Op::Reshape => {
            let layout = first.and_then(|layout| layout.reshape(site.output_shape(0)));
            layout.map_or_else(|| Effect::lost(None), |layout| Effect::same(layout, &[0]))
        }
        Op::Transpose { perm } => {
            let layout = first.and_then(|layout| layout.transpose(perm));
            layout.map_or_else(|| Effect::lost(None), |layout| Effect::same(layout, &[0]))
        }
        Op::Pad { before, after, .. } => pad(site, before, after),
        // Layers are looked for in networks as files hold them.
        Op::Adjoint(_) => Effect::lost(None),
    }
}

fn convolution(site: &Site<'_>) -> Effect {
    let layout = Layout::image(site.output_shape(0));
    let reads_channels = site.layout(0).is_some_and(Layout::is_channel_first);
    let mut effect = Effect::lost(layout);
    if reads_channels && site.is_constant(1) {
        effect.steps.push((0, 0, Relation::Conv));
    }
    effect
}

/// `a` times a constant matrix: contracts one axis of `a` into `axis` of the result.
fn product_with_weight(site: &Site<'_>, contracted: usize, axis: usize) -> Effect {
    let output = site.output_shape(0);
    let extent = output.get(axis).copied().unwrap_or(0);
    let mut fresh = match site.layout(0) {
        Some(layout) if layout.axes.len() == output.len() => layout.clone(),
        _ => Layout::unknown(output),
    };
    let source = site.layout(0).filter(|_| site.is_constant(1));
    let mixes_channels = source
        .is_none_or(|layout| layout.axis_has(contracted, Role::Channel) || layout.channels <= 1);
    // Gemm may read its operand transposed; its other axis (images) comes first in the result.
    if contracted != axis && fresh.axes.len() == 2 {
        fresh.axes.swap(0, 1);
    }
    if !mixes_channels {
        fresh.set_other(axis, extent);
        return Effect::same(fresh, &[0]);
    }
    let all_channels_contracted = source.is_some_and(|layout| {
        layout.has_channels() && contracted_channels(layout, contracted).is_some()
    });
    fresh.set_other(axis, 1);
    let mut fresh = fresh.without_channels();
    fresh.set_channels(axis, extent);
    let mut effect = Effect::lost(Some(fresh));
    if all_channels_contracted {
        effect.steps.push((0, 0, Relation::Conv));
    }
    effect
}

fn matmul(site: &Site<'_>) -> Effect {
    let (a_shape, b_shape) = (site.input_shape(0), site.input_shape(1));
    let output = site.output_shape(0);
    let plain = a_shape.len() >= 2
        && b_shape.len() >= 2
        && output.len() == a_shape.len().max(b_shape.len());
    if !plain {
        return Effect::lost(None);
    }
    let rank = output.len();
    let weight_matrix = b_shape[..b_shape.len() - 2]
        .iter()
        .all(|&extent| extent == 1);
    if site.is_constant(1) && weight_matrix && a_shape.len() == rank {
        return product_with_weight(site, rank - 1, rank - 1);
    }
    if site.is_constant(0) {
        // Constant times activation mixes rows of the activation, usually positions.
        return match site.layout(1) {
            Some(layout)
                if layout.axes.len() == rank && !layout.axis_has(rank - 2, Role::Channel) =>
            {
                let mut layout = layout.clone();
                layout.set_other(rank - 2, output[rank - 2]);
                Effect::same(layout, &[1])
            }
            _ => Effect::lost(None),
        };
    }
    let (Some(a), Some(b)) = (site.layout(0), site.layout(1)) else {
        return Effect::lost(None);
    };
    if a.axes.len() != rank || b.axes.len() != rank {
        return Effect::lost(None);
    }
    // The rows come from a, the columns from b, the batch axes from the operand whose channels
    // survive: attention weights times values keep the channels of the values.
    for (operand, batch) in [(1, b), (0, a)] {
        let mut axes = batch.axes[..rank - 2].to_vec();
        axes.push(a.axes[rank - 2].clone());
        axes.push(b.axes[rank - 1].clone());
        let other_axis = if operand == 1 { rank - 2 } else { rank - 1 };
        let layout = Layout {
            axes,
            channels: batch.channels,
        };
        if layout.has_channels() && !layout.axis_has(other_axis, Role::Channel) {
            return Effect::same(layout, &[operand]);
        }
    }
    let mut axes = a.axes[..rank - 1].to_vec();
    axes.push(b.axes[rank - 1].clone());
    Effect::lost(Some(Layout { axes, channels: 0 }.without_channels()))
}

/// Operators that keep the axes and change extents: pooling, Resize.
fn extents_changed(site: &Site<'_>) -> Effect {
    let Some(layout) = site.layout(0) else {
        return Effect::lost(None);
    };
    let mut layout = layout.clone();
    for (axis, &extent) in site.output_shape(0).iter().enumerate() {
        layout.resize_axis(axis, extent);
    }
    Effect::same(layout, &[0])
}

fn reduce(site: &Site<'_>, axes: &[usize], keep_dims: bool) -> Effect {
    let Some(layout) = site.layout(0) else {
        return Effect::lost(None);
    };
    let mut layout = layout.clone();
    for &axis in axes {
        layout.resize_axis(axis, 1);
    }
    if !keep_dims {
        let mut axis = 0;
        layout.axes.retain(|_| {
            axis += 1;
            !axes.contains(&(axis - 1))
        });
    }
    Effect::same(layout, &[0])
}

/// Element-wise operators with NumPy broadcasting, and Expand.
fn broadcast(site: &Site<'_>) -> Effect {
    let output = site.output_shape(0);
    let rank = output.len();
    let operands: Vec<usize> = (0..site.node.inputs.len())
        .filter(|&operand| !site.is_constant(operand) && site.layout(operand).is_some())
        .collect();
    if operands.is_empty() {
        return Effect::lost(None);
    }
    // Atoms of an operand on an axis of the output, which may have more axes in front.
    let aligned = |operand: usize, axis: usize| {
        let layout = site.layout(operand)?;
        let skipped = rank.checked_sub(layout.axes.len())?;
        layout.axes.get(axis.checked_sub(skipped)?)
    };
    let mut axes = Vec::with_capacity(rank);
    for (axis, &extent) in output.iter().enumerate() {
        let carriers = operands
            .iter()
            .filter_map(|&operand| aligned(operand, axis));
        let atoms = carriers
            .filter(|atoms| product(atoms) == extent)
            // Of several, one that still knows its channels.
            .max_by_key(|atoms| atoms.iter().filter(|atom| atom.role != Role::Other).count());
        axes.push(atoms.cloned());
    }
    let channels = operands
        .iter()
        .filter_map(|&operand| site.layout(operand))
        .map(|layout| layout.channels)
        .max()
        .unwrap_or(0);
    let mut layout = Layout {
        axes: axes
            .iter()
            .map(|atoms| atoms.clone().unwrap_or_default())
            .collect(),
        channels,
    };
    for (axis, atoms) in axes.iter().enumerate() {
        // A constant brought this extent in.
        if atoms.is_none() {
            if rank == 4 && axis == 1 && layout.channels == 1 {
                layout.set_channels(1, output[1]);
            } else {
                layout.resize_axis(axis, output[axis]);
            }
        }
    }
    if !layout.has_channels() {
        return Effect::lost(Some(layout.without_channels()));
    }
    let mut steps = Vec::new();
    for &operand in &operands {
        let Some(source) = site.layout(operand) else {
            continue;
        };
        let fits = (0..rank).all(|axis| {
            aligned(operand, axis)
                .is_none_or(|atoms| atoms.is_empty() || *atoms == layout.axes[axis])
        });
        if fits && source.has_channels() && source.channels == layout.channels {
            steps.push((operand, 0, Relation::Same));
        } else if fits && source.channels == 1 {
            let channels = u32::try_from(layout.channels).unwrap_or(u32::MAX);
            steps.push((
                operand,
                0,
                Relation::Pairs((0..channels).map(|to| (0, to)).collect()),
            ));
        }
    }
    Effect {
        layouts: vec![Some(layout)],
        steps,
    }
}

fn concat(site: &Site<'_>, axis: usize) -> Effect {
    let operands = 0..site.node.inputs.len();
    let output = site.output_shape(0);
    let extent = output.get(axis).copied().unwrap_or(0);
    let Some(model) = operands.clone().find_map(|operand| site.layout(operand)) else {
        return Effect::lost(None);
    };
    let mut layout = model.clone();
    if !model.is_channel_axis(axis) {
        let joins_channels = model.axis_has(axis, Role::Channel);
        if product(&layout.axes.get(axis).cloned().unwrap_or_default()) != extent {
            layout.set_other(axis, extent);
        }
        if joins_channels {
            return Effect::lost(Some(layout.without_channels()));
        }
        let same: Vec<usize> = operands
            .filter(|&operand| {
                site.layout(operand)
                    .is_some_and(|source| source.channels == layout.channels)
            })
            .collect();
        return Effect::same(layout, &same);
    }
    layout.set_channels(axis, extent);
    let mut effect = Effect::lost(Some(layout));
    let mut offset = 0_usize;
    for operand in operands {
        let width = site.input_shape(operand).get(axis).copied().unwrap_or(0);
        let known = site
            .layout(operand)
            .is_some_and(|source| source.is_channel_axis(axis));
        if known {
            effect
                .steps
                .push((operand, 0, Relation::Pairs(shifted(0, offset, width))));
        }
        offset += width;
    }
    effect
}

/// Pairs `(from + k, to + k)`.
fn shifted(from: usize, to: usize, count: usize) -> Pairs {
    (0..count)
        .filter_map(|k| Some((u32::try_from(from + k).ok()?, u32::try_from(to + k).ok()?)))
        .collect()
}

/// Layout and pairs after keeping the listed positions of an axis.
fn keep_positions(layout: &Layout, axis: usize, positions: &[usize]) -> (Layout, Option<Pairs>) {
    if layout.axis_has(axis, Role::Channel) || layout.is_channel_axis(axis) {
        return match layout.renumber(Some((axis, positions))) {
            Some((kept, pairs)) => (kept, Some(pairs)),
            None => {
                let mut lost = layout.clone().without_channels();
                lost.set_other(axis, positions.len());
                (lost, None)
            }
        };
    }
    let mut kept = layout.clone();
    kept.resize_axis(axis, positions.len());
    (kept, None)
}

fn split(site: &Site<'_>, axis: usize) -> Effect {
    let mut effect = Effect::default();
    let mut offset = 0;
    for output in 0..site.node.outputs.len() {
        let width = site.output_shape(output).get(axis).copied().unwrap_or(0);
        let positions: Vec<usize> = (offset..offset + width).collect();
        offset += width;
        let Some(layout) = site.layout(0) else {
            effect.layouts.push(None);
            continue;
        };
        let (kept, pairs) = keep_positions(layout, axis, &positions);
        if kept.has_channels() {
            let relation = pairs.map_or(Relation::Same, Relation::Pairs);
            effect.steps.push((0, output, relation));
        }
        effect.layouts.push(Some(kept));
    }
    effect
}

fn slice(site: &Site<'_>, starts: &[usize], steps: &[isize]) -> Effect {
    let Some(layout) = site.layout(0) else {
        return Effect::lost(None);
    };
    let input = site.input_shape(0);
    let mut kept = layout.clone();
    let mut pairs: Option<Pairs> = None;
    for (axis, &extent) in site.output_shape(0).iter().enumerate() {
        let start = starts.get(axis).copied().unwrap_or(0);
        let step = steps.get(axis).copied().unwrap_or(1);
        if input.get(axis) == Some(&extent) && start == 0 && step == 1 {
            continue;
        }
        let positions: Option<Vec<usize>> = (0..extent)
            .map(|k| start.checked_add_signed(step.checked_mul(isize::try_from(k).ok()?)?))
            .collect();
        let Some(positions) = positions else {
            return Effect::lost(None);
        };
        let (next, next_pairs) = keep_positions(&kept, axis, &positions);
        kept = next;
        pairs = match (pairs, next_pairs) {
            (Some(first), Some(second)) => Some(compose(&first, &second)),
            (first, second) => first.or(second),
        };
    }
    if !kept.has_channels() {
        return Effect::lost(Some(kept));
    }
    match pairs {
        Some(pairs) => Effect::renumbered(kept, pairs),
        None => Effect::same(kept, &[0]),
    }
}

fn gather(site: &Site<'_>, axis: usize, indices: &[usize], indices_rank: usize) -> Effect {
    let Some(layout) = site.layout(0).filter(|_| indices_rank <= 1) else {
        return Effect::lost(None);
    };
    let (mut kept, pairs) = keep_positions(layout, axis, indices);
    if pairs.is_none() && indices.len() > 1 {
        // Positions in any order: the axis is no map axis any more.
        kept.set_other(axis, indices.len());
    }
    if indices_rank == 0 && axis < kept.axes.len() {
        kept.axes.remove(axis);
    }
    match (kept.has_channels(), pairs) {
        (false, _) => Effect::lost(Some(kept)),
        (true, Some(pairs)) => Effect::renumbered(kept, pairs),
        (true, None) => Effect::same(kept, &[0]),
    }
}

fn pad(site: &Site<'_>, before: &[isize], after: &[isize]) -> Effect {
    let Some(layout) = site.layout(0) else {
        return Effect::lost(None);
    };
    let output = site.output_shape(0);
    let mut padded = layout.clone();
    let mut pairs = None;
    for (axis, &extent) in output.iter().enumerate() {
        let (low, high) = (
            before.get(axis).copied().unwrap_or(0),
            after.get(axis).copied().unwrap_or(0),
        );
        if low == 0 && high == 0 {
            continue;
        }
        if padded.is_channel_axis(axis) {
            // New channels around the old ones (the parameter-free ResNet shortcut).
            let old = padded.channels;
            let first_kept = usize::try_from(-low).unwrap_or(0);
            let first_slot = usize::try_from(low).unwrap_or(0);
            let kept = old
                .saturating_sub(first_kept)
                .min(extent.saturating_sub(first_slot));
            padded.set_channels(axis, extent);
            pairs = Some(shifted(first_kept, first_slot, kept));
        } else {
            padded.resize_axis(axis, extent);
        }
    }
    match (padded.has_channels(), pairs) {
        (false, _) => Effect::lost(Some(padded)),
        (true, Some(pairs)) => Effect::renumbered(padded, pairs),
        (true, None) => Effect::same(padded, &[0]),
    }
}
