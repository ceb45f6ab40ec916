//! conv-max counts as columns, cell by cell.
//!
//! The graph of a class adds up a million counts: as rows that takes longer than reading them, as columns a tenth of
//! it. What is checked, and said when it does not hold, is what the stream of rows checks.

use crate::error::StoreError;
use crate::rows::{Row, numbers};
use crate::table_reader::{Batches, CellFilter, GroupFilter, check_row};
use crate::tables::Bounds;
use arrow::array::RecordBatch;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::UInt32Type;
use std::path::Path;
use summit_tables::InfluenceEntry;

/// Counts of one confusion cell, of a convolution: three columns of equal length, sorted by (output, input).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellCounts<'a> {
    /// Label of the images, [`crate::NO_LABEL`] without one.
    pub label: u32,
    /// Their prediction.
    pub prediction: u32,
    /// Output channels.
    pub outputs: &'a [u32],
    /// Input channels.
    pub inputs: &'a [u32],
    /// Images, at least 1.
    pub counts: &'a [u32],
}

impl CellCounts<'_> {
    fn entry(&self, row: usize) -> Option<InfluenceEntry> {
        Some(InfluenceEntry {
            label: self.label,
            prediction: self.prediction,
            output: *self.outputs.get(row)?,
            input: *self.inputs.get(row)?,
            count: *self.counts.get(row)?,
        })
    }

    fn last(&self) -> Option<InfluenceEntry> {
        self.entry(self.counts.len().checked_sub(1)?)
    }
}

/// Hands every wanted cell of a table to `visit`, in the order of the table; a cell that goes over several batches
/// comes in as many parts. `visit` returns whether to go on.
pub(crate) fn read_cells(
    path: &Path,
    bounds: Bounds,
    filter: CellFilter,
    mut visit: impl FnMut(CellCounts<'_>) -> bool,
) -> Result<(), StoreError> {
    let mut batches = Batches::open::<InfluenceEntry>(path, Some(GroupFilter::Cells(filter)))?;
    let mut previous = None;
    while let Some(columns) = batches.next(|batch| {
        let columns = Columns::of(batch)?;
        columns.check(&bounds, previous)?;
        Ok(columns)
    })? {
        for cell in columns.cells() {
            previous = cell.last().map(|last| last.key());
            if filter.admits(cell.label, cell.prediction) && !visit(cell) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The columns of a batch, of equal length.
struct Columns {
    label: ScalarBuffer<u32>,
    prediction: ScalarBuffer<u32>,
    output: ScalarBuffer<u32>,
    input: ScalarBuffer<u32>,
    count: ScalarBuffer<u32>,
}

type Key = <InfluenceEntry as Row>::Key;

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, String> {
        let column = |name| Ok::<_, String>(numbers::<UInt32Type>(batch, name)?.values().clone());
        Ok(Self {
            label: column("label")?,
            prediction: column("prediction")?,
            output: column("output")?,
            input: column("input")?,
            count: column("count")?,
        })
    }

    /// Whether every row is one the table can hold behind the row before it.
    fn check(&self, bounds: &Bounds, mut previous: Option<Key>) -> Result<(), &'static str> {
        if self.is_fine(bounds, previous) {
            return Ok(());
        }
        // Row by row says what is wrong.
        let mut rows = self
            .cells()
            .flat_map(|cell| (0..cell.counts.len()).filter_map(move |row| cell.entry(row)));
        rows.try_for_each(|row| check_row(&row, bounds, &mut previous))
    }

    /// As [`Columns::check`], without saying what is wrong.
    fn is_fine(&self, bounds: &Bounds, mut previous: Option<Key>) -> bool {
        let [outputs, inputs] = bounds.conv;
        self.cells().all(|cell| {
            let first = cell.entry(0);
            let follows = first.is_some_and(|first| {
                first.check(bounds).is_ok() && previous.is_none_or(|before| before < first.key())
            });
            previous = cell.last().map(|last| last.key());
            let position = |(&output, &input)| u64::from(output) << 32 | u64::from(input);
            let positions = cell.outputs.iter().zip(cell.inputs).map(position);
            let pairs = positions.clone().zip(positions.skip(1));
            // Without a way out in between, so that many rows are compared at a time.
            follows
                && cell
                    .outputs
                    .iter()
                    .fold(0, |most, &output| output.max(most))
                    < outputs
                && cell.inputs.iter().fold(0, |most, &input| input.max(most)) < inputs
                && cell
                    .counts
                    .iter()
                    .fold(u32::MAX, |least, &count| count.min(least))
                    > 0
                && pairs.fold(true, |ascend, (one, next)| ascend & (one < next))
        })
    }

    /// Runs of rows of the same cell.
    fn cells(&self) -> impl Iterator<Item = CellCounts<'_>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let label = *self.label.get(start)?;
            let prediction = *self.prediction.get(start)?;
            let same = |(&l, &p): (&u32, &u32)| l == label && p == prediction;
            let rest = self
                .label
                .get(start..)?
                .iter()
                .zip(self.prediction.get(start..)?);
            let end = start + rest.take_while(|&row| same(row)).count();
            let range = start..end;
            start = end;
            Some(CellCounts {
                label,
                prediction,
                outputs: self.output.get(range.clone())?,
                inputs: self.input.get(range.clone())?,
                counts: self.count.get(range)?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_writer::check_order;
    use arrow::datatypes::Schema;
    use proptest::prelude::*;
    use std::sync::Arc;

    const BOUNDS: Bounds = Bounds {
        images: 0..1,
        classes: 2,
        channels: 0,
        extent: [0, 0],
        conv: [3, 2],
    };

    fn columns(rows: &[InfluenceEntry]) -> Columns {
        let schema = Arc::new(Schema::new(InfluenceEntry::fields()));
        let batch = RecordBatch::try_new(schema, InfluenceEntry::columns(rows)).unwrap();
        Columns::of(&batch).unwrap()
    }

    proptest! {
        /// Columns are refused exactly where their rows are, one after the other, and for the same reason. Most
        /// values are in bounds and most rows in order, so that both outcomes occur.
        #[test]
        fn columns_are_checked_as_rows_are(
            rows in prop::collection::vec((0u32..2, 0u32..2, 0u32..3, 0u32..2), 0..12),
            spoilt in prop::option::of((0usize..12, 0usize..5, prop::sample::select(vec![0, 1, 2, 3, u32::MAX]))),
            sorted in prop::bool::weighted(0.8),
            before in 0usize..3,
        ) {
            let mut rows = rows;
            if sorted {
                rows.sort_unstable();
                rows.dedup();
            }
            let entry = |&(label, prediction, output, input)| InfluenceEntry {
                label, prediction, output, input, count: 1,
            };
            let mut rows: Vec<_> = rows.iter().map(entry).collect();
            if let Some((row, column, value)) = spoilt && let Some(row) = rows.get_mut(row) {
                let InfluenceEntry { label, prediction, output, input, count } = row;
                *[label, prediction, output, input, count][column] = value;
            }
            let (first, second) = rows.split_at(before.min(rows.len()));
            let plain = |rows: &[InfluenceEntry], mut previous: Option<Key>| {
                rows.iter().try_for_each(|row| {
                    row.check(&BOUNDS)?;
                    let result = previous.map_or(Ok(()), |key| check_order::<InfluenceEntry>(key, row.key()));
                    previous = Some(row.key());
                    result
                })
            };
            let previous = first.last().map(Row::key);
            prop_assert_eq!(columns(first).check(&BOUNDS, None), plain(first, None));
            prop_assert_eq!(columns(second).check(&BOUNDS, previous), plain(second, previous));
        }
    }
}
