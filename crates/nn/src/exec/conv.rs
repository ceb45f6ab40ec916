//! Plans convolutions, transposed convolutions and products with constant weights.

use super::fuse::Group;
use super::layout::Map;
use super::phases::{Phase, phases};
use super::place::{image_shape, kernel_of, uses_winograd};
use super::plan::Planner;
use super::step::{Operand, Product, StepKind};
use super::stream::Stream;
use crate::graph::ir::{Conv, Node, Op};
use crate::kernels::depthwise::DepthwiseWeights;
use crate::kernels::matrix::{PackedWeights, Segment};
use crate::kernels::scatter::ScatterWeights;
use crate::kernels::winograd::WinogradWeights;
use std::sync::Arc;

/// Weights of a convolution, whichever way they are stored.
struct Weights<'a> {
    data: &'a [f32],
    /// One factor per output: the normalisation folded in.
    scale: Vec<f32>,
    bias: Vec<f32>,
    kernel: [usize; 2],
    groups: usize,
    /// Inputs of one group.
    per_group: usize,
    transposed: bool,
}

impl Weights<'_> {
    fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The weight from input i of output j's group.
    fn at(&self, j: usize, i: usize, ky: usize, kx: usize) -> f32 {
        let row = if self.transposed {
            let outputs_per_group = self.outputs() / self.groups;
            let input = j / outputs_per_group * self.per_group + i;
            input * outputs_per_group + j % outputs_per_group
        } else {
            j * self.per_group + i
        };
        self.data[(row * self.kernel[0] + ky) * self.kernel[1] + kx] * self.scale[j]
    }

    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.per_group == 1 && self.outputs() == self.groups
    }
}

/// What a convolution reads and writes.
#[derive(Clone, Copy)]
struct Ends {
    from: Operand,
    to: Operand,
    residual: Option<Operand>,
    gate: Option<Operand>,
    clamp: [f32; 2],
}

impl Planner<'_> {
    pub(super) fn conv(
        &self,
        group: &Group,
        node: &Node,
        conv: &Conv,
        transposed: bool,
    ) -> Option<StepKind> {
        if let Some(source) = &group.source {
            return self.streamed(source, group, conv);
        }
        let optional = |value| match value {
            Some(value) => self.image(value).map(Some),
            None => Some(None),
        };
        let ends = Ends {
            from: self.image(node.inputs[0])?,
            to: self.image(group.output)?,
            residual: optional(group.residual)?,
            gate: optional(group.gate)?,
            clamp: group.clamp,
        };
        let weights = self.weights(group, node, conv, transposed)?;
        let out = [ends.to.1.height, ends.to.1.width];
        if let Some(step) = self.scattered(&weights, conv, &ends) {
            return Some(step);
        }
        let phases = phases(conv, transposed, weights.kernel, out);
        if !weights.is_depthwise() && !uses_winograd(self.graph, group) {
            return self.dense(&weights, &phases, &ends);
        }
        let mut steps: Vec<StepKind> = phases
            .iter()
            .map(|phase| {
                if weights.is_depthwise() {
                    self.depthwise(&weights, phase, &ends)
                } else {
                    self.winograd(&weights, phase, &ends)
                }
            })
            .collect::<Option<_>>()?;
        match steps.len() {
            1 => steps.pop(),
            _ => Some(StepKind::Phases(steps)),
        }
    }

    /// Weights and bias with the normalisation after them folded in.
    fn weights(
        &self,
        group: &Group,
        node: &Node,
        conv: &Conv,
        transposed: bool,
    ) -> Option<Weights<'_>> {
        let shape = self.shape(node.inputs[1]);
        let outputs = if transposed {
            shape[1] * conv.groups
        } else {
            shape[0]
        };
        let bias = match node.inputs.get(2) {
            Some(&value) => self.constant(value)?.to_vec(),
            None => vec![0.0; outputs],
        };
        let (scale, bias) = self.folded(group, bias)?;
        Some(Weights {
            data: self.constant(node.inputs[1])?,
            scale,
            bias,
            kernel: kernel_of(self.graph, node.inputs[1]),
            groups: conv.groups,
            per_group: self.shape(node.inputs[0])[1] / conv.groups,
            transposed,
        })
    }

    /// A dense convolution and the depthwise one after it, row by row.
    fn streamed(&self, source: &Group, group: &Group, conv: &Conv) -> Option<StepKind> {
        let node = &self.graph.nodes[group.main.index()];
        let source_node = &self.graph.nodes[source.main.index()];
        let Op::Conv(source_conv) = &source_node.op else {
            return None;
        };
        let between = image_shape(self.graph, node.inputs[0])?;
        let [batch, channels, height, width] = between;
        let to = self.image(group.output)?;
        let weights = self.weights(group, node, conv, false)?;
        let phase = phases(conv, false, weights.kernel, [to.1.height, to.1.width]).pop()?;
        let [left, right] = phase.axes[1].reach(width, 1);
        let strip = Map::with_halo(between, [0, left, 0, right]);
        let source_weights = self.weights(source, source_node, source_conv, false)?;
        let source_phases = phases(source_conv, false, source_weights.kernel, [height, width]);
        let ends = Ends {
            from: self.image(source_node.inputs[0])?,
            to: (to.0, strip),
            residual: None,
            gate: None,
            clamp: source.clamp,
        };
        let StepKind::Matrix {
            products,
            from,
            clamp,
            ..
        } = self.dense(&source_weights, &source_phases, &ends)?
        else {
            return None;
        };
        Some(StepKind::Stream(Stream {
            product: products.into_iter().next()?,
            from,
            product_clamp: clamp,
            rows: height,
            images: batch,
            strip: Map {
                offset: strip.offset - left * channels,
                batch: 1,
                ..strip
            },
            weights: self.depthwise_weights(&weights, &phase),
            above: conv.pads[0],
            reach: (phase.kernel()[0] - 1) * phase.dilation()[0] + 1,
            stride: phase.stride()[0],
            to,
            clamp: group.clamp,
        }))
    }

    /// A transposed convolution into fewer channels than half a vector, without an epilogue.
    fn scattered(&self, weights: &Weights<'_>, conv: &Conv, ends: &Ends) -> Option<StepKind> {
        let to = ends.to.1;
        let plain = ends.residual.is_none()
            && ends.gate.is_none()
            && ends.clamp == [f32::NEG_INFINITY, f32::INFINITY]
            && weights.bias.iter().all(|&bias| bias == 0.0);
        let fits = weights.transposed
            && weights.groups == 1
            && conv.dilations == [1, 1]
            && weights.outputs() * 2 <= self.isa.lanes()
            && weights.kernel != [1, 1]
            && to.pixel == to.channels;
        (plain && fits).then(|| StepKind::Scatter {
            weights: ScatterWeights::new(
                self.isa,
                [weights.per_group, weights.outputs()],
                weights.kernel,
                conv.strides,
                [conv.pads[0], conv.pads[1]],
                |j, i, ky, kx| weights.at(j, i, ky, kx),
            ),
            from: ends.from,
            to: ends.to,
        })
    }

    /// The taps of one phase, packed.
    fn depthwise_weights(&self, weights: &Weights<'_>, phase: &Phase) -> DepthwiseWeights {
        let [taps_y, taps_x] = [&phase.axes[0].taps, &phase.axes[1].taps];
        DepthwiseWeights::new(
            self.isa,
            &weights.bias,
            phase.kernel(),
            phase.stride(),
            phase.dilation(),
            |channel, ky, kx| weights.at(channel, 0, taps_y[ky], taps_x[kx]),
        )
    }

    fn depthwise(&self, weights: &Weights<'_>, phase: &Phase, ends: &Ends) -> Option<StepKind> {
        Some(StepKind::Depthwise {
            weights: self.depthwise_weights(weights, phase),
            from: (ends.from.0, phase.source(ends.from.1)?),
            to: (ends.to.0, phase.target(ends.to.1)),
            clamp: ends.clamp,
        })
    }

    fn winograd(&self, weights: &Weights<'_>, phase: &Phase, ends: &Ends) -> Option<StepKind> {
        let [taps_y, taps_x] = [&phase.axes[0].taps, &phase.axes[1].taps];
        Some(StepKind::Winograd {
            weights: WinogradWeights::new(
                self.isa,
                weights.per_group,
                weights.outputs(),
                |j, i, ky, kx| weights.at(j, i, taps_y[ky], taps_x[kx]),
            ),
            from: (ends.from.0, phase.source(ends.from.1)?),
            to: ends.to,
            residual: ends.residual,
            gate: ends.gate,
            bias: weights.bias.clone(),
            clamp: ends.clamp,
        })
    }

    /// One product per phase and group.
    fn dense(&self, weights: &Weights<'_>, phases: &[Phase], ends: &Ends) -> Option<StepKind> {
        let mut products = Vec::new();
        for phase in phases {
            let map = phase.source(ends.from.1)?;
            let [stride_y, stride_x] = phase.stride();
            let out = phase.target(ends.to.1);
            let mut pixels = Vec::with_capacity(out.batch * out.height * out.width);
            for n in 0..out.batch {
                for y in 0..out.height {
                    for x in 0..out.width {
                        pixels.push(map.at(n, y * stride_y, x * stride_x) as u32);
                    }
                }
            }
            let pixels: Arc<[u32]> = pixels.into();
            let out_pixels: Arc<[u32]> = out.pixels().into();
            let other = |operand: Option<Operand>| -> Option<Arc<[u32]>> {
                Some(phase.target(operand?.1).pixels().into())
            };
            let (residual_pixels, gate_pixels) = (other(ends.residual), other(ends.gate));
            let per_group = weights.per_group;
            let segments = segments(phase, map, per_group, weights.groups);
            let [taps_y, taps_x] = [&phase.axes[0].taps, &phase.axes[1].taps];
            let out_per_group = weights.outputs() / weights.groups;
            for index in 0..weights.groups {
                let first = index * out_per_group;
                products.push(Product {
                    weights: PackedWeights::new(self.isa, &segments, out_per_group, |k, j| {
                        let (tap, i) = (k / per_group, k % per_group);
                        let (ky, kx) = (taps_y[tap / taps_x.len()], taps_x[tap % taps_x.len()]);
                        weights.at(first + j, i, ky, kx)
                    }),
                    bias: weights.bias[first..first + out_per_group].to_vec(),
                    input_shift: index * per_group,
                    output_shift: first,
                    pixels: Arc::clone(&pixels),
                    out_pixels: Arc::clone(&out_pixels),
                    residual_pixels: residual_pixels.clone(),
                    gate_pixels: gate_pixels.clone(),
                });
            }
        }
        Some(StepKind::Matrix {
            products,
            from: ends.from.0,
            to: ends.to.0,
            residual: ends.residual.map(|(buffer, _)| buffer),
            gate: ends.gate.map(|(buffer, _)| buffer),
            clamp: ends.clamp,
        })
    }

    /// Gemm and MatMul with a constant right operand on flat data.
    pub(super) fn product(&self, group: &Group, node: &Node) -> Option<StepKind> {
        let weight = self.constant(node.inputs[1])?;
        let [rows_k, columns_k] = *self.shape(node.inputs[1]) else {
            return None;
        };
        let (from, _) = self.flat(node.inputs[0])?;
        let (to, len) = self.flat(group.output)?;
        let (alpha, beta, transposed) = match node.op {
            Op::Gemm {
                alpha,
                beta,
                trans_a: false,
                trans_b,
            } => (alpha, beta, trans_b),
            Op::MatMul => (1.0, 1.0, false),
            _ => return None,
        };
        let (depth, columns) = if transposed {
            (columns_k, rows_k)
        } else {
            (rows_k, columns_k)
        };
        let bias = match node.inputs.get(2) {
            Some(&value) => match self.constant(value)? {
                [single] => vec![beta * single; columns],
                many if many.len() == columns && self.shape(value).last() == Some(&columns) => {
                    many.iter().map(|b| beta * b).collect()
                }
                _ => return None,
            },
            None => vec![0.0; columns],
        };
        let rows = len.checked_div(columns)?;
        let segment = Segment {
            offset: 0,
            len: depth,
        };
        let weights = PackedWeights::new(self.isa, &[segment], columns, |k, j| {
            alpha
                * weight[if transposed {
                    j * depth + k
                } else {
                    k * columns + j
                }]
        });
        Some(StepKind::Matrix {
            products: vec![Product {
                weights,
                bias,
                input_shift: 0,
                output_shift: 0,
                pixels: (0..rows).map(|row| (row * depth) as u32).collect(),
                out_pixels: (0..rows).map(|row| (row * columns) as u32).collect(),
                residual_pixels: None,
                gate_pixels: None,
            }],
            from,
            to,
            residual: None,
            gate: None,
            clamp: group.clamp,
        })
    }
}

/// The contiguous runs of input elements one output reads. Neighbouring taps of a row are one run
/// when the pixels are.
fn segments(phase: &Phase, map: Map, per_group: usize, groups: usize) -> Vec<Segment> {
    let [kernel_y, kernel_x] = phase.kernel();
    let [dilation_y, dilation_x] = phase.dilation();
    let joined = map.rows_are_contiguous() && dilation_x == 1 && groups == 1;
    let mut segments = Vec::new();
    for ky in 0..kernel_y {
        let row = ky * dilation_y * map.row;
        if joined {
            segments.push(Segment {
                offset: row,
                len: kernel_x * per_group,
            });
        } else {
            segments.extend((0..kernel_x).map(|kx| Segment {
                offset: row + kx * dilation_x * map.pixel,
                len: per_group,
            }));
        }
    }
    segments
}
