//! Reads one table as a stream of rows, whatever the file holds.
//!
//! The bytes come from outside: every size is checked before it is believed (see `pages`), every row
//! before it is handed out, and a panic inside the Parquet decoder becomes an error. Memory: one
//! batch of 8192 rows plus one page per column.

use crate::error::StoreError;
use crate::pages;
use crate::rows::{Row, numbers};
use crate::table_writer::{BATCH_ROWS, check_order};
use crate::tables::{Bounds, ImageRange};
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, UInt32Type};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::vec;
use summit_tables::caught;

/// Largest footer accepted: about 400,000 row groups.
const LARGEST_FOOTER_BYTES: u32 = 256 << 20;
/// Most rows accepted in one row group.
const LARGEST_ROW_GROUP: i64 = 1 << 20;

/// Rows of a table, in the order of the table. The first error ends the stream.
pub struct Rows<T> {
    stream: RowStream<T>,
}

impl<T> Iterator for Rows<T> {
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.next()
    }
}

impl<T> std::fmt::Debug for Rows<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl<T> Rows<T> {
    pub(crate) fn new(stream: RowStream<T>) -> Self {
        Self { stream }
    }
}

/// Any source of rows.
pub(crate) type RowStream<T> = Box<dyn Iterator<Item = Result<T, StoreError>> + Send>;

/// Cells of the confusion matrix: rows of a cell table to read. `None` means all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellFilter {
    /// Only this label ([`crate::NO_LABEL`] for images without one).
    pub label: Option<u32>,
    /// Only this prediction.
    pub prediction: Option<u32>,
}

impl CellFilter {
    pub(crate) fn admits(self, label: u32, prediction: u32) -> bool {
        self.label.is_none_or(|wanted| wanted == label)
            && self.prediction.is_none_or(|wanted| wanted == prediction)
    }
}

/// Which row groups of a table to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GroupFilter {
    /// Of a table by cell, which begins with label, prediction.
    Cells(CellFilter),
    /// Of a table by image, which begins with it.
    Images(ImageRange),
}

impl GroupFilter {
    /// Whether a row group can hold a wanted row.
    fn admits(self, group: &RowGroupMetaData) -> bool {
        match self {
            Self::Cells(CellFilter { label, prediction }) => [label, prediction]
                .into_iter()
                .enumerate()
                .all(|(column, wanted)| {
                    wanted.is_none_or(|wanted| values(group, column).contains(&wanted))
                }),
            Self::Images(ImageRange { start, end }) => {
                let found = values(group, 0);
                *found.start() < end.0 && start.0 <= *found.end()
            }
        }
    }
}

/// The part of a batch from its first wanted row to its last: a class has few rows of a row group, and turning the
/// others into rows would take most of the time.
fn wanted_part(batch: &RecordBatch, filter: Option<GroupFilter>) -> Result<RecordBatch, String> {
    let Some(GroupFilter::Cells(filter)) = filter else {
        return Ok(batch.clone());
    };
    let label = numbers::<UInt32Type>(batch, "label")?.values().iter();
    let prediction = numbers::<UInt32Type>(batch, "prediction")?.values().iter();
    let mut cells = label.zip(prediction);
    let wanted = |(&label, &prediction): (&u32, &u32)| filter.admits(label, prediction);
    let last = cells.clone().rposition(wanted);
    let first = cells.position(wanted);
    Ok(match (first, last) {
        (Some(first), Some(last)) => batch.slice(first, last + 1 - first),
        _ => batch.slice(0, 0),
    })
}

/// Smallest and largest value of a column in a row group.
fn values(group: &RowGroupMetaData, column: usize) -> RangeInclusive<u32> {
    let chunk = group.columns().get(column);
    let Some(Statistics::Int32(values)) = chunk.and_then(|chunk| chunk.statistics()) else {
        return 0..=u32::MAX;
    };
    // Parquet keeps unsigned numbers in signed ones, bit for bit.
    let low = values.min_opt().map_or(0, |value| value.cast_unsigned());
    let high = values
        .max_opt()
        .map_or(u32::MAX, |value| value.cast_unsigned());
    low..=high
}

/// Opens a table. With a filter, rows before the first wanted one and behind the last are left out where that
/// is cheap; others that are not wanted still come and are for the caller to drop.
pub(crate) fn read_table<T: Row>(
    path: &Path,
    bounds: Bounds,
    filter: Option<GroupFilter>,
) -> Result<RowStream<T>, StoreError> {
    Ok(Box::new(TableRows::<T> {
        batches: Batches::open::<T>(path, filter)?,
        rows: Vec::new().into_iter(),
        bounds,
        previous: None,
    }))
}

fn open<T: Row>(
    path: &Path,
    filter: Option<GroupFilter>,
) -> Result<ParquetRecordBatchReader, String> {
    let mut file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    check_footer(&mut file)?;
    // The types are those of the Parquet schema; what else the file says of itself is ignored.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&file, options).map_err(|error| error.to_string())?;
    check_schema(
        metadata.schema().fields().iter().map(AsRef::as_ref),
        &T::fields(),
        T::LATER_COLUMNS,
    )?;
    let groups = metadata.metadata().row_groups();
    let mut chosen = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        if filter.is_some_and(|filter| !filter.admits(group)) {
            continue;
        }
        if !(0..=LARGEST_ROW_GROUP).contains(&group.num_rows()) {
            return Err("a row group is too large".to_owned());
        }
        group
            .columns()
            .iter()
            .try_for_each(|chunk| pages::check_chunk(&mut file, chunk))?;
        chosen.push(index);
    }
    ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_row_groups(chosen)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| error.to_string())
}

/// The last 8 bytes: length of the footer, magic number.
fn check_footer(file: &mut File) -> Result<(), String> {
    const TAIL_BYTES: u64 = 8;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let Some(start) = length.checked_sub(TAIL_BYTES) else {
        return Err("too short to be a Parquet file".to_owned());
    };
    let mut tail = [0_u8; TAIL_BYTES as usize];
    file.seek(SeekFrom::Start(start))
        .map_err(|error| error.to_string())?;
    file.read_exact(&mut tail)
        .map_err(|error| error.to_string())?;
    let [a, b, c, d, magic @ ..] = tail;
    let footer = u32::from_le_bytes([a, b, c, d]);
    if magic != *b"PAR1" {
        return Err("not a Parquet file, or cut off".to_owned());
    }
    if footer > LARGEST_FOOTER_BYTES || u64::from(footer) > start {
        return Err("the footer is larger than the file".to_owned());
    }
    file.rewind().map_err(|error| error.to_string())
}

fn check_schema<'a>(
    found: impl ExactSizeIterator<Item = &'a Field>,
    wanted: &[Field],
    later: usize,
) -> Result<(), String> {
    if ![wanted.len(), wanted.len() - later].contains(&found.len()) {
        return Err(format!(
            "{} columns instead of {}",
            found.len(),
            wanted.len()
        ));
    }
    for (found, wanted) in found.zip(wanted) {
        let same = found.name() == wanted.name()
            && found.data_type() == wanted.data_type()
            && found.is_nullable() == wanted.is_nullable();
        if !same {
            return Err(format!(
                "column {:?} of type {} where {:?} of type {} belongs",
                found.name(),
                found.data_type(),
                wanted.name(),
                wanted.data_type()
            ));
        }
    }
    Ok(())
}

/// Runs decoder code; its panics become errors. The decoder is dropped after one.
fn guarded<R>(path: &Path, run: impl FnOnce() -> Result<R, String>) -> Result<R, StoreError> {
    let outcome =
        caught(run).unwrap_or_else(|reason| Err(format!("the decoder gave up: {reason}")));
    outcome.map_err(|reason| StoreError::table(path, reason))
}

/// A table as batches of columns of the right types; their values are yet to be checked.
pub(crate) struct Batches {
    path: PathBuf,
    reader: Option<ParquetRecordBatchReader>,
    filter: Option<GroupFilter>,
}

impl Batches {
    /// Opens a table of rows of type `T`; for the filter see [`read_table`].
    pub(crate) fn open<T: Row>(
        path: &Path,
        filter: Option<GroupFilter>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_path_buf(),
            reader: Some(guarded(path, || open::<T>(path, filter))?),
            filter,
        })
    }

    /// What `decode` makes of the next batch; `None` at the end, which is also after the first error.
    pub(crate) fn next<R>(
        &mut self,
        decode: impl FnOnce(&RecordBatch) -> Result<R, String>,
    ) -> Result<Option<R>, StoreError> {
        let Some(mut reader) = self.reader.take() else {
            return Ok(None);
        };
        let batch: Option<Result<RecordBatch, ArrowError>> =
            guarded(&self.path, || Ok(reader.next()))?;
        let Some(batch) = batch else {
            return Ok(None);
        };
        let batch = batch.map_err(|error| self.damaged(error.to_string()))?;
        let decoded = guarded(&self.path, || decode(&wanted_part(&batch, self.filter)?))?;
        self.reader = Some(reader);
        Ok(Some(decoded))
    }

    fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::table(&self.path, reason)
    }
}

struct TableRows<T: Row> {
    batches: Batches,
    rows: vec::IntoIter<T>,
    bounds: Bounds,
    previous: Option<T::Key>,
}

impl<T: Row> TableRows<T> {
    /// The next batch; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<Vec<T>>, StoreError> {
        self.batches.next(|batch| {
            let mut rows = Vec::with_capacity(batch.num_rows());
            T::decode(batch, &mut rows)?;
            Ok(rows)
        })
    }

    fn check(&mut self, row: &T) -> Result<(), StoreError> {
        check_row(row, &self.bounds, &mut self.previous)
            .map_err(|reason| self.batches.damaged(reason))
    }
}

/// Whether a row is one its table can hold behind the row before it.
pub(crate) fn check_row<T: Row>(
    row: &T,
    bounds: &Bounds,
    previous: &mut Option<T::Key>,
) -> Result<(), &'static str> {
    row.check(bounds)?;
    match previous.replace(row.key()) {
        Some(previous) => check_order::<T>(previous, row.key()),
        None => Ok(()),
    }
}

impl<T: Row> Iterator for TableRows<T> {
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.next() {
                let result = self.check(&row).map(|()| row);
                if result.is_err() {
                    self.rows = Vec::new().into_iter();
                    self.batches.reader = None;
                }
                return Some(result);
            }
            match self.next_batch() {
                Ok(Some(rows)) => self.rows = rows.into_iter(),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
