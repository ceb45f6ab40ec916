//! What sizes, widths and dashes mean, below the drawing.

use super::super::{grouped, shortened};
use super::{Drawing, LARGEST_SIDE, MARGIN, MAX_LABEL, NARROWEST_EDGE, WIDEST_EDGE, xml};
use crate::graph::{EdgeKind, Measure, Side};
use std::fmt::{Result, Write};

/// From the middle of a line to that of the next, pixels.
const LINE_PITCH: f64 = 40.0;
/// Between two entries of a line, pixels.
const GAP: f64 = 24.0;
/// Length of an edge's symbol, pixels.
const DASH: f64 = 26.0;

/// A symbol and what it means.
struct Entry {
    symbol: Symbol,
    /// Not yet escaped.
    note: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbol {
    /// A line in the colour of a side of a joint graph.
    Of(Side),
    /// A small and a large node.
    Sizes,
    /// A node that was not selected by its score.
    Added,
    /// A narrow and a wide edge.
    Widths,
    /// An edge that lowers the score.
    Opposing,
}

impl Symbol {
    /// Pixels from its left to its note.
    fn width(self) -> f64 {
        match self {
            Self::Of(_) | Self::Opposing => DASH + 6.0,
            Self::Sizes => LARGEST_SIDE * 0.75 + 16.0,
            Self::Added => LARGEST_SIDE * 0.25 + 8.0,
            Self::Widths => 2.0 * (DASH + 6.0),
        }
    }
}

impl Entry {
    fn width(&self) -> f64 {
        // A character of 12 pixels needs 5.4 in Arial; the wider fonts asked for have the margin.
        self.symbol.width() + 5.7 * self.note.chars().count() as f64
    }
}

impl Drawing<'_> {
    fn legend(&self) -> Vec<Entry> {
        let graph = self.graph;
        let largest = match graph.second_group {
            None => grouped(u64::from(
                graph.nodes.iter().map(|node| node.count).max().unwrap_or(0),
            )),
            // Counts of groups of different sizes do not compare.
            Some(_) => {
                let shares = graph.nodes.iter().map(|node| graph.node_share(node));
                format!("{:.0}\u{a0}%", 100.0 * shares.fold(0.0, f64::max))
            }
        };
        let edges = || graph.edges.iter().chain(&graph.logit_edges);
        let strongest = edges()
            .map(|edge| graph.edge_weight(edge))
            .fold(0.0, f64::max);
        let width = match graph.measure {
            Measure::ConvMax => format!(
                "width: influence, at most {:.0}\u{a0}% of images",
                100.0 * strongest
            ),
            Measure::Flow | Measure::FlowIg | Measure::Lrp => {
                format!("width: effect, at most {strongest:.3} logits")
            }
            Measure::FlowTotals => "width: what passes, beside the largest".to_owned(),
        };
        let mut legend = self.sides();
        legend.push(Entry {
            symbol: Symbol::Sizes,
            note: format!("area: images with the channel on top, at most {largest}"),
        });
        legend.push(Entry {
            symbol: Symbol::Widths,
            note: width,
        });
        if edges().any(|edge| edge.kind == EdgeKind::Opposes) {
            legend.push(Entry {
                symbol: Symbol::Opposing,
                note: "lowers the score".to_owned(),
            });
        }
        if graph.nodes.iter().any(|node| node.added_for_logit) {
            legend.push(Entry {
                symbol: Symbol::Added,
                note: "added: no selected channel drives the output".to_owned(),
            });
        }
        legend
    }

    /// Whose nodes and edges the colours of a joint graph are.
    fn sides(&self) -> Vec<Entry> {
        let Some(second) = &self.graph.second_group else {
            return Vec::new();
        };
        let only = |name: &str| format!("only {}", shortened(name, MAX_LABEL));
        [
            (Side::Shared, "both".to_owned()),
            (Side::First, only(&self.graph.group.name)),
            (Side::Second, only(&second.name)),
        ]
        .map(|(side, note)| Entry {
            symbol: Symbol::Of(side),
            note,
        })
        .into()
    }

    /// The entries with their left ends, in as many lines as the drawing's width asks for.
    fn legend_lines(&self) -> Vec<Vec<(f64, Entry)>> {
        let mut lines: Vec<Vec<(f64, Entry)>> = Vec::new();
        let mut x = MARGIN;
        for entry in self.legend() {
            let width = entry.width();
            match lines.last_mut() {
                Some(line) if x + width <= self.width - MARGIN => line.push((x, entry)),
                _ => {
                    x = MARGIN;
                    lines.push(vec![(x, entry)]);
                }
            }
            x += width + GAP;
        }
        lines
    }

    /// Pixels below the first line.
    pub(super) fn legend_extra_height(&self) -> f64 {
        LINE_PITCH * (self.legend_lines().len() as f64 - 1.0)
    }

    /// What sizes and widths mean; `y` is the middle of the first line.
    pub(super) fn write_legend(&self, svg: &mut String, mut y: f64) -> Result {
        writeln!(svg, "<g font-size=\"12\">")?;
        for line in self.legend_lines() {
            for (x, entry) in line {
                self.write_symbol(svg, entry.symbol, x, y)?;
                writeln!(
                    svg,
                    "<text class=\"muted\" x=\"{:.1}\" y=\"{:.1}\" fill=\"{}\">{}</text>",
                    x + entry.symbol.width(),
                    y + 4.0,
                    self.palette.muted,
                    xml(&entry.note)
                )?;
            }
            y += LINE_PITCH;
        }
        writeln!(svg, "</g>")
    }

    fn write_symbol(&self, svg: &mut String, symbol: Symbol, x: f64, y: f64) -> Result {
        let palette = self.palette;
        let small = LARGEST_SIDE / 4.0;
        match symbol {
            Symbol::Of(side) => {
                let (class, colour) = palette.of_side(Some(side), palette.edge);
                writeln!(
                    svg,
                    "<path class=\"e{class}\" d=\"M{x:.1} {y:.1}h{DASH}\" stroke=\"{colour}\" stroke-width=\"5\"/>"
                )
            }
            Symbol::Sizes => {
                self.write_tile(svg, x, y, small, "")?;
                self.write_tile(svg, x + small + 8.0, y, 2.0 * small, "")
            }
            Symbol::Added => self.write_tile(svg, x, y, small, " stroke-dasharray=\"4 3\""),
            Symbol::Widths => [0.15, 1.0].into_iter().zip([0.0, DASH + 6.0]).try_for_each(
                |(strength, offset)| {
                    writeln!(
                        svg,
                        "<path class=\"e\" d=\"M{:.1} {y:.1}h{DASH}\" stroke=\"{}\" stroke-width=\"{:.2}\" stroke-opacity=\"{:.2}\"/>",
                        x + offset,
                        palette.edge,
                        NARROWEST_EDGE + (WIDEST_EDGE - NARROWEST_EDGE) * strength,
                        0.3 + 0.45 * strength
                    )
                },
            ),
            Symbol::Opposing => writeln!(
                svg,
                "<path class=\"e opposes\" d=\"M{x:.1} {y:.1}h{DASH}\" stroke=\"{}\" stroke-width=\"3\" stroke-dasharray=\"7 5\"/>",
                palette.opposes
            ),
        }
    }

    fn write_tile(&self, svg: &mut String, x: f64, y: f64, side: f64, dash: &str) -> Result {
        writeln!(
            svg,
            "<rect class=\"tile frame\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" rx=\"{:.1}\" fill=\"{}\" stroke=\"{}\"{dash}/>",
            y - side / 2.0,
            side * 0.16,
            self.palette.tile,
            self.palette.accent
        )
    }
}
