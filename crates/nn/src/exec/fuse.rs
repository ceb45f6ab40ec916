//! Groups nodes that run as one step: a convolution with what follows it element by element.

use super::place::{kernel_of, uses_winograd};
use crate::graph::ir::{Adjoint, Binary, Graph, NodeId, Op, Unary, ValueId};

/// Nodes that become one step, run at the position of the last one.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The node that decides the kind of step.
    pub(crate) main: NodeId,
    /// BatchNormalization directly after a convolution.
    pub(crate) normalization: Option<NodeId>,
    /// Added before clamping (the skip of a residual block).
    pub(crate) residual: Option<ValueId>,
    /// The result is 0 where this value is not positive (the gradient of a Relu).
    pub(crate) gate: Option<ValueId>,
    /// Bounds of a Relu or Clip; infinite for none.
    pub(crate) clamp: [f32; 2],
    /// Last value of the chain, the only one that is stored.
    pub(crate) output: ValueId,
    /// All nodes, in order.
    pub(crate) nodes: Vec<NodeId>,
    /// The convolution whose output this depthwise one alone reads: both go through the rows
    /// together, and the value between them is never stored.
    pub(crate) source: Option<Box<Self>>,
}

impl Group {
    /// Whether one of its nodes reads `value`.
    pub(crate) fn reads(&self, graph: &Graph, value: ValueId) -> bool {
        let mut nodes = self.nodes.iter().map(|node| &graph.nodes[node.index()]);
        nodes.any(|node| node.inputs.contains(&value))
    }
}

/// How often each value is read, the graph's output and observed values counting as one more.
pub(crate) fn readers(graph: &Graph, observed: &[ValueId]) -> Vec<u32> {
    let mut readers = vec![0; graph.values.len()];
    for node in &graph.nodes {
        for input in &node.inputs {
            readers[input.index()] += 1;
        }
    }
    for value in observed.iter().chain([&graph.output]) {
        readers[value.index()] += 1;
    }
    readers
}

/// Partitions the nodes of a graph into groups, in an order that respects every dependency.
///
/// A value is fused away only if it has exactly one reader and is not observed. (The gradient of a
/// Clip reads the Clip's input, which therefore is stored.)
pub(crate) fn groups(graph: &Graph, observed: &[ValueId]) -> Vec<Group> {
    let readers = readers(graph, observed);
    let mut consumer: Vec<Option<NodeId>> = vec![None; graph.values.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            consumer[input.index()] = Some(NodeId(index as u32));
        }
    }
    let is_constant = |value: ValueId| graph.values[value.index()].constant.is_some();
    let mut taken = vec![false; graph.nodes.len()];
    let mut groups = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if taken[index] {
            continue;
        }
        taken[index] = true;
        let main = NodeId(index as u32);
        let mut group = Group {
            main,
            normalization: None,
            residual: None,
            gate: None,
            clamp: [f32::NEG_INFINITY, f32::INFINITY],
            output: node.outputs.first().copied().unwrap_or(graph.output),
            nodes: vec![main],
            source: None,
        };
        let is_convolution =
            matches!(node.op, Op::Conv(_) | Op::ConvTranspose(_)) && is_constant(node.inputs[1]);
        let is_product = matches!(node.op, Op::Gemm { .. } | Op::MatMul)
            && node.inputs.get(1).is_some_and(|&value| is_constant(value))
            && !is_constant(node.inputs[0]);
        let depthwise =
            matches!(&node.op, Op::Conv(conv) | Op::ConvTranspose(conv) if conv.groups > 1);
        let fusible = is_convolution || is_product;
        loop {
            if !fusible || readers[group.output.index()] != 1 {
                break;
            }
            let Some(next) = consumer[group.output.index()] else {
                break;
            };
            if taken[next.index()] {
                break;
            }
            let follower = &graph.nodes[next.index()];
            let same_shape = follower.outputs.len() == 1
                && graph.values[follower.outputs[0].index()].shape
                    == graph.values[group.output.index()].shape;
            if !same_shape {
                break;
            }
            match &follower.op {
                Op::BatchNormalization { .. }
                    if is_convolution
                        && group.normalization.is_none()
                        && group.residual.is_none()
                        && follower.inputs[1..].iter().all(|&value| is_constant(value)) =>
                {
                    group.normalization = Some(next);
                }
                Op::Binary(Binary::Add)
                    if is_convolution && !depthwise && group.residual.is_none() =>
                {
                    let other = if follower.inputs[0] == group.output {
                        follower.inputs[1]
                    } else {
                        follower.inputs[0]
                    };
                    let fits = other != group.output
                        && !is_constant(other)
                        && graph.values[other.index()].shape
                            == graph.values[group.output.index()].shape;
                    if !fits {
                        break;
                    }
                    group.residual = Some(other);
                }
                Op::Adjoint(Adjoint::Unary(Unary::Relu))
                    if is_convolution
                        && !depthwise
                        && follower.inputs[0] == group.output
                        && follower.inputs[1] != group.output
                        && !is_constant(follower.inputs[1])
                        && graph.values[follower.inputs[1].index()].shape
                            == graph.values[group.output.index()].shape =>
                {
                    group.gate = Some(follower.inputs[1]);
                }
                Op::Unary(Unary::Relu) => group.clamp[0] = 0.0,
                Op::Unary(Unary::Clip(low, high)) => group.clamp = [*low, *high],
                _ => break,
            }
            taken[next.index()] = true;
            group.nodes.push(next);
            group.output = follower.outputs[0];
            if group.gate.is_some() || group.clamp != [f32::NEG_INFINITY, f32::INFINITY] {
                break;
            }
        }
        groups.push(group);
    }
    groups.sort_by_key(|group| group.nodes.last().copied());
    stream(graph, &readers, groups)
}

/// Elements of a value that is worth not storing: beyond about half a second-level cache a
/// depthwise convolution waits for its input.
const STREAMED_ELEMENTS: usize = 1 << 17;

/// Joins dense convolutions into the depthwise ones that read them.
fn stream(graph: &Graph, readers: &[u32], groups: Vec<Group>) -> Vec<Group> {
    let mut maker = vec![None; graph.values.len()];
    for (index, group) in groups.iter().enumerate() {
        maker[group.output.index()] = Some(index);
    }
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    for index in 0..groups.len() {
        let Some(group) = &groups[index] else {
            continue;
        };
        let between = graph.nodes[group.main.index()].inputs.first().copied();
        let elements = |value: ValueId| graph.values[value.index()].shape.iter().product::<usize>();
        let source = between
            .filter(|value| readers[value.index()] == 1 && elements(*value) >= STREAMED_ELEMENTS)
            .and_then(|value| maker[value.index()]);
        let joins = is_depthwise(graph, group)
            && source.is_some_and(|source| {
                groups[source]
                    .as_ref()
                    .is_some_and(|source| is_dense(graph, source))
            });
        let Some(source) = source
            .filter(|_| joins)
            .and_then(|source| groups[source].take())
        else {
            continue;
        };
        if let Some(group) = &mut groups[index] {
            group.nodes = [source.nodes.as_slice(), &group.nodes].concat();
            group.source = Some(Box::new(source));
        }
    }
    groups.into_iter().flatten().collect()
}

/// A convolution of groups of one channel each, with constant weights, all of whose outputs read
/// at least one row of the input.
fn is_depthwise(graph: &Graph, group: &Group) -> bool {
    let node = &graph.nodes[group.main.index()];
    let Op::Conv(conv) = &node.op else {
        return false;
    };
    let weight = &graph.values[node.inputs[1].index()];
    weight.constant.is_some()
        && conv.groups > 1
        && weight.shape.get(1) == Some(&1)
        && weight.shape[0] == conv.groups
        && kernel_of(graph, node.inputs[1])[0] > conv.pads[0]
}

/// A convolution that runs as one plain product.
fn is_dense(graph: &Graph, group: &Group) -> bool {
    let node = &graph.nodes[group.main.index()];
    matches!(&node.op, Op::Conv(conv) if conv.groups == 1)
        && graph.values[node.inputs[1].index()].constant.is_some()
        && group.residual.is_none()
        && group.gate.is_none()
        && !uses_winograd(graph, group)
}
