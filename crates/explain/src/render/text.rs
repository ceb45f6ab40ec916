//! The graph as terse text: the nodes of each layer from the output down, then the strongest edges.

use super::{
    Target, class_name, counted, drawn_edges, layer_name, percent, plain, weight_in_words,
};
use crate::graph::{AttributionGraph, GraphNode};
use std::fmt::Write;

/// What the text shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// The most edges listed.
    pub edges: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { edges: 15 }
    }
}

/// Draws the graph as text, lines ended by `\n`, no terminal codes.
#[must_use]
pub fn render_text(graph: &AttributionGraph, options: &TextOptions) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_header(&mut text, graph);
    let _ = write_nodes(&mut text, graph);
    let _ = write_edges(&mut text, graph, options);
    text
}

fn write_header(text: &mut String, graph: &AttributionGraph) -> std::fmt::Result {
    let parameters = &graph.parameters;
    writeln!(
        text,
        "{}  {}",
        plain(&graph.group.name),
        counted(u64::from(graph.group.images), "image")
    )?;
    write!(
        text,
        "{} graph: {}, {}, {} into the output; threshold {}",
        graph.measure.name(),
        counted(graph.nodes.len() as u64, "node"),
        counted(graph.edges.len() as u64, "edge"),
        graph.logit_edges.len(),
        parameters.start_threshold
    )?;
    if parameters.relaxation_step.is_some() {
        write!(
            text,
            ", {} of relaxation",
            counted(u64::from(parameters.relaxation_rounds), "round")
        )?;
    }
    if parameters.pagerank_converged == Some(false) {
        write!(text, "; PageRank did not converge")?;
    }
    writeln!(text)
}

/// One line per node, aligned in columns.
fn write_nodes(text: &mut String, graph: &AttributionGraph) -> std::fmt::Result {
    let scored = graph.nodes.iter().any(|node| node.score.is_some());
    let ranked = graph.nodes.iter().any(|node| node.pagerank.is_some());
    let mut header = vec!["layer", "channel", "images", "share"];
    header.extend(ranked.then_some("pagerank"));
    header.extend(scored.then_some("score"));
    header.extend(["in", "out", ""]);
    let mut table = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for class in &graph.classes {
        table.push(vec!["output".to_owned(), plain(&class.name)]);
    }
    for layer in (0..graph.layers.len() as u32).rev() {
        let mut of_layer: Vec<&GraphNode> = graph
            .nodes
            .iter()
            .filter(|node| node.layer == layer)
            .collect();
        if ranked {
            let rank = |node: &GraphNode| node.pagerank.unwrap_or(0.0);
            of_layer.sort_by(|left, right| rank(right).total_cmp(&rank(left)));
        }
        for (position, node) in of_layer.into_iter().enumerate() {
            let name = if position == 0 {
                layer_name(graph, layer)
            } else {
                String::new()
            };
            let mut row = vec![
                name,
                node.channel.0.to_string(),
                node.count.to_string(),
                percent(node.count, graph.group.images).replace('\u{a0}', " "),
            ];
            row.extend(ranked.then(|| format!("{:.6}", node.pagerank.unwrap_or(0.0))));
            row.extend(scored.then(|| {
                node.score
                    .map_or_else(String::new, |score| format!("{:+.3}", score.mean))
            }));
            row.extend([node.in_edges.to_string(), node.out_edges.to_string()]);
            row.push(if node.added_for_logit { "added" } else { "" }.to_owned());
            table.push(row);
        }
    }
    writeln!(text)?;
    write_table(text, &table)
}

/// The first column to the left, the others to the right (a class's name excepted).
fn write_table(text: &mut String, table: &[Vec<String>]) -> std::fmt::Result {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let full = |row: &&Vec<String>| row.len() > 2;
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = table.iter().filter(|row| column == 0 || full(row));
            cells
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in table {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => write!(line, "{cell:<width$}")?,
                _ if row.len() <= 2 || (column + 1 == columns) => write!(line, "  {cell}")?,
                _ => write!(line, "  {cell:>width$}")?,
            }
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

fn write_edges(
    text: &mut String,
    graph: &AttributionGraph,
    options: &TextOptions,
) -> std::fmt::Result {
    let mut edges = drawn_edges(graph);
    let total = edges.len();
    // Stable: equals stay in the graph's own order, the output first.
    edges.reverse();
    edges.sort_by(|left, right| right.strength.total_cmp(&left.strength));
    edges.truncate(options.edges);
    if edges.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nstrongest edges ({} of {total})", edges.len())?;
    let lines: Vec<(String, String, String)> = edges
        .iter()
        .map(|drawn| {
            let end =
                |node: &GraphNode| format!("{} {}", layer_name(graph, node.layer), node.channel.0);
            let to = match drawn.to {
                Target::Node(node) => end(node),
                Target::Class(class) => class_name(graph, class),
            };
            (
                end(drawn.from),
                to,
                weight_in_words(graph, drawn.edge).replace('\u{a0}', " "),
            )
        })
        .collect();
    let width = |pick: fn(&(String, String, String)) -> &String| {
        lines
            .iter()
            .map(|line| pick(line).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (from_width, to_width) = (width(|line| &line.0), width(|line| &line.1));
    for (from, to, weight) in &lines {
        writeln!(text, "{from:<from_width$} -> {to:<to_width$}  {weight}")?;
    }
    Ok(())
}
