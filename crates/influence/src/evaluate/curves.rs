//! z with the first channels of a ranking kept, and with them taken away.

use super::{AblationKind, Evaluation, Ranking, Replacement};
use crate::statistics::{Random, area, bootstrap};
use crate::{Ablation, InfluenceError, Maps, Member, Subject, in_parallel};
use serde::{Deserialize, Serialize};
use summit_nn::exec::Session;

/// Shares of every layer's channels, rounded up; all of them is the untouched network.
pub const SIZES: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// The share taken away when the effect on another group is looked at: 5 %.
const SPECIFIC_SIZE: usize = 5;

/// Bootstrap resamples.
pub(crate) const RESAMPLES: usize = 1000;

/// Neighbours in activation among which matched random rankings exchange scores.
const MATCHED: usize = 8;

/// A number with its 95 % bootstrap interval over images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// Lower and upper end.
    pub interval: Option<[f64; 2]>,
}

/// One ranking under one ablation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Name of the ranking.
    pub measure: String,
    /// How channels are taken away.
    pub ablation: AblationKind,
    /// F at [`SIZES`], then 1: the share of the margin left with only these channels.
    pub kept: Vec<f64>,
    /// The share of the margin left without these channels, at [`SIZES`], then 0.
    pub cut: Vec<f64>,
    /// F at 10 %.
    pub kept_at_10_percent: Figure,
    /// Area under F.
    pub cpr: Figure,
    /// Area of |1 - F|.
    pub cmd: Figure,
    /// Area under the margin left after deletion.
    pub deletion: Figure,
    /// `cpr - deletion`; 0 for a random ranking.
    pub srg: Figure,
    /// Margin lost by the group without the first 5 %, less that lost by another group's images, as
    /// shares of their margins.
    pub specificity: Figure,
}

/// Per group, ranking and size which channels are among the first.
pub(crate) struct Cuts {
    pub(crate) names: Vec<String>,
    /// `[groups][rankings][SIZES][layers][channels]`
    first: Vec<Vec<Vec<Vec<Vec<bool>>>>>,
    all: Vec<Vec<bool>>,
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

fn inverted(chosen: &[Vec<bool>]) -> Vec<Vec<bool>> {
    let not = |layer: &Vec<bool>| layer.iter().map(|chosen| !chosen).collect();
    chosen.iter().map(not).collect()
}

/// z of one image.
struct ImageRuns {
    all: f64,
    /// Per ablation: nothing kept, then per ranking [kept at sizes, cut at sizes, other's cut].
    none: Vec<f64>,
    /// `[ablations][rankings]`
    ranked: Vec<Vec<Ranked>>,
}

struct Ranked {
    kept: Vec<f64>,
    cut: Vec<f64>,
    /// Without the first channels of the group before this one.
    other: f64,
}

pub(crate) fn curves(
    subject: &Subject<'_>,
    ablation: &Ablation,
    replacement: &Replacement,
    evaluation: &Evaluation<'_>,
    cuts: &Cuts,
) -> Result<Vec<Curve>, InfluenceError> {
    let members: Vec<(usize, &Member)> = evaluation
        .groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| group.held_out.iter().map(move |member| (index, member)))
        .collect();
    let mut sessions = subject.workers(|| ablation.session());
    let runs = in_parallel(&members, &mut sessions, |session, &(group, member)| {
        image_runs(subject, ablation, replacement, cuts, session, group, member)
    })?;
    let mut curves = Vec::new();
    for (kind_index, &kind) in AblationKind::ALL.iter().enumerate() {
        for (ranking, name) in cuts.names.iter().enumerate() {
            let view = View {
                runs: &runs,
                kind: kind_index,
                ranking,
            };
            curves.push(view.curve(name, kind, evaluation.seed));
        }
    }
    Ok(curves)
}

fn image_runs(
    subject: &Subject<'_>,
    ablation: &Ablation,
    replacement: &Replacement,
    cuts: &Cuts,
    session: &mut Session,
    group: usize,
    member: &Member,
) -> Result<ImageRuns, InfluenceError> {
    let image = member.image;
    let input = subject.input(image)?;
    let mut z = |cut: &[Vec<bool>], maps: Option<&Maps>| {
        let logits = ablation.replaced(session, &input, cut, maps);
        let logits = logits.map_err(|reason| InfluenceError::Run { reason, image })?;
        Ok::<_, InfluenceError>(member.explained.value(&logits))
    };
    let all = z(&[], None)?;
    let other = (group + cuts.first.len() - 1) % cuts.first.len();
    let (mut none, mut ranked) = (Vec::new(), Vec::new());
    for kind in AblationKind::ALL {
        let maps = replacement.maps(kind, group);
        none.push(z(&cuts.all, maps)?);
        let mut of_rankings = Vec::new();
        for ranking in 0..cuts.names.len() {
            let (mut kept, mut cut) = (Vec::new(), Vec::new());
            for chosen in &cuts.first[group][ranking] {
                kept.push(z(&inverted(chosen), maps)?);
                cut.push(z(chosen, maps)?);
            }
            let other = z(&cuts.first[other][ranking][SPECIFIC_SIZE], maps)?;
            of_rankings.push(Ranked { kept, cut, other });
        }
        ranked.push(of_rankings);
    }
    Ok(ImageRuns { all, none, ranked })
}

/// One ranking under one ablation in the runs of all images.
struct View<'a> {
    runs: &'a [ImageRuns],
    kind: usize,
    ranking: usize,
}

impl View<'_> {
    fn ranked(&self, image: usize) -> &Ranked {
        &self.runs[image].ranked[self.kind][self.ranking]
    }

    /// `(m(x) - m(none)) / (m(all) - m(none))` over some images.
    fn share(&self, images: &[usize], z: impl Fn(usize) -> f64) -> f64 {
        let sum =
            |value: &dyn Fn(usize) -> f64| images.iter().map(|&image| value(image)).sum::<f64>();
        let none = sum(&|image| self.runs[image].none[self.kind]);
        let all = sum(&|image| self.runs[image].all);
        (sum(&z) - none) / (all - none)
    }

    /// From size 0 to 1.
    fn kept(&self, images: &[usize]) -> Vec<f64> {
        let at = |size| self.share(images, |image| self.ranked(image).kept[size]);
        [0.0]
            .into_iter()
            .chain((0..SIZES.len()).map(at))
            .chain([1.0])
            .collect()
    }

    /// From size 0 to 1.
    fn cut(&self, images: &[usize]) -> Vec<f64> {
        let at = |size| self.share(images, |image| self.ranked(image).cut[size]);
        [1.0]
            .into_iter()
            .chain((0..SIZES.len()).map(at))
            .chain([0.0])
            .collect()
    }

    fn curve(&self, name: &str, ablation: AblationKind, seed: u64) -> Curve {
        let x: Vec<f64> = [0.0].into_iter().chain(SIZES).chain([1.0]).collect();
        let figure = |statistic: &dyn Fn(&[usize]) -> f64| {
            let images: Vec<usize> = (0..self.runs.len()).collect();
            Figure {
                value: statistic(&images),
                interval: bootstrap(images.len(), RESAMPLES, seed, statistic),
            }
        };
        let cpr = |images: &[usize]| area(&x, &self.kept(images));
        let deletion = |images: &[usize]| area(&x, &self.cut(images));
        let cmd = |images: &[usize]| {
            let gaps: Vec<f64> = self.kept(images).iter().map(|f| (1.0 - f).abs()).collect();
            area(&x, &gaps)
        };
        let all: Vec<usize> = (0..self.runs.len()).collect();
        Curve {
            measure: name.to_owned(),
            ablation,
            kept: self.kept(&all)[1..].to_vec(),
            cut: self.cut(&all)[1..].to_vec(),
            kept_at_10_percent: figure(&|images| {
                self.share(images, |image| self.ranked(image).kept[6])
            }),
            cpr: figure(&cpr),
            cmd: figure(&cmd),
            deletion: figure(&deletion),
            srg: figure(&|images| cpr(images) - deletion(images)),
            specificity: figure(&|images| {
                self.share(images, |image| self.ranked(image).other)
                    - self.share(images, |image| self.ranked(image).cut[SPECIFIC_SIZE])
            }),
        }
    }
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
