//! Puts an attribution graph together from the tables of a group.

use super::{
    AttributionGraph, ChannelOrder, EdgeKind, GRAPH_SCHEMA_VERSION, GraphClass, GraphEdge,
    GraphGroup, GraphLayer, GraphNode, GraphParameters, Measure, RecordedParameters, layout,
};
use crate::{
    Csr, Estimate, ExplainError, KeptEdge, kept_edges, logit_edges, mass_cut, pagerank,
    restart_weights, select, weight_restart,
};
use std::collections::BTreeMap;
use summit_tables::{ChannelId, ClassId, LayerId, LayerInfo};

/// A class whose logit the graph should reach.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetClass {
    /// The class.
    pub class: ClassId,
    /// Its name.
    pub name: String,
}

/// The tables of one group that both measures need.
#[derive(Clone, Copy, Debug)]
pub struct GroupTables<'a> {
    /// The network's layers, input side first.
    pub layers: &'a [LayerInfo],
    /// Name of the group.
    pub name: &'a str,
    /// Images of the group.
    pub images: u32,
    /// Per layer `[channels]`, u32, images: the group's row of A.
    pub counts: &'a [&'a [u32]],
    /// Output classes of interest; a group without one (a list of images) has none.
    pub targets: &'a [TargetClass],
    /// Per layer `[channels]`, f64, at least 0: class contrast, by which the restart of PageRank is
    /// multiplied ([`crate::channel_specificity`]); `None` for the paper's graph.
    pub contrast: Option<&'a [Vec<f64>]>,
}

/// An edge measured by `flow`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowEdge {
    /// Layer of `from`; `to` is in the next one, or a class where this is the last layer.
    pub lower: LayerId,
    /// The lower channel.
    pub from: ChannelId,
    /// The upper channel, or the class.
    pub to: ChannelId,
    /// Mean of E over the images of the influence sample, in logits.
    pub effect: Estimate,
    /// Images of the influence sample in which it is among the 5 largest |E| of `to`.
    pub top_images: u32,
}

/// The tables a signed measure adds.
#[derive(Clone, Copy, Debug)]
pub struct FlowGraphInput<'a> {
    /// Which.
    pub measure: Measure,
    /// Per layer `[channels]`: mean of R over the influence sample; `None` where unknown.
    pub scores: &'a [Vec<Option<Estimate>>],
    /// Measured edges, in any order; those with an end that is not kept are left out.
    pub edges: &'a [FlowEdge],
}

/// The `conv-max` graph: PageRank on the bridged weights, selection with relaxation, edges into the
/// class logits.
///
/// * `links`: element l joins layers l and l + 1, `[channels of l + 1, channels of l]`, u32: the
///   truncated bridged weights.
/// * `logits`: `[classes, channels of the last layer]`, u32: the bridged weights of the last block.
///
/// # Errors
/// When shapes disagree or a parameter lies outside its range.
pub fn conv_max_graph(
    group: &GroupTables<'_>,
    links: &[Csr],
    logits: &Csr,
    parameters: &GraphParameters,
) -> Result<AttributionGraph, ExplainError> {
    check_counts(group)?;
    let mut restart = restart_weights(group.counts);
    if let Some(contrast) = group.contrast {
        weight_restart(&mut restart, contrast)?;
    }
    let ranked = pagerank(links, &restart, &parameters.pagerank)?;
    let selection = select(&ranked.scores, links, &parameters.selection)?;
    let mut kept = selection.kept;
    let (into_classes, added) = reach_targets(group, logits, kept.last_mut())?;

    let mut draft = Draft::new(group, Measure::ConvMax, &kept, &selection.thresholds);
    for node in &mut draft.graph.nodes {
        let score = ranked
            .scores
            .get(node.layer as usize)
            .and_then(|s| s.get(node.channel.index()));
        node.pagerank = score.copied();
        node.added_for_logit =
            node.layer as usize + 1 == group.layers.len() && added.contains(&node.channel);
    }
    for KeptEdge {
        lower,
        to,
        from,
        influence,
    } in kept_edges(&kept, links)
    {
        draft.edge((lower, from, to), |edge| edge.influence = Some(influence));
    }
    for (class, edges) in into_classes.iter().enumerate() {
        for &(from, influence) in edges {
            draft.logit_edge(from, class, |edge| edge.influence = Some(influence));
        }
    }
    Ok(draft.finish(RecordedParameters {
        relaxation_step: Some(parameters.selection.relaxation_step),
        relaxation_rounds: selection.rounds,
        damping: Some(parameters.pagerank.damping),
        pagerank_rounds: Some(ranked.rounds),
        pagerank_converged: Some(ranked.converged),
        class_contrast: group.contrast.is_some(),
        ..recorded(parameters)
    }))
}

/// The parameters both measures have.
fn recorded(parameters: &GraphParameters) -> RecordedParameters {
    RecordedParameters {
        top_rule: parameters.top_rule,
        start_threshold: parameters.selection.start_threshold,
        relaxation_step: None,
        relaxation_rounds: 0,
        damping: None,
        pagerank_rounds: None,
        pagerank_converged: None,
        class_contrast: false,
    }
}

/// A channel and its influence on a class, images.
type InfluentialChannel = (ChannelId, u32);

/// For each target the edges into it, and the channels that join `last` for their sake.
fn reach_targets(
    group: &GroupTables<'_>,
    logits: &Csr,
    last: Option<&mut Vec<ChannelId>>,
) -> Result<(Vec<Vec<InfluentialChannel>>, Vec<ChannelId>), ExplainError> {
    let mut added = Vec::new();
    let mut into_classes = Vec::new();
    if let (Some(last), Some(counts)) = (last, group.counts.last()) {
        let found = logits.columns() as usize;
        let layer = group.layers.len() - 1;
        check_length("the weights into the logits", found, counts.len(), layer)?;
        for target in group.targets {
            let found = logit_edges(last, logits.row_entries(target.class.0));
            added.extend(found.added);
            into_classes.push(found.edges);
        }
        last.extend(&added);
        last.sort_unstable();
        last.dedup();
    }
    Ok((into_classes, added))
}

/// The `flow` graph: channels by the mass rule on the positive part of R, edges with a positive
/// mean effect that are among the 5 largest of their upper end in at least one image.
///
/// The channels it keeps are those of [`mass_cut`] on the mean of R at the start threshold, so a
/// caller knows beforehand for which upper channels edges have to be measured.
///
/// # Errors
/// When shapes disagree.
pub fn flow_graph(
    group: &GroupTables<'_>,
    flow: &FlowGraphInput<'_>,
    parameters: &GraphParameters,
) -> Result<AttributionGraph, ExplainError> {
    check_counts(group)?;
    check_length(
        "the list of scores",
        flow.scores.len(),
        group.layers.len(),
        0,
    )?;
    let threshold = parameters.selection.start_threshold;
    let mut kept = Vec::new();
    for (layer, (scores, counts)) in flow.scores.iter().zip(group.counts).enumerate() {
        check_length("the scores of a layer", scores.len(), counts.len(), layer)?;
        let means: Vec<f64> = scores
            .iter()
            .map(|score| score.map_or(0.0, |score| score.mean))
            .collect();
        kept.push(mass_cut(&means, threshold));
    }
    let mut draft = Draft::new(group, flow.measure, &kept, &vec![threshold; kept.len()]);
    for node in &mut draft.graph.nodes {
        let score = flow
            .scores
            .get(node.layer as usize)
            .and_then(|s| s.get(node.channel.index()));
        node.score = score.copied().flatten();
    }
    for measured in flow.edges {
        let mean = measured.effect.mean;
        let drawn = mean > 0.0 || (parameters.negative_edges && mean < 0.0);
        if measured.top_images > 0 && drawn {
            draft.flow_edge(group, measured);
        }
    }
    Ok(draft.finish(recorded(parameters)))
}

fn check_counts(group: &GroupTables<'_>) -> Result<(), ExplainError> {
    check_length(
        "the list of activation counts",
        group.counts.len(),
        group.layers.len(),
        0,
    )?;
    for (layer, (counts, info)) in group.counts.iter().zip(group.layers).enumerate() {
        let expected = info.channels as usize;
        check_length(
            "the activation counts of a layer",
            counts.len(),
            expected,
            layer,
        )?;
    }
    Ok(())
}

fn check_length(
    what: &'static str,
    found: usize,
    expected: usize,
    layer: usize,
) -> Result<(), ExplainError> {
    if found == expected {
        Ok(())
    } else {
        Err(ExplainError::ShapeMismatch {
            what,
            found,
            expected,
            layer,
        })
    }
}

/// A graph whose nodes are known and whose edges are being added.
struct Draft {
    graph: AttributionGraph,
    index: BTreeMap<(u32, ChannelId), u32>,
}

impl Draft {
    fn new(
        group: &GroupTables<'_>,
        measure: Measure,
        kept: &[Vec<ChannelId>],
        thresholds: &[f64],
    ) -> Self {
        let nodes = kept_nodes(kept, group.counts);
        let position =
            |(index, node): (usize, &GraphNode)| ((node.layer, node.channel), index as u32);
        let index = nodes.iter().enumerate().map(position).collect();
        let layers = group
            .layers
            .iter()
            .zip(thresholds)
            .map(|(info, &threshold)| GraphLayer {
                name: info.name.clone(),
                channels: info.channels,
                threshold,
            });
        let classes = group.targets.iter().map(|target| GraphClass {
            class: target.class,
            name: target.name.clone(),
            x: 0.0,
        });
        let graph = AttributionGraph {
            schema_version: GRAPH_SCHEMA_VERSION,
            group: GraphGroup {
                name: group.name.to_owned(),
                images: group.images,
            },
            second_group: None,
            measure,
            signed: None,
            // Replaced when the graph is finished.
            parameters: recorded(&GraphParameters::default()),
            layers: layers.collect(),
            nodes,
            edges: Vec::new(),
            classes: classes.collect(),
            logit_edges: Vec::new(),
        };
        Self { graph, index }
    }

    /// Adds an edge, unless an end is not kept.
    fn edge(
        &mut self,
        (lower, from, to): (LayerId, ChannelId, ChannelId),
        fill: impl FnOnce(&mut GraphEdge),
    ) {
        let upper = lower.0.saturating_add(1);
        if let (Some(&from), Some(&to)) = (
            self.index.get(&(lower.0, from)),
            self.index.get(&(upper, to)),
        ) {
            self.graph.edges.push(filled_edge(from, to, fill));
        }
    }

    fn logit_edge(&mut self, from: ChannelId, class: usize, fill: impl FnOnce(&mut GraphEdge)) {
        let last = (self.graph.layers.len() as u32).saturating_sub(1);
        if let Some(&from) = self.index.get(&(last, from)) {
            self.graph
                .logit_edges
                .push(filled_edge(from, class as u32, fill));
        }
    }

    fn flow_edge(&mut self, group: &GroupTables<'_>, measured: &FlowEdge) {
        let FlowEdge {
            lower,
            from,
            to,
            effect,
            top_images,
        } = *measured;
        let fill = |edge: &mut GraphEdge| {
            edge.effect = Some(effect);
            edge.top_images = Some(top_images);
            edge.kind = if effect.mean > 0.0 {
                EdgeKind::Supports
            } else {
                EdgeKind::Opposes
            };
        };
        if lower.index() + 1 == group.layers.len() {
            let class = group
                .targets
                .iter()
                .position(|target| target.class.0 == to.0);
            if let Some(class) = class {
                self.logit_edge(from, class, fill);
            }
        } else {
            self.edge((lower, from, to), fill);
        }
    }

    fn finish(mut self, parameters: RecordedParameters) -> AttributionGraph {
        let graph = &mut self.graph;
        graph.parameters = parameters;
        graph.edges.sort_by_key(|edge| (edge.to, edge.from));
        graph.logit_edges.sort_by_key(|edge| (edge.to, edge.from));
        count_edges(graph);
        place(graph, None);
        self.graph
    }
}

fn kept_nodes(kept: &[Vec<ChannelId>], counts: &[&[u32]]) -> Vec<GraphNode> {
    let mut nodes = Vec::new();
    for (layer, (channels, counts)) in kept.iter().zip(counts).enumerate() {
        for &channel in channels {
            nodes.push(GraphNode {
                layer: layer as u32,
                channel,
                count: counts.get(channel.index()).copied().unwrap_or(0),
                pagerank: None,
                score: None,
                in_edges: 0,
                out_edges: 0,
                added_for_logit: false,
                bias: None,
                side: None,
                second: None,
                x: 0.0,
            });
        }
    }
    nodes
}

fn filled_edge(from: u32, to: u32, fill: impl FnOnce(&mut GraphEdge)) -> GraphEdge {
    let mut edge = GraphEdge {
        from,
        to,
        influence: None,
        effect: None,
        top_images: None,
        kind: EdgeKind::Unsigned,
        side: None,
        second_influence: None,
    };
    fill(&mut edge);
    edge
}

/// Gives every node its numbers of edges.
pub(super) fn count_edges(graph: &mut AttributionGraph) {
    for edge in &graph.edges {
        graph.nodes[edge.from as usize].out_edges += 1;
        graph.nodes[edge.to as usize].in_edges += 1;
    }
    for edge in &graph.logit_edges {
        graph.nodes[edge.from as usize].out_edges += 1;
    }
}

/// Gives every node and class its place in its row.
pub(super) fn place(graph: &mut AttributionGraph, order: Option<&ChannelOrder>) {
    let mut widths = vec![0usize; graph.layers.len() + 1];
    let mut position_in_row = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let width = &mut widths[node.layer as usize];
        position_in_row.push(*width);
        *width += 1;
    }
    let top = graph.layers.len();
    widths[top] = graph.classes.len();
    let mut edges = vec![Vec::new(); top];
    for edge in &graph.edges {
        let lower = graph.nodes[edge.from as usize].layer as usize;
        edges[lower].push(layout::RowEdge {
            lower: position_in_row[edge.from as usize],
            upper: position_in_row[edge.to as usize],
            weight: graph.edge_weight(edge),
        });
    }
    for edge in &graph.logit_edges {
        edges[top - 1].push(layout::RowEdge {
            lower: position_in_row[edge.from as usize],
            upper: edge.to as usize,
            weight: graph.edge_weight(edge),
        });
    }
    let mut ranked = vec![Vec::new(); top + 1];
    for node in &graph.nodes {
        let rank = order.and_then(|order| order.rank(node.layer, node.channel));
        ranked[node.layer as usize].push(rank);
    }
    let places = layout::place_rows(&widths, &edges, &ranked);
    for (node, position) in graph.nodes.iter_mut().zip(position_in_row) {
        node.x = places[node.layer as usize][position];
    }
    for (class, &x) in graph.classes.iter_mut().zip(&places[top]) {
        class.x = x;
    }
}
