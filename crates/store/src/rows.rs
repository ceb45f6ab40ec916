//! How each kind of row becomes columns and back.
//!
//! Columns are `u16`, `u32`, `u64`, `f32` and UTF-8 only; ids and counts are unsigned, values are finite.
//! docs/formats.md lists them. Batches are converted row by row: O(rows), no copy is kept.

use crate::table_writer::BATCH_ROWS;
use crate::tables::Bounds;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, Float32Builder, ListArray, ListBuilder,
    PrimitiveArray, RecordBatch, StringArray, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Float32Type, UInt16Type, UInt32Type, UInt64Type};
use std::sync::Arc;
use summit_tables::{
    ActivationEntry, ChannelId, ClassId, DatasetExample, EXAMPLES_PER_BIN, HISTOGRAM_BINS, ImageId,
    ImageRecord, InfluenceEntry, SkippedImage, Thumbnail, TopChannel,
};

/// Longest path of an image, in bytes. Bounds the memory of a page when reading.
pub const LONGEST_PATH_BYTES: usize = 16 * 1024;
/// Longest reason for skipping an image, in bytes; longer ones are cut.
pub const LONGEST_REASON_BYTES: usize = 4096;
/// Largest stored thumbnail, in bytes.
const LARGEST_THUMBNAIL_BYTES: usize = 16 * 1024;
/// How every JPEG begins.
const JPEG_START: [u8; 2] = [0xff, 0xd8];
/// Most probable classes kept per image.
const TOP_CLASSES: usize = 5;
/// Bins a histogram may have.
const LARGEST_BINS: u32 = 1 << 16;
/// Label of a cell whose images have none.
pub const NO_LABEL: u32 = u32::MAX;

/// What to do with rows of equal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EqualKeys {
    /// There are none.
    Refuse,
    /// A list: they stay in the order they come.
    Keep,
    /// Counts: they are added up when merging.
    Add,
}

/// A row of a table.
pub(crate) trait Row: Clone + PartialEq + Send + 'static {
    /// Sort order of the table.
    type Key: Ord + Copy + Send + std::fmt::Debug;
    /// What equal keys mean.
    const EQUAL_KEYS: EqualKeys;
    /// Rows of a row group: what is held in memory when writing, and what a reader can skip.
    const GROUP_ROWS: usize = 16 * BATCH_ROWS;
    /// Whether a count of 0 is a row.
    const KEEPS_ZEROS: bool = false;

    /// How many of the last columns older runs lack.
    const LATER_COLUMNS: usize = 0;

    /// Columns in order.
    fn fields() -> Vec<Field>;
    /// Rows as columns, in the order of [`Row::fields`].
    fn columns(rows: &[Self]) -> Vec<ArrayRef>;
    /// Columns as rows; the batch has been compared with [`Row::fields`].
    fn decode(batch: &RecordBatch, rows: &mut Vec<Self>) -> Result<(), String>;
    /// Position in the sort order.
    fn key(&self) -> Self::Key;
    /// Whether every value is one a run can hold.
    fn check(&self, bounds: &Bounds) -> Result<(), &'static str>;
    /// The count, of a table of counts.
    fn count(&mut self) -> Option<&mut u32> {
        None
    }
    /// Adds the count of a row of equal key; `false` on overflow.
    fn add(&mut self, other: &Self) -> bool {
        self.change(other, u32::checked_add)
    }
    /// Subtracts the count of a row of equal key; `false` below 0.
    fn subtract(&mut self, other: &Self) -> bool {
        self.change(other, u32::checked_sub)
    }
    /// Changes the count by that of another row; `false` where there is none.
    fn change(&mut self, other: &Self, by: fn(u32, u32) -> Option<u32>) -> bool {
        let mut other = other.clone();
        let (Some(count), Some(change)) = (self.count(), other.count()) else {
            return false;
        };
        by(*count, *change).map(|result| *count = result).is_some()
    }
    /// The image the row is about, for renumbering.
    fn image(&mut self) -> Option<&mut ImageId> {
        None
    }
}

/// A column of numbers without gaps.
pub(crate) fn numbers<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a PrimitiveArray<T>, String> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| format!("no column {name}"))?;
    let column = column.as_any().downcast_ref::<PrimitiveArray<T>>();
    let column = column.ok_or_else(|| format!("column {name} has another type"))?;
    if column.null_count() > 0 {
        return Err(format!("column {name} has missing values"));
    }
    Ok(column)
}

pub(crate) fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, String> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| format!("no column {name}"))?;
    let column = column.as_any().downcast_ref::<StringArray>();
    let column = column.ok_or_else(|| format!("column {name} has another type"))?;
    if column.null_count() > 0 {
        return Err(format!("column {name} has missing values"));
    }
    Ok(column)
}

fn lists<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ListArray, String> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| format!("no column {name}"))?;
    let column = column.as_any().downcast_ref::<ListArray>();
    let column = column.ok_or_else(|| format!("column {name} has another type"))?;
    if column.null_count() > 0 || column.values().null_count() > 0 {
        return Err(format!("column {name} has missing values"));
    }
    Ok(column)
}

/// The elements of one list.
fn elements<T: ArrowPrimitiveType>(
    column: &ListArray,
    row: usize,
    name: &str,
) -> Result<Vec<T::Native>, String> {
    let values = column.value(row);
    if values.len() > TOP_CLASSES {
        return Err(format!(
            "column {name} has more than {TOP_CLASSES} values in a row"
        ));
    }
    let values = values.as_any().downcast_ref::<PrimitiveArray<T>>();
    let values = values.ok_or_else(|| format!("column {name} has another type"))?;
    Ok(values.values().to_vec())
}

/// `fields`, `columns` and `decode` of a row whose columns are plain numbers.
macro_rules! number_columns {
    (
        $row:ty {
            $($name:literal: $kind:ty, $value:ident <- $get:expr;)+
            $(else $default:expr => $later:literal: $later_kind:ty, $later_value:ident <- $later_get:expr;)*
        } $make:expr
    ) => {
        const LATER_COLUMNS: usize = [$($later,)* ""].len() - 1;

        fn fields() -> Vec<Field> {
            vec![
                $(Field::new($name, <$kind as ArrowPrimitiveType>::DATA_TYPE, false),)+
                $(Field::new($later, <$later_kind as ArrowPrimitiveType>::DATA_TYPE, false),)*
            ]
        }

        fn columns(rows: &[Self]) -> Vec<ArrayRef> {
            vec![$({
                let get: fn(&$row) -> <$kind as ArrowPrimitiveType>::Native = $get;
                let values = rows.iter().map(get);
                Arc::new(PrimitiveArray::<$kind>::from_iter_values(values)) as ArrayRef
            },)+ $({
                let get: fn(&$row) -> <$later_kind as ArrowPrimitiveType>::Native = $later_get;
                let values = rows.iter().map(get);
                Arc::new(PrimitiveArray::<$later_kind>::from_iter_values(values)) as ArrayRef
            },)*]
        }

        fn decode(batch: &RecordBatch, rows: &mut Vec<Self>) -> Result<(), String> {
            $(let $value = numbers::<$kind>(batch, $name)?;)+
            $(let $later_value = match batch.column_by_name($later) {
                Some(_) => Some(numbers::<$later_kind>(batch, $later)?),
                None => None,
            };)*
            // All columns of a batch have its number of rows.
            for row in 0..batch.num_rows() {
                $(let $value = $value.value(row);)+
                $(let $later_value = $later_value.map_or($default, |column| column.value(row));)*
                rows.push($make);
            }
            Ok(())
        }
    };
}

pub(crate) use number_columns;

impl Row for TopChannel {
    type Key = ImageId;
    const EQUAL_KEYS: EqualKeys = EqualKeys::Keep;

    number_columns! { TopChannel {
        "image": UInt32Type, image <- |row| row.image.0;
        "channel": UInt32Type, channel <- |row| row.channel.0;
        "value": Float32Type, value <- |row| row.value;
        "share": Float32Type, share <- |row| row.share;
        "row": UInt16Type, line <- |row| row.row;
        "column": UInt16Type, column <- |row| row.column;
    } TopChannel {
        image: ImageId(image), channel: ChannelId(channel), value, share, row: line, column,
    } }

    fn key(&self) -> ImageId {
        self.image
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_image(self.image, bounds)?;
        check_position(self.channel, [self.row, self.column], bounds)?;
        if !(self.value.is_finite() && self.value >= 0.0) {
            return Err("a value is negative or not a number");
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Err("a share is outside 0 to 1");
        }
        Ok(())
    }

    fn image(&mut self) -> Option<&mut ImageId> {
        Some(&mut self.image)
    }
}

impl Row for DatasetExample {
    type Key = (ChannelId, u16);
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;

    number_columns! { DatasetExample {
        "channel": UInt32Type, channel <- |row| row.channel.0;
        "rank": UInt16Type, rank <- |row| row.rank;
        "image": UInt32Type, image <- |row| row.image.0;
        "value": Float32Type, value <- |row| row.value;
        "row": UInt16Type, line <- |row| row.row;
        "column": UInt16Type, column <- |row| row.column;
        else 0 => "mask": UInt64Type, mask <- |row| row.mask;
    } DatasetExample {
        channel: ChannelId(channel), rank, image: ImageId(image), value, row: line, column, mask,
    } }

    fn key(&self) -> (ChannelId, u16) {
        (self.channel, self.rank)
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_image(self.image, bounds)?;
        check_position(self.channel, [self.row, self.column], bounds)?;
        // The longest list: some images of each bin of a histogram.
        if usize::from(self.rank) >= HISTOGRAM_BINS * EXAMPLES_PER_BIN {
            return Err("a rank is out of range");
        }
        if !self.value.is_finite() {
            return Err("a value is not a number");
        }
        Ok(())
    }

    fn image(&mut self) -> Option<&mut ImageId> {
        Some(&mut self.image)
    }
}

impl Row for ActivationEntry {
    type Key = [u32; 3];
    const EQUAL_KEYS: EqualKeys = EqualKeys::Add;

    number_columns! { ActivationEntry {
        "label": UInt32Type, label <- |row| row.label;
        "prediction": UInt32Type, prediction <- |row| row.prediction;
        "channel": UInt32Type, channel <- |row| row.channel;
        "images": UInt32Type, images <- |row| row.images;
    } ActivationEntry { label, prediction, channel, images } }

    fn key(&self) -> [u32; 3] {
        [self.label, self.prediction, self.channel]
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_cell([self.label, self.prediction], bounds)?;
        if self.channel >= bounds.channels {
            return Err("a channel is out of range");
        }
        if self.images == 0 {
            return Err("a count is 0");
        }
        Ok(())
    }

    fn count(&mut self) -> Option<&mut u32> {
        Some(&mut self.images)
    }
}

impl Row for InfluenceEntry {
    type Key = [u32; 4];
    const EQUAL_KEYS: EqualKeys = EqualKeys::Add;
    /// The graph of a class reads its cells of every convolution's table: of many classes each has a few thousand rows.
    const GROUP_ROWS: usize = 4 * BATCH_ROWS;

    number_columns! { InfluenceEntry {
        "label": UInt32Type, label <- |row| row.label;
        "prediction": UInt32Type, prediction <- |row| row.prediction;
        "output": UInt32Type, output <- |row| row.output;
        "input": UInt32Type, input <- |row| row.input;
        "count": UInt32Type, count <- |row| row.count;
    } InfluenceEntry { label, prediction, output, input, count } }

    fn key(&self) -> [u32; 4] {
        [self.label, self.prediction, self.output, self.input]
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_cell([self.label, self.prediction], bounds)?;
        let [outputs, inputs] = bounds.conv;
        if self.output >= outputs || self.input >= inputs {
            return Err("a channel is out of range");
        }
        if self.count == 0 {
            return Err("a count is 0");
        }
        Ok(())
    }

    fn count(&mut self) -> Option<&mut u32> {
        Some(&mut self.count)
    }
}

/// One bin of the histogram of one channel. Empty bins are stored too, so that the number of bins
/// is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistogramBin {
    pub(crate) channel: u32,
    pub(crate) bin: u32,
    pub(crate) images: u32,
}

impl Row for HistogramBin {
    type Key = [u32; 2];
    const EQUAL_KEYS: EqualKeys = EqualKeys::Add;
    const KEEPS_ZEROS: bool = true;

    number_columns! { HistogramBin {
        "channel": UInt32Type, channel <- |row| row.channel;
        "bin": UInt32Type, bin <- |row| row.bin;
        "images": UInt32Type, images <- |row| row.images;
    } HistogramBin { channel, bin, images } }

    fn key(&self) -> [u32; 2] {
        [self.channel, self.bin]
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        if self.channel >= bounds.channels {
            return Err("a channel is out of range");
        }
        if self.bin >= LARGEST_BINS {
            return Err("a histogram has too many bins");
        }
        Ok(())
    }

    fn count(&mut self) -> Option<&mut u32> {
        Some(&mut self.images)
    }
}

impl Row for SkippedImage {
    type Key = ImageId;
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;

    fn fields() -> Vec<Field> {
        vec![
            Field::new("image", DataType::UInt32, false),
            Field::new("path", DataType::Utf8, false),
            Field::new("reason", DataType::Utf8, false),
        ]
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let images = rows.iter().map(|row| row.image.0);
        let paths = rows.iter().map(|row| row.path.as_str());
        let reasons = rows.iter().map(|row| cut(&row.reason));
        vec![
            Arc::new(PrimitiveArray::<UInt32Type>::from_iter_values(images)),
            Arc::new(StringArray::from_iter_values(paths)),
            Arc::new(StringArray::from_iter_values(reasons)),
        ]
    }

    fn decode(batch: &RecordBatch, rows: &mut Vec<Self>) -> Result<(), String> {
        let images = numbers::<UInt32Type>(batch, "image")?;
        let (paths, reasons) = (texts(batch, "path")?, texts(batch, "reason")?);
        for row in 0..batch.num_rows() {
            rows.push(Self {
                image: ImageId(images.value(row)),
                path: paths.value(row).to_owned(),
                reason: reasons.value(row).to_owned(),
            });
        }
        Ok(())
    }

    fn key(&self) -> ImageId {
        self.image
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_image(self.image, bounds)?;
        check_path(&self.path)
    }

    fn image(&mut self) -> Option<&mut ImageId> {
        Some(&mut self.image)
    }
}

impl Row for Thumbnail {
    type Key = ImageId;
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;
    /// About 3 MB.
    const GROUP_ROWS: usize = 1024;

    fn fields() -> Vec<Field> {
        vec![
            Field::new("image", DataType::UInt32, false),
            Field::new("jpeg", DataType::Binary, false),
        ]
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let images = rows.iter().map(|row| row.image.0);
        let pictures = rows.iter().map(|row| row.jpeg.as_slice());
        vec![
            Arc::new(PrimitiveArray::<UInt32Type>::from_iter_values(images)),
            Arc::new(BinaryArray::from_iter_values(pictures)),
        ]
    }

    fn decode(batch: &RecordBatch, rows: &mut Vec<Self>) -> Result<(), String> {
        let images = numbers::<UInt32Type>(batch, "image")?;
        let column = batch.column_by_name("jpeg").map(|column| column.as_any());
        let pictures = column.and_then(|column| column.downcast_ref::<BinaryArray>());
        let pictures = pictures.ok_or("no column jpeg")?;
        for row in 0..batch.num_rows() {
            rows.push(Self {
                image: ImageId(images.value(row)),
                jpeg: pictures.value(row).to_vec(),
            });
        }
        Ok(())
    }

    fn key(&self) -> ImageId {
        self.image
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_image(self.image, bounds)?;
        if self.jpeg.len() > LARGEST_THUMBNAIL_BYTES || !self.jpeg.starts_with(&JPEG_START) {
            return Err("a thumbnail is too large or no JPEG");
        }
        Ok(())
    }

    fn image(&mut self) -> Option<&mut ImageId> {
        Some(&mut self.image)
    }
}

/// The element of a list column, named as the Parquet format asks.
fn element(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", kind, false))
}

impl Row for ImageRecord {
    type Key = ImageId;
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;

    fn fields() -> Vec<Field> {
        let list = |kind| DataType::List(element(kind));
        vec![
            Field::new("image", DataType::UInt32, false),
            Field::new("path", DataType::Utf8, false),
            Field::new("label", DataType::UInt32, true),
            Field::new("prediction", DataType::UInt32, false),
            Field::new("top_classes", list(DataType::UInt32), false),
            Field::new("top_probabilities", list(DataType::Float32), false),
            Field::new("label_probability", DataType::Float32, false),
            Field::new("margin", DataType::Float32, false),
            Field::new("runner_up", DataType::UInt32, false),
            Field::new("width", DataType::UInt32, false),
            Field::new("height", DataType::UInt32, false),
        ]
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let whole = |get: fn(&Self) -> u32| {
            Arc::new(PrimitiveArray::<UInt32Type>::from_iter_values(
                rows.iter().map(get),
            ))
        };
        let real = |get: fn(&Self) -> f32| {
            Arc::new(PrimitiveArray::<Float32Type>::from_iter_values(
                rows.iter().map(get),
            ))
        };
        let labels = rows.iter().map(|row| row.label.map(|label| label.0));
        let mut classes =
            ListBuilder::new(UInt32Builder::new()).with_field(element(DataType::UInt32));
        let mut probabilities =
            ListBuilder::new(Float32Builder::new()).with_field(element(DataType::Float32));
        for row in rows {
            row.top_classes
                .iter()
                .for_each(|class| classes.values().append_value(class.0));
            classes.append(true);
            probabilities.values().append_slice(&row.top_probabilities);
            probabilities.append(true);
        }
        vec![
            whole(|row| row.image.0),
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|row| row.path.as_str()),
            )),
            Arc::new(PrimitiveArray::<UInt32Type>::from_iter(labels)),
            // `check` refuses records without a prediction.
            whole(|row| row.top_classes.first().map_or(NO_LABEL, |class| class.0)),
            Arc::new(classes.finish()),
            Arc::new(probabilities.finish()),
            real(|row| row.label_probability),
            real(|row| row.margin),
            whole(|row| row.runner_up.0),
            whole(|row| row.width),
            whole(|row| row.height),
        ]
    }

    fn decode(batch: &RecordBatch, rows: &mut Vec<Self>) -> Result<(), String> {
        let images = numbers::<UInt32Type>(batch, "image")?;
        let paths = texts(batch, "path")?;
        let labels = batch.column_by_name("label").map(|column| column.as_any());
        let labels = labels.and_then(|column| column.downcast_ref::<PrimitiveArray<UInt32Type>>());
        let labels = labels.ok_or("no column label")?;
        let predictions = numbers::<UInt32Type>(batch, "prediction")?;
        let top_classes = lists(batch, "top_classes")?;
        let top_probabilities = lists(batch, "top_probabilities")?;
        let label_probabilities = numbers::<Float32Type>(batch, "label_probability")?;
        let margins = numbers::<Float32Type>(batch, "margin")?;
        let runner_ups = numbers::<UInt32Type>(batch, "runner_up")?;
        let widths = numbers::<UInt32Type>(batch, "width")?;
        let heights = numbers::<UInt32Type>(batch, "height")?;
        for row in 0..batch.num_rows() {
            let classes = elements::<UInt32Type>(top_classes, row, "top_classes")?;
            if classes.first() != Some(&predictions.value(row)) {
                return Err("a prediction is not the first of the top classes".to_owned());
            }
            rows.push(Self {
                image: ImageId(images.value(row)),
                path: paths.value(row).to_owned(),
                label: labels.is_valid(row).then(|| ClassId(labels.value(row))),
                top_classes: classes.into_iter().map(ClassId).collect(),
                top_probabilities: elements::<Float32Type>(
                    top_probabilities,
                    row,
                    "top_probabilities",
                )?,
                label_probability: label_probabilities.value(row),
                margin: margins.value(row),
                runner_up: ClassId(runner_ups.value(row)),
                width: widths.value(row),
                height: heights.value(row),
            });
        }
        Ok(())
    }

    fn key(&self) -> ImageId {
        self.image
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_image(self.image, bounds)?;
        check_path(&self.path)?;
        let classes = self
            .label
            .iter()
            .chain(&self.top_classes)
            .chain([&self.runner_up]);
        if classes.into_iter().any(|class| class.0 >= bounds.classes) {
            return Err("a class is out of range");
        }
        if self.top_classes.is_empty() || self.top_classes.len() > TOP_CLASSES {
            return Err("an image has no or too many top classes");
        }
        if self.top_classes.len() != self.top_probabilities.len() {
            return Err("top classes and probabilities differ in number");
        }
        let reals = [self.label_probability, self.margin];
        if reals
            .iter()
            .chain(&self.top_probabilities)
            .any(|value| !value.is_finite())
        {
            return Err("a probability or margin is not a number");
        }
        Ok(())
    }

    fn image(&mut self) -> Option<&mut ImageId> {
        Some(&mut self.image)
    }
}

pub(crate) fn check_image(image: ImageId, bounds: &Bounds) -> Result<(), &'static str> {
    if bounds.images.contains(&image.0) {
        Ok(())
    } else {
        Err("an image id is out of range")
    }
}

fn check_position(
    channel: ChannelId,
    [row, column]: [u16; 2],
    bounds: &Bounds,
) -> Result<(), &'static str> {
    let [height, width] = bounds.extent;
    if channel.0 >= bounds.channels {
        return Err("a channel is out of range");
    }
    if u32::from(row) >= height || u32::from(column) >= width {
        return Err("a position is outside the layer");
    }
    Ok(())
}

fn check_cell([label, prediction]: [u32; 2], bounds: &Bounds) -> Result<(), &'static str> {
    if (label >= bounds.classes && label != NO_LABEL) || prediction >= bounds.classes {
        return Err("a class is out of range");
    }
    Ok(())
}

/// Paths are joined to the image root by consumers: they must stay below it.
pub(crate) fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > LONGEST_PATH_BYTES {
        return Err("a path is empty or too long");
    }
    if path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| part == "..") {
        return Err("a path leaves the image root");
    }
    Ok(())
}

/// The longest start of a reason that may be stored.
fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(LONGEST_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default()
}
