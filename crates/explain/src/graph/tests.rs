//! Graphs built from literals.

use super::*;
use crate::Csr;
use summit_tables::{LayerId, LayerInfo};

pub(crate) fn layer(id: u32, name: &str, channels: u32) -> LayerInfo {
    LayerInfo {
        id: LayerId(id),
        name: name.to_owned(),
        channels,
        height: 7,
        width: 7,
        signed: false,
        receptive_stride: [1.0, 1.0],
        receptive_size: [3, 3],
        receptive_start: [0.0, 0.0],
        is_cut: true,
    }
}

/// Three layers of four channels, two kept chains that meet in the class.
pub(crate) fn small_graph() -> AttributionGraph {
    let layers = [
        layer(0, "stem", 4),
        layer(1, "mixed_a", 4),
        layer(2, "mixed_b", 4),
    ];
    let links = [
        Csr::from_triplets(4, 4, vec![(0, 2, 9), (1, 0, 6), (1, 2, 2), (3, 3, 1)]).unwrap(),
        Csr::from_triplets(4, 4, vec![(0, 1, 10), (2, 0, 4), (2, 1, 7), (3, 3, 3)]).unwrap(),
    ];
    let logits = Csr::from_triplets(2, 4, vec![(1, 0, 8), (1, 2, 5), (0, 3, 10)]).unwrap();
    let counts: [&[u32]; 3] = [&[6, 0, 9, 0], &[5, 8, 0, 0], &[3, 0, 10, 1]];
    let targets = [TargetClass {
        class: ClassId(1),
        name: "white wolf".to_owned(),
    }];
    let group = GroupTables {
        layers: &layers,
        name: "white wolf",
        images: 10,
        counts: &counts,
        targets: &targets,
        contrast: None,
    };
    let mut parameters = GraphParameters::default();
    parameters.selection.start_threshold = 0.6;
    conv_max_graph(&group, &links, &logits, &parameters).unwrap()
}

#[test]
fn json_round_trip_and_snapshot() {
    let graph = small_graph();
    graph.check().unwrap();
    let json = serde_json::to_string_pretty(&graph).unwrap();
    let back: AttributionGraph = serde_json::from_str(&json).unwrap();
    assert_eq!(back, graph);
    // PageRank in full has more digits than a snapshot should hold.
    let mut rounded = graph;
    for node in &mut rounded.nodes {
        node.pagerank = node.pagerank.map(|score| (score * 1e6).round() / 1e6);
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&rounded).unwrap());
}

#[test]
fn dangling_references_are_found() {
    type Spoil = fn(&mut AttributionGraph);
    let spoils: [(&str, Spoil); 6] = [
        ("version", |graph| graph.schema_version = 99),
        ("layer", |graph| graph.nodes[0].layer = 9),
        ("node", |graph| graph.edges[0].from = 99),
        ("same layer", |graph| {
            graph.edges[0].from = graph.edges[0].to
        }),
        ("class", |graph| graph.logit_edges[0].to = 9),
        ("not the last layer", |graph| graph.logit_edges[0].from = 0),
    ];
    for (name, spoil) in spoils {
        let mut graph = small_graph();
        spoil(&mut graph);
        assert!(graph.check().is_err(), "{name}");
    }
}

#[test]
fn a_channel_is_added_for_the_logit_with_its_edges() {
    let layers = [layer(0, "a", 2), layer(1, "b", 2)];
    let links = [Csr::from_triplets(2, 2, vec![(0, 0, 9), (1, 0, 4)]).unwrap()];
    let logits = Csr::from_triplets(1, 2, vec![(0, 1, 3)]).unwrap();
    let targets = [TargetClass {
        class: ClassId(0),
        name: "c".to_owned(),
    }];
    let counts: [&[u32]; 2] = [&[9, 0], &[9, 0]];
    let group = GroupTables {
        layers: &layers,
        name: "c",
        images: 9,
        counts: &counts,
        targets: &targets,
        contrast: None,
    };
    let graph = conv_max_graph(&group, &links, &logits, &GraphParameters::default()).unwrap();
    let last: Vec<_> = graph.nodes.iter().filter(|node| node.layer == 1).collect();
    assert_eq!(last.len(), 2);
    assert!(!last[0].added_for_logit && last[1].added_for_logit);
    assert_eq!((last[1].in_edges, last[1].out_edges), (1, 1));
    graph.check().unwrap();
}

#[test]
fn flow_draws_positive_edges_and_negative_ones_on_request() {
    let layers = [layer(0, "a", 2), layer(1, "b", 2)];
    let counts: [&[u32]; 2] = [&[1, 1], &[1, 1]];
    let targets = [TargetClass {
        class: ClassId(3),
        name: "c".to_owned(),
    }];
    let group = GroupTables {
        layers: &layers,
        name: "c",
        images: 4,
        counts: &counts,
        targets: &targets,
        contrast: None,
    };
    let estimate = |mean| Estimate {
        mean,
        interval: None,
    };
    let scores = vec![
        vec![Some(estimate(2.0)), Some(estimate(1.0))],
        vec![Some(estimate(3.0)), None],
    ];
    let edge = |lower, from, to, mean, top_images| FlowEdge {
        lower: LayerId(lower),
        from: ChannelId(from),
        to: ChannelId(to),
        effect: estimate(mean),
        top_images,
    };
    let edges = [
        edge(0, 0, 0, 1.0, 2),
        edge(0, 1, 0, -1.0, 2),
        edge(0, 0, 1, 5.0, 2),
        edge(1, 0, 3, 2.0, 1),
        edge(1, 0, 2, 2.0, 1),
        edge(1, 0, 3, 2.0, 0),
    ];
    let flow = FlowGraphInput {
        measure: Measure::Flow,
        scores: &scores,
        edges: &edges,
    };
    let mut parameters = GraphParameters::default();
    parameters.selection.start_threshold = 0.9;
    let graph = flow_graph(&group, &flow, &parameters).unwrap();
    graph.check().unwrap();
    assert_eq!(
        (
            graph.nodes.len(),
            graph.edges.len(),
            graph.logit_edges.len()
        ),
        (3, 1, 1)
    );
    parameters.negative_edges = true;
    let graph = flow_graph(&group, &flow, &parameters).unwrap();
    let kinds: Vec<_> = graph.edges.iter().map(|edge| edge.kind).collect();
    assert_eq!(kinds, [EdgeKind::Supports, EdgeKind::Opposes]);
}

#[test]
fn shapes_are_checked() {
    let layers = [layer(0, "a", 2)];
    let counts: [&[u32]; 1] = [&[1, 1, 1]];
    let group = GroupTables {
        layers: &layers,
        name: "",
        images: 1,
        counts: &counts,
        targets: &[],
        contrast: None,
    };
    let logits = Csr::empty(1, 2).unwrap();
    assert!(conv_max_graph(&group, &[], &logits, &GraphParameters::default()).is_err());
    let counts: [&[u32]; 1] = [&[1, 1]];
    let group = GroupTables {
        counts: &counts,
        ..group
    };
    assert!(conv_max_graph(&group, &[], &logits, &GraphParameters::default()).is_ok());
    let logits = Csr::empty(1, 3).unwrap();
    assert!(conv_max_graph(&group, &[], &logits, &GraphParameters::default()).is_err());
}

#[test]
fn graphs_placed_along_one_order_keep_one_order() {
    // Each alone would stand the other way round.
    let straight = [((0, 0, 0), 1), ((0, 1, 1), 1)];
    let crossed = [((0, 0, 1), 1), ((0, 1, 0), 1), ((0, 2, 2), 1)];
    let mut graphs = [
        layered(2, 3, &straight.into()),
        layered(2, 3, &crossed.into()),
    ];
    let order = ChannelOrder::of(&graphs);
    for graph in &mut graphs {
        graph.place_along(&order);
        let mut nodes: Vec<&GraphNode> = graph.nodes.iter().collect();
        nodes.sort_by(|left, right| {
            (left.layer, left.x)
                .partial_cmp(&(right.layer, right.x))
                .unwrap()
        });
        let ranks: Vec<_> = nodes
            .iter()
            .map(|node| (node.layer, order.rank(node.layer, node.channel).unwrap()))
            .collect();
        assert!(ranks.is_sorted(), "{ranks:?}");
    }
    assert_eq!(order.rank(2, ChannelId(0)), None);
}

/// A graph of `layers` layers of `width` channels, all kept, with edges
/// `(lower layer, from, to) -> influence`, of ten images.
pub(crate) fn layered(
    layers: u32,
    width: u32,
    edges: &std::collections::BTreeMap<(u32, u32, u32), u32>,
) -> AttributionGraph {
    let mut graph = small_graph();
    graph.layers = (0..layers)
        .map(|layer| GraphLayer {
            name: format!("layer {layer}"),
            channels: width,
            threshold: 1.0,
        })
        .collect();
    graph.logit_edges.clear();
    graph.classes.clear();
    let template = graph.nodes.swap_remove(0);
    graph.nodes = (0..layers * width)
        .map(|index| GraphNode {
            layer: index / width,
            channel: ChannelId(index % width),
            ..template.clone()
        })
        .collect();
    let template = graph.edges.swap_remove(0);
    graph.edges = edges
        .iter()
        .map(|(&(layer, from, to), &influence)| GraphEdge {
            from: layer * width + from,
            to: (layer + 1) * width + to,
            influence: Some(influence),
            ..template.clone()
        })
        .collect();
    graph
}
