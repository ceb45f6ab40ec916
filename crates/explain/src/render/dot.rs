//! The graph in Graphviz' DOT language, output on top.

use super::{Target, counted, drawn_edges, layer_name, plain, weight_in_words};
use crate::graph::{AttributionGraph, EdgeKind};
use std::fmt::Write;

/// Writes the graph as DOT. Node names are `n` and `c` with an index, so only labels hold text.
#[must_use]
pub fn render_dot(graph: &AttributionGraph) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_dot(&mut text, graph);
    text
}

fn write_dot(text: &mut String, graph: &AttributionGraph) -> std::fmt::Result {
    let images = counted(u64::from(graph.group.images), "image");
    writeln!(text, "digraph attribution {{")?;
    writeln!(text, "  rankdir=BT;")?;
    writeln!(
        text,
        "  label=\"{}, {images}, {}\"; labelloc=t;",
        escaped(&graph.group.name),
        graph.measure.name()
    )?;
    writeln!(
        text,
        "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#e8eaf6\", fontname=\"Helvetica\"];"
    )?;
    writeln!(text, "  edge [color=\"#3949ab\", arrowsize=0.6];")?;
    for (layer, info) in graph.layers.iter().enumerate() {
        writeln!(text, "  // {}", escaped(&info.name))?;
        writeln!(text, "  {{ rank=same;")?;
        for (index, node) in graph.nodes.iter().enumerate() {
            if node.layer as usize == layer {
                let side = 0.4
                    + (f64::from(node.count) / f64::from(graph.group.images.max(1)))
                        .min(1.0)
                        .sqrt();
                writeln!(
                    text,
                    "    n{index} [label=\"{} {}\\n{} of {images}\", width={side:.2}];",
                    escaped(&layer_name(graph, node.layer)),
                    node.channel.0,
                    node.count
                )?;
            }
        }
        writeln!(text, "  }}")?;
    }
    if !graph.classes.is_empty() {
        writeln!(text, "  {{ rank=same;")?;
        for (index, class) in graph.classes.iter().enumerate() {
            writeln!(
                text,
                "    c{index} [label=\"{}\", fillcolor=\"#1a237e\", fontcolor=white];",
                escaped(&class.name)
            )?;
        }
        writeln!(text, "  }}")?;
    }
    write_edges(text, graph)?;
    writeln!(text, "}}")
}

fn write_edges(text: &mut String, graph: &AttributionGraph) -> std::fmt::Result {
    for drawn in drawn_edges(graph) {
        let to = match drawn.to {
            Target::Node(_) => 'n',
            Target::Class(_) => 'c',
        };
        let opposes = if drawn.edge.kind == EdgeKind::Opposes {
            ", style=dashed, color=\"#b3470b\""
        } else {
            ""
        };
        writeln!(
            text,
            "  n{} -> {to}{} [penwidth={:.2}, tooltip=\"{}\"{opposes}];",
            drawn.edge.from,
            drawn.edge.to,
            0.5 + 4.5 * drawn.strength,
            weight_in_words(graph, drawn.edge).replace('\u{a0}', " ")
        )?;
    }
    Ok(())
}

/// Inside double quotes of DOT; backslashes would start Graphviz' own escapes.
fn escaped(name: &str) -> String {
    plain(name).replace('\\', "\\\\").replace('"', "\\\"")
}
