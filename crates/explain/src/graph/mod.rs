//! The attribution graph of one group: what is shown, written as JSON and drawn.
//!
//! Place in the flow: built here from selected channels and edges ([`conv_max_graph`],
//! [`flow_graph`]), drawn by `render`, shipped to the browser as JSON (docs/formats.md). Layout is
//! part of the graph, so that every view of it agrees.
//!
//! Nodes are sorted by (layer, channel), edges by (to, from), so the same tables give the same
//! bytes.

mod build;
mod join;
mod layout;
mod order;

pub use join::{ConvMaxGraph, join};
pub use order::ChannelOrder;

pub use build::{FlowEdge, FlowGraphInput, GroupTables, TargetClass, conv_max_graph, flow_graph};

use crate::{Estimate, ExplainError, PageRankParameters, SelectionParameters};
use serde::{Deserialize, Serialize};
use summit_tables::{ChannelId, ClassId, TopRule};

/// Version of the JSON written here; raised with every change a reader must know of.
pub const GRAPH_SCHEMA_VERSION: u32 = 1;

/// What the weights of a graph's edges and the scores of its nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Counts of the strongest inputs, scored by PageRank (docs/method.md section 3.1).
    ConvMax,
    /// Signed, conserved contributions to the score (docs/method.md section 3.2).
    Flow,
    /// As flow, with gradients averaged on the way to the image.
    FlowIg,
    /// As flow, with the gradients of layer-wise relevance propagation.
    Lrp,
    /// What raises the score through the weights of each convolution, summed over images, bridged and
    /// scored as counts are; edges are in units of [`TOTALS_UNIT`] (docs/method.md section 7).
    FlowTotals,
}

/// The weight that the largest total of a group becomes, and that links without a convolution carry.
pub const TOTALS_UNIT: u32 = 1 << 20;

impl Measure {
    /// Those a finished run can hold, the one that agrees best with interventions first
    /// (docs/faithfulness.md): a graph is drawn by the first that was measured, unless another is
    /// asked for.
    pub const BEST_FIRST: [Self; 4] = [Self::Lrp, Self::Flow, Self::FlowIg, Self::ConvMax];

    /// Its scores and edges have a sign and are logits.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::Flow | Self::FlowIg | Self::Lrp)
    }

    /// The measure with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::FlowTotals].into_iter().chain(Self::BEST_FIRST);
        all.into_iter().find(|measure| measure.name() == name)
    }

    /// The name in the JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConvMax => "conv-max",
            Self::Flow => "flow",
            Self::FlowIg => "flow-ig",
            Self::Lrp => "lrp",
            Self::FlowTotals => "flow-totals",
        }
    }
}

/// Choices a graph depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GraphParameters {
    /// The rule that made the activation counts; recorded, not used.
    pub top_rule: TopRule,
    /// Scoring, for `conv-max`.
    pub pagerank: PageRankParameters,
    /// Selection; `flow` uses the start threshold only.
    pub selection: SelectionParameters,
    /// For `flow`: draw edges with a negative mean as well.
    pub negative_edges: bool,
}

/// The group a graph explains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct GraphGroup {
    /// Name for people: a class, a confusion cell, a list.
    pub name: String,
    /// Images of the group in the activation counts.
    pub images: u32,
}

/// The parameters as recorded in the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct RecordedParameters {
    /// The rule that made the activation counts.
    #[cfg_attr(
        feature = "typescript",
        ts(type = "{ mass: number } | { \"top-k\": number }")
    )]
    pub top_rule: TopRule,
    /// Share of a layer's score at which selection started.
    pub start_threshold: f64,
    /// Added in a round of relaxation; absent where there is none (`flow`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub relaxation_step: Option<f64>,
    /// Rounds of relaxation done.
    pub relaxation_rounds: u32,
    /// PageRank's damping; absent for `flow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub damping: Option<f64>,
    /// PageRank's rounds; absent for `flow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub pagerank_rounds: Option<u32>,
    /// Whether PageRank met its tolerance; absent for `flow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub pagerank_converged: Option<bool>,
    /// The restart was weighted by how specific channels are to groups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "typescript", ts(optional, as = "Option<bool>"))]
    pub class_contrast: bool,
}

/// One layer, input side first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct GraphLayer {
    /// Tensor name.
    pub name: String,
    /// Channels of the layer, kept or not.
    pub channels: u32,
    /// Share of the layer's score at which its cut was made.
    pub threshold: f64,
}

/// A kept channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct GraphNode {
    /// Index into [`AttributionGraph::layers`].
    pub layer: u32,
    /// Channel of that layer.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub channel: ChannelId,
    /// Images of the group in which it is a top channel (A).
    pub count: u32,
    /// PageRank in `[0, 1]`; absent for `flow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub pagerank: Option<f64>,
    /// Mean of R over the images of the influence sample, in logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub score: Option<Estimate>,
    /// Drawn edges from the layer below.
    pub in_edges: u32,
    /// Drawn edges to the layer above, or into the class logits.
    pub out_edges: u32,
    /// Not selected by score; here because no selected channel influences the class logit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "typescript", ts(optional, as = "Option<bool>"))]
    pub added_for_logit: bool,
    /// What no channel below explains of its score, logits; only under a signed measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub bias: Option<Estimate>,
    /// In a joint graph: whose node it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub side: Option<Side>,
    /// In a joint graph: the node's figures in the second group; those above are the first's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub second: Option<SecondNode>,
    /// Horizontal position, at least 0; neighbours in a row are at least 1 apart.
    pub x: f64,
}

/// Whose a node or an edge of a joint graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Both groups' graphs have it.
    Shared,
    /// The first group's alone.
    First,
    /// The second group's alone.
    Second,
}

/// A node of a joint graph in the second group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct SecondNode {
    /// Images of the second group in which it is a top channel.
    pub count: u32,
    /// PageRank in the second group's graph; absent where that has no such node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub pagerank: Option<f64>,
}

/// The header of a graph under a signed measure (docs/method.md section 7).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct SignedHeader {
    /// Images measured.
    pub images: u32,
    /// Sum over shown channels of |bias| as a share of the sum of |score|, `[0, ...)`; layers but the
    /// first.
    pub bias_share: f64,
    /// From the run's evaluation, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(skip))]
    pub faithfulness: Option<FaithfulnessHeader>,
}

/// The measure's figures over all groups, mean ablation, held-out images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaithfulnessHeader {
    /// Share of each layer's channels that the graph shows, `[0, 1]`.
    pub shown: f64,
    /// F at that size: the share of the margin left when only so many channels of one layer are kept,
    /// over all layers.
    pub kept_margin: f64,
    /// The same with only so many channels of all layers at once.
    pub kept_margin_circuit: f64,
    /// Area under F less the area under deletion, one layer at a time; 0 for a random ranking.
    pub srg: f64,
    /// Mean Jaccard index of the first 5 % of channels from two halves of the images.
    pub stability: f64,
}

/// What is known of an edge's sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum EdgeKind {
    /// conv-max counts have no sign.
    #[default]
    Unsigned,
    /// The mean effect is above 0: raises the score.
    Supports,
    /// The mean effect is below 0: lowers the score.
    Opposes,
}

/// An edge to the next layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct GraphEdge {
    /// Index into [`AttributionGraph::nodes`], in the lower layer.
    pub from: u32,
    /// Index into [`AttributionGraph::nodes`], in the layer above.
    pub to: u32,
    /// Bridged conv-max weight, images; absent where it was not computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub influence: Option<u32>,
    /// Mean of E over the images of the influence sample, in logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub effect: Option<Estimate>,
    /// Images of the influence sample in which `from` is among the 5 largest |E| of `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub top_images: Option<u32>,
    /// Sign.
    pub kind: EdgeKind,
    /// In a joint graph: whose edge it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub side: Option<Side>,
    /// In a joint graph: bridged weight in the second group, images of it; `influence` is the
    /// first's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub second_influence: Option<u32>,
}

/// An output class the graph reaches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct GraphClass {
    /// The class.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub class: ClassId,
    /// Its name.
    pub name: String,
    /// Horizontal position, as for nodes.
    pub x: f64,
}

/// An edge from the last layer into a class logit; fields as in [`GraphEdge`], `to` being an index
/// into [`AttributionGraph::classes`].
pub type LogitEdge = GraphEdge;

/// The attribution graph of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct AttributionGraph {
    /// [`GRAPH_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The group; of a joint graph the first.
    pub group: GraphGroup,
    /// Of a joint graph: the second group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub second_group: Option<GraphGroup>,
    /// What weights and scores are.
    pub measure: Measure,
    /// Under a signed measure: what was measured, and how far it can be trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub signed: Option<SignedHeader>,
    /// How it was made.
    pub parameters: RecordedParameters,
    /// All layers of the network, input side first.
    pub layers: Vec<GraphLayer>,
    /// Kept channels, by (layer, channel).
    pub nodes: Vec<GraphNode>,
    /// Edges between consecutive layers, by (to, from).
    pub edges: Vec<GraphEdge>,
    /// Output classes: the top row.
    pub classes: Vec<GraphClass>,
    /// Edges into the classes, by (to, from); `to` is an index into `classes`.
    #[cfg_attr(feature = "typescript", ts(type = "GraphEdge[]"))]
    pub logit_edges: Vec<LogitEdge>,
}

impl AttributionGraph {
    /// Checks a graph that came from outside: version, references, and that edges join consecutive
    /// layers. Drawing does not need it, an unchecked graph merely loses its dangling edges.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self) -> Result<(), ExplainError> {
        if self.schema_version != GRAPH_SCHEMA_VERSION {
            return Err(ExplainError::SchemaVersion {
                found: self.schema_version,
                supported: GRAPH_SCHEMA_VERSION,
            });
        }
        let dangling = |what, index, count| ExplainError::DanglingReference { what, index, count };
        for node in &self.nodes {
            if node.layer as usize >= self.layers.len() {
                return Err(dangling("layer", node.layer, self.layers.len()));
            }
        }
        let layer_of = |index: u32| match self.nodes.get(index as usize) {
            Some(node) => Ok(node.layer),
            None => Err(dangling("node", index, self.nodes.len())),
        };
        for edge in &self.edges {
            if layer_of(edge.from)?.checked_add(1) != Some(layer_of(edge.to)?) {
                return Err(dangling(
                    "node of the layer below",
                    edge.from,
                    self.nodes.len(),
                ));
            }
        }
        for edge in &self.logit_edges {
            if edge.to as usize >= self.classes.len() {
                return Err(dangling("class", edge.to, self.classes.len()));
            }
            if layer_of(edge.from)? as usize + 1 != self.layers.len() {
                return Err(dangling(
                    "node of the last layer",
                    edge.from,
                    self.nodes.len(),
                ));
            }
        }
        Ok(())
    }

    /// Shown channels as a share of all, `[0, 1]`.
    #[must_use]
    pub fn shown(&self) -> f64 {
        let all: u32 = self.layers.iter().map(|layer| layer.channels).sum();
        self.nodes.len() as f64 / f64::from(all.max(1))
    }

    /// The weight by which an edge is ranked and drawn: the share of the group's images for
    /// `conv-max` (in a joint graph the larger of both groups'), the absolute mean effect in logits
    /// under a signed measure, the share of the largest total for `flow-totals`.
    #[must_use]
    pub fn edge_weight(&self, edge: &GraphEdge) -> f64 {
        let weight = match self.measure {
            Measure::ConvMax => self.larger_share(edge.influence, edge.second_influence),
            Measure::Flow | Measure::FlowIg | Measure::Lrp => {
                edge.effect.map_or(0.0, |effect| effect.mean.abs())
            }
            Measure::FlowTotals => f64::from(edge.influence.unwrap_or(0)) / f64::from(TOTALS_UNIT),
        };
        if weight.is_finite() { weight } else { 0.0 }
    }

    /// The share of its group's images in which a node is a top channel, `[0, 1]`; in a joint graph
    /// the larger of both groups'.
    #[must_use]
    pub fn node_share(&self, node: &GraphNode) -> f64 {
        self.larger_share(Some(node.count), node.second.map(|second| second.count))
    }

    fn larger_share(&self, first: Option<u32>, second: Option<u32>) -> f64 {
        let share = |images: Option<u32>, group: &GraphGroup| {
            f64::from(images.unwrap_or(0)) / f64::from(group.images.max(1))
        };
        let other = self
            .second_group
            .as_ref()
            .map_or(0.0, |group| share(second, group));
        share(first, &self.group).max(other)
    }

    /// Places the nodes anew, those with a rank in `order` in that order.
    pub fn place_along(&mut self, order: &ChannelOrder) {
        build::place(self, Some(order));
    }

    /// Adds R and E of the influence sample to a graph chosen by another measure, for the columns
    /// beside the drawing; positions and edge kinds stay.
    ///
    /// * `node(layer index, channel)`: mean of R.
    /// * `edge(lower layer index, from, to)`: mean of E and the images in which it is among the 5
    ///   largest.
    pub fn annotate(
        &mut self,
        node: impl Fn(u32, ChannelId) -> Option<Estimate>,
        edge: impl Fn(u32, ChannelId, ChannelId) -> Option<(Estimate, u32)>,
    ) {
        for kept in &mut self.nodes {
            kept.score = node(kept.layer, kept.channel);
        }
        for drawn in &mut self.edges {
            let ends = (
                self.nodes.get(drawn.from as usize),
                self.nodes.get(drawn.to as usize),
            );
            if let (Some(from), Some(to)) = ends
                && let Some((effect, images)) = edge(from.layer, from.channel, to.channel)
            {
                drawn.effect = Some(effect);
                drawn.top_images = Some(images);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
