//! What the logits of one image say.

use summit_tables::ClassId;

/// Classes listed per image.
pub const TOP_CLASSES: usize = 5;

/// Prediction, probabilities and margin of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The most probable classes, descending, ties by the lower class.
    pub top_classes: Vec<ClassId>,
    /// Their probabilities.
    pub top_probabilities: Vec<f32>,
    /// Probability of the label; 0 without one.
    pub label_probability: f32,
    /// `logit_c - max_{k != c} logit_k`, c the label, or the prediction without one
    /// (method.md section 1). With a single class: its logit.
    pub margin: f32,
    /// The k of the margin: the highest logit but c's, the lowest index among equals.
    pub runner_up: ClassId,
}

impl Prediction {
    /// From finite logits; `label` beyond the last class counts as none.
    #[must_use]
    pub fn new(logits: &[f32], label: Option<ClassId>) -> Self {
        let label = label.filter(|class| class.index() < logits.len());
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        let highest = order.first().map_or(0.0, |&class| f64::from(logits[class]));
        let exponential = |class: usize| (f64::from(logits[class]) - highest).exp();
        let total: f64 = (0..logits.len()).map(exponential).sum();
        let probability = |class: usize| (exponential(class) / total) as f32;
        let explained = label.map_or_else(|| order.first().copied(), |class| Some(class.index()));
        let runner_up = order
            .iter()
            .copied()
            .find(|&class| Some(class) != explained);
        let logit = |class: Option<usize>| class.map_or(0.0, |class| logits[class]);
        order.truncate(TOP_CLASSES);
        Self {
            top_classes: order
                .iter()
                .map(|&class| ClassId::from_index(class))
                .collect(),
            top_probabilities: order.iter().map(|&class| probability(class)).collect(),
            label_probability: label.map_or(0.0, |class| probability(class.index())),
            margin: logit(explained) - logit(runner_up),
            runner_up: ClassId::from_index(runner_up.or(explained).unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_and_ties() {
        struct Case {
            logits: &'static [f32],
            label: Option<u32>,
            top: &'static [u32],
            margin: f32,
            runner_up: u32,
        }
        let cases = [
            Case {
                logits: &[1.0, 3.0, 2.0],
                label: Some(0),
                top: &[1, 2, 0],
                margin: -2.0,
                runner_up: 1,
            },
            Case {
                logits: &[1.0, 3.0, 2.0],
                label: Some(1),
                top: &[1, 2, 0],
                margin: 1.0,
                runner_up: 2,
            },
            Case {
                logits: &[1.0, 3.0, 2.0],
                label: None,
                top: &[1, 2, 0],
                margin: 1.0,
                runner_up: 2,
            },
            Case {
                logits: &[2.0, 2.0, 2.0],
                label: Some(2),
                top: &[0, 1, 2],
                margin: 0.0,
                runner_up: 0,
            },
            Case {
                logits: &[2.0],
                label: Some(0),
                top: &[0],
                margin: 2.0,
                runner_up: 0,
            },
            Case {
                logits: &[0.0, 1.0],
                label: Some(9),
                top: &[1, 0],
                margin: 1.0,
                runner_up: 0,
            },
        ];
        for case in cases {
            let found = Prediction::new(case.logits, case.label.map(ClassId));
            let top: Vec<u32> = found.top_classes.iter().map(|class| class.0).collect();
            assert_eq!(top, case.top, "{:?}", case.logits);
            assert_eq!(found.margin, case.margin, "{:?}", case.logits);
            assert_eq!(found.runner_up.0, case.runner_up, "{:?}", case.logits);
            let total: f32 = found.top_probabilities.iter().sum();
            assert!((total - 1.0).abs() < 1e-6, "{total}");
        }
    }
}
