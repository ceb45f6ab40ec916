//! The graph as a self-contained SVG: layers as rows, the output class on top, channels as
//! thumbnails whose area is their count, edges whose width is their weight.
//!
//! No script and no outside address. Hovering a node dims the edges that do not touch it (CSS);
//! each node and edge carries its figures as a `<title>`.

mod legend;
mod style;

pub use style::Theme;

use super::data_uri::is_image_data_uri;
use super::{
    DrawnEdge, Target, class_name, counted, drawn_edges, grouped, layer_name, node_percent,
    percent, plain, shortened, title, weight_in_words,
};
use crate::graph::{AttributionGraph, EdgeKind, GraphGroup, GraphNode};
use std::fmt::{Result, Write};
use style::Palette;

/// Side of the largest thumbnail, pixels.
const LARGEST_SIDE: f64 = 72.0;
/// Side below which a thumbnail is not drawn, pixels.
const SMALLEST_SIDE: f64 = 22.0;
/// From one node of a row to the next, pixels.
const COLUMN_PITCH: f64 = 98.0;
/// From one row to the next, pixels.
const ROW_PITCH: f64 = 146.0;
const MARGIN: f64 = 28.0;
const HEADER_HEIGHT: f64 = 92.0;
const FOOTER_HEIGHT: f64 = 14.0;
/// Half the height of a class's pill.
const CLASS_HALF_HEIGHT: f64 = 19.0;
const NARROWEST_EDGE: f64 = 1.0;
const WIDEST_EDGE: f64 = 7.0;
const MAX_LABEL: usize = 26;

/// How the drawing is made.
#[derive(Clone, Copy)]
pub struct SvgOptions<'a> {
    /// Light or dark.
    pub theme: Theme,
    /// The picture of a node as a base64 `data:image/...` address (see [`super::data_uri`]); a tile
    /// with the channel's number is drawn where there is none, or it is no raster image.
    pub thumbnail: &'a dyn Fn(&GraphNode) -> Option<String>,
}

impl Default for SvgOptions<'_> {
    fn default() -> Self {
        Self {
            theme: Theme::Auto,
            thumbnail: &|_| None,
        }
    }
}

/// Draws the graph.
#[must_use]
pub fn render_svg(graph: &AttributionGraph, options: &SvgOptions<'_>) -> String {
    let drawing = Drawing::new(graph, options);
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = drawing.write(&mut svg);
    svg
}

struct Drawing<'a> {
    graph: &'a AttributionGraph,
    options: &'a SvgOptions<'a>,
    palette: &'static Palette,
    /// Of [`AttributionGraph::node_share`], above 0.
    largest_share: f64,
    width: f64,
    height: f64,
    /// Left shift that centres the graph in its column.
    left: f64,
}

impl<'a> Drawing<'a> {
    fn new(graph: &'a AttributionGraph, options: &'a SvgOptions<'a>) -> Self {
        let longest = graph
            .layers
            .iter()
            .map(|layer| layer.name.chars().count())
            .max();
        let label_width = 24.0 + 8.2 * longest.unwrap_or(0).clamp(14, MAX_LABEL) as f64;
        let places = graph
            .nodes
            .iter()
            .map(|node| node.x)
            .chain(graph.classes.iter().map(|c| c.x));
        let columns = places
            .filter(|x| x.is_finite())
            .fold(0.0, f64::max)
            .min(1e5);
        let widest_class = graph
            .classes
            .iter()
            .map(|class| pill_width(&class.name))
            .fold(0.0, f64::max);
        let graph_width = (columns + 1.0) * COLUMN_PITCH + (widest_class - COLUMN_PITCH).max(0.0);
        let body = graph_width.max(560.0);
        let rows = graph.layers.len() + 1;
        Self {
            graph,
            options,
            palette: options.theme.palette(),
            largest_share: Some(graph.nodes.iter().map(|node| graph.node_share(node)))
                .map(|shares| shares.fold(0.0, f64::max))
                .filter(|&largest| largest > 0.0)
                .unwrap_or(1.0),
            width: 2.0 * MARGIN + label_width + body,
            height: HEADER_HEIGHT + rows as f64 * ROW_PITCH + FOOTER_HEIGHT,
            left: MARGIN + label_width + (body - columns * COLUMN_PITCH) / 2.0,
        }
    }

    fn x(&self, place: f64) -> f64 {
        self.left
            + if place.is_finite() {
                place.clamp(0.0, 1e5)
            } else {
                0.0
            } * COLUMN_PITCH
    }

    /// Centre of a row; the row of the classes is the one above the last layer.
    fn y(&self, row: usize) -> f64 {
        let from_top = self.graph.layers.len().saturating_sub(row);
        // The classes' pills are lower than thumbnails, so their row is as well.
        let lift = if from_top == 0 { 0.0 } else { -26.0 };
        HEADER_HEIGHT + from_top as f64 * ROW_PITCH + 40.0 + lift
    }

    /// Area by count: the side goes with the square root of the count over the largest.
    fn side(&self, node: &GraphNode) -> f64 {
        let share = self.graph.node_share(node) / self.largest_share;
        (LARGEST_SIDE * share.sqrt()).max(SMALLEST_SIDE)
    }

    fn write(&self, svg: &mut String) -> Result {
        let Self {
            graph,
            palette,
            width,
            height,
            ..
        } = self;
        let legend_y = height - 34.0;
        let height = height + self.legend_extra_height();
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"sg\" role=\"img\" \
             aria-labelledby=\"sg-title\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" \
             font-family=\"Inter, Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif\">"
        )?;
        writeln!(
            svg,
            "<title id=\"sg-title\">Attribution graph of {}</title>",
            xml(&title(graph))
        )?;
        writeln!(
            svg,
            "<style>\n{}</style>",
            self.options.theme.style_sheet(graph.nodes.len())
        )?;
        writeln!(
            svg,
            "<rect class=\"paper\" width=\"{width:.0}\" height=\"{height:.0}\" fill=\"{}\"/>",
            palette.paper
        )?;
        self.write_header(svg)?;
        self.write_bands(svg)?;
        self.write_edges(svg)?;
        self.write_nodes(svg)?;
        self.write_classes(svg)?;
        self.write_legend(svg, legend_y)?;
        writeln!(svg, "</svg>")
    }

    fn write_header(&self, svg: &mut String) -> Result {
        let Self { graph, palette, .. } = self;
        writeln!(
            svg,
            "<text class=\"ink\" x=\"{MARGIN}\" y=\"46\" font-size=\"26\" font-weight=\"700\" fill=\"{}\">{}</text>",
            palette.ink,
            xml(&shortened(&title(graph), 64))
        )?;
        let images = |group: &GraphGroup| counted(u64::from(group.images), "image");
        let other = graph.second_group.as_ref();
        let summary = format!(
            "{} attribution graph \u{b7} {}{} \u{b7} {} \u{b7} {}",
            graph.measure.name(),
            images(&graph.group),
            other.map_or_else(String::new, |group| format!(" and {}", images(group))),
            counted(graph.nodes.len() as u64, "channel"),
            counted(
                (graph.edges.len() + graph.logit_edges.len()) as u64,
                "connection"
            )
        );
        writeln!(
            svg,
            "<text class=\"muted\" x=\"{MARGIN}\" y=\"70\" font-size=\"13\" fill=\"{}\">{summary}</text>",
            palette.muted
        )
    }

    /// A band and a label for each layer.
    fn write_bands(&self, svg: &mut String) -> Result {
        let Self {
            graph,
            palette,
            width,
            ..
        } = self;
        for (row, layer) in graph.layers.iter().enumerate() {
            let y = self.y(row);
            writeln!(
                svg,
                "<rect class=\"band\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"92\" rx=\"14\" fill=\"{}\"/>",
                MARGIN / 2.0,
                y - 46.0,
                width - MARGIN,
                palette.band
            )?;
            let kept = graph
                .nodes
                .iter()
                .filter(|node| node.layer as usize == row)
                .count();
            writeln!(
                svg,
                "<text class=\"ink\" x=\"{MARGIN}\" y=\"{:.1}\" font-size=\"14\" font-weight=\"600\" fill=\"{}\">{}<title>{}</title></text>",
                y - 6.0,
                palette.ink,
                xml(&shortened(&layer.name, MAX_LABEL)),
                xml(&layer.name)
            )?;
            writeln!(
                svg,
                "<text class=\"muted\" x=\"{MARGIN}\" y=\"{:.1}\" font-size=\"12\" fill=\"{}\">{kept} of {}</text>",
                y + 13.0,
                palette.muted,
                counted(u64::from(layer.channels), "channel")
            )?;
        }
        if !graph.classes.is_empty() {
            writeln!(
                svg,
                "<text class=\"ink\" x=\"{MARGIN}\" y=\"{:.1}\" font-size=\"14\" font-weight=\"600\" fill=\"{}\">output</text>",
                self.y(graph.layers.len()) + 5.0,
                palette.ink
            )?;
        }
        Ok(())
    }

    fn write_edges(&self, svg: &mut String) -> Result {
        let edges = drawn_edges(self.graph);
        let ports = self.ports(&edges);
        let mut order: Vec<usize> = (0..edges.len()).collect();
        // The strong ones on top.
        order.sort_by(|&a, &b| edges[a].strength.total_cmp(&edges[b].strength));
        writeln!(svg, "<g fill=\"none\" stroke-linecap=\"round\">")?;
        for index in order {
            self.write_edge(svg, &edges[index], ports[index])?;
        }
        writeln!(svg, "</g>")
    }

    fn write_edge(
        &self,
        svg: &mut String,
        drawn: &DrawnEdge<'_>,
        (from_x, to_x): (f64, f64),
    ) -> Result {
        let DrawnEdge {
            edge,
            from,
            to,
            strength,
        } = drawn;
        let from_y = self.y(from.layer as usize) - self.side(from) / 2.0;
        let (to_y, target, upper_class) = match to {
            Target::Node(node) => (
                self.y(node.layer as usize) + self.side(node) / 2.0,
                format!("{} {}", layer_name(self.graph, node.layer), node.channel.0),
                format!(" e{}", edge.to),
            ),
            Target::Class(class) => (
                self.y(self.graph.layers.len()) + CLASS_HALF_HEIGHT,
                class_name(self.graph, *class),
                String::new(),
            ),
        };
        let opposes = edge.kind == EdgeKind::Opposes;
        let (class, colour, dash) = if opposes {
            (
                " opposes",
                self.palette.opposes,
                " stroke-dasharray=\"7 5\" stroke-linecap=\"butt\"",
            )
        } else {
            let (class, colour) = self.palette.of_side(edge.side, self.palette.edge);
            (class, colour, "")
        };
        let middle = (from_y + to_y) / 2.0;
        writeln!(
            svg,
            "<path class=\"e e{}{upper_class}{class}\" d=\"M{from_x:.1} {from_y:.1}C{from_x:.1} {middle:.1} {to_x:.1} {middle:.1} {to_x:.1} {to_y:.1}\" \
             stroke=\"{colour}\" stroke-width=\"{:.2}\" stroke-opacity=\"{:.2}\"{dash}>\
             <title>{} {} \u{2192} {}: {}</title></path>",
            edge.from,
            NARROWEST_EDGE + (WIDEST_EDGE - NARROWEST_EDGE) * strength,
            0.3 + 0.45 * strength,
            xml(&layer_name(self.graph, from.layer)),
            from.channel.0,
            xml(&target),
            weight_in_words(self.graph, edge)
        )
    }

    /// Where each edge leaves and arrives: side by side, in the order of the other ends, so that
    /// edges do not cross at their node.
    fn ports(&self, edges: &[DrawnEdge<'_>]) -> Vec<(f64, f64)> {
        let other_x = |to: &Target<'_>| match to {
            Target::Node(node) => self.x(node.x),
            Target::Class(class) => self
                .graph
                .classes
                .get(*class as usize)
                .map_or(0.0, |class| self.x(class.x)),
        };
        let ends: Vec<(f64, f64)> = edges
            .iter()
            .map(|drawn| (self.x(drawn.from.x), other_x(&drawn.to)))
            .collect();
        let mut ports = ends.clone();
        let leaving = |index: usize| (0, edges[index].edge.from);
        let arriving = |index: usize| match edges[index].to {
            Target::Node(_) => (1, edges[index].edge.to),
            Target::Class(class) => (2, class),
        };
        let mut order: Vec<usize> = (0..edges.len()).collect();
        order.sort_by(|&a, &b| {
            leaving(a)
                .cmp(&leaving(b))
                .then(ends[a].1.total_cmp(&ends[b].1))
        });
        for group in order.chunk_by(|&a, &b| leaving(a) == leaving(b)) {
            let side = self.side(edges[group[0]].from);
            for (rank, &index) in group.iter().enumerate() {
                ports[index].0 += port_offset(rank, group.len(), side);
            }
        }
        order.sort_by(|&a, &b| {
            arriving(a)
                .cmp(&arriving(b))
                .then(ends[a].0.total_cmp(&ends[b].0))
        });
        for group in order.chunk_by(|&a, &b| arriving(a) == arriving(b)) {
            let side = match edges[group[0]].to {
                Target::Node(node) => self.side(node),
                Target::Class(class) => pill_width(&class_name(self.graph, class)),
            };
            for (rank, &index) in group.iter().enumerate() {
                ports[index].1 += port_offset(rank, group.len(), side);
            }
        }
        ports
    }

    fn write_nodes(&self, svg: &mut String) -> Result {
        for (index, node) in self.graph.nodes.iter().enumerate() {
            if (node.layer as usize) < self.graph.layers.len() {
                self.write_node(svg, index, node)?;
            }
        }
        Ok(())
    }

    fn write_node(&self, svg: &mut String, index: usize, node: &GraphNode) -> Result {
        let Self { palette, .. } = self;
        let side = self.side(node);
        let (centre_x, centre_y) = (self.x(node.x), self.y(node.layer as usize));
        let (x, y) = (centre_x - side / 2.0, centre_y - side / 2.0);
        let radius = side * 0.16;
        writeln!(svg, "<g class=\"node n{index}\">")?;
        writeln!(svg, "<title>{}</title>", xml(&self.node_in_words(node)))?;
        // The paper under a node keeps edges from shining through, and a rim around it.
        writeln!(
            svg,
            "<rect class=\"tile halo\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" rx=\"{radius:.1}\" \
             fill=\"{}\" stroke=\"{}\" stroke-width=\"5\" paint-order=\"stroke\"/>",
            palette.tile, palette.paper
        )?;
        let thumbnail = (self.options.thumbnail)(node).filter(|uri| is_image_data_uri(uri));
        if let Some(address) = &thumbnail {
            writeln!(
                svg,
                "<clipPath id=\"sg-clip{index}\"><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" rx=\"{radius:.1}\"/></clipPath>\
                 <image href=\"{address}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" \
                 preserveAspectRatio=\"xMidYMid slice\" clip-path=\"url(#sg-clip{index})\"/>"
            )?;
        }
        let (class, colour) = palette.of_side(node.side, palette.accent);
        let width = if node.side.is_some() { 2.5 } else { 1.25 };
        let dash = if node.added_for_logit {
            " stroke-dasharray=\"4 3\""
        } else {
            ""
        };
        writeln!(
            svg,
            "<rect class=\"frame{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" rx=\"{radius:.1}\" \
             fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dash}/>"
        )?;
        self.write_number(svg, node, (x, y, side), thumbnail.is_some())?;
        writeln!(svg, "</g>")
    }

    /// The channel's number: in the corner of a thumbnail, in the middle of a tile, or beside a node
    /// too small for either. Above or below it edges would run through.
    fn write_number(
        &self,
        svg: &mut String,
        node: &GraphNode,
        (x, y, side): (f64, f64, f64),
        has_thumbnail: bool,
    ) -> Result {
        let palette = self.palette;
        let number = node.channel.0.to_string();
        let digits = number.len() as f64;
        if side < 34.0 {
            writeln!(
                svg,
                "<text class=\"ink halo\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" font-weight=\"600\" fill=\"{}\" \
                 stroke=\"{}\" stroke-width=\"3\" paint-order=\"stroke\">{number}</text>",
                x + side + 5.0,
                y + side / 2.0 + 4.0,
                palette.ink,
                palette.paper
            )
        } else if has_thumbnail {
            writeln!(
                svg,
                "<rect class=\"paper\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" rx=\"4\" fill=\"{}\" fill-opacity=\"0.85\"/>\
                 <text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"10.5\" font-weight=\"600\" fill=\"{}\">{number}</text>",
                x + 3.0,
                y + 3.0,
                7.0 + 6.4 * digits,
                palette.paper,
                x + 6.5,
                y + 13.7,
                palette.ink
            )
        } else {
            let size = (side * 0.3).min(side * 1.4 / digits);
            writeln!(
                svg,
                "<g class=\"tile-ink\" text-anchor=\"middle\" fill=\"{}\"><text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{size:.1}\" font-weight=\"600\">{number}</text>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{:.1}\" opacity=\"0.75\">{}</text></g>",
                palette.tile_ink,
                x + side / 2.0,
                y + side * 0.52,
                x + side / 2.0,
                y + side * 0.75,
                side * 0.16,
                node_percent(self.graph, node)
            )
        }
    }

    fn node_in_words(&self, node: &GraphNode) -> String {
        let graph = self.graph;
        let part = |count: u32, group: &GraphGroup| {
            let images = counted(u64::from(group.images), "image");
            let share = percent(count, group.images);
            format!("{} of {images} ({share})", grouped(u64::from(count)))
        };
        let mut words = format!(
            "{}, channel {}: a top channel in {}",
            layer_name(graph, node.layer),
            node.channel.0,
            part(node.count, &graph.group)
        );
        if let (Some(second), Some(group)) = (node.second, &graph.second_group) {
            words.push_str(&format!(" and {}", part(second.count, group)));
        }
        if let Some(pagerank) = node.pagerank {
            words.push_str(&format!("; PageRank {pagerank:.5}"));
        }
        if let Some(score) = node.score {
            words.push_str(&format!("; score {:+.3} logits", score.mean));
        }
        words.push_str(&format!("; {} in, {} out", node.in_edges, node.out_edges));
        if node.added_for_logit {
            words.push_str("; added because no selected channel drives the output");
        }
        words
    }

    fn write_classes(&self, svg: &mut String) -> Result {
        let y = self.y(self.graph.layers.len());
        for class in &self.graph.classes {
            let name = plain(&class.name);
            let width = pill_width(&name);
            let x = self.x(class.x);
            writeln!(
                svg,
                "<g><title>{} (class {})</title><rect class=\"class halo\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"{CLASS_HALF_HEIGHT}\" \
                 fill=\"{}\" stroke=\"{}\" stroke-width=\"5\" paint-order=\"stroke\"/>\
                 <text class=\"on-class\" x=\"{x:.1}\" y=\"{:.1}\" font-size=\"15\" font-weight=\"600\" text-anchor=\"middle\" fill=\"{}\">{}</text></g>",
                xml(&name),
                class.class.0,
                x - width / 2.0,
                y - CLASS_HALF_HEIGHT,
                2.0 * CLASS_HALF_HEIGHT,
                self.palette.accent,
                self.palette.paper,
                y + 5.0,
                self.palette.on_accent,
                xml(&shortened(&name, MAX_LABEL))
            )?;
        }
        Ok(())
    }
}

/// Offset of one of `count` ports from the middle of a side.
fn port_offset(rank: usize, count: usize, side: f64) -> f64 {
    let spread = (side * 0.66).min(count as f64 * WIDEST_EDGE);
    ((rank as f64 + 0.5) / count as f64 - 0.5) * spread
}

fn pill_width(name: &str) -> f64 {
    40.0 + 8.6 * name.chars().count().min(MAX_LABEL) as f64
}

/// Text content of XML.
fn xml(text: &str) -> String {
    plain(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
