//! Parquet tables of images as Hugging Face writes them: a column `image` of `struct<bytes, path>`, and a
//! column of classes whose names stand in the file's metadata.
//!
//! Place in the flow: makes the list from paths and classes alone; one image is then read by decoding the
//! page that holds it. Whatever the decoder does, its panics become errors. Memory: a page (about 1 MB as
//! written by pyarrow), the footer of every table.

use super::chunks::Chunks;
use super::collect::Collector;
use super::{Place, ReadError, ScanOptions, SourceKind};
use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use summit_objects::{ObjectError, Objects, shown};
use summit_tables::caught;

/// Rows decoded at a time while listing.
const BATCH_ROWS: usize = 4096;
/// Largest column of a row group that is decoded, bytes.
const LARGEST_CHUNK_BYTES: i64 = 4 << 30;
/// Names a column of classes may have where the metadata name none, best first.
const CLASS_COLUMNS: [&str; 6] = ["label", "labels", "cls", "class", "class_name", "category"];
/// Key of the metadata in which Hugging Face describes the columns.
const FEATURES_KEY: &str = "huggingface";

/// A table, its footer read when first needed.
#[derive(Debug)]
pub(super) struct OpenTable {
    location: String,
    footer: OnceLock<Result<(Chunks, ArrowReaderMetadata), String>>,
}

impl OpenTable {
    pub(super) fn new(location: String) -> Self {
        Self {
            location,
            footer: OnceLock::new(),
        }
    }

    fn footer(&self, objects: &Arc<Objects>) -> Result<&(Chunks, ArrowReaderMetadata), String> {
        self.footer
            .get_or_init(|| guarded(|| open(objects, &self.location)))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The image of a row.
    pub(super) fn read(
        &self,
        objects: &Arc<Objects>,
        row: u64,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, ReadError> {
        let bytes = guarded(|| {
            let (chunks, footer) = self.footer(objects)?;
            image_of_row(chunks, footer, row)
        })
        .map_err(ReadError::Table)?;
        if bytes.len() as u64 > limit_bytes {
            return Err(ObjectError::TooLarge { limit_bytes }.into());
        }
        Ok(bytes)
    }

    /// Whether the table holds images; a list of paths does not.
    pub(super) fn has_images(&self, objects: &Arc<Objects>) -> Result<bool, String> {
        let (_, footer) = self.footer(objects)?;
        Ok(image_column(footer.schema()).is_some())
    }

    /// Calls `row` for every row with the texts of two columns: the location (or name) of an image and its
    /// class. `wanted` picks the first from the schema, as the path of its leaf.
    pub(super) fn texts(
        &self,
        objects: &Arc<Objects>,
        wanted: impl Fn(&Schema) -> Option<String>,
        mut each: impl FnMut(Option<&str>, Option<String>) -> Result<(), String>,
    ) -> Result<(), String> {
        let (chunks, footer) = self.footer(objects)?;
        let schema = footer.schema();
        let name = wanted(schema);
        let features = features(footer);
        let class = class_column(schema, &features);
        let names = class
            .as_ref()
            .map(|class| class_names(&features, class))
            .unwrap_or_default();
        let leaves: Vec<&str> = [&name, &class]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let mask = ProjectionMask::columns(footer.parquet_schema(), leaves);
        let reader = guarded(|| {
            check_sizes(footer, &mask)?;
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), footer.clone())
                .with_projection(mask.clone())
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|error| error.to_string())
        })?;
        let mut reader = Some(reader);
        // Taken for the call: a decoder that gave up is not used again.
        while let Some(mut decoder) = reader.take() {
            let Some(batch) = guarded(|| Ok(decoder.next()))? else {
                break;
            };
            let batch = batch.map_err(|error| error.to_string())?;
            let [texts, classes] = [&name, &class].map(|column| {
                column
                    .as_ref()
                    .map(|column| guarded(|| column_texts(&batch, column)))
                    .transpose()
            });
            let (texts, classes) = (texts?, classes?);
            for row in 0..batch.num_rows() {
                let text = |column: &Option<Vec<Option<String>>>| {
                    column.as_ref().and_then(|column| column.get(row)?.clone())
                };
                let class = text(&classes).map(|word| named(&names, word));
                each(text(&texts).as_deref(), class)?;
            }
            reader = Some(decoder);
        }
        Ok(())
    }

    /// Names of the classes, by the table's own numbers.
    pub(super) fn class_names(&self, objects: &Arc<Objects>) -> Vec<String> {
        let Ok((_, footer)) = self.footer(objects) else {
            return Vec::new();
        };
        let features = features(footer);
        class_column(footer.schema(), &features)
            .map(|class| class_names(&features, &class))
            .unwrap_or_default()
    }
}

/// A number becomes the name the metadata give it.
fn named(names: &[String], word: String) -> String {
    let number = word.parse::<usize>().ok();
    number
        .and_then(|number| names.get(number).cloned())
        .unwrap_or(word)
}

/// Lists the images of all tables. One that cannot be read, or not to its end, is passed over from there on.
pub(super) fn list(
    objects: &Arc<Objects>,
    root: PathBuf,
    containers: Vec<String>,
    options: &ScanOptions,
) -> Collector {
    let mut all = Collector::new(SourceKind::Tables, root);
    for (container, location) in (0..).zip(&containers) {
        let table = OpenTable::new(location.clone());
        let outcome = list_table(objects, &table, container, &mut all, options);
        if let Err(reason) = outcome {
            all.skip(&shown(location), reason);
        }
    }
    all.containers = containers;
    all
}

fn list_table(
    objects: &Arc<Objects>,
    table: &OpenTable,
    container: u32,
    all: &mut Collector,
    options: &ScanOptions,
) -> Result<(), String> {
    if !table.has_images(objects)? {
        return Err("it has no column of images".to_owned());
    }
    all.folders.extend(table.class_names(objects));
    let file_bytes = table.footer(objects)?.0.bytes();
    let stem = shown(&table.location);
    let stem = stem.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = stem.trim_end_matches(".parquet");
    let mut row = 0_u64;
    let path_leaf = |schema: &Schema| {
        let (column, fields) = image_column(schema)?;
        let path = fields.iter().any(|field| field.name() == "path");
        path.then(|| format!("{column}.path"))
    };
    table.texts(objects, path_leaf, |path, class| {
        if all.len() >= options.max_entries {
            return Err("there are too many images".to_owned());
        }
        // A nameless image is its row.
        let nameless = format!("{stem}-{row:08}");
        let name = path.filter(|path| !path.is_empty()).unwrap_or(&nameless);
        // All that is known of its content without reading it.
        let mark = [file_bytes, row].map(u64::to_le_bytes).concat();
        all.name(name, class, Place::Row { container, row }, &mark);
        row += 1;
        Ok(())
    })
}

/// Runs decoder code; its panics become errors.
fn guarded<R>(run: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    caught(run).unwrap_or_else(|reason| Err(format!("the decoder gave up: {reason}")))
}

fn open(objects: &Arc<Objects>, location: &str) -> Result<(Chunks, ArrowReaderMetadata), String> {
    let chunks = Chunks::open(objects, location)?;
    // The index of pages, where there is one, finds a row without reading those before it.
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let footer = ArrowReaderMetadata::load(&chunks, options).map_err(|error| error.to_string())?;
    Ok((chunks, footer))
}

/// The column of images, and its fields.
fn image_column(schema: &Schema) -> Option<(&str, &arrow::datatypes::Fields)> {
    schema.fields().iter().find_map(|field| {
        let DataType::Struct(fields) = field.data_type() else {
            return None;
        };
        let has_bytes = fields.iter().any(|field| {
            field.name() == "bytes"
                && matches!(field.data_type(), DataType::Binary | DataType::LargeBinary)
        });
        has_bytes.then_some((field.name().as_str(), fields))
    })
}

/// Columns as the writer described them, or nothing.
fn features(footer: &ArrowReaderMetadata) -> serde_json::Value {
    let entries = footer.metadata().file_metadata().key_value_metadata();
    let text = entries
        .into_iter()
        .flatten()
        .find(|entry| entry.key == FEATURES_KEY)
        .and_then(|entry| entry.value.as_deref());
    let value: Option<serde_json::Value> = text.and_then(|text| serde_json::from_str(text).ok());
    value
        .and_then(|value| value.pointer("/info/features").cloned())
        .unwrap_or_default()
}

fn is_class_label(feature: &serde_json::Value) -> bool {
    feature.get("_type").and_then(|kind| kind.as_str()) == Some("ClassLabel")
}

/// The column of classes: a described one, or one of a usual name.
fn class_column(schema: &Schema, features: &serde_json::Value) -> Option<String> {
    let is_there = |name: &str| schema.field_with_name(name).is_ok_and(is_text);
    let described = |name: &str| features.get(name).is_some_and(is_class_label);
    let usual = CLASS_COLUMNS.iter().copied();
    let other = schema.fields().iter().map(|field| field.name().as_str());
    usual
        .clone()
        .chain(other)
        .find(|name| described(name) && is_there(name))
        .or_else(|| usual.clone().find(|name| is_there(name)))
        .map(str::to_owned)
}

fn is_text(field: &Field) -> bool {
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    };
    kind.is_integer()
        || matches!(
            kind,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
}

fn class_names(features: &serde_json::Value, column: &str) -> Vec<String> {
    let names = features
        .get(column)
        .filter(|feature| is_class_label(feature))
        .and_then(|feature| feature.get("names")?.as_array());
    let words = names.into_iter().flatten();
    words
        .map(|name| name.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A column, or a field of a struct column (`image.path`), as texts.
fn column_texts(batch: &RecordBatch, path: &str) -> Result<Vec<Option<String>>, String> {
    let (column, field) = path
        .split_once('.')
        .map_or((path, None), |(c, f)| (c, Some(f)));
    let missing = || format!("there is no column {path}");
    let mut array = batch.column_by_name(column).ok_or_else(missing)?;
    if let Some(field) = field {
        let fields = array.as_any().downcast_ref::<StructArray>();
        array = fields
            .and_then(|fields| fields.column_by_name(field))
            .ok_or_else(missing)?;
    }
    let texts = cast(array, &DataType::Utf8).map_err(|error| error.to_string())?;
    let texts = texts.as_string_opt::<i32>().ok_or_else(missing)?;
    Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
}

/// What the footer says a column decodes to; the decoder allocates by it.
fn check_sizes(footer: &ArrowReaderMetadata, mask: &ProjectionMask) -> Result<(), String> {
    for group in footer.metadata().row_groups() {
        for (leaf, chunk) in group.columns().iter().enumerate() {
            let sizes = [chunk.uncompressed_size(), chunk.compressed_size()];
            let sane = sizes
                .iter()
                .all(|size| (0..=LARGEST_CHUNK_BYTES).contains(size));
            if mask.leaf_included(leaf) && !sane {
                return Err("a row group is too large".to_owned());
            }
        }
    }
    Ok(())
}

fn image_of_row(
    chunks: &Chunks,
    footer: &ArrowReaderMetadata,
    row: u64,
) -> Result<Vec<u8>, String> {
    let (column, _) = image_column(footer.schema()).ok_or("it has no column of images")?;
    let mask = ProjectionMask::columns(
        footer.parquet_schema(),
        [format!("{column}.bytes").as_str()],
    );
    check_sizes(footer, &mask)?;
    let mut before = row;
    let mut group = 0;
    for rows in footer
        .metadata()
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
    {
        let rows = u64::try_from(rows).map_err(|_| "a row group is damaged")?;
        if before < rows {
            break;
        }
        before -= rows;
        group += 1;
    }
    if group >= footer.metadata().num_row_groups() {
        return Err(format!("it has no row {row}"));
    }
    // Below the rows of a group.
    let skip = usize::try_from(before).map_err(|error| error.to_string())?;
    let selection = RowSelection::from(vec![RowSelector::skip(skip), RowSelector::select(1)]);
    let mut reader =
        ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), footer.clone())
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_row_selection(selection)
            .with_batch_size(1)
            .build()
            .map_err(|error| error.to_string())?;
    let batch = reader.next().ok_or("it ends before its end")?;
    let batch = batch.map_err(|error| error.to_string())?;
    let images = batch.column_by_name(column);
    let fields = images.and_then(|images| images.as_any().downcast_ref::<StructArray>());
    let values = fields
        .and_then(|fields| fields.column_by_name("bytes"))
        .ok_or("its images have no bytes")?;
    let values = cast(values, &DataType::LargeBinary).map_err(|error| error.to_string())?;
    let values = values
        .as_binary_opt::<i64>()
        .ok_or("its images have no bytes")?;
    if values.is_empty() || values.is_null(0) {
        return Err("the row has no image".to_owned());
    }
    Ok(values.value(0).to_vec())
}
