//! Rows under construction, and the three matrices a tensor of a block carries.

use super::dense::DenseRows;
use crate::{Csr, ExplainError};

/// Best paths from the lower layer to one tensor, each `[its channels, lower channels]`, by the
/// number of ordinary convolutions on the path.
pub(super) struct TensorPaths {
    pub(super) none: Csr,
    pub(super) one: Csr,
    pub(super) many: Csr,
    /// `one` once more, where a convolution reads it and a dense product pays.
    pub(super) one_dense: Option<DenseRows>,
    /// Likewise for `many`.
    pub(super) many_dense: Option<DenseRows>,
}

impl TensorPaths {
    pub(super) fn with_columns(columns: u32) -> Self {
        Self {
            none: Csr::with_columns(columns),
            one: Csr::with_columns(columns),
            many: Csr::with_columns(columns),
            one_dense: None,
            many_dense: None,
        }
    }

    /// The lower layer itself: each channel reaches itself, with the weight of all images.
    pub(super) fn lower_layer(channels: u32, images: u32) -> Result<Self, ExplainError> {
        Ok(Self {
            none: Csr::diagonal(channels, images)?,
            one: Csr::empty(channels, channels)?,
            many: Csr::empty(channels, channels)?,
            one_dense: None,
            many_dense: None,
        })
    }

    pub(super) fn add_dense_copies(&mut self) {
        self.one_dense = DenseRows::where_it_pays(&self.one);
        self.many_dense = DenseRows::where_it_pays(&self.many);
    }

    pub(super) fn entries(&self) -> u64 {
        (self.none.entries() + self.one.entries() + self.many.entries()) as u64
    }

    pub(super) fn row_length(&self, row: u32) -> u64 {
        let length = |matrix: &Csr| matrix.row(row).0.len();
        (length(&self.none) + length(&self.one) + length(&self.many)) as u64
    }
}

/// One row being maximised: dense values beside the list of touched columns, so that clearing
/// costs what was written.
pub(super) struct RowAccumulator {
    values: Vec<u32>,
    touched: Vec<u32>,
}

impl RowAccumulator {
    pub(super) fn new(columns: u32) -> Self {
        Self {
            values: vec![0; columns as usize],
            touched: Vec::new(),
        }
    }

    /// Maximum with a row of `matrix`.
    pub(super) fn raise(&mut self, matrix: &Csr, row: u32) {
        self.raise_limited(matrix, row, u32::MAX);
    }

    /// Maximum with a row of `matrix` whose weights are first limited to `limit` (the minimum along
    /// the path).
    #[inline]
    pub(super) fn raise_limited(&mut self, matrix: &Csr, row: u32, limit: u32) {
        let (columns, weights) = matrix.row(row);
        for (&column, &weight) in columns.iter().zip(weights) {
            self.raise_one(column, weight.min(limit));
        }
    }

    /// Maximum with one weight above 0. Columns of a matrix are below its width, which is this
    /// accumulator's.
    #[inline]
    pub(super) fn raise_one(&mut self, column: u32, weight: u32) {
        let value = &mut self.values[column as usize];
        if *value == 0 {
            self.touched.push(column);
        }
        *value = (*value).max(weight);
    }

    /// Appends the row, columns ascending, and clears it.
    pub(super) fn drain_into(&mut self, matrix: &mut Csr) {
        // A scan beats sorting once a fair part of the columns is touched.
        if self.touched.len() > self.values.len() / 8 {
            let values = &self.values;
            let found = values.iter().enumerate().filter(|(_, weight)| **weight > 0);
            matrix.push_row(found.map(|(column, &weight)| (column as u32, weight)));
        } else {
            self.touched.sort_unstable();
            matrix.push_row(
                self.touched
                    .iter()
                    .map(|&column| (column, self.values[column as usize])),
            );
        }
        for &column in &self.touched {
            self.values[column as usize] = 0;
        }
        self.touched.clear();
    }
}
