//! One order of every layer's channels for many graphs, so that a channel stands left or right of
//! another in all of them.
//!
//! Place in the flow: made of some graphs of a run, then each graph is placed along it
//! ([`AttributionGraph::place_along`]). The graphs are laid over each other and their crossings reduced
//! together, as if they were one. `O(sweeps x E log E)` for all their edges.

use super::{AttributionGraph, layout};
use std::collections::{BTreeMap, BTreeSet};
use summit_tables::ChannelId;

/// The place of channels in their layers; channels of none of the graphs have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelOrder(BTreeMap<(u32, ChannelId), u32>);

impl ChannelOrder {
    /// Of graphs of the same network, in any order.
    #[must_use]
    pub fn of(graphs: &[AttributionGraph]) -> Self {
        let nodes = graphs.iter().flat_map(|graph| &graph.nodes);
        let channels: BTreeSet<(u32, ChannelId)> =
            nodes.map(|node| (node.layer, node.channel)).collect();
        let mut rows: Vec<Vec<ChannelId>> = Vec::new();
        let mut positions = BTreeMap::new();
        for &(layer, channel) in &channels {
            rows.resize_with(rows.len().max(layer as usize + 1), Vec::new);
            positions.insert((layer, channel), rows[layer as usize].len());
            rows[layer as usize].push(channel);
        }
        let mut edges = vec![Vec::new(); rows.len().saturating_sub(1)];
        for (layer, lower, upper) in union_of_edges(graphs) {
            let upper = positions.get(&(layer + 1, upper));
            let lower = positions.get(&(layer, lower));
            if let (Some(&lower), Some(&upper)) = (lower, upper) {
                edges[layer as usize].push(layout::RowEdge {
                    lower,
                    upper,
                    weight: 1.0,
                });
            }
        }
        let widths: Vec<usize> = rows.iter().map(Vec::len).collect();
        let order = layout::order_rows(&widths, &edges);
        let ordered = order.iter().zip(&rows);
        let ordered = ordered.map(|(order, row)| order.iter().map(|&node| row[node]).collect());
        Self::from_rows(&ordered.collect::<Vec<_>>())
    }

    /// Of rows as [`Self::rows`] gives them.
    #[must_use]
    pub fn from_rows(rows: &[Vec<ChannelId>]) -> Self {
        let ranked = (0u32..).zip(rows);
        let ranks = ranked.flat_map(|(layer, row)| {
            let own = row.iter().zip(0u32..);
            own.map(move |(&channel, rank)| ((layer, channel), rank))
        });
        Self(ranks.collect())
    }

    /// `[layers][channels with a place]`, in their order.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<ChannelId>> {
        let mut rows: Vec<Vec<(u32, ChannelId)>> = Vec::new();
        for (&(layer, channel), &rank) in &self.0 {
            rows.resize_with(rows.len().max(layer as usize + 1), Vec::new);
            if let Some(row) = rows.get_mut(layer as usize) {
                row.push((rank, channel));
            }
        }
        rows.iter_mut().for_each(|row| row.sort_unstable());
        let channels = |row: Vec<(u32, ChannelId)>| row.into_iter().map(|(_, channel)| channel);
        rows.into_iter()
            .map(|row| channels(row).collect())
            .collect()
    }

    /// The place of a channel in its layer.
    #[must_use]
    pub fn rank(&self, layer: u32, channel: ChannelId) -> Option<u32> {
        self.0.get(&(layer, channel)).copied()
    }
}

/// Layer of the lower end, lower and upper channel.
fn union_of_edges(graphs: &[AttributionGraph]) -> BTreeSet<(u32, ChannelId, ChannelId)> {
    let mut edges = BTreeSet::new();
    for graph in graphs {
        for edge in &graph.edges {
            let ends = [edge.from, edge.to].map(|end| graph.nodes.get(end as usize));
            if let [Some(from), Some(to)] = ends {
                edges.insert((from.layer, from.channel, to.channel));
            }
        }
    }
    edges
}
