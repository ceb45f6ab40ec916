//! A block prepared for bridging: checked once, used for every group.
//!
//! What does not depend on counts is settled here: shapes, the channel maps of links and depthwise
//! convolutions, and which upper channels a path of one, or of two and more, convolutions *can*
//! reach. Truncation asks for this structure, not for counts: a channel no image ever drove still
//! counts among the direct ones.

use crate::{ExplainError, csr::check_channels};
use summit_tables::{Block, BlockEdge, BlockStep, ChannelLink, ConvId, ConvInfo};

/// A checked block.
#[derive(Clone, Debug)]
pub struct BridgePlan {
    pub(super) layer: u32,
    pub(super) tensors: Vec<u32>,
    pub(super) incoming: Vec<Vec<PlannedEdge>>,
    /// `[channels of the last tensor]`: a path of exactly one ordinary convolution exists.
    pub(super) direct: Vec<bool>,
    /// `[channels of the last tensor]`: a path of two or more ordinary convolutions exists.
    pub(super) bridged: Vec<bool>,
}

#[derive(Clone, Debug)]
pub(super) struct PlannedEdge {
    pub(super) from: usize,
    pub(super) step: Step,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// An ordinary (or grouped) convolution.
    Conv {
        conv: ConvId,
        outputs: u32,
        inputs: u32,
    },
    /// Channel j comes from channel j.
    Identity,
    /// Channel j comes from channel j / multiplier: a depthwise convolution.
    Depthwise { multiplier: u32 },
    /// Channel j comes from `sources[starts[j]..starts[j + 1]]`.
    Map {
        starts: Vec<usize>,
        sources: Vec<u32>,
    },
}

impl Step {
    /// Calls `visit` with each source channel of a link's result channel.
    #[inline]
    pub(super) fn for_each_source(&self, channel: u32, mut visit: impl FnMut(u32)) {
        match self {
            Self::Conv { .. } => {}
            Self::Identity => visit(channel),
            Self::Depthwise { multiplier } => visit(channel / multiplier),
            Self::Map { starts, sources } => {
                let channel = channel as usize;
                sources[starts[channel]..starts[channel + 1]]
                    .iter()
                    .copied()
                    .for_each(visit);
            }
        }
    }
}

/// Which numbers of ordinary convolutions some path to a channel has.
#[derive(Clone, Copy, Default)]
struct Reach {
    none: bool,
    one: bool,
    many: bool,
}

impl Reach {
    fn join(&mut self, other: Self) {
        self.none |= other.none;
        self.one |= other.one;
        self.many |= other.many;
    }

    fn after_convolution(self) -> Self {
        Self {
            none: false,
            one: self.none,
            many: self.one || self.many,
        }
    }
}

impl BridgePlan {
    /// Checks a block against the model's convolutions (indexed by [`ConvId`]).
    ///
    /// # Errors
    /// When the block is empty, an edge does not go forward, or a step does not fit its tensors.
    pub fn new(block: &Block, convs: &[ConvInfo]) -> Result<Self, ExplainError> {
        let layer = block.lower.0;
        if block.tensors.is_empty() {
            return Err(ExplainError::EmptyBlock { layer });
        }
        for &channels in &block.tensors {
            check_channels(channels, "a tensor of a block")?;
        }
        let mut incoming = vec![Vec::new(); block.tensors.len()];
        for edge in &block.edges {
            let (Some(&inputs), Some(&outputs), true) = (
                block.tensors.get(edge.from as usize),
                block.tensors.get(edge.to as usize),
                edge.from < edge.to,
            ) else {
                return Err(ExplainError::EdgeNotForward {
                    from: edge.from,
                    to: edge.to,
                    tensors: block.tensors.len(),
                    layer,
                });
            };
            let step = plan_step(edge, convs, inputs, outputs, layer)?;
            incoming[edge.to as usize].push(PlannedEdge {
                from: edge.from as usize,
                step,
            });
        }
        let reach = reach_of_last(&block.tensors, &incoming, convs);
        Ok(Self {
            layer,
            tensors: block.tensors.clone(),
            incoming,
            direct: reach.iter().map(|reach| reach.one).collect(),
            bridged: reach.iter().map(|reach| reach.many).collect(),
        })
    }

    /// Channels of the lower layer.
    #[must_use]
    pub fn lower_channels(&self) -> u32 {
        self.tensors.first().copied().unwrap_or(0)
    }

    /// Channels of the upper layer (or of the logits).
    #[must_use]
    pub fn upper_channels(&self) -> u32 {
        self.tensors.last().copied().unwrap_or(0)
    }
}

fn plan_step(
    edge: &BlockEdge,
    convs: &[ConvInfo],
    inputs: u32,
    outputs: u32,
    layer: u32,
) -> Result<Step, ExplainError> {
    let mismatch = |reason| {
        Err(ExplainError::StepMismatch {
            reason,
            from: edge.from,
            to: edge.to,
            layer,
        })
    };
    match &edge.step {
        BlockStep::Conv(id) => {
            let Some(conv) = convs.get(id.index()) else {
                return Err(ExplainError::UnknownConvolution { conv: id.0 });
            };
            if conv.inputs != inputs || conv.outputs != outputs {
                return mismatch("a convolution joins tensors of other widths than its own");
            }
            if conv.depthwise {
                if inputs == 0 || !outputs.is_multiple_of(inputs) || outputs == 0 {
                    return mismatch(
                        "a depthwise convolution's outputs are no multiple of its inputs",
                    );
                }
                return Ok(Step::Depthwise {
                    multiplier: outputs / inputs,
                });
            }
            let groups = conv.groups;
            if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
                return mismatch("a convolution's groups do not divide its channels");
            }
            Ok(Step::Conv {
                conv: *id,
                outputs,
                inputs,
            })
        }
        BlockStep::Link(ChannelLink { pairs: None }) => {
            if inputs != outputs {
                return mismatch("an identity link joins tensors of different widths");
            }
            Ok(Step::Identity)
        }
        BlockStep::Link(ChannelLink { pairs: Some(pairs) }) => {
            let inside = |&(source, result): &(u32, u32)| source < inputs && result < outputs;
            if !pairs.iter().all(inside) {
                return mismatch("a link names a channel its tensors do not have");
            }
            Ok(channel_map(pairs, outputs))
        }
    }
}

fn channel_map(pairs: &[(u32, u32)], outputs: u32) -> Step {
    let mut by_result: Vec<(u32, u32)> = pairs
        .iter()
        .map(|&(source, result)| (result, source))
        .collect();
    by_result.sort_unstable();
    by_result.dedup();
    let mut starts = Vec::with_capacity(outputs as usize + 1);
    let mut position = 0;
    for channel in 0..=outputs {
        while by_result
            .get(position)
            .is_some_and(|&(result, _)| result < channel)
        {
            position += 1;
        }
        starts.push(position);
    }
    Step::Map {
        starts,
        sources: by_result.into_iter().map(|(_, source)| source).collect(),
    }
}

fn reach_of_last(tensors: &[u32], incoming: &[Vec<PlannedEdge>], convs: &[ConvInfo]) -> Vec<Reach> {
    let mut all: Vec<Vec<Reach>> = Vec::with_capacity(tensors.len());
    for (tensor, &channels) in tensors.iter().enumerate() {
        let start = Reach {
            none: tensor == 0,
            ..Reach::default()
        };
        let mut reach = vec![start; channels as usize];
        for edge in &incoming[tensor] {
            let from = &all[edge.from];
            if let Step::Conv { conv, .. } = &edge.step {
                let groups = convs
                    .get(conv.index())
                    .map_or(1, |conv| conv.groups as usize);
                join_convolution(&mut reach, from, groups.max(1));
            } else {
                for (channel, reached) in reach.iter_mut().enumerate() {
                    edge.step.for_each_source(channel as u32, |source| {
                        reached.join(from[source as usize]);
                    });
                }
            }
        }
        all.push(reach);
    }
    all.pop().unwrap_or_default()
}

fn join_convolution(reach: &mut [Reach], from: &[Reach], groups: usize) {
    let inputs_per_group = (from.len() / groups).max(1);
    let outputs_per_group = (reach.len() / groups).max(1);
    for (outputs, inputs) in reach
        .chunks_mut(outputs_per_group)
        .zip(from.chunks(inputs_per_group))
    {
        let mut read = Reach::default();
        inputs.iter().for_each(|&input| read.join(input));
        outputs
            .iter_mut()
            .for_each(|output| output.join(read.after_convolution()));
    }
}
