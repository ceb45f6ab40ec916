//! Sparse matrices of counts, compressed by rows.
//!
//! Place in the flow: conv-max counts of a group, bridged weights, and the links PageRank walks on
//! all have this form: rows are channels j of the upper side, columns are channels i of the lower
//! side. Memory `O(rows + entries)`.

use crate::ExplainError;

/// The most rows or columns accepted; networks have thousands.
pub const MAX_CHANNELS: u32 = 1 << 18;

/// A sparse matrix `[rows, columns]` of u32 weights above 0; columns ascend within a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    columns: u32,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    weights: Vec<u32>,
}

impl Csr {
    /// A matrix without rows, to be filled row by row.
    pub(crate) fn with_columns(columns: u32) -> Self {
        Self {
            columns,
            indptr: vec![0],
            indices: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// A matrix `[rows, columns]` without entries.
    ///
    /// # Errors
    /// When either side exceeds [`MAX_CHANNELS`].
    pub fn empty(rows: u32, columns: u32) -> Result<Self, ExplainError> {
        check_channels(rows, "rows of a matrix")?;
        check_channels(columns, "columns of a matrix")?;
        let mut matrix = Self::with_columns(columns);
        matrix.indptr = vec![0; rows as usize + 1];
        Ok(matrix)
    }

    /// The square matrix with `weight` on its diagonal (no entries where `weight` is 0).
    ///
    /// # Errors
    /// When `size` exceeds [`MAX_CHANNELS`].
    pub fn diagonal(size: u32, weight: u32) -> Result<Self, ExplainError> {
        let mut matrix = Self::empty(size, size)?;
        if weight > 0 {
            matrix.indptr = (0..=size as usize).collect();
            matrix.indices = (0..size).collect();
            matrix.weights = vec![weight; size as usize];
        }
        Ok(matrix)
    }

    /// From `(row, column, weight)` in any order; equal positions add up (saturating), zeros vanish.
    ///
    /// # Errors
    /// When a position lies outside, or a side exceeds [`MAX_CHANNELS`].
    pub fn from_triplets(
        rows: u32,
        columns: u32,
        mut triplets: Vec<(u32, u32, u32)>,
    ) -> Result<Self, ExplainError> {
        let mut matrix = Self::empty(rows, columns)?;
        if !triplets.is_sorted() {
            triplets.sort_unstable();
        }
        matrix.indptr.truncate(1);
        let mut last = None;
        for (row, column, weight) in triplets {
            if row >= rows || column >= columns {
                return Err(ExplainError::EntryOutside {
                    row,
                    column,
                    rows,
                    columns,
                });
            }
            if weight == 0 {
                continue;
            }
            if last == Some((row, column)) {
                if let Some(sum) = matrix.weights.last_mut() {
                    *sum = sum.saturating_add(weight);
                }
                continue;
            }
            matrix.indptr.resize(row as usize + 1, matrix.indices.len());
            matrix.indices.push(column);
            matrix.weights.push(weight);
            last = Some((row, column));
        }
        matrix
            .indptr
            .resize(rows as usize + 1, matrix.indices.len());
        Ok(matrix)
    }

    /// Appends a row. Columns must ascend and lie within the matrix, weights must be above 0.
    pub(crate) fn push_row(&mut self, entries: impl Iterator<Item = (u32, u32)>) {
        for (column, weight) in entries {
            debug_assert!(column < self.columns && weight > 0);
            self.indices.push(column);
            self.weights.push(weight);
        }
        self.indptr.push(self.indices.len());
    }

    /// Appends a copy of a row of a matrix with as many columns.
    pub(crate) fn push_copy(&mut self, other: &Self, row: u32) {
        debug_assert_eq!(self.columns, other.columns);
        let (columns, weights) = other.row(row);
        self.indices.extend_from_slice(columns);
        self.weights.extend_from_slice(weights);
        self.indptr.push(self.indices.len());
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u32 {
        u32::try_from(self.indptr.len() - 1).unwrap_or(u32::MAX)
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> u32 {
        self.columns
    }

    /// Number of entries.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.indices.len()
    }

    /// Columns and weights of a row, columns ascending; empty outside the matrix.
    #[must_use]
    pub fn row(&self, row: u32) -> (&[u32], &[u32]) {
        let row = row as usize;
        match (self.indptr.get(row), self.indptr.get(row + 1)) {
            (Some(&start), Some(&end)) => (&self.indices[start..end], &self.weights[start..end]),
            _ => (&[], &[]),
        }
    }

    /// `(column, weight)` of a row, columns ascending.
    pub fn row_entries(&self, row: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let (columns, weights) = self.row(row);
        columns.iter().copied().zip(weights.iter().copied())
    }

    /// The weight at a position, 0 where there is no entry.
    #[must_use]
    pub fn get(&self, row: u32, column: u32) -> u32 {
        let (columns, weights) = self.row(row);
        columns
            .binary_search(&column)
            .map_or(0, |position| weights[position])
    }
}

/// Refuses sizes no network has, before memory is taken for them.
pub(crate) fn check_channels(channels: u32, subject: &str) -> Result<(), ExplainError> {
    if channels > MAX_CHANNELS {
        return Err(ExplainError::TooManyChannels {
            channels: u64::from(channels),
            limit: u64::from(MAX_CHANNELS),
            subject: subject.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triplets_add_up_and_leave_empty_rows() {
        let matrix =
            Csr::from_triplets(4, 3, vec![(2, 1, 3), (0, 2, 1), (2, 1, 4), (2, 0, 0)]).unwrap();
        assert_eq!(matrix.rows(), 4);
        assert_eq!(matrix.entries(), 2);
        assert_eq!(matrix.get(0, 2), 1);
        assert_eq!(matrix.get(2, 1), 7);
        assert_eq!(matrix.row(1), (&[][..], &[][..]));
        assert_eq!(matrix.row(99), (&[][..], &[][..]));
    }

    #[test]
    fn refuses_what_lies_outside() {
        assert!(matches!(
            Csr::from_triplets(2, 2, vec![(2, 0, 1)]),
            Err(ExplainError::EntryOutside { row: 2, .. })
        ));
        assert!(matches!(
            Csr::empty(u32::MAX, 1),
            Err(ExplainError::TooManyChannels { .. })
        ));
    }
}
