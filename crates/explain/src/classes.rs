//! Names of classes: from what a user types to a class, and back to words.
//!
//! Place in the flow: every question names classes by id, number, name or synonym; every answer
//! names them for people.

use summit_tables::{ClassEntry, ClassId};
use thiserror::Error;

/// Why a class cannot be found, one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnknownClass {
    /// Nothing like it.
    #[error("there is no class \"{name}\" among the {classes} classes of this run")]
    Nothing {
        /// What was asked for.
        name: String,
        /// Classes there are.
        classes: usize,
    },
    /// Something like it.
    #[error("there is no class \"{name}\"; did you mean {}?", similar.join(", "))]
    Similar {
        /// What was asked for.
        name: String,
        /// Names with ids, at most 5.
        similar: Vec<String>,
    },
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], " ")
}

/// The class a user means: by external id, number, name or synonym, in this order; `_`, `-` and case
/// do not matter in names. A name may also be the part before the first comma ("tench" for
/// "tench, Tinca tinca"), where a single class has it.
///
/// # Errors
/// When there is none; similar names are given.
pub fn find_class(classes: &[ClassEntry], text: &str) -> Result<ClassId, UnknownClass> {
    let wanted = plain(text.trim());
    let number = text.trim().parse::<u32>().ok();
    let has_synonym = |class: &&ClassEntry| class.synonyms.iter().any(|name| plain(name) == wanted);
    let found = classes
        .iter()
        .find(|class| !class.external_id.is_empty() && class.external_id == text)
        .or_else(|| number.and_then(|n| classes.iter().find(|class| class.class.0 == n)))
        .or_else(|| classes.iter().find(|class| plain(&class.name) == wanted))
        .or_else(|| classes.iter().find(has_synonym))
        .or_else(|| only_short_name(classes, &wanted));
    if let Some(class) = found {
        return Ok(class.class);
    }
    let similar: Vec<String> = classes
        .iter()
        .filter(|class| !wanted.is_empty() && plain(&class.name).contains(&wanted))
        .take(5)
        .map(|class| format!("{} ({})", class.name, class.external_id))
        .collect();
    let name = text.chars().take(120).collect();
    Err(if similar.is_empty() {
        UnknownClass::Nothing {
            name,
            classes: classes.len(),
        }
    } else {
        UnknownClass::Similar { name, similar }
    })
}

/// "crane" is two classes of ImageNet: then neither is meant.
fn only_short_name<'a>(classes: &'a [ClassEntry], wanted: &str) -> Option<&'a ClassEntry> {
    let short = |class: &&ClassEntry| {
        let name = plain(&class.name);
        name.split_once(',')
            .is_some_and(|(first, _)| first == wanted)
    };
    let mut found = classes.iter().filter(short);
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// A class for people: its name, else its external id, else its number.
#[must_use]
pub fn class_name(classes: &[ClassEntry], class: ClassId) -> String {
    match entry(classes, class) {
        Some(entry) if !entry.name.is_empty() => entry.name.clone(),
        Some(entry) if !entry.external_id.is_empty() => entry.external_id.clone(),
        _ => format!("class {}", class.0),
    }
}

/// The external id of a class (folder name, WordNet id); empty where there is none.
#[must_use]
pub fn class_key(classes: &[ClassEntry], class: ClassId) -> &str {
    entry(classes, class).map_or("", |entry| entry.external_id.as_str())
}

fn entry(classes: &[ClassEntry], class: ClassId) -> Option<&ClassEntry> {
    let position = classes.binary_search_by_key(&class, |entry| entry.class);
    position.ok().and_then(|position| classes.get(position))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Classes 0.. with these names and the ids `n00`, `n01`, ...
    pub(crate) fn named(names: &[&str]) -> Vec<ClassEntry> {
        let entry = |(index, name): (usize, &&str)| ClassEntry {
            class: ClassId::from_index(index),
            external_id: format!("n{index:02}"),
            name: (*name).to_owned(),
            synonyms: vec![format!("syn {index}")],
        };
        names.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn classes_are_found_by_any_name() {
        let classes = named(&[
            "tench, Tinca tinca",
            "horse_cart",
            "crane, bird",
            "crane, machine",
        ]);
        let cases = [
            ("n01", Some(1)),
            ("1", Some(1)),
            ("Horse Cart", Some(1)),
            ("horse-cart", Some(1)),
            ("syn 3", Some(3)),
            ("tench", Some(0)),
            ("crane", None),
            ("", None),
            ("9", None),
        ];
        for (text, expected) in cases {
            let found = find_class(&classes, text).ok().map(|class| class.0);
            assert_eq!(found, expected, "{text}");
        }
        let error = find_class(&classes, "crane").unwrap_err().to_string();
        assert!(error.contains("crane, bird (n02)"), "{error}");
    }
}
