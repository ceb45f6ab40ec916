//! Finds the layers: the cut rule of method.md section 1.
//!
//! A *cut* is a value every path from the image to the logits crosses. In a topological order, all
//! operators before a cut lead to it and all after it follow from it, so a value is a cut exactly if
//! it is the only one still to be read at its place in the order: one sweep, linear in the graph.
//!
//! Cuts are then grouped: a weighted operator (Conv, ConvTranspose, Gemm, MatMul) between two cuts
//! starts a new group, and each group gives at most one layer:
//!
//! 1. the first cut after its non-linearity, before any pooling where there is a choice (trailing
//!    factors that are constants belong to the non-linearity: `0.5 * x * (1 + erf(..))`);
//! 2. without a non-linearity the linear output: the group's first cut, or the last one that only
//!    affine operators (BatchNormalization) separate from it;
//! 3. the inner cuts of an inverted residual without a skip (expand, depthwise, project) are dropped:
//!    the projection alone stays.
//!
//! Only `[N, C, H, W]` values are layers: pooled and flattened vectors, channels-last values inside a
//! block and the like are passed over.

use super::trace::{Trace, is_pooling};
use crate::graph::ir::{Binary, Conv, Graph, Node, NodeId, Op, Unary, ValueId};
use std::ops::Range;

/// Values that every path from the input to the output crosses, input side first, without the input
/// and the output themselves. Linear in the graph.
#[must_use]
pub fn cut_values(graph: &Graph) -> Vec<ValueId> {
    let needed = needed_nodes(graph);
    // Last place in the order at which a value is read; the output is read after the end.
    let mut last_read: Vec<Option<usize>> = vec![None; graph.values.len()];
    for (place, node) in graph.nodes.iter().enumerate() {
        if needed[place] {
            for input in &node.inputs {
                if let Some(slot) = last_read.get_mut(input.index()) {
                    *slot = Some(place);
                }
            }
        }
    }
    if let Some(slot) = last_read.get_mut(graph.output.index()) {
        *slot = Some(graph.nodes.len());
    }
    let is_activation = |value: ValueId| {
        let value = graph.values.get(value.index());
        value.is_some_and(|value| value.constant.is_none())
    };
    let mut closing_at = vec![0_usize; graph.nodes.len() + 1];
    let mut open = 0_usize;
    let mut cuts = Vec::new();
    let read_of = |value: ValueId| last_read.get(value.index()).copied().flatten();
    if let Some(place) = read_of(graph.input) {
        open += 1;
        closing_at[place] += 1;
    }
    for (place, node) in graph.nodes.iter().enumerate() {
        if !needed[place] {
            continue;
        }
        open -= closing_at[place].min(open);
        for &output in &node.outputs {
            if let Some(place) = read_of(output).filter(|_| is_activation(output)) {
                open += 1;
                closing_at[place] += 1;
            }
        }
        // The only open value is then one this node has just computed: the order is topological, so
        // whatever is read later includes it or something that follows from it.
        if let (1, &[output]) = (open, open_outputs(node, &read_of).as_slice())
            && output != graph.output
        {
            cuts.push(output);
        }
    }
    cuts
}

fn open_outputs(node: &Node, read_of: &impl Fn(ValueId) -> Option<usize>) -> Vec<ValueId> {
    let outputs = node.outputs.iter().copied();
    outputs.filter(|&value| read_of(value).is_some()).collect()
}

/// Nodes the output depends on. A Softmax kept after the logits is not among them.
fn needed_nodes(graph: &Graph) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes.len()];
    let mut wanted = vec![false; graph.values.len()];
    if let Some(slot) = wanted.get_mut(graph.output.index()) {
        *slot = true;
    }
    for (place, node) in graph.nodes.iter().enumerate().rev() {
        let wants = |value: &ValueId| wanted.get(value.index()).copied().unwrap_or(false);
        if node.outputs.iter().any(wants) {
            needed[place] = true;
            for input in &node.inputs {
                if let Some(slot) = wanted.get_mut(input.index()) {
                    *slot = true;
                }
            }
        }
    }
    needed
}

/// What the operators between one cut and the next do.
struct Stretch {
    /// The cut at the end.
    cut: ValueId,
    /// The cut at the start.
    start: ValueId,
    /// Weighted operators inside.
    weighted: Vec<NodeId>,
    /// The cut is the output of a non-linearity (through operators that move or pool values).
    nonlinear: bool,
    /// Positions are pooled.
    pooling: bool,
    /// Only affine, per-channel operators: BatchNormalization, constants added or multiplied, moves.
    affine: bool,
    /// A product with a constant scalar and nothing else.
    scalar_factor: bool,
    /// The start cut times something computed from it: a squeeze-excite gate.
    gate: bool,
}

/// The cuts with no weighted operator between them.
struct Group {
    stretches: Vec<Stretch>,
    /// The cut that represents the group and whether a non-linearity came before it.
    chosen: Option<(ValueId, bool)>,
}

/// Values chosen as layers, input side first.
pub(super) fn choose(graph: &Graph, trace: &Trace) -> Vec<ValueId> {
    let groups: Vec<Group> = group(graph)
        .into_iter()
        .map(|stretches| Group {
            chosen: represent(&stretches, trace),
            stretches,
        })
        .collect();
    let dropped = inverted_residuals(graph, &groups);
    let kept = groups.iter().zip(dropped).filter(|(_, dropped)| !dropped);
    kept.filter_map(|(group, _)| group.chosen.map(|(value, _)| value))
        .collect()
}

/// Stretches by group; what precedes the first weighted operator (normalising the image) is left
/// out.
fn group(graph: &Graph) -> Vec<Vec<Stretch>> {
    let mut groups: Vec<Vec<Stretch>> = Vec::new();
    let mut first_node = 0;
    let mut start = graph.input;
    let needed = needed_nodes(graph);
    for cut in cut_values(graph) {
        let Some(producer) = producer(graph, cut) else {
            continue;
        };
        let stretch = stretch(graph, &needed, first_node..producer.index() + 1, start, cut);
        first_node = producer.index() + 1;
        start = cut;
        if !stretch.weighted.is_empty() {
            groups.push(vec![stretch]);
        } else if let Some(group) = groups.last_mut() {
            group.push(stretch);
        }
    }
    groups
}

fn producer(graph: &Graph, value: ValueId) -> Option<NodeId> {
    graph.values.get(value.index())?.producer
}

fn is_constant(graph: &Graph, value: ValueId) -> bool {
    let value = graph.values.get(value.index());
    value.is_some_and(|value| value.constant.is_some())
}

fn stretch(
    graph: &Graph,
    needed: &[bool],
    range: Range<usize>,
    start: ValueId,
    cut: ValueId,
) -> Stretch {
    let nodes: Vec<(NodeId, &Node)> = graph
        .nodes
        .iter()
        .enumerate()
        .take(range.end)
        .skip(range.start)
        .filter(|&(place, _)| needed.get(place).copied().unwrap_or(false))
        .filter_map(|(place, node)| Some((NodeId(u32::try_from(place).ok()?), node)))
        .collect();
    let weighted = nodes.iter().filter(|(_, node)| is_weighted(&node.op));
    let last = nodes.last().map(|&(_, node)| node);
    Stretch {
        cut,
        start,
        weighted: weighted.map(|&(id, _)| id).collect(),
        nonlinear: ends_nonlinear(graph, &nodes, start, cut),
        pooling: nodes.iter().any(|(_, node)| is_pooling(&node.op)),
        affine: nodes.iter().all(|(_, node)| is_affine(graph, node)),
        scalar_factor: nodes.len() == 1 && last.is_some_and(|node| is_scalar_factor(graph, node)),
        gate: last.is_some_and(|node| {
            matches!(node.op, Op::Binary(Binary::Mul)) && node.inputs.contains(&start)
        }),
    }
}

fn is_weighted(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm { .. } | Op::MatMul
    )
}

/// The operator is an activation function (or the last step of one written out).
fn is_nonlinear(graph: &Graph, node: &Node) -> bool {
    match &node.op {
        Op::Unary(function) => match function {
            Unary::Neg => false,
            Unary::Clip(low, high) => low.is_finite() || high.is_finite(),
            _ => true,
        },
        Op::Binary(function) => match function {
            Binary::Max | Binary::Min | Binary::PRelu | Binary::Pow => true,
            // Swish is x times sigmoid(x), softsign x divided by 1 + |x|.
            Binary::Mul | Binary::Div => {
                let activations = node
                    .inputs
                    .iter()
                    .filter(|&&value| !is_constant(graph, value));
                activations.count() == 2
            }
            Binary::Add | Binary::Sub => false,
        },
        Op::Softmax { .. } => true,
        _ => false,
    }
}

/// Values are moved, joined or taken apart, not changed.
fn is_move(op: &Op) -> bool {
    matches!(
        op,
        Op::Concat { .. }
            | Op::Split { .. }
            | Op::Slice { .. }
            | Op::Gather { .. }
            | Op::Reshape
            | Op::Transpose { .. }
            | Op::Pad { .. }
            | Op::Expand
    )
}

fn is_affine(graph: &Graph, node: &Node) -> bool {
    match &node.op {
        Op::BatchNormalization { .. } | Op::Unary(Unary::Neg) => true,
        Op::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Div) => {
            node.inputs.iter().any(|&value| is_constant(graph, value))
        }
        op => is_move(op),
    }
}

fn is_scalar_factor(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Binary(Binary::Mul | Binary::Div))
        && node.inputs.iter().any(|value| {
            let constant = graph.values.get(value.index());
            let constant = constant.and_then(|value| value.constant.as_ref());
            constant.is_some_and(|tensor| tensor.data.len() == 1)
        })
}

/// Is the cut the output of a non-linearity, through operators that only move or pool values, on
/// every branch that does not come straight from the start?
fn ends_nonlinear(graph: &Graph, nodes: &[(NodeId, &Node)], start: ValueId, cut: ValueId) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum Origin {
        Start,
        Nonlinear,
        Linear,
    }
    let Some(&(first, _)) = nodes.first() else {
        return false;
    };
    let mut origins = vec![Origin::Start; nodes.len()];
    let origin_of = |origins: &[Origin], value: ValueId| {
        if value == start || is_constant(graph, value) {
            return Origin::Start;
        }
        // Nodes of the stretch lie close together; those not needed leave gaps.
        let place = producer(graph, value).and_then(|id| {
            let guess = id.index().checked_sub(first.index())?;
            let upper = guess.min(nodes.len().saturating_sub(1));
            nodes[..=upper].iter().rposition(|&(node, _)| node == id)
        });
        place.map_or(Origin::Linear, |place| origins[place])
    };
    for (place, (_, node)) in nodes.iter().enumerate() {
        origins[place] = if is_nonlinear(graph, node) {
            Origin::Nonlinear
        } else if is_move(&node.op) || is_pooling(&node.op) || is_scalar_factor(graph, node) {
            let sources: Vec<Origin> = node
                .inputs
                .iter()
                .map(|&value| origin_of(&origins, value))
                .collect();
            if sources.contains(&Origin::Linear) {
                Origin::Linear
            } else if sources.contains(&Origin::Nonlinear) {
                Origin::Nonlinear
            } else {
                Origin::Start
            }
        } else {
            Origin::Linear
        };
    }
    origin_of(&origins, cut) == Origin::Nonlinear
}

/// The cut that stands for its group, and whether it follows a non-linearity.
fn represent(stretches: &[Stretch], trace: &Trace) -> Option<(ValueId, bool)> {
    let is_layer_shaped = |stretch: &&Stretch| {
        let layout = trace.layouts.get(stretch.cut.index());
        layout.is_some_and(|layout| layout.as_ref().is_some_and(super::Layout::is_channel_first))
    };
    // The first stretch ends the block itself, whatever is pooled inside it.
    let first_pooling = stretches.iter().skip(1).position(|stretch| stretch.pooling);
    let before_pooling = first_pooling.map_or(stretches.len(), |place| place + 1);
    if let Some(place) = stretches.iter().position(|stretch| stretch.nonlinear) {
        let limit = if place < before_pooling {
            before_pooling
        } else {
            stretches.len()
        };
        let after = stretches.get(place..limit).unwrap_or_default();
        if let Some(found) = after.iter().position(|stretch| is_layer_shaped(&stretch)) {
            let factors = after.iter().skip(found + 1);
            let factors = factors.take_while(|stretch| stretch.scalar_factor).count();
            return after
                .get(found + factors)
                .map(|stretch| (stretch.cut, true));
        }
    }
    let linear = stretches.iter().take(before_pooling).enumerate();
    linear
        .take_while(|(place, stretch)| *place == 0 || stretch.affine)
        .map(|(_, stretch)| stretch)
        .filter(is_layer_shaped)
        .last()
        .map(|stretch| (stretch.cut, false))
}

/// Marks the inner groups of inverted residuals without a skip.
fn inverted_residuals(graph: &Graph, groups: &[Group]) -> Vec<bool> {
    let convolution = |place: usize| single_convolution(graph, groups.get(place)?);
    let nonlinear = |place: usize| {
        let chosen = groups.get(place).and_then(|group| group.chosen);
        chosen.is_some_and(|(_, nonlinear)| nonlinear)
    };
    let is_gate = |place: usize| {
        let first = groups.get(place).and_then(|group| group.stretches.first());
        first.is_some_and(|stretch| stretch.gate)
    };
    let mut dropped = vec![false; groups.len()];
    for project in 1..groups.len() {
        let is_projection = convolution(project).is_some_and(|kind| kind.pointwise);
        if !is_projection || nonlinear(project) {
            continue;
        }
        let mut depthwise = project - 1;
        let mut activated = nonlinear(depthwise);
        while depthwise > 0 && is_gate(depthwise) {
            depthwise -= 1;
            activated |= nonlinear(depthwise);
        }
        if !activated || !convolution(depthwise).is_some_and(|kind| kind.depthwise) {
            continue;
        }
        dropped[depthwise..project].fill(true);
        // The network's first convolution is its stem even where it is pointwise.
        if depthwise >= 2
            && nonlinear(depthwise - 1)
            && convolution(depthwise - 1).is_some_and(|kind| kind.pointwise && kind.expands)
        {
            dropped[depthwise - 1] = true;
        }
    }
    dropped
}

/// What the only weighted operator of a group is.
struct Convolution {
    pointwise: bool,
    depthwise: bool,
    expands: bool,
}

/// The group's convolution, where it has no other weighted operator and reads the cut before it.
fn single_convolution(graph: &Graph, group: &Group) -> Option<Convolution> {
    let stretch = group.stretches.first()?;
    let &[only] = stretch.weighted.as_slice() else {
        return None;
    };
    let node = graph.nodes.get(only.index())?;
    let Op::Conv(Conv { groups, .. }) = &node.op else {
        return None;
    };
    let weight = graph.values.get(node.inputs.get(1)?.index())?;
    let &[outputs, inputs_per_group, height, width] = weight.shape.as_slice() else {
        return None;
    };
    let inputs = inputs_per_group * groups;
    Some(Convolution {
        pointwise: [height, width] == [1, 1] && *groups == 1,
        depthwise: is_depthwise(*groups, inputs),
        expands: outputs >= inputs,
    })
    .filter(|_| node.inputs.first() == Some(&stretch.start))
}

/// Each output channel reads one input channel.
pub(super) fn is_depthwise(groups: usize, inputs: usize) -> bool {
    groups > 1 && groups == inputs
}
