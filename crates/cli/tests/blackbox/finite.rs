//! No number anywhere that is none: in texts (JSON, CSV, SVG, DOT), and in the tables of a run.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Members a JSON answer may leave empty: options nobody chose, layers without bounds, and means over
/// no images (empty bins of the calibration, classes never predicted). `serde_json` writes a number
/// that is none as `null` too.
const MAY_BE_NULL: [&str; 7] = [
    "accuracy",
    "confidence",
    "input_shape",
    "lower",
    "output",
    "precision",
    "upper",
];

/// Checks every word of a text that reads as a number; "NaN" and "inf" do.
pub fn assert_text(text: &str, origin: &str) {
    let part_of_a_number = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    for word in text.split(|c| !part_of_a_number(c)) {
        let number = word.parse::<f64>();
        assert!(
            number.is_ok_and(f64::is_finite) || word.parse::<f64>().is_err(),
            "{origin}: {word}"
        );
    }
}

/// As [`assert_text`], and nothing is `null` that has to be a number.
pub fn assert_json(text: &str, origin: &str) {
    assert_text(text, origin);
    let mut empty = BTreeSet::new();
    find_empty(&serde_json::from_str(text).unwrap(), "", &mut empty);
    assert!(empty.is_empty(), "{origin}: null are {empty:?}");
}

fn find_empty(value: &Value, name: &str, empty: &mut BTreeSet<String>) {
    match value {
        Value::Null if !MAY_BE_NULL.contains(&name) => {
            empty.insert(name.to_owned());
        }
        Value::Array(items) => items.iter().for_each(|item| find_empty(item, name, empty)),
        Value::Object(members) => {
            for (name, value) in members {
                find_empty(value, name, empty);
            }
        }
        _ => {}
    }
}

/// Checks every file below a folder, by its extension; returns how many numbers the tables hold.
pub fn assert_folder(folder: &Path) -> usize {
    let mut numbers = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let origin = path.display().to_string();
        let text = || std::fs::read_to_string(&path).unwrap();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => numbers += assert_folder(&path),
            Some("parquet") => numbers += assert_table(&path),
            Some("json") => assert_json(&text(), &origin),
            Some("csv" | "svg" | "dot" | "txt") => assert_text(&text(), &origin),
            _ => {}
        }
    }
    numbers
}

fn assert_table(path: &Path) -> usize {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    let of_row = |row: Row| -> usize {
        row.get_column_iter()
            .map(|(name, field)| assert_field(field, &format!("{}: {name}", path.display())))
            .sum()
    };
    rows.map(|row| of_row(row.unwrap())).sum()
}

fn assert_field(field: &Field, origin: &str) -> usize {
    match field {
        Field::Float(value) => {
            assert!(value.is_finite(), "{origin} is {value}");
            1
        }
        Field::Double(value) => {
            assert!(value.is_finite(), "{origin} is {value}");
            1
        }
        Field::ListInternal(list) => {
            let elements = list.elements().iter();
            elements.map(|element| assert_field(element, origin)).sum()
        }
        _ => 0,
    }
}
