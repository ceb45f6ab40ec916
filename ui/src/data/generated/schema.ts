// Written by `UPDATE_SCHEMA=1 cargo test -p summit-site schema`. Do not edit.

export const BUNDLE_SCHEMA_VERSION = 1;
export const GRAPH_SCHEMA_VERSION = 1;

export type SiteManifest = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * Changes with the run's content: 16 hexadecimal digits.
 */
bundle_id: string, 
/**
 * Name of the image folder.
 */
data_set: string, 
/**
 * The network.
 */
model: ModelFacts, 
/**
 * Numbers of images.
 */
images: ImageFacts, 
/**
 * Classes with images.
 */
groups: number, 
/**
 * What graphs can be drawn by, the best first; none where the run has no graphs.
 */
measures: Array<Measure>, 
/**
 * Which channels of an image count as its top channels.
 */
top_rule: { mass: number } | { "top-k": number }, 
/**
 * How far influences can be trusted, per ranking of channels; empty where it was not evaluated.
 */
faithfulness: Array<FaithfulnessFacts>, 
/**
 * Layers, input side first.
 */
layers: Array<LayerFacts>, 
/**
 * How pictures are made; absent where the images are not to be found.
 */
pictures?: PictureFacts, 
/**
 * The server runs the network: on photographs sent to it, and with channels changed.
 */
network: boolean, 
/**
 * The server draws feature visualisations that are asked for: by a POST without content to their
 * `media/feature` address.
 */
draws: boolean, 
/**
 * Images that could not be used, at most 100.
 */
skipped: Array<SkippedFacts>, };

export type FaithfulnessFacts = { 
/**
 * What ranks the channels.
 */
measure: string, 
/**
 * Shares of each layer's channels, ascending, the last 1.
 */
sizes: Array<number>, 
/**
 * F at these sizes: the share of the margin left when only the first channels are kept.
 */
kept: Array<number>, 
/**
 * Area between keeping and taking away the first channels.
 */
srg: number, 
/**
 * Mean Jaccard index of the first 5 % of channels from two halves of the images.
 */
stability?: number, };

export type ModelFacts = { 
/**
 * File name.
 */
name: string, 
/**
 * SHA-256 of the file.
 */
sha256: string, 
/**
 * `[C, H, W]`.
 */
input_shape: Array<number>, 
/**
 * Number of logits.
 */
classes: number, };

export type ImageFacts = { 
/**
 * In the list.
 */
listed: number, 
/**
 * Seen by the network.
 */
done: number, 
/**
 * Unusable.
 */
skipped: number, 
/**
 * With a label.
 */
labelled: number, 
/**
 * Predicted as their label.
 */
correct: number, };

export type LayerFacts = { 
/**
 * Tensor name in the model.
 */
name: string, 
/**
 * The name without its last part where that tells the layers apart, for tight places.
 */
short: string, 
/**
 * Channels.
 */
channels: number, 
/**
 * Rows and columns of a map.
 */
size: [number, number], 
/**
 * Values may be negative.
 */
signed: boolean, 
/**
 * Input pixels a unit sees, `[y, x]`.
 */
receptive_size: [number, number], };

export type PictureFacts = { 
/**
 * Side of a tile of `media/overview`, pixels.
 */
overview_tile: number, 
/**
 * Tiles in a row of `media/overview`; channels run row by row.
 */
overview_columns: number, 
/**
 * Side of `media/top`, pixels.
 */
top_side: number, 
/**
 * Side of a tile of `media/detail`, pixels: a row of the best images, a row over the range.
 */
detail_tile: number, 
/**
 * Side of a tile of `media/sheet`, pixels.
 */
sheet_tile: number, 
/**
 * Tiles in a row of `media/sheet`.
 */
sheet_columns: number, 
/**
 * Most tiles of `media/sheet`.
 */
sheet_images: number, 
/**
 * `media/feature` has a feature visualisation per channel.
 */
features: boolean, 
/**
 * `masks` tells where channels are active.
 */
masks: boolean, };

export type SkippedFacts = { 
/**
 * Relative to the image folder.
 */
path: string, 
/**
 * One sentence.
 */
reason: string, };

export type ClassTable = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * Folder name or WordNet id; may be empty.
 */
external_id: Array<string>, 
/**
 * Never empty.
 */
name: Array<string>, 
/**
 * Further names.
 */
synonyms: Array<Array<string>>, 
/**
 * Images of the class.
 */
images: Array<number>, 
/**
 * Of them, with a label.
 */
labelled: Array<number>, 
/**
 * Of these, predicted as the class.
 */
correct: Array<number>, 
/**
 * Of all images, predicted as the class.
 */
predicted: Array<number>, 
/**
 * Labelled images by probability of the class, [`PROBABILITY_BINS`] bins; empty without any.
 */
histogram: Array<Array<number>>, 
/**
 * Wrong predictions of the class's images, most frequent first, at most 3: `[class, images]`.
 */
confused_with: Array<Array<[number, number]>>, 
/**
 * What its graph can be drawn by, the best first; none where it has no graph.
 */
measures: Array<Array<Measure>>, };

export type ConfusionTable = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * Class.
 */
label: Array<number>, 
/**
 * Class.
 */
prediction: Array<number>, 
/**
 * Images, at least 1.
 */
images: Array<number>, };

export type EmbeddingFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * How it was made.
 */
method: string, 
/**
 * Trustworthiness in `[0, 1]`, where it was computed.
 */
trustworthiness?: number, 
/**
 * What the point is.
 */
id: Array<number>, 
/**
 * The class it belongs to; absent where the points are classes.
 */
group?: Array<number>, 
/**
 * Position, no unit.
 */
x: Array<number>, 
/**
 * Position, no unit.
 */
y: Array<number>, };

export type EdgeImageFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * The images of all edges, those of the most edges first; at most [`PictureFacts::sheet_images`].
 */
images: ImageFile, 
/**
 * Layer of the lower end.
 */
lower: Array<number>, 
/**
 * The lower channel.
 */
from: Array<number>, 
/**
 * The upper channel; the class above the last layer.
 */
to: Array<number>, 
/**
 * Places in `images`, the largest |effect| first.
 */
places: Array<Array<number>>, 
/**
 * E of these images, logits.
 */
effect: Array<Array<number>>, };

export type SimilarityFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * The other class.
 */
class: Array<number>, 
/**
 * `[layers][class]`, thousandths of the cosine, 0 to 1000.
 */
permille: Array<Array<number>>, };

export type ActivationFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * Images of the class.
 */
images: number, 
/**
 * One per layer.
 */
layers: Array<ActivationRow>, };

export type ActivationRow = { 
/**
 * Channel, ascending.
 */
channel: Array<number>, 
/**
 * Images of the class in which it is a top channel, at least 1.
 */
images: Array<number>, };

export type ImageFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * Image id.
 */
image: Array<number>, 
/**
 * Relative to the image folder.
 */
path: Array<string>, 
/**
 * Class.
 */
prediction: Array<number>, 
/**
 * Probability of the prediction.
 */
probability: Array<number>, 
/**
 * Logit of the label (of the prediction without one) minus the largest other.
 */
margin: Array<number>, };

export type CarrierFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * Layer of the channel.
 */
layer: Array<number>, 
/**
 * The channel.
 */
channel: Array<number>, 
/**
 * Places in [`ImageFile`], ascending, of the first [`PictureFacts::sheet_images`] images in
 * which it is a top channel.
 */
images: Array<Array<number>>, };

export type InputFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * Layer of the channel.
 */
layer: Array<number>, 
/**
 * The channel.
 */
channel: Array<number>, 
/**
 * Channels of the layer below, the heaviest first.
 */
inputs: Array<Array<FurtherInput>>, };

export type FurtherInput = { 
/**
 * The lower channel.
 */
channel: number, 
/**
 * Images of the group in which it is a top channel.
 */
count: number, 
/**
 * Images.
 */
influence?: number, 
/**
 * Mean of E, logits.
 */
effect?: Estimate, 
/**
 * Images in which it is among the 5 largest of the channel.
 */
top_images?: number, };

export type PhotoFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * The most probable classes, most probable first.
 */
class: Array<number>, 
/**
 * Their probabilities.
 */
probability: Array<number>, 
/**
 * Layer of each top channel.
 */
layer: Array<number>, 
/**
 * The top channel.
 */
channel: Array<number>, 
/**
 * Its share of the layer's activation.
 */
share: Array<number>, 
/**
 * What carries the prediction; absent where the network cannot be differentiated.
 */
path?: PathFacts, };

export type PathFacts = { 
/**
 * What R is.
 */
measure: Measure, 
/**
 * Layer of each channel.
 */
layer: Array<number>, 
/**
 * The channel.
 */
channel: Array<number>, 
/**
 * R, logits, above 0.
 */
score: Array<number>, };

export type WhatIfQuestion = { 
/**
 * The class looked at.
 */
class: number, 
/**
 * The layer.
 */
layer: number, 
/**
 * The channel.
 */
channel: number, 
/**
 * 0 mutes it.
 */
factor: number, };

export type WhatIfFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * Of the class's labelled images.
 */
class: EffectFacts, 
/**
 * Of the other labelled images.
 */
others: EffectFacts, 
/**
 * Predictions that images of the class gain or lose, most moved first.
 */
prediction: Array<number>, 
/**
 * Images of the class predicted so before.
 */
before: Array<number>, 
/**
 * And after.
 */
after: Array<number>, };

export type EffectFacts = { 
/**
 * Images.
 */
images: number, 
/**
 * Images predicted right: before, after.
 */
right: [number, number], 
/**
 * Images whose prediction changed.
 */
changed: number, 
/**
 * Mean change of the margin, logits; `None` without images.
 */
margin: Estimate | null, };

export type MaskFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * `[channels]`: the masks of the first row, one after another.
 */
examples: Array<string>, 
/**
 * `[channels]`: those of the second row.
 */
range: Array<string>, };

export type ChannelFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * `[channels]`: images of the data set in which it is a top channel.
 */
images: Array<number>, 
/**
 * `[channels]`: classes by the share of their images in which it is a top channel, largest
 * first, at most 8: `[class, images]`.
 */
classes: Array<Array<[number, number]>>, 
/**
 * `[channels]`: the images with the largest activation, the first row of `media/detail`.
 */
examples: Array<ChannelExamples>, 
/**
 * `[channels]`: images over the range of its activation, smallest first, the second row of
 * `media/detail`; none in runs of format 1.
 */
range: Array<ChannelExamples>, };

export type ChannelExamples = { 
/**
 * Label, or prediction where there is none.
 */
class: Array<number>, 
/**
 * Largest activation over positions.
 */
value: Array<number>, };

export type AnnotationFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * The server takes new names.
 */
writable: boolean, 
/**
 * At most one per channel.
 */
annotations: Array<Annotation>, };

export type Annotation = { 
/**
 * Tensor name of the layer.
 */
layer: string, 
/**
 * Channel.
 */
channel: number, 
/**
 * One line; empty takes the name away.
 */
text: string, };

export type LiveFile = { 
/**
 * [`BUNDLE_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * What is being done.
 */
phase: LivePhase, 
/**
 * Why it was stopped, one sentence.
 */
problem?: string, 
/**
 * File name of the network.
 */
model: string, 
/**
 * Name of the image folder.
 */
data_set: string, 
/**
 * Images in the list.
 */
listed: number, 
/**
 * Of them, stored before this start: a run that is continued.
 */
before: number, 
/**
 * Seen by the network, `before` included.
 */
done: number, 
/**
 * Unusable, `before` included.
 */
skipped: number, 
/**
 * From when the network began to look at images to the newest of them.
 */
seconds: number, 
/**
 * Class, in the order in which first images were stored. An image counts for its label, for its prediction
 * where it has none.
 */
class: Array<number>, 
/**
 * Its name, never empty.
 */
name: Array<string>, 
/**
 * Its images that are stored, at least 1.
 */
images: Array<number>, 
/**
 * Of them, with a label.
 */
labelled: Array<number>, 
/**
 * Of these, predicted as the class.
 */
correct: Array<number>, };

export type LivePhase = "preparing" | "images" | "tables" | "influence" | "complete" | "stopped";

export type Measure = "conv-max" | "flow" | "flow-ig" | "lrp" | "flow-totals";

export type Estimate = { 
/**
 * The mean over the images, in logits.
 */
mean: number, 
/**
 * Lower and upper end of the 95 % t-interval of the mean; absent below two images.
 */
interval?: [number, number], };

export type AttributionGraph = { 
/**
 * [`GRAPH_SCHEMA_VERSION`].
 */
schema_version: number, 
/**
 * The group; of a joint graph the first.
 */
group: GraphGroup, 
/**
 * Of a joint graph: the second group.
 */
second_group?: GraphGroup, 
/**
 * What weights and scores are.
 */
measure: Measure, 
/**
 * Under a signed measure: what was measured, and how far it can be trusted.
 */
signed?: SignedHeader, 
/**
 * How it was made.
 */
parameters: RecordedParameters, 
/**
 * All layers of the network, input side first.
 */
layers: Array<GraphLayer>, 
/**
 * Kept channels, by (layer, channel).
 */
nodes: Array<GraphNode>, 
/**
 * Edges between consecutive layers, by (to, from).
 */
edges: Array<GraphEdge>, 
/**
 * Output classes: the top row.
 */
classes: Array<GraphClass>, 
/**
 * Edges into the classes, by (to, from); `to` is an index into `classes`.
 */
logit_edges: GraphEdge[], };

export type GraphGroup = { 
/**
 * Name for people: a class, a confusion cell, a list.
 */
name: string, 
/**
 * Images of the group in the activation counts.
 */
images: number, };

export type SignedHeader = { 
/**
 * Images measured.
 */
images: number, 
/**
 * Sum over shown channels of |bias| as a share of the sum of |score|, `[0, ...)`; layers but the
 * first.
 */
bias_share: number, };

export type RecordedParameters = { 
/**
 * The rule that made the activation counts.
 */
top_rule: { mass: number } | { "top-k": number }, 
/**
 * Share of a layer's score at which selection started.
 */
start_threshold: number, 
/**
 * Added in a round of relaxation; absent where there is none (`flow`).
 */
relaxation_step?: number, 
/**
 * Rounds of relaxation done.
 */
relaxation_rounds: number, 
/**
 * PageRank's damping; absent for `flow`.
 */
damping?: number, 
/**
 * PageRank's rounds; absent for `flow`.
 */
pagerank_rounds?: number, 
/**
 * Whether PageRank met its tolerance; absent for `flow`.
 */
pagerank_converged?: boolean, 
/**
 * The restart was weighted by how specific channels are to groups.
 */
class_contrast?: boolean, };

export type GraphLayer = { 
/**
 * Tensor name.
 */
name: string, 
/**
 * Channels of the layer, kept or not.
 */
channels: number, 
/**
 * Share of the layer's score at which its cut was made.
 */
threshold: number, };

export type GraphNode = { 
/**
 * Index into [`AttributionGraph::layers`].
 */
layer: number, 
/**
 * Channel of that layer.
 */
channel: number, 
/**
 * Images of the group in which it is a top channel (A).
 */
count: number, 
/**
 * PageRank in `[0, 1]`; absent for `flow`.
 */
pagerank?: number, 
/**
 * Mean of R over the images of the influence sample, in logits.
 */
score?: Estimate, 
/**
 * Drawn edges from the layer below.
 */
in_edges: number, 
/**
 * Drawn edges to the layer above, or into the class logits.
 */
out_edges: number, 
/**
 * Not selected by score; here because no selected channel influences the class logit.
 */
added_for_logit?: boolean, 
/**
 * What no channel below explains of its score, logits; only under a signed measure.
 */
bias?: Estimate, 
/**
 * In a joint graph: whose node it is.
 */
side?: Side, 
/**
 * In a joint graph: the node's figures in the second group; those above are the first's.
 */
second?: SecondNode, 
/**
 * Horizontal position, at least 0; neighbours in a row are at least 1 apart.
 */
x: number, };

export type SecondNode = { 
/**
 * Images of the second group in which it is a top channel.
 */
count: number, 
/**
 * PageRank in the second group's graph; absent where that has no such node.
 */
pagerank?: number, };

export type GraphEdge = { 
/**
 * Index into [`AttributionGraph::nodes`], in the lower layer.
 */
from: number, 
/**
 * Index into [`AttributionGraph::nodes`], in the layer above.
 */
to: number, 
/**
 * Bridged conv-max weight, images; absent where it was not computed.
 */
influence?: number, 
/**
 * Mean of E over the images of the influence sample, in logits.
 */
effect?: Estimate, 
/**
 * Images of the influence sample in which `from` is among the 5 largest |E| of `to`.
 */
top_images?: number, 
/**
 * Sign.
 */
kind: EdgeKind, 
/**
 * In a joint graph: whose edge it is.
 */
side?: Side, 
/**
 * In a joint graph: bridged weight in the second group, images of it; `influence` is the
 * first's.
 */
second_influence?: number, };

export type Side = "shared" | "first" | "second";

export type EdgeKind = "unsigned" | "supports" | "opposes";

export type GraphClass = { 
/**
 * The class.
 */
class: number, 
/**
 * Its name.
 */
name: string, 
/**
 * Horizontal position, as for nodes.
 */
x: number, };

