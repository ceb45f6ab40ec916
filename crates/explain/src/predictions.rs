//! What the network predicted: accuracy per class, confusion, probability histograms, calibration,
//! images by margin.
//!
//! Place in the flow: the predictions table goes in, small tables for people and charts come out.
//! `O(images)`; memory by the number of non-empty confusion cells.

use crate::slice::{cell_of, explained_class};
use serde::Serialize;
use std::collections::BTreeMap;
use summit_tables::{ClassId, ImageRecord};

/// Bins of a probability histogram, and of the reliability curve: bin b holds
/// `[b / 10, (b + 1) / 10)`, the last one 1.0 as well.
pub const PROBABILITY_BINS: usize = 10;

/// How a set of images was predicted. Shares are taken of `labelled` and absent where that is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accuracy {
    /// Images.
    pub images: u32,
    /// Images with a label.
    pub labelled: u32,
    /// Labelled images whose most probable class is the label.
    pub top1: u32,
    /// Labelled images whose label is among the 5 most probable classes.
    pub top5: u32,
}

impl Accuracy {
    /// Counts one image.
    pub fn add(&mut self, record: &ImageRecord) {
        self.images += 1;
        if let Some(label) = record.label {
            self.labelled += 1;
            self.top1 += u32::from(record.top_classes.first() == Some(&label));
            self.top5 += u32::from(record.top_classes.contains(&label));
        }
    }

    /// Counts all images of a list.
    #[must_use]
    pub fn of<'a>(records: impl IntoIterator<Item = &'a ImageRecord>) -> Self {
        let mut accuracy = Self::default();
        records.into_iter().for_each(|record| accuracy.add(record));
        accuracy
    }

    /// `top1` as a share.
    #[must_use]
    pub fn top1_share(&self) -> Option<f64> {
        share(self.top1, self.labelled)
    }

    /// `top5` as a share.
    #[must_use]
    pub fn top5_share(&self) -> Option<f64> {
        share(self.top5, self.labelled)
    }
}

fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassPredictions {
    /// The class.
    pub class: ClassId,
    /// Its images: by label, by prediction where they have none.
    pub accuracy: Accuracy,
    /// Images predicted as the class, whatever their label.
    pub predicted: u32,
    /// Of those with a label, the share that has this one; absent where there are none.
    pub precision: Option<f64>,
    /// Mean probability of the label over its labelled images; absent where there are none.
    pub mean_probability: Option<f64>,
}

/// Every class with an image or a prediction, ascending.
#[must_use]
pub fn class_predictions(records: &[ImageRecord]) -> Vec<ClassPredictions> {
    #[derive(Default)]
    struct Sums {
        accuracy: Accuracy,
        predicted: u32,
        predicted_labelled: u32,
        probability: f64,
    }
    let mut classes: BTreeMap<ClassId, Sums> = BTreeMap::new();
    for record in records {
        if let Some(class) = explained_class(record) {
            let sums = classes.entry(class).or_default();
            sums.accuracy.add(record);
            if record.label.is_some() {
                sums.probability += f64::from(record.label_probability);
            }
        }
        if let Some(&prediction) = record.top_classes.first() {
            let sums = classes.entry(prediction).or_default();
            sums.predicted += 1;
            sums.predicted_labelled += u32::from(record.label.is_some());
        }
    }
    let finished = |(class, sums): (ClassId, Sums)| ClassPredictions {
        class,
        precision: share(sums.accuracy.top1, sums.predicted_labelled),
        mean_probability: (sums.accuracy.labelled > 0)
            .then(|| sums.probability / f64::from(sums.accuracy.labelled)),
        predicted: sums.predicted,
        accuracy: sums.accuracy,
    };
    classes.into_iter().map(finished).collect()
}

/// A non-empty cell of the confusion matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionCell {
    /// True class; `None` for unlabelled images.
    pub label: Option<ClassId>,
    /// Most probable class.
    pub prediction: ClassId,
    /// Images.
    pub images: u32,
}

/// The confusion matrix as its non-empty cells, by (label, prediction), unlabelled images last.
#[must_use]
pub fn confusion(records: &[ImageRecord]) -> Vec<ConfusionCell> {
    let mut cells: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for cell in records.iter().filter_map(cell_of) {
        *cells.entry(cell).or_default() += 1;
    }
    let cell = |((label, prediction), images)| ConfusionCell {
        label: (label != crate::NO_LABEL).then_some(ClassId(label)),
        prediction: ClassId(prediction),
        images,
    };
    cells.into_iter().map(cell).collect()
}

/// Two classes taken for each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusedPair {
    /// The lower class.
    pub first: ClassId,
    /// The higher class.
    pub second: ClassId,
    /// Images of the first taken for the second.
    pub first_as_second: u32,
    /// Images of the second taken for the first.
    pub second_as_first: u32,
}

impl ConfusedPair {
    /// Images taken for the other class, either way.
    #[must_use]
    pub fn images(&self) -> u32 {
        self.first_as_second.saturating_add(self.second_as_first)
    }
}

/// Pairs of classes by images taken for one another, most first; ties: lower classes.
#[must_use]
pub fn confused_pairs(cells: &[ConfusionCell]) -> Vec<ConfusedPair> {
    let mut pairs: BTreeMap<(ClassId, ClassId), [u32; 2]> = BTreeMap::new();
    for cell in cells {
        let Some(label) = cell.label.filter(|&label| label != cell.prediction) else {
            continue;
        };
        let pair = (label.min(cell.prediction), label.max(cell.prediction));
        let counts = pairs.entry(pair).or_default();
        counts[usize::from(label > cell.prediction)] += cell.images;
    }
    let mut pairs: Vec<ConfusedPair> = pairs
        .into_iter()
        .map(|((first, second), [forth, back])| ConfusedPair {
            first,
            second,
            first_as_second: forth,
            second_as_first: back,
        })
        .collect();
    // Stable: equal ones stay by class.
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.images()));
    pairs
}

/// The wrong cell with the most images; ties: the lower label, then the lower prediction.
#[must_use]
pub fn worst_cell(cells: &[ConfusionCell]) -> Option<&ConfusionCell> {
    cells
        .iter()
        .filter(|cell| cell.label.is_some_and(|label| label != cell.prediction))
        .max_by(|left, right| {
            let earlier = (right.label, right.prediction).cmp(&(left.label, left.prediction));
            left.images.cmp(&right.images).then(earlier)
        })
}

/// Histograms of probabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProbabilityHistograms {
    /// Labelled images by the probability of their label; see [`PROBABILITY_BINS`].
    pub label: [u32; PROBABILITY_BINS],
    /// Images by the probability of their prediction.
    pub prediction: [u32; PROBABILITY_BINS],
}

/// Histograms of the true class's and the winner's probability.
#[must_use]
pub fn probability_histograms<'a>(
    records: impl IntoIterator<Item = &'a ImageRecord>,
) -> ProbabilityHistograms {
    let mut histograms = ProbabilityHistograms::default();
    let bin = |probability| probability_bin(probability, PROBABILITY_BINS);
    for record in records {
        if record.label.is_some() {
            histograms.label[bin(record.label_probability)] += 1;
        }
        if let Some(&probability) = record.top_probabilities.first() {
            histograms.prediction[bin(probability)] += 1;
        }
    }
    histograms
}

/// The bin of a probability among `bins` of equal width; what lies outside 0 to 1 goes to the nearer
/// end.
#[must_use]
pub fn probability_bin(probability: f32, bins: usize) -> usize {
    // The cast saturates and turns no number into 0. f64: 0.7f32 * 10 would round up to bin 7.
    ((f64::from(probability) * bins as f64) as usize).min(bins.saturating_sub(1))
}

/// One bin of the reliability curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Labelled images whose prediction has a probability in the bin.
    pub images: u32,
    /// Mean probability of the prediction; absent in an empty bin.
    pub confidence: Option<f64>,
    /// Share that is right; absent in an empty bin.
    pub accuracy: Option<f64>,
}

/// How far probabilities can be believed (Guo et al., ICML 2017).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// The reliability curve, [`PROBABILITY_BINS`] bins.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error: mean of |accuracy - confidence| over images, 0 to 1; absent
    /// without labelled images.
    pub expected_error: Option<f64>,
    /// The largest |accuracy - confidence| of a bin.
    pub largest_error: Option<f64>,
}

/// Reliability curve and calibration error of the labelled images.
#[must_use]
pub fn calibration<'a>(records: impl IntoIterator<Item = &'a ImageRecord>) -> Calibration {
    let mut sums = [(0u32, 0.0f64, 0u32); PROBABILITY_BINS];
    for record in records {
        let (Some(label), Some(&probability)) = (record.label, record.top_probabilities.first())
        else {
            continue;
        };
        let (images, confidence, right) = &mut sums[probability_bin(probability, PROBABILITY_BINS)];
        *images += 1;
        *confidence += f64::from(probability);
        *right += u32::from(record.top_classes.first() == Some(&label));
    }
    let total: u32 = sums.iter().map(|(images, ..)| images).sum();
    let mut bins = Vec::with_capacity(PROBABILITY_BINS);
    let (mut expected, mut largest) = (0.0, None);
    for (images, confidence, right) in sums {
        if images == 0 {
            bins.push(ReliabilityBin::default());
            continue;
        }
        let confidence = confidence / f64::from(images);
        let accuracy = f64::from(right) / f64::from(images);
        let gap = (accuracy - confidence).abs();
        expected += gap * f64::from(images) / f64::from(total);
        largest = Some(largest.map_or(gap, |largest: f64| largest.max(gap)));
        bins.push(ReliabilityBin {
            images,
            confidence: Some(confidence),
            accuracy: Some(accuracy),
        });
    }
    Calibration {
        bins,
        expected_error: (total > 0).then_some(expected),
        largest_error: largest,
    }
}

/// Images by ascending margin, the most wrong first; ties: the lower image.
#[must_use]
pub fn by_margin<'a>(records: impl IntoIterator<Item = &'a ImageRecord>) -> Vec<&'a ImageRecord> {
    let mut ordered: Vec<&ImageRecord> = records.into_iter().collect();
    let order = |left: &&ImageRecord, right: &&ImageRecord| {
        left.margin
            .total_cmp(&right.margin)
            .then(left.image.cmp(&right.image))
    };
    ordered.sort_by(order);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::tests::record;

    fn with(image: u32, label: Option<u32>, prediction: u32, probability: f32) -> ImageRecord {
        let mut record = record(image, label, prediction);
        record.top_probabilities = vec![probability];
        record.label_probability = if label == Some(prediction) {
            probability
        } else {
            0.05
        };
        record.margin = probability - 0.5;
        record
    }

    fn records() -> Vec<ImageRecord> {
        vec![
            with(0, Some(0), 0, 1.0),
            with(1, Some(0), 1, 0.6),
            with(2, Some(1), 0, 0.7),
            with(3, Some(1), 2, 0.7),
            with(4, None, 2, 0.1),
        ]
    }

    #[test]
    fn classes_add_up() {
        let classes = class_predictions(&records());
        assert_eq!(classes.len(), 3);
        let images: u32 = classes.iter().map(|class| class.accuracy.images).sum();
        let predicted: u32 = classes.iter().map(|class| class.predicted).sum();
        assert_eq!((images, predicted), (5, 5));
        assert_eq!(classes[0].accuracy.top1_share(), Some(0.5));
        assert_eq!(classes[0].precision, Some(0.5));
        assert_eq!(classes[2].accuracy.top1_share(), None);
        assert_eq!(classes[2].mean_probability, None);
        assert!((classes[0].mean_probability.unwrap() - 0.525).abs() < 1e-7);
        // The label of image 2 is class 1; its list is 0, 7.
        assert_eq!(Accuracy::of(&records()).top5, 1);
        assert!(class_predictions(&[]).is_empty());
    }

    #[test]
    fn pairs_and_the_worst_cell() {
        let cells = confusion(&records());
        assert_eq!(cells.iter().map(|cell| cell.images).sum::<u32>(), 5);
        assert_eq!(cells.last().unwrap().label, None);
        let pairs = confused_pairs(&cells);
        assert_eq!((pairs[0].first, pairs[0].second), (ClassId(0), ClassId(1)));
        assert_eq!((pairs[0].first_as_second, pairs[0].second_as_first), (1, 1));
        assert_eq!(pairs.len(), 2);
        let worst = worst_cell(&cells).unwrap();
        assert_eq!(
            (worst.label, worst.prediction),
            (Some(ClassId(0)), ClassId(1))
        );
        assert_eq!(worst_cell(&[]), None);
    }

    #[test]
    fn bins_have_fixed_edges() {
        for (probability, bin) in [
            (0.0, 0),
            (0.099, 0),
            (0.1, 1),
            (0.5, 5),
            (0.999, 9),
            (1.0, 9),
            (f32::NAN, 0),
            (7.0, 9),
            (-1.0, 0),
        ] {
            assert_eq!(
                probability_bin(probability, PROBABILITY_BINS),
                bin,
                "{probability}"
            );
        }
        let histograms = probability_histograms(&records());
        assert_eq!(histograms.label.iter().sum::<u32>(), 4);
        assert_eq!(histograms.prediction.iter().sum::<u32>(), 5);
    }

    #[test]
    fn calibration_by_hand() {
        let found = calibration(&records());
        // One image at 1.0 right, one at 0.6 and two at 0.7 (f32 below 0.7: bin 6) wrong.
        assert_eq!(found.bins[9].images, 1);
        let wrong: u32 = found.bins[6].images + found.bins[7].images;
        assert_eq!(wrong, 3);
        let expected = (0.6f32 + 0.7f32 + 0.7f32) as f64 / 4.0;
        assert!((found.expected_error.unwrap() - expected).abs() < 1e-6);
        assert_eq!(calibration(&[]).expected_error, None);
        assert_eq!(calibration(&[record(0, None, 0)]).largest_error, None);
    }

    #[test]
    fn margins_ascend() {
        let records = records();
        let order: Vec<u32> = by_margin(&records)
            .iter()
            .map(|record| record.image.0)
            .collect();
        assert_eq!(order, [4, 1, 2, 3, 0]);
    }
}
