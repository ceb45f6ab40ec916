//! Drawings of an attribution graph: text for a terminal, DOT for Graphviz, SVG for the eye.
//!
//! Place in the flow: last step; a graph goes in, a `String` comes out. Names may come from folder
//! names or model files of others, so every renderer escapes for its language and replaces control
//! characters. A graph that was read from outside may hold dangling indices; such edges are left
//! out.

mod comparison;
mod data_uri;
mod dot;
mod svg;
mod text;

pub use comparison::render_comparison;
pub use data_uri::data_uri;
pub use dot::render_dot;
pub use svg::{SvgOptions, Theme, render_svg};
pub use text::{TextOptions, render_text};

use crate::graph::{AttributionGraph, GraphEdge, GraphGroup, GraphNode};

/// The most characters of a name that are shown.
const MAX_NAME: usize = 120;

/// A name fit to be shown: control characters (and what reorders text) replaced, length limited.
fn plain(name: &str) -> String {
    shortened(name, MAX_NAME)
}

/// As [`plain`], with at most `limit` characters, the last an ellipsis where some are missing.
fn shortened(name: &str, limit: usize) -> String {
    let clean = |character: char| match character {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        control if control.is_control() => '\u{fffd}',
        other => other,
    };
    let mut shown: String = name.chars().take(limit).map(clean).collect();
    if name.chars().nth(limit).is_some() {
        shown.pop();
        shown.push('\u{2026}');
    }
    shown
}

/// `1300000` as `1,300,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 node`, `2 nodes`.
fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// A share as a whole percentage.
fn percent(part: u32, whole: u32) -> String {
    format!(
        "{:.0}\u{a0}%",
        100.0 * f64::from(part) / f64::from(whole.max(1))
    )
}

/// An edge with what its ends are.
struct DrawnEdge<'a> {
    edge: &'a GraphEdge,
    from: &'a GraphNode,
    to: Target<'a>,
    /// [`AttributionGraph::edge_weight`] over the largest of the graph, in `[0, 1]`.
    strength: f64,
}

/// The upper end of an edge.
#[derive(Clone, Copy)]
enum Target<'a> {
    Node(&'a GraphNode),
    Class(u32),
}

/// All edges whose ends exist, those between layers first.
fn drawn_edges(graph: &AttributionGraph) -> Vec<DrawnEdge<'_>> {
    let node = |index: u32| graph.nodes.get(index as usize);
    let between = graph
        .edges
        .iter()
        .filter_map(|edge| Some((edge, node(edge.from)?, Target::Node(node(edge.to)?))));
    let into_classes = graph.logit_edges.iter().filter_map(|edge| {
        graph.classes.get(edge.to as usize)?;
        Some((edge, node(edge.from)?, Target::Class(edge.to)))
    });
    let all = graph.edges.iter().chain(&graph.logit_edges);
    let largest = all.map(|edge| graph.edge_weight(edge)).fold(0.0, f64::max);
    let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
    between
        .chain(into_classes)
        .map(|(edge, from, to)| {
            let strength = (graph.edge_weight(edge) * scale).clamp(0.0, 1.0);
            DrawnEdge {
                edge,
                from,
                to,
                strength,
            }
        })
        .collect()
}

fn layer_name(graph: &AttributionGraph, layer: u32) -> String {
    graph
        .layers
        .get(layer as usize)
        .map_or_else(|| format!("layer {layer}"), |l| plain(&l.name))
}

fn class_name(graph: &AttributionGraph, class: u32) -> String {
    graph
        .classes
        .get(class as usize)
        .map_or_else(String::new, |class| plain(&class.name))
}

/// The group, or both groups.
fn title(graph: &AttributionGraph) -> String {
    let other = graph.second_group.as_ref();
    let other = other.map_or_else(String::new, |group| format!(" and {}", group.name));
    format!("{}{other}", graph.group.name)
}

/// In how many of a group's images a node is a top channel, or of both groups'.
fn node_percent(graph: &AttributionGraph, node: &GraphNode) -> String {
    let first = percent(node.count, graph.group.images);
    match (node.second, &graph.second_group) {
        (Some(second), Some(group)) => {
            let first = first.trim_end_matches("\u{a0}%");
            format!("{first} / {}", percent(second.count, group.images))
        }
        _ => first,
    }
}

/// What an edge weighs, in words: images for counts, logits for effects.
fn weight_in_words(graph: &AttributionGraph, edge: &GraphEdge) -> String {
    let mut parts = Vec::new();
    let weight = |influence: u32, group: &GraphGroup| {
        let share = percent(influence, group.images);
        format!("{} ({share})", counted(u64::from(influence), "image"))
    };
    if let Some(influence) = edge.influence {
        parts.push(weight(influence, &graph.group));
    }
    if let (Some(influence), Some(group)) = (edge.second_influence, &graph.second_group) {
        parts.push(weight(influence, group));
    }
    if let Some(effect) = edge.effect {
        parts.push(match effect.interval {
            Some([low, high]) => format!("{:+.3} logits [{low:+.3}, {high:+.3}]", effect.mean),
            None => format!("{:+.3} logits", effect.mean),
        });
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests;
