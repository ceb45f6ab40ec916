//! Transposed convolution with few output channels: every input pixel is multiplied with all kernel
//! elements at once and the products are added where they belong. With three channels (the
//! gradient with respect to a picture) a product over taps would leave most of a vector empty.

use super::matrix::{Epilogue, PackedWeights, Segment, multiply};
use super::simd::Isa;
use crate::exec::layout::Map;

/// Weights `[Cin, taps x Cout]` and geometry of a transposed convolution.
#[derive(Debug)]
pub(crate) struct ScatterWeights {
    packed: PackedWeights,
    /// `[y, x]`
    kernel: [usize; 2],
    strides: [usize; 2],
    /// `[top, left]`
    pads: [usize; 2],
    outputs: usize,
}

impl ScatterWeights {
    /// From `weight(output, input, ky, kx)`; dilation is 1.
    pub(crate) fn new(
        isa: Isa,
        [inputs, outputs]: [usize; 2],
        kernel: [usize; 2],
        strides: [usize; 2],
        pads: [usize; 2],
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let segment = Segment {
            offset: 0,
            len: inputs,
        };
        let columns = kernel[0] * kernel[1] * outputs;
        let packed = PackedWeights::new(isa, &[segment], columns, |i, column| {
            let (tap, j) = (column / outputs, column % outputs);
            weight(j, i, tap / kernel[1], tap % kernel[1])
        });
        Self {
            packed,
            kernel,
            strides,
            pads,
            outputs,
        }
    }

    /// Columns of the product.
    fn columns(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.outputs
    }

    /// Scratch elements [`convolve`] needs for an input this wide.
    pub(crate) fn scratch(&self, width: usize) -> usize {
        width * self.columns()
    }
}

/// Convolves. The target's pixels lie one after the other; what falls outside of it is dropped.
pub(crate) fn convolve(
    weights: &ScatterWeights,
    source: (&[f32], Map),
    target: (&mut [f32], Map),
    scratch: &mut [f32],
) {
    let (input, from) = source;
    let (out, to) = target;
    let outputs = weights.outputs;
    assert!(
        to.pixel == outputs && to.channels == outputs,
        "output channels"
    );
    assert!(
        from.end() <= input.len() && to.end() <= out.len(),
        "map out of range"
    );
    let columns = weights.columns();
    let products = &mut scratch[..from.width * columns];
    let out_pixels: Vec<u32> = (0..from.width).map(|x| (x * columns) as u32).collect();
    let [kernel_y, kernel_x] = weights.kernel;
    let mut pixels = Vec::with_capacity(from.width);
    for n in 0..from.batch {
        for y in 0..to.height {
            out[to.at(n, y, 0)..][..to.width * outputs].fill(0.0);
        }
        for row in 0..from.height {
            pixels.clear();
            pixels.extend((0..from.width).map(|x| from.at(n, row, x) as u32));
            multiply(
                &weights.packed,
                input,
                &pixels,
                products,
                &out_pixels,
                Epilogue::NONE,
            );
            for ky in 0..kernel_y {
                let y = (row * weights.strides[0] + ky).wrapping_sub(weights.pads[0]);
                if y >= to.height {
                    continue;
                }
                let line = &mut out[to.at(n, y, 0)..][..to.width * outputs];
                for x in 0..from.width {
                    let first = x * weights.strides[1];
                    // Taps whose output column lies inside.
                    let low = weights.pads[1].saturating_sub(first).min(kernel_x);
                    let high = (to.width + weights.pads[1])
                        .saturating_sub(first)
                        .min(kernel_x);
                    if low >= high {
                        continue;
                    }
                    let at = x * columns + (ky * kernel_x + low) * outputs;
                    let values = &products[at..at + (high - low) * outputs];
                    let column = first + low - weights.pads[1];
                    let sums = &mut line[column * outputs..][..values.len()];
                    for (sum, &value) in sums.iter_mut().zip(values) {
                        *sum += value;
                    }
                }
            }
        }
    }
}
