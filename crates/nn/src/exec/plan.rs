//! Compiles a graph into steps.

use super::fuse::{Group, groups};
use super::layout::{BufferId, Map, Place};
use super::place::{
    Halo, InPlace, Placement, image_shape, is_channels_first, is_channels_last, place,
};
use super::session::Session;
use super::step::{Operand, Step, StepKind};
use crate::graph::ir::{Adjoint, Graph, Node, NodeId, Op, Reduce, ValueId};
use crate::kernels::elementwise::Lrn;
use crate::kernels::pool::Kind;
use crate::kernels::simd::Isa;
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
        let groups = groups(graph, &options.observed);
        let placement = place(graph, &groups, &options.observed);
        let planner = Planner {
            graph,
            placement: &placement,
            isa,
        };
        let mut scratch = 0;
        let mut unfed = graph.feeds.clone();
        let mut steps = Vec::with_capacity(groups.len());
        for (index, group) in groups.iter().enumerate() {
            let kind = planner.kind(group, placement.in_place[index]);
            scratch = scratch.max(kind.scratch());
            let mut outputs = graph.nodes[group.main.index()].outputs.clone();
            if let Some(first) = outputs.first_mut() {
                *first = group.output;
            }
            let (feeds, later) = unfed
                .into_iter()
                .partition(|&feed| group.reads(graph, feed));
            unfed = later;
            steps.push(Step {
                feeds,
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

    /// Bytes of a session's arena for `graph` without the kernels' scratch, found without packing
    /// weights.
    #[must_use]
    pub fn values_bytes(graph: &Graph, options: &CompileOptions) -> usize {
        let groups = groups(graph, &options.observed);
        let placement = place(graph, &groups, &options.observed);
        placement.slot_elements.iter().sum::<usize>() * size_of::<f32>()
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

pub(super) struct Planner<'a> {
    pub(super) graph: &'a Graph,
    placement: &'a Placement,
    pub(super) isa: Isa,
}

impl Planner<'_> {
    pub(super) fn constant(&self, value: ValueId) -> Option<&[f32]> {
        self.graph.values[value.index()]
            .constant
            .as_ref()
            .map(|tensor| &*tensor.data)
    }

    pub(super) fn image(&self, value: ValueId) -> Option<(BufferId, Map)> {
        match self.placement.places[value.index()] {
            Some(Place::Image(buffer, map)) => Some((buffer, map)),
            _ => None,
        }
    }

    pub(super) fn flat(&self, value: ValueId) -> Option<(BufferId, usize)> {
        match self.placement.places[value.index()] {
            Some(Place::Flat(buffer, _, len)) => Some((buffer, len)),
            _ => None,
        }
    }

    pub(super) fn shape(&self, value: ValueId) -> &[usize] {
        &self.graph.values[value.index()].shape
    }

    /// The step for a group; [`StepKind::Generic`] where nothing better exists.
    fn kind(&self, group: &Group, in_place: InPlace) -> StepKind {
        let node = &self.graph.nodes[group.main.index()];
        if in_place == InPlace::View {
            return StepKind::Nothing;
        }
        let kind = match &node.op {
            Op::Conv(conv) => self.conv(group, node, conv, false),
            Op::ConvTranspose(conv) => self.conv(group, node, conv, true),
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
            Op::Reduce {
                kind: Reduce::Sum,
                axes,
                keep_dims: true,
            } if axes == &[2, 3] => self.global(node, Kind::Sum),
            Op::Adjoint(adjoint) => self.adjoint(node, adjoint),
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
    pub(super) fn folded(&self, group: &Group, bias: Vec<f32>) -> Option<(Vec<f32>, Vec<f32>)> {
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
                let map = map.repeated(shape[0]);
                let own = [shape[0], own[1], own[2], own[3]];
                if map.batch != shape[0] {
                    None
                } else if own == shape {
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

    /// Gradients with kernels of their own; the forward values they read may be one image for all.
    fn adjoint(&self, node: &Node, adjoint: &Adjoint) -> Option<StepKind> {
        let forward = |index: usize, batch: usize| -> Option<Operand> {
            let (buffer, map) = self.image(*node.inputs.get(index)?)?;
            let map = map.repeated(batch);
            (map.batch == batch).then_some((buffer, map))
        };
        if let Adjoint::Unary(function) = adjoint {
            let output = node.outputs[0];
            if let Some(to) = self.image(output) {
                return Some(StepKind::UnaryAdjoint {
                    function: *function,
                    g: self.image(node.inputs[0])?,
                    x: forward(1, to.1.batch)?,
                    to,
                });
            }
            let (to, len) = self.flat(output)?;
            let (x, period) = self.flat(node.inputs[1])?;
            return Some(StepKind::UnaryAdjointFlat {
                function: *function,
                g: self.flat(node.inputs[0])?.0,
                x,
                to,
                len,
                period,
            });
        }
        if let Adjoint::Score = adjoint {
            let g = self.image(node.inputs[0])?;
            return Some(StepKind::Score {
                g,
                x: forward(1, g.1.batch)?,
                to: self.flat(node.outputs[0])?.0,
            });
        }
        let [g, to] = self.images(node)?;
        match adjoint {
            Adjoint::MaxPool(window) => Some(StepKind::MaxPoolAdjoint {
                window: window.clone(),
                g,
                x: forward(1, g.1.batch)?,
                y: forward(2, g.1.batch)?,
                to,
            }),
            Adjoint::AveragePool(window) => Some(StepKind::AveragePoolAdjoint {
                window: window.clone(),
                g,
                to,
            }),
            Adjoint::ConvWeight(conv) => Some(StepKind::WeightGradient {
                conv: conv.clone(),
                g,
                x: forward(1, g.1.batch)?,
                to,
            }),
            Adjoint::Lrn {
                size,
                alpha,
                beta,
                bias,
            } => Some(StepKind::LrnAdjoint {
                lrn: Lrn {
                    size: *size,
                    alpha: *alpha,
                    beta: *beta,
                    bias: *bias,
                },
                g,
                x: forward(1, g.1.batch)?,
                to,
            }),
            _ => None,
        }
    }
}
