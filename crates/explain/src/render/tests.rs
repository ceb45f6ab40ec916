//! Snapshots of each drawing, and what must not get through.

use super::*;
use crate::Estimate;
use crate::graph::{EdgeKind, Measure, tests::small_graph};

/// As drawn for `flow`: signed effects on the same nodes.
fn signed_graph() -> AttributionGraph {
    let mut graph = small_graph();
    graph.measure = Measure::Flow;
    graph.annotate(
        |layer, channel| {
            Some(Estimate {
                mean: f64::from(layer + channel.0) / 4.0 - 0.3,
                interval: None,
            })
        },
        |_, from, to| {
            let mean = f64::from(from.0) - f64::from(to.0) + 0.5;
            Some((
                Estimate {
                    mean,
                    interval: Some([mean - 0.1, mean + 0.1]),
                },
                3,
            ))
        },
    );
    for edge in &mut graph.edges {
        let positive = edge.effect.is_some_and(|effect| effect.mean > 0.0);
        edge.kind = if positive {
            EdgeKind::Supports
        } else {
            EdgeKind::Opposes
        };
    }
    graph
}

#[test]
fn text() {
    insta::assert_snapshot!(render_text(&small_graph(), &TextOptions::default()));
}

#[test]
fn text_of_flow_with_few_edges() {
    insta::assert_snapshot!(render_text(&signed_graph(), &TextOptions { edges: 2 }));
}

#[test]
fn dot() {
    insta::assert_snapshot!(render_dot(&small_graph()));
}

#[test]
fn svg() {
    let picture = data_uri("image/png", b"not really a picture");
    let options = SvgOptions {
        thumbnail: &|node| (node.channel.0 == 0).then(|| picture.clone()),
        ..SvgOptions::default()
    };
    insta::assert_snapshot!(render_svg(&small_graph(), &options));
}

#[test]
fn svg_dark_flow() {
    let options = SvgOptions {
        theme: Theme::Dark,
        ..SvgOptions::default()
    };
    let svg = render_svg(&signed_graph(), &options);
    assert!(
        svg.contains("stroke-dasharray"),
        "negative edges are told apart without colour"
    );
    assert!(!svg.contains("prefers-color-scheme"));
}

#[test]
fn hostile_names_are_harmless() {
    let mut graph = small_graph();
    let hostile = "</text><script>alert(1)</script>\"\u{1b}[2J\\ & \u{202e}";
    graph.group.name = hostile.to_owned();
    graph.layers[0].name = hostile.to_owned();
    graph.classes[0].name = hostile.repeat(50);
    let bad_picture = |_: &GraphNode| Some("\" onload=\"alert(1)".to_owned());
    let svg = render_svg(
        &graph,
        &SvgOptions {
            thumbnail: &bad_picture,
            ..SvgOptions::default()
        },
    );
    let text = render_text(&graph, &TextOptions::default());
    let dot = render_dot(&graph);
    for drawing in [&svg, &text, &dot] {
        assert!(!drawing.contains('\u{1b}') && !drawing.contains('\u{202e}'));
    }
    assert!(!svg.contains("<script") && !svg.contains("onload"));
    assert!(dot.contains("script>\\\"") && !dot.contains("[2J\\ "));
}

#[test]
fn a_broken_graph_is_drawn_as_far_as_it_goes() {
    let mut graph = small_graph();
    graph.nodes[0].layer = u32::MAX;
    graph.nodes[1].x = f64::NAN;
    graph.nodes[2].x = 1e300;
    graph.edges[0].from = u32::MAX;
    graph.logit_edges[0].to = u32::MAX;
    graph.group.images = 0;
    assert!(render_svg(&graph, &SvgOptions::default()).ends_with("</svg>\n"));
    assert!(render_dot(&graph).ends_with("}\n"));
    assert!(!render_text(&graph, &TextOptions::default()).contains("NaN"));
    graph.layers.clear();
    graph.classes.clear();
    assert!(render_svg(&graph, &SvgOptions::default()).ends_with("</svg>\n"));
}

#[test]
fn numbers_are_grouped() {
    for (number, expected) in [
        (0, "0"),
        (999, "999"),
        (1300, "1,300"),
        (1_281_167, "1,281,167"),
    ] {
        assert_eq!(grouped(number), expected);
    }
}
