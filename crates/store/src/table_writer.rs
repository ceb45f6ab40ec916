//! Writes one table as Parquet: same rows, same bytes.
//!
//! Rows are buffered and handed to the encoder in batches of a fixed size whatever the caller's,
//! since page boundaries follow batches. Row groups, pages, encodings and compression are fixed,
//! and the file carries neither a time nor a version of a library. Memory: one row group ([`Row::GROUP_ROWS`]).

use crate::durable::{FileEntry, HashingFile};
use crate::error::StoreError;
use crate::rows::{EqualKeys, Row};
use crate::tables::Bounds;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Rows handed to the encoder at a time.
pub(crate) const BATCH_ROWS: usize = 8192;
/// zstd level: 3 is its default; higher ones cost more time than the network saves in bytes.
const ZSTD_LEVEL: i32 = 3;
/// Size at which a page is closed.
const PAGE_BYTES: usize = 1 << 20;

/// Writes rows in key order.
pub(crate) struct TableWriter<T: Row> {
    path: PathBuf,
    relative: String,
    schema: SchemaRef,
    bounds: Bounds,
    writer: ArrowWriter<HashingFile>,
    failure: Arc<OnceLock<io::ErrorKind>>,
    rows: Vec<T>,
    previous: Option<T::Key>,
    written: u64,
}

impl<T: Row> TableWriter<T> {
    /// Creates `folder/relative`; the folder of the file must exist.
    pub(crate) fn create(
        folder: &Path,
        relative: &str,
        bounds: Bounds,
    ) -> Result<Self, StoreError> {
        let path = folder.join(relative);
        let schema = Arc::new(Schema::new(T::fields()));
        let file = HashingFile::create(&path)?;
        let noted = file.failure();
        let options = ArrowWriterOptions::new()
            .with_properties(
                properties(&schema, T::GROUP_ROWS)
                    .map_err(|error| failure(&path, &noted, &error))?,
            )
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options)
            .map_err(|error| failure(&path, &noted, &error))?;
        Ok(Self {
            path,
            relative: relative.to_owned(),
            schema,
            bounds,
            writer,
            failure: noted,
            rows: Vec::with_capacity(BATCH_ROWS),
            previous: None,
            written: 0,
        })
    }

    /// Appends a row; refuses values out of bounds and rows out of order.
    pub(crate) fn push(&mut self, row: T) -> Result<(), StoreError> {
        row.check(&self.bounds)
            .map_err(|reason| self.invalid(reason))?;
        let key = row.key();
        if let Some(previous) = self.previous {
            check_order::<T>(previous, key).map_err(|reason| self.invalid(reason))?;
        }
        self.previous = Some(key);
        self.rows.push(row);
        if self.rows.len() == BATCH_ROWS {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Appends all rows.
    pub(crate) fn extend(
        &mut self,
        rows: impl IntoIterator<Item = Result<T, StoreError>>,
    ) -> Result<(), StoreError> {
        rows.into_iter().try_for_each(|row| self.push(row?))
    }

    /// Rows so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.rows.len() as u64
    }

    /// Closes the file and flushes it to the device.
    pub(crate) fn finish(mut self) -> Result<FileEntry, StoreError> {
        if !self.rows.is_empty() {
            self.flush()?;
        }
        // `into_inner` writes the footer; dropping the writer would not report a full disk.
        let file = self
            .writer
            .into_inner()
            .map_err(|error| failure(&self.path, &self.failure, &error))?;
        file.finish(&self.path, &self.relative)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), T::columns(&self.rows))
            .map_err(|error| self.invalid(error.to_string()))?;
        self.writer
            .write(&batch)
            .map_err(|error| failure(&self.path, &self.failure, &error))?;
        self.written += self.rows.len() as u64;
        self.rows.clear();
        Ok(())
    }

    fn invalid(&self, reason: impl Into<String>) -> StoreError {
        StoreError::RowInvalid {
            reason: reason.into(),
            path: self.path.clone(),
        }
    }
}

/// Whether `next` may follow `previous`.
pub(crate) fn check_order<T: Row>(previous: T::Key, next: T::Key) -> Result<(), &'static str> {
    match T::EQUAL_KEYS {
        _ if next < previous => Err("the rows are out of order"),
        EqualKeys::Keep => Ok(()),
        _ if next == previous => Err("a row occurs twice"),
        _ => Ok(()),
    }
}

fn properties(schema: &Schema, group_rows: usize) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("summit".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_size_limit(PAGE_BYTES)
        // Dictionaries let a small file claim a large table; without them the size of a page
        // bounds what it decodes to. Differences of sorted ids pack as well.
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for field in schema.fields() {
        let (kind, path) = match field.data_type() {
            DataType::List(element) => {
                let path = [field.name(), "list", element.name()].map(str::to_owned);
                (element.data_type(), ColumnPath::new(path.to_vec()))
            }
            kind => (kind, ColumnPath::from(field.name().as_str())),
        };
        if matches!(kind, DataType::UInt32 | DataType::UInt16) {
            builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    Ok(builder.build())
}

/// An error of the encoder; the kind the file has noted tells a full disk from the rest.
fn failure(path: &Path, noted: &OnceLock<io::ErrorKind>, error: &ParquetError) -> StoreError {
    let kind = noted.get().copied().unwrap_or(io::ErrorKind::Other);
    StoreError::io(
        "write the table",
        path,
        io::Error::new(kind, error.to_string()),
    )
}
