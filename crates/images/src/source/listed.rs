//! Lists of images: a CSV, TSV or Parquet table with a path or URL and a class in every row.
//!
//! Place in the flow: makes the list; an image is then a file of its own. A path is below the folder of
//! the list and cannot leave it; a URL may lead anywhere. Memory: one row; rows are at most 1 MiB.

use super::archive::is_archive;
use super::collect::{Collector, is_plain};
use super::table::OpenTable;
use super::{Place, ScanOptions, SourceError, SourceKind};
use arrow::datatypes::Schema;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use summit_objects::{Objects, is_remote, shown};

/// Columns that may hold the location, best first.
const LOCATION_COLUMNS: [&str; 9] = [
    "url",
    "path",
    "image",
    "image_path",
    "image_url",
    "file",
    "file_name",
    "filename",
    "uri",
];
/// Columns that may hold the class, best first.
const CLASS_COLUMNS: [&str; 5] = ["label", "class", "class_name", "wnid", "category"];
/// The column that may hold the image's own name.
const NAME_COLUMN: &str = "name";
/// Longest line of a list, bytes: bounds the memory of a row.
const LONGEST_LINE_BYTES: usize = 1 << 20;

/// The separator of a text list, by its name.
pub(super) fn separator(location: &str) -> Option<u8> {
    let name = location.to_ascii_lowercase();
    if name.ends_with(".csv") {
        Some(b',')
    } else if name.ends_with(".tsv") {
        Some(b'\t')
    } else {
        None
    }
}

/// Reads a list.
pub(super) fn list(
    objects: &Arc<Objects>,
    location: &str,
    options: &ScanOptions,
) -> Result<Collector, SourceError> {
    let mut found = Collector::new(SourceKind::List, PathBuf::from(location));
    let outcome = match separator(location) {
        Some(separator) => from_text(objects, location, separator, &mut found, options),
        None => from_table(objects, location, &mut found, options),
    };
    outcome.map_err(|reason| SourceError::Object {
        location: shown(location),
        reason,
    })?;
    Ok(found)
}

fn from_text(
    objects: &Arc<Objects>,
    location: &str,
    separator: u8,
    found: &mut Collector,
    options: &ScanOptions,
) -> Result<(), String> {
    let file = objects.open(location).map_err(|error| error.to_string())?;
    let lines = ShortLines {
        inner: io::BufReader::new(file),
        length: 0,
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .from_reader(lines);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let column = |names: &[&str]| {
        let is_named = |wanted: &str| {
            header.iter().position(|name| {
                name.trim()
                    .trim_start_matches('\u{feff}')
                    .eq_ignore_ascii_case(wanted)
            })
        };
        names.iter().find_map(|name| is_named(name))
    };
    let place = column(&LOCATION_COLUMNS).ok_or_else(no_location)?;
    let (class, name) = (column(&CLASS_COLUMNS), column(&[NAME_COLUMN]));
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let field = |column: Option<usize>| record.get(column?).map(str::trim);
        let class = field(class).map(str::to_owned);
        let place = field(Some(place)).unwrap_or_default();
        image(found, place, field(name), class, options)?;
    }
    Ok(())
}

fn no_location() -> String {
    format!(
        "the list needs a column of paths or URLs, named one of {}",
        LOCATION_COLUMNS.join(", ")
    )
}

fn from_table(
    objects: &Arc<Objects>,
    location: &str,
    found: &mut Collector,
    options: &ScanOptions,
) -> Result<(), String> {
    let column = |schema: &Schema| {
        let mut names = LOCATION_COLUMNS.iter();
        let name = names.find(|name| schema.field_with_name(name).is_ok());
        name.map(|&name| name.to_owned())
    };
    let table = OpenTable::new(location.to_owned());
    let mut has_location = false;
    table.texts(objects, column, |place, class| {
        has_location |= place.is_some();
        image(found, place.unwrap_or_default(), None, class, options)
    })?;
    if has_location {
        Ok(())
    } else {
        Err(no_location())
    }
}

/// One row.
fn image(
    found: &mut Collector,
    location: &str,
    name: Option<&str>,
    class: Option<String>,
    options: &ScanOptions,
) -> Result<(), String> {
    if found.len() >= options.max_entries {
        return Err(format!(
            "more than {} images are listed",
            options.max_entries
        ));
    }
    let remote = is_remote(location);
    let own = if remote {
        in_url(location)
    } else {
        location.to_owned()
    };
    let inside = location.strip_prefix("./").unwrap_or(location);
    if !remote && !is_plain(inside) {
        found.skip(location, "its path leads outside the folder of the list");
        return Ok(());
    }
    if is_archive(&own) {
        found.skip(&shown(location), "it is an archive, not an image");
        return Ok(());
    }
    // A server's folders are no classes: beside a class, an address counts by its last part.
    let last = own.rsplit('/').next().unwrap_or_default();
    let called = match (name.filter(|name| !name.is_empty()), &class) {
        (Some(name), _) => name,
        (None, Some(class)) if remote && !class.trim().is_empty() => last,
        _ => &own,
    };
    let place = Place::File(if remote { location } else { inside }.to_owned());
    found.name(called, class, place, shown(location).as_bytes());
    Ok(())
}

/// Path of a URL without its leading slash; `%20` and the like decoded.
fn in_url(location: &str) -> String {
    let address = shown(location);
    let path = address
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or("", |(_, path)| path);
    percent_decoded(path)
}

/// `%20` and the like as characters.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, decoded) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ends with an error at a line longer than [`LONGEST_LINE_BYTES`].
struct ShortLines<R> {
    inner: R,
    length: usize,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in buffer.iter().take(count) {
            self.length = if *byte == b'\n' { 0 } else { self.length + 1 };
            if self.length > LONGEST_LINE_BYTES {
                return Err(io::Error::other("a line is longer than 1 MiB"));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use summit_objects::Patience;

    fn listed(folder: &Path, text: &str) -> Result<super::super::ImageList, SourceError> {
        let path = folder.join("list.csv");
        std::fs::write(&path, text).unwrap();
        let objects = Arc::new(Objects::new(Patience::default()).unwrap());
        list(&objects, path.to_str().unwrap(), &ScanOptions::default()).map(Collector::into_list)
    }

    #[test]
    fn rows_become_images_and_none_leads_outside() {
        let folder = tempfile::tempdir().unwrap();
        let found = listed(
            folder.path(),
            "label,url,extra\nash,https://u:p@h/x/1%20a.png?secret=1,\nash,b/2.png,\n,3.png\n\
             oak,../4.png\noak,/etc/passwd\noak,https://h/t.tar\n",
        )
        .unwrap();
        let paths: Vec<_> = found.items.iter().map(|item| item.path.as_str()).collect();
        assert_eq!(paths, ["3.png", "ash/1 a.png", "b/2.png"]);
        let reasons: Vec<_> = found
            .skipped
            .iter()
            .map(|skip| skip.path.as_str())
            .collect();
        assert_eq!(reasons, ["../4.png", "/etc/passwd", "https://h/t.tar"]);
        assert_eq!(found.folders, ["ash"]);
        assert!(!format!("{:?}", found.skipped).contains("secret"));
    }

    #[test]
    fn a_list_without_locations_or_with_endless_lines_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = listed(folder.path(), "a,b\n1,2\n").unwrap_err().to_string();
        assert!(
            error.contains("url, path") && error.contains("list.csv"),
            "{error}"
        );
        let long = format!("path\n\"{}", "x".repeat(3 << 20));
        let error = listed(folder.path(), &long).unwrap_err().to_string();
        assert!(error.contains("1 MiB"), "{error}");
    }
}
