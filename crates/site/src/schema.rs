//! What the browser reads: the JSON files of the bundle.
//!
//! Place in the flow: [`crate::bundle`] fills these types, `ui/src/data/generated/schema.ts` holds the
//! same types for the browser (written by the test below, which fails when they drift). Tables are
//! columns of equal length. Graphs are not repeated here: they are
//! [`summit_explain::AttributionGraph`] (docs/formats.md).
//!
//! Class ids are indices into the logits everywhere; `classes` columns give the order of other
//! columns. Numbers are finite; shares are in `[0, 1]`.

use serde::{Deserialize, Serialize};
use summit_explain::{Estimate, Measure};
use summit_tables::TopRule;
#[cfg(test)]
use ts_rs::TS;

/// Version of all files of the bundle but graphs; the browser refuses others.
pub const BUNDLE_SCHEMA_VERSION: u32 = 1;

/// Bins of the histograms of the label's probability, equal widths over `[0, 1]`.
pub const PROBABILITY_BINS: usize = 20;

/// `manifest.json`: what the site shows.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct SiteManifest {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Changes with the run's content: 16 hexadecimal digits.
    pub bundle_id: String,
    /// Name of the image folder.
    pub data_set: String,
    /// The network.
    pub model: ModelFacts,
    /// Numbers of images.
    pub images: ImageFacts,
    /// Classes with images.
    pub groups: u32,
    /// What graphs can be drawn by, the best first; none where the run has no graphs.
    pub measures: Vec<Measure>,
    /// Which channels of an image count as its top channels.
    #[cfg_attr(test, ts(type = "{ mass: number } | { \"top-k\": number }"))]
    pub top_rule: TopRule,
    /// How far influences can be trusted, per ranking of channels; empty where it was not evaluated.
    pub faithfulness: Vec<FaithfulnessFacts>,
    /// Layers, input side first.
    pub layers: Vec<LayerFacts>,
    /// How pictures are made; absent where the images are not to be found.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<PictureFacts>,
    /// The server runs the network: on photographs sent to it, and with channels changed.
    pub network: bool,
    /// The server draws feature visualisations that are asked for: by a POST without content to their
    /// `media/feature` address.
    pub draws: bool,
    /// Images that could not be used, at most 100.
    pub skipped: Vec<SkippedFacts>,
}

/// From the run's evaluation: means over held-out images of all groups, other channels replaced by
/// their mean in one layer at a time (docs/method.md section 7).
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct FaithfulnessFacts {
    /// What ranks the channels.
    pub measure: String,
    /// Shares of each layer's channels, ascending, the last 1.
    pub sizes: Vec<f64>,
    /// F at these sizes: the share of the margin left when only the first channels are kept.
    pub kept: Vec<f64>,
    /// Area between keeping and taking away the first channels.
    pub srg: f64,
    /// Mean Jaccard index of the first 5 % of channels from two halves of the images.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stability: Option<f64>,
}

/// The network.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ModelFacts {
    /// File name.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// `[C, H, W]`.
    pub input_shape: Vec<u32>,
    /// Number of logits.
    pub classes: u32,
}

/// Numbers of images.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ImageFacts {
    /// In the list.
    pub listed: u32,
    /// Seen by the network.
    pub done: u32,
    /// Unusable.
    pub skipped: u32,
    /// With a label.
    pub labelled: u32,
    /// Predicted as their label.
    pub correct: u32,
}

/// One layer.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct LayerFacts {
    /// Tensor name in the model.
    pub name: String,
    /// The name without its last part where that tells the layers apart, for tight places.
    pub short: String,
    /// Channels.
    pub channels: u32,
    /// Rows and columns of a map.
    pub size: [u32; 2],
    /// Values may be negative.
    pub signed: bool,
    /// Input pixels a unit sees, `[y, x]`.
    pub receptive_size: [u32; 2],
}

/// How pictures are made.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct PictureFacts {
    /// Side of a tile of `media/overview`, pixels.
    pub overview_tile: u32,
    /// Tiles in a row of `media/overview`; channels run row by row.
    pub overview_columns: u32,
    /// Side of `media/top`, pixels.
    pub top_side: u32,
    /// Side of a tile of `media/detail`, pixels: a row of the best images, a row over the range.
    pub detail_tile: u32,
    /// Side of a tile of `media/sheet`, pixels.
    pub sheet_tile: u32,
    /// Tiles in a row of `media/sheet`.
    pub sheet_columns: u32,
    /// Most tiles of `media/sheet`.
    pub sheet_images: u32,
    /// `media/feature` has a feature visualisation per channel.
    pub features: bool,
    /// `masks` tells where channels are active.
    pub masks: bool,
}

/// `masks/<layer>.json`: where in the tiles of `media/detail` a channel is active. A mask is 16 hexadecimal
/// digits, a number whose bit `8 y + x` is a cell of an 8 x 8 grid over the tile.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct MaskFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `[channels]`: the masks of the first row, one after another.
    pub examples: Vec<String>,
    /// `[channels]`: those of the second row.
    pub range: Vec<String>,
}

/// `features/<layer>.json`: channels with a feature visualisation, ascending; none where none was made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FeatureFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The channel.
    pub channel: Vec<u32>,
    /// Largest activation on the picture in units of that of the best image; absent where no image
    /// activates the channel.
    pub relative: Vec<Option<f32>>,
    /// How much the layers below do what they do for the channel's best images: 1 is as much as these
    /// among each other; absent where it was not measured.
    pub naturalness: Vec<Option<f32>>,
    /// The picture is not processed like natural images and should be trusted less.
    pub unnatural: Vec<bool>,
    /// There is a strip as well, `media/feature-detail`.
    pub detail: Vec<bool>,
}

/// An image that could not be used.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct SkippedFacts {
    /// Relative to the image folder.
    pub path: String,
    /// One sentence.
    pub reason: String,
}

/// `classes.json`: every class of the network, by id. An image counts for its label, for its
/// prediction where it has none.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ClassTable {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Folder name or WordNet id; may be empty.
    pub external_id: Vec<String>,
    /// Never empty.
    pub name: Vec<String>,
    /// Further names.
    pub synonyms: Vec<Vec<String>>,
    /// Images of the class.
    pub images: Vec<u32>,
    /// Of them, with a label.
    pub labelled: Vec<u32>,
    /// Of these, predicted as the class.
    pub correct: Vec<u32>,
    /// Of all images, predicted as the class.
    pub predicted: Vec<u32>,
    /// Labelled images by probability of the class, [`PROBABILITY_BINS`] bins; empty without any.
    pub histogram: Vec<Vec<u32>>,
    /// Wrong predictions of the class's images, most frequent first, at most 3: `[class, images]`.
    pub confused_with: Vec<Vec<[u32; 2]>>,
    /// What its graph can be drawn by, the best first; none where it has no graph.
    pub measures: Vec<Vec<Measure>>,
}

/// `confusion.json`: labelled images by (label, prediction), zeros left out.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ConfusionTable {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Class.
    pub label: Vec<u32>,
    /// Class.
    pub prediction: Vec<u32>,
    /// Images, at least 1.
    pub images: Vec<u32>,
}

/// `embedding/<layer>.json`: classes with images as points; near means alike. `points/channels/` and
/// `points/images/`: the layer's channels, the run's images.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct EmbeddingFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// How it was made.
    pub method: String,
    /// Trustworthiness in `[0, 1]`, where it was computed.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trustworthiness: Option<f64>,
    /// What the point is.
    pub id: Vec<u32>,
    /// The class it belongs to; absent where the points are classes.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Vec<u32>>,
    /// Position, no unit.
    pub x: Vec<f32>,
    /// Position, no unit.
    pub y: Vec<f32>,
}

/// `similarity/<class>.json`: cosine of rows of A, per layer, to every class with images.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct SimilarityFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The other class.
    pub class: Vec<u32>,
    /// `[layers][class]`, thousandths of the cosine, 0 to 1000.
    pub permille: Vec<Vec<u16>>,
}

/// `activations/<class>.json`: the class's rows of A, zeros left out.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ActivationFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Images of the class.
    pub images: u32,
    /// One per layer.
    pub layers: Vec<ActivationRow>,
}

/// One row of A.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ActivationRow {
    /// Channel, ascending.
    pub channel: Vec<u32>,
    /// Images of the class in which it is a top channel, at least 1.
    pub images: Vec<u32>,
}

/// `images/<class>.json`: the class's images, hardest first (ascending margin, then id).
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ImageFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Image id.
    pub image: Vec<u32>,
    /// Relative to the image folder.
    pub path: Vec<String>,
    /// Class.
    pub prediction: Vec<u32>,
    /// Probability of the prediction.
    pub probability: Vec<f32>,
    /// Logit of the label (of the prediction without one) minus the largest other.
    pub margin: Vec<f32>,
}

/// `edges/...`, named as the graph: images that carry the edges of a graph of signed influence. Contact sheet of
/// the images: `media/edges/...`, named as the graph.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct EdgeImageFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The images of all edges, those of the most edges first; at most [`PictureFacts::sheet_images`].
    pub images: ImageFile,
    /// Layer of the lower end.
    pub lower: Vec<u32>,
    /// The lower channel.
    pub from: Vec<u32>,
    /// The upper channel; the class above the last layer.
    pub to: Vec<u32>,
    /// Places in `images`, the largest |effect| first.
    pub places: Vec<Vec<u32>>,
    /// E of these images, logits.
    pub effect: Vec<Vec<f32>>,
}

/// `carriers/<class>.json`: in which of the class's images channels are top channels.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct CarrierFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Layer of the channel.
    pub layer: Vec<u32>,
    /// The channel.
    pub channel: Vec<u32>,
    /// Places in [`ImageFile`], ascending, of the first [`PictureFacts::sheet_images`] images in
    /// which it is a top channel.
    pub images: Vec<Vec<u32>>,
}

/// `inputs/...`, named as the graph: inputs of its channels that it does not show.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct InputFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Layer of the channel.
    pub layer: Vec<u32>,
    /// The channel.
    pub channel: Vec<u32>,
    /// Channels of the layer below, the heaviest first.
    pub inputs: Vec<Vec<FurtherInput>>,
}

/// An input of a channel that its graph does not show; `effect` and `top_images` are those of an edge
/// under a signed measure, `influence` that under conv-max.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct FurtherInput {
    /// The lower channel.
    pub channel: u32,
    /// Images of the group in which it is a top channel.
    pub count: u32,
    /// Images.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub influence: Option<u32>,
    /// Mean of E, logits.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Estimate>,
    /// Images in which it is among the 5 largest of the channel.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_images: Option<u32>,
}

/// What the network says of a photograph that is not of the run.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct PhotoFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The most probable classes, most probable first.
    pub class: Vec<u32>,
    /// Their probabilities.
    pub probability: Vec<f32>,
    /// Layer of each top channel.
    pub layer: Vec<u32>,
    /// The top channel.
    pub channel: Vec<u32>,
    /// Its share of the layer's activation.
    pub share: Vec<f32>,
    /// What carries the prediction; absent where the network cannot be differentiated.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathFacts>,
}

/// The way of a photograph: per layer the fewest channels that hold half of the layer's positive score of this
/// image.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct PathFacts {
    /// What R is.
    pub measure: Measure,
    /// Layer of each channel.
    pub layer: Vec<u32>,
    /// The channel.
    pub channel: Vec<u32>,
    /// R, logits, above 0.
    pub score: Vec<f32>,
}

/// Body of `POST whatif`: a channel's activation multiplied by a factor.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct WhatIfQuestion {
    /// The class looked at.
    pub class: u32,
    /// The layer.
    pub layer: u32,
    /// The channel.
    pub channel: u32,
    /// 0 mutes it.
    pub factor: f32,
}

/// What a changed channel does, on samples of the run's images.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct WhatIfFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Of the class's labelled images.
    pub class: EffectFacts,
    /// Of the other labelled images.
    pub others: EffectFacts,
    /// Predictions that images of the class gain or lose, most moved first.
    pub prediction: Vec<u32>,
    /// Images of the class predicted so before.
    pub before: Vec<u32>,
    /// And after.
    pub after: Vec<u32>,
}

/// Some images before and after a change.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct EffectFacts {
    /// Images.
    pub images: u32,
    /// Images predicted right: before, after.
    pub right: [u32; 2],
    /// Images whose prediction changed.
    pub changed: u32,
    /// Mean change of the margin, logits; `None` without images.
    pub margin: Option<Estimate>,
}

/// `channels/<layer>.json`: what every channel of a layer answers to.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ChannelFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `[channels]`: images of the data set in which it is a top channel.
    pub images: Vec<u32>,
    /// `[channels]`: classes by the share of their images in which it is a top channel, largest
    /// first, at most 8: `[class, images]`.
    pub classes: Vec<Vec<[u32; 2]>>,
    /// `[channels]`: the images with the largest activation, the first row of `media/detail`.
    pub examples: Vec<ChannelExamples>,
    /// `[channels]`: images over the range of its activation, smallest first, the second row of
    /// `media/detail`; none in runs of format 1.
    pub range: Vec<ChannelExamples>,
}

/// Dataset examples of one channel.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct ChannelExamples {
    /// Label, or prediction where there is none.
    pub class: Vec<u32>,
    /// Largest activation over positions.
    pub value: Vec<f32>,
}

/// `annotations.json`: names people gave to channels, by layer and channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct AnnotationFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The server takes new names.
    pub writable: bool,
    /// At most one per channel.
    pub annotations: Vec<Annotation>,
}

/// The name of one channel; channels with the same name form a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(TS))]
pub struct Annotation {
    /// Tensor name of the layer.
    pub layer: String,
    /// Channel.
    pub channel: u32,
    /// One line; empty takes the name away.
    pub text: String,
}

/// `live.json`, and every event of `events`: a run that is being made.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(TS))]
pub struct LiveFile {
    /// [`BUNDLE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What is being done.
    pub phase: LivePhase,
    /// Why it was stopped, one sentence.
    #[cfg_attr(test, ts(optional))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// File name of the network.
    pub model: String,
    /// Name of the image folder.
    pub data_set: String,
    /// Images in the list.
    pub listed: u32,
    /// Of them, stored before this start: a run that is continued.
    pub before: u32,
    /// Seen by the network, `before` included.
    pub done: u32,
    /// Unusable, `before` included.
    pub skipped: u32,
    /// From when the network began to look at images to the newest of them.
    pub seconds: f64,
    /// Class, in the order in which first images were stored. An image counts for its label, for its prediction
    /// where it has none.
    pub class: Vec<u32>,
    /// Its name, never empty.
    pub name: Vec<String>,
    /// Its images that are stored, at least 1.
    pub images: Vec<u32>,
    /// Of them, with a label.
    pub labelled: Vec<u32>,
    /// Of these, predicted as the class.
    pub correct: Vec<u32>,
}

/// What is being done for a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(TS))]
#[serde(rename_all = "lowercase")]
pub enum LivePhase {
    /// The network is read, the images are listed.
    #[default]
    Preparing,
    /// The network looks at the images.
    Images,
    /// The tables are made from what was stored.
    Tables,
    /// Signed influence is measured, class by class.
    Influence,
    /// All files of the bundle are there.
    Complete,
    /// The run ended early.
    Stopped,
}

#[cfg(test)]
#[path = "schema_typescript.rs"]
mod typescript;
