//! Which channel of an operand becomes which channel of the result, for every operator of a graph.
//!
//! One pass in topological order gives each value its [`Layout`] and each node its [`Step`]s. A
//! step exists only where channels can be followed: a constant-weight convolution (or Gemm or
//! MatMul over the channel axis), or an operator that keeps channels apart or renumbers them. Where
//! they cannot be followed (a sum over channels, a product of two activations over their channels,
//! a reshape that cuts across them) there is no step, the node is listed in [`Trace::untraced`],
//! and the next convolution starts a numbering of its own: conv-max sees nothing there, flow does.
//!
//! Cost: linear in the graph, plus one entry per channel of every renumbering operator.

use super::effects::effect;
use super::layout::{Layout, Pairs, Role, product};
use crate::graph::ir::{Graph, Node, NodeId, Op, Reduce, ValueId};

/// What a step does to channels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Relation {
    /// Channel i stays channel i.
    Same,
    /// Source and result channels, sorted by result.
    Pairs(Pairs),
    /// A constant-weight convolution, or a matrix product over the channel axis.
    Conv,
}

/// One operand of a node that reaches one result channel by channel.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) from: ValueId,
    pub(crate) to: ValueId,
    pub(crate) relation: Relation,
}

/// Layouts of all values and steps of all nodes.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Per value; `None` where the axes cannot be told (and for constants).
    pub(crate) layouts: Vec<Option<Layout>>,
    /// Per node.
    pub(crate) steps: Vec<Vec<Step>>,
    /// Nodes with an operand whose channels get lost.
    pub(crate) untraced: Vec<NodeId>,
}

/// What a node reads and writes, with the layouts found so far.
pub(super) struct Site<'a> {
    pub(super) graph: &'a Graph,
    pub(super) node: &'a Node,
    layouts: &'a [Option<Layout>],
}

impl<'a> Site<'a> {
    pub(super) fn new(graph: &'a Graph, node: &'a Node, layouts: &'a [Option<Layout>]) -> Self {
        Self {
            graph,
            node,
            layouts,
        }
    }

    pub(super) fn input_shape(&self, operand: usize) -> &[usize] {
        let value = self.node.inputs.get(operand);
        value
            .and_then(|value| self.graph.values.get(value.index()))
            .map_or(&[], |value| value.shape.as_slice())
    }

    pub(super) fn output_shape(&self, output: usize) -> &[usize] {
        let value = self.node.outputs.get(output);
        value
            .and_then(|value| self.graph.values.get(value.index()))
            .map_or(&[], |value| value.shape.as_slice())
    }

    pub(super) fn is_constant(&self, operand: usize) -> bool {
        let value = self.node.inputs.get(operand);
        value
            .and_then(|value| self.graph.values.get(value.index()))
            .is_some_and(|value| value.constant.is_some())
    }

    pub(super) fn layout(&self, operand: usize) -> Option<&Layout> {
        let value = self.node.inputs.get(operand)?;
        self.layouts.get(value.index())?.as_ref()
    }

    pub(super) fn output_layout(&self, output: usize) -> Option<&Layout> {
        let value = self.node.outputs.get(output)?;
        self.layouts.get(value.index())?.as_ref()
    }
}

/// Traces channels through the whole graph.
pub(crate) fn trace(graph: &Graph) -> Trace {
    let mut layouts: Vec<Option<Layout>> = vec![None; graph.values.len()];
    if let Some(input) = graph.values.get(graph.input.index()) {
        layouts[graph.input.index()] = Layout::image(&input.shape);
    }
    let mut steps = Vec::with_capacity(graph.nodes.len());
    let mut untraced = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let site = Site::new(graph, node, &layouts);
        let effect = effect(&site);
        let mut node_steps = Vec::with_capacity(effect.steps.len());
        let mut settled = Vec::with_capacity(node.outputs.len());
        for layout in effect.layouts {
            settled.push(layout.map_or((None, None), |layout| {
                let (layout, pairs) = layout.settle();
                (Some(layout), pairs)
            }));
        }
        for (operand, output, relation) in effect.steps {
            let (Some(&from), Some(&to)) = (node.inputs.get(operand), node.outputs.get(output))
            else {
                continue;
            };
            let pairs = settled.get(output).and_then(|(_, pairs)| pairs.clone());
            let relation = match (relation, pairs) {
                (relation, None) => relation,
                (Relation::Same, Some(pairs)) => Relation::Pairs(pairs),
                (Relation::Pairs(first), Some(second)) => Relation::Pairs(compose(&first, &second)),
                // A convolution writes its channels in order, so there is nothing to settle.
                (Relation::Conv, Some(_)) => Relation::Conv,
            };
            node_steps.push(Step { from, to, relation });
        }
        let traced = |operand: usize| {
            let from = node.inputs.get(operand);
            site.is_constant(operand) || node_steps.iter().any(|step| Some(&step.from) == from)
        };
        if !(0..node.inputs.len()).all(traced) {
            untraced.push(NodeId(u32::try_from(index).unwrap_or(u32::MAX)));
        }
        for (&output, (layout, _)) in node.outputs.iter().zip(settled) {
            if let Some(slot) = layouts.get_mut(output.index()) {
                *slot = layout;
            }
        }
        steps.push(node_steps);
    }
    Trace {
        layouts,
        steps,
        untraced,
    }
}

/// `first` then `second`; both and the result are sorted by result channel.
pub(crate) fn compose(first: &[(u32, u32)], second: &[(u32, u32)]) -> Pairs {
    let mut result = Vec::with_capacity(second.len());
    for &(middle, to) in second {
        let start = first.partition_point(|&(_, result)| result < middle);
        let sources = first[start..]
            .iter()
            .take_while(|&&(_, result)| result == middle);
        result.extend(sources.map(|&(from, _)| (from, to)));
    }
    result.sort_unstable_by_key(|&(from, to)| (to, from));
    result.dedup();
    result
}

/// Where the channels lie on a contracted axis: `(positions per channel, columns from one channel
/// to the next)`; `None` where the axis does not hold all of them as one run of digits.
pub(crate) fn contracted_channels(layout: &Layout, axis: usize) -> Option<(usize, usize)> {
    let atoms = layout.axes.get(axis)?;
    if layout.channels == 1 {
        return Some((product(atoms), product(atoms)));
    }
    let place = atoms.iter().position(|atom| atom.role == Role::Channel)?;
    let channel = atoms.get(place)?;
    if channel.extent != layout.channels || channel.stride != 1 {
        return None;
    }
    let inner = product(&atoms[place + 1..]);
    Some((product(&atoms[..place]) * inner, inner))
}

/// The operator sums, averages or takes maxima over positions.
pub(crate) fn is_pooling(op: &Op) -> bool {
    matches!(
        op,
        Op::MaxPool(_)
            | Op::AveragePool(_)
            | Op::GlobalAveragePool
            | Op::GlobalMaxPool
            | Op::Reduce {
                kind: Reduce::Mean | Reduce::Max | Reduce::Sum,
                ..
            }
    )
}
