//! Groups of images as a user names them, and how they cover the confusion matrix
//! (docs/method.md section 1).
//!
//! Place in the flow: one syntax for every question. [`GroupSpec::parse`] reads it, [`Group::new`]
//! finds the images, [`Group::cover`] says which counts kept by confusion cell add up to the group and
//! which images have to be looked at singly. `O(images)`.
//!
//! ```text
//! all | correct | wrong
//! CLASS | label:CLASS                by label; by prediction where there is none
//! prediction:CLASS
//! cell:LABEL:PREDICTION              one cell of the confusion matrix
//! where:CONDITION                    see the filter module
//! list:FILE                          paths of images, one a line
//! ```

use crate::{Filter, FilterError, UnknownClass, class_name, find_class, group_of_image};
use std::collections::{BTreeMap, BTreeSet};
use summit_tables::{ClassEntry, ClassId, GroupId, Grouping, ImageId, ImageRecord};
use thiserror::Error;

/// Why a text names no group, one sentence.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum GroupError {
    /// A class is unknown.
    #[error(transparent)]
    Class(#[from] UnknownClass),
    /// A condition is malformed.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A cell needs two classes.
    #[error("a cell is written cell:LABEL:PREDICTION, not \"cell:{0}\"")]
    Cell(String),
    /// Nothing stands there.
    #[error(
        "a group is needed: a class, label:C, prediction:C, cell:C:C, correct, wrong, all, \
         where:CONDITION or list:FILE"
    )]
    Nothing,
    /// No image belongs to the group.
    #[error("no image of this run belongs to the group \"{0}\"")]
    Empty(String),
}

/// A group as typed.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupSpec {
    /// All images.
    All,
    /// Images whose prediction is their label.
    Correct,
    /// Labelled images whose prediction is another class.
    Wrong,
    /// Images of a label; of a prediction where they have no label.
    Label(ClassId),
    /// Images predicted as a class.
    Prediction(ClassId),
    /// One cell of the confusion matrix.
    Cell {
        /// True class.
        label: ClassId,
        /// Most probable class.
        prediction: ClassId,
    },
    /// Images for which a condition holds.
    Where(Filter),
    /// Paths in a file; the caller reads it and uses [`Group::of_images`].
    List(String),
}

impl GroupSpec {
    /// Reads the syntax above.
    ///
    /// # Errors
    /// An unknown class, a malformed condition or cell, or nothing at all.
    pub fn parse(text: &str, classes: &[ClassEntry]) -> Result<Self, GroupError> {
        let text = text.trim();
        let class = |text: &str| find_class(classes, text);
        match (text, text.split_once(':')) {
            ("", _) => Err(GroupError::Nothing),
            ("all", _) => Ok(Self::All),
            ("correct", _) => Ok(Self::Correct),
            ("wrong", _) => Ok(Self::Wrong),
            (_, Some(("label", rest))) => Ok(Self::Label(class(rest)?)),
            (_, Some(("prediction", rest))) => Ok(Self::Prediction(class(rest)?)),
            (_, Some(("cell", rest))) => {
                let malformed = || GroupError::Cell(rest.chars().take(120).collect());
                let (label, prediction) = rest.split_once(':').ok_or_else(malformed)?;
                Ok(Self::Cell {
                    label: class(label)?,
                    prediction: class(prediction)?,
                })
            }
            (_, Some(("where", rest))) => {
                let resolve = |name: &str| class(name).map_err(|error| error.to_string());
                Ok(Self::Where(Filter::parse(rest, &resolve)?))
            }
            (_, Some(("list", rest))) => Ok(Self::List(rest.to_owned())),
            _ => Ok(Self::Label(class(text)?)),
        }
    }

    /// Whether an image belongs. A list's images are not known here: none.
    #[must_use]
    pub fn admits(&self, record: &ImageRecord) -> bool {
        let in_group = |grouping, class: ClassId| {
            group_of_image(grouping, u32::MAX, record) == Some(GroupId(class.0))
        };
        let prediction = record.prediction();
        match self {
            Self::All => true,
            Self::Correct => record.label.is_some() && record.label == prediction,
            Self::Wrong => record.label.is_some() && record.label != prediction,
            Self::Label(class) => in_group(Grouping::Label, *class),
            Self::Prediction(class) => in_group(Grouping::Prediction, *class),
            Self::Cell {
                label,
                prediction: predicted,
            } => record.label == Some(*label) && prediction == Some(*predicted),
            Self::Where(filter) => filter.admits(record),
            Self::List(_) => false,
        }
    }

    /// The group for people.
    #[must_use]
    pub fn name(&self, classes: &[ClassEntry]) -> String {
        let class = |id: ClassId| class_name(classes, id);
        match self {
            Self::All => "all images".to_owned(),
            Self::Correct => "correct".to_owned(),
            Self::Wrong => "wrong".to_owned(),
            Self::Label(label) => class(*label),
            Self::Prediction(prediction) => format!("predicted {}", class(*prediction)),
            Self::Cell { label, prediction } => {
                format!("{} taken for {}", class(*label), class(*prediction))
            }
            Self::Where(filter) => filter.text().to_owned(),
            Self::List(file) => format!("list {file}"),
        }
    }
}

/// A cell of the confusion matrix: label ([`crate::NO_LABEL`] for none), prediction.
pub type Cell = (u32, u32);

/// A named set of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// For people.
    pub name: String,
    /// Ascending, at least one.
    pub images: Vec<ImageId>,
    /// Classes whose logits explain the group: the class, both of a cell, or the one class all
    /// images share.
    pub targets: Vec<ClassId>,
}

impl Group {
    /// The images of a run that belong.
    ///
    /// # Errors
    /// [`GroupError::Empty`] when there are none.
    pub fn new(
        spec: &GroupSpec,
        records: &[ImageRecord],
        classes: &[ClassEntry],
    ) -> Result<Self, GroupError> {
        let admitted = records.iter().filter(|record| spec.admits(record));
        let images = admitted.map(|record| record.image).collect();
        let mut group = Self::of_images(spec.name(classes), images, records)?;
        match spec {
            GroupSpec::Label(class) | GroupSpec::Prediction(class) => group.targets = vec![*class],
            GroupSpec::Cell { label, prediction } => {
                group.targets = vec![*label, *prediction];
                group.targets.dedup();
            }
            _ => {}
        }
        Ok(group)
    }

    /// A list of images; ids that no record has are left out.
    ///
    /// # Errors
    /// [`GroupError::Empty`] when none is left.
    pub fn of_images(
        name: String,
        images: BTreeSet<ImageId>,
        records: &[ImageRecord],
    ) -> Result<Self, GroupError> {
        let members = || {
            records
                .iter()
                .filter(|record| images.contains(&record.image))
        };
        let explained: BTreeSet<ClassId> = members().filter_map(explained_class).collect();
        let images: BTreeSet<ImageId> = members().map(|record| record.image).collect();
        if images.is_empty() {
            return Err(GroupError::Empty(name));
        }
        Ok(Self {
            name,
            images: images.into_iter().collect(),
            targets: if explained.len() == 1 {
                explained.into_iter().collect()
            } else {
                Vec::new()
            },
        })
    }

    /// Number of images.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.images.len()).unwrap_or(u32::MAX)
    }

    /// Whether an image belongs. `O(log images)`.
    #[must_use]
    pub fn contains(&self, image: ImageId) -> bool {
        self.images.binary_search(&image).is_ok()
    }

    /// How the group lies in the confusion matrix.
    #[must_use]
    pub fn cover(&self, records: &[ImageRecord]) -> CellCover {
        let mut cells: BTreeMap<Cell, PartialCell> = BTreeMap::new();
        for record in records {
            let Some(cell) = cell_of(record) else {
                continue;
            };
            let images = cells.entry(cell).or_insert_with(|| PartialCell {
                cell,
                inside: Vec::new(),
                outside: Vec::new(),
            });
            if self.contains(record.image) {
                images.inside.push(record.image);
            } else {
                images.outside.push(record.image);
            }
        }
        let mut cover = CellCover::default();
        for (cell, images) in cells {
            match (images.inside.is_empty(), images.outside.is_empty()) {
                (true, _) => {}
                (false, true) => cover.whole.push(cell),
                (false, false) => cover.partial.push(images),
            }
        }
        cover
    }
}

/// The class whose logit explains an image: its label, else its prediction.
#[must_use]
pub fn explained_class(record: &ImageRecord) -> Option<ClassId> {
    record.label.or(record.prediction())
}

/// The cell of an image; `None` without a prediction.
#[must_use]
pub fn cell_of(record: &ImageRecord) -> Option<Cell> {
    let label = record.label.map_or(crate::NO_LABEL, |label| label.0);
    Some((label, record.prediction()?.0))
}

/// How a group lies in the confusion matrix. Counts are kept by cell, and they add up, so the counts
/// of the group are those of its whole cells, and of each partial cell either the images inside or
/// the cell without the images outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellCover {
    /// Cells all of whose images belong, ascending.
    pub whole: Vec<Cell>,
    /// Cells of which some do, ascending.
    pub partial: Vec<PartialCell>,
}

impl CellCover {
    /// Images that would have to be run again for counts kept by cell only.
    #[must_use]
    pub fn recounted(&self) -> usize {
        let fewer = |cell: &PartialCell| cell.inside.len().min(cell.outside.len());
        self.partial.iter().map(fewer).sum()
    }
}

/// A cell some of whose images belong to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialCell {
    /// The cell.
    pub cell: Cell,
    /// Its images in the group, ascending, at least one.
    pub inside: Vec<ImageId>,
    /// Its other images, ascending, at least one.
    pub outside: Vec<ImageId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::tests::named;
    use crate::filter::tests::record;

    fn records() -> Vec<ImageRecord> {
        let cells = [
            (Some(0), 0),
            (Some(0), 1),
            (Some(1), 1),
            (Some(1), 1),
            (None, 1),
        ];
        let numbered = (0..).zip(cells);
        numbered
            .map(|(image, (label, prediction))| record(image, label, prediction))
            .collect()
    }

    #[test]
    fn one_syntax_for_all_groups() {
        let classes = named(&["church", "tench", "golf ball"]);
        let cases: [(&str, &[u32], &[u32]); 11] = [
            ("all", &[0, 1, 2, 3, 4], &[]),
            ("correct", &[0, 2, 3], &[]),
            ("wrong", &[1], &[0]),
            ("church", &[0, 1], &[0]),
            ("label:n01", &[2, 3, 4], &[1]),
            ("prediction:tench", &[1, 2, 3, 4], &[1]),
            ("cell:church:tench", &[1], &[0, 1]),
            ("cell:tench:tench", &[2, 3], &[1]),
            ("where:label = 'tench' and image > 2", &[3], &[1]),
            ("where: label is null", &[4], &[1]),
            (" all ", &[0, 1, 2, 3, 4], &[]),
        ];
        for (text, images, targets) in cases {
            let spec = GroupSpec::parse(text, &classes).unwrap();
            let group = Group::new(&spec, &records(), &classes).unwrap();
            let found: Vec<u32> = group.images.iter().map(|image| image.0).collect();
            assert_eq!(found, images, "{text}");
            let found: Vec<u32> = group.targets.iter().map(|class| class.0).collect();
            assert_eq!(found, targets, "{text}");
        }
    }

    #[test]
    fn troubles_are_named() {
        let classes = named(&["church", "tench", "golf ball"]);
        for (text, reason) in [
            ("", "a group is needed"),
            ("nave", "no class \"nave\""),
            ("cell:church", "cell:LABEL:PREDICTION"),
            ("where:x", "no column"),
        ] {
            let error = GroupSpec::parse(text, &classes).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let spec = GroupSpec::parse("golf ball", &classes).unwrap();
        let error = Group::new(&spec, &records(), &classes)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "no image of this run belongs to the group \"golf ball\""
        );
        assert!(Group::new(&GroupSpec::All, &[], &classes).is_err());
    }

    #[test]
    fn cells_are_whole_or_partial() {
        let group = Group::of_images(
            "list".to_owned(),
            [0, 2, 4, 99].map(ImageId).into(),
            &records(),
        )
        .unwrap();
        let cover = group.cover(&records());
        assert_eq!(cover.whole, [(0, 0), (crate::NO_LABEL, 1)]);
        let partial = PartialCell {
            cell: (1, 1),
            inside: vec![ImageId(2)],
            outside: vec![ImageId(3)],
        };
        assert_eq!(cover.partial, [partial]);
        assert_eq!(cover.recounted(), 1);
        assert_eq!(group.size(), 3);
    }
}
