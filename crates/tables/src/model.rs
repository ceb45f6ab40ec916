//! What the tables know of a network: layers, and the convolutions and identity links between
//! consecutive layers (method.md sections 1 and 3.1).

use crate::{ConvId, LayerId};
use serde::{Deserialize, Serialize};

/// One layer `[C, H, W]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// Position, input side first.
    pub id: LayerId,
    /// Tensor name in the ONNX file.
    pub name: String,
    /// Channels.
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// Values may be negative (a block's linear output).
    pub signed: bool,
    /// Input pixels from one unit to the next, `[y, x]`.
    pub receptive_stride: [f64; 2],
    /// Extent of the input pixels a unit can see, `[y, x]`.
    pub receptive_size: [u32; 2],
    /// First input pixel unit (0, 0) can see, `[y, x]`; negative inside the padding.
    pub receptive_start: [f64; 2],
    /// The tensor is crossed by every path (always so for discovered layers).
    pub is_cut: bool,
}

/// One convolution for which conv-max influence is counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvInfo {
    /// Position over all blocks, input side first; the classifier comes last.
    pub id: ConvId,
    /// Name of its output tensor.
    pub name: String,
    /// Name of the tensor it reads.
    pub reads: String,
    /// Channels of the tensor it reads (all groups).
    pub inputs: u32,
    /// Output channels.
    pub outputs: u32,
    /// Depthwise: output j reads input `j / multiplier` only.
    pub depthwise: bool,
    /// Groups (1 for an ordinary convolution).
    pub groups: u32,
}

/// How a step maps channels of its source tensor to channels of its result, one to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelLink {
    /// `(source channel, result channel)`, sorted by result channel. `None` means the identity.
    pub pairs: Option<Vec<(u32, u32)>>,
}

/// What an edge of a [`Block`] does to channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BlockStep {
    /// A convolution: the weight of (i -> j) is its count in the group.
    Conv(ConvId),
    /// Everything that keeps channels apart (activation, pooling, normalisation, Add, ...) or only
    /// renumbers them (slice, concatenation slot, shuffle).
    Link(ChannelLink),
}

/// An edge between two tensors of a [`Block`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockEdge {
    /// Index into [`Block::tensors`].
    pub from: u32,
    /// Index into [`Block::tensors`]; always greater than `from`.
    pub to: u32,
    /// What happens on the way.
    pub step: BlockStep,
}

/// What lies between layer `lower` and the next one: a directed acyclic graph of tensors, so that
/// densely connected blocks do not explode into paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// The layer nearer to the input.
    pub lower: LayerId,
    /// The next layer; `None` for the block from the last layer into the logits.
    pub upper: Option<LayerId>,
    /// Channels of each tensor; the first is `lower`, the last is `upper` (or the logits).
    pub tensors: Vec<u32>,
    /// Edges, sorted by (to, from).
    pub edges: Vec<BlockEdge>,
    /// Convolutions inside, input side first.
    pub convs: Vec<ConvId>,
}

/// All the tables know of a network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Layers, input side first.
    pub layers: Vec<LayerInfo>,
    /// Convolutions, input side first.
    pub convs: Vec<ConvInfo>,
    /// Blocks between consecutive layers, then the block into the logits.
    pub blocks: Vec<Block>,
    /// Number of logits.
    pub classes: u32,
}
