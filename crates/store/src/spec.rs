//! What a run is made from: model, parameters, preprocessing, classes, image list.
//!
//! Two runs with equal specs have equal results; a run is continued only with the spec it was
//! begun with, and the first field that differs is named.

use crate::error::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use summit_tables::{ClassEntry, ModelInfo};

/// The network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// Name for humans, usually the file's.
    pub name: String,
    /// SHA-256 of the model file, lower-case hexadecimal.
    pub sha256: String,
    /// Input extents without the batch axis, in the file's order, for example `[3, 224, 224]`.
    pub input_shape: Vec<u32>,
    /// Layers, convolutions and blocks.
    pub info: ModelInfo,
}

/// The image list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageList {
    /// Number of images, including those that will be skipped.
    pub listed: u32,
    /// Hash of the list as its source defines it: it must change whenever an image does.
    pub sha256: String,
    /// What the source could not list, sorted by path; it has no image ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
}

/// A file or folder among the images that could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PassedOver {
    /// Relative to the image root, `/` separated.
    pub path: String,
    /// One sentence.
    pub reason: String,
}

/// Everything the results of a run depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Version of the program that began the run.
    pub tool_version: String,
    /// The network.
    pub model: ModelEntry,
    /// Parameters of the pass (mass, top-k, excluded channels, ...), opaque here.
    pub parameters: Value,
    /// How a file becomes the network's input, opaque here.
    pub preprocessing: Value,
    /// Names of the logits, sorted by class, each at most once.
    pub classes: Vec<ClassEntry>,
    /// The image list.
    pub images: ImageList,
}

impl RunSpec {
    /// Checks that ids are positions, names are unique and numbers fit.
    ///
    /// # Errors
    /// [`StoreError::SpecInvalid`] with the first contradiction.
    pub fn check(&self) -> Result<(), StoreError> {
        self.contradiction()
            .map_or(Ok(()), |reason| Err(StoreError::SpecInvalid { reason }))
    }

    fn contradiction(&self) -> Option<String> {
        let info = &self.model.info;
        let layers = info
            .layers
            .iter()
            .map(|layer| (layer.id.index(), layer.name.as_str()));
        let convs = info
            .convs
            .iter()
            .map(|conv| (conv.id.index(), conv.name.as_str()));
        if let Some(reason) = misnumbered("layer", layers).or_else(|| misnumbered("conv", convs)) {
            return Some(reason);
        }
        if info.classes == 0 {
            return Some("the model has no classes".to_owned());
        }
        let mut previous = None;
        for class in &self.classes {
            if class.class.0 >= info.classes {
                return Some(format!("class {} is not a logit", class.class.0));
            }
            if previous >= Some(class.class) {
                return Some(format!("class {} is out of order", class.class.0));
            }
            previous = Some(class.class);
        }
        None
    }

    /// The first field in which `other` differs, with both values, or `None`.
    pub(crate) fn difference(&self, other: &Self) -> Result<Option<Difference>, StoreError> {
        Ok(difference("", &value_of(self)?, &value_of(other)?))
    }
}

fn misnumbered<'a>(kind: &str, names: impl Iterator<Item = (usize, &'a str)>) -> Option<String> {
    let mut seen = BTreeSet::new();
    for (position, (id, name)) in names.enumerate() {
        if id != position {
            return Some(format!(
                "{kind} {name:?} has id {id} at position {position}"
            ));
        }
        if name.is_empty() {
            return Some(format!("{kind} {id} has no name"));
        }
        // Partition folders are named after them, and some file systems ignore case.
        if !seen.insert(name) {
            return Some(format!("two of the {kind}s are named {name:?}"));
        }
    }
    None
}

/// Where two specs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Dotted path.
    pub(crate) field: String,
    /// Left value, shortened.
    pub(crate) left: String,
    /// Right value, shortened.
    pub(crate) right: String,
}

fn value_of(spec: &RunSpec) -> Result<Value, StoreError> {
    serde_json::to_value(spec).map_err(|error| StoreError::SpecInvalid {
        reason: error.to_string(),
    })
}

pub(crate) fn difference(field: &str, left: &Value, right: &Value) -> Option<Difference> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let inner = if field.is_empty() {
                    key.clone()
                } else {
                    format!("{field}.{key}")
                };
                let (a, b) = (
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                );
                difference(&inner, a, b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (a, b))| difference(&format!("{field}[{index}]"), a, b)),
        _ if left == right => None,
        _ => Some(Difference {
            field: field.to_owned(),
            left: shortened(left),
            right: shortened(right),
        }),
    }
}

fn shortened(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}…")
}

/// The spec as JSON with sorted keys: the same text for the same content.
pub(crate) fn canonical(spec: &RunSpec) -> Result<String, StoreError> {
    Ok(sorted(value_of(spec)?).to_string())
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> = map
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            Value::Object(map.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named() {
        struct Case {
            left: Value,
            right: Value,
            field: Option<&'static str>,
        }
        let cases = [
            Case {
                left: json!({"a": 1, "b": 2}),
                right: json!({"b": 2, "a": 1}),
                field: None,
            },
            Case {
                left: json!({"a": {"b": 1}}),
                right: json!({"a": {"b": 2}}),
                field: Some("a.b"),
            },
            Case {
                left: json!({"a": [1, 2]}),
                right: json!({"a": [1, 3]}),
                field: Some("a[1]"),
            },
            Case {
                left: json!({"a": [1]}),
                right: json!({"a": [1, 3]}),
                field: Some("a"),
            },
            Case {
                left: json!({"a": 1}),
                right: json!({}),
                field: Some("a"),
            },
        ];
        let wrong: Vec<_> = cases
            .iter()
            .map(|case| {
                (
                    difference("", &case.left, &case.right).map(|d| d.field),
                    case.field,
                )
            })
            .filter(|(found, wanted)| found.as_deref() != *wanted)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn key_order_does_not_change_the_canonical_text() {
        let first = sorted(json!({"x": {"b": 1, "a": [{"d": 1, "c": 2}]}}));
        let second = sorted(json!({"x": {"a": [{"c": 2, "d": 1}], "b": 1}}));
        assert_eq!(first.to_string(), second.to_string());
    }
}
