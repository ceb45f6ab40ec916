//! Convolutions and transposed convolutions as plain convolutions over strided views.
//!
//! A convolution is one phase. A transposed convolution of stride s (the input gradient of a
//! convolution) is s x s of them: the outputs whose position has the same remainder modulo s read
//! the same taps, at neighbouring inputs, and form a plain convolution of stride 1.

use super::layout::Map;
use crate::graph::ir::Conv;

/// A plain convolution over every `out_step`-th output position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) axes: [AxisPhase; 2],
}

/// One axis of a [`Phase`]: output `out_first + q * out_step` reads the inputs
/// `q * stride + first + t * dilation`, weighted by kernel element `taps[t]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AxisPhase {
    pub(crate) out_first: usize,
    pub(crate) out_step: usize,
    pub(crate) count: usize,
    pub(crate) stride: usize,
    pub(crate) first: isize,
    pub(crate) dilation: usize,
    pub(crate) taps: Vec<usize>,
}

impl AxisPhase {
    /// Inputs needed before the first and after the last one.
    pub(crate) fn reach(&self, extent: usize, round_count_to: usize) -> [usize; 2] {
        if self.taps.is_empty() || self.count == 0 {
            return [0, 0];
        }
        let count = self.count.next_multiple_of(round_count_to);
        let span = (count - 1) * self.stride + (self.taps.len() - 1) * self.dilation;
        let last = self.first + span as isize;
        let before = (-self.first).max(0) as usize;
        let after = (last + 1 - extent as isize).max(0) as usize;
        [before, after]
    }
}

impl Phase {
    /// Kernel extents.
    pub(crate) fn kernel(&self) -> [usize; 2] {
        [self.axes[0].taps.len(), self.axes[1].taps.len()]
    }

    pub(crate) fn stride(&self) -> [usize; 2] {
        [self.axes[0].stride, self.axes[1].stride]
    }

    pub(crate) fn dilation(&self) -> [usize; 2] {
        [self.axes[0].dilation, self.axes[1].dilation]
    }

    /// The view whose position (0, 0) is what output 0 reads with the first tap; it has the extents
    /// of the whole input. `None` if the halo is too small.
    pub(crate) fn source(&self, map: Map) -> Option<Map> {
        if self.kernel().contains(&0) {
            return Some(map);
        }
        let [y, x] = [&self.axes[0], &self.axes[1]].map(|axis| axis.first);
        let shift = y * map.row as isize + x * map.pixel as isize;
        Some(Map {
            offset: map.offset.checked_add_signed(shift)?,
            ..map
        })
    }

    /// The outputs of this phase.
    pub(crate) fn target(&self, map: Map) -> Map {
        let [y, x] = &self.axes;
        Map {
            offset: map.offset + y.out_first * map.row + x.out_first * map.pixel,
            height: y.count,
            width: x.count,
            row: map.row * y.out_step,
            pixel: map.pixel * x.out_step,
            ..map
        }
    }
}

/// All phases of a (transposed) convolution with these kernel and output extents.
pub(crate) fn phases(
    conv: &Conv,
    transposed: bool,
    kernel: [usize; 2],
    out: [usize; 2],
) -> Vec<Phase> {
    let axes = [0, 1].map(|axis| {
        let (stride, dilation, pad) = (conv.strides[axis], conv.dilations[axis], conv.pads[axis]);
        if !transposed {
            return vec![AxisPhase {
                out_first: 0,
                out_step: 1,
                count: out[axis],
                stride,
                first: -(pad as isize),
                dilation,
                taps: (0..kernel[axis]).collect(),
            }];
        }
        (0..stride.min(out[axis]))
            .map(|remainder| {
                // Output p reads input (p + pad - k * dilation) / stride where that is whole.
                let source = |k: usize| {
                    let at = (remainder + pad) as isize - (k * dilation) as isize;
                    (at.rem_euclid(stride as isize) == 0).then(|| at.div_euclid(stride as isize))
                };
                let mut found: Vec<(isize, usize)> = (0..kernel[axis])
                    .filter_map(|k| Some((source(k)?, k)))
                    .collect();
                found.sort_unstable();
                AxisPhase {
                    out_first: remainder,
                    out_step: stride,
                    count: (out[axis] - remainder).div_ceil(stride),
                    stride: 1,
                    first: found.first().map_or(0, |&(at, _)| at),
                    dilation: match found.as_slice() {
                        [(a, _), (b, _), ..] => (b - a) as usize,
                        _ => 1,
                    },
                    taps: found.into_iter().map(|(_, k)| k).collect(),
                }
            })
            .collect::<Vec<_>>()
    });
    let [rows, columns] = axes;
    rows.iter()
        .flat_map(|y| {
            columns.iter().map(|x| Phase {
                axes: [y.clone(), x.clone()],
            })
        })
        .collect()
}
