//! Which channels each ranking keeps or takes away, and the random rankings.

use super::{Ranking, SIZES};
use crate::statistics::Random;

/// Neighbours in activation among which matched random rankings exchange scores.
const MATCHED: usize = 8;

/// Per group, ranking and size which channels are among the first.
pub(crate) struct Cuts {
    pub(crate) names: Vec<String>,
    /// `[groups][rankings][SIZES][layers][channels]`
    pub(crate) first: Vec<Vec<Vec<Vec<Vec<bool>>>>>,
    pub(crate) all: Vec<Vec<bool>>,
}

impl Cuts {
    pub(crate) fn new(channels: &[usize], rankings: &[Ranking]) -> Self {
        let groups = rankings.first().map_or(0, |ranking| ranking.scores.len());
        let of_group = |group: usize| {
            let of_ranking = |ranking: &Ranking| {
                SIZES
                    .iter()
                    .map(|&size| first(&ranking.scores[group], size))
                    .collect()
            };
            rankings.iter().map(of_ranking).collect()
        };
        Self {
            names: rankings
                .iter()
                .map(|ranking| ranking.name.clone())
                .collect(),
            first: (0..groups).map(of_group).collect(),
            all: channels
                .iter()
                .map(|&channels| vec![true; channels])
                .collect(),
        }
    }
}

/// The first share of every layer, at least one channel; ties: lower channel.
pub(crate) fn first(scores: &[Vec<f64>], size: f64) -> Vec<Vec<bool>> {
    let of_layer = |scores: &Vec<f64>| {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut chosen = vec![false; scores.len()];
        let count = (scores.len() as f64 * size - 1e-9).ceil() as usize;
        order
            .iter()
            .take(count.max(1))
            .for_each(|&channel| chosen[channel] = true);
        chosen
    };
    scores.iter().map(of_layer).collect()
}

pub(crate) fn inverted(chosen: &[Vec<bool>]) -> Vec<Vec<bool>> {
    let not = |layer: &Vec<bool>| layer.iter().map(|chosen| !chosen).collect();
    chosen.iter().map(not).collect()
}

/// A random ranking, and flow's with scores exchanged among channels of a layer with about the same
/// activation.
pub(crate) fn random_rankings(
    flow: &[Vec<Vec<f64>>],
    activations: &[Vec<Vec<f64>>],
    seed: u64,
) -> Vec<Ranking> {
    let mut random = Random::new(seed);
    let groups = flow.iter().map(|layers| {
        let layers = layers.iter();
        layers
            .map(|layer| layer.iter().map(|_| random.unit()).collect())
            .collect()
    });
    let plain = groups.collect();
    let matched = flow.iter().zip(activations).map(|(layers, activations)| {
        let layers = layers.iter().zip(activations);
        layers
            .map(|(scores, activations)| matched(scores, activations, &mut random))
            .collect()
    });
    let matched = matched.collect();
    let ranking = |name: &str, scores| Ranking {
        name: name.to_owned(),
        scores,
    };
    vec![
        ranking("random", plain),
        ranking("random, matched", matched),
    ]
}

fn matched(scores: &[f64], activations: &[f64], random: &mut Random) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| activations[a].total_cmp(&activations[b]));
    let mut exchanged = scores.to_vec();
    for neighbours in order.chunks(MATCHED) {
        let mut others = neighbours.to_vec();
        random.shuffle(&mut others);
        for (&own, &other) in neighbours.iter().zip(&others) {
            exchanged[own] = scores[other];
        }
    }
    exchanged
}
