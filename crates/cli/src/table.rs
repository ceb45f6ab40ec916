//! Tables on standard output or in a file: aligned text, CSV (RFC 4180) or JSON (a list of objects).

use crate::message;
use crate::query_args::{TableArgs, TableFormat};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::fmt::Write;

/// One value.
#[derive(Clone, Debug)]
pub enum Entry {
    Text(String),
    Whole(u64),
    /// A number and its digits after the point in text; CSV and JSON have it in full.
    Real(f64, usize),
    /// There is none.
    Missing,
}

impl Entry {
    /// A number that may be missing.
    pub fn real(value: Option<f64>, digits: usize) -> Self {
        value
            .filter(|value| value.is_finite())
            .map_or(Self::Missing, |value| Self::Real(value, digits))
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text
                .chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .collect(),
            Self::Whole(number) => number.to_string(),
            Self::Real(number, digits) => format!("{number:.digits$}"),
            Self::Missing => "-".to_owned(),
        }
    }

    fn csv(&self) -> String {
        match self {
            Self::Text(text) if text.contains(['"', ',', '\n', '\r']) => {
                format!("\"{}\"", text.replace('"', "\"\""))
            }
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
            Self::Real(number, _) => number.to_string(),
            Self::Missing => String::new(),
        }
    }

    fn json(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Whole(number) => number.into(),
            Self::Real(number, _) => number.into(),
            Self::Missing => Value::Null,
        }
    }
}

impl From<&str> for Entry {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Entry {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Entry {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

/// A table with what is said above it in text.
#[derive(Debug)]
pub struct Table {
    pub remarks: Vec<String>,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Entry>>,
}

impl Table {
    pub fn new(columns: &[&'static str]) -> Self {
        Self {
            remarks: Vec::new(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Cuts the rows to what was asked for: `limit`, else `text_limit` in text and all elsewhere.
    pub fn limit(&mut self, limit: Option<usize>, text_limit: usize, format: TableFormat) {
        let shown = match limit {
            Some(0) => return,
            Some(limit) => limit,
            None if format == TableFormat::Text => text_limit,
            None => return,
        };
        let total = self.rows.len();
        if total > shown {
            self.rows.truncate(shown);
            self.remarks
                .push(format!("{shown} of {total} rows (--limit 0 for all)"));
        }
    }

    /// Writes it where and how the arguments say.
    pub fn write(self, args: &TableArgs) -> Result<()> {
        let text = match format_of(args)? {
            TableFormat::Text => self.to_text(),
            TableFormat::Csv => self.to_csv(),
            TableFormat::Json => serde_json::to_string_pretty(&self.into_json())? + "\n",
        };
        match &args.out {
            None => message::print(&text),
            Some(path) => std::fs::write(path, text)
                .with_context(|| format!("cannot write {}", path.display())),
        }
    }

    /// The first column to the left, numbers to the right.
    pub fn to_text(&self) -> String {
        let header = self
            .columns
            .iter()
            .map(|column| (*column).to_owned())
            .collect();
        let rows = self
            .rows
            .iter()
            .map(|row| row.iter().map(Entry::text).collect());
        let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
        let columns = self.columns.len();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let is_text = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.any(|cell| matches!(cell, Entry::Text(_)))
        };
        let left: Vec<bool> = (0..columns).map(is_text).collect();
        let mut text: String = self
            .remarks
            .iter()
            .map(|remark| format!("{remark}\n"))
            .collect();
        if !text.is_empty() {
            text.push('\n');
        }
        for line in lines {
            let mut shown = String::new();
            for ((cell, &width), &left) in line.iter().zip(&widths).zip(&left) {
                let gap = if shown.is_empty() { "" } else { "  " };
                // Writing to a String cannot fail.
                let _ = match left {
                    true => write!(shown, "{gap}{cell:<width$}"),
                    false => write!(shown, "{gap}{cell:>width$}"),
                };
            }
            text.push_str(shown.trim_end());
            text.push('\n');
        }
        text
    }

    fn to_csv(&self) -> String {
        let mut text = self.columns.join(",") + "\n";
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(Entry::csv).collect();
            text.push_str(&cells.join(","));
            text.push('\n');
        }
        text
    }

    fn into_json(self) -> Value {
        let columns = self.columns;
        let object = |row: Vec<Entry>| {
            let fields = columns.iter().zip(row);
            Value::Object(
                fields
                    .map(|(name, cell)| ((*name).to_owned(), cell.json()))
                    .collect::<Map<_, _>>(),
            )
        };
        Value::Array(self.rows.into_iter().map(object).collect())
    }
}

/// The format asked for, or the extension's.
pub fn format_of(args: &TableArgs) -> Result<TableFormat> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let extension = args.out.as_ref().and_then(|path| path.extension());
    Ok(match extension.and_then(|extension| extension.to_str()) {
        Some("json") => TableFormat::Json,
        Some("csv") => TableFormat::Csv,
        Some("txt") => TableFormat::Text,
        Some(other) => {
            bail!("--out: the extension \"{other}\" is none of txt, csv, json; use --format")
        }
        None => TableFormat::Text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_write() {
        let mut table = Table::new(&["name", "images", "share"]);
        table.rows.push(vec![
            "a, \"b\"".into(),
            12.into(),
            Entry::real(Some(1.0 / 3.0), 2),
        ]);
        table.rows.push(vec![
            "c\u{1b}".into(),
            7.into(),
            Entry::real(Some(f64::NAN), 2),
        ]);
        assert_eq!(
            table.to_text(),
            "name    images  share\na, \"b\"      12   0.33\nc\u{fffd}           7      -\n"
        );
        assert_eq!(
            table.to_csv(),
            "name,images,share\n\"a, \"\"b\"\"\",12,0.3333333333333333\nc\u{1b},7,\n"
        );
        let json = table.into_json();
        assert_eq!(json[0]["name"], "a, \"b\"");
        assert_eq!(json[1]["share"], Value::Null);
    }
}
