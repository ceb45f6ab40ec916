//! Graphs from signed influence that was measured with `summit flow`.

use crate::{GraphChoices, QueryError, Questions};
use std::collections::BTreeMap;
use summit_explain::graph::{FaithfulnessHeader, SignedHeader};
use summit_explain::{
    AttributionGraph, Estimate, ExplainError, FlowEdge, FlowGraphInput, GraphParameters, Group,
    GroupTables, flow_graph,
};
use summit_store::FlowStore;
use summit_tables::{BIAS, ChannelId, FlowTables, LayerId};

/// Figures of a measure by the shown share of channels, from the run's evaluation.
pub type FaithfulnessOf<'a> = dyn Fn(f64) -> Option<FaithfulnessHeader> + 'a;

impl Questions {
    /// The graph of a group under a signed measure (`flow`, `flow-ig`, `lrp`), if that was measured.
    /// `text` is the group as typed when it was. `faithfulness` gives the figures for the header.
    ///
    /// # Errors
    /// A table is damaged; more is to be kept than has edges.
    pub fn signed_graph(
        &self,
        group: &Group,
        text: &str,
        measure: &str,
        choices: &GraphChoices,
        faithfulness: &FaithfulnessOf<'_>,
    ) -> Result<Option<AttributionGraph>, QueryError> {
        let Some(flow) = FlowStore::of(self.run()).read(measure, text)? else {
            return Ok(None);
        };
        let (wanted, measured) = (
            choices.parameters.selection.start_threshold,
            flow.header.mass,
        );
        if wanted > measured {
            return Err(QueryError::FewerEdges { wanted, measured });
        }
        let counts = self.counts_of_layers(group)?;
        let rows: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
        let tables = GroupTables {
            layers: self.layers(),
            name: &group.name,
            images: group.size(),
            counts: &rows,
            targets: &self.targets(group),
            contrast: None,
        };
        let parameters = GraphParameters {
            top_rule: self.top_rule(),
            ..choices.parameters
        };
        let mut graph = graph_of_flow(&tables, &flow, &parameters)?;
        let all: u32 = self.layers().iter().map(|layer| layer.channels).sum();
        let shown = graph.nodes.len() as f64 / f64::from(all.max(1));
        if let Some(signed) = &mut graph.signed {
            signed.faithfulness = faithfulness(shown);
        }
        Ok(Some(graph))
    }
}

/// The graph of a group whose signed influence was measured, with bias shares.
///
/// # Errors
/// Shapes disagree.
pub fn graph_of_flow(
    tables: &GroupTables<'_>,
    flow: &FlowTables,
    parameters: &GraphParameters,
) -> Result<AttributionGraph, ExplainError> {
    let input = FlowGraphInput {
        scores: &scores(flow, tables.layers.len()),
        edges: &edges(flow),
    };
    let mut graph = flow_graph(tables, &input, parameters)?;
    add_bias(&mut graph, flow);
    graph.signed = Some(SignedHeader {
        measure: flow.header.measure.clone(),
        images: flow.header.images,
        bias_share: bias_share(&graph),
        faithfulness: None,
    });
    Ok(graph)
}

/// Per layer `[channels]`.
fn scores(flow: &FlowTables, layers: usize) -> Vec<Vec<Option<Estimate>>> {
    let mut scores = vec![Vec::new(); layers];
    for score in &flow.scores {
        if let Some(layer) = scores.get_mut(score.layer as usize) {
            layer.push(Estimate::from_sums(
                score.sum,
                score.squares,
                flow.header.images,
            ));
        }
    }
    scores
}

fn edges(flow: &FlowTables) -> Vec<FlowEdge> {
    let measured = flow.edges.iter().filter(|edge| edge.from != BIAS);
    measured
        .filter_map(|edge| {
            Some(FlowEdge {
                lower: LayerId(edge.lower),
                from: ChannelId(edge.from),
                to: ChannelId(edge.to),
                effect: Estimate::from_sums(edge.sum, edge.squares, flow.header.images)?,
                top_images: edge.top_images,
            })
        })
        .collect()
}

fn add_bias(graph: &mut AttributionGraph, flow: &FlowTables) {
    let of_edge = |edge: &summit_tables::EdgeSum| {
        let bias = Estimate::from_sums(edge.sum, edge.squares, flow.header.images);
        ((edge.lower + 1, edge.to), bias)
    };
    let bias = flow.edges.iter().filter(|edge| edge.from == BIAS);
    let bias: BTreeMap<(u32, u32), Option<Estimate>> = bias.map(of_edge).collect();
    for node in &mut graph.nodes {
        let own = bias.get(&(node.layer, node.channel.0));
        node.bias = own.copied().flatten();
    }
}

/// |bias| of all shown channels over their |score|.
fn bias_share(graph: &AttributionGraph) -> f64 {
    let with_bias = graph
        .nodes
        .iter()
        .filter_map(|node| Some((node.bias?, node.score?)));
    let (bias, score) = with_bias.fold((0.0, 0.0), |(bias, score), (b, s)| {
        (bias + b.mean.abs(), score + s.mean.abs())
    });
    if score > 0.0 { bias / score } else { 0.0 }
}
