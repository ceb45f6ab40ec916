//! The graph of one image beside the graph of its class.

use super::measure::Explanation;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;
use summit_explain::graph::GraphNode;
use summit_explain::{Measure, SelectionParameters};
use summit_site::graphs::{ClassGroup, class_sizes};
use summit_site::{GraphMaker, SiteError};
use summit_store::{Run, StoreError};
use summit_tables::{Grouping, ImageRecord};

/// Channels of two graphs. They are chosen by different measures, flow on one image here and the
/// run's there, so what only one holds is a hint and no proof.
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

/// Adds the comparison where the run has graphs and images of the class.
pub fn compare(run: &Run, explanation: &mut Explanation) -> Result<()> {
    let maker = match GraphMaker::new(run, SelectionParameters::default()) {
        Ok(maker) => maker,
        Err(SiteError::NoInfluence { .. }) => return Ok(()),
        Err(problem) => return Err(problem.into()),
    };
    let records: Vec<ImageRecord> = run.images()?.collect::<Result<_, StoreError>>()?;
    let class = &explanation.class;
    let Some(&images) = class_sizes(&records, false).get(&class.class) else {
        return Ok(());
    };
    let usual = maker.graph(
        run,
        &ClassGroup {
            class: class.class,
            name: &class.name,
            images,
            grouping: Grouping::Label,
        },
    )?;
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
