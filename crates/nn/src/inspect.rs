//! What is in a model file, for a person or a script: `summit inspect`.
//!
//! A function of the loaded model alone; nothing is run. The report serialises (`--json`) and prints
//! as a table. Multiply-adds count those of Conv, ConvTranspose, Gemm and MatMul for one image.

use crate::graph::ir::{Graph, Node, Op, ValueId};
use crate::layers::{Blocks, LayerValue, find_blocks, find_layers};
use crate::onnx::Model;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use summit_tables::{Block, BlockStep};

/// A network at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectReport {
    /// Name of the image input.
    pub input: String,
    /// Its extents `[N, C, H, W]`.
    pub input_shape: Vec<usize>,
    /// Name of the output that is explained.
    pub output: String,
    /// Number of logits.
    pub classes: usize,
    /// The file goes on to a Softmax after the logits.
    pub output_is_probability: bool,
    /// Version of the standard operator set.
    pub opset: i64,
    /// Program that wrote the file, with its version.
    pub producer: String,
    /// All metadata of the file; preprocessing is read from these.
    pub metadata: BTreeMap<String, String>,
    /// Operators in the file, by name.
    pub operators: BTreeMap<String, u64>,
    /// Numbers in the constants of the graph.
    pub parameters: u64,
    /// Multiply-adds per image.
    pub multiply_adds: u64,
    /// Number of values every path from input to output crosses, of any shape.
    pub cuts: usize,
    /// The layers, input side first.
    pub layers: Vec<LayerReport>,
    /// The blocks: below each layer but the first, and below the logits.
    pub blocks: Vec<BlockReport>,
}

/// One layer of an [`InspectReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Tensor name, as `--layers` takes it.
    pub name: String,
    /// `[C, H, W]`
    pub shape: [u32; 3],
    /// May hold negative values.
    pub signed: bool,
    /// Every path crosses it.
    pub is_cut: bool,
    /// Input pixels from one unit to the next, `[y, x]`.
    pub receptive_stride: [f64; 2],
    /// Input pixels a unit can see, `[y, x]`, before clipping to the image.
    pub receptive_size: [u32; 2],
    /// First pixel unit (0, 0) can see, `[y, x]`.
    pub receptive_start: [f64; 2],
}

/// What lies between two layers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockReport {
    /// Name of the layer nearer to the input.
    pub lower: String,
    /// Name of the next layer, or of the output.
    pub upper: String,
    /// Convolutions (and matrix products) whose influence is counted.
    pub convolutions: usize,
    /// Convolutions on the shortest and on the longest way; 0: channels also pass unchanged.
    pub depth: [usize; 2],
    /// The channels of `upper` can be followed back to `lower`.
    pub connected: bool,
    /// Names of operators inside whose operands' channels cannot be followed.
    pub untraced: Vec<String>,
}

/// Describes a model with the layers the cut rule finds.
#[must_use]
pub fn report(model: &Model) -> InspectReport {
    report_layers(model, &find_layers(&model.graph))
}

/// Describes a model with layers chosen by name.
#[must_use]
pub fn report_layers(model: &Model, layers: &[LayerValue]) -> InspectReport {
    let graph = &model.graph;
    let shape = |value: ValueId| graph.values.get(value.index()).map(|value| &value.shape);
    let found = find_blocks(graph, layers);
    InspectReport {
        input: model.input_name.clone(),
        input_shape: shape(graph.input).cloned().unwrap_or_default(),
        output: model.output_name.clone(),
        classes: model.classes(),
        output_is_probability: model.output_is_probability,
        opset: model.opset,
        producer: model.producer.clone(),
        metadata: model.metadata.clone(),
        operators: model.operators.clone(),
        parameters: model.parameters,
        multiply_adds: multiply_adds(graph),
        cuts: crate::layers::cut_values(graph).len(),
        layers: layers.iter().map(layer_report).collect(),
        blocks: block_reports(graph, &found, &model.output_name),
    }
}

fn layer_report(layer: &LayerValue) -> LayerReport {
    let info = &layer.info;
    LayerReport {
        name: info.name.clone(),
        shape: [info.channels, info.height, info.width],
        signed: info.signed,
        is_cut: info.is_cut,
        receptive_stride: info.receptive_stride,
        receptive_size: info.receptive_size,
        receptive_start: info.receptive_start,
    }
}

fn block_reports(graph: &Graph, found: &Blocks, output: &str) -> Vec<BlockReport> {
    let name = |layer: summit_tables::LayerId| {
        let info = found.info.layers.get(layer.index());
        info.map_or_else(String::new, |info| info.name.clone())
    };
    let blocks = found.info.blocks.iter().zip(&found.untraced);
    blocks
        .map(|(block, untraced)| {
            let depth = depth(block);
            let nodes = untraced.iter().filter_map(|id| graph.nodes.get(id.index()));
            BlockReport {
                lower: name(block.lower),
                upper: block.upper.map_or_else(|| output.to_owned(), name),
                convolutions: block.convs.len(),
                depth: depth.unwrap_or([0, 0]),
                connected: depth.is_some(),
                untraced: nodes.map(|node| node.name.clone()).collect(),
            }
        })
        .collect()
}

/// Fewest and most convolutions on a way through the block; `None` without a way.
fn depth(block: &Block) -> Option<[usize; 2]> {
    let mut depths: Vec<Option<[usize; 2]>> = vec![None; block.tensors.len()];
    *depths.first_mut()? = Some([0, 0]);
    // Edges are sorted by their end, so every start is finished before it is read.
    for edge in &block.edges {
        let Some([fewest, most]) = depths.get(edge.from as usize).copied().flatten() else {
            continue;
        };
        let convolutions = usize::from(matches!(edge.step, BlockStep::Conv(_)));
        let way = [fewest + convolutions, most + convolutions];
        if let Some(slot) = depths.get_mut(edge.to as usize) {
            *slot = Some(match *slot {
                None => way,
                Some([fewest, most]) => [fewest.min(way[0]), most.max(way[1])],
            });
        }
    }
    depths.last().copied().flatten()
}

/// Multiply-adds of one node for the whole batch; 0 for anything but convolutions and products.
#[must_use]
pub fn node_multiply_adds(graph: &Graph, node: &Node) -> u64 {
    let shape = |value: Option<&ValueId>| -> &[usize] {
        let value = value.and_then(|value| graph.values.get(value.index()));
        value.map_or(&[], |value| value.shape.as_slice())
    };
    let product = |extents: &[usize]| {
        let extents = extents.iter().map(|&extent| extent as u64);
        extents.fold(1_u64, u64::saturating_mul)
    };
    let (a, b) = (shape(node.inputs.first()), shape(node.inputs.get(1)));
    let result = product(shape(node.outputs.first()));
    let per_element = match &node.op {
        Op::Conv(_) => product(b.get(1..).unwrap_or_default()),
        // Every input element is spread over `[Cout / groups, Kh, Kw]`.
        Op::ConvTranspose(_) => {
            return product(a).saturating_mul(product(b.get(1..).unwrap_or_default()));
        }
        Op::Gemm { trans_a, .. } => {
            let inner = a.get(usize::from(!trans_a));
            inner.map_or(0, |&inner| inner as u64)
        }
        Op::MatMul => a.last().map_or(0, |&inner| inner as u64),
        _ => 0,
    };
    result.saturating_mul(per_element)
}

/// Multiply-adds of the weighted operators for one image; saturates.
fn multiply_adds(graph: &Graph) -> u64 {
    let batch = graph
        .values
        .get(graph.input.index())
        .and_then(|input| input.shape.first())
        .map_or(1, |&batch| batch as u64);
    let nodes = graph.nodes.iter();
    let total = nodes.fold(0_u64, |sum, node| {
        sum.saturating_add(node_multiply_adds(graph, node))
    });
    total / batch.max(1)
}

/// `1234567` as `1.23 M`.
fn short_count(count: u64) -> String {
    // Three significant digits; the cast loses nothing that is shown.
    let count_real = count as f64;
    [(1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|&(unit, _)| count_real >= unit)
        .map_or_else(
            || count.to_string(),
            |(unit, suffix)| {
                let scaled = count_real / unit;
                let decimals = usize::from(scaled < 100.0) + usize::from(scaled < 10.0);
                format!("{scaled:.decimals$} {suffix}")
            },
        )
}

/// `[y, x]` as one number where they agree.
fn pair(y: impl fmt::Display, x: impl fmt::Display) -> String {
    let (y, x) = (y.to_string(), x.to_string());
    if y == x { y } else { format!("{y}x{x}") }
}

/// At most three decimals, none where they are zero.
fn number(x: f64) -> String {
    let text = format!("{x:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text from the file, without characters that could steer a terminal.
fn printable(text: &str) -> String {
    const LIMIT: usize = 200;
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LIMIT)
        .collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

impl fmt::Display for InspectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape: Vec<String> = self.input_shape.iter().map(usize::to_string).collect();
        writeln!(
            f,
            "input         {} [{}]",
            printable(&self.input),
            shape.join(", ")
        )?;
        let softmax = if self.output_is_probability {
            ", before its Softmax"
        } else {
            ""
        };
        let output = printable(&self.output);
        writeln!(
            f,
            "output        {output} [{} classes{softmax}]",
            self.classes
        )?;
        writeln!(f, "parameters    {}", short_count(self.parameters))?;
        writeln!(
            f,
            "multiply-adds {} an image",
            short_count(self.multiply_adds)
        )?;
        let producer = match self.producer.trim() {
            "" => "unknown".to_owned(),
            name => printable(name),
        };
        writeln!(
            f,
            "file          opset {}, written by {producer}",
            self.opset
        )?;
        let operators = self
            .operators
            .iter()
            .map(|(name, count)| format!("{count} {}", printable(name)));
        let operators: Vec<String> = operators.collect();
        writeln!(f, "operators     {}", operators.join(", "))?;
        for (k, (key, text)) in self.metadata.iter().enumerate() {
            let title = if k == 0 { "metadata" } else { "" };
            writeln!(f, "{title:<13} {} = {}", printable(key), printable(text))?;
        }
        self.write_layers(f)?;
        self.write_blocks(f)
    }
}

impl InspectReport {
    fn write_layers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() {
            return writeln!(
                f,
                "\nno layers: no tensor [N, C, H, W] is crossed by every path"
            );
        }
        let rows = self.layers.iter().map(|layer| {
            let [channels, height, width] = layer.shape;
            let [stride_y, stride_x] = layer.receptive_stride;
            let [size_y, size_x] = layer.receptive_size;
            let mut notes = Vec::new();
            if layer.signed {
                notes.push("signed");
            }
            if !layer.is_cut {
                notes.push("no cut");
            }
            [
                printable(&layer.name),
                channels.to_string(),
                format!("{height}x{width}"),
                pair(size_y, size_x),
                pair(number(stride_y), number(stride_x)),
                notes.join(", "),
            ]
        });
        writeln!(
            f,
            "\nlayers, input side first ({} of {} cuts)",
            self.layers.len(),
            self.cuts
        )?;
        write_table(
            f,
            ["layer", "channels", "map", "sees px", "every px", ""],
            rows.collect(),
        )
    }

    fn write_blocks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 4]> = self
            .blocks
            .iter()
            .map(|block| {
                let [fewest, most] = block.depth;
                let mut notes = Vec::new();
                if !block.connected {
                    notes.push("channels cannot be followed".to_owned());
                }
                if !block.untraced.is_empty() {
                    notes.push(format!("{} operators not followed", block.untraced.len()));
                }
                let depth = if fewest == most {
                    most.to_string()
                } else {
                    format!("{fewest}-{most}")
                };
                [
                    printable(&block.upper),
                    block.convolutions.to_string(),
                    depth,
                    notes.join(", "),
                ]
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nblocks, each from the layer before (depth: convolutions on a path)"
        )?;
        write_table(f, ["into", "convs", "depth", ""], rows)
    }
}

/// Columns as wide as their widest cell: the first left-aligned, the last as it is.
fn write_table<const COLUMNS: usize>(
    f: &mut fmt::Formatter<'_>,
    head: [&str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
) -> fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    for row in std::iter::once(&head.map(str::to_owned)).chain(&rows) {
        let mut line = String::from(" ");
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            line.push(' ');
            if column == 0 {
                line.push_str(&format!("{cell:<width$}"));
            } else if column + 1 == COLUMNS {
                line.push_str(&format!(" {cell}"));
            } else {
                line.push_str(&format!(" {cell:>width$}"));
            }
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}
