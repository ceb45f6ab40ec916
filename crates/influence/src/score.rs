//! The score z that is explained (method.md section 1).

use summit_tables::ClassId;

/// What z is for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Explained {
    /// `logit_c - max_{k != c} logit_k`; the runner-up is the lowest index among equals.
    Margin(ClassId),
    /// `logit_to - logit_from`: what turned class `from` into class `to`.
    Confusion {
        /// The label.
        from: ClassId,
        /// The prediction.
        to: ClassId,
    },
}

impl Explained {
    /// For a cell of the confusion matrix; the margin on its diagonal.
    #[must_use]
    pub fn cell(label: ClassId, prediction: ClassId) -> Self {
        if label == prediction {
            Self::Margin(label)
        } else {
            Self::Confusion {
                from: label,
                to: prediction,
            }
        }
    }

    /// The two logits whose difference is z: raised and lowered. With a single class nothing is
    /// lowered.
    fn ends(self, logits: &[f32]) -> (usize, Option<usize>) {
        match self {
            Self::Confusion { from, to } => (to.index(), Some(from.index())),
            Self::Margin(class) => {
                let others = (0..logits.len()).filter(|&k| k != class.index());
                let best = others.reduce(|best, k| if logits[k] > logits[best] { k } else { best });
                (class.index(), best)
            }
        }
    }

    /// z of these logits; classes beyond them count as 0.
    #[must_use]
    pub fn value(self, logits: &[f32]) -> f64 {
        let (up, down) = self.ends(logits);
        let logit = |class: usize| logits.get(class).map_or(0.0, |&logit| f64::from(logit));
        logit(up) - down.map_or(0.0, logit)
    }

    /// `dz/dlogits`, `[classes]`.
    #[must_use]
    pub fn seed(self, logits: &[f32]) -> Vec<f32> {
        let (up, down) = self.ends(logits);
        let mut seed = vec![0.0; logits.len()];
        if let Some(up) = seed.get_mut(up) {
            *up = 1.0;
        }
        if let Some(down) = down.and_then(|down| seed.get_mut(down)) {
            *down = -1.0;
        }
        seed
    }

    /// Classes whose logits z always holds: drawn on top of a graph.
    #[must_use]
    pub fn targets(self) -> Vec<ClassId> {
        match self {
            Self::Margin(class) => vec![class],
            Self::Confusion { from, to } => vec![from, to],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_their_gradients() {
        struct Case {
            explained: Explained,
            logits: &'static [f32],
            value: f64,
            seed: &'static [f32],
        }
        let confusion = |from, to| Explained::cell(ClassId(from), ClassId(to));
        let cases = [
            Case {
                explained: Explained::Margin(ClassId(0)),
                logits: &[1.0, 3.0, 3.0],
                value: -2.0,
                seed: &[1.0, -1.0, 0.0],
            },
            Case {
                explained: confusion(1, 1),
                logits: &[1.0, 3.0, 2.0],
                value: 1.0,
                seed: &[0.0, 1.0, -1.0],
            },
            Case {
                explained: confusion(0, 2),
                logits: &[1.0, 9.0, 3.0],
                value: 2.0,
                seed: &[-1.0, 0.0, 1.0],
            },
            Case {
                explained: Explained::Margin(ClassId(0)),
                logits: &[4.0],
                value: 4.0,
                seed: &[1.0],
            },
        ];
        for case in cases {
            assert_eq!(case.explained.value(case.logits), case.value);
            assert_eq!(case.explained.seed(case.logits), case.seed);
        }
    }
}
