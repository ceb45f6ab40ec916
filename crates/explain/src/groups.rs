//! Which group an image, or a (label, prediction) cell of the counts, belongs to
//! (docs/method.md section 1).

use crate::ExplainError;
use summit_tables::{GroupId, Grouping, ImageRecord};

/// The label value of cells whose images have no label.
pub const NO_LABEL: u32 = u32::MAX;

/// Number of groups of a grouping over `classes` logits.
///
/// # Errors
/// When the confusion matrix has more cells than group ids.
pub fn group_count(grouping: Grouping, classes: u32) -> Result<u32, ExplainError> {
    match grouping {
        Grouping::Label | Grouping::Prediction => Ok(classes),
        Grouping::Confusion => classes.checked_mul(classes).ok_or(ExplainError::TooLarge {
            what: "the confusion matrix",
            cells: u64::from(classes) * u64::from(classes),
            limit: u64::from(u32::MAX),
        }),
        Grouping::Correct => Ok(2),
    }
}

/// The group of a cell of images with this label ([`NO_LABEL`] for none) and this prediction.
///
/// `None` where the grouping needs a label and there is none, or a class does not exist.
#[must_use]
pub fn group_of_cell(
    grouping: Grouping,
    classes: u32,
    label: u32,
    prediction: u32,
) -> Option<GroupId> {
    if prediction >= classes || (label != NO_LABEL && label >= classes) {
        return None;
    }
    match grouping {
        Grouping::Label => Some(GroupId(if label == NO_LABEL { prediction } else { label })),
        Grouping::Prediction => Some(GroupId(prediction)),
        Grouping::Confusion if label != NO_LABEL => label
            .checked_mul(classes)?
            .checked_add(prediction)
            .map(GroupId),
        Grouping::Correct if label != NO_LABEL => Some(GroupId(u32::from(label == prediction))),
        Grouping::Confusion | Grouping::Correct => None,
    }
}

/// The group of an image; `None` as in [`group_of_cell`], or where it has no prediction.
#[must_use]
pub fn group_of_image(grouping: Grouping, classes: u32, record: &ImageRecord) -> Option<GroupId> {
    let prediction = record.top_classes.first()?.0;
    let label = record.label.map_or(NO_LABEL, |label| label.0);
    group_of_cell(grouping, classes, label, prediction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        struct Case {
            grouping: Grouping,
            label: u32,
            prediction: u32,
            expected: Option<u32>,
        }
        let case = |grouping, label, prediction, expected| Case {
            grouping,
            label,
            prediction,
            expected,
        };
        let cases = [
            case(Grouping::Label, 1, 2, Some(1)),
            case(Grouping::Label, NO_LABEL, 2, Some(2)),
            case(Grouping::Label, 4, 2, None),
            case(Grouping::Prediction, 1, 2, Some(2)),
            case(Grouping::Prediction, 1, 4, None),
            case(Grouping::Confusion, 1, 2, Some(6)),
            case(Grouping::Confusion, NO_LABEL, 2, None),
            case(Grouping::Correct, 1, 2, Some(0)),
            case(Grouping::Correct, 2, 2, Some(1)),
            case(Grouping::Correct, NO_LABEL, 2, None),
        ];
        for case in cases {
            assert_eq!(
                group_of_cell(case.grouping, 4, case.label, case.prediction).map(|group| group.0),
                case.expected,
                "{:?} {} {}",
                case.grouping,
                case.label,
                case.prediction
            );
        }
        assert!(group_count(Grouping::Confusion, u32::MAX).is_err());
    }
}
