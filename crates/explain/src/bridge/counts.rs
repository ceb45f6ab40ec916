//! conv-max counts of a convolution, summed from (label, prediction) cells into groups.

use crate::csr::check_channels;
use crate::{Csr, ExplainError};
use std::collections::BTreeMap;
use summit_tables::{ConvInfo, ConvMaxCounts, GroupId};

/// The most cells summed in a dense matrix, 128 MB.
const MAX_DENSE_CELLS: u64 = 1 << 25;

/// A sum of counts `[outputs, inputs]`, u32, images. Each addend costs `O(1)`, `O(log E)` where the
/// matrix is too large to be dense.
#[derive(Clone, Debug)]
pub struct CountSum {
    outputs: u32,
    inputs: u32,
    cells: Cells,
}

#[derive(Clone, Debug)]
enum Cells {
    Dense(Vec<u32>),
    Sparse(BTreeMap<(u32, u32), u32>),
}

impl CountSum {
    /// All counts 0.
    ///
    /// # Errors
    /// When a side exceeds [`crate::csr::MAX_CHANNELS`].
    pub fn new(outputs: u32, inputs: u32) -> Result<Self, ExplainError> {
        Self::dense_up_to(MAX_DENSE_CELLS, outputs, inputs)
    }

    fn dense_up_to(most: u64, outputs: u32, inputs: u32) -> Result<Self, ExplainError> {
        check_channels(outputs, "outputs of a convolution")?;
        check_channels(inputs, "inputs of a convolution")?;
        let count = u64::from(outputs) * u64::from(inputs);
        let cells = if count <= most {
            Cells::Dense(vec![0; count as usize])
        } else {
            Cells::Sparse(BTreeMap::new())
        };
        Ok(Self {
            outputs,
            inputs,
            cells,
        })
    }

    /// Adds to a count (saturating).
    ///
    /// # Errors
    /// When the entry lies outside.
    #[inline]
    pub fn add(&mut self, output: u32, input: u32, count: u32) -> Result<(), ExplainError> {
        let cell = self.cell(output, input)?;
        *cell = cell.saturating_add(count);
        Ok(())
    }

    /// [`CountSum::add`] row by row: three columns of equal length, the last of them u32, images.
    ///
    /// # Errors
    /// When an entry lies outside; those before it are added.
    pub fn add_columns(
        &mut self,
        outputs: &[u32],
        inputs: &[u32],
        counts: &[u32],
    ) -> Result<(), ExplainError> {
        for ((&output, &input), &count) in outputs.iter().zip(inputs).zip(counts) {
            self.add(output, input, count)?;
        }
        Ok(())
    }

    /// Takes from a count; what would fall below 0 stays at 0.
    ///
    /// # Errors
    /// When the entry lies outside.
    pub fn subtract(&mut self, output: u32, input: u32, count: u32) -> Result<(), ExplainError> {
        let cell = self.cell(output, input)?;
        *cell = cell.saturating_sub(count);
        Ok(())
    }

    #[inline]
    fn cell(&mut self, output: u32, input: u32) -> Result<&mut u32, ExplainError> {
        let found = if output < self.outputs && input < self.inputs {
            match &mut self.cells {
                Cells::Dense(cells) => {
                    cells.get_mut(output as usize * self.inputs as usize + input as usize)
                }
                Cells::Sparse(cells) => Some(cells.entry((output, input)).or_default()),
            }
        } else {
            None
        };
        found.ok_or(ExplainError::EntryOutside {
            row: output,
            column: input,
            rows: self.outputs,
            columns: self.inputs,
        })
    }

    /// The sum, `[outputs, inputs]`, without its zeros.
    ///
    /// # Errors
    /// Never for a sum made by this type.
    pub fn finish(self) -> Result<Csr, ExplainError> {
        let cells = match self.cells {
            Cells::Sparse(cells) => {
                let triplets = cells.into_iter();
                let triplets = triplets.map(|((row, column), count)| (row, column, count));
                return Csr::from_triplets(self.outputs, self.inputs, triplets.collect());
            }
            Cells::Dense(cells) => cells,
        };
        if self.inputs == 0 {
            return Csr::empty(self.outputs, self.inputs);
        }
        let mut matrix = Csr::with_columns(self.inputs);
        for row in cells.chunks_exact(self.inputs as usize) {
            let filled = (0..).zip(row).filter(|(_, count)| **count > 0);
            matrix.push_row(filled.map(|(column, &count)| (column, count)));
        }
        Ok(matrix)
    }
}

/// The counts of all groups at once: element g is `[outputs, inputs]`, u32, images of group g.
///
/// `assign(label, prediction)` is the group of a cell, `None` to leave it out.
///
/// # Errors
/// When an entry lies outside the convolution's shape, or a group is not below `groups`.
pub fn group_counts(
    counts: &ConvMaxCounts,
    conv: &ConvInfo,
    groups: u32,
    assign: impl Fn(u32, u32) -> Option<GroupId>,
) -> Result<Vec<Csr>, ExplainError> {
    let mut by_group: Vec<(GroupId, (u32, u32, u32))> = Vec::with_capacity(counts.entries.len());
    for entry in &counts.entries {
        let Some(group) = assign(entry.label, entry.prediction) else {
            continue;
        };
        if group.0 >= groups {
            return Err(ExplainError::IdOutside {
                what: "group",
                value: group.0,
                limit: groups,
            });
        }
        by_group.push((group, (entry.output, entry.input, entry.count)));
    }
    // Grouping by label leaves the entries in order already.
    if !by_group.is_sorted() {
        by_group.sort_unstable();
    }
    let mut rest = by_group.as_slice();
    let mut result = Vec::new();
    for group in 0..groups {
        let length = rest
            .iter()
            .take_while(|(found, _)| found.0 == group)
            .count();
        let (mine, others) = rest.split_at(length);
        rest = others;
        let triplets = mine.iter().map(|&(_, triplet)| triplet).collect();
        result.push(Csr::from_triplets(conv.outputs, conv.inputs, triplets)?);
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Dense and sparse sums are those of a plain map.
        #[test]
        fn sums_equal_a_map(
            added in prop::collection::vec((0u32..4, 0u32..3, 1u32..9), 0..30),
            removed in prop::collection::vec((0u32..4, 0u32..3, 1u32..9), 0..8),
        ) {
            let mut plain: BTreeMap<(u32, u32), u32> = BTreeMap::new();
            for &(output, input, count) in &added {
                *plain.entry((output, input)).or_default() += count;
            }
            for &(output, input, count) in &removed {
                let sum = plain.entry((output, input)).or_default();
                *sum = sum.saturating_sub(count);
            }
            let plain = plain.into_iter().map(|((row, column), count)| (row, column, count));
            let plain = Csr::from_triplets(4, 3, plain.collect()).unwrap();
            for most in [0, 12] {
                let mut sum = CountSum::dense_up_to(most, 4, 3).unwrap();
                let (one_by_one, at_once) = added.split_at(added.len() / 2);
                for &(output, input, count) in one_by_one {
                    sum.add(output, input, count).unwrap();
                }
                let column = |of: fn(&(u32, u32, u32)) -> u32| -> Vec<u32> {
                    at_once.iter().map(of).collect()
                };
                let [outputs, inputs] = [column(|row| row.0), column(|row| row.1)];
                sum.add_columns(&outputs, &inputs, &column(|row| row.2)).unwrap();
                for &(output, input, count) in &removed {
                    sum.subtract(output, input, count).unwrap();
                }
                prop_assert_eq!(sum.finish().unwrap(), plain.clone());
            }
        }
    }

    #[test]
    fn what_lies_outside_is_refused() {
        for most in [0, 6] {
            let mut sum = CountSum::dense_up_to(most, 2, 3).unwrap();
            assert!(sum.add(2, 0, 1).is_err());
            assert!(sum.add(0, 3, 1).is_err());
            assert!(sum.add_columns(&[2], &[0], &[1]).is_err());
            assert!(sum.subtract(1, 4, 1).is_err());
            assert_eq!(sum.finish().unwrap(), Csr::empty(2, 3).unwrap());
        }
        assert!(CountSum::new(u32::MAX, 1).is_err());
        assert_eq!(CountSum::new(2, 0).unwrap().finish().unwrap().rows(), 2);
    }
}
