//! Label text of the formats in use.
//!
//! Place in the flow: called by [`Labels::parse`]. Tables and JSON carry their own class indices, which must
//! run from 0 without a gap; lines count. Linear, memory of the order of the text: an index in the
//! text never decides how much is allocated.

use super::{ClassLabel, Labels};
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads label text of any known format.
pub(super) fn parse(text: &str) -> Result<Labels, String> {
    let text = text.trim_start_matches('\u{FEFF}');
    let labels = match text.trim_start().chars().next() {
        None => return Err("it is empty".to_owned()),
        Some('{' | '[') => parse_json(text)?,
        Some(_) => {
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            if lines.iter().any(|line| line.contains('\t')) {
                parse_table(&lines)?
            } else {
                parse_lines(&lines)
            }
        }
    };
    if labels.is_empty() {
        return Err("it names no class".to_owned());
    }
    Ok(Labels { classes: labels })
}

/// A WordNet id: `n` and eight digits.
fn is_wordnet_id(text: &str) -> bool {
    text.strip_prefix('n')
        .is_some_and(|digits| digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// One class a line: `n01440764 tench, Tinca tinca`, or just names. Blank lines at the end do not
/// count; one in the middle is a class without a name, so that the lines after it keep their index.
fn parse_lines(lines: &[&str]) -> Vec<ClassLabel> {
    let used = lines
        .iter()
        .rposition(|line| !line.trim().is_empty())
        .map_or(0, |last| last + 1);
    lines
        .iter()
        .take(used)
        .map(|line| {
            let line = line.trim();
            let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
            if is_wordnet_id(first) {
                ClassLabel::from_names(Some(first.to_owned()), rest)
            } else {
                ClassLabel::from_names(None, line)
            }
        })
        .collect()
}

/// Columns of a table.
#[derive(Clone, Copy, Default)]
struct Columns {
    index: Option<usize>,
    external_id: Option<usize>,
    name: Option<usize>,
}

impl Columns {
    /// By the words of a header; `None` where the line is no header.
    fn from_header(line: &str) -> Option<Self> {
        let mut columns = Self::default();
        for (position, cell) in line.split('\t').enumerate() {
            let slot = match cell.trim().to_ascii_lowercase().as_str() {
                "index" | "idx" | "class_index" | "class" | "id" | "class_id" => &mut columns.index,
                "wnid" | "synset" | "external_id" | "folder" | "mid" => &mut columns.external_id,
                "name" | "names" | "label" | "words" | "display_name" | "description" => {
                    &mut columns.name
                }
                _ => continue,
            };
            slot.get_or_insert(position);
        }
        (columns.name.is_some() || columns.external_id.is_some()).then_some(columns)
    }

    /// By what the cells of the first line look like.
    fn from_first_row(line: &str) -> Self {
        let mut columns = Self::default();
        for (position, cell) in line.split('\t').enumerate() {
            let cell = cell.trim();
            if columns.index.is_none() && cell.parse::<u32>().is_ok() {
                columns.index = Some(position);
            } else if columns.external_id.is_none() && is_wordnet_id(cell) {
                columns.external_id = Some(position);
            } else {
                columns.name.get_or_insert(position);
            }
        }
        columns
    }
}

/// Lines with tabs.
fn parse_table(lines: &[&str]) -> Result<Vec<ClassLabel>, String> {
    let mut rows = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .peekable();
    let Some(&(_, first)) = rows.peek() else {
        return Ok(Vec::new());
    };
    let columns = match Columns::from_header(first) {
        Some(columns) => {
            rows.next();
            columns
        }
        None => Columns::from_first_row(first),
    };
    let mut indexed = BTreeMap::new();
    for (number, line) in rows {
        let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
        let cell = |column: Option<usize>| column.and_then(|at| cells.get(at)).copied();
        let index = match columns.index {
            None => indexed.len(),
            Some(_) => cell(columns.index)
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| format!("line {} has no class index", number + 1))?,
        };
        let external_id = cell(columns.external_id)
            .filter(|id| !id.is_empty())
            .map(str::to_owned);
        let label = ClassLabel::from_names(external_id, cell(columns.name).unwrap_or_default());
        if indexed.insert(index, label).is_some() {
            return Err(format!(
                "line {} repeats the class index {index}",
                number + 1
            ));
        }
    }
    dense(indexed)
}

fn parse_json(text: &str) -> Result<Vec<ClassLabel>, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not valid JSON ({error})"))?;
    match value {
        Value::Array(entries) => entries.iter().map(json_label).collect(),
        Value::Object(fields) => {
            for key in ["id2label", "label2id", "classes", "labels", "names"] {
                match fields.get(key) {
                    Some(Value::Object(inner)) => return json_map(inner),
                    Some(Value::Array(entries)) => return entries.iter().map(json_label).collect(),
                    _ => {}
                }
            }
            json_map(&fields)
        }
        _ => Err("its JSON is neither a list nor an object".to_owned()),
    }
}

/// `{"0": label}` or `{"name": 0}`.
fn json_map(fields: &serde_json::Map<String, Value>) -> Result<Vec<ClassLabel>, String> {
    let mut indexed = BTreeMap::new();
    for (key, value) in fields {
        let (index, label) = match (value.as_u64(), key.trim().parse::<usize>()) {
            (Some(index), _) => {
                let index = usize::try_from(index)
                    .map_err(|_| format!("the class index {index} is too large"))?;
                (index, json_label(&Value::String(key.clone()))?)
            }
            (None, Ok(index)) => (index, json_label(value)?),
            (None, Err(_)) => {
                return Err(format!(
                    "the key `{}` is not a class index",
                    key.chars().take(40).collect::<String>().escape_debug()
                ));
            }
        };
        if indexed.insert(index, label).is_some() {
            return Err(format!("the class index {index} is repeated"));
        }
    }
    dense(indexed)
}

/// A class: `"n01440764"`, `"tench, Tinca tinca"`, `["n01440764", "tench"]`.
fn json_label(value: &Value) -> Result<ClassLabel, String> {
    let unclear = || "a class is neither text nor a list of texts".to_owned();
    match value {
        Value::String(text) => {
            let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
            Ok(if is_wordnet_id(first) {
                ClassLabel::from_names(Some(first.to_owned()), rest)
            } else {
                ClassLabel::from_names(None, text)
            })
        }
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .map(|part| part.as_str().ok_or_else(unclear))
                .collect::<Result<_, _>>()?;
            match texts.as_slice() {
                [] => Err(unclear()),
                [id, names @ ..] if is_wordnet_id(id) => Ok(ClassLabel::from_names(
                    Some((*id).to_owned()),
                    // Keras writes spaces as underscores.
                    &names.join(", ").replace('_', " "),
                )),
                names => Ok(ClassLabel::from_names(None, &names.join(", "))),
            }
        }
        _ => Err(unclear()),
    }
}

/// Classes 0 to n - 1, or an error that names the first gap.
fn dense(indexed: BTreeMap<usize, ClassLabel>) -> Result<Vec<ClassLabel>, String> {
    let gap = indexed.keys().enumerate().find(|(at, index)| at != *index);
    if let Some((missing, _)) = gap {
        return Err(format!(
            "class indices must run from 0 without a gap, and {missing} is missing"
        ));
    }
    Ok(indexed.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_format() {
        let wordnet = [("n01440764", "tench"), ("n01443537", "goldfish")];
        struct Case {
            name: &'static str,
            text: &'static str,
            with_ids: bool,
        }
        let cases = [
            Case {
                name: "table with header",
                text: "index\twnid\tname\n0\tn01440764\ttench, Tinca tinca\n1\tn01443537\tgoldfish\n",
                with_ids: true,
            },
            Case {
                name: "table with columns in another order, unsorted, CRLF",
                text: "name\tid\twnid\r\ngoldfish\t1\tn01443537\r\ntench, Tinca tinca\t0\tn01440764\r\n",
                with_ids: true,
            },
            Case {
                name: "table without header",
                text: "0\tn01440764\ttench, Tinca tinca\n1\tn01443537\tgoldfish",
                with_ids: true,
            },
            Case {
                name: "table without index",
                text: "n01440764\ttench, Tinca tinca\nn01443537\tgoldfish\n\n",
                with_ids: true,
            },
            Case {
                name: "synset words",
                text: "n01440764 tench, Tinca tinca\nn01443537 goldfish\n",
                with_ids: true,
            },
            Case {
                name: "plain lines",
                text: "\u{FEFF}tench, Tinca tinca\ngoldfish\n\n",
                with_ids: false,
            },
            Case {
                name: "keras",
                text: r#"{"0": ["n01440764", "tench", "Tinca_tinca"], "1": ["n01443537", "goldfish"]}"#,
                with_ids: true,
            },
            Case {
                name: "json names",
                text: r#"{"1": "goldfish", "0": "tench, Tinca tinca"}"#,
                with_ids: false,
            },
            Case {
                name: "json list",
                text: r#"["tench, Tinca tinca", "goldfish"]"#,
                with_ids: false,
            },
            Case {
                name: "json inverse",
                text: r#"{"tench, Tinca tinca": 0, "goldfish": 1}"#,
                with_ids: false,
            },
            Case {
                name: "model configuration",
                text: r#"{"model_type": "resnet", "id2label": {"0": "tench, Tinca tinca", "1": "goldfish"}}"#,
                with_ids: false,
            },
        ];
        for case in cases {
            let labels = Labels::parse(case.text).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            let found: Vec<_> = labels
                .classes
                .iter()
                .map(|label| (label.external_id.as_deref(), label.name.as_str()))
                .collect();
            let expected = wordnet.map(|(id, name)| (case.with_ids.then_some(id), name));
            assert_eq!(found, expected, "{}", case.name);
            assert_eq!(labels.classes[0].synonyms, ["Tinca tinca"], "{}", case.name);
        }
    }

    #[test]
    fn refuses_what_has_no_meaning() {
        let cases = [
            "",
            "\n\n",
            "[]",
            "{}",
            "{\"0\": 1.5}",
            "{\"4294967295\": \"x\"}",
            "{\"18446744073709551615\": \"x\"}",
            "{\"x\": 18446744073709551615}",
            "{\"0\": []}",
            "{\"zero\": \"x\"}",
            "{\"a\": 0, \"b\": 0}",
            "[1, 2]",
            "[\"a\"",
            "index\tname\n0\ta\n2\tb",
            "index\tname\n0\ta\n0\tb",
            "index\tname\nx\ta",
            "index\tname\n",
        ];
        for text in cases {
            assert!(Labels::parse(text).is_err(), "{text:?}");
        }
        assert!(Labels::parse(&"[".repeat(1_000_000)).is_err());
    }
}
