//! How values lie in the session's arena.
//!
//! An image-like value `[N, C, H, W]` is stored channels-last with strides: a pixel stride larger
//! than `C` places it inside a concatenation's buffer, a halo of zeros around it serves as the
//! padding of the convolutions that read it. Neither ever costs a copy. Other values are
//! contiguous and row-major.

use crate::graph::ir::ValueId;

/// A strided channels-last view: element (n, y, x, c) is at
/// `offset + n * image + y * row + x * pixel + c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    /// Images.
    pub(crate) batch: usize,
    /// Channels.
    pub(crate) channels: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Columns.
    pub(crate) width: usize,
    /// First element, relative to the start of the buffer.
    pub(crate) offset: usize,
    /// Elements from one pixel to the next.
    pub(crate) pixel: usize,
    /// Elements from one row to the next.
    pub(crate) row: usize,
    /// Elements from one image to the next.
    pub(crate) image: usize,
}

impl Map {
    /// Contiguous `[N, H, W, C]`.
    pub(crate) fn contiguous([batch, channels, height, width]: [usize; 4]) -> Self {
        Self::with_halo([batch, channels, height, width], [0; 4])
    }

    /// With a border of `halo` = `[top, left, bottom, right]` pixels.
    pub(crate) fn with_halo(
        [batch, channels, height, width]: [usize; 4],
        halo: [usize; 4],
    ) -> Self {
        let [top, left, bottom, right] = halo;
        let row = (left + width + right) * channels;
        Self {
            batch,
            channels,
            height,
            width,
            offset: top * row + left * channels,
            pixel: channels,
            row,
            image: (top + height + bottom) * row,
        }
    }

    /// The channels `first..first + channels` of this view.
    pub(crate) fn slice_channels(self, first: usize, channels: usize) -> Self {
        Self {
            offset: self.offset + first,
            channels,
            ..self
        }
    }

    /// The one image of a view, read again for each of `batch` others.
    pub(crate) fn repeated(self, batch: usize) -> Self {
        if self.batch == 1 && batch > 1 {
            return Self {
                batch,
                image: 0,
                ..self
            };
        }
        self
    }

    /// Offset of pixel (n, y, x).
    pub(crate) fn at(self, n: usize, y: usize, x: usize) -> usize {
        self.offset + n * self.image + y * self.row + x * self.pixel
    }

    /// Offsets of all pixels in (n, y, x) order.
    pub(crate) fn pixels(self) -> Vec<u32> {
        let mut offsets = Vec::with_capacity(self.batch * self.height * self.width);
        for n in 0..self.batch {
            for y in 0..self.height {
                for x in 0..self.width {
                    offsets.push(self.at(n, y, x) as u32);
                }
            }
        }
        offsets
    }

    /// Elements from the buffer's start to the last element used, halo excluded.
    pub(crate) fn end(self) -> usize {
        if self.batch * self.height * self.width == 0 {
            return self.offset;
        }
        self.at(self.batch - 1, self.height - 1, self.width - 1) + self.channels
    }

    /// A row's pixels lie one after the other without gaps.
    pub(crate) fn rows_are_contiguous(self) -> bool {
        self.pixel == self.channels
    }
}

/// Where a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Channels-last in a buffer; `[N, C, H, W]` only.
    Image(BufferId, Map),
    /// Row-major and contiguous: buffer, first element, elements.
    Flat(BufferId, usize, usize),
    /// A constant of the graph.
    Constant(ValueId),
}

/// A region of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BufferId(pub(crate) u32);

impl BufferId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}
