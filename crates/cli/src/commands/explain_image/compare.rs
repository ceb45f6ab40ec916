//! The graph of one image beside the graph of its class.

use super::measure::Explanation;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;
use summit_explain::graph::GraphNode;
use summit_explain::{GroupSpec, Measure};
use summit_query::{GraphChoices, NoRecount, Questions};
use summit_tables::Grouping;

/// Channels of two graphs. Where they are chosen by different measures, what only one holds is a hint
/// and no proof.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Of the class's graph.
    pub measure: Measure,
    /// Images of the class in the run.
    pub images: u32,
    /// In both.
    pub shared: Vec<ComparedChannel>,
    /// Usual for the class, not selected for this image.
    pub missing: Vec<ComparedChannel>,
    /// Selected for this image, not usual for the class.
    pub unusual: Vec<ComparedChannel>,
}

/// A channel of either graph.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ComparedChannel {
    pub layer: u32,
    pub channel: u32,
}

/// Adds the comparison where the run has a graph of the class.
pub fn compare(questions: &Questions, explanation: &mut Explanation) -> Result<()> {
    let class = explanation.class.class;
    let Some(&images) = questions.class_sizes(Grouping::Label).get(&class) else {
        return Ok(());
    };
    let group = questions.group_of(&GroupSpec::Label(class))?;
    let choices = GraphChoices::default();
    if questions.measures(&group.name, &group.targets).is_empty() {
        return Ok(());
    }
    // A class is made of whole confusion cells, so no image is run again.
    let usual = questions.held_graph(&group, None, &choices, &NoRecount)?;
    let names = |nodes: &[GraphNode]| -> BTreeSet<(u32, u32)> {
        nodes
            .iter()
            .map(|node| (node.layer, node.channel.0))
            .collect()
    };
    let (own, usual_names) = (names(&explanation.graph.nodes), names(&usual.nodes));
    let listed = |channels: BTreeSet<(u32, u32)>| {
        let channels = channels.into_iter();
        channels
            .map(|(layer, channel)| ComparedChannel { layer, channel })
            .collect()
    };
    explanation.comparison = Some(Comparison {
        measure: usual.measure,
        images,
        shared: listed(&own & &usual_names),
        missing: listed(&usual_names - &own),
        unusual: listed(&own - &usual_names),
    });
    Ok(())
}
