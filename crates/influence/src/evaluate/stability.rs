//! How much a selection changes with the images it was made from, and whether it depends on the
//! weights at all.

use super::cuts::first;
use super::fit::{Fitted, GroupScores};
use super::{Evaluation, InfluenceError};
use crate::group::image_flow;
use crate::statistics::{Random, jaccard, spearman};
use crate::{Subject, in_parallel};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use summit_nn::flow::{Flow, SignedMeasure};
use summit_nn::graph::{Graph, Op};

/// Share of each layer that is compared.
const SIZE: f64 = 0.05;

/// Bootstrap resamples of a group.
const RESAMPLES: usize = 20;

/// Images of each group for the shuffled network.
const SHUFFLED_IMAGES: usize = 2;

/// How alike the first 5 % of channels are when the images change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// Name of the measure.
    pub measure: String,
    /// Mean Jaccard index of two halves of the fit images, over groups.
    pub halves: f64,
    /// Mean Jaccard index of a bootstrap resample with all fit images, over groups.
    pub bootstrap: f64,
}

pub(crate) fn stability(fitted: &Fitted, seed: u64) -> Vec<Stability> {
    let signed = fitted
        .signed
        .iter()
        .map(|(measure, groups)| (measure.name(), groups));
    signed
        .chain([("activation", &fitted.activations_by_image)])
        .map(|(name, groups)| {
            let mut random = Random::new(seed);
            let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
            let halves = groups.iter().map(|group| {
                let mut images: Vec<usize> = (0..group.0.len()).collect();
                random.shuffle(&mut images);
                let (left, right) = images.split_at(images.len() / 2);
                jaccard(&chosen(group, left), &chosen(group, right))
            });
            let halves = mean(halves.collect());
            let resampled = groups.iter().map(|group| {
                let count = group.0.len();
                let all: Vec<usize> = (0..count).collect();
                let whole = chosen(group, &all);
                let one = |_| {
                    let drawn: Vec<usize> = (0..count).map(|_| random.below(count)).collect();
                    jaccard(&whole, &chosen(group, &drawn))
                };
                mean((0..RESAMPLES).map(one).collect())
            });
            Stability {
                measure: name.to_owned(),
                halves,
                bootstrap: mean(resampled.collect()),
            }
        })
        .collect()
}

/// (layer, channel) of the first share by these images.
fn chosen(group: &GroupScores, images: &[usize]) -> Vec<(usize, usize)> {
    let layers = first(&group.means_of(images), SIZE).into_iter().enumerate();
    layers
        .flat_map(|(layer, chosen)| {
            let channels = chosen.into_iter().enumerate();
            channels.filter_map(move |(channel, chosen)| chosen.then_some((layer, channel)))
        })
        .collect()
}

/// Correlation of flow's scores with those of a network whose kernels are shuffled; `None` where
/// every layer is constant.
pub(crate) fn shuffled(
    subject: &Subject<'_>,
    evaluation: &Evaluation<'_>,
    fitted: &Fitted,
) -> Result<Option<f64>, InfluenceError> {
    let graph = with_shuffled_weights(subject.graph, evaluation.seed);
    let flow = Arc::new(Flow::new(&graph, subject.layers, 0, SignedMeasure::Flow)?);
    let mut sessions = subject.workers(|| flow.session());
    let mut found = Vec::new();
    for (group, own) in evaluation.groups.iter().zip(&fitted.signed[0].1) {
        let members = &group.fit[..group.fit.len().min(SHUFFLED_IMAGES)];
        let scores = in_parallel(members, &mut sessions, |session, member| {
            Ok::<_, InfluenceError>(image_flow(subject, session, member)?.scores)
        })?;
        let shuffled = GroupScores(scores).means();
        let layers = own.means().into_iter().zip(shuffled);
        found.extend(layers.filter_map(|(own, other)| spearman(&own, &other)));
    }
    Ok((!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64))
}

/// The weights of every Conv, Gemm and MatMul in random order.
fn with_shuffled_weights(graph: &Graph, seed: u64) -> Graph {
    let mut graph = graph.clone();
    let mut random = Random::new(seed);
    let weighted = graph
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Conv(_) | Op::Gemm { .. } | Op::MatMul));
    let weights: Vec<usize> = weighted
        .filter_map(|node| node.inputs.get(1))
        .map(|value| value.index())
        .collect();
    for index in weights {
        if let Some(tensor) = graph
            .values
            .get_mut(index)
            .and_then(|value| value.constant.as_mut())
        {
            let mut data = tensor.data.to_vec();
            random.shuffle(&mut data);
            tensor.data = data.into();
        }
    }
    graph
}
