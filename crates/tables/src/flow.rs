//! Signed influence of one group as a run keeps it (docs/method.md section 3.2).

use crate::{DatasetExample, ImageId};
use serde::{Deserialize, Serialize};

/// [`EdgeSum::from`] of what no input explains.
pub const BIAS: u32 = u32::MAX;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowHeader {
    /// `flow`, `flow-ig` or `lrp`.
    pub measure: String,
    /// The group as typed.
    pub group: String,
    /// Images measured: all of the group, or a sample.
    pub images: u32,
    /// Share of a layer's positive score that the channels with edges hold, `[0, 1]`.
    pub mass: f64,
}

/// R of one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreSum {
    /// Position of the layer.
    pub layer: u32,
    /// The channel.
    pub channel: u32,
    /// Sum over images, logits.
    pub sum: f64,
    /// Sum of squares over images, logits^2.
    pub squares: f64,
}

/// E of one edge between shown channels, or from [`BIAS`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgeSum {
    /// Position of the layer of `from`.
    pub lower: u32,
    /// The upper channel; the class above the last layer.
    pub to: u32,
    /// The lower channel, or [`BIAS`].
    pub from: u32,
    /// Sum over images, logits.
    pub sum: f64,
    /// Sum of squares over images, logits^2.
    pub squares: f64,
    /// Images in which `from` is among the 5 largest |E| > 0 of `to`.
    pub top_images: u32,
}

/// An image that carries a shown channel's score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreExample {
    /// Position of the layer.
    pub layer: u32,
    /// The image; its value is R of the image, logits, above 0, its position the one that contributes most.
    pub example: DatasetExample,
}

/// Most [`EdgeExample`]s of an edge.
pub const EXAMPLES_PER_EDGE: u16 = 8;

/// An image that carries an edge: one in which it is among the 5 largest of its upper end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgeExample {
    /// Position of the layer of `from`.
    pub lower: u32,
    /// The upper channel; the class above the last layer.
    pub to: u32,
    /// The lower channel.
    pub from: u32,
    /// 0 for the largest |E|.
    pub rank: u16,
    /// The image.
    pub image: ImageId,
    /// E of the image, logits, not 0.
    pub effect: f32,
}

/// Node scores of all channels and edges among the shown ones.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowTables {
    /// What was measured.
    pub header: FlowHeader,
    /// Sorted by (layer, channel), every channel of every layer.
    pub scores: Vec<ScoreSum>,
    /// Sorted by (lower, to, from).
    pub edges: Vec<EdgeSum>,
    /// Up to ten a shown channel, sorted by (layer, channel, rank).
    pub examples: Vec<ScoreExample>,
    /// Up to [`EXAMPLES_PER_EDGE`] an edge, sorted by (lower, to, from, rank).
    pub edge_examples: Vec<EdgeExample>,
}
