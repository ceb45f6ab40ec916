//! Faithfulness of rankings of channels and of edges (method.md section 7).
//!
//! Measures are fitted on one half of the images and judged on the other. What a ranking is worth is
//! seen by keeping its first channels, or taking them away, and looking at z; what an edge is worth by
//! replacing its lower end as its upper end sees it.
//!
//! Cost: for every held-out image, ablation and ranking up to 19 runs of the network, and as many of
//! what follows each layer; for edges about half a run each. Memory: the activations of all layers a
//! few times per thread.

mod curves;
mod cuts;
mod edges;
mod fit;
mod referee;
mod runs;
mod stability;

pub use curves::{Curve, Figure, SIZES, Scope};
pub use edges::EdgeAgreement;
pub use stability::Stability;

use crate::{Ablation, InfluenceError, Member, Subject};
use curves::SPECIFIC_SIZE;
use cuts::Cuts;
use fit::Fitted;
use referee::{Given, Referee};
use serde::{Deserialize, Serialize};
use std::io::Read;

/// Longest report read, bytes.
const LONGEST_BYTES: u64 = 16 << 20;

/// Images of one group.
#[derive(Clone, Debug)]
pub struct StudyGroup {
    /// Name for people.
    pub name: String,
    /// Images that measures are fitted on.
    pub fit: Vec<Member>,
    /// Images they are judged on.
    pub held_out: Vec<Member>,
}

/// Scores of channels from elsewhere: `[groups][layers][channels]`, higher is more important.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Its name in the report.
    pub name: String,
    /// The scores.
    pub scores: Vec<Vec<Vec<f64>>>,
}

/// The weight of an edge from elsewhere: (group, lower layer, lower channel, upper channel).
pub type EdgeWeight<'a> = dyn Fn(usize, usize, usize, usize) -> f64 + Sync + 'a;

/// What is evaluated.
pub struct Evaluation<'a> {
    /// The groups.
    pub groups: &'a [StudyGroup],
    /// Rankings beside the signed measures, activation and random ones.
    pub rankings: Vec<Ranking>,
    /// Edge weights beside those of the signed measures, by name.
    pub edge_weights: Vec<(String, &'a EdgeWeight<'a>)>,
    /// Held-out images of each group used for edges.
    pub edge_images: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// How a channel is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AblationKind {
    /// Its mean map over the fit images of all groups.
    Mean,
    /// Zero.
    Zero,
    /// Its map on a fit image of the group most like this one.
    Resample,
}

impl AblationKind {
    /// All, the default first.
    pub const ALL: [Self; 3] = [Self::Mean, Self::Zero, Self::Resample];
}

/// What came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Groups with the numbers of their fit and held-out images.
    pub groups: Vec<(String, usize, usize)>,
    /// Channels of all layers.
    pub nodes: usize,
    /// Per ablation and ranking.
    pub curves: Vec<Curve>,
    /// Per ablation and edge weight.
    pub edges: Vec<EdgeAgreement>,
    /// Per signed measure and the activation baseline.
    pub stability: Vec<Stability>,
    /// Mean Spearman correlation, over layers, of flow's scores with those of the same network with
    /// every kernel's weights shuffled; near 0 if the scores depend on what was learned.
    pub shuffled_weights: Option<f64>,
}

impl Report {
    /// The edges whose weights and ablation are a curve's; edges have no scope, so they stand beside
    /// the curves of single layers.
    #[must_use]
    pub fn edges_of(&self, curve: &Curve) -> Option<&EdgeAgreement> {
        let same = |edge: &&EdgeAgreement| {
            edge.measure == curve.measure && edge.ablation == curve.ablation
        };
        let edges = self.edges.iter();
        edges.filter(|_| curve.scope == Scope::Layer).find(same)
    }

    /// Its name in the run folder.
    pub const FILE: &str = "evaluation.json";

    /// An evaluation as it was written; `None` for anything else.
    #[must_use]
    pub fn read(source: impl Read) -> Option<Self> {
        let mut text = String::new();
        source.take(LONGEST_BYTES).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// Evaluates. `progress` is told what begins.
///
/// # Errors
/// When a group has no images on one side, an image cannot be read, or the network cannot be
/// differentiated or run.
pub fn evaluate(
    subject: &Subject<'_>,
    evaluation: &Evaluation<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<Report, InfluenceError> {
    for group in evaluation.groups {
        if group.fit.is_empty() || group.held_out.is_empty() {
            return Err(InfluenceError::NoImages(group.name.clone()));
        }
    }
    progress("scores of the fit images");
    let ablation = Ablation::new(subject)?;
    let all_fit: Vec<_> = evaluation.groups.iter().flat_map(|g| &g.fit).collect();
    let images: Vec<_> = all_fit.iter().map(|member| member.image).collect();
    let mean = Given::new(ablation.mean_maps(subject, &images)?, &ablation.channels);
    let fitted = fit::fit(subject, evaluation.groups, &mean.planes)?;
    let rankings = all_rankings(&fitted, evaluation);
    let referee = Referee::new(subject, ablation, mean, evaluation.groups, &fitted)?;
    progress("channels kept and taken away");
    let cuts = Cuts::new(&referee.ablation.channels, &rankings);
    let runs = runs::image_runs(subject, &referee, evaluation, &cuts)?;
    let curves = curves::curves(&runs, &cuts.names, evaluation.seed);
    progress("edges against interventions");
    let edges = edges::edges(subject, &referee, evaluation, &fitted)?;
    progress("stability");
    Ok(Report {
        groups: evaluation
            .groups
            .iter()
            .map(|group| (group.name.clone(), group.fit.len(), group.held_out.len()))
            .collect(),
        nodes: referee.ablation.channels.iter().sum(),
        curves,
        edges,
        stability: stability::stability(&fitted, evaluation.seed),
        shuffled_weights: stability::shuffled(subject, evaluation, &fitted)?,
    })
}

/// The signed measures, what was given, then the baselines.
fn all_rankings(fitted: &Fitted, evaluation: &Evaluation<'_>) -> Vec<Ranking> {
    let mut rankings: Vec<Ranking> = fitted
        .signed
        .iter()
        .map(|(measure, groups)| Ranking {
            name: measure.name().to_owned(),
            scores: groups.iter().map(fit::GroupScores::means).collect(),
        })
        .collect();
    let flow = rankings[0].scores.clone();
    rankings.push(Ranking {
        name: "flow, from mean".to_owned(),
        scores: fitted
            .from_mean
            .iter()
            .map(fit::GroupScores::means)
            .collect(),
    });
    rankings.extend(evaluation.rankings.iter().cloned());
    rankings.push(Ranking {
        name: "activation".to_owned(),
        scores: fitted.activations.clone(),
    });
    rankings.extend(cuts::random_rankings(
        &flow,
        &fitted.activations,
        evaluation.seed,
    ));
    rankings
}
