//! What sizes, widths and dashes mean, below the drawing.

use super::super::{grouped, shortened};
use super::{Drawing, LARGEST_SIDE, MARGIN, MAX_LABEL, NARROWEST_EDGE, WIDEST_EDGE, xml};
use crate::graph::{EdgeKind, Measure, Side};
use std::fmt::{Error, Result, Write};

impl Drawing<'_> {
    /// What sizes and widths mean.
    pub(super) fn write_legend(&self, svg: &mut String, y: f64) -> Result {
        let Self { graph, palette, .. } = self;
        writeln!(svg, "<g font-size=\"12\">")?;
        let mut x = self.write_sides(svg, MARGIN, y)?;
        for share in [0.25, 1.0] {
            let side = LARGEST_SIDE / 2.0 * f64::sqrt(share);
            writeln!(
                svg,
                "<rect class=\"tile frame\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" rx=\"{:.1}\" fill=\"{}\" stroke=\"{}\"/>",
                y - side / 2.0,
                side * 0.16,
                palette.tile,
                palette.accent
            )?;
            x += side + 8.0;
        }
        let shares = graph.nodes.iter().map(|node| graph.node_share(node));
        let largest = graph.nodes.iter().map(|node| node.count).max().unwrap_or(0);
        let largest = match graph.second_group {
            None => grouped(u64::from(largest)),
            Some(_) => format!("{:.0}\u{a0}%", 100.0 * shares.fold(0.0, f64::max)),
        };
        let area = format!("area: images with the channel on top, at most {largest}");
        self.write_note(svg, x, y, &area)?;
        x += 24.0 + 6.3 * area.chars().count() as f64;
        self.write_edge_legend(svg, x, y)?;
        writeln!(svg, "</g>")
    }

    /// Whose nodes and edges the colours of a joint graph are; where the legend goes on.
    fn write_sides(&self, svg: &mut String, mut x: f64, y: f64) -> std::result::Result<f64, Error> {
        let Self { graph, palette, .. } = self;
        let Some(second) = &graph.second_group else {
            return Ok(x);
        };
        let only = |name: &str| format!("only {}", xml(&shortened(name, MAX_LABEL)));
        for (side, words) in [
            (Side::Shared, "both".to_owned()),
            (Side::First, only(&graph.group.name)),
            (Side::Second, only(&second.name)),
        ] {
            let (class, colour) = palette.of_side(Some(side), palette.edge);
            writeln!(
                svg,
                "<path class=\"e{class}\" d=\"M{x:.1} {y:.1}h18\" stroke=\"{colour}\" stroke-width=\"5\"/>"
            )?;
            self.write_note(svg, x + 24.0, y, &words)?;
            x += 42.0 + 6.3 * words.chars().count() as f64;
        }
        Ok(x)
    }

    fn write_edge_legend(&self, svg: &mut String, mut x: f64, y: f64) -> Result {
        let Self { graph, palette, .. } = self;
        let all = || graph.edges.iter().chain(&graph.logit_edges);
        let strongest = all()
            .map(|edge| graph.edge_weight(edge))
            .fold(0.0, f64::max);
        for strength in [0.15, 1.0] {
            writeln!(
                svg,
                "<path class=\"e\" d=\"M{x:.1} {y:.1}h26\" stroke=\"{}\" stroke-width=\"{:.2}\" stroke-opacity=\"{:.2}\"/>",
                palette.edge,
                NARROWEST_EDGE + (WIDEST_EDGE - NARROWEST_EDGE) * strength,
                0.3 + 0.45 * strength
            )?;
            x += 32.0;
        }
        let width = match graph.measure {
            Measure::ConvMax => format!(
                "width: influence, at most {:.0}\u{a0}% of images",
                100.0 * strongest
            ),
            Measure::Flow => format!("width: effect, at most {strongest:.3} logits"),
        };
        self.write_note(svg, x, y, &width)?;
        if all().any(|edge| edge.kind == EdgeKind::Opposes) {
            x += 24.0 + 6.3 * width.chars().count() as f64;
            writeln!(
                svg,
                "<path class=\"e opposes\" d=\"M{x:.1} {y:.1}h26\" stroke=\"{}\" stroke-width=\"3\" stroke-dasharray=\"7 5\"/>",
                palette.opposes
            )?;
            self.write_note(svg, x + 32.0, y, "lowers the score")?;
        }
        Ok(())
    }

    fn write_note(&self, svg: &mut String, x: f64, y: f64, note: &str) -> Result {
        writeln!(
            svg,
            "<text class=\"muted\" x=\"{x:.1}\" y=\"{:.1}\" fill=\"{}\">{note}</text>",
            y + 4.0,
            self.palette.muted
        )
    }
}
