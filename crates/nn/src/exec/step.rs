//! The steps of a plan and how each one runs.

use super::layout::{BufferId, Map};
use super::session::Memory;
use super::stream::Stream;
use crate::graph::ir::{Binary, Conv, NodeId, Pool, Unary, ValueId};
use crate::kernels::adjoint;
use crate::kernels::depthwise::{self, DepthwiseWeights};
use crate::kernels::elementwise::{self, Lrn, runs};
use crate::kernels::matrix::{Epilogue, PackedWeights, multiply};
use crate::kernels::pool::{self, Kind};
use crate::kernels::scatter::{self, ScatterWeights};
use crate::kernels::simd::Isa;
use crate::kernels::weight_gradient::weight_gradient;
use crate::kernels::winograd::{self, WinogradWeights};
use std::sync::Arc;

/// A channels-last value in a buffer.
pub(crate) type Operand = (BufferId, Map);

/// One matrix product of a step: a group of a convolution.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) weights: PackedWeights,
    pub(crate) bias: Vec<f32>,
    /// First input channel.
    pub(crate) input_shift: usize,
    /// First output channel.
    pub(crate) output_shift: usize,
    /// Offset of what each output pixel reads.
    pub(crate) pixels: Arc<[u32]>,
    /// Offsets of the output pixels.
    pub(crate) out_pixels: Arc<[u32]>,
    /// The same in the residual.
    pub(crate) residual_pixels: Option<Arc<[u32]>>,
    /// The same in the gate.
    pub(crate) gate_pixels: Option<Arc<[u32]>>,
}

/// An operand of an element-wise function of two.
#[derive(Debug)]
pub(crate) enum Side {
    /// The same value everywhere.
    Scalar(f32),
    /// One value per channel (images) or per element of the last axis (flat).
    Channels(Vec<f32>),
    /// A constant of the output's extent (flat only).
    Whole(Vec<f32>),
    /// A map of the output's extents.
    Image(BufferId, Map),
    /// One pixel per image, applied to all its pixels.
    Gate(BufferId, Map),
    /// A flat value of the output's extent.
    Flat(BufferId),
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum StepKind {
    /// The output is a view.
    Nothing,
    Matrix {
        products: Vec<Product>,
        from: BufferId,
        to: BufferId,
        residual: Option<BufferId>,
        gate: Option<BufferId>,
        clamp: [f32; 2],
    },
    Winograd {
        weights: WinogradWeights,
        from: Operand,
        to: Operand,
        residual: Option<Operand>,
        gate: Option<Operand>,
        bias: Vec<f32>,
        clamp: [f32; 2],
    },
    Depthwise {
        weights: DepthwiseWeights,
        from: Operand,
        to: Operand,
        clamp: [f32; 2],
    },
    Stream(Stream),
    Pool {
        kind: Kind,
        window: Pool,
        from: Operand,
        to: Operand,
    },
    Global {
        kind: Kind,
        from: Operand,
        to: Operand,
    },
    Affine {
        scale: Vec<f32>,
        shift: Vec<f32>,
        from: Operand,
        to: Operand,
    },
    Lrn {
        lrn: Lrn,
        from: Operand,
        to: Operand,
    },
    Unary {
        function: Unary,
        from: Operand,
        to: Operand,
    },
    UnaryFlat {
        function: Unary,
        from: BufferId,
        to: BufferId,
        len: usize,
    },
    Overwrite {
        function: Unary,
        to: Operand,
    },
    Binary {
        function: Binary,
        a: Side,
        b: Side,
        to: Operand,
    },
    BinaryFlat {
        function: Binary,
        a: Side,
        b: Side,
        to: BufferId,
        len: usize,
        last: usize,
    },
    Copy {
        copies: Vec<(Operand, Operand)>,
    },
    CopyFlat {
        from: BufferId,
        to: BufferId,
        len: usize,
    },
    /// Channels-last to row-major `[N, C, H, W]`, or to `[N, H, W, C]`.
    ToFlat {
        from: Operand,
        to: BufferId,
        channels_last: bool,
    },
    /// The inverse of `ToFlat`.
    ToImage {
        from: BufferId,
        to: Operand,
        channels_last: bool,
    },
    /// A transposed convolution with few output channels.
    Scatter {
        weights: ScatterWeights,
        from: Operand,
        to: Operand,
    },
    /// The phases of a transposed convolution.
    Phases(Vec<Self>),
    /// `g` times the derivative at `x`.
    UnaryAdjoint {
        function: Unary,
        g: Operand,
        x: Operand,
        to: Operand,
    },
    /// The same on flat values; `x` repeats every `period` elements.
    UnaryAdjointFlat {
        function: Unary,
        g: BufferId,
        x: BufferId,
        to: BufferId,
        len: usize,
        period: usize,
    },
    MaxPoolAdjoint {
        window: Pool,
        g: Operand,
        x: Operand,
        y: Operand,
        to: Operand,
    },
    AveragePoolAdjoint {
        window: Pool,
        g: Operand,
        to: Operand,
    },
    /// Sums over positions of `g` times `x`, `[N, C]`.
    Score {
        g: Operand,
        x: Operand,
        to: BufferId,
    },
    WeightGradient {
        conv: Conv,
        g: Operand,
        x: Operand,
        /// Images are the output channels.
        to: Operand,
    },
    LrnAdjoint {
        lrn: Lrn,
        g: Operand,
        x: Operand,
        to: Operand,
    },
    /// Through the naive executor.
    Generic,
}

impl StepKind {
    /// A word for how the step is computed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "view",
            Self::Matrix { .. } => "matrix product",
            Self::Winograd { .. } => "winograd",
            Self::Depthwise { .. } => "depthwise",
            Self::Stream(_) => "product, depthwise",
            Self::Pool { .. } | Self::Global { .. } => "pool",
            Self::Affine { .. } => "affine",
            Self::Lrn { .. } => "lrn",
            Self::Unary { .. } | Self::UnaryFlat { .. } | Self::Overwrite { .. } => "unary",
            Self::Binary { .. } | Self::BinaryFlat { .. } => "binary",
            Self::Copy { .. } | Self::CopyFlat { .. } => "copy",
            Self::ToFlat { .. } | Self::ToImage { .. } => "layout",
            Self::Generic => "naive",
            Self::Scatter { .. } => "scatter",
            Self::Phases(phases) => phases.first().map_or("view", Self::name),
            Self::UnaryAdjoint { .. } | Self::UnaryAdjointFlat { .. } => "unary gradient",
            Self::MaxPoolAdjoint { .. } | Self::AveragePoolAdjoint { .. } => "pool gradient",
            Self::LrnAdjoint { .. } => "lrn gradient",
            Self::WeightGradient { .. } => "weight gradient",
            Self::Score { .. } => "score",
        }
    }

    /// Scratch elements it needs.
    pub(crate) fn scratch(&self) -> usize {
        match self {
            Self::Winograd { weights, .. } => weights.scratch(),
            Self::Stream(stream) => stream.scratch(),
            Self::Scatter { weights, from, .. } => weights.scratch(from.1.width),
            Self::Phases(phases) => phases.iter().map(Self::scratch).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// One step of a plan.
#[derive(Debug)]
pub(crate) struct Step {
    /// The nodes it stands for, in order.
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) kind: StepKind,
    /// Buffers whose halo is cleared first.
    pub(crate) clear: Vec<BufferId>,
    /// Values fed just before it.
    pub(crate) feeds: Vec<ValueId>,
    /// Values complete after it.
    pub(crate) outputs: Vec<ValueId>,
}

/// Runs everything but [`StepKind::Generic`].
pub(crate) fn run(kind: &StepKind, isa: Isa, memory: &mut Memory<'_>) {
    match kind {
        StepKind::Nothing | StepKind::Generic => {}
        StepKind::Stream(stream) => stream.run(memory),
        StepKind::Phases(phases) => phases.iter().for_each(|phase| run(phase, isa, memory)),
        StepKind::Matrix {
            products,
            from,
            to,
            residual,
            gate,
            clamp,
        } => {
            let mut out = memory.take(*to);
            let input = memory.get(*from);
            for product in products {
                let other = |buffer: &Option<BufferId>, pixels: &'_ Option<Arc<[u32]>>| {
                    let data = &memory.get((*buffer)?)[product.output_shift..];
                    Some((data, pixels.clone()?))
                };
                let residual = other(residual, &product.residual_pixels);
                let gate = other(gate, &product.gate_pixels);
                let epilogue = Epilogue {
                    bias: &product.bias,
                    residual: residual.as_ref().map(|(data, pixels)| (*data, &**pixels)),
                    gate: gate.as_ref().map(|(data, pixels)| (*data, &**pixels)),
                    low: clamp[0],
                    high: clamp[1],
                };
                multiply(
                    &product.weights,
                    &input[product.input_shift..],
                    &product.pixels,
                    &mut out[product.output_shift..],
                    &product.out_pixels,
                    epilogue,
                );
            }
            memory.put(*to, out);
        }
        StepKind::Winograd {
            weights,
            from,
            to,
            residual,
            gate,
            bias,
            clamp,
        } => {
            let mut out = memory.take(to.0);
            let mut scratch = std::mem::take(memory.scratch);
            let view =
                |operand: &Option<Operand>| operand.map(|(buffer, map)| (memory.get(buffer), map));
            winograd::convolve(
                weights,
                (memory.get(from.0), from.1),
                (&mut out, to.1),
                view(residual),
                view(gate),
                bias,
                *clamp,
                &mut scratch,
            );
            *memory.scratch = scratch;
            memory.put(to.0, out);
        }
        StepKind::Scatter { weights, from, to } => {
            let mut out = memory.take(to.0);
            let mut scratch = std::mem::take(memory.scratch);
            let source = (memory.get(from.0), from.1);
            scatter::convolve(weights, source, (&mut out, to.1), &mut scratch);
            *memory.scratch = scratch;
            memory.put(to.0, out);
        }
        StepKind::Depthwise {
            weights,
            from,
            to,
            clamp,
        } => {
            let mut out = memory.take(to.0);
            let source = (memory.get(from.0), from.1);
            depthwise::convolve(weights, source, (&mut out, to.1), *clamp);
            memory.put(to.0, out);
        }
        StepKind::Pool {
            kind,
            window,
            from,
            to,
        } => {
            let mut out = memory.take(to.0);
            let mut line = std::mem::take(memory.line);
            pool::pool(
                isa,
                *kind,
                window,
                (memory.get(from.0), from.1),
                (&mut out, to.1),
                &mut line,
            );
            *memory.line = line;
            memory.put(to.0, out);
        }
        StepKind::Global { kind, from, to } => {
            let mut out = memory.take(to.0);
            pool::global(isa, *kind, (memory.get(from.0), from.1), (&mut out, to.1));
            memory.put(to.0, out);
        }
        StepKind::Lrn { lrn, from, to } => {
            let mut out = memory.take(to.0);
            let mut line = std::mem::take(memory.line);
            elementwise::lrn(
                isa,
                *lrn,
                (memory.get(from.0), from.1),
                (&mut out, to.1),
                &mut line,
            );
            *memory.line = line;
            memory.put(to.0, out);
        }
        StepKind::UnaryAdjoint { .. }
        | StepKind::UnaryAdjointFlat { .. }
        | StepKind::MaxPoolAdjoint { .. }
        | StepKind::AveragePoolAdjoint { .. }
        | StepKind::LrnAdjoint { .. }
        | StepKind::WeightGradient { .. }
        | StepKind::Score { .. } => run_adjoint(kind, isa, memory),
        _ => run_elementwise(kind, isa, memory),
    }
}

fn run_adjoint(kind: &StepKind, isa: Isa, memory: &mut Memory<'_>) {
    match kind {
        StepKind::UnaryAdjoint { function, g, x, to } => {
            let mut out = memory.take(to.0);
            // In place: the gradient is the buffer taken out.
            if g == to {
                let values = memory.get(x.0);
                runs(x.1, to.1, |source, target, len| {
                    let x = &values[source..source + len];
                    adjoint::unary(isa, *function, x, &mut out[target..target + len]);
                });
            } else {
                let (gradient, values) = (memory.get(g.0), memory.get(x.0));
                runs(g.1, to.1, |source, target, len| {
                    out[target..target + len].copy_from_slice(&gradient[source..source + len]);
                });
                runs(x.1, to.1, |source, target, len| {
                    let x = &values[source..source + len];
                    adjoint::unary(isa, *function, x, &mut out[target..target + len]);
                });
            }
            memory.put(to.0, out);
        }
        StepKind::UnaryAdjointFlat {
            function,
            g,
            x,
            to,
            len,
            period,
        } => {
            let mut out = memory.take(*to);
            out[..*len].copy_from_slice(&memory.get(*g)[..*len]);
            let x = &memory.get(*x)[..*period];
            for part in out[..*len].chunks_exact_mut((*period).max(1)) {
                adjoint::unary(isa, *function, x, part);
            }
            memory.put(*to, out);
        }
        StepKind::MaxPoolAdjoint {
            window,
            g,
            x,
            y,
            to,
        } => {
            let mut out = memory.take(to.0);
            let mut line = std::mem::take(memory.line);
            let [g, x, y] = [g, x, y].map(|(buffer, map)| (memory.get(*buffer), *map));
            adjoint::max_pool(isa, window, g, x, y, (&mut out, to.1), &mut line);
            *memory.line = line;
            memory.put(to.0, out);
        }
        StepKind::AveragePoolAdjoint { window, g, to } => {
            let mut out = memory.take(to.0);
            let g = (memory.get(g.0), g.1);
            adjoint::average_pool(isa, window, g, (&mut out, to.1));
            memory.put(to.0, out);
        }
        StepKind::WeightGradient { conv, g, x, to } => {
            let mut out = memory.take(to.0);
            let [g, x] = [g, x].map(|(buffer, map)| (memory.get(*buffer), *map));
            weight_gradient(isa, conv, g, x, (&mut out, to.1));
            memory.put(to.0, out);
        }
        StepKind::Score { g, x, to } => {
            let mut out = memory.take(*to);
            let [g, x] = [g, x].map(|(buffer, map)| (memory.get(*buffer), *map));
            adjoint::score(isa, g, x, &mut out);
            memory.put(*to, out);
        }
        StepKind::LrnAdjoint { lrn, g, x, to } => {
            let mut out = memory.take(to.0);
            let mut line = std::mem::take(memory.line);
            let [g, x] = [g, x].map(|(buffer, map)| (memory.get(*buffer), *map));
            adjoint::lrn(isa, *lrn, g, x, (&mut out, to.1), &mut line);
            *memory.line = line;
            memory.put(to.0, out);
        }
        _ => {}
    }
}

fn run_elementwise(kind: &StepKind, isa: Isa, memory: &mut Memory<'_>) {
    match kind {
        StepKind::Affine {
            scale,
            shift,
            from,
            to,
        } => {
            let mut out = memory.take(to.0);
            let input = memory.get(from.0);
            runs(from.1, to.1, |source, target, len| {
                let target = &mut out[target..target + len];
                elementwise::affine(isa, &input[source..source + len], scale, shift, target);
            });
            memory.put(to.0, out);
        }
        StepKind::Unary { function, from, to } => {
            let mut out = memory.take(to.0);
            let input = memory.get(from.0);
            runs(from.1, to.1, |source, target, len| {
                let target = &mut out[target..target + len];
                target.copy_from_slice(&input[source..source + len]);
                elementwise::unary(isa, *function, target);
            });
            memory.put(to.0, out);
        }
        StepKind::Overwrite { function, to } => {
            let mut out = memory.take(to.0);
            runs(to.1, to.1, |_, target, len| {
                elementwise::unary(isa, *function, &mut out[target..target + len]);
            });
            memory.put(to.0, out);
        }
        StepKind::UnaryFlat {
            function,
            from,
            to,
            len,
        } => {
            let mut out = memory.take(*to);
            out[..*len].copy_from_slice(&memory.get(*from)[..*len]);
            elementwise::unary(isa, *function, &mut out[..*len]);
            memory.put(*to, out);
        }
        StepKind::Binary { function, a, b, to } => {
            let mut out = memory.take(to.0);
            let to = to.1;
            for n in 0..to.batch {
                for y in 0..to.height {
                    for x in 0..to.width {
                        let at = to.at(n, y, x);
                        let a = side(memory, a, n, y, x, to.channels);
                        let b = side(memory, b, n, y, x, to.channels);
                        elementwise::binary(isa, *function, a, b, &mut out[at..at + to.channels]);
                    }
                }
            }
            memory.put(to_buffer(kind), out);
        }
        StepKind::BinaryFlat {
            function,
            a,
            b,
            to,
            len,
            last,
        } => {
            let mut out = memory.take(*to);
            let rows = if matches!(a, Side::Channels(_)) || matches!(b, Side::Channels(_)) {
                *last
            } else {
                *len
            };
            for (row, target) in out[..*len].chunks_exact_mut(rows.max(1)).enumerate() {
                let a = flat_side(memory, a, row * rows, rows);
                let b = flat_side(memory, b, row * rows, rows);
                elementwise::binary(isa, *function, a, b, target);
            }
            memory.put(*to, out);
        }
        _ => run_copy(kind, memory),
    }
}

fn to_buffer(kind: &StepKind) -> BufferId {
    match kind {
        StepKind::Binary { to, .. } => to.0,
        _ => BufferId(0),
    }
}

fn side<'a>(
    memory: &'a Memory<'_>,
    side: &'a Side,
    n: usize,
    y: usize,
    x: usize,
    channels: usize,
) -> &'a [f32] {
    match side {
        Side::Scalar(value) => std::slice::from_ref(value),
        Side::Channels(values) | Side::Whole(values) => values,
        Side::Image(buffer, map) => {
            let at = map.at(n, y, x);
            &memory.get(*buffer)[at..at + channels]
        }
        Side::Gate(buffer, map) => {
            let at = map.at(n, 0, 0);
            &memory.get(*buffer)[at..at + channels]
        }
        Side::Flat(buffer) => memory.get(*buffer),
    }
}

fn flat_side<'a>(memory: &'a Memory<'_>, side: &'a Side, start: usize, len: usize) -> &'a [f32] {
    match side {
        Side::Scalar(value) => std::slice::from_ref(value),
        Side::Channels(values) => values,
        Side::Whole(values) => &values[start..start + len],
        Side::Flat(buffer) | Side::Image(buffer, _) | Side::Gate(buffer, _) => {
            &memory.get(*buffer)[start..start + len]
        }
    }
}

fn run_copy(kind: &StepKind, memory: &mut Memory<'_>) {
    match kind {
        StepKind::Copy { copies } => {
            for &(from, to) in copies {
                let mut out = memory.take(to.0);
                let input = memory.get(from.0);
                runs(from.1, to.1, |source, target, len| {
                    out[target..target + len].copy_from_slice(&input[source..source + len]);
                });
                memory.put(to.0, out);
            }
        }
        StepKind::CopyFlat { from, to, len } => {
            let mut out = memory.take(*to);
            out[..*len].copy_from_slice(&memory.get(*from)[..*len]);
            memory.put(*to, out);
        }
        StepKind::ToFlat {
            from,
            to,
            channels_last,
        } => {
            let mut out = memory.take(*to);
            to_flat(memory.get(from.0), from.1, *channels_last, &mut out);
            memory.put(*to, out);
        }
        StepKind::ToImage {
            from,
            to,
            channels_last,
        } => {
            let mut out = memory.take(to.0);
            to_image(memory.get(*from), *channels_last, &mut out, to.1);
            memory.put(to.0, out);
        }
        _ => {}
    }
}

/// Copies a map into row-major `[N, C, H, W]` (or `[N, H, W, C]`).
pub(crate) fn to_flat(input: &[f32], map: Map, channels_last: bool, out: &mut [f32]) {
    let plane = map.height * map.width;
    for n in 0..map.batch {
        for y in 0..map.height {
            for x in 0..map.width {
                let pixel = &input[map.at(n, y, x)..][..map.channels];
                let position = y * map.width + x;
                if channels_last {
                    let at = (n * plane + position) * map.channels;
                    out[at..at + map.channels].copy_from_slice(pixel);
                } else {
                    for (c, &value) in pixel.iter().enumerate() {
                        out[(n * map.channels + c) * plane + position] = value;
                    }
                }
            }
        }
    }
}

/// The inverse of [`to_flat`].
pub(crate) fn to_image(input: &[f32], channels_last: bool, out: &mut [f32], map: Map) {
    let plane = map.height * map.width;
    for n in 0..map.batch {
        for y in 0..map.height {
            for x in 0..map.width {
                let pixel = &mut out[map.at(n, y, x)..][..map.channels];
                let position = y * map.width + x;
                if channels_last {
                    let at = (n * plane + position) * map.channels;
                    pixel.copy_from_slice(&input[at..at + map.channels]);
                } else {
                    for (c, value) in pixel.iter_mut().enumerate() {
                        *value = input[(n * map.channels + c) * plane + position];
                    }
                }
            }
        }
    }
}
