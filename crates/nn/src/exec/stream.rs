//! A dense convolution and the depthwise one that reads it, a few rows at a time.
//!
//! Inverted residual blocks widen an image before they filter it: the wide value leaves the
//! second-level cache before it is read again. Here only a strip of its rows exists, in scratch.
//! Rows that the next strip needs again are moved, not computed twice.

use super::layout::{BufferId, Map};
use super::session::Memory;
use super::step::{Operand, Product};
use crate::kernels::depthwise::{self, DepthwiseWeights};
use crate::kernels::matrix::{Epilogue, multiply};

/// Elements of a strip: 512 KiB.
const STRIP_ELEMENTS: usize = 1 << 17;

/// Both convolutions.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The dense one; its output pixels are those of a strip from row 0 on.
    pub(crate) product: Product,
    pub(crate) from: BufferId,
    pub(crate) product_clamp: [f32; 2],
    /// Images of the batch, and rows of the value in between.
    pub(crate) images: usize,
    pub(crate) rows: usize,
    /// A strip, from its left border on; as high as that value.
    pub(crate) strip: Map,
    /// The depthwise one: rows of zeros above the value, rows it reads for one of its own, rows
    /// from one of these to the next.
    pub(crate) weights: DepthwiseWeights,
    pub(crate) above: usize,
    pub(crate) reach: usize,
    pub(crate) stride: usize,
    pub(crate) to: Operand,
    pub(crate) clamp: [f32; 2],
}

impl Stream {
    /// Output rows computed at a time.
    fn band(&self) -> usize {
        let rows = STRIP_ELEMENTS / self.strip.row.max(1);
        (rows.saturating_sub(self.reach) / self.stride + 1).min(self.to.1.height.max(1))
    }

    /// Rows of a strip.
    fn strip_rows(&self) -> usize {
        (self.band() - 1) * self.stride + self.reach
    }

    /// Scratch elements [`Stream::run`] needs.
    pub(crate) fn scratch(&self) -> usize {
        self.strip_rows() * self.strip.row
    }

    pub(crate) fn run(&self, memory: &mut Memory<'_>) {
        let mut out = memory.take(self.to.0);
        let mut scratch = std::mem::take(memory.scratch);
        let input = memory.get(self.from);
        for image in 0..self.images {
            self.run_image(image, input, &mut out, &mut scratch[..self.scratch()]);
        }
        *memory.scratch = scratch;
        memory.put(self.to.0, out);
    }

    /// Rows are counted from the first row of zeros above the value.
    fn run_image(&self, image: usize, input: &[f32], out: &mut [f32], strip: &mut [f32]) {
        let row = self.strip.row;
        let to = self.to.1;
        strip.fill(0.0);
        // Rows `start..end` are in the strip; rows before `above` are zeros.
        let (mut start, mut end) = (0, self.above);
        for first in (0..to.height).step_by(self.band()) {
            let height = self.band().min(to.height - first);
            let new_start = first * self.stride;
            let new_end = new_start + (height - 1) * self.stride + self.reach;
            if new_start < end {
                strip.copy_within((new_start - start) * row..(end - start) * row, 0);
            }
            start = new_start;
            end = end.max(start);
            let last = (self.above + self.rows).clamp(end, new_end.max(end));
            self.product_rows(
                image,
                end - self.above..last - self.above,
                input,
                &mut strip[(end - start) * row..],
            );
            strip[(last - start) * row..].fill(0.0);
            end = new_end.max(last);
            let source = Map {
                height: end - start,
                ..self.strip
            };
            let target = Map {
                offset: to.offset + image * to.image + first * to.row,
                height,
                batch: 1,
                ..to
            };
            depthwise::convolve(&self.weights, (strip, source), (out, target), self.clamp);
        }
    }

    /// Rows of the value in between, into the rows of `strip` from its first on.
    fn product_rows(
        &self,
        image: usize,
        rows: std::ops::Range<usize>,
        input: &[f32],
        strip: &mut [f32],
    ) {
        if rows.is_empty() {
            return;
        }
        let width = self.strip.width;
        let pixels =
            (image * self.rows + rows.start) * width..(image * self.rows + rows.end) * width;
        let product = &self.product;
        multiply(
            &product.weights,
            input,
            &product.pixels[pixels.clone()],
            strip,
            &product.out_pixels[..pixels.len()],
            Epilogue {
                bias: &product.bias,
                low: self.product_clamp[0],
                high: self.product_clamp[1],
                ..Epilogue::NONE
            },
        );
    }
}
