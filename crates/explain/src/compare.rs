//! What two groups share and what tells them apart, layer by layer (docs/method.md section 4).
//!
//! Place in the flow: the `conv-max` graphs of two groups go in, with their tables; the comparison is
//! written as JSON, printed, and its joint graph drawn by the renderer of every graph.

use crate::graph::{AttributionGraph, ConvMaxGraph, GraphGroup, GraphNode, Side, join};
use crate::{ExplainError, cosine};
use serde::Serialize;
use summit_tables::ChannelId;

/// Version of the JSON written here.
pub const COMPARISON_SCHEMA_VERSION: u32 = 1;

/// Channels listed per layer as the most distinct, selected by a graph or not.
const MOST_DISTINCT: usize = 10;

/// A channel in two groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ComparedChannel {
    /// The channel.
    pub channel: ChannelId,
    /// Images of each group in which it is a top channel.
    pub images: [u32; 2],
    /// `A[g, j] / n_g - A[h, j] / n_h`, -1 to 1: above 0 it speaks for the first group.
    pub distinctness: f64,
}

/// A layer in two groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedLayer {
    /// Tensor name.
    pub name: String,
    /// Cosine of the groups' rows of A; absent where one of them is 0 everywhere.
    pub similarity: Option<f64>,
    /// Channels in both graphs, by the smaller of the two shares, largest first.
    pub shared: Vec<ComparedChannel>,
    /// Channels in the first graph alone, by distinctness, largest first.
    pub only_first: Vec<ComparedChannel>,
    /// Channels in the second graph alone, by distinctness, smallest (most negative) first.
    pub only_second: Vec<ComparedChannel>,
    /// The channels of the layer with the largest |distinctness| above 0, in a graph or not, at
    /// most 10; ties: lower channel.
    pub most_distinct: Vec<ComparedChannel>,
}

/// Two groups compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// [`COMPARISON_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The groups.
    pub groups: [GraphGroup; 2],
    /// Layers, input side first.
    pub layers: Vec<ComparedLayer>,
    /// Both graphs as one.
    pub graph: AttributionGraph,
}

/// Compares two groups of a run.
///
/// # Errors
/// When they are not of the same network.
pub fn compare(first: &ConvMaxGraph, second: &ConvMaxGraph) -> Result<Comparison, ExplainError> {
    check(first, second)?;
    let graph = join(first, second);
    let groups = [first.graph.group.clone(), second.graph.group.clone()];
    let layers = (0..)
        .zip(&graph.layers)
        .map(|(layer, info)| {
            let row = |group: &'_ ConvMaxGraph| -> Vec<u32> {
                group
                    .counts
                    .get(layer as usize)
                    .cloned()
                    .unwrap_or_default()
            };
            let rows = [row(first), row(second)];
            let sizes = groups.each_ref().map(|group| group.images);
            compared_layer(info.name.clone(), &rows, sizes, |side| {
                let in_layer = graph.nodes.iter().filter(move |node| node.layer == layer);
                in_layer.filter(|node| node.side == Some(side)).collect()
            })
        })
        .collect();
    Ok(Comparison {
        schema_version: COMPARISON_SCHEMA_VERSION,
        groups,
        layers,
        graph,
    })
}

fn check(first: &ConvMaxGraph, second: &ConvMaxGraph) -> Result<(), ExplainError> {
    let widths = |group: &ConvMaxGraph| -> Vec<usize> {
        group
            .graph
            .layers
            .iter()
            .map(|layer| layer.channels as usize)
            .collect()
    };
    let (expected, found) = (widths(first), widths(second));
    if expected == found {
        return Ok(());
    }
    let layer = expected
        .iter()
        .zip(&found)
        .take_while(|(a, b)| a == b)
        .count();
    Err(ExplainError::ShapeMismatch {
        what: "the second group's layer",
        found: found.get(layer).copied().unwrap_or(0),
        expected: expected.get(layer).copied().unwrap_or(0),
        layer,
    })
}

fn compared_layer<'g>(
    name: String,
    rows: &[Vec<u32>; 2],
    sizes: [u32; 2],
    nodes: impl Fn(Side) -> Vec<&'g GraphNode>,
) -> ComparedLayer {
    let share = |images: u32, size: u32| f64::from(images) / f64::from(size.max(1));
    let compared = |channel: ChannelId| {
        let images = rows
            .each_ref()
            .map(|row| row.get(channel.index()).copied().unwrap_or(0));
        ComparedChannel {
            channel,
            images,
            distinctness: share(images[0], sizes[0]) - share(images[1], sizes[1]),
        }
    };
    let on = |side: Side| -> Vec<ComparedChannel> {
        nodes(side)
            .into_iter()
            .map(|node| compared(node.channel))
            .collect()
    };
    let [mut shared, mut only_first, mut only_second] =
        [on(Side::Shared), on(Side::First), on(Side::Second)];
    let common = |channel: &ComparedChannel| {
        share(channel.images[0], sizes[0]).min(share(channel.images[1], sizes[1]))
    };
    // Stable sorts: equal ones stay by channel.
    shared.sort_by(|left, right| common(right).total_cmp(&common(left)));
    only_first.sort_by(|left, right| right.distinctness.total_cmp(&left.distinctness));
    only_second.sort_by(|left, right| left.distinctness.total_cmp(&right.distinctness));
    let channels = rows[0].len().max(rows[1].len());
    let mut most_distinct: Vec<ComparedChannel> = (0..channels)
        .map(|channel| compared(ChannelId::from_index(channel)))
        .filter(|channel| channel.distinctness != 0.0)
        .collect();
    most_distinct
        .sort_by(|left, right| right.distinctness.abs().total_cmp(&left.distinctness.abs()));
    most_distinct.truncate(MOST_DISTINCT);
    ComparedLayer {
        name,
        similarity: cosine(&rows[0], &rows[1]),
        shared,
        only_first,
        only_second,
        most_distinct,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::layer;
    use crate::render::{SvgOptions, render_comparison, render_svg};
    use crate::{Csr, GraphParameters, GroupTables, TargetClass, conv_max_graph};
    use summit_tables::ClassId;

    /// Two layers of three channels; what a group has on top is its own, the weights are the same.
    fn group(name: &str, class: u32, images: u32, counts: [[u32; 3]; 2]) -> ConvMaxGraph {
        let layers = [layer(0, "low", 3), layer(1, "high", 3)];
        let links = vec![
            Csr::from_triplets(3, 3, vec![(0, 0, 4), (1, 1, 4), (2, 2, 4), (0, 2, 1)]).unwrap(),
        ];
        let logits = Csr::from_triplets(2, 3, vec![(0, 0, 3), (1, 1, 2), (0, 2, 1)]).unwrap();
        let targets = [TargetClass {
            class: ClassId(class),
            name: name.to_owned(),
        }];
        let rows: Vec<&[u32]> = counts.iter().map(<[u32; 3]>::as_slice).collect();
        let tables = GroupTables {
            layers: &layers,
            name,
            images,
            counts: &rows,
            targets: &targets,
            contrast: None,
        };
        let mut parameters = GraphParameters::default();
        parameters.selection.start_threshold = 0.7;
        let graph = conv_max_graph(&tables, &links, &logits, &parameters).unwrap();
        ConvMaxGraph {
            graph,
            counts: counts.map(|row| row.to_vec()).into(),
            links,
            logits,
        }
    }

    #[test]
    fn what_is_shared_and_what_is_not() {
        let first = group("black <bear>", 0, 4, [[4, 0, 4], [4, 0, 3]]);
        let second = group("brown bear", 1, 8, [[0, 8, 8], [0, 8, 6]]);
        let found = compare(&first, &second).unwrap();
        found.graph.check().unwrap();
        let [low, high] = found.layers.as_slice() else {
            panic!("{found:?}")
        };
        let channels = |list: &[ComparedChannel]| -> Vec<u32> {
            list.iter().map(|compared| compared.channel.0).collect()
        };
        for layer in [low, high] {
            assert_eq!(channels(&layer.shared), [2], "{layer:?}");
            assert_eq!(channels(&layer.only_first), [0], "{layer:?}");
            assert_eq!(channels(&layer.only_second), [1], "{layer:?}");
        }
        assert_eq!(high.only_first[0].distinctness, 1.0);
        assert_eq!(high.only_second[0].distinctness, -1.0);
        assert_eq!(
            (high.shared[0].images, high.shared[0].distinctness),
            ([3, 6], 0.0)
        );
        assert_eq!(channels(&high.most_distinct), [0, 1]);
        assert_eq!(low.similarity, Some(0.5));
        let graph = &found.graph;
        assert_eq!(graph.classes.len(), 2);
        let shared = graph
            .nodes
            .iter()
            .find(|node| node.side == Some(Side::Shared))
            .unwrap();
        assert!(shared.second.unwrap().pagerank.is_some() && shared.pagerank.is_some());
        // An edge of one group carries the weight it has in the other.
        assert!(
            graph
                .edges
                .iter()
                .all(|edge| edge.influence == edge.second_influence)
        );

        let text = render_comparison(&found);
        assert!(
            text.contains("only brown bear: 1 (0/100 %, -1.00)"),
            "{text}"
        );
        let svg = render_svg(graph, &SvgOptions::default());
        for part in [
            "only black &lt;bear&gt;",
            "class=\"frame first\"",
            "class=\"frame second\"",
        ] {
            assert!(svg.contains(part), "{part} is missing: {svg}");
        }
        let json = serde_json::to_string(&found.graph).unwrap();
        let back: AttributionGraph = serde_json::from_str(&json).unwrap();
        assert_eq!(&back, graph);
    }

    #[test]
    fn another_network_is_refused() {
        let first = group("a", 0, 1, [[1; 3]; 2]);
        let mut second = first.clone();
        second.graph.layers.pop();
        assert!(compare(&first, &second).is_err());
    }
}
