//! Scores of the fit images: every signed measure, activations, logits.

use super::StudyGroup;
use crate::group::image_flow;
use crate::{InfluenceError, Member, Subject, in_parallel};
use std::sync::Arc;
use summit_nn::flow::{Flow, ImageFlow, SignedMeasure};

/// Per image and layer `[channels]`: R.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupScores(pub(crate) Vec<Vec<Vec<f32>>>);

impl GroupScores {
    /// Per layer `[channels]`: the mean over images.
    pub(crate) fn means(&self) -> Vec<Vec<f64>> {
        self.means_of(&(0..self.0.len()).collect::<Vec<_>>())
    }

    /// The mean over some of the images, each as often as it is named.
    pub(crate) fn means_of(&self, images: &[usize]) -> Vec<Vec<f64>> {
        let mut means: Vec<Vec<f64>> = Vec::new();
        for image in images.iter().filter_map(|&image| self.0.get(image)) {
            means.resize(image.len(), Vec::new());
            for (mean, scores) in means.iter_mut().zip(image) {
                mean.resize(scores.len(), 0.0);
                for (mean, &score) in mean.iter_mut().zip(scores) {
                    *mean += f64::from(score) / images.len() as f64;
                }
            }
        }
        means
    }
}

/// What the fit images say.
pub(crate) struct Fitted {
    /// Per measure and group; flow first.
    pub(crate) signed: Vec<(SignedMeasure, Vec<GroupScores>)>,
    /// `[groups][layers][channels]`: mean over images of the largest activation, negatives as 0.
    pub(crate) activations: Vec<Vec<Vec<f64>>>,
    /// Per group: `<dz/da, a - mean of a>`, what flow is to zero ablation for mean ablation
    /// (attribution patching, arXiv 2310.10348).
    pub(crate) from_mean: Vec<GroupScores>,
    /// The same per image: a ranking of its own.
    pub(crate) activations_by_image: Vec<GroupScores>,
    /// `[groups][classes]`
    pub(crate) mean_logits: Vec<Vec<f64>>,
}

/// What is kept of one image.
struct OneImage {
    scores: Vec<Vec<f32>>,
    from_mean: Vec<Vec<f32>>,
    maxima: Vec<Vec<f32>>,
    logits: Vec<f32>,
}

/// `mean`: per layer `[C, H, W]`.
pub(crate) fn fit(
    subject: &Subject<'_>,
    groups: &[StudyGroup],
    mean: &[Vec<f32>],
) -> Result<Fitted, InfluenceError> {
    let mut fitted = Fitted {
        from_mean: Vec::new(),
        signed: Vec::new(),
        activations: Vec::new(),
        activations_by_image: Vec::new(),
        mean_logits: Vec::new(),
    };
    let channels = subject.channels();
    for measure in SignedMeasure::ALL {
        // With maps: activations are needed once.
        let flow = Arc::new(Flow::new(subject.graph, subject.layers, 1, measure)?);
        let mut sessions = subject.workers(|| flow.session());
        let mut scores = Vec::new();
        for group in groups {
            let found = in_parallel(&group.fit, &mut sessions, |session, member: &Member| {
                let own = image_flow(subject, session, member)?;
                Ok::<_, InfluenceError>(OneImage {
                    maxima: maxima(&own, &channels),
                    from_mean: from_mean(&own, mean, &channels),
                    scores: own.scores,
                    logits: own.logits,
                })
            })?;
            if measure == SignedMeasure::Flow {
                let mean = |class: usize| {
                    let logits = found.iter().map(|image| f64::from(image.logits[class]));
                    logits.sum::<f64>() / found.len() as f64
                };
                fitted
                    .mean_logits
                    .push((0..found[0].logits.len()).map(mean).collect());
                let differences = found.iter().map(|image| image.from_mean.clone());
                fitted.from_mean.push(GroupScores(differences.collect()));
                let maxima = GroupScores(found.iter().map(|image| image.maxima.clone()).collect());
                fitted.activations.push(maxima.means());
                fitted.activations_by_image.push(maxima);
            }
            scores.push(GroupScores(
                found.into_iter().map(|image| image.scores).collect(),
            ));
        }
        fitted.signed.push((measure, scores));
    }
    Ok(fitted)
}

/// Per layer the largest activation of each channel, negatives as 0.
fn maxima(own: &ImageFlow, channels: &[usize]) -> Vec<Vec<f32>> {
    let maps = own
        .points
        .last()
        .map_or(&[][..], |point| &point.activations);
    let of = |(map, &channels): (&Vec<f32>, &usize)| {
        let planes = map.chunks_exact((map.len() / channels.max(1)).max(1));
        planes
            .map(|plane| plane.iter().fold(0.0f32, |a, &b| a.max(b)))
            .collect()
    };
    maps.iter().zip(channels).map(of).collect()
}

/// Per layer and channel the product of the gradient with the activation less its mean.
fn from_mean(own: &ImageFlow, mean: &[Vec<f32>], channels: &[usize]) -> Vec<Vec<f32>> {
    let Some(point) = own.points.last() else {
        return Vec::new();
    };
    let of = |(layer, &channels): (usize, &usize)| {
        let (activations, gradients) = (&point.activations[layer], &point.gradients[layer]);
        let plane = (activations.len() / channels.max(1)).max(1);
        let product = |channel: usize| {
            let range = channel * plane..(channel + 1) * plane;
            let products = range
                .map(|at| f64::from(gradients[at]) * f64::from(activations[at] - mean[layer][at]));
            products.sum::<f64>() as f32
        };
        (0..channels).map(product).collect()
    };
    channels.iter().enumerate().map(of).collect()
}
