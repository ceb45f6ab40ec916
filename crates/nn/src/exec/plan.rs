//! Compiles a graph into steps.

use super::fuse::{Group, groups};
use super::layout::{BufferId, Map, Place};
use super::place::{
    Halo, InPlace, Placement, image_shape, is_channels_first, is_channels_last, kernel_of, place,
    uses_winograd,
};
use super::session::Session;
use super::step::{Operand, Product, Step, StepKind};
use crate::graph::ir::{Conv, Graph, Node, NodeId, Op, ValueId};
use crate::kernels::depthwise::DepthwiseWeights;
use crate::kernels::elementwise::Lrn;
use crate::kernels::matrix::{PackedWeights, Segment};
use crate::kernels::pool::Kind;
use crate::kernels::simd::Isa;
use crate::kernels::winograd::WinogradWeights;
use std::sync::Arc;

/// Why a graph cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The input is not an image.
    #[error("the network's input is not an image of shape [N, C, H, W], but {0:?}")]
    Input(Vec<usize>),
    /// A value is too large to be addressed.
    #[error("a value of {elements} elements is too large, in node \"{node}\"")]
    TooLarge {
        /// The node that computes it.
        node: String,
        /// Its elements.
        elements: usize,
    },
}

/// What to compile for.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// Values handed to the observer of [`Session::run`]; they are never fused away.
    pub observed: Vec<ValueId>,
    /// Use plain Rust kernels whatever the processor offers.
    pub portable: bool,
    /// Keep every stored value until the end of a run, as differentiation needs.
    pub retain: bool,
}

/// A compiled network: immutable, shared by the sessions of all workers.
#[derive(Debug)]
pub struct Network {
    pub(crate) graph: Graph,
    pub(crate) steps: Vec<Step>,
    pub(crate) places: Vec<Option<Place>>,
    pub(crate) slots: Vec<usize>,
    pub(crate) slot_elements: Vec<usize>,
    pub(crate) halos: Vec<Option<Halo>>,
    pub(crate) observed: Vec<bool>,
    pub(crate) isa: Isa,
    pub(crate) scratch: usize,
}

impl Network {
    /// Compiles `graph`; the batch size is that of its input.
    ///
    /// # Errors
    /// When the input is not an image or a value has more than 2^31 elements.
    pub fn compile(graph: &Graph, options: &CompileOptions) -> Result<Arc<Self>, CompileError> {
        let input = &graph.values[graph.input.index()];
        if input.shape.len() != 4 {
            return Err(CompileError::Input(input.shape.clone()));
        }
        for node in &graph.nodes {
            for output in &node.outputs {
                let elements = graph.values[output.index()].shape.iter().product::<usize>();
                if elements > 1 << 30 {
                    return Err(CompileError::TooLarge {
                        node: node.name.clone(),
                        elements,
                    });
                }
            }
        }
        let isa = if options.portable {
            Isa::Portable
        } else {
            Isa::detect_once()
        };
        let groups = groups(graph, &options.observed, options.retain);
        let placement = place(graph, &groups, &options.observed, options.retain);
        let planner = Planner {
            graph,
            placement: &placement,
            isa,
        };
        let mut scratch = 0;
        let mut steps = Vec::with_capacity(groups.len());
        for (index, group) in groups.iter().enumerate() {
            let kind = planner.kind(group, placement.in_place[index]);
            if let StepKind::Winograd { weights, .. } = &kind {
                scratch = scratch.max(weights.scratch());
            }
            let mut outputs = graph.nodes[group.main.index()].outputs.clone();
            if let Some(first) = outputs.first_mut() {
                *first = group.output;
            }
            steps.push(Step {
                nodes: group.nodes.clone(),
                kind,
                clear: placement.clear[index].clone(),
                outputs,
            });
        }
        let mut observed = vec![false; graph.values.len()];
        for value in options.observed.iter().chain([&graph.output]) {
            observed[value.index()] = true;
        }
        let Placement {
            places,
            slots,
            slot_elements,
            halos,
            ..
        } = placement;
        Ok(Arc::new(Self {
            graph: graph.clone(),
            steps,
            places,
            slots,
            slot_elements,
            halos,
            observed,
            isa,
            scratch,
        }))
    }

    /// The graph it was compiled from.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// A new session with its own memory.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self))
    }

    /// Bytes of one session's arena.
    #[must_use]
    pub fn session_bytes(&self) -> usize {
        (self.slot_elements.iter().sum::<usize>() + self.scratch) * size_of::<f32>()
    }

    /// The steps in the order they run: how each one is computed, and the nodes it stands for.
    pub fn steps(&self) -> impl Iterator<Item = (&'static str, &[NodeId])> {
        self.steps
            .iter()
            .map(|step| (step.kind.name(), step.nodes.as_slice()))
    }

    /// Steps that run through the naive executor because no kernel exists for them: node names.
    #[must_use]
    pub fn slow_nodes(&self) -> Vec<&str> {
        self.steps
            .iter()
            .filter(|step| matches!(step.kind, StepKind::Generic))
            .filter_map(|step| step.nodes.first())
            .map(|node| self.graph.nodes[node.index()].name.as_str())
            .collect()
    }

    pub(crate) fn slot(&self, buffer: BufferId) -> usize {
        self.slots[buffer.index()]
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    placement: &'a Placement,
    isa: Isa,
}

impl Planner<'_> {
    fn constant(&self, value: ValueId) -> Option<&[f32]> {
        self.graph.values[value.index()]
            .constant
            .as_ref()
            .map(|tensor| &*tensor.data)
    }

    fn image(&self, value: ValueId) -> Option<(BufferId, Map)> {
        match self.placement.places[value.index()] {
            Some(Place::Image(buffer, map)) => Some((buffer, map)),
            _ => None,
        }
    }

    fn flat(&self, value: ValueId) -> Option<(BufferId, usize)> {
        match self.placement.places[value.index()] {
            Some(Place::Flat(buffer, _, len)) => Some((buffer, len)),
            _ => None,
        }
    }

    fn shape(&self, value: ValueId) -> &[usize] {
        &self.graph.values[value.index()].shape
    }

    /// The step for a group; [`StepKind::Generic`] where nothing better exists.
    fn kind(&self, group: &Group, in_place: InPlace) -> StepKind {
        let node = &self.graph.nodes[group.main.index()];
        if in_place == InPlace::View {
            return StepKind::Nothing;
        }
        let kind = match &node.op {
            Op::Conv(conv) => self.conv(group, node, conv),
            Op::Gemm { .. } | Op::MatMul => self.product(group, node),
            Op::MaxPool(pool) => self.images(node).map(|[from, to]| StepKind::Pool {
                kind: Kind::Max,
                window: pool.clone(),
                from,
                to,
            }),
            Op::AveragePool(pool) => self.images(node).map(|[from, to]| StepKind::Pool {
                kind: Kind::Average,
                window: pool.clone(),
                from,
                to,
            }),
            Op::GlobalAveragePool => self.global(node, Kind::Average),
            Op::GlobalMaxPool => self.global(node, Kind::Max),
            Op::BatchNormalization { epsilon } => self.normalization(node, *epsilon),
            Op::Lrn {
                size,
                alpha,
                beta,
                bias,
            } => {
                let lrn = Lrn {
                    size: *size,
                    alpha: *alpha,
                    beta: *beta,
                    bias: *bias,
                };
                self.images(node)
                    .map(|[from, to]| StepKind::Lrn { lrn, from, to })
            }
            Op::Unary(function) => match in_place {
                InPlace::Overwrite => self.image(group.output).map(|to| StepKind::Overwrite {
                    function: *function,
                    to,
                }),
                _ => self.unary(node, *function),
            },
            Op::Binary(function) => self.binary(node, *function),
            Op::Concat { axis: 1 } => self.concat(node),
            Op::Reshape => self.reshape(node),
            Op::Transpose { perm } => self.transpose(node, perm),
            _ => None,
        };
        kind.unwrap_or(StepKind::Generic)
    }

    fn images(&self, node: &Node) -> Option<[Operand; 2]> {
        Some([self.image(node.inputs[0])?, self.image(node.outputs[0])?])
    }

    fn global(&self, node: &Node, kind: Kind) -> Option<StepKind> {
        self.images(node)
            .map(|[from, to]| StepKind::Global { kind, from, to })
    }

    /// Scale and shift per output channel of the normalisation after a convolution.
    fn folded(&self, group: &Group, bias: Vec<f32>) -> Option<(Vec<f32>, Vec<f32>)> {
        let Some(normalization) = group.normalization else {
            return Some((vec![1.0; bias.len()], bias));
        };
        let node = &self.graph.nodes[normalization.index()];
        let Op::BatchNormalization { epsilon } = node.op else {
            return None;
        };
        let (scale, shift) = self.affine(node, epsilon)?;
        let bias = bias
            .iter()
            .zip(&scale)
            .zip(&shift)
            .map(|((b, s), t)| b * s + t)
            .collect();
        Some((scale, bias))
    }

    fn affine(&self, node: &Node, epsilon: f32) -> Option<(Vec<f32>, Vec<f32>)> {
        let [scale, shift, mean, variance] =
            [1, 2, 3, 4].map(|index| node.inputs.get(index).and_then(|&v| self.constant(v)));
        let (scale, shift, mean, variance) = (scale?, shift?, mean?, variance?);
        let factors: Vec<f32> = scale
            .iter()
            .zip(variance)
            .map(|(&s, &v)| (f64::from(s) / (f64::from(v) + f64::from(epsilon)).sqrt()) as f32)
            .collect();
        let shifts = shift
            .iter()
            .zip(mean)
            .zip(&factors)
            .map(|((&b, &m), &f)| (f64::from(b) - f64::from(m) * f64::from(f)) as f32)
            .collect();
        Some((factors, shifts))
    }

    fn conv(&self, group: &Group, node: &Node, conv: &Conv) -> Option<StepKind> {
        let weight = self.constant(node.inputs[1])?;
        let (from_buffer, from) = self.image(node.inputs[0])?;
        let to = self.image(group.output)?;
        let residual = match group.residual {
            Some(value) => Some(self.image(value)?),
            None => None,
        };
        let outputs = self.shape(node.inputs[1])[0];
        let bias = match node.inputs.get(2) {
            Some(&value) => self.constant(value)?.to_vec(),
            None => vec![0.0; outputs],
        };
        let (scale, bias) = self.folded(group, bias)?;
        let kernel = kernel_of(self.graph, node.inputs[1]);
        let per_group = self.shape(node.inputs[1])[1];
        let at = |j: usize, i: usize, ky: usize, kx: usize| {
            weight[((j * per_group + i) * kernel[0] + ky) * kernel[1] + kx] * scale[j]
        };
        let pad = [conv.pads[0], conv.pads[1]];
        let from_operand = (from_buffer, from);
        if conv.groups > 1 && per_group == 1 && outputs == conv.groups {
            let weights = DepthwiseWeights::new(
                self.isa,
                bias,
                kernel,
                conv.strides,
                conv.dilations,
                |channel, ky, kx| at(channel, 0, ky, kx),
            );
            return Some(StepKind::Depthwise {
                weights,
                pad,
                from: from_operand,
                to,
                clamp: group.clamp,
            });
        }
        if uses_winograd(self.graph, group) {
            let weights = WinogradWeights::new(self.isa, from.channels, outputs, at);
            return Some(StepKind::Winograd {
                weights,
                pad,
                from: from_operand,
                to,
                residual,
                bias,
                clamp: group.clamp,
            });
        }
        Some(self.dense(
            conv,
            kernel,
            per_group,
            [from_operand, to],
            residual,
            &bias,
            group.clamp,
            at,
        ))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one convolution")]
    fn dense(
        &self,
        conv: &Conv,
        kernel: [usize; 2],
        per_group: usize,
        [from, to]: [Operand; 2],
        residual: Option<Operand>,
        bias: &[f32],
        clamp: [f32; 2],
        at: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> StepKind {
        let [kernel_y, kernel_x] = kernel;
        let (map, out) = (from.1, to.1);
        let shift = conv.pads[0] * map.row + conv.pads[1] * map.pixel;
        let mut pixels = Vec::with_capacity(out.batch * out.height * out.width);
        for n in 0..out.batch {
            for y in 0..out.height {
                for x in 0..out.width {
                    let corner = map.at(n, y * conv.strides[0], x * conv.strides[1]);
                    pixels.push((corner - shift) as u32);
                }
            }
        }
        // Neighbouring taps of a row are one run when the pixels are: one longer segment.
        let joined = map.rows_are_contiguous() && conv.dilations[1] == 1 && conv.groups == 1;
        let mut segments = Vec::new();
        for ky in 0..kernel_y {
            let row = ky * conv.dilations[0] * map.row;
            if joined {
                segments.push(Segment {
                    offset: row,
                    len: kernel_x * per_group,
                });
            } else {
                segments.extend((0..kernel_x).map(|kx| Segment {
                    offset: row + kx * conv.dilations[1] * map.pixel,
                    len: per_group,
                }));
            }
        }
        let out_per_group = bias.len() / conv.groups;
        let products = (0..conv.groups)
            .map(|index| {
                let first = index * out_per_group;
                Product {
                    weights: PackedWeights::new(self.isa, &segments, out_per_group, |k, j| {
                        let (tap, i) = (k / per_group, k % per_group);
                        at(first + j, i, tap / kernel_x, tap % kernel_x)
                    }),
                    bias: bias[first..first + out_per_group].to_vec(),
                    input_shift: index * per_group,
                    output_shift: first,
                }
            })
            .collect();
        StepKind::Matrix {
            products,
            from: from.0,
            pixels,
            to: to.0,
            out_pixels: out.pixels(),
            residual: residual.map(|(buffer, map)| (buffer, map.pixels())),
            clamp,
        }
    }

    /// Gemm and MatMul with a constant right operand on flat data.
    fn product(&self, group: &Group, node: &Node) -> Option<StepKind> {
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
            }],
            from,
            pixels: (0..rows).map(|row| (row * depth) as u32).collect(),
            to,
            out_pixels: (0..rows).map(|row| (row * columns) as u32).collect(),
            residual: None,
            clamp: group.clamp,
        })
    }

    fn normalization(&self, node: &Node, epsilon: f32) -> Option<StepKind> {
        let [from, to] = self.images(node)?;
        let (scale, shift) = self.affine(node, epsilon)?;
        Some(StepKind::Affine {
            scale,
            shift,
            from,
            to,
        })
    }

    fn unary(&self, node: &Node, function: crate::graph::ir::Unary) -> Option<StepKind> {
        if let Some([from, to]) = self.images(node) {
            return Some(StepKind::Unary { function, from, to });
        }
        let (from, len) = self.flat(node.inputs[0])?;
        let (to, _) = self.flat(node.outputs[0])?;
        Some(StepKind::UnaryFlat {
            function,
            from,
            to,
            len,
        })
    }

    fn binary(&self, node: &Node, function: crate::graph::ir::Binary) -> Option<StepKind> {
        use super::step::Side;
        let output = node.outputs[0];
        if let Some(to) = self.image(output) {
            let shape = image_shape(self.graph, output)?;
            let side = |value: ValueId| -> Option<Side> {
                if let Some(data) = self.constant(value) {
                    if let [single] = data {
                        return Some(Side::Scalar(*single));
                    }
                    let channels_at = self.shape(value).len().checked_sub(3)?;
                    let along_channels =
                        data.len() == shape[1] && self.shape(value)[channels_at] == shape[1];
                    return along_channels.then(|| Side::Channels(data.to_vec()));
                }
                let (buffer, map) = self.image(value)?;
                let own = image_shape(self.graph, value)?;
                if own == shape {
                    Some(Side::Image(buffer, map))
                } else if own == [shape[0], shape[1], 1, 1] {
                    Some(Side::Gate(buffer, map))
                } else {
                    None
                }
            };
            let (a, b) = (side(node.inputs[0])?, side(node.inputs[1])?);
            return Some(StepKind::Binary { function, a, b, to });
        }
        let (to, len) = self.flat(output)?;
        let last = self.shape(output).last().copied().unwrap_or(1);
        let side = |value: ValueId| -> Option<Side> {
            if let Some(data) = self.constant(value) {
                return match data {
                    [single] => Some(Side::Scalar(*single)),
                    many if many.len() == len => Some(Side::Whole(many.to_vec())),
                    many if many.len() == last && self.shape(value).last() == Some(&last) => {
                        Some(Side::Channels(many.to_vec()))
                    }
                    _ => None,
                };
            }
            let (buffer, own) = self.flat(value)?;
            (own == len).then_some(Side::Flat(buffer))
        };
        let (a, b) = (side(node.inputs[0])?, side(node.inputs[1])?);
        Some(StepKind::BinaryFlat {
            function,
            a,
            b,
            to,
            len,
            last,
        })
    }

    /// Copies only the parts that could not be computed in place.
    fn concat(&self, node: &Node) -> Option<StepKind> {
        let (to_buffer, to) = self.image(node.outputs[0])?;
        let mut channel = 0;
        let mut copies = Vec::new();
        for &part in &node.inputs {
            let (buffer, map) = self.image(part)?;
            let target = to.slice_channels(channel, map.channels);
            if (buffer, map) != (to_buffer, target) {
                if buffer == to_buffer {
                    return None;
                }
                copies.push(((buffer, map), (to_buffer, target)));
            }
            channel += map.channels;
        }
        Some(StepKind::Copy { copies })
    }

    fn reshape(&self, node: &Node) -> Option<StepKind> {
        let (from, to) = (node.inputs[0], node.outputs[0]);
        if let (Some(from), Some((to, _))) = (self.image(from), self.flat(to)) {
            return Some(StepKind::ToFlat {
                from,
                to,
                channels_last: false,
            });
        }
        if let (Some((from, _)), Some(to)) = (self.flat(from), self.image(to)) {
            return Some(StepKind::ToImage {
                from,
                to,
                channels_last: false,
            });
        }
        let ((from, len), (to, _)) = (self.flat(from)?, self.flat(to)?);
        Some(StepKind::CopyFlat { from, to, len })
    }

    fn transpose(&self, node: &Node, perm: &[usize]) -> Option<StepKind> {
        let (from, to) = (node.inputs[0], node.outputs[0]);
        if is_channels_last(perm) {
            let (to, _) = self.flat(to)?;
            return Some(StepKind::ToFlat {
                from: self.image(from)?,
                to,
                channels_last: true,
            });
        }
        if is_channels_first(perm) {
            let (from, _) = self.flat(from)?;
            return Some(StepKind::ToImage {
                from,
                to: self.image(to)?,
                channels_last: true,
            });
        }
        None
    }
}
