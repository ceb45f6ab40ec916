//! Questions about the positions of a running network's maps, answered without copying them:
//! channel extrema (activation aggregation) and convolution maxima (conv-max influence).

use crate::exec::layout::Map;
use crate::exec::{ImageView, TensorView};
use crate::graph::ir::{Graph, NodeId, Op};
use crate::kernels::conv_max::{ConvMaxKernel, Geometry, Scratch};
use crate::kernels::extrema;
use crate::kernels::simd::Isa;

/// Largest value of every channel of one image's map and where it is first reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelMaxima {
    channels: extrema::Channels,
    width: usize,
}

impl ChannelMaxima {
    /// Computes the maxima of image `n` of `view`, reusing this value's memory. Returns false for a
    /// value that is not an image.
    pub fn compute(&mut self, view: &TensorView<'_>, n: usize) -> bool {
        let TensorView::Image(image) = view else {
            return false;
        };
        let (data, map) = image.parts();
        self.width = map.width;
        extrema::extrema(Isa::detect_once(), data, map, n, [1, 1], &mut self.channels);
        true
    }

    /// `[C]`, unclamped.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.channels.max
    }

    /// Row and column of the first maximum of a channel in row-major order.
    #[must_use]
    pub fn position(&self, channel: usize) -> (u16, u16) {
        let position = self.channels.position.get(channel).copied().unwrap_or(0) as usize;
        let width = self.width.max(1);
        ((position / width) as u16, (position % width) as u16)
    }
}

/// conv-max influence of one convolution (method.md section 3.1).
#[derive(Debug)]
pub struct ConvMax {
    kernel: ConvMaxKernel,
    /// Positions folded into the kernel: a Gemm that reads a flattened `[C, H, W]`.
    flattened: Flattened,
}

/// How a Gemm's input row is made of channels and positions. A plain `[N, C]` has one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flattened {
    /// Positions (`H * W`) of the flattened map.
    pub positions: usize,
    /// Channels run fastest (`[H, W, C]`), not positions (`[C, H, W]`).
    pub channels_last: bool,
}

impl Flattened {
    /// One position.
    pub const PLAIN: Self = Self {
        positions: 1,
        channels_last: false,
    };
}

/// Working memory of [`ConvMax::top_inputs`].
#[derive(Debug, Default)]
pub struct ConvMaxScratch {
    scratch: Scratch,
    transposed: Vec<f32>,
}

impl ConvMax {
    /// For a Conv, Gemm or MatMul node with constant weights. `scale`, one factor per output,
    /// folds a following normalisation into the kernel. `flattened` describes the map whose
    /// flattened form a Gemm reads. `None` for other nodes.
    #[must_use]
    pub fn new(
        graph: &Graph,
        node: NodeId,
        scale: Option<&[f32]>,
        flattened: Flattened,
    ) -> Option<Self> {
        let spatial = flattened.positions.max(1);
        let node = graph.nodes.get(node.index())?;
        let weight = graph.values[node.inputs.get(1)?.index()]
            .constant
            .as_ref()?;
        let isa = Isa::detect_once();
        let point = Geometry {
            kernel: [1, spatial],
            strides: [1, 1],
            pads: [0; 4],
            dilations: [1, 1],
            groups: 1,
        };
        let (inputs, geometry, mut data) = match &node.op {
            Op::Conv(conv) => {
                let &[_, per_group, kernel_y, kernel_x] = weight.shape.as_slice() else {
                    return None;
                };
                let geometry = Geometry {
                    kernel: [kernel_y, kernel_x],
                    strides: conv.strides,
                    pads: conv.pads,
                    dilations: conv.dilations,
                    groups: conv.groups,
                };
                (per_group * conv.groups, geometry, weight.data.to_vec())
            }
            Op::Gemm {
                alpha,
                trans_a: false,
                trans_b,
                ..
            } => {
                let data = rows_by_output(weight.shape.as_slice(), &weight.data, *trans_b)?;
                let inputs = data.1 / spatial.max(1);
                (inputs, point, data.0.iter().map(|w| w * alpha).collect())
            }
            Op::MatMul => {
                let data = rows_by_output(weight.shape.as_slice(), &weight.data, false)?;
                (data.1 / spatial.max(1), point, data.0)
            }
            _ => return None,
        };
        if flattened.channels_last && spatial > 1 {
            data = data
                .chunks_exact(inputs * spatial)
                .flat_map(|row| {
                    (0..inputs * spatial).map(move |k| row[k % spatial * inputs + k / spatial])
                })
                .collect();
        }
        if let Some(scale) = scale {
            let per_output = data.len() / scale.len().max(1);
            for (row, factor) in data.chunks_exact_mut(per_output.max(1)).zip(scale) {
                row.iter_mut().for_each(|weight| *weight *= factor);
            }
        }
        Some(Self {
            kernel: ConvMaxKernel::new(isa, inputs, geometry, data),
            flattened,
        })
    }

    /// Input channels.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.kernel.inputs
    }

    /// Output channels.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.kernel.outputs
    }

    /// Calls `emit(output, input)` for the `count` inputs of every output with the largest
    /// `L > 0`, descending, ties by the lower input. `view` is the value the convolution reads, of
    /// one image. Returns false if its extent does not fit.
    pub fn top_inputs(
        &self,
        view: &TensorView<'_>,
        count: usize,
        scratch: &mut ConvMaxScratch,
        emit: &mut dyn FnMut(u32, u32),
    ) -> bool {
        let ConvMaxScratch {
            scratch,
            transposed,
        } = scratch;
        let Some((data, map)) = self.operand(view, transposed) else {
            return false;
        };
        self.kernel.top_inputs((data, map), 0, count, scratch, emit);
        true
    }

    /// All `L_ij`, `[outputs, inputs / groups]`: every pair evaluated, for tests and small networks.
    #[must_use]
    pub fn all(&self, view: &TensorView<'_>) -> Option<Vec<f32>> {
        let mut transposed = Vec::new();
        let (data, map) = self.operand(view, &mut transposed)?;
        Some(self.kernel.all((data, map), 0))
    }

    /// The view as a channels-last map; flat `[.., C]` values are rows of pixels, a flattened
    /// `[C, H, W]` is transposed into one row of `H * W` pixels.
    fn operand<'a>(
        &self,
        view: &TensorView<'a>,
        transposed: &'a mut Vec<f32>,
    ) -> Option<(&'a [f32], Map)> {
        let channels = self.kernel.inputs;
        match view {
            TensorView::Image(image) => {
                let (data, map) = image.parts();
                (map.channels == channels).then_some((data, map))
            }
            TensorView::Flat(data) if self.flattened.positions > 1 => {
                let positions = self.flattened.positions;
                if data.len() != channels * positions {
                    return None;
                }
                let map = Map::contiguous([1, channels, 1, positions]);
                if self.flattened.channels_last {
                    return Some((data, map));
                }
                transposed.clear();
                for position in 0..positions {
                    transposed.extend((0..channels).map(|c| data[c * positions + position]));
                }
                Some((transposed, map))
            }
            TensorView::Flat(data) => {
                let pixels = data.len().checked_div(channels)?;
                (pixels * channels == data.len())
                    .then_some((*data, Map::contiguous([1, channels, 1, pixels])))
            }
        }
    }
}

/// Weights `[outputs][inputs]` of a matrix stored either way, and the number of inputs.
fn rows_by_output(shape: &[usize], data: &[f32], transposed: bool) -> Option<(Vec<f32>, usize)> {
    let &[rows, columns] = shape else { return None };
    if transposed {
        return Some((data.to_vec(), columns));
    }
    let mut out = Vec::with_capacity(data.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| data[row * columns + column]));
    }
    Some((out, rows))
}

impl<'a> ImageView<'a> {
    pub(crate) fn parts(&self) -> (&'a [f32], Map) {
        (self.data, self.map)
    }
}
