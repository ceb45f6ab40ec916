//! Graphs from signed influence that was measured with `summit flow`.

use crate::Recount;
use crate::{GraphChoices, QueryError, Questions};
use std::collections::BTreeMap;
use summit_explain::graph::{Measure, SignedHeader};
use summit_explain::{
    AttributionGraph, Estimate, ExplainError, FlowEdge, FlowGraphInput, GraphParameters, Group,
    GroupTables, flow_graph,
};
use summit_store::FlowStore;
use summit_tables::{BIAS, ChannelId, ClassId, FlowTables, LayerId};

/// The name under which the signed influence of a group is kept: its own, and the numbers of its
/// classes, since classes may share a name.
#[must_use]
pub fn flow_key(name: &str, targets: &[ClassId]) -> String {
    let targets: Vec<String> = targets.iter().map(|class| class.0.to_string()).collect();
    format!("{} {name}", targets.join("-")).trim().to_owned()
}

impl Questions {
    /// The measures by which the graph of a group of this name and classes can be drawn without running
    /// the network, the best first. conv-max is one of them for every group, if the run counted it at
    /// all.
    #[must_use]
    pub fn measures(&self, name: &str, targets: &[ClassId]) -> Vec<Measure> {
        let (store, key) = (FlowStore::of(self.run()), flow_key(name, targets));
        let held = |measure: &Measure| match measure {
            Measure::ConvMax => self.has_influence(),
            signed => store.holds(signed.name(), &key),
        };
        Measure::BEST_FIRST.into_iter().filter(held).collect()
    }

    /// The graph of a group by a measure the run holds: the one asked for, or the best.
    ///
    /// # Errors
    /// It was not measured; a table is damaged; more is to be kept than has edges; for `conv-max` as
    /// [`Questions::graph`].
    pub fn held_graph(
        &self,
        group: &Group,
        measure: Option<Measure>,
        choices: &GraphChoices,
        recount: &dyn Recount,
    ) -> Result<AttributionGraph, QueryError> {
        // Without any, conv-max says what is missing.
        let held = || self.measures(&group.name, &group.targets);
        let measure = measure
            .or_else(|| held().first().copied())
            .unwrap_or(Measure::ConvMax);
        if !measure.is_signed() {
            return Ok(self.graph(group, choices, recount)?.graph);
        }
        let flow = self.flow(group, measure)?;
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
        Ok(graph_of_flow(&tables, measure, &flow, &parameters)?)
    }

    /// What was measured of a group.
    ///
    /// # Errors
    /// Nothing was; a table is damaged.
    pub fn flow(&self, group: &Group, measure: Measure) -> Result<FlowTables, QueryError> {
        let found = FlowStore::of(self.run())
            .read(measure.name(), &flow_key(&group.name, &group.targets))?;
        found.ok_or_else(|| QueryError::NotMeasured {
            measure,
            group: group.name.clone(),
        })
    }
}

/// The graph of a group whose signed influence was measured, with bias shares.
///
/// # Errors
/// Shapes disagree.
pub fn graph_of_flow(
    tables: &GroupTables<'_>,
    measure: Measure,
    flow: &FlowTables,
    parameters: &GraphParameters,
) -> Result<AttributionGraph, ExplainError> {
    let input = FlowGraphInput {
        measure,
        scores: &scores(flow, tables.layers.len()),
        edges: &measured_edges(flow),
    };
    let mut graph = flow_graph(tables, &input, parameters)?;
    add_bias(&mut graph, flow);
    graph.signed = Some(SignedHeader {
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

/// All edges that were measured, drawn or not, by (lower layer, to, from).
#[must_use]
pub fn measured_edges(flow: &FlowTables) -> Vec<FlowEdge> {
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
