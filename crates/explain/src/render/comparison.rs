//! A comparison as text: per layer how alike the groups are, what they share, what tells them apart.

use super::{counted, plain, shortened};
use crate::compare::{ComparedChannel, ComparedLayer, Comparison};
use crate::graph::{GraphGroup, Side};
use std::fmt::Write;

/// Channels listed per layer and column.
const LISTED: usize = 5;

/// The most characters of a group's name in a line.
const SHORT_NAME: usize = 30;

/// Prints a comparison, the output side first, lines ended by `\n`, no terminal codes.
#[must_use]
pub fn render_comparison(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_comparison(&mut text, comparison);
    text
}

fn write_comparison(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let Comparison {
        groups: [first, second],
        layers,
        graph,
        ..
    } = comparison;
    let images = |group: &GraphGroup| counted(u64::from(group.images), "image");
    writeln!(text, "A  {}  {}", plain(&first.name), images(first))?;
    writeln!(text, "B  {}  {}", plain(&second.name), images(second))?;
    let nodes = |side| {
        graph
            .nodes
            .iter()
            .filter(|node| node.side == Some(side))
            .count()
    };
    let edges = graph.edges.iter().chain(&graph.logit_edges);
    let edges = |side| edges.clone().filter(|edge| edge.side == Some(side)).count();
    for (words, side) in [
        ("both", Side::Shared),
        ("A alone", Side::First),
        ("B alone", Side::Second),
    ] {
        writeln!(
            text,
            "{words:<8} {}, {}",
            counted(nodes(side) as u64, "channel"),
            counted(edges(side) as u64, "edge")
        )?;
    }
    writeln!(
        text,
        "\nper channel: share of A's images / of B's in which it is on top; distinctness = A's - B's"
    )?;
    for layer in layers.iter().rev() {
        write_layer(text, layer, [first, second])?;
    }
    Ok(())
}

fn write_layer(
    text: &mut String,
    layer: &ComparedLayer,
    groups: [&GraphGroup; 2],
) -> std::fmt::Result {
    let alike = layer.similarity.map_or_else(
        || "not comparable".to_owned(),
        |cosine| format!("{cosine:.3}"),
    );
    writeln!(text, "\n{}  similarity {alike}", shortened(&layer.name, 60))?;
    let names = groups.map(|group| shortened(&group.name, SHORT_NAME));
    write_channels(text, "both", &layer.shared, groups)?;
    write_channels(
        text,
        &format!("only {}", names[0]),
        &layer.only_first,
        groups,
    )?;
    write_channels(
        text,
        &format!("only {}", names[1]),
        &layer.only_second,
        groups,
    )?;
    write_channels(text, "most distinct", &layer.most_distinct, groups)
}

fn write_channels(
    text: &mut String,
    words: &str,
    channels: &[ComparedChannel],
    groups: [&GraphGroup; 2],
) -> std::fmt::Result {
    if channels.is_empty() {
        return Ok(());
    }
    let percent = |images: u32, group: &GraphGroup| {
        100.0 * f64::from(images) / f64::from(group.images.max(1))
    };
    let listed: Vec<String> = channels
        .iter()
        .take(LISTED)
        .map(|channel| {
            let [a, b] = [0, 1].map(|side| percent(channel.images[side], groups[side]));
            format!(
                "{} ({a:.0}/{b:.0} %, {:+.2})",
                channel.channel.0, channel.distinctness
            )
        })
        .collect();
    let more = match channels.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    writeln!(text, "  {words}: {}{more}", listed.join(", "))
}
