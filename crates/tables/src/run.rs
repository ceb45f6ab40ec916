//! Tables of a run. Everything here is an integer count, a list keyed by image, or a top-N list
//! with a total order, so that merging does not depend on order (method.md section 8).

use crate::{ChannelId, ClassId, ConvId, ImageId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A group of images: the row index of every group table. Its meaning is the [`Grouping`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

/// How images are put into groups (method.md section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// By label; the predicted class where there is none.
    Label,
    /// By predicted class.
    Prediction,
    /// One group per (label, prediction): `label * classes + prediction`.
    Confusion,
    /// 0 = wrong, 1 = correct.
    Correct,
}

/// One image of the run after the network has seen it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Position in the sorted list.
    pub image: ImageId,
    /// Path relative to the image root, `/` separated.
    pub path: String,
    /// True class; `None` for unlabelled images.
    pub label: Option<ClassId>,
    /// The most probable classes, descending, at most 5 (ties: lower class).
    pub top_classes: Vec<ClassId>,
    /// Their probabilities (softmax of the logits).
    pub top_probabilities: Vec<f32>,
    /// Probability of the true class; NaN-free: 0 where there is no label.
    pub label_probability: f32,
    /// `logit_c - max_{k != c} logit_k` for c = label, or the prediction where there is none.
    pub margin: f32,
    /// The highest logit among k != c (lowest index among equals).
    pub runner_up: ClassId,
    /// Width of the original image after EXIF orientation, pixels.
    pub width: u32,
    /// Height of the original image after EXIF orientation, pixels.
    pub height: u32,
}

impl ImageRecord {
    /// The most probable class.
    #[must_use]
    pub fn prediction(&self) -> Option<ClassId> {
        self.top_classes.first().copied()
    }
}

/// One entry of the per-image list of section 2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopChannel {
    /// The image.
    pub image: ImageId,
    /// A channel among its top channels.
    pub channel: ChannelId,
    /// `v_j`: the maximum over positions, clamped at 0.
    pub value: f32,
    /// `v_j / sum_n v_n`.
    pub share: f32,
    /// Row of the first maximum.
    pub row: u16,
    /// Column of the first maximum.
    pub column: u16,
}

/// An image as an example of a channel: one of the 10 with the largest activation, or one of its range
/// (method.md section 6).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetExample {
    /// The channel.
    pub channel: ChannelId,
    /// Place in the list: 0 is the largest activation, or the smallest of the range.
    pub rank: u16,
    /// The image.
    pub image: ImageId,
    /// Unclamped maximum over positions.
    pub value: f32,
    /// Row of the first maximum.
    pub row: u16,
    /// Column of the first maximum.
    pub column: u16,
    /// Where in its square of the image the channel is active: bit `8 y + x` of a grid of 8 x 8 cells
    /// is set where one of its units has at least half of the maximum (docs/method.md, "Dataset examples").
    /// 0: not known, or the maximum is not above 0.
    pub mask: u64,
}

/// One non-zero entry of A of one layer, by confusion cell: images of the cell in which the channel
/// is a top channel (method.md section 2). A of any label or prediction is a sum of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActivationEntry {
    /// Label of the cell; `u32::MAX` where images have none.
    pub label: u32,
    /// Prediction of the cell.
    pub prediction: u32,
    /// The channel.
    pub channel: u32,
    /// Images.
    pub images: u32,
}

/// One class as a run knows it: an output of the network and its names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassEntry {
    /// Index into the logits.
    pub class: ClassId,
    /// Folder name or WordNet id; empty where there is none.
    pub external_id: String,
    /// Name for humans.
    pub name: String,
    /// Further names.
    pub synonyms: Vec<String>,
}

/// conv-max counts of one convolution: images of a cell in which input i is among the 5 strongest
/// of output j (method.md section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InfluenceEntry {
    /// Label of the cell; `u32::MAX` where images have none.
    pub label: u32,
    /// Prediction of the cell.
    pub prediction: u32,
    /// Output channel j.
    pub output: u32,
    /// Input channel i.
    pub input: u32,
    /// Images.
    pub count: u32,
}

/// All non-zero counts of one convolution, sorted by (label, prediction, output, input).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvMaxCounts {
    /// The convolution.
    pub conv: ConvId,
    /// Sorted entries.
    pub entries: Vec<InfluenceEntry>,
}

/// Tables of one layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerTables {
    /// Sorted by (image, position in the image's list).
    pub top_channels: Vec<TopChannel>,
    /// Sorted by (channel, rank).
    pub examples: Vec<DatasetExample>,
    /// Sorted by (channel, rank): images from every part of the range.
    pub range_examples: Vec<DatasetExample>,
    /// Histograms of `v_j`: channel -> counts in fixed bins; see docs/method.md.
    pub histograms: BTreeMap<u32, Vec<u32>>,
}

/// A small picture of what the network saw of an image, for when the image itself is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnail {
    /// The image.
    pub image: ImageId,
    /// The whole input, scaled down, as a JPEG.
    pub jpeg: Vec<u8>,
}

/// An image that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedImage {
    /// Position in the sorted list.
    pub image: ImageId,
    /// Path relative to the image root.
    pub path: String,
    /// One sentence.
    pub reason: String,
}

/// Everything the pass found in consecutive images, in the order the store wants it. Every image of the
/// range is in exactly one of `images` and `skipped`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardTables {
    /// Images done, sorted by id.
    pub images: Vec<ImageRecord>,
    /// Images that could not be used, sorted by id.
    pub skipped: Vec<SkippedImage>,
    /// One entry per layer of the model.
    pub layers: Vec<LayerTables>,
    /// One entry per layer, sorted by (label, prediction, channel), non-zero counts only.
    pub activations: Vec<Vec<ActivationEntry>>,
    /// Counts of the convolutions that counted anything, each at most once.
    pub influence: Vec<ConvMaxCounts>,
    /// Of the images that are examples of any channel, sorted by id.
    pub thumbnails: Vec<Thumbnail>,
}
