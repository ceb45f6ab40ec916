//! What the runs with channels kept and taken away say of each ranking.

use super::AblationKind;
use super::runs::{ImageRuns, PlaceRuns, Ranked};
use crate::statistics::{area, bootstrap};
use serde::{Deserialize, Serialize};

/// Shares of every layer's channels, rounded up; all of them is the untouched network.
pub const SIZES: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// The share taken away when the effect on another group is looked at: 5 %.
pub(crate) const SPECIFIC_SIZE: usize = 5;

/// Bootstrap resamples.
pub(crate) const RESAMPLES: usize = 1000;

/// A number with its 95 % bootstrap interval over images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// Lower and upper end.
    pub interval: Option<[f64; 2]>,
}

/// Where channels are kept or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// In one layer, all others untouched; figures are over all layers.
    Layer,
    /// In all layers at once: what a channel receives has gone through kept channels of every layer below.
    Circuit,
}

impl Scope {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::Layer, Self::Circuit];
}

/// One ranking under one ablation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Where channels are taken away.
    pub scope: Scope,
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

/// Curves of all scopes, ablations and rankings.
pub(crate) fn curves(runs: &[ImageRuns], names: &[String], seed: u64) -> Vec<Curve> {
    let mut curves = Vec::new();
    for scope in Scope::ALL {
        for (kind_index, &kind) in AblationKind::ALL.iter().enumerate() {
            for (ranking, name) in names.iter().enumerate() {
                let view = View {
                    runs,
                    scope,
                    kind: kind_index,
                    ranking,
                };
                curves.push(view.curve(name, kind, seed));
            }
        }
    }
    curves
}

/// One ranking under one ablation in the runs of all images.
struct View<'a> {
    runs: &'a [ImageRuns],
    scope: Scope,
    kind: usize,
    ranking: usize,
}

impl View<'_> {
    fn places(&self, image: usize) -> &[PlaceRuns] {
        let places = &self.runs[image].places;
        let (layers, circuit) = places.split_at(places.len() - 1);
        match self.scope {
            Scope::Layer => layers,
            Scope::Circuit => circuit,
        }
    }

    /// `(m(x) - m(none)) / (m(all) - m(none))` over some images, and over the layers where each is
    /// looked at on its own.
    fn share(&self, images: &[usize], z: impl Fn(&Ranked) -> f64) -> f64 {
        let (mut kept, mut whole) = (0.0, 0.0);
        for &image in images {
            for place in self.places(image) {
                let none = place.none[self.kind];
                kept += z(&place.ranked[self.kind][self.ranking]) - none;
                whole += self.runs[image].all - none;
            }
        }
        kept / whole
    }

    /// From size 0 to 1.
    fn kept(&self, images: &[usize]) -> Vec<f64> {
        let at = |size| self.share(images, |ranked| ranked.kept[size]);
        [0.0]
            .into_iter()
            .chain((0..SIZES.len()).map(at))
            .chain([1.0])
            .collect()
    }

    /// From size 0 to 1.
    fn cut(&self, images: &[usize]) -> Vec<f64> {
        let at = |size| self.share(images, |ranked| ranked.cut[size]);
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
            scope: self.scope,
            measure: name.to_owned(),
            ablation,
            kept: self.kept(&all)[1..].to_vec(),
            cut: self.cut(&all)[1..].to_vec(),
            kept_at_10_percent: figure(&|images| self.share(images, |ranked| ranked.kept[6])),
            cpr: figure(&cpr),
            cmd: figure(&cmd),
            deletion: figure(&deletion),
            srg: figure(&|images| cpr(images) - deletion(images)),
            specificity: figure(&|images| {
                self.share(images, |ranked| ranked.other)
                    - self.share(images, |ranked| ranked.cut[SPECIFIC_SIZE])
            }),
        }
    }
}
