//! The blocks between consecutive layers: which convolutions lie there, which tensor each reads, and
//! how channels are carried past them (method.md section 3.1).
//!
//! Between two layers every operator becomes edges of a graph of tensors: a constant-weight
//! convolution (or Gemm or MatMul over the channel axis, which is a 1x1 convolution of what it
//! reads) is an edge of its own, everything that keeps channels apart is a link. Chains of links
//! are then contracted, so that a bottleneck block is three or four tensors. From the last layer
//! the same is done up to the logits.
//!
//! Blocks do not overlap, so each convolution belongs to one of them at most; those before the first
//! layer, and those that bypass a chosen layer which is no cut, belong to none and get no id.

use super::LayerValue;
use super::contract::{Edge, Steps, contract};
use super::cuts::is_depthwise;
use super::trace::{Relation, Step, Trace, contracted_channels, trace};
use crate::graph::ir::{Binary, Graph, Node, NodeId, Op, ValueId};
use std::collections::HashMap;
use summit_tables::{Block, BlockEdge, BlockStep, ConvId, ConvInfo, LayerId, ModelInfo};

/// A convolution of a block, and where to find it.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockConv {
    /// What the tables know of it.
    pub info: ConvInfo,
    /// The Conv, ConvTranspose, Gemm or MatMul node.
    pub node: NodeId,
    /// The tensor it reads: `[N, C, H, W]`, or for Gemm and MatMul a matrix (see `spatial`).
    pub reads: ValueId,
    /// Its result, before a following BatchNormalization.
    pub result: ValueId,
    /// Gemm and MatMul: weight rows per input channel, H * W of a flattened map. 1 otherwise.
    pub spatial: u32,
    /// Gemm and MatMul: weight row k belongs to input channel `(k / channel_stride) % inputs`. H * W
    /// for a flattened `[C, H, W]`, 1 for a flattened `[H, W, C]`. 1 for convolutions.
    pub channel_stride: u32,
    /// `[outputs]`: the factor that directly following constants (BatchNormalization, per-channel
    /// Mul or Div) apply to each output channel, where they are its only reader. conv-max folds it
    /// into the kernel; only its sign matters for the ranking. `None`: no such operator.
    pub output_scale: Option<Vec<f32>>,
}

/// Layers, blocks and convolutions of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocks {
    /// For the tables.
    pub info: ModelInfo,
    /// `convs[k].info == info.convs[k]`.
    pub convs: Vec<BlockConv>,
    /// Operators inside blocks with an operand whose channels cannot be followed (sums over channels,
    /// products of activations): conv-max sees no path there.
    pub untraced: Vec<NodeId>,
}

/// Finds the blocks between the layers, which must be in the order of the network, and from the last
/// layer to the logits. Linear in the graph and in the channels renumbered.
#[must_use]
pub fn find_blocks(graph: &Graph, layers: &[LayerValue]) -> Blocks {
    let trace = trace(graph);
    let readers = count_readers(graph);
    let classes = graph.values.get(graph.output.index());
    let classes = classes.and_then(|value| value.shape.get(1)).copied();
    let mut found = Blocks {
        info: ModelInfo {
            layers: layers.iter().map(|layer| layer.info.clone()).collect(),
            classes: to_u32(classes.unwrap_or(0)),
            ..ModelInfo::default()
        },
        ..Blocks::default()
    };
    for (place, layer) in layers.iter().enumerate() {
        let next = layers.get(place + 1);
        let region = Region::between(
            graph,
            &trace,
            layer.value,
            next.map_or(graph.output, |next| next.value),
        );
        let mut ids: HashMap<NodeId, ConvId> = HashMap::new();
        for &node in &region.convs {
            let id = ConvId::from_index(found.convs.len());
            if let Some(conv) = describe(graph, &trace, &readers, node, id) {
                ids.insert(node, id);
                found.info.convs.push(conv.info.clone());
                found.convs.push(conv);
            }
        }
        found.untraced.extend(&region.untraced);
        let upper = next.map(|next| next.info.id);
        let block = region.into_block(graph, &trace, layer.info.id, upper, &ids);
        found.info.blocks.push(block);
    }
    found
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How often each value is read; the output of the graph counts as read.
fn count_readers(graph: &Graph) -> Vec<u32> {
    let mut readers = vec![0; graph.values.len()];
    let reads = graph.nodes.iter().flat_map(|node| &node.inputs);
    for value in reads.chain([&graph.output]) {
        if let Some(count) = readers.get_mut(value.index()) {
            *count += 1;
        }
    }
    readers
}

/// The traced part of the graph between two values.
struct Region<'a> {
    lower: ValueId,
    upper: ValueId,
    /// Steps that lie on a traced path from lower to upper, in topological order, with their node.
    steps: Vec<(NodeId, &'a Step)>,
    /// Constant-weight convolutions among them.
    convs: Vec<NodeId>,
    /// Nodes of the region with an untraced operand.
    untraced: Vec<NodeId>,
}

impl<'a> Region<'a> {
    fn between(graph: &Graph, trace: &'a Trace, lower: ValueId, upper: ValueId) -> Self {
        let place_of = |value: ValueId| {
            let producer = graph.values.get(value.index())?.producer?;
            Some(producer.index())
        };
        let first = place_of(lower).map_or(0, |place| place + 1);
        let end = place_of(upper).map_or(first, |place| place + 1);
        let nodes = (first..end.max(first)).map(|place| NodeId(to_u32(place)));
        // Forwards: what the lower layer reaches channel by channel, ...
        let mut reached = std::collections::HashSet::from([lower]);
        let mut steps: Vec<(NodeId, &Step)> = Vec::new();
        for node in nodes {
            for step in trace.steps.get(node.index()).into_iter().flatten() {
                if reached.contains(&step.from) {
                    reached.insert(step.to);
                    steps.push((node, step));
                }
            }
        }
        // ... then backwards: what of it reaches the upper one.
        let mut needed = std::collections::HashSet::from([upper]);
        let mut kept: Vec<(NodeId, &Step)> = Vec::with_capacity(steps.len());
        for (node, step) in steps.into_iter().rev() {
            if needed.contains(&step.to) {
                needed.insert(step.from);
                kept.push((node, step));
            }
        }
        kept.reverse();
        let convs = kept
            .iter()
            .filter(|(_, step)| step.relation == Relation::Conv)
            .map(|&(node, _)| node);
        let range = (to_u32(first))..(to_u32(end));
        let untraced = trace.untraced.iter().copied();
        Self {
            lower,
            upper,
            convs: convs.collect(),
            untraced: untraced.filter(|node| range.contains(&node.0)).collect(),
            steps: kept,
        }
    }

    fn into_block(
        self,
        graph: &Graph,
        trace: &Trace,
        lower: LayerId,
        upper: Option<LayerId>,
        ids: &HashMap<NodeId, ConvId>,
    ) -> Block {
        let channels_of = |value: ValueId| {
            let layout = trace.layouts.get(value.index()).and_then(Option::as_ref);
            // The logits of an untraceable head still have classes.
            let shape = graph.values.get(value.index()).map(|value| &value.shape);
            let extent = shape.and_then(|shape| shape.get(1)).copied();
            to_u32(layout.map_or(extent.unwrap_or(0), |layout| layout.channels))
        };
        let mut tensors: Vec<ValueId> = vec![self.lower];
        let mut places: HashMap<ValueId, usize> = HashMap::from([(self.lower, 0)]);
        for (_, step) in &self.steps {
            places.entry(step.to).or_insert_with(|| {
                tensors.push(step.to);
                tensors.len() - 1
            });
        }
        places.entry(self.upper).or_insert_with(|| {
            tensors.push(self.upper);
            tensors.len() - 1
        });
        let edges: Vec<Edge> = self
            .steps
            .iter()
            .filter_map(|(node, step)| {
                let steps = match &step.relation {
                    Relation::Conv => Steps::Conv(*ids.get(node)?),
                    Relation::Same => Steps::Same,
                    Relation::Pairs(pairs) => Steps::Pairs(pairs.clone()),
                };
                Some(Edge {
                    from: *places.get(&step.from)?,
                    to: *places.get(&step.to)?,
                    step: steps,
                })
            })
            .collect();
        let last = places.get(&self.upper).copied().unwrap_or(0);
        let (kept, edges) = contract(tensors.len(), last, edges);
        let convs: Vec<ConvId> = self
            .convs
            .iter()
            .filter_map(|node| ids.get(node).copied())
            .collect();
        Block {
            lower,
            upper,
            tensors: kept
                .iter()
                .filter_map(|&place| tensors.get(place).copied())
                .map(channels_of)
                .collect(),
            edges: edges
                .into_iter()
                .map(|edge| BlockEdge {
                    from: to_u32(edge.from),
                    to: to_u32(edge.to),
                    step: match edge.step {
                        Steps::Conv(id) => BlockStep::Conv(id),
                        Steps::Same => BlockStep::Link(summit_tables::ChannelLink { pairs: None }),
                        Steps::Pairs(pairs) => {
                            BlockStep::Link(summit_tables::ChannelLink { pairs: Some(pairs) })
                        }
                    },
                })
                .collect(),
            convs,
        }
    }
}

/// Everything about one convolution.
fn describe(
    graph: &Graph,
    trace: &Trace,
    readers: &[u32],
    id: NodeId,
    conv_id: ConvId,
) -> Option<BlockConv> {
    let node = graph.nodes.get(id.index())?;
    let reads = *node.inputs.first()?;
    let result = *node.outputs.first()?;
    let layout = trace.layouts.get(reads.index())?.as_ref()?;
    let result_layout = trace.layouts.get(result.index())?.as_ref()?;
    let (inputs, outputs) = (layout.channels, result_layout.channels);
    let groups = match &node.op {
        Op::Conv(conv) | Op::ConvTranspose(conv) => conv.groups,
        _ => 1,
    };
    let (spatial, channel_stride) = match &node.op {
        Op::Gemm { trans_a, .. } => contracted_channels(layout, usize::from(!trans_a))?,
        Op::MatMul => contracted_channels(layout, layout.axes.len().checked_sub(1)?)?,
        _ => (1, 1),
    };
    let name = |value: ValueId| {
        let value = graph.values.get(value.index());
        value.map(|value| value.name.clone())
    };
    Some(BlockConv {
        info: ConvInfo {
            id: conv_id,
            name: name(result)?,
            reads: name(reads)?,
            inputs: to_u32(inputs),
            outputs: to_u32(outputs),
            depthwise: is_depthwise(groups, inputs),
            groups: to_u32(groups),
        },
        node: id,
        reads,
        result,
        spatial: to_u32(spatial),
        channel_stride: to_u32(channel_stride),
        output_scale: output_scale(graph, readers, id, outputs),
    })
}

/// The per-channel factor of the constants that directly follow a convolution.
fn output_scale(graph: &Graph, readers: &[u32], conv: NodeId, channels: usize) -> Option<Vec<f32>> {
    let mut scale: Option<Vec<f32>> = None;
    let mut value = *graph.nodes.get(conv.index())?.outputs.first()?;
    let mut place = conv.index();
    // Each following node lies further on, so this ends.
    while readers.get(value.index()) == Some(&1) && value != graph.output {
        let next = graph.nodes.iter().enumerate().skip(place + 1);
        let Some((next_place, node)) = next
            .take(NEIGHBOURHOOD)
            .find(|(_, node)| node.inputs.contains(&value))
        else {
            break;
        };
        match factor(graph, node, value, channels) {
            Some(Factor::Per(factors)) => {
                let scale = scale.get_or_insert_with(|| vec![1.0; channels]);
                for (scale, factor) in scale.iter_mut().zip(factors) {
                    *scale *= factor;
                }
            }
            Some(Factor::One) => {}
            None => break,
        }
        let Some(&output) = node.outputs.first() else {
            break;
        };
        (value, place) = (output, next_place);
    }
    scale
}

/// How many nodes after a convolution its reader is looked for: exporters write it next, or after
/// the other branches of a block. Bounds the search in a hostile graph.
const NEIGHBOURHOOD: usize = 256;

enum Factor {
    /// One factor per channel.
    Per(Vec<f32>),
    /// A constant is added: no factor.
    One,
}

/// The factor a node with constant operands applies to each channel of `value`, `[N, C, ...]`.
fn factor(graph: &Graph, node: &Node, value: ValueId, channels: usize) -> Option<Factor> {
    let constant = |operand: usize| {
        let value = graph.values.get(node.inputs.get(operand)?.index())?;
        value.constant.as_ref()
    };
    let rank = graph.values.get(value.index())?.shape.len();
    match &node.op {
        Op::BatchNormalization { epsilon } => {
            let (scale, variance) = (constant(1)?, constant(4)?);
            let pairs = scale.data.iter().zip(variance.data.iter());
            let factors = pairs.map(|(scale, variance)| scale / (variance + epsilon).sqrt());
            Some(Factor::Per(factors.collect()))
        }
        Op::Binary(function) => {
            let other = node.inputs.iter().position(|&input| input != value)?;
            let tensor = constant(other)?;
            let per_channel = || {
                let axis = (tensor.shape.len() + 1).checked_sub(rank);
                let extent = axis.and_then(|axis| tensor.shape.get(axis)).copied();
                match (tensor.data.len(), extent) {
                    (1, _) => tensor.data.first().map(|&factor| vec![factor; channels]),
                    (length, Some(extent)) if length == extent && extent == channels => {
                        Some(tensor.data.to_vec())
                    }
                    _ => None,
                }
            };
            match function {
                Binary::Add | Binary::Sub if other == 1 || *function == Binary::Add => {
                    Some(Factor::One)
                }
                Binary::Mul => per_channel().map(Factor::Per),
                Binary::Div if other == 1 => {
                    let factors = per_channel()?;
                    Some(Factor::Per(
                        factors.iter().map(|factor| 1.0 / factor).collect(),
                    ))
                }
                _ => None,
            }
        }
        _ => None,
    }
}
