//! Which channels and edges a graph shows (docs/method.md section 4).
//!
//! Place in the flow: scores of every channel (PageRank, or the positive part of a group's summed
//! flow) and the bridged weights go in; the kept channels of each layer, the edges among them and
//! the edges into the class logits come out. `O(C log C)` once per layer, then the kept edges in
//! each round of relaxation.

use crate::{Csr, ExplainError, pagerank::check_links};
use std::cmp::Ordering;
use summit_tables::{ChannelId, LayerId};

/// How much of a layer's mass is kept, and how that grows where a layer is left hanging.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectionParameters {
    /// Share of a layer's score at which the cut is made, in `[0, 1]`.
    pub start_threshold: f64,
    /// What one round of relaxation adds, in `(0, 1]` (at least 0.0001).
    pub relaxation_step: f64,
}

impl Default for SelectionParameters {
    fn default() -> Self {
        Self {
            start_threshold: 0.075,
            relaxation_step: 0.005,
        }
    }
}

/// What is kept, and how it came to that.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Per layer: the share at which its cut was finally made.
    pub thresholds: Vec<f64>,
    /// Rounds of relaxation.
    pub rounds: u32,
    /// Per layer: kept channels, ascending.
    pub kept: Vec<Vec<ChannelId>>,
}

/// An edge between kept channels of two consecutive layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptEdge {
    /// The layer of `from`; `to` is in the next one.
    pub lower: LayerId,
    /// The upper channel.
    pub to: ChannelId,
    /// The lower channel.
    pub from: ChannelId,
    /// Bridged weight, images.
    pub influence: u32,
}

/// Edges from the last layer into one class logit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogitEdges {
    /// `(channel, influence)`, channels ascending, influence above 0, images.
    pub edges: Vec<(ChannelId, u32)>,
    /// The channel that was not kept but has to join the graph, because no kept one influences
    /// the logit.
    pub added: Option<ChannelId>,
}

/// A layer's channels by descending score, with what is needed to cut at any threshold.
struct RankedLayer {
    order: Vec<u32>,
    sorted: Vec<f64>,
    cumulative: Vec<f64>,
}

impl RankedLayer {
    /// Scores below 0, and what is no number, count as 0.
    fn new(scores: &[f64]) -> Self {
        let score = |channel: u32| {
            let value = scores[channel as usize];
            if value.is_finite() {
                value.max(0.0)
            } else {
                0.0
            }
        };
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_by(|&left, &right| {
            score(right)
                .partial_cmp(&score(left))
                .unwrap_or(Ordering::Equal)
                .then(left.cmp(&right))
        });
        let sorted: Vec<f64> = order.iter().map(|&channel| score(channel)).collect();
        let cumulative = sorted
            .iter()
            .scan(0.0, |sum, &value| {
                *sum += value;
                Some(*sum)
            })
            .collect();
        Self {
            order,
            sorted,
            cumulative,
        }
    }

    /// The kept channels are a prefix of the order.
    fn kept(&self, threshold: f64) -> &[u32] {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        // The negation also refuses a sum that overflowed to no number.
        if !(total > 0.0 && total.is_finite()) {
            return &[];
        }
        let last = self.sorted.len() - 1;
        let crossing = self
            .cumulative
            .partition_point(|sum| sum / total < threshold)
            .min(last);
        let length = match self.sorted.get(crossing + 1) {
            Some(&cut) if self.sorted[0] > cut => self.sorted.partition_point(|&score| score > cut),
            // Nothing after the crossing, or nothing above what follows.
            _ => {
                let floor = self.sorted[crossing];
                self.sorted
                    .partition_point(|&score| score > 0.0 && score >= floor)
            }
        };
        &self.order[..length]
    }
}

/// The channels of one layer kept at a share `threshold` of its score.
///
/// * `scores`: `[channels]`, f64; negative ones count as 0.
///
/// Scores are accumulated in descending order until the threshold is reached; the next score is the
/// cut, and what is strictly above it is kept. Where there is no next one, or nothing above it, all
/// positive scores down to the one that crossed are kept. Returns channels, ascending.
#[must_use]
pub fn mass_cut(scores: &[f64], threshold: f64) -> Vec<ChannelId> {
    ascending(RankedLayer::new(scores).kept(threshold))
}

/// Selects channels in every layer and relaxes the thresholds of layers left without a downward
/// edge.
///
/// * `scores`: per layer `[channels]`, f64, at least 0.
/// * `links`: element l joins layers l and l + 1, `[channels of l + 1, channels of l]`, u32.
///
/// In a round, every layer but the first without a kept edge downwards adds the step to itself and
/// to the layer below, until none is left; a layer is given up once its threshold
/// and that of the layer below have reached 1, when there is nothing left to add.
///
/// # Errors
/// When shapes disagree or a parameter lies outside its range.
pub fn select(
    scores: &[Vec<f64>],
    links: &[Csr],
    parameters: &SelectionParameters,
) -> Result<Selection, ExplainError> {
    check_links(links, scores.iter().map(Vec::len))?;
    check_parameters(parameters)?;
    let SelectionParameters {
        start_threshold,
        relaxation_step,
    } = *parameters;
    let layers: Vec<RankedLayer> = scores
        .iter()
        .map(|scores| RankedLayer::new(scores))
        .collect();
    // Whole steps, so that a threshold does not depend on the order of additions.
    let mut added_steps = vec![0u32; layers.len()];
    let threshold =
        |steps: u32| f64::min(1.0, start_threshold + f64::from(steps) * relaxation_step);
    let mut rounds = 0;
    loop {
        let kept: Vec<&[u32]> = layers
            .iter()
            .zip(&added_steps)
            .map(|(layer, &steps)| layer.kept(threshold(steps)))
            .collect();
        let hanging: Vec<usize> = (1..layers.len())
            .filter(|&layer| threshold(added_steps[layer].min(added_steps[layer - 1])) < 1.0)
            .filter(|&layer| !has_edge_down(kept[layer], kept[layer - 1], &links[layer - 1]))
            .collect();
        if hanging.is_empty() {
            return Ok(Selection {
                thresholds: added_steps.iter().map(|&steps| threshold(steps)).collect(),
                rounds,
                kept: kept.into_iter().map(ascending).collect(),
            });
        }
        for layer in hanging {
            added_steps[layer] += 1;
            added_steps[layer - 1] += 1;
        }
        rounds += 1;
    }
}

fn has_edge_down(upper: &[u32], lower: &[u32], link: &Csr) -> bool {
    let mut is_kept = vec![false; link.columns() as usize];
    lower
        .iter()
        .for_each(|&channel| is_kept[channel as usize] = true);
    upper.iter().any(|&channel| {
        link.row(channel)
            .0
            .iter()
            .any(|&input| is_kept[input as usize])
    })
}

/// All edges with both ends kept, sorted by (lower layer, to, from).
///
/// * `kept`: per layer, channels ascending.
/// * `links`: as in [`select`].
#[must_use]
pub fn kept_edges(kept: &[Vec<ChannelId>], links: &[Csr]) -> Vec<KeptEdge> {
    let mut edges = Vec::new();
    for (layer, (pair, link)) in kept.windows(2).zip(links).enumerate() {
        for &to in &pair[1] {
            for (from, influence) in link.row_entries(to.0) {
                let from = ChannelId(from);
                if pair[0].binary_search(&from).is_ok() {
                    edges.push(KeptEdge {
                        lower: LayerId::from_index(layer),
                        to,
                        from,
                        influence,
                    });
                }
            }
        }
    }
    edges
}

/// The edges into one class logit.
///
/// * `kept`: kept channels of the last layer, ascending.
/// * `influence`: `(channel, images)` of every last-layer channel with influence on the logit.
///
/// Where no kept channel has any, the channel with the largest influence (ties: lower channel) is
/// named in [`LogitEdges::added`] with its edge.
#[must_use]
pub fn logit_edges(kept: &[ChannelId], influence: impl Iterator<Item = (u32, u32)>) -> LogitEdges {
    let mut edges = Vec::new();
    let mut strongest: Option<(ChannelId, u32)> = None;
    for (channel, images) in influence.filter(|&(_, images)| images > 0) {
        let channel = ChannelId(channel);
        if kept.binary_search(&channel).is_ok() {
            edges.push((channel, images));
        }
        let better = |(best, most): (ChannelId, u32)| (images, best) > (most, channel);
        if strongest.is_none_or(better) {
            strongest = Some((channel, images));
        }
    }
    edges.sort_unstable();
    let added = if edges.is_empty() { strongest } else { None };
    edges.extend(added);
    LogitEdges {
        edges,
        added: added.map(|(channel, _)| channel),
    }
}

fn ascending(channels: &[u32]) -> Vec<ChannelId> {
    let mut channels: Vec<ChannelId> = channels.iter().map(|&channel| ChannelId(channel)).collect();
    channels.sort_unstable();
    channels
}

fn check_parameters(parameters: &SelectionParameters) -> Result<(), ExplainError> {
    let SelectionParameters {
        start_threshold,
        relaxation_step,
    } = *parameters;
    if !(0.0..=1.0).contains(&start_threshold) {
        return Err(ExplainError::ParameterOutside {
            name: "the start threshold",
            value: start_threshold,
            range: "[0, 1]",
        });
    }
    if !(1e-4..=1.0).contains(&relaxation_step) {
        return Err(ExplainError::ParameterOutside {
            name: "the relaxation step",
            value: relaxation_step,
            range: "[0.0001, 1]",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(channels: &[u32]) -> Vec<ChannelId> {
        channels.iter().map(|&channel| ChannelId(channel)).collect()
    }

    #[test]
    fn mass_cut_table() {
        struct Case {
            name: &'static str,
            scores: &'static [f64],
            threshold: f64,
            kept: &'static [u32],
        }
        let cases = [
            Case {
                name: "one carries it",
                scores: &[1.0, 8.0, 1.0],
                threshold: 0.5,
                kept: &[1],
            },
            Case {
                name: "cut excludes ties with the next",
                scores: &[4.0, 2.0, 2.0, 2.0],
                threshold: 0.5,
                kept: &[0],
            },
            Case {
                name: "nothing above the next",
                scores: &[2.0, 2.0, 2.0],
                threshold: 0.3,
                kept: &[0, 1, 2],
            },
            Case {
                name: "no next value",
                scores: &[3.0, 1.0, 0.0],
                threshold: 1.0,
                kept: &[0, 1],
            },
            Case {
                name: "down to the last",
                scores: &[3.0, 1.0],
                threshold: 1.0,
                kept: &[0, 1],
            },
            Case {
                name: "zeros only",
                scores: &[0.0, 0.0],
                threshold: 0.075,
                kept: &[],
            },
            Case {
                name: "no channels",
                scores: &[],
                threshold: 0.075,
                kept: &[],
            },
            Case {
                name: "negative is zero",
                scores: &[-5.0, 1.0, f64::NAN],
                threshold: 0.075,
                kept: &[1],
            },
            Case {
                name: "overflow",
                scores: &[f64::MAX, f64::MAX],
                threshold: 0.075,
                kept: &[],
            },
        ];
        for case in cases {
            assert_eq!(
                mass_cut(case.scores, case.threshold),
                ids(case.kept),
                "{}",
                case.name
            );
        }
    }

    /// The rule as it reads, on a list.
    fn naive_cut(scores: &[f64], threshold: f64) -> Vec<ChannelId> {
        let total: f64 = scores.iter().sum();
        if total == 0.0 {
            return Vec::new();
        }
        let mut sorted = scores.to_vec();
        sorted.sort_by(|left, right| right.partial_cmp(left).unwrap());
        let mut sum = 0.0;
        let mut crossing = sorted.len() - 1;
        for (position, score) in sorted.iter().enumerate() {
            sum += score;
            if sum / total >= threshold {
                crossing = position;
                break;
            }
        }
        let above = |cut: f64| -> Vec<usize> {
            (0..scores.len())
                .filter(|&channel| scores[channel] > cut)
                .collect()
        };
        let mut kept = sorted
            .get(crossing + 1)
            .map(|&cut| above(cut))
            .unwrap_or_default();
        if kept.is_empty() {
            kept = (0..scores.len())
                .filter(|&channel| scores[channel] > 0.0 && scores[channel] >= sorted[crossing])
                .collect();
        }
        kept.into_iter().map(ChannelId::from_index).collect()
    }

    proptest! {
        #[test]
        fn mass_cut_equals_the_rule(scores in prop::collection::vec(0u32..6, 1..12), tenths in 0u32..11) {
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let threshold = f64::from(tenths) / 10.0;
            prop_assert_eq!(mass_cut(&scores, threshold), naive_cut(&scores, threshold));
        }
    }

    #[test]
    fn relaxation_adds_to_both_layers_and_twice_in_the_middle() {
        // The only edges join what ranks second in each layer.
        let link = || Csr::from_triplets(2, 2, vec![(1, 1, 3)]).unwrap();
        let scores = vec![vec![0.877, 0.123]; 3];
        let selection =
            select(&scores, &[link(), link()], &SelectionParameters::default()).unwrap();
        // The outer layers cross 0.877 after 161 rounds, at 0.075 + 161 x 0.005 = 0.88; the middle
        // one gained 0.010 in each of them and stopped at 1.
        assert_eq!(selection.kept, vec![ids(&[0, 1]); 3]);
        assert_eq!(selection.rounds, 161);
        assert_eq!(selection.thresholds[1], 1.0);
        assert!((selection.thresholds[0] - 0.88).abs() < 1e-12);
        assert!((selection.thresholds[2] - 0.88).abs() < 1e-12);
    }

    #[test]
    fn a_layer_without_edges_is_given_up() {
        let scores = vec![vec![0.5, 0.3, 0.2]; 2];
        let links = [Csr::empty(3, 3).unwrap()];
        let selection = select(&scores, &links, &SelectionParameters::default()).unwrap();
        assert_eq!(selection.thresholds, [1.0, 1.0]);
        assert_eq!(selection.kept, vec![ids(&[0, 1, 2]); 2]);
    }

    #[test]
    fn an_edge_to_a_node_without_downward_edge_stays() {
        let links = [
            Csr::from_triplets(2, 1, vec![(0, 0, 4)]).unwrap(),
            Csr::from_triplets(1, 2, vec![(0, 0, 2), (0, 1, 3)]).unwrap(),
        ];
        let kept = [ids(&[0]), ids(&[0, 1]), ids(&[0])];
        let found: Vec<_> = kept_edges(&kept, &links)
            .iter()
            .map(|e| (e.lower.0, e.from.0, e.to.0, e.influence))
            .collect();
        assert_eq!(found, [(0, 0, 0, 4), (1, 0, 0, 2), (1, 1, 0, 3)]);
    }

    #[test]
    fn logit_edges_add_the_strongest_where_none_is_kept() {
        struct Case {
            kept: &'static [u32],
            influence: &'static [(u32, u32)],
            edges: &'static [(u32, u32)],
            added: Option<u32>,
        }
        let cases = [
            Case {
                kept: &[1, 2],
                influence: &[(1, 3), (3, 9)],
                edges: &[(1, 3)],
                added: None,
            },
            Case {
                kept: &[0],
                influence: &[(1, 3), (2, 3)],
                edges: &[(1, 3)],
                added: Some(1),
            },
            Case {
                kept: &[0],
                influence: &[(3, 5), (2, 5)],
                edges: &[(2, 5)],
                added: Some(2),
            },
            Case {
                kept: &[0],
                influence: &[(0, 0)],
                edges: &[],
                added: None,
            },
        ];
        for case in cases {
            let found = logit_edges(&ids(case.kept), case.influence.iter().copied());
            let edges: Vec<_> = found
                .edges
                .iter()
                .map(|&(channel, images)| (channel.0, images))
                .collect();
            assert_eq!(
                (edges.as_slice(), found.added.map(|c| c.0)),
                (case.edges, case.added)
            );
        }
    }

    #[test]
    fn bad_parameters_are_refused() {
        for (start_threshold, relaxation_step) in [(-0.1, 0.005), (f64::NAN, 0.005), (0.1, 0.0)] {
            let parameters = SelectionParameters {
                start_threshold,
                relaxation_step,
            };
            assert!(select(&[], &[], &parameters).is_err());
        }
    }
}
