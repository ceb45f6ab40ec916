//! The planned images of a run: `inventory.parquet`, one row an image, sorted by id.
//!
//! Place in the flow: written with the plan; whoever does a shard reads the rows of its images and never
//! lists the source. Later commands find an image's bytes in it again. Not part of the results, which do
//! not depend on where bytes lie. Memory: one row group, whatever the number of images.

use crate::durable::{TEMPORARY_PREFIX, sync_folder};
use crate::error::{IoContext, StoreError};
use crate::rows::{self, EqualKeys, LONGEST_PATH_BYTES, NO_LABEL, Row, numbers, texts};
use crate::table_reader::{GroupFilter, read_table};
use crate::table_writer::TableWriter;
use crate::tables::{Bounds, ImageRange, TableId};
use arrow::array::{ArrayRef, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, UInt32Type, UInt64Type};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use summit_tables::{ClassId, ImageId, ModelInfo, Place, PlannedImage};

/// Name of the file in the run folder.
pub(crate) const INVENTORY_NAME: &str = "inventory.parquet";
/// Container of an image that is a file of its own.
const NO_CONTAINER: u32 = u32::MAX;
/// Size of an image that is a row of a table.
const A_ROW: u64 = u64::MAX;

/// Writes the inventory of a run, atomically.
///
/// # Errors
/// An image is out of order or its path cannot be stored; I/O.
pub fn write_inventory(
    run: &Path,
    info: &ModelInfo,
    listed: u32,
    images: impl Iterator<Item = PlannedImage>,
) -> Result<(), StoreError> {
    let name = format!("{TEMPORARY_PREFIX}{INVENTORY_NAME}");
    let mut writer = TableWriter::create(run, &name, bounds(info, listed))?;
    writer.extend(images.map(Ok))?;
    writer.finish()?;
    let target = run.join(INVENTORY_NAME);
    fs::rename(run.join(name), &target).context("put the file in place", &target)?;
    sync_folder(run)
}

/// The planned images of a range, in order, each id once.
///
/// # Errors
/// There is no inventory, it is damaged, or it lacks an image.
pub fn read_inventory(
    run: &Path,
    info: &ModelInfo,
    listed: u32,
    range: ImageRange,
) -> Result<Vec<PlannedImage>, StoreError> {
    let path = run.join(INVENTORY_NAME);
    let filter = GroupFilter::Images(range);
    let rows = read_table::<PlannedImage>(&path, bounds(info, listed), Some(filter))?;
    let mut images = Vec::new();
    for row in rows {
        let row = row?;
        if range.ids().contains(&row.image.0) {
            images.push(row);
        }
    }
    if images.len() == range.len() as usize {
        Ok(images)
    } else {
        Err(StoreError::table(&path, "an image is missing"))
    }
}

fn bounds(info: &ModelInfo, listed: u32) -> Bounds {
    Bounds::of(TableId::Images, info, ImageRange::new(0, listed))
}

/// Container, start and bytes, and location of a place, as columns.
fn columns_of(place: &Place) -> (u32, u64, u64, &str) {
    match place {
        Place::Own => (NO_CONTAINER, 0, 0, ""),
        Place::File(location) => (NO_CONTAINER, 0, 0, location),
        Place::Part {
            container,
            start,
            bytes,
        } => (*container, *start, *bytes, ""),
        Place::Row { container, row } => (*container, *row, A_ROW, ""),
    }
}

fn place_of(container: u32, start: u64, bytes: u64, location: &str) -> Place {
    match (container, bytes, location) {
        (NO_CONTAINER, _, "") => Place::Own,
        (NO_CONTAINER, _, location) => Place::File(location.to_owned()),
        (container, A_ROW, _) => Place::Row {
            container,
            row: start,
        },
        (container, bytes, _) => Place::Part {
            container,
            start,
            bytes,
        },
    }
}

impl Row for PlannedImage {
    type Key = ImageId;
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;

    fn fields() -> Vec<Field> {
        [
            ("image", DataType::UInt32),
            ("path", DataType::Utf8),
            ("label", DataType::UInt32),
            ("container", DataType::UInt32),
            ("start", DataType::UInt64),
            ("bytes", DataType::UInt64),
            ("location", DataType::Utf8),
        ]
        .map(|(name, kind)| Field::new(name, kind, false))
        .into()
    }

    fn columns(rows: &[Self]) -> Vec<ArrayRef> {
        let number = |get: fn(&Self) -> u32| {
            Arc::new(PrimitiveArray::<UInt32Type>::from_iter_values(
                rows.iter().map(get),
            )) as ArrayRef
        };
        let long = |get: fn(&Self) -> u64| {
            Arc::new(PrimitiveArray::<UInt64Type>::from_iter_values(
                rows.iter().map(get),
            )) as ArrayRef
        };
        let text = |get: fn(&Self) -> &str| {
            Arc::new(StringArray::from_iter_values(rows.iter().map(get))) as ArrayRef
        };
        vec![
            number(|row| row.image.0),
            text(|row| &row.path),
            number(|row| row.label.map_or(NO_LABEL, |label| label.0)),
            number(|row| columns_of(&row.place).0),
            long(|row| columns_of(&row.place).1),
            long(|row| columns_of(&row.place).2),
            text(|row| columns_of(&row.place).3),
        ]
    }

    fn decode(batch: &RecordBatch, rows: &mut Vec<Self>) -> Result<(), String> {
        let number = |name| numbers::<UInt32Type>(batch, name);
        let long = |name| numbers::<UInt64Type>(batch, name);
        let (images, labels) = (number("image")?, number("label")?);
        let (containers, starts, sizes) = (number("container")?, long("start")?, long("bytes")?);
        let (paths, locations) = (texts(batch, "path")?, texts(batch, "location")?);
        rows.extend((0..batch.num_rows()).map(|row| Self {
            image: ImageId(images.value(row)),
            path: paths.value(row).to_owned(),
            label: Some(ClassId(labels.value(row))).filter(|label| label.0 != NO_LABEL),
            place: place_of(
                containers.value(row),
                starts.value(row),
                sizes.value(row),
                locations.value(row),
            ),
        }));
        Ok(())
    }

    fn key(&self) -> ImageId {
        self.image
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        rows::check_image(self.image, bounds)?;
        rows::check_path(&self.path)?;
        if self.label.is_some_and(|label| label.0 >= bounds.classes) {
            return Err("a label is not a class of the network");
        }
        match &self.place {
            Place::File(location) if location.len() > LONGEST_PATH_BYTES => {
                Err("a location is too long")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_comes_back() {
        let places = [
            Place::Own,
            Place::File("https://host/a.png?x=1".to_owned()),
            Place::Part {
                container: 3,
                start: 1 << 40,
                bytes: 7,
            },
            Place::Row {
                container: 0,
                row: 12,
            },
        ];
        let planned = |(image, place)| PlannedImage {
            image: ImageId(image),
            path: format!("a/{image}.png"),
            label: (image > 0).then_some(ClassId(image)),
            place,
        };
        let images: Vec<_> = (0..).zip(places).map(planned).collect();
        let info = ModelInfo {
            classes: 4,
            ..ModelInfo::default()
        };
        let run = tempfile::tempdir().unwrap();
        write_inventory(run.path(), &info, 4, images.iter().cloned()).unwrap();
        let read =
            |start, end| read_inventory(run.path(), &info, 4, ImageRange::new(start, end)).unwrap();
        assert_eq!(read(0, 4), images);
        assert_eq!(read(1, 3), images[1..3]);
        let beyond = read_inventory(run.path(), &info, 4, ImageRange::new(3, 5));
        assert!(beyond.unwrap_err().to_string().contains(INVENTORY_NAME));
    }
}
