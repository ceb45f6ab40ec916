//! Which folder of images is which class of the network.
//!
//! Place in the flow: once a run, after the labels are known. Words first, folder by folder: external id, then
//! name, then synonym. Only where no folder's words say anything, numbers, then sorted order when
//! the counts agree. Mixing words and positions could label images silently wrong, so it never happens.
//! `O((folders + classes) log classes)`.

use super::Labels;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use summit_tables::ClassId;

/// How a folder was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchRule {
    /// Its name is the class's external id.
    ExternalId,
    /// Its name is the class's name, whatever the case and separators.
    Name,
    /// Its name is a synonym of one class only.
    Synonym,
    /// Its name is the class's number.
    Number,
    /// It is the n-th folder, and there are as many folders as classes.
    SortedOrder,
}

impl fmt::Display for MatchRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ExternalId => "by external id",
            Self::Name => "by class name",
            Self::Synonym => "by synonym",
            Self::Number => "by class number",
            Self::SortedOrder => "by sorted order",
        })
    }
}

/// One folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderMatch {
    /// Its name.
    pub folder: String,
    /// Its class and how it was recognised; `None`: its images are unlabelled.
    pub class: Option<(ClassId, MatchRule)>,
}

/// All folders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelMatch {
    /// In the order given.
    pub folders: Vec<FolderMatch>,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

impl LabelMatch {
    /// Folder to class, matched folders only.
    #[must_use]
    pub fn classes(&self) -> BTreeMap<String, ClassId> {
        self.folders
            .iter()
            .filter_map(|entry| Some((entry.folder.clone(), entry.class?.0)))
            .collect()
    }
}

impl fmt::Display for LabelMatch {
    /// `10 of 10 folders matched: 10 by external id`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: BTreeMap<MatchRule, usize> = BTreeMap::new();
        for (_, rule) in self.folders.iter().filter_map(|entry| entry.class) {
            *counts.entry(rule).or_default() += 1;
        }
        let matched: usize = counts.values().sum();
        write!(
            formatter,
            "{matched} of {} folders matched",
            self.folders.len()
        )?;
        for (position, (rule, count)) in counts.iter().enumerate() {
            let separator = if position == 0 { ":" } else { "," };
            write!(formatter, "{separator} {count} {rule}")?;
        }
        Ok(())
    }
}

/// Finds the class of every folder. `folders` sorted, as [`crate::ImageList::folders`] is;
/// `n_outputs` outputs of the network; `labels` where there are any.
#[must_use]
pub fn match_folders(folders: &[String], labels: Option<&Labels>, n_outputs: usize) -> LabelMatch {
    let mut found = labels.map_or_else(
        || vec![None; folders.len()],
        |labels| {
            let words = Words::new(labels, n_outputs);
            folders.iter().map(|folder| words.find(folder)).collect()
        },
    );
    let mut warnings = Vec::new();
    if found.iter().all(Option::is_none) {
        if let Some(by_number) = match_numbers(folders, n_outputs) {
            found = by_number;
        } else if folders.len() == n_outputs {
            found = (0..n_outputs)
                .map(|index| Some((ClassId::from_index(index), MatchRule::SortedOrder)))
                .collect();
            if labels.is_some() {
                warnings.push(
                    "no folder carries the name of a class; the folders are taken in sorted order"
                        .to_owned(),
                );
            }
        }
    }
    let folders: Vec<FolderMatch> = folders
        .iter()
        .zip(found)
        .map(|(folder, class)| FolderMatch {
            folder: folder.clone(),
            class,
        })
        .collect();
    warn_about(&folders, labels.is_some(), n_outputs, &mut warnings);
    LabelMatch { folders, warnings }
}

/// Every folder a number below the number of outputs, or none counts.
fn match_numbers(
    folders: &[String],
    n_outputs: usize,
) -> Option<Vec<Option<(ClassId, MatchRule)>>> {
    folders
        .iter()
        .map(|folder| {
            let index: usize = folder.trim().parse().ok()?;
            (index < n_outputs).then(|| Some((ClassId::from_index(index), MatchRule::Number)))
        })
        .collect()
}

/// Words of all classes; `None` marks a word of several classes.
struct Words<'a> {
    external_ids: BTreeMap<&'a str, Option<ClassId>>,
    names: BTreeMap<String, Option<ClassId>>,
    synonyms: BTreeMap<String, Option<ClassId>>,
}

impl<'a> Words<'a> {
    fn new(labels: &'a Labels, n_outputs: usize) -> Self {
        let mut words = Self {
            external_ids: BTreeMap::new(),
            names: BTreeMap::new(),
            synonyms: BTreeMap::new(),
        };
        for (index, label) in labels.classes.iter().enumerate().take(n_outputs) {
            let class = ClassId::from_index(index);
            if let Some(id) = &label.external_id {
                note(&mut words.external_ids, id.as_str(), class);
            }
            note(&mut words.names, plain(&label.name), class);
            let joined = std::iter::once(&label.name)
                .chain(&label.synonyms)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            // The folder may carry the whole line, `tench, Tinca tinca`.
            if !label.synonyms.is_empty() {
                note(&mut words.synonyms, plain(&joined), class);
            }
            for synonym in &label.synonyms {
                note(&mut words.synonyms, plain(synonym), class);
            }
        }
        words
    }

    fn find(&self, folder: &str) -> Option<(ClassId, MatchRule)> {
        let word = plain(folder);
        let by_id = self.external_ids.get(folder).copied().flatten();
        // `n01440764-tench`, as some exports of ImageNet name their folders.
        let by_prefix = || {
            let (id, _) = folder.split_once(['-', '_', ' '])?;
            self.external_ids.get(id).copied().flatten()
        };
        by_id
            .or_else(by_prefix)
            .map(|class| (class, MatchRule::ExternalId))
            .or_else(|| {
                // A name of two classes says nothing, also where one of them has it as synonym.
                match self.names.get(&word) {
                    Some(class) => class.map(|class| (class, MatchRule::Name)),
                    None => self
                        .synonyms
                        .get(&word)
                        .copied()
                        .flatten()
                        .map(|class| (class, MatchRule::Synonym)),
                }
            })
    }
}

/// Adds a word of a class; a second class takes its meaning away.
fn note<K: Ord>(words: &mut BTreeMap<K, Option<ClassId>>, word: K, class: ClassId) {
    words
        .entry(word)
        .and_modify(|known| {
            if *known != Some(class) {
                *known = None;
            }
        })
        .or_insert(Some(class));
}

/// Lower case, runs of anything but letters and digits as one space.
fn plain(text: &str) -> String {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Sentences about folders without a class and classes with several folders.
fn warn_about(
    folders: &[FolderMatch],
    has_labels: bool,
    n_outputs: usize,
    warnings: &mut Vec<String>,
) {
    let unmatched: Vec<&str> = folders
        .iter()
        .filter(|entry| entry.class.is_none())
        .map(|entry| entry.folder.as_str())
        .collect();
    if !unmatched.is_empty() {
        let shown = unmatched.get(..unmatched.len().min(5)).unwrap_or_default();
        let more = unmatched.len() - shown.len();
        let rest = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let why = if has_labels {
            "no class has that name"
        } else {
            "there is no label file to say which class they are"
        };
        warnings.push(format!(
            "{} of {} folders are unlabelled, {why} (the network has {n_outputs} outputs): {}{rest}",
            unmatched.len(),
            folders.len(),
            shown.join(", ")
        ));
    }
    let mut owners: BTreeMap<ClassId, &str> = BTreeMap::new();
    for entry in folders {
        let Some((class, _)) = entry.class else {
            continue;
        };
        if let Some(first) = owners.insert(class, &entry.folder) {
            warnings.push(format!(
                "the folders {first} and {} are the same class ({})",
                entry.folder, class.0
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn classes(matched: &LabelMatch) -> Vec<Option<u32>> {
        matched
            .folders
            .iter()
            .map(|entry| entry.class.map(|(class, _)| class.0))
            .collect()
    }

    const LABELS: &str = "n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\nn01491361 tiger shark, Galeocerdo cuvieri\n";

    #[test]
    fn every_rule() {
        use MatchRule::{ExternalId, Name, Number, SortedOrder, Synonym};
        struct Case {
            folders: &'static [&'static str],
            labels: Option<&'static str>,
            n_outputs: usize,
            expected: &'static [Option<u32>],
            rule: Option<MatchRule>,
            warnings: usize,
        }
        let cases = [
            Case {
                folders: &["n01440764", "n03126707"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[Some(0), Some(2)],
                rule: Some(ExternalId),
                warnings: 0,
            },
            Case {
                folders: &["n01440764-tench"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[Some(0)],
                rule: Some(ExternalId),
                warnings: 0,
            },
            Case {
                folders: &["Tiger_Shark", "tench"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[Some(3), Some(0)],
                rule: Some(Name),
                warnings: 0,
            },
            Case {
                folders: &["tench, Tinca tinca"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[Some(0)],
                rule: Some(Synonym),
                warnings: 0,
            },
            Case {
                folders: &["galeocerdo-cuvieri", "crane"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[Some(3), None],
                rule: Some(Synonym),
                warnings: 1,
            },
            Case {
                folders: &["n01440764", "tench"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[Some(0), Some(0)],
                rule: Some(ExternalId),
                warnings: 1,
            },
            Case {
                folders: &["0", "003"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[Some(0), Some(3)],
                rule: Some(Number),
                warnings: 0,
            },
            Case {
                folders: &["1", "2", "3", "4"],
                labels: None,
                n_outputs: 4,
                expected: &[Some(0), Some(1), Some(2), Some(3)],
                rule: Some(SortedOrder),
                warnings: 0,
            },
            Case {
                folders: &["a", "b", "c", "d"],
                labels: None,
                n_outputs: 4,
                expected: &[Some(0), Some(1), Some(2), Some(3)],
                rule: Some(SortedOrder),
                warnings: 0,
            },
            Case {
                folders: &["a", "b", "c", "d"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[Some(0), Some(1), Some(2), Some(3)],
                rule: Some(SortedOrder),
                warnings: 1,
            },
            Case {
                folders: &["a", "b", "c", "tench"],
                labels: Some(LABELS),
                n_outputs: 4,
                expected: &[None, None, None, Some(0)],
                rule: None,
                warnings: 1,
            },
            Case {
                folders: &["a", "b"],
                labels: None,
                n_outputs: 4,
                expected: &[None, None],
                rule: None,
                warnings: 1,
            },
            Case {
                folders: &[],
                labels: None,
                n_outputs: 4,
                expected: &[],
                rule: None,
                warnings: 0,
            },
        ];
        for case in cases {
            let labels = case.labels.map(|text| Labels::parse(text).unwrap());
            let matched = match_folders(&folders(case.folders), labels.as_ref(), case.n_outputs);
            assert_eq!(classes(&matched), case.expected, "{:?}", case.folders);
            assert_eq!(
                matched.warnings.len(),
                case.warnings,
                "{:?}: {:?}",
                case.folders,
                matched.warnings
            );
            if case.rule.is_some() {
                let rule = matched.folders[0].class.map(|(_, rule)| rule);
                assert_eq!(rule, case.rule, "{:?}", case.folders);
            }
        }
    }

    #[test]
    fn says_what_it_did() {
        let labels = Labels::parse(LABELS).unwrap();
        let matched = match_folders(
            &folders(&["n01440764", "n03126707", "tiger shark", "zebra"]),
            Some(&labels),
            4,
        );
        assert_eq!(
            matched.to_string(),
            "3 of 4 folders matched: 2 by external id, 1 by class name"
        );
        assert!(matched.warnings[0].contains("zebra"));
        assert_eq!(matched.classes().len(), 3);
    }

    #[test]
    fn folders_name_the_classes_where_nothing_else_does() {
        let matched = match_folders(&folders(&["c0_blobs", "c1_rings"]), None, 2);
        let labels = Labels::from_folders(&matched.classes(), 3);
        let names: Vec<_> = labels
            .classes
            .iter()
            .map(|label| label.name.as_str())
            .collect();
        assert_eq!(names, ["c0 blobs", "c1 rings", "class 2"]);
    }
}
