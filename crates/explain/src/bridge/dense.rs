//! The max-min product on dense rows, for tensors whose rows are well filled.
//!
//! Maximum and minimum of 16-bit integers run eight to a vector register on every x86-64, so a row
//! of a few hundred columns costs less than visiting a tenth of its entries one by one. Used only
//! where all weights fit; the sparse way in `rows` is its twin.

use crate::Csr;

/// The most cells one dense copy may have.
const MAX_CELLS: usize = 1 << 24;

/// A matrix is copied where at least one cell in this many is filled.
const SPARSEST: usize = 24;

/// A dense copy of a matrix, `[rows, columns]`, weights in `0..=i16::MAX`.
pub(super) struct DenseRows {
    columns: usize,
    cells: Vec<i16>,
}

impl DenseRows {
    /// A copy, where that pays: well filled, not huge, and every weight in range.
    pub(super) fn where_it_pays(matrix: &Csr) -> Option<Self> {
        let (rows, columns) = (matrix.rows() as usize, matrix.columns() as usize);
        let cells = rows.saturating_mul(columns);
        if matrix.entries() == 0 || cells > MAX_CELLS || matrix.entries() * SPARSEST < cells {
            return None;
        }
        let mut dense = Self {
            columns,
            cells: vec![0; cells],
        };
        for (row, target) in dense.cells.chunks_exact_mut(columns).enumerate() {
            for (column, weight) in matrix.row_entries(row as u32) {
                *target.get_mut(column as usize)? = i16::try_from(weight).ok()?;
            }
        }
        Some(dense)
    }

    fn row(&self, row: u32) -> &[i16] {
        let start = row as usize * self.columns;
        &self.cells[start..start + self.columns]
    }
}

/// A row being maximised on dense rows.
pub(super) struct DenseAccumulator {
    values: Vec<i16>,
    used: bool,
}

impl DenseAccumulator {
    pub(super) fn new(columns: u32) -> Self {
        Self {
            values: vec![0; columns as usize],
            used: false,
        }
    }

    /// Maximum with a row whose weights are first limited to `limit`.
    #[inline]
    pub(super) fn raise_limited(&mut self, rows: &DenseRows, row: u32, limit: u32) {
        let limit = i16::try_from(limit).unwrap_or(i16::MAX);
        for (value, &weight) in self.values.iter_mut().zip(rows.row(row)) {
            *value = (*value).max(weight.min(limit));
        }
        self.used = true;
    }

    /// Hands every positive value on and clears the row.
    pub(super) fn drain(&mut self, mut visit: impl FnMut(u32, u32)) {
        if !self.used {
            return;
        }
        for (column, value) in self.values.iter_mut().enumerate() {
            if *value > 0 {
                visit(column as u32, u32::from(value.unsigned_abs()));
                *value = 0;
            }
        }
        self.used = false;
    }
}
