//! Two graphs as one: what they share and what only one of them has (docs/method.md section 4).
//!
//! The joint graph has the nodes and edges of both, each marked with its [`Side`] and carrying the
//! figures of both groups, so that it is drawn and read like any other graph.

use super::{
    AttributionGraph, EdgeKind, GraphClass, GraphEdge, GraphNode, SecondNode, Side,
    build::{count_edges, place},
};
use crate::Csr;
use std::collections::{BTreeMap, BTreeSet};
use summit_tables::{ChannelId, ClassId};

/// A node's place in the network: layer index, channel.
type Place = (u32, ChannelId);

/// Joins the graphs of two groups of the same run.
#[must_use]
pub fn join(first: &ConvMaxGraph, second: &ConvMaxGraph) -> AttributionGraph {
    let mut graph = first.graph.clone();
    graph.second_group = Some(second.graph.group.clone());
    let by_place = [first, second].map(|group| nodes_by_place(&group.graph));
    let places: BTreeSet<Place> = by_place.iter().flat_map(BTreeMap::keys).copied().collect();
    let index: BTreeMap<Place, u32> = places.iter().copied().zip(0..).collect();
    graph.nodes = places
        .iter()
        .map(|place| {
            joint_node(
                *place,
                by_place.each_ref().map(|nodes| nodes.get(place).copied()),
                [first, second],
            )
        })
        .collect();
    graph.edges = joint_edges([first, second], &index);
    let classes: BTreeMap<ClassId, &str> = [second, first]
        .into_iter()
        .flat_map(|group| &group.graph.classes)
        .map(|class| (class.class, class.name.as_str()))
        .collect();
    graph.logit_edges = joint_logit_edges([first, second], &index, &classes);
    graph.classes = classes
        .iter()
        .map(|(&class, name)| GraphClass {
            class,
            name: (*name).to_owned(),
            x: 0.0,
        })
        .collect();
    count_edges(&mut graph);
    place(&mut graph, None);
    graph
}

fn nodes_by_place(graph: &AttributionGraph) -> BTreeMap<Place, &GraphNode> {
    graph
        .nodes
        .iter()
        .map(|node| ((node.layer, node.channel), node))
        .collect()
}

fn joint_node(
    (layer, channel): Place,
    nodes: [Option<&GraphNode>; 2],
    groups: [&ConvMaxGraph; 2],
) -> GraphNode {
    let [first_count, second_count] = groups.map(|group| group.count(layer, channel));
    let [first, second] = nodes;
    GraphNode {
        layer,
        channel,
        count: first_count,
        pagerank: first.and_then(|node| node.pagerank),
        score: first.and_then(|node| node.score),
        in_edges: 0,
        out_edges: 0,
        added_for_logit: nodes.iter().flatten().all(|node| node.added_for_logit),
        bias: None,
        side: Side::of(nodes.map(|node| node.is_some())),
        second: Some(SecondNode {
            count: second_count,
            pagerank: second.and_then(|node| node.pagerank),
        }),
        x: 0.0,
    }
}

/// Ends of an edge: places below and above; above the last layer a class instead.
fn joint_edges(groups: [&ConvMaxGraph; 2], index: &BTreeMap<Place, u32>) -> Vec<GraphEdge> {
    let ends = groups.map(|group| {
        let place = |node: u32| {
            let node = group.graph.nodes.get(node as usize)?;
            Some((node.layer, node.channel))
        };
        let edges = group.graph.edges.iter();
        edges
            .filter_map(|edge| Some((place(edge.to)?, place(edge.from)?)))
            .collect::<BTreeSet<(Place, Place)>>()
    });
    let all: BTreeSet<&(Place, Place)> = ends.iter().flatten().collect();
    all.into_iter()
        .filter_map(|both @ &(to, from)| {
            let weight = |group: &ConvMaxGraph| {
                let link = group.links.get(from.0 as usize);
                link.map_or(0, |link| link.get(to.1.0, from.1.0))
            };
            Some(joint_edge(
                [*index.get(&from)?, *index.get(&to)?],
                ends.each_ref().map(|edges| edges.contains(both)),
                groups.map(weight),
            ))
        })
        .collect()
}

fn joint_logit_edges(
    groups: [&ConvMaxGraph; 2],
    index: &BTreeMap<Place, u32>,
    classes: &BTreeMap<ClassId, &str>,
) -> Vec<GraphEdge> {
    let position: BTreeMap<ClassId, u32> = classes.keys().copied().zip(0..).collect();
    let ends = groups.map(|group| {
        let end = |edge: &GraphEdge| {
            let class = group.graph.classes.get(edge.to as usize)?.class;
            let node = group.graph.nodes.get(edge.from as usize)?;
            Some((class, (node.layer, node.channel)))
        };
        group
            .graph
            .logit_edges
            .iter()
            .filter_map(end)
            .collect::<BTreeSet<(ClassId, Place)>>()
    });
    let all: BTreeSet<&(ClassId, Place)> = ends.iter().flatten().collect();
    all.into_iter()
        .filter_map(|both @ &(class, from)| {
            Some(joint_edge(
                [*index.get(&from)?, *position.get(&class)?],
                ends.each_ref().map(|edges| edges.contains(both)),
                groups.map(|group| group.logits.get(class.0, from.1.0)),
            ))
        })
        .collect()
}

fn joint_edge([from, to]: [u32; 2], present: [bool; 2], weights: [u32; 2]) -> GraphEdge {
    GraphEdge {
        from,
        to,
        influence: Some(weights[0]),
        effect: None,
        top_images: None,
        kind: EdgeKind::Unsigned,
        side: Side::of(present),
        second_influence: Some(weights[1]),
    }
}

impl Side {
    fn of(present: [bool; 2]) -> Option<Self> {
        match present {
            [true, true] => Some(Self::Shared),
            [true, false] => Some(Self::First),
            [false, true] => Some(Self::Second),
            [false, false] => None,
        }
    }
}

/// A `conv-max` graph with the tables it was made from, for what the graph itself leaves out.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvMaxGraph {
    /// The graph.
    pub graph: AttributionGraph,
    /// Per layer `[channels]`, u32, images: the group's row of A.
    pub counts: Vec<Vec<u32>>,
    /// Element l joins layers l and l + 1, `[channels of l + 1, channels of l]`, u32, images.
    pub links: Vec<Csr>,
    /// `[classes, channels of the last layer]`, u32, images.
    pub logits: Csr,
}

impl ConvMaxGraph {
    /// A of a channel, images; 0 where there is no such channel.
    #[must_use]
    pub fn count(&self, layer: u32, channel: ChannelId) -> u32 {
        let row = self.counts.get(layer as usize);
        row.and_then(|row| row.get(channel.index()))
            .copied()
            .unwrap_or(0)
    }
}
