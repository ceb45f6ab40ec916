//! Edges of one block: the network from one layer to the next, differentiated.

use super::{FlowError, SignedMeasure, dots};
use crate::exec::{CompileOptions, Hooks, Network, RunError, Session, TensorView};
use crate::grad::{Request, between, derive};
use crate::graph::ir::{Conv, Graph, Node, Op, Unary, ValueId};
use std::sync::Arc;

/// The network from one layer to the next, differentiated.
#[derive(Debug)]
pub(super) struct Block {
    network: Arc<Network>,
    seed: ValueId,
    way: Way,
}

/// How a block's edges are found.
#[derive(Debug)]
enum Way {
    /// Gradients masked to one upper channel each, several at once.
    Masks {
        /// `[masks, C]`; with several steps the gradient `[masks, C, H, W]`, to be multiplied by the
        /// activations of the image itself.
        found: Option<ValueId>,
        averaged: bool,
        masks: usize,
    },
    /// `E_i->j = sum over taps of K_ji dz/dK_ji`, all pairs at once (method.md section 3.2).
    Weights {
        gradient: ValueId,
        /// `[Cout, Cin / groups, taps]`
        kernel: Arc<[f32]>,
        groups: usize,
    },
}

impl Block {
    pub(super) fn new(
        graph: &Graph,
        lower: ValueId,
        upper: ValueId,
        masks: usize,
        measure: SignedMeasure,
        max_bytes: usize,
    ) -> Result<Self, FlowError> {
        let (part, _) = between(graph, lower, upper, &[])?;
        // The rules of relevance are no derivatives, and integrated gradients multiply the mean
        // gradient with an activation it was not taken at.
        match single_convolution(&part) {
            Some(single) if measure == SignedMeasure::Flow => Self::weights(&part, &single),
            _ => Self::masked(&part, masks, measure, max_bytes),
        }
    }

    fn masked(
        part: &Graph,
        mut masks: usize,
        measure: SignedMeasure,
        max_bytes: usize,
    ) -> Result<Self, FlowError> {
        let averaged = measure.steps() > 1;
        let wanted = |yes: bool| if yes { vec![part.input] } else { Vec::new() };
        loop {
            let derived = derive(
                part,
                &Request {
                    wrt: wanted(averaged),
                    scores: wanted(!averaged),
                    rule: measure.rule(),
                    ..Request::new(part.output, masks)
                },
            )?;
            let found = derived.scores.iter().chain(&derived.gradients).next();
            let found = found.copied().flatten();
            let options = CompileOptions {
                observed: found.into_iter().collect(),
                ..CompileOptions::default()
            };
            if masks > 1 && Network::values_bytes(&derived.graph, &options) > max_bytes {
                masks = masks.div_ceil(2);
                continue;
            }
            return Ok(Self {
                network: Network::compile(&derived.graph, &options)?,
                seed: derived.seed,
                way: Way::Masks {
                    found,
                    averaged,
                    masks,
                },
            });
        }
    }

    fn weights(part: &Graph, single: &Single) -> Result<Self, FlowError> {
        let derived = derive(
            part,
            &Request {
                weights: vec![single.weight],
                ..Request::new(part.output, 1)
            },
        )?;
        let Some(&Some(gradient)) = derived.weights.first() else {
            return Self::masked(part, 1, SignedMeasure::Flow, usize::MAX);
        };
        let options = CompileOptions {
            observed: vec![gradient],
            ..CompileOptions::default()
        };
        Ok(Self {
            network: Network::compile(&derived.graph, &options)?,
            seed: derived.seed,
            way: Way::Weights {
                gradient,
                kernel: Arc::clone(&single.kernel),
                groups: single.groups,
            },
        })
    }

    pub(super) fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Edges at one point into some channels above, `[channels][C]`; `image` is the activation they
    /// are multiplied by.
    pub(super) fn edges(
        &self,
        session: &mut Session,
        activation: &[f32],
        gradient: &[f32],
        image: &[f32],
        channels: &[usize],
    ) -> Result<Vec<Vec<f32>>, RunError> {
        let graph = self.network.graph();
        let shape = &graph.values[self.seed.index()].shape;
        let above = shape.get(1).copied().unwrap_or(1);
        if !gradient.len().is_multiple_of(above) || channels.iter().any(|&j| j >= above) {
            return Err(RunError::Input {
                expected: above,
                found: gradient.len(),
            });
        }
        let inputs = graph.values[graph.input.index()].shape[1];
        let fed = |wanted, channels| Fed {
            seed: self.seed,
            gradient,
            plane: gradient.len() / above,
            channels,
            wanted,
            found: Vec::new(),
        };
        match &self.way {
            Way::Masks {
                found,
                averaged,
                masks,
            } => {
                let mut edges = Vec::with_capacity(channels.len());
                for part in channels.chunks(*masks) {
                    let mut masked = fed(*found, Some(part));
                    session.run_with(activation, &mut masked)?;
                    let mut found = masked.found;
                    if found.is_empty() {
                        // Nothing passes from one layer to the other.
                        found = vec![0.0; inputs * part.len()];
                    } else if *averaged {
                        found = dots(&found, image, inputs);
                    }
                    let rows = found.chunks_exact(inputs).take(part.len());
                    edges.extend(rows.map(<[f32]>::to_vec));
                }
                Ok(edges)
            }
            Way::Weights {
                gradient,
                kernel,
                groups,
            } => {
                let mut whole = fed(Some(*gradient), None);
                session.run_with(activation, &mut whole)?;
                let row = |&j: &usize| products(kernel, &whole.found, [above, inputs], *groups, j);
                Ok(channels.iter().map(row).collect())
            }
        }
    }
}

/// `[C]`: sums over taps of kernel times gradient of one output channel, 0 for other groups' inputs.
fn products(
    kernel: &[f32],
    gradient: &[f32],
    [outputs, inputs]: [usize; 2],
    groups: usize,
    output: usize,
) -> Vec<f32> {
    let mut row = vec![0.0; inputs];
    let per_group = inputs / groups;
    let taps = kernel.len() / (outputs * per_group).max(1);
    let first = output / (outputs / groups) * per_group;
    let range = output * per_group * taps..(output + 1) * per_group * taps;
    let pairs = kernel[range.clone()].iter().zip(&gradient[range]);
    for (position, (weight, gradient)) in pairs.enumerate() {
        row[first + position / taps] += weight * gradient;
    }
    row
}

/// The one convolution of a block.
struct Single {
    weight: ValueId,
    kernel: Arc<[f32]>,
    groups: usize,
}

/// The convolution of a block that has no other, where what comes before it is per channel and
/// homogeneous (so that its gradient times its input is what the convolution reads) and what comes
/// after it is per channel.
fn single_convolution(part: &Graph) -> Option<Single> {
    let mut single = None;
    let mut value = part.input;
    for node in &part.nodes {
        let constant = |id: &ValueId| part.values.get(id.index())?.constant.as_ref();
        let beside = node.inputs.get(1..)?;
        if node.inputs.first() != Some(&value) || beside.iter().any(|id| constant(id).is_none()) {
            return None;
        }
        match (&node.op, &single) {
            (Op::Conv(conv), None) => single = Some(found(part, node, conv)?),
            (Op::MaxPool(_) | Op::Unary(Unary::Relu | Unary::LeakyRelu(_)), _) => {}
            (Op::AveragePool(_), _) => {}
            (Op::Unary(_) | Op::BatchNormalization { .. }, Some(_)) => {}
            _ => return None,
        }
        value = *node.outputs.first()?;
    }
    single.filter(|_| value == part.output)
}

fn found(part: &Graph, node: &Node, conv: &Conv) -> Option<Single> {
    let weight = *node.inputs.get(1)?;
    let tensor = part.values.get(weight.index())?.constant.as_ref()?;
    Some(Single {
        weight,
        kernel: tensor.data.to_vec().into(),
        groups: conv.groups,
    })
}

/// Feeds a gradient, whole or masked to one channel per image, and takes down a value.
struct Fed<'a> {
    seed: ValueId,
    gradient: &'a [f32],
    plane: usize,
    /// One per image; `None` for the whole gradient.
    channels: Option<&'a [usize]>,
    wanted: Option<ValueId>,
    found: Vec<f32>,
}

impl Hooks for Fed<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        if Some(value) == self.wanted {
            self.found = view.to_vec();
        }
    }

    fn feed(&mut self, value: ValueId, data: &mut [f32]) {
        if value != self.seed {
            return;
        }
        let Some(channels) = self.channels else {
            data.copy_from_slice(self.gradient);
            return;
        };
        for (image, &channel) in data
            .chunks_exact_mut(self.gradient.len().max(1))
            .zip(channels)
        {
            let range = channel * self.plane..(channel + 1) * self.plane;
            image[range.clone()].copy_from_slice(&self.gradient[range]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ir::Pool;
    use crate::testing::Builder;

    fn window(stride: usize) -> Pool {
        Pool {
            kernel: [3, 3],
            strides: [stride, stride],
            pads: [1; 4],
            dilations: [1, 1],
            count_include_pad: false,
        }
    }

    /// Pooling, a convolution, its activation and pooling again.
    fn block(kernel: usize, stride: usize, groups: usize, seed: u64, pooled: bool) -> Graph {
        let mut builder = Builder::new([1, 12, 11, 9], seed);
        let mut value = builder.graph.input;
        if pooled {
            value = builder.node(Op::AveragePool(window(1)), &[value], &[])[0];
        }
        let conv = Conv {
            strides: [stride, stride],
            pads: [kernel / 2; 4],
            dilations: [1, 1],
            groups,
        };
        value = builder.conv(value, 24, [kernel, kernel], conv);
        value = builder.node(Op::Unary(Unary::Sigmoid), &[value], &[])[0];
        if pooled {
            value = builder.node(Op::MaxPool(window(2)), &[value], &[])[0];
        }
        builder.graph.output = value;
        builder.graph
    }

    #[test]
    fn weight_gradients_give_the_edges_of_masks() {
        for (kernel, stride, groups, pooled) in [
            (1, 1, 1, false),
            (3, 1, 1, true),
            (3, 2, 3, true),
            (5, 2, 1, false),
            (3, 1, 12, false),
        ] {
            let part = block(kernel, stride, groups, 7, pooled);
            let single = single_convolution(&part).unwrap();
            let fast = Block::weights(&part, &single).unwrap();
            let naive = Block::masked(&part, 5, SignedMeasure::Flow, usize::MAX).unwrap();
            let mut builder = Builder::new([1, 1, 1, 1], 3);
            let numbers = |builder: &mut Builder, value: ValueId| -> Vec<f32> {
                let count: usize = part.values[value.index()].shape.iter().product();
                (0..count).map(|_| builder.random()).collect()
            };
            let image = numbers(&mut builder, part.input);
            let gradient = numbers(&mut builder, part.output);
            let channels = [23, 0, 7, 8, 9, 11, 1];
            let [fast, naive] = [fast, naive].map(|block| {
                let mut session = block.network().session();
                block
                    .edges(&mut session, &image, &gradient, &image, &channels)
                    .unwrap()
            });
            let scale = naive.iter().flatten().fold(0.0f32, |m, x| m.max(x.abs()));
            assert!(scale > 0.0);
            for (fast, naive) in fast.iter().zip(&naive) {
                for (fast, naive) in fast.iter().zip(naive) {
                    assert!((fast - naive).abs() <= 1e-5 * scale, "{fast} {naive}");
                }
            }
        }
    }

    #[test]
    fn other_blocks_are_followed_with_masks() {
        let conv = Conv {
            strides: [1, 1],
            pads: [0; 4],
            dilations: [1, 1],
            groups: 1,
        };
        let mut two = Builder::new([1, 4, 5, 5], 1);
        let first = two.conv(two.graph.input, 4, [1, 1], conv.clone());
        two.graph.output = two.conv(first, 4, [1, 1], conv.clone());
        assert!(single_convolution(&two.graph).is_none());
        // What a sigmoid hands on is not its gradient times its input.
        let mut before = Builder::new([1, 4, 5, 5], 1);
        let input = before.graph.input;
        let curved = before.node(Op::Unary(Unary::Sigmoid), &[input], &[])[0];
        before.graph.output = before.conv(curved, 4, [1, 1], conv.clone());
        assert!(single_convolution(&before.graph).is_none());
        // A skip connection passes the convolution by.
        let mut skip = Builder::new([1, 4, 5, 5], 1);
        let input = skip.graph.input;
        let own = skip.conv(input, 4, [1, 1], conv);
        let sum = Op::Binary(crate::graph::ir::Binary::Add);
        skip.graph.output = skip.node(sum, &[own, input], &[])[0];
        assert!(single_convolution(&skip.graph).is_none());
    }
}
